//! Damaged files: the rows of nsqd spec §5.3, and what we do better.

use crate::support::{
    DIR, append, batch, content, drain, files, meta, open, open_clean, open_with, path, read, record,
};
use nsq_storage::{Disk, DiskQueue, MemoryDisk, QueueOptions, Severity, Warning, WarningKind};
use std::path::Path;
use std::sync::Arc;

/// A closed queue of the records 0 to 9 in the files 0 to 3, three in each but the last.
fn ten_records() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..10);
    queue.close().unwrap();
    disk
}

fn damage(disk: &MemoryDisk, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = content(disk, file);
    change(&mut bytes);
    disk.put(&path(file), &bytes);
}

fn kinds(warnings: Vec<Warning>) -> Vec<WarningKind> {
    warnings.into_iter().map(|warning| warning.kind).collect()
}

fn unreadable(file: u64, position: u64, reason: &str) -> WarningKind {
    WarningKind::Unreadable {
        file,
        position,
        reason: reason.to_owned(),
    }
}

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

#[test]
fn without_a_meta_file_the_queue_is_empty_and_found_files_are_set_aside() {
    let disk = ten_records();
    let old = content(&disk, "000000.dat");
    disk.remove(&path("meta.dat")).unwrap();
    let mut queue = open_clean(&disk);
    assert_eq!(queue.depth(), 0);
    append(&mut queue, [77]);
    assert_eq!(
        kinds(queue.take_warnings()),
        [WarningKind::FoundUnknownFile { file: 0 }]
    );
    assert_eq!(content(&disk, "000000.dat"), batch([77]).0);
    assert_eq!(content(&disk, "000000.dat.bad"), old);
    assert_eq!(drain(&mut queue), [77]);
}

#[test]
fn a_meta_file_of_garbage_is_an_empty_queue() {
    let long = vec![b'1'; 100_000];
    for garbage in [b"".as_slice(), b"garbage", b"3\n0,0", b"1\n0,0\n-1,0\n", &long] {
        let disk = ten_records();
        disk.put(&path("meta.dat"), garbage);
        let (mut queue, warnings) = open(&disk);
        assert_eq!(kinds(warnings), [WarningKind::MetaUnreadable]);
        assert_eq!(queue.depth(), 0);
        append(&mut queue, [77]);
        assert_eq!(drain(&mut queue), [77]);
        assert_eq!(meta(&disk), "0\n0,0\n0,0\n");
    }
}

#[test]
fn a_missing_write_file_is_passed() {
    let disk = ten_records();
    disk.remove(&path("000003.dat")).unwrap();
    let mut queue = open_clean(&disk);
    assert_eq!(queue.depth(), 10, "the recorded depth is kept");
    assert_eq!(drain(&mut queue), (0..9).collect::<Vec<_>>());
    append(&mut queue, [10]);
    assert_eq!(drain(&mut queue), [10]);
}

#[test]
fn a_missing_write_file_of_an_empty_queue_says_nothing() {
    let disk = MemoryDisk::new();
    disk.put(&path("meta.dat"), b"0\n3,500\n3,500\n");
    let mut queue = open_clean(&disk);
    assert_eq!(queue.depth(), 0);
    append(&mut queue, [1]);
    assert_eq!(drain(&mut queue), [1]);
    assert_eq!(queue.take_warnings(), []);
}

#[test]
fn a_short_write_file_is_read_as_far_as_it_goes() {
    let disk = ten_records();
    disk.put(&path("000003.dat"), &batch([9]).0);
    disk.put(&path("meta.dat"), b"12\n0,0\n3,99\n");
    let (mut queue, warnings) = open(&disk);
    assert_eq!(
        kinds(warnings),
        [WarningKind::ShortWriteFile {
            file: 3,
            position: 99,
            length: 33
        }]
    );
    append(&mut queue, [10]);
    assert_eq!(drain(&mut queue), (0..=10).collect::<Vec<_>>());
    assert_eq!(files(&disk), ["000003.dat.bad", "000004.dat", "meta.dat"]);
}

#[test]
fn a_short_write_file_that_was_read_is_no_loss() {
    let disk = MemoryDisk::new();
    disk.put(&path("000003.dat"), &batch([9]).0);
    disk.put(&path("meta.dat"), b"0\n3,99\n3,99\n");
    let (mut queue, _) = open(&disk);
    assert_eq!(queue.depth(), 0);
    append(&mut queue, [10]);
    assert_eq!(drain(&mut queue), [10]);
    assert_eq!(files(&disk), ["000004.dat", "meta.dat"]);
}

#[test]
fn a_reader_behind_the_writer_starts_a_fresh_file() {
    for (positions, expected) in [("3,40\n3,33", "4,33"), ("7,0\n3,33", "8,33")] {
        let disk = ten_records();
        disk.put(&path("meta.dat"), format!("5\n{positions}\n").as_bytes());
        let (mut queue, warnings) = open(&disk);
        assert!(matches!(
            kinds(warnings)[..],
            [WarningKind::ReadBehindWrite { .. }]
        ));
        assert_eq!(queue.depth(), 0);
        append(&mut queue, [77]);
        assert_eq!(drain(&mut queue), [77]);
        queue.close().unwrap();
        assert_eq!(meta(&disk), format!("0\n{expected}\n{expected}\n"));
    }
}

/// The reference leaves this when the writer rolled after everything was read (quirk 19).
#[test]
fn a_reader_at_the_end_of_a_complete_file_moves_on() {
    let disk = ten_records();
    disk.put(&path("meta.dat"), b"7\n0,99\n3,33\n");
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue), (3..10).collect::<Vec<_>>());
    assert_eq!(queue.take_warnings(), []);
    assert_eq!(files(&disk), ["000003.dat", "meta.dat"]);
}

/// The reference can leave a depth that is too low, even negative, after salvaging.
#[test]
fn a_depth_that_is_too_low_never_hides_records() {
    for depth in [-3, 0, 4] {
        let disk = ten_records();
        disk.put(&path("meta.dat"), format!("{depth}\n0,0\n3,33\n").as_bytes());
        let (mut queue, _) = open(&disk);
        assert_eq!(queue.depth(), if depth > 0 { 4 } else { 10 });
        assert_eq!(drain(&mut queue), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn a_depth_that_is_too_high_is_reset_at_the_end() {
    let disk = ten_records();
    disk.put(&path("meta.dat"), b"99\n0,0\n3,33\n");
    let mut queue = open_clean(&disk);
    assert_eq!(drain(&mut queue).len(), 10);
    assert_eq!(queue.depth(), 0);
    queue.sync().unwrap();
    assert_eq!(meta(&disk), "0\n3,33\n3,33\n");
}

#[test]
fn positions_far_apart_are_crossed_in_one_step() {
    let disk = ten_records();
    disk.put(&path("meta.dat"), b"5\n0,0\n4000000000000000000,0\n");
    let mut queue = open_clean(&disk);
    append(&mut queue, [77]);
    let mut expected: Vec<u32> = (0..10).collect();
    expected.push(77);
    assert_eq!(drain(&mut queue), expected);
    queue.empty().unwrap();
    assert!(
        files(&disk).iter().all(|file| file.ends_with(".bad")),
        "{:?}",
        files(&disk)
    );
}

#[test]
fn files_that_were_passed_before_a_crash_are_removed() {
    let disk = ten_records();
    disk.put(&path("meta.dat"), b"4\n2,0\n3,33\n");
    let mut queue = open_clean(&disk);
    assert_eq!(queue.depth(), 4);
    queue.sync().unwrap();
    assert_eq!(files(&disk), ["000002.dat", "000003.dat", "meta.dat"]);
    assert_eq!(drain(&mut queue), [6, 7, 8, 9]);
}

#[test]
fn opening_changes_nothing() {
    let disk = ten_records();
    disk.put(&path("meta.dat"), b"4\n2,0\n3,20\n");
    damage(&disk, "000002.dat", |bytes| bytes.truncate(50));
    let before = disk.files();
    drop(open(&disk));
    assert_eq!(disk.files(), before);
}

#[test]
fn another_queue_s_files_are_left_alone() {
    let disk = ten_records();
    let disk_of_all: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = crate::support::OPTIONS;
    let (mut other, _) = DiskQueue::open(disk_of_all, Path::new(DIR), "q.diskqueue", options).unwrap();
    append(&mut other, 0..10);
    other.delete().unwrap();
    assert_eq!(drain(&mut open_clean(&disk)).len(), 10);
}
