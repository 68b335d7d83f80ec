//! Damaged files: the rows of nsqd spec §5.3, and what we do better.

use crate::support::{
    append, damage, drain, files, kinds, meta, open, open_clean, open_with, path, read, record, ten_records,
    unreadable,
};
use nsq_storage::{Disk, MemoryDisk, QueueOptions, Severity};

/// Storage part of nsqd spec §12, 197.
#[test]
fn a_truncated_middle_file_loses_its_rest_only() {
    let disk = ten_records();
    damage(&disk, "000001.dat", |bytes| bytes.truncate(70));
    let mut queue = open_clean(&disk);
    assert_eq!(queue.depth(), 10);
    assert_eq!(drain(&mut queue), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    assert_eq!(queue.depth(), 0);
    let warnings = queue.take_warnings();
    assert!(
        warnings
            .iter()
            .all(|warning| warning.severity() == Severity::Error)
    );
    let tail = warnings.last().unwrap().to_string();
    assert_eq!(
        tail, "DISKQUEUE(q) positive depth at tail (1), data loss, resetting 2...",
        "2 were read ahead"
    );
    assert_eq!(
        kinds(warnings).first(),
        Some(&unreadable(1, 66, "unexpected EOF"))
    );
    assert_eq!(files(&disk), ["000001.dat.bad", "000003.dat", "meta.dat"]);
    assert_eq!(meta(&disk), "0\n3,33\n3,33\n");
}

#[test]
fn a_file_cut_at_the_end_of_a_record_is_read_and_removed() {
    let disk = ten_records();
    damage(&disk, "000001.dat", |bytes| bytes.truncate(66));
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    assert_eq!(files(&disk), ["000003.dat", "meta.dat"]);
}

#[test]
fn a_bad_length_loses_the_rest_of_its_file() {
    for length in [-1_i32, 0, 3, 61, i32::MAX] {
        let disk = ten_records();
        damage(&disk, "000000.dat", |bytes| {
            bytes.splice(33..37, length.to_be_bytes()).for_each(drop);
        });
        let mut queue = open_clean(&disk);
        assert_eq!(drain(&mut queue), [0, 3, 4, 5, 6, 7, 8, 9]);
        let reason = format!("invalid message read size ({length})");
        assert_eq!(
            kinds(queue.take_warnings()).first(),
            Some(&unreadable(0, 33, &reason))
        );
        assert_eq!(files(&disk), ["000000.dat.bad", "000003.dat", "meta.dat"]);
    }
}

/// Storage part of nsqd spec §12, 198.
#[test]
fn a_record_longer_than_the_limit_is_a_bad_length() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, [0]);
    let long = record(1, 50);
    queue.append(&long, &[long.len()]).unwrap();
    append(&mut queue, [2]);
    queue.close().unwrap();
    let options = QueueOptions {
        max_record: 40,
        ..crate::support::OPTIONS
    };
    let (mut queue, _) = open_with(&disk, options);
    assert_eq!(drain(&mut queue), [0, 2], "record 2 rolled into the next file");
    assert_eq!(files(&disk), ["000000.dat.bad", "000001.dat", "meta.dat"]);
}

#[test]
fn a_missing_middle_file_is_passed() {
    let disk = ten_records();
    disk.remove(&path("000001.dat")).unwrap();
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue), [0, 1, 2, 6, 7, 8, 9]);
    assert_eq!(
        kinds(queue.take_warnings()).first(),
        Some(&unreadable(1, 0, "no such file"))
    );
    assert_eq!(files(&disk), ["000003.dat", "meta.dat"]);
}

#[test]
fn bad_sectors_lose_the_rest_of_their_file_only() {
    let disk = ten_records();
    disk.damage(&path("000001.dat"), 40);
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue), [0, 1, 2, 3, 6, 7, 8, 9]);
    assert_eq!(files(&disk), ["000001.dat.bad", "000003.dat", "meta.dat"]);
}

#[test]
fn an_empty_middle_file_is_set_aside() {
    let disk = ten_records();
    damage(&disk, "000001.dat", Vec::clear);
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue), [0, 1, 2, 6, 7, 8, 9]);
    assert_eq!(files(&disk), ["000001.dat.bad", "000003.dat", "meta.dat"]);
}

#[test]
fn damage_in_the_write_file_moves_the_writer_on() {
    let disk = ten_records();
    damage(&disk, "000003.dat", |bytes| bytes[3] = 0);
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue), (0..9).collect::<Vec<_>>());
    append(&mut queue, [10]);
    assert_eq!(drain(&mut queue), [10]);
    assert_eq!(files(&disk), ["000003.dat.bad", "000004.dat", "meta.dat"]);
}

#[test]
fn records_before_damage_can_be_read_again() {
    let disk = ten_records();
    damage(&disk, "000001.dat", |bytes| bytes.truncate(70));
    let mut queue = open_clean(&disk);
    assert_eq!(read(&mut queue, 100), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    assert_eq!(queue.depth(), 9);
    queue.consume(4).unwrap();
    assert_eq!(
        files(&disk),
        ["000001.dat", "000002.dat", "000003.dat", "meta.dat"],
        "not set aside before it is passed"
    );
    queue.rewind();
    assert_eq!(read(&mut queue, 2), [4, 6]);
    queue.consume(1).unwrap();
    drop(queue);
    let (mut queue, _) = open(&disk);
    assert_eq!(
        drain(&mut queue),
        [4, 6, 7, 8, 9],
        "the consumption of 4 was not synced"
    );
}

/// Storage part of nsqd spec §12, 195, with the exact depth of extensions §18.
#[test]
fn records_behind_a_stale_meta_file_are_counted_and_read() {
    let disk = MemoryDisk::new();
    let (mut queue, _) = open_with(
        &disk,
        QueueOptions {
            max_bytes_per_file: 1000,
            ..crate::support::OPTIONS
        },
    );
    append(&mut queue, 0..3);
    queue.sync().unwrap();
    append(&mut queue, 3..5);
    assert_eq!(read(&mut queue, 1), [0]);
    queue.consume(1).unwrap();
    drop(queue);
    let (mut queue, warnings) = open(&disk);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity(), Severity::Warning);
    assert_eq!(
        warnings[0].to_string(),
        "DISKQUEUE(q) q.diskqueue.000000.dat metadata writePos 99 < file size of 165, \
         skipping to new file, 2 records recovered"
    );
    assert_eq!((queue.depth(), queue.bytes()), (5, 165));
    append(&mut queue, [5]);
    assert_eq!(drain(&mut queue), [0, 1, 2, 3, 4, 5]);
    assert_eq!(queue.take_warnings(), []);
    assert_eq!(
        files(&disk),
        ["000001.dat", "meta.dat"],
        "read to the end: deleted, not .bad"
    );
}

/// Quirk 20 is not copied: nsqd spec §12, 196, as extensions §18 has it.
#[test]
fn records_before_the_first_sync_survive_a_crash() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..2);
    drop(queue);
    let (mut queue, _) = open(&disk);
    assert_eq!(queue.depth(), 2);
    assert_eq!(drain(&mut queue), [0, 1]);
}

#[test]
fn a_torn_record_at_the_end_is_set_aside_after_the_whole_ones() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..2);
    drop(queue);
    damage(&disk, "000000.dat", |bytes| bytes.truncate(60));
    let (mut queue, _) = open(&disk);
    assert_eq!(queue.depth(), 1);
    assert_eq!(read(&mut queue, 5), [0]);
    queue.consume(1).unwrap();
    assert_eq!(queue.depth(), 0);
    append(&mut queue, [7]);
    assert_eq!(drain(&mut queue), [7]);
    assert_eq!(files(&disk), ["000000.dat.bad", "000001.dat", "meta.dat"]);
}

#[test]
fn only_a_torn_record_is_an_empty_queue() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, [0]);
    drop(queue);
    damage(&disk, "000000.dat", |bytes| bytes.truncate(32));
    let (mut queue, warnings) = open(&disk);
    assert_eq!(
        kinds(warnings).last(),
        Some(&unreadable(0, 0, "no whole record from here on"))
    );
    assert_eq!(queue.depth(), 0);
    assert!(queue.needs_sync());
    queue.sync().unwrap();
    assert_eq!(files(&disk), ["000000.dat.bad", "meta.dat"]);
    assert_eq!(meta(&disk), "0\n1,0\n1,0\n");
}
