//! Queues with records that are numbers, for tests.

use nsq_storage::{Disk, DiskQueue, MemoryDisk, QueueOptions, Warning, WarningKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const DIR: &str = "data";

/// Files of 100 bytes, records of 4 to 60 bytes.
pub(crate) const OPTIONS: QueueOptions = QueueOptions {
    max_bytes_per_file: 100,
    max_record: 60,
    min_record: 4,
    sync_every: 1000,
};

pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(DIR).join(format!("q.diskqueue.{file}"))
}

pub(crate) fn open(disk: &(impl Disk + Clone + 'static)) -> (DiskQueue, Vec<Warning>) {
    open_with(disk, OPTIONS)
}

pub(crate) fn open_with(
    disk: &(impl Disk + Clone + 'static),
    options: QueueOptions,
) -> (DiskQueue, Vec<Warning>) {
    DiskQueue::open(Arc::new(disk.clone()), Path::new(DIR), "q", options).unwrap()
}

/// Opens a queue that must have nothing to complain about.
pub(crate) fn open_clean(disk: &MemoryDisk) -> DiskQueue {
    let (queue, warnings) = open(disk);
    assert_eq!(warnings, []);
    queue
}

/// Record number `number` with `length` bytes behind the prefix.
pub(crate) fn record(number: u32, length: usize) -> Vec<u8> {
    let mut record = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    record.extend_from_slice(&number.to_be_bytes());
    record.resize(length + 4, u8::try_from(number % 251).unwrap());
    record
}

/// The records `numbers`, each of 29 bytes behind the prefix, framed for an append.
pub(crate) fn batch(numbers: impl IntoIterator<Item = u32>) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for number in numbers {
        bytes.extend(record(number, 29));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

pub(crate) fn append(queue: &mut DiskQueue, numbers: impl IntoIterator<Item = u32>) {
    let (bytes, ends) = batch(numbers);
    queue.append(&bytes, &ends).unwrap();
}

/// Numbers of the records in `bytes`, which must be what `record` made.
pub(crate) fn numbers(bytes: &[u8], ends: &[usize]) -> Vec<u32> {
    let mut begin = 0;
    let mut numbers = Vec::new();
    for &end in ends {
        let number = u32::from_be_bytes(bytes[begin + 4..begin + 8].try_into().unwrap());
        assert_eq!(bytes[begin..end], record(number, end - begin - 4));
        numbers.push(number);
        begin = end;
    }
    assert_eq!(begin, bytes.len());
    numbers
}

/// Reads up to `count` further records.
pub(crate) fn read(queue: &mut DiskQueue, count: usize) -> Vec<u32> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    assert_eq!(
        queue.read(usize::MAX, count, &mut bytes, &mut ends).unwrap(),
        ends.len()
    );
    numbers(&bytes, &ends)
}

/// Reads and consumes everything.
pub(crate) fn drain(queue: &mut DiskQueue) -> Vec<u32> {
    let mut all = Vec::new();
    while queue.depth() > 0 {
        let some = read(queue, 7);
        assert!(
            !some.is_empty() || queue.depth() == 0,
            "depth {} but nothing to read",
            queue.depth()
        );
        queue.consume(some.len()).unwrap();
        all.extend(some);
    }
    all
}

/// Names behind `q.diskqueue.` of all files.
pub(crate) fn files(disk: &MemoryDisk) -> Vec<String> {
    let names = disk
        .files()
        .into_keys()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names
        .map(|name| name.strip_prefix("q.diskqueue.").unwrap().to_owned())
        .collect()
}

pub(crate) fn content(disk: &MemoryDisk, file: &str) -> Vec<u8> {
    disk.files().remove(&path(file)).unwrap()
}

pub(crate) fn meta(disk: &MemoryDisk) -> String {
    String::from_utf8(content(disk, "meta.dat")).unwrap()
}

/// A closed queue of the records 0 to 9 in the files 0 to 3, three in each but the last.
pub(crate) fn ten_records() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut queue = open_clean(&disk);
    append(&mut queue, 0..10);
    queue.close().unwrap();
    disk
}

pub(crate) fn damage(disk: &MemoryDisk, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = content(disk, file);
    change(&mut bytes);
    disk.put(&path(file), &bytes);
}

pub(crate) fn kinds(warnings: Vec<Warning>) -> Vec<WarningKind> {
    warnings.into_iter().map(|warning| warning.kind).collect()
}

pub(crate) fn unreadable(file: u64, position: u64, reason: &str) -> WarningKind {
    WarningKind::Unreadable {
        file,
        position,
        reason: reason.to_owned(),
    }
}
