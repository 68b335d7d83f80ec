//! A queue on a disk that works: order, positions, rolling, sync rules, files.

use crate::support::{
    DIR, OPTIONS, append, batch, content, drain, files, meta, numbers, open_clean, open_with, path, read,
    record,
};
use nsq_storage::{Disk, DiskQueue, MemoryDisk, QueueOptions, RealDisk};
use std::path::Path;
use std::sync::Arc;

#[test]
fn a_queue_without_a_record_has_no_file_until_it_is_closed() {
    let disk = MemoryDisk::new();
    let queue = open_clean(&disk);
    assert!(files(&disk).is_empty());
    assert!(!queue.needs_sync());
    queue.close().unwrap();
    assert_eq!(files(&disk), ["meta.dat"]);
    assert_eq!(meta(&disk), "0\n0,0\n0,0\n");
}

/// Storage part of nsqd spec §12, 191.
#[test]
fn three_records_stand_in_the_file_as_the_format_says() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, [1, 2, 3]);
    assert_eq!(meta(&disk), "0\n0,0\n0,0\n", "written when the file is created");
    assert!(queue.needs_sync());
    queue.sync().unwrap();
    assert!(!queue.needs_sync());
    assert_eq!(meta(&disk), "3\n0,0\n0,99\n");
    assert_eq!(content(&disk, "000000.dat"), batch([1, 2, 3]).0);
    assert_eq!((queue.depth(), queue.bytes()), (3, 99));
}

/// Storage part of nsqd spec §12, 194.
#[test]
fn files_roll_between_records_and_go_when_they_are_read() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..10);
    assert_eq!(
        files(&disk),
        ["000000.dat", "000001.dat", "000002.dat", "000003.dat", "meta.dat"]
    );
    let lengths: Vec<usize> = ["000000.dat", "000001.dat", "000002.dat", "000003.dat"]
        .map(|file| content(&disk, file).len())
        .into();
    assert_eq!(lengths, [99, 99, 99, 33]);
    assert_eq!(queue.bytes(), 330);
    assert_eq!(read(&mut queue, 4), [0, 1, 2, 3]);
    assert_eq!(files(&disk).len(), 5, "reading ahead removes nothing");
    queue.consume(3).unwrap();
    assert_eq!(
        files(&disk),
        ["000001.dat", "000002.dat", "000003.dat", "meta.dat"]
    );
    assert_eq!(meta(&disk), "7\n1,0\n3,33\n", "leaving a file syncs");
    assert_eq!((queue.depth(), queue.bytes(), queue.read_ahead()), (7, 231, 1));
    queue.consume(1).unwrap();
    assert_eq!(drain(&mut queue), [4, 5, 6, 7, 8, 9]);
    assert_eq!(files(&disk), ["000003.dat", "meta.dat"]);
    queue.close().unwrap();
    assert_eq!(meta(&disk), "0\n3,33\n3,33\n");
    assert_eq!(open_clean(&disk).depth(), 0);
}

#[test]
fn a_record_larger_than_a_file_has_a_file_of_its_own() {
    let disk = MemoryDisk::new();
    let (mut queue, _) = open_with(
        &disk,
        QueueOptions {
            max_bytes_per_file: 40,
            ..OPTIONS
        },
    );
    let mut bytes = record(1, 10);
    let mut ends = vec![bytes.len()];
    for (number, length) in [(2, 60), (3, 10), (4, 10)] {
        bytes.extend(record(number, length));
        ends.push(bytes.len());
    }
    queue.append(&bytes, &ends).unwrap();
    assert_eq!(content(&disk, "000001.dat"), record(2, 60));
    assert_eq!(content(&disk, "000002.dat").len(), 28);
    assert_eq!(drain(&mut queue), [1, 2, 3, 4]);
}

/// Quirk 19 of the reference is not copied.
#[test]
fn a_fully_read_file_is_deleted_when_the_writer_rolls() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, [0, 1, 2]);
    assert_eq!(drain(&mut queue), [0, 1, 2]);
    append(&mut queue, [3]);
    assert_eq!(files(&disk), ["000001.dat", "meta.dat"]);
    assert_eq!(drain(&mut queue), [3]);
    assert_eq!(queue.take_warnings(), []);
}

#[test]
fn records_read_ahead_survive_a_roll_and_a_rewind() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, [0, 1, 2]);
    assert_eq!(read(&mut queue, 9), [0, 1, 2]);
    append(&mut queue, [3]);
    queue.consume(2).unwrap();
    queue.rewind();
    assert_eq!(read(&mut queue, 9), [2, 3]);
    queue.consume(1).unwrap();
    assert_eq!(files(&disk), ["000001.dat", "meta.dat"]);
    queue.rewind();
    assert_eq!(drain(&mut queue), [3]);
}

#[test]
fn reading_keeps_to_its_bounds_but_returns_one_record_at_least() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..6);
    let (mut bytes, mut ends) = (b"before".to_vec(), vec![6]);
    assert_eq!(queue.read(1, 10, &mut bytes, &mut ends).unwrap(), 1);
    assert_eq!(queue.read(70, 10, &mut bytes, &mut ends).unwrap(), 2);
    assert_eq!(queue.read(1000, 1, &mut bytes, &mut ends).unwrap(), 1);
    assert_eq!(queue.read(1000, 0, &mut bytes, &mut ends).unwrap(), 0);
    assert_eq!(queue.read(1000, 10, &mut bytes, &mut ends).unwrap(), 2);
    assert_eq!(queue.read(1000, 10, &mut bytes, &mut ends).unwrap(), 0);
    let ends: Vec<usize> = ends.iter().skip(1).map(|end| end - 6).collect();
    assert_eq!(numbers(&bytes[6..], &ends), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn consuming_more_than_was_read_is_refused() {
    let mut queue = open_clean(&MemoryDisk::new());
    append(&mut queue, 0..3);
    assert_eq!(read(&mut queue, 1), [0]);
    assert!(queue.consume(2).is_err());
    queue.consume(1).unwrap();
    assert_eq!(drain(&mut queue), [1, 2]);
}

#[test]
fn what_is_not_framed_is_refused_and_not_counted() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    let (bytes, ends) = batch([1, 2]);
    assert!(queue.append(&bytes, &[ends[0]]).is_err());
    assert!(queue.append(&bytes[1..], &[ends[0]]).is_err());
    assert!(queue.append(&record(1, 61), &[65]).is_err());
    assert!(queue.append(&[0, 0, 0, 3, 1, 1, 1], &[7]).is_err());
    assert_eq!(queue.depth(), 0);
    assert!(files(&disk).is_empty());
}

#[test]
fn syncs_when_enough_was_appended_and_consumed() {
    let disk = MemoryDisk::new();
    let (mut queue, _) = open_with(
        &disk,
        QueueOptions {
            sync_every: 3,
            max_bytes_per_file: 1000,
            ..OPTIONS
        },
    );
    append(&mut queue, [0]);
    assert_eq!(meta(&disk), "0\n0,0\n0,0\n");
    append(&mut queue, [1]);
    assert_eq!(read(&mut queue, 1), [0]);
    assert!(queue.needs_sync());
    queue.consume(1).unwrap();
    assert_eq!(meta(&disk), "1\n0,33\n0,66\n");
    assert!(!queue.needs_sync());
}

#[test]
fn empty_goes_on_in_the_next_file() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..10);
    assert_eq!(read(&mut queue, 5).len(), 5);
    queue.empty().unwrap();
    assert!(files(&disk).is_empty());
    assert_eq!((queue.depth(), queue.bytes(), queue.read_ahead()), (0, 0, 0));
    append(&mut queue, [7]);
    assert_eq!(files(&disk), ["000004.dat", "meta.dat"]);
    queue.close().unwrap();
    assert_eq!(meta(&disk), "1\n4,0\n4,33\n");
}

#[test]
fn delete_leaves_no_file() {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..10);
    queue.delete().unwrap();
    assert!(files(&disk).is_empty());
}

#[test]
fn a_full_disk_refuses_and_can_be_emptied() {
    let disk = MemoryDisk::new();
    let (mut queue, _) = open_with(
        &disk,
        QueueOptions {
            max_bytes_per_file: 1000,
            ..OPTIONS
        },
    );
    append(&mut queue, 0..10);
    queue.sync().unwrap();
    disk.set_capacity(Some(350));
    let (bytes, ends) = batch([10, 11]);
    assert!(queue.append(&bytes, &ends).is_err());
    assert_eq!(queue.depth(), 10);
    assert_eq!(
        content(&disk, "000000.dat").len(),
        330,
        "the torn part is cut off"
    );
    queue.empty().unwrap();
    append(&mut queue, [12]);
    assert_eq!(drain(&mut queue), [12]);
}

#[test]
fn real_files_have_mode_0600_and_survive_reopening() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    let (mut queue, _) = DiskQueue::open(disk.clone(), dir.path(), ".t:c", OPTIONS).unwrap();
    append(&mut queue, 0..10);
    assert_eq!(read(&mut queue, 4), [0, 1, 2, 3]);
    queue.consume(4).unwrap();
    queue.close().unwrap();
    let mut names: Vec<String> = Vec::new();
    for name in disk.list(dir.path()).unwrap() {
        assert_eq!(
            dir.path().join(&name).metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        names.push(name.into_string().unwrap());
    }
    names.sort();
    let expected = ["000001.dat", "000002.dat", "000003.dat", "meta.dat"];
    assert_eq!(names, expected.map(|name| format!(".t:c.diskqueue.{name}")));
    let (mut queue, warnings) = DiskQueue::open(disk, dir.path(), ".t:c", OPTIONS).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(drain(&mut queue), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    for name in ["", "a/b", "..\\x", "a\0"] {
        let refused = DiskQueue::open(Arc::new(MemoryDisk::new()), Path::new(DIR), name, OPTIONS);
        assert!(refused.is_err(), "{name:?}");
    }
    assert_eq!(path("meta.dat"), Path::new("data/q.diskqueue.meta.dat"));
}
