//! Meta files that do not fit the data files: absent, garbage, behind, ahead, crossed.

use crate::support::{
    DIR, append, batch, content, damage, drain, files, kinds, meta, open, open_clean, path, ten_records,
};
use nsq_storage::{Disk, DiskQueue, MemoryDisk, WarningKind};
use std::path::Path;
use std::sync::Arc;

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
