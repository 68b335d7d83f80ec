//! One file: what is appended, and what is certainly on the disk. Every call blocks.
#![allow(
    clippy::disallowed_methods,
    reason = "the files of this tool: their modes, packing and moves are its own"
)]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Gathered before it goes to the file.
const GATHERED: usize = 256 << 10;

/// An open file.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    path: PathBuf,
    /// Bytes before packing, with those that were there.
    size: u64,
    /// What goes to the file next.
    gathered: Vec<u8>,
    packing: Option<Packing>,
}

#[derive(Debug)]
struct Packing {
    level: u32,
    /// The member that is being written.
    member: Option<GzEncoder<Vec<u8>>>,
    /// The file has a member: without one it is no gzip file.
    has_member: bool,
}

impl Output {
    /// Opens a file below `root`, with its folders, for appending; packed if there is a level. What a file that was there has behind
    /// its last line feed is the part of a record that another process could not write whole: it gets its own line.
    ///
    /// # Errors
    /// Those of the system; `AlreadyExists` if it must be `new` and is not.
    pub(super) fn open(root: &Path, path: PathBuf, new: bool, gzip: Option<u32>) -> io::Result<Self> {
        create_folder(&path)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(0o666);
        if new {
            options.create_new(true);
        } else {
            options.create(true);
        }
        let file = options.open(&path).map_err(at("open", &path))?;
        let size = file.metadata().map_err(at("stat", &path))?.len();
        if size == 0 {
            sync_folders(root, &path)?;
        }
        let packing = gzip.map(|level| Packing {
            level,
            member: None,
            has_member: size > 0,
        });
        let mut output = Self {
            file,
            path,
            size,
            gathered: Vec::new(),
            packing,
        };
        if output.packing.is_none() && !output.ends_with_line()? {
            tracing::warn!(
                "{} ends in the middle of a record: what follows begins on a new line",
                output.path.display()
            );
            output.add(b"\n")?;
        }
        Ok(output)
    }

    fn ends_with_line(&mut self) -> io::Result<bool> {
        if self.size == 0 {
            return Ok(true);
        }
        let mut last = [0];
        let read = self
            .file
            .seek(SeekFrom::End(-1))
            .and_then(|_| self.file.read_exact(&mut last));
        read.map_err(at("read", &self.path))?;
        Ok(last == *b"\n")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes before packing.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a record.
    ///
    /// # Errors
    /// Those of the system, after which the file is not to be written to.
    pub(super) fn push(&mut self, record: &[u8]) -> io::Result<()> {
        self.add(record)?;
        self.add(b"\n")
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        match &mut self.packing {
            None => self.gathered.extend_from_slice(bytes),
            Some(packing) => {
                let level = Compression::new(packing.level);
                let member = packing
                    .member
                    .get_or_insert_with(|| GzEncoder::new(Vec::new(), level));
                member.write_all(bytes).map_err(at("pack", &self.path))?;
                packing.has_member = true;
                if member.get_ref().len() >= GATHERED {
                    let packed = std::mem::take(member.get_mut());
                    self.file.write_all(&packed).map_err(at("write", &self.path))?;
                }
            }
        }
        if self.gathered.len() >= GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands what was added to the system, where others see it; what is packed goes when its member ends.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.gathered);
        self.gathered.clear();
        written.map_err(at("write", &self.path))
    }

    /// What was added is on the disk afterwards, and a file that ends here can be unpacked.
    ///
    /// # Errors
    /// Those of the system: what was added since the last success may be lost.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let member = self.packing.as_mut().and_then(|packing| packing.member.take());
        if let Some(member) = member {
            self.gathered = member.finish().map_err(at("pack", &self.path))?;
        }
        self.flush()?;
        self.file.sync_data().map_err(at("sync", &self.path))
    }

    /// [`sync`](Self::sync), and nothing more is added.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn close(mut self) -> io::Result<PathBuf> {
        if let Some(packing) = &mut self.packing
            && !packing.has_member
        {
            packing.member = Some(GzEncoder::new(Vec::new(), Compression::new(packing.level)));
        }
        self.sync()?;
        Ok(self.path)
    }
}

/// Whether there is something of this name.
///
/// # Errors
/// Those of the system.
pub(super) fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("stat", path)(error)),
    }
}

/// Gives a file a name below another root, on the same file system, and never that of another file.
///
/// # Errors
/// `AlreadyExists`, and those of the system.
pub(super) fn take_to(root: &Path, from: &Path, to: &Path) -> io::Result<()> {
    create_folder(to)?;
    fs::hard_link(from, to).map_err(|error| match error.kind() {
        ErrorKind::CrossesDevices => io::Error::new(
            error.kind(),
            format!(
                "move {} to {}: --work-dir and --output-dir must be on one file system",
                from.display(),
                to.display()
            ),
        ),
        _ => at("link", to)(error),
    })?;
    sync_folders(root, to)?;
    fs::remove_file(from).map_err(at("remove", from))
}

fn create_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    let created = DirBuilder::new().recursive(true).mode(0o770).create(folder);
    created.map_err(at("mkdir", folder))
}

/// The names on the way from `root` to the file are on the disk afterwards.
fn sync_folders(root: &Path, path: &Path) -> io::Result<()> {
    let folders = path.ancestors().skip(1);
    for folder in folders.take_while(|folder| folder.starts_with(root)) {
        let synced = File::open(folder).and_then(|file| file.sync_all());
        synced.map_err(at("sync", folder))?;
    }
    Ok(())
}

/// Tells what was tried, with the kind of the error kept.
fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}
