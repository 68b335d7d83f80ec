//! A disk in memory that can lose what was not synced.

use super::{Disk, DiskFile, Lock, LockError, LockGuard, at};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Files in memory; clones share them. Directories need not be created.
///
/// A power cut is stricter than real file systems: directory changes count only after [`Disk::sync_dir`], bytes only
/// after [`DiskFile::fdatasync`], and files that were open become useless.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<PathBuf, Shared>,
    synced_entries: BTreeMap<PathBuf, Shared>,
    locks: BTreeSet<PathBuf>,
    cuts: u64,
    capacity: Option<u64>,
}

/// A file lives as long as an entry or an open handle needs it.
type Shared = Arc<Mutex<Inode>>;

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// Bytes before this position are the same in both.
    same: usize,
    /// From here on reads fail.
    unreadable_from: Option<u64>,
}

impl Inode {
    fn sync(&mut self) {
        self.synced.truncate(self.same);
        self.synced
            .extend_from_slice(self.bytes.get(self.same..).unwrap_or_default());
        self.same = self.bytes.len();
    }

    /// Back to the synced bytes, plus the first `kept` of those behind them if the file has only grown.
    fn cut(&mut self, kept: usize) {
        if self.same == self.synced.len() {
            let unsynced = self.bytes.get(self.same..).unwrap_or_default();
            let kept = unsynced.get(..kept.min(unsynced.len())).unwrap_or_default();
            self.synced.extend_from_slice(kept);
        }
        self.bytes.clone_from(&self.synced);
        self.same = self.bytes.len();
    }
}

impl State {
    fn free(&self) -> u64 {
        let Some(capacity) = self.capacity else {
            return u64::MAX;
        };
        let used = self
            .entries
            .values()
            .map(|inode| lock(inode).bytes.len() as u64)
            .sum();
        capacity.saturating_sub(used)
    }
}

/// A panicking test must not hide its own reason behind a poisoned lock. Order: state, then one inode.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the bytes of all files together; appends beyond it fail with `StorageFull` after a part was written.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Loses everything that was not synced. Files that are open now fail from here on.
    pub fn power_cut(&self) {
        self.power_cut_keeping(|_| 0);
    }

    /// Like [`Self::power_cut`], but of the unsynced bytes of each file the first `kept(their count)` survive: a file
    /// system may have written some of them back already.
    pub fn power_cut_keeping(&self, mut kept: impl FnMut(usize) -> usize) {
        let mut state = self.state();
        state.entries = state.synced_entries.clone();
        for inode in state.entries.values() {
            let mut inode = lock(inode);
            let unsynced = inode.bytes.len().saturating_sub(inode.same);
            inode.cut(kept(unsynced));
        }
        state.locks.clear();
        state.cuts = state.cuts.saturating_add(1);
    }

    /// Puts a file in place as if it had always been there.
    pub fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.state();
        let inode = Inode {
            bytes: content.to_vec(),
            synced: content.to_vec(),
            same: content.len(),
            unreadable_from: None,
        };
        let inode = Arc::new(Mutex::new(inode));
        state.entries.insert(path.to_owned(), Arc::clone(&inode));
        state.synced_entries.insert(path.to_owned(), inode);
    }

    /// Lets reads of the file at or behind `position` fail, as bad sectors do.
    pub fn damage(&self, path: &Path, position: u64) {
        if let Some(inode) = self.state().entries.get(path) {
            lock(inode).unreadable_from = Some(position);
        }
    }

    /// All files with their content, in order of their paths.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        state
            .entries
            .iter()
            .map(|(path, inode)| (path.clone(), lock(inode).bytes.clone()))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn open(&self, call: &'static str, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let inode = Arc::clone(state.entries.get(path).ok_or_else(|| missing(call, path))?);
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            inode,
            cuts: state.cuts,
            path: path.to_owned(),
        }))
    }
}

fn missing(call: &'static str, path: &Path) -> io::Error {
    at(call, path)(io::Error::from_raw_os_error(
        rustix::io::Errno::NOENT.raw_os_error(),
    ))
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    inode: Shared,
    cuts: u64,
    path: PathBuf,
}

impl MemoryFile {
    fn with<T>(&self, work: impl FnOnce(&mut Inode, u64) -> io::Result<T>) -> io::Result<T> {
        let state = self.disk.state();
        if state.cuts != self.cuts {
            return Err(at("use", &self.path)(io::Error::other("the power was cut")));
        }
        let free = state.free();
        work(&mut lock(&self.inode), free).map_err(at("use", &self.path))
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|inode, _| {
            let rest = usize::try_from(position)
                .ok()
                .and_then(|position| inode.bytes.get(position..));
            let rest = rest.unwrap_or_default();
            let mut count = rest.len().min(buffer.len());
            if let Some(good) = inode.unreadable_from.map(|from| from.saturating_sub(position)) {
                count = count.min(usize::try_from(good).unwrap_or(usize::MAX));
                if good == 0 {
                    return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
                }
            }
            if let (Some(target), Some(source)) = (buffer.get_mut(..count), rest.get(..count)) {
                target.copy_from_slice(source);
            }
            Ok(count)
        })
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.with(|inode, free| {
            let room = usize::try_from(free).unwrap_or(usize::MAX);
            inode.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            if room < bytes.len() {
                Err(ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|inode, _| {
            let length = usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?;
            inode.bytes.resize(length, 0);
            inode.same = inode.same.min(length);
            Ok(())
        })
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.with(|inode, _| {
            inode.sync();
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|inode, _| Ok(inode.bytes.len() as u64))
    }
}

#[derive(Debug)]
struct MemoryLock {
    disk: MemoryDisk,
    dir: PathBuf,
}

impl LockGuard for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.dir);
    }
}

impl Disk for MemoryDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        {
            let mut state = self.state();
            if state.entries.contains_key(path) {
                return Err(at("open", path)(ErrorKind::AlreadyExists.into()));
            }
            state.entries.insert(path.to_owned(), Shared::default());
        }
        self.open("open", path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open("open", path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open("open", path)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.state();
        Ok(state
            .entries
            .get(path)
            .map(|inode| lock(inode).bytes.len() as u64))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state
            .entries
            .remove(from)
            .ok_or_else(|| missing("rename", from))?;
        state.entries.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.state().entries.remove(path);
        removed.map(|_| ()).ok_or_else(|| missing("remove", path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let state = self.state();
        let inside = state.entries.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| path.file_name())
            .map(OsString::from)
            .collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        state.synced_entries.retain(|path, _| path.parent() != Some(dir));
        let inside = state
            .entries
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        state
            .synced_entries
            .extend(inside.map(|(path, inode)| (path.clone(), Arc::clone(inode))));
        Ok(())
    }

    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.state().free())
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock_dir(&self, dir: &Path) -> Result<Lock, LockError> {
        if !self.state().locks.insert(dir.to_owned()) {
            let busy = io::Error::from_raw_os_error(rustix::io::Errno::WOULDBLOCK.raw_os_error());
            return Err(LockError::Flock(dir.to_owned(), busy));
        }
        Ok(Lock::new(MemoryLock {
            disk: self.clone(),
            dir: dir.to_owned(),
        }))
    }
}
