//! A disk that fails on request.

use super::{Disk, DiskFile, Lock, LockError};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Hands every operation to `D` until its [`FailureSwitch`] says no.
///
/// A failing append writes the first half of its bytes, as a full disk does.
#[derive(Debug)]
pub struct FailingDisk<D> {
    inner: D,
    switch: FailureSwitch,
}

/// Says when a [`FailingDisk`] fails; clones share their state.
#[derive(Clone, Debug)]
pub struct FailureSwitch {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    operations: AtomicU64,
    fail_at: AtomicU64,
    broken: AtomicBool,
}

/// No count of operations reaches this number.
const NEVER: u64 = u64::MAX;

impl FailureSwitch {
    fn new() -> Self {
        let state = State {
            operations: AtomicU64::new(0),
            fail_at: AtomicU64::new(NEVER),
            broken: AtomicBool::new(false),
        };
        Self {
            state: Arc::new(state),
        }
    }

    /// Lets the `n`-th operation from now fail, 0 being the next one. Only that one fails.
    pub fn fail_at(&self, n: u64) {
        self.state
            .fail_at
            .store(self.operations().saturating_add(n), Ordering::SeqCst);
    }

    /// While `broken` every operation fails.
    pub fn set_broken(&self, broken: bool) {
        self.state.broken.store(broken, Ordering::SeqCst);
    }

    /// Lets every operation succeed again.
    pub fn heal(&self) {
        self.state.fail_at.store(NEVER, Ordering::SeqCst);
        self.state.broken.store(false, Ordering::SeqCst);
    }

    /// Operations seen so far, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.operations.load(Ordering::SeqCst)
    }

    /// Whether the failure asked for with [`Self::fail_at`] has happened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let fail_at = self.state.fail_at.load(Ordering::SeqCst);
        fail_at != NEVER && self.operations() > fail_at
    }

    fn check(&self) -> io::Result<()> {
        let number = self.state.operations.fetch_add(1, Ordering::SeqCst);
        if self.state.broken.load(Ordering::SeqCst) || number == self.state.fail_at.load(Ordering::SeqCst) {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "no space left on device",
            ));
        }
        Ok(())
    }
}

impl<D: Disk> FailingDisk<D> {
    /// A disk that does not fail yet, and the switch that makes it fail.
    #[must_use]
    pub fn new(inner: D) -> (Self, FailureSwitch) {
        let switch = FailureSwitch::new();
        (
            Self {
                inner,
                switch: switch.clone(),
            },
            switch,
        )
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FailingFile {
            inner: file,
            switch: self.switch.clone(),
        })
    }
}

#[derive(Debug)]
struct FailingFile {
    inner: Box<dyn DiskFile>,
    switch: FailureSwitch,
}

impl DiskFile for FailingFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.switch.check()?;
        self.inner.read_at(position, buffer)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.switch.check() {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            self.inner.append(half)?;
            return Err(error);
        }
        self.inner.append(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.switch.check()?;
        self.inner.truncate(length)
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.switch.check()?;
        self.inner.fdatasync()
    }

    fn len(&self) -> io::Result<u64> {
        self.switch.check()?;
        self.inner.len()
    }
}

impl<D: Disk> Disk for FailingDisk<D> {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.switch.check()?;
        Ok(self.file(self.inner.create_new(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.switch.check()?;
        Ok(self.file(self.inner.open_append(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.switch.check()?;
        Ok(self.file(self.inner.open_read(path)?))
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.switch.check()?;
        self.inner.len(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.switch.check()?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.switch.check()?;
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.switch.check()?;
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.switch.check()?;
        self.inner.sync_dir(dir)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.switch.check()?;
        self.inner.free_space(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.switch.check()?;
        self.inner.create_dir_all(dir)
    }

    fn lock_dir(&self, dir: &Path) -> Result<Lock, LockError> {
        self.switch.check().map_err(LockError::Open)?;
        self.inner.lock_dir(dir)
    }
}
