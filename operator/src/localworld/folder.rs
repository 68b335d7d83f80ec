//! The data folder: who uses it, what is remembered in it. The only place of local mode that touches files, besides the
//! daemons themselves.
#![allow(
    clippy::disallowed_methods,
    reason = "small files of the operator itself; messages are the daemons' business"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Surroundings;
use super::error::StartError;
use super::ident::Ident;

/// Largest file that is read whole: manifests and our own notes.
const MAX_FILE: u64 = 4 << 20;
/// A log that is longer is moved away; one older log is kept.
const MAX_LOG: u64 = 16 << 20;
/// Read from the end of a log for its last lines.
const TAIL: u64 = 16 << 10;

/// What must survive the end of `local`: the content of `state.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct State {
    /// Name of the cluster whose data these are.
    pub(super) cluster: String,
    /// Number of nodes that were told to run; folders above are leftovers.
    pub(super) nodes: Option<i32>,
    /// Nodes that ran when the cluster was stopped.
    pub(super) stopped_from: Option<i32>,
    /// Since when an nsqlookupd is on its way out.
    pub(super) removing: std::collections::BTreeMap<i32, Timestamp>,
}

/// A data folder that is ours while this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    // the lock goes with the file
    _lock: File,
}

impl Folder {
    /// Takes the folder for the cluster of that name; makes it if it is not there.
    pub(super) fn open(path: &Path, cluster: &str) -> Result<(Self, State), StartError> {
        let unusable = |error: io::Error| StartError::Folder(path.to_owned(), error);
        fs::create_dir_all(path.join("logs")).map_err(unusable)?;
        fs::create_dir_all(path.join("conf")).map_err(unusable)?;
        let lock = lock(path)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        let state: State = folder.read_json("state.json")?.unwrap_or_default();
        if !state.cluster.is_empty() && state.cluster != cluster {
            return Err(StartError::OtherCluster {
                path: path.to_owned(),
                cluster: state.cluster,
                wanted: cluster.to_owned(),
            });
        }
        // data do not belong into a repository
        folder.write(".gitignore", "*\n").map_err(unusable)?;
        Ok((
            folder,
            State {
                cluster: cluster.to_owned(),
                ..state
            },
        ))
    }

    /// Data of a node.
    pub(super) fn data(&self, ident: Ident) -> PathBuf {
        self.path.join(ident.to_string())
    }

    /// Configuration file of a daemon.
    pub(super) fn config(&self, ident: Ident) -> PathBuf {
        self.path.join("conf").join(format!("{ident}.cfg"))
    }

    /// Log of a daemon.
    pub(super) fn log(&self, ident: Ident) -> PathBuf {
        self.path.join("logs").join(format!("{ident}.log"))
    }

    /// Whether the node ever ran: nsqd writes its metadata when it starts.
    pub(super) fn has_data(&self, ident: Ident) -> bool {
        fs::exists(self.data(ident).join("nsqd.dat")).unwrap_or(true)
    }

    /// Makes the folder of a node.
    pub(super) fn make_data(&self, ident: Ident) -> io::Result<()> {
        fs::create_dir_all(self.data(ident))
    }

    /// Deletes the folder of a node that was drained.
    pub(super) fn delete_data(&self, ident: Ident) -> io::Result<()> {
        fs::remove_dir_all(self.data(ident))
    }

    /// Reads one of our notes; none if it is not there.
    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StartError> {
        let path = self.path.join(name);
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StartError::Folder(path, error)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| StartError::Folder(path, error.into()))
    }

    /// Replaces one of our notes.
    pub(super) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, &text)
    }

    /// Replaces a file as a whole, so that a reader sees the old or the new one.
    pub(super) fn write(&self, name: impl AsRef<Path>, text: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let mut new = path.clone().into_os_string();
        new.push(".new");
        fs::write(&new, text)?;
        fs::rename(&new, path)
    }

    /// Opens the log of a daemon that is about to start; the log of its last life becomes `.log.1` when it is long.
    pub(super) fn open_log(&self, ident: Ident) -> io::Result<File> {
        let path = self.log(ident);
        if fs::metadata(&path).is_ok_and(|file| file.len() > MAX_LOG / 4) {
            fs::rename(&path, older(&path))?;
        }
        OpenOptions::new().create(true).append(true).open(path)
    }

    /// Keeps the log of a running daemon within bounds. The daemon writes at the end of the file, wherever that is, so
    /// the file can be copied and cut below it; lines written in between are lost.
    pub(super) fn bound_log(&self, ident: Ident) -> io::Result<()> {
        let path = self.log(ident);
        if fs::metadata(&path)?.len() > MAX_LOG {
            fs::copy(&path, older(&path))?;
            OpenOptions::new().write(true).open(&path)?.set_len(0)?;
        }
        Ok(())
    }

    /// The last lines of a daemon's log, at most `count`.
    pub(super) fn last_lines(&self, ident: Ident, count: usize) -> Vec<String> {
        let read = || -> io::Result<String> {
            let mut file = File::open(self.log(ident))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(count);
        lines.iter().skip(from).map(|line| (*line).to_owned()).collect()
    }

    /// What a log got since `from`, with the new position; a log that was cut starts again. At most 64 KiB.
    pub(super) fn log_since(&self, ident: Ident, from: u64) -> io::Result<(String, u64)> {
        let mut file = File::open(self.log(ident))?;
        let length = file.metadata()?.len();
        let from = if length < from { 0 } else { from };
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(4 * TAIL).read_to_end(&mut bytes)?;
        // whole lines only
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        bytes.truncate(end);
        let next = from + end as u64;
        Ok((String::from_utf8_lossy(&bytes).into_owned(), next))
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Locks the folder and writes who did.
fn lock(path: &Path) -> Result<File, StartError> {
    let file_path = path.join("lock");
    let unusable = |error: io::Error| StartError::Folder(file_path.clone(), error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file_path)
        .map_err(unusable)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(unusable(error.into()));
        }
        let mut holder = String::new();
        // whoever holds it may be about to write its number
        let _ = file.take(32).read_to_string(&mut holder);
        return Err(StartError::InUse(path.to_owned(), holder.trim().to_owned()));
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(unusable)?;
    Ok(file)
}

/// A text file of a bounded size.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("longer than {MAX_FILE} bytes")));
    }
    Ok(text)
}

/// Writes a new file; one that exists is refused.
pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// The programs of the daemons.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    searched: Vec<PathBuf>,
    /// This program, if it is them as well.
    whole: Option<PathBuf>,
}

impl Programs {
    /// They are looked for in `bin_dir` if given, else in the folder of this program; then this program is them if it can, else
    /// the folders of `PATH` are searched.
    pub(super) fn new(bin_dir: Option<&Path>, surroundings: &Surroundings) -> Self {
        let Surroundings { own, path, .. } = surroundings;
        if let Some(dir) = bin_dir {
            return Self {
                searched: vec![dir.to_owned()],
                whole: None,
            };
        }
        let whole = own.clone().filter(|_| surroundings.is_whole);
        let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
        let path = path.as_deref().filter(|_| whole.is_none());
        let path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
        Self {
            searched: beside.into_iter().chain(path.unwrap_or_default()).collect(),
            whole,
        }
    }

    /// Where a program is.
    pub(super) fn find(&self, name: &str) -> Result<PathBuf, StartError> {
        let candidates = self.searched.iter().map(|folder| folder.join(name));
        let is_program =
            |path: &PathBuf| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
        let found = candidates.into_iter().find(is_program);
        found
            .or_else(|| self.whole.clone())
            .and_then(|path| std::path::absolute(path).ok())
            .ok_or_else(|| StartError::NoProgram {
                name: name.to_owned(),
                searched: self.searched.clone(),
            })
    }
}
