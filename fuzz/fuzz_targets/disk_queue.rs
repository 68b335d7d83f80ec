//! A disk queue on files of any content opens, ends, and takes new records. The input is cut at each 0xff byte: the meta
//! file, then the data files 0, 1, 2 and so on.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nsq_storage::{DiskQueue, MemoryDisk, QueueOptions};
use std::path::Path;
use std::sync::Arc;

const OPTIONS: QueueOptions = QueueOptions {
    max_bytes_per_file: 64,
    max_record: 40,
    min_record: 1,
    sync_every: 3,
};
const RECORD: &[u8] = b"\0\0\0\x04last";

/// Consumes everything; what came last.
fn drain(queue: &mut DiskQueue) -> Vec<u8> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    while queue.depth() > 0 {
        bytes.clear();
        ends.clear();
        let count = queue.read(50, 3, &mut bytes, &mut ends).expect("the disk works");
        assert!(count > 0 || queue.depth() == 0, "a depth without a record");
        queue.consume(count).expect("as many as were read");
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let disk = MemoryDisk::new();
    let dir = Path::new("d");
    let mut parts = data.split(|byte| *byte == 0xff);
    disk.put(
        &dir.join("q.diskqueue.meta.dat"),
        parts.next().unwrap_or_default(),
    );
    for (number, content) in parts.enumerate() {
        disk.put(&dir.join(format!("q.diskqueue.{number:06}.dat")), content);
    }
    let before = disk.files();
    let Ok((mut queue, _)) = DiskQueue::open(Arc::new(disk.clone()), dir, "q", OPTIONS) else {
        return;
    };
    assert_eq!(disk.files(), before, "opening changes nothing");
    // Before the damage is passed a new record may share a file with it; after that it is safe.
    drain(&mut queue);
    queue.append(RECORD, &[RECORD.len()]).expect("the disk works");
    assert_eq!(drain(&mut queue), RECORD);
    assert_eq!(queue.bytes(), 0);
    queue.close().expect("the disk works");
    let (queue, warnings) = DiskQueue::open(Arc::new(disk), dir, "q", OPTIONS).expect("the disk works");
    assert!(warnings.is_empty() && queue.depth() == 0);
});
