//! Files of any content: the queue opens, ends, and takes new records. The same as the fuzz target `disk_queue`.

use crate::support::{append, drain, open, path};
use nsq_storage::{DiskQueue, MemoryDisk};
use proptest::collection::vec;
use proptest::prelude::*;

fn meta() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![4 => 0..5_i64, 2 => 0..120_i64, 1 => any::<i64>()];
    let text =
        vec(number, 5).prop_map(|n| format!("{}\n{},{}\n{},{}\n", n[0], n[1], n[2], n[3], n[4]).into_bytes());
    prop_oneof![8 => text, 1 => vec(any::<u8>(), 0..40)]
}

/// Lengths that are mostly legal, with bytes that are mostly there.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![8 => 4..12_u32, 1 => any::<u32>()];
    let record = (length, vec(any::<u8>(), 4..13)).prop_map(|(length, bytes)| {
        let mut record = length.to_be_bytes().to_vec();
        record.extend(bytes.into_iter().take(length as usize));
        record
    });
    vec(record, 0..6).prop_map(|records| records.concat())
}

fn consume_all(queue: &mut DiskQueue) {
    while queue.depth() > 0 {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let count = queue.read(50, 2, &mut bytes, &mut ends).unwrap();
        assert!(count > 0 || queue.depth() == 0, "a depth without a record");
        queue.consume(count).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_files_are_opened_and_left_behind(meta in meta(), data in vec(data(), 0..5)) {
        let disk = MemoryDisk::new();
        disk.put(&path("meta.dat"), &meta);
        for (number, content) in data.iter().enumerate() {
            disk.put(&path(&format!("{number:06}.dat")), content);
        }
        let before = disk.files();
        let (mut queue, _) = open(&disk);
        prop_assert_eq!(disk.files(), before, "opening changes nothing");
        // Before the damage is passed a new record may share a file with it; after that it is safe.
        consume_all(&mut queue);
        append(&mut queue, [77]);
        prop_assert_eq!(drain(&mut queue), [77]);
        prop_assert_eq!(queue.bytes(), 0);
        queue.close().unwrap();
        let (queue, warnings) = open(&disk);
        prop_assert_eq!(warnings, []);
        prop_assert_eq!(queue.depth(), 0);
    }
}
