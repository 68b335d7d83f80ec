//! A disk that fails at each operation in turn: no panic, nothing counted that is not there, and life goes on.

use crate::support::{DIR, OPTIONS, batch, drain, numbers};
use nsq_storage::{Disk, DiskQueue, FailingDisk, LockError, MemoryDisk, RealDisk, os_text};
use std::path::Path;
use std::sync::Arc;

/// What a run knows about its records.
#[derive(Debug, Default)]
struct Told {
    /// Appends that returned `Ok`.
    appended: Vec<u32>,
    /// Appends that failed: a crash may bring them back.
    refused: Vec<u32>,
    consumed: Vec<u32>,
}

/// A life with rolls, reads, consumption, syncs and `empty`; goes on after each error.
fn live(queue: &mut DiskQueue, told: &mut Told) {
    for round in 0..6_u32 {
        let some = round * 10..round * 10 + 4;
        let (bytes, ends) = batch(some.clone());
        let depth = queue.depth();
        match queue.append(&bytes, &ends) {
            Ok(()) => {
                assert_eq!(queue.depth(), depth + 4);
                told.appended.extend(some);
            }
            Err(_) => {
                assert_eq!(queue.depth(), depth, "a failed append counts nothing");
                told.refused.extend(some);
            }
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        if queue.read(100, 10, &mut bytes, &mut ends).is_ok() {
            let read = numbers(&bytes, &ends);
            queue.consume(read.len()).unwrap();
            told.consumed.extend(read);
        } else {
            assert_eq!((bytes.len(), ends.len()), (0, 0));
        }
        if round % 2 == 0 {
            let _ = queue.sync();
        }
    }
}

/// Every record that was appended was consumed once, in order, and none that was refused.
fn check(told: &Told, rest: Vec<u32>) {
    let mut all = told.consumed.clone();
    all.extend(rest);
    assert_eq!(all, told.appended);
}

#[test]
fn each_operation_may_fail_and_nothing_is_lost_or_doubled() {
    for n in 0.. {
        let (disk, switch) = FailingDisk::new(MemoryDisk::new());
        let (mut queue, _) = DiskQueue::open(Arc::new(disk), Path::new(DIR), "q", OPTIONS).unwrap();
        let mut told = Told::default();
        switch.fail_at(n);
        live(&mut queue, &mut told);
        let failed = switch.has_failed();
        switch.heal();
        check(&told, drain(&mut queue));
        if !failed {
            assert!(n > 50, "the life has only {n} operations");
            break;
        }
    }
}

#[test]
fn each_operation_may_fail_before_a_crash() {
    for n in 0.. {
        let memory = MemoryDisk::new();
        let (disk, switch) = FailingDisk::new(memory.clone());
        let (mut queue, _) = DiskQueue::open(Arc::new(disk), Path::new(DIR), "q", OPTIONS).unwrap();
        let mut told = Told::default();
        switch.fail_at(n);
        live(&mut queue, &mut told);
        let depth = queue.depth();
        drop(queue);
        let (mut queue, _) = DiskQueue::open(Arc::new(memory), Path::new(DIR), "q", OPTIONS).unwrap();
        assert!(queue.depth() >= depth, "operation {n}");
        let rest = drain(&mut queue);
        for number in &told.appended {
            assert!(
                told.consumed.contains(number) || rest.contains(number),
                "operation {n} lost {number}"
            );
        }
        for number in &rest {
            assert!(
                told.appended.contains(number) || told.refused.contains(number),
                "{number} out of nothing"
            );
        }
        if !switch.has_failed() {
            break;
        }
    }
}

#[test]
fn each_operation_may_fail_at_open_empty_and_delete() {
    for n in 0.. {
        let memory = MemoryDisk::new();
        let (mut queue, _) = DiskQueue::open(Arc::new(memory.clone()), Path::new(DIR), "q", OPTIONS).unwrap();
        let (bytes, ends) = batch(0..10);
        queue.append(&bytes, &ends).unwrap();
        drop(queue);
        let (disk, switch) = FailingDisk::new(memory.clone());
        let disk: Arc<dyn Disk> = Arc::new(disk);
        switch.fail_at(n);
        let queue = DiskQueue::open(Arc::clone(&disk), Path::new(DIR), "q", OPTIONS);
        let opened = queue.is_ok();
        if let Ok((mut queue, _)) = queue {
            match queue.empty() {
                Ok(()) => assert_eq!(queue.depth(), 0),
                Err(_) => assert!([0, 10].contains(&queue.depth())),
            }
            let _ = queue.delete();
        }
        let (mut again, _) = DiskQueue::open(Arc::new(memory), Path::new(DIR), "q", OPTIONS).unwrap();
        let rest = drain(&mut again);
        assert!(rest.is_empty() || rest == (0..10).collect::<Vec<_>>());
        assert!(opened || rest.len() == 10);
        if !switch.has_failed() {
            break;
        }
    }
}

#[test]
fn a_broken_disk_refuses_until_it_works_again() {
    let (disk, switch) = FailingDisk::new(MemoryDisk::new());
    let (mut queue, _) = DiskQueue::open(Arc::new(disk), Path::new(DIR), "q", OPTIONS).unwrap();
    let mut told = Told::default();
    live(&mut queue, &mut told);
    let consumed = told.consumed.len();
    switch.set_broken(true);
    live(&mut queue, &mut told);
    assert_eq!(told.refused.len(), 24);
    assert!(queue.sync().is_err() || told.consumed.len() == consumed);
    switch.set_broken(false);
    live(&mut queue, &mut told);
    check(&told, drain(&mut queue));
}

#[test]
fn a_directory_is_locked_once() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RealDisk.lock_dir(dir.path()).unwrap();
    let busy = RealDisk.lock_dir(dir.path()).unwrap_err();
    let text = format!(
        "cannot flock directory {} - resource temporarily unavailable (possibly in use by another instance of nsqd)",
        dir.path().display()
    );
    assert_eq!(busy.to_string(), text);
    drop(lock);
    drop(RealDisk.lock_dir(dir.path()).unwrap());
    let gone = RealDisk.lock_dir(Path::new("/no/such/dir")).unwrap_err();
    assert!(matches!(gone, LockError::Open(_)));
    assert_eq!(gone.to_string(), "open /no/such/dir: no such file or directory");
    let memory = MemoryDisk::new();
    let lock = memory.lock_dir(Path::new(DIR)).unwrap();
    assert!(matches!(
        memory.lock_dir(Path::new(DIR)),
        Err(LockError::Flock(..))
    ));
    drop(lock);
    assert!(memory.lock_dir(Path::new(DIR)).is_ok());
}

#[test]
fn a_small_file_is_replaced_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nsqd.dat");
    RealDisk.write_atomic(&file, b"one").unwrap();
    RealDisk.write_atomic(&file, b"two").unwrap();
    assert_eq!(RealDisk.read_file(&file, 3).unwrap(), b"two");
    assert!(RealDisk.read_file(&file, 2).is_err());
    assert_eq!(RealDisk.list(dir.path()).unwrap(), ["nsqd.dat"]);
    assert!(RealDisk.free_space(dir.path()).unwrap() > 0);
    let missing = RealDisk
        .write_atomic(&dir.path().join("no/file"), b"x")
        .unwrap_err();
    assert!(
        os_text(&missing).ends_with(".tmp: no such file or directory"),
        "{missing}"
    );

    let memory = MemoryDisk::new();
    let (disk, switch) = FailingDisk::new(memory.clone());
    let file = Path::new("d/f");
    disk.write_atomic(file, b"old").unwrap();
    for n in 0..5 {
        switch.fail_at(n);
        assert!(disk.write_atomic(file, b"new").is_err());
        assert_eq!(
            memory.files().into_keys().collect::<Vec<_>>(),
            [file],
            "no temporary file is left"
        );
        memory.put(file, b"old");
        memory.power_cut();
        assert_eq!(memory.read_file(file, 9).unwrap(), b"old");
    }
}
