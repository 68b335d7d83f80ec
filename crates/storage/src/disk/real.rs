//! The operating system's files.

#![allow(clippy::disallowed_methods, reason = "this is the real disk behind the seam")]

use super::{Disk, DiskFile, Lock, LockError, LockGuard, at};
use rustix::fs::{FlockOperation, flock, statvfs};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The operating system's files; new ones have mode 0600.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

impl RealFile {
    fn open(options: &OpenOptions, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = options.open(path).map_err(at("open", path))?;
        Ok(Box::new(Self {
            file,
            path: path.to_owned(),
        }))
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file
            .read_at(buffer, position)
            .map_err(at("read", &self.path))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes).map_err(at("write", &self.path))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length).map_err(at("truncate", &self.path))
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(at("sync", &self.path))
    }

    fn len(&self) -> io::Result<u64> {
        self.file
            .metadata()
            .map(|metadata| metadata.len())
            .map_err(at("stat", &self.path))
    }
}

/// The lock belongs to the open directory and ends with it.
#[derive(Debug)]
struct LockedDir {
    _dir: File,
}

impl LockGuard for LockedDir {}

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealFile::open(
            OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .mode(0o600),
            path,
        )
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealFile::open(OpenOptions::new().read(true).append(true), path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealFile::open(OpenOptions::new().read(true), path)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("stat", path)(error)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(at("rename", from))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(at("remove", path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(dir).map_err(at("open", dir))?;
        entries
            .map(|entry| entry.map(|entry| entry.file_name()).map_err(at("readdir", dir)))
            .collect()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let file = File::open(dir).map_err(at("open", dir))?;
        file.sync_all().map_err(at("sync", dir))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let space = statvfs(dir).map_err(|errno| at("statfs", dir)(errno.into()))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(at("mkdir", dir))
    }

    fn lock_dir(&self, dir: &Path) -> Result<Lock, LockError> {
        let file = File::open(dir).map_err(|error| LockError::Open(at("open", dir)(error)))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| LockError::Flock(dir.to_owned(), errno.into()))?;
        Ok(Lock::new(LockedDir { _dir: file }))
    }
}
