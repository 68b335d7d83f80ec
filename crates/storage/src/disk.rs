//! The file system as the daemons see it: one trait, so that a simulator can take its place.

pub(crate) mod failing;
pub(crate) mod memory;
pub(crate) mod real;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Debug, Display};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An open file. All methods block; positions and lengths are bytes.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads up to `buffer.len()` bytes at `position`; 0 means end of file. May read less than asked.
    ///
    /// # Errors
    /// Those of the file system.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` behind the current end of the file.
    ///
    /// # Errors
    /// Those of the file system; a part of `bytes` may then be in the file.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes content and length survive a power cut. The directory entry is the job of [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Those of the file system; nothing may be assumed about unsynced bytes afterwards.
    fn fdatasync(&self) -> io::Result<()>;

    /// Current length of the file.
    ///
    /// # Errors
    /// Those of the file system.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds no byte.
    ///
    /// # Errors
    /// Those of the file system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Holds the exclusive lock of a directory until dropped.
#[derive(Debug)]
pub struct Lock {
    _guard: Box<dyn LockGuard>,
}

pub(crate) trait LockGuard: Send + Sync + Debug {}

impl Lock {
    pub(crate) fn new(guard: impl LockGuard + 'static) -> Self {
        Self {
            _guard: Box::new(guard),
        }
    }
}

/// Why a directory could not be locked. The texts are those of the reference.
#[derive(Debug)]
pub enum LockError {
    /// The directory could not be opened.
    Open(io::Error),
    /// Somebody else holds the lock, or the file system has no locks.
    Flock(PathBuf, io::Error),
}

impl Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(source) => f.write_str(&os_text(source)),
            Self::Flock(dir, source) => {
                let (dir, text) = (dir.display(), os_text(source));
                write!(
                    f,
                    "cannot flock directory {dir} - {text} (possibly in use by another instance of nsqd)"
                )
            }
        }
    }
}

impl Error for LockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(source) | Self::Flock(_, source) => Some(source),
        }
    }
}

/// Every file operation of a daemon goes through this trait. Calls block and carry no state but the files.
///
/// New files have mode 0600. Errors of the implementations here name the call and the path; see [`os_text`].
pub trait Disk: Send + Sync + Debug {
    /// Creates a file that does not exist yet, for reading and appending.
    ///
    /// # Errors
    /// `AlreadyExists`, and those of the file system.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and appending.
    ///
    /// # Errors
    /// `NotFound`, and those of the file system.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// `NotFound`, and those of the file system.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Length of the file at `path`, `None` if there is none.
    ///
    /// # Errors
    /// Those of the file system.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Moves a file within its directory, over an existing one.
    ///
    /// # Errors
    /// `NotFound`, and those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, and those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names of the entries of a directory, in no particular order. Memory grows with the directory.
    ///
    /// # Errors
    /// Those of the file system.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Makes creations, renames and removals in `dir` survive a power cut.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that an unprivileged process can still write to the file system of `dir`.
    ///
    /// # Errors
    /// Those of the file system.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;

    /// Creates a directory and its missing parents; an existing one is fine.
    ///
    /// # Errors
    /// Those of the file system.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Takes the exclusive lock of an existing directory without waiting.
    ///
    /// # Errors
    /// [`LockError::Open`] for a directory that cannot be opened, [`LockError::Flock`] if it is locked elsewhere.
    fn lock_dir(&self, dir: &Path) -> Result<Lock, LockError>;

    /// Whether there is a file at `path`.
    ///
    /// # Errors
    /// Those of the file system.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.len(path)?.is_some())
    }

    /// Whole content of a small file.
    ///
    /// # Errors
    /// `NotFound`, `FileTooLarge` if it has more than `max_bytes`, and those of the file system.
    fn read_file(&self, path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
        let file = self.open_read(path)?;
        let length = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        if length > max_bytes {
            return Err(at("read", path)(io::ErrorKind::FileTooLarge.into()));
        }
        let mut content = vec![0; length];
        let (filled, result) = read_full(file.as_ref(), 0, &mut content);
        result?;
        content.truncate(filled);
        Ok(content)
    }

    /// Replaces the file at `path` in one step by way of `<path>.<random>.tmp`: after a crash either the old or the
    /// new content is there, whole. A power cut may still bring the old one back until [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Those of the file system; the old content is then still there.
    fn replace_file(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (temporary, file) = create_temporary(self, path)?;
        let written = file.append(content).and_then(|()| file.fdatasync());
        let result = written.and_then(|()| self.rename(&temporary, path));
        if result.is_err() {
            // Best effort: a full disk must not fill up with temporary files. The first error is the one to tell.
            let _ = self.remove(&temporary);
        }
        result
    }

    /// [`Disk::replace_file`], then [`Disk::sync_dir`]: the new content survives a power cut.
    ///
    /// # Errors
    /// Those of the file system; if only the last step failed the new content is visible but not yet safe.
    fn write_atomic(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.replace_file(path, content)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

/// Reads until `buffer` is full or the file ends; returns the bytes read, also beside an error behind them.
pub(crate) fn read_full(file: &dyn DiskFile, position: u64, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(position.saturating_add(filled as u64), rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

/// Leftover temporary files of earlier runs keep their names; this many collisions in a row do not happen by chance.
const MAX_TEMPORARY_ATTEMPTS: usize = 16;

fn create_temporary<D: Disk + ?Sized>(disk: &D, path: &Path) -> io::Result<(PathBuf, Box<dyn DiskFile>)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..MAX_TEMPORARY_ATTEMPTS {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", random_number()));
        let temporary = PathBuf::from(name);
        match disk.create_new(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// A number that other runs and threads are unlikely to use; fits the reference's non-negative int64.
fn random_number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.finish() >> 1
}

/// An error of the operating system with the call and the path it happened at.
#[derive(Debug)]
struct PathError {
    call: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.call,
            self.path.display(),
            os_text(&self.source)
        )
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Adds call and path to an error of the operating system.
pub(crate) fn at<'a>(call: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> io::Error + 'a {
    move |source| {
        let kind = source.kind();
        io::Error::new(
            kind,
            PathError {
                call,
                path: path.to_owned(),
                source,
            },
        )
    }
}

/// The operating system's number of an error, also behind a path.
pub(crate) fn os_code(error: &io::Error) -> Option<i32> {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<PathError>());
    inner.map_or_else(|| error.raw_os_error(), |inner| inner.source.raw_os_error())
}

/// Text of an error the way the reference prints it: `open /data: no such file or directory`.
#[must_use]
pub fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_none() {
        return text;
    }
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        (**self).create_new(path)
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        (**self).open_append(path)
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        (**self).open_read(path)
    }
    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        (**self).len(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (**self).rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        (**self).remove(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        (**self).list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        (**self).sync_dir(dir)
    }
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        (**self).free_space(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        (**self).create_dir_all(dir)
    }
    fn lock_dir(&self, dir: &Path) -> Result<Lock, LockError> {
        (**self).lock_dir(dir)
    }
}
