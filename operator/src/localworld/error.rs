//! Why `local` does not start. Exit codes are those of operator spec 8.1.

use std::io;
use std::path::PathBuf;

use crate::api::ManifestError;

/// A start that failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The manifest has mistakes: all of them, each with its line.
    #[error("{}", list(.0))]
    Manifest(Vec<ManifestError>),
    /// The manifest cannot be read.
    #[error("error: cannot read {0}: {1}")]
    Unreadable(PathBuf, io::Error),
    /// The file of `--save` is there already, or cannot be written.
    #[error("error: cannot write {0}: {1}")]
    Save(PathBuf, io::Error),
    /// The data folder cannot be used.
    #[error("error: cannot use {0}: {1}")]
    Folder(PathBuf, io::Error),
    /// Another `local` uses the data folder.
    #[error("error: {0} is in use by another nsq-operator local, PID {1}")]
    InUse(PathBuf, String),
    /// The data folder holds data of another cluster.
    #[error("error: {path} holds data of cluster {cluster}, not of {wanted}: choose another --data-dir")]
    OtherCluster {
        /// The folder.
        path: PathBuf,
        /// Whose data it holds.
        cluster: String,
        /// The cluster of the manifest.
        wanted: String,
    },
    /// A program is missing.
    #[error("error: {name} not found in {}; build it or set --bin-dir", folders(.searched))]
    NoProgram {
        /// Its name.
        name: String,
        /// Folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// Something the operating system refused.
    #[error("error: {0}: {1}")]
    System(&'static str, io::Error),
}

impl StartError {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Manifest(_) => 3,
            Self::InUse(..) => 4,
            _ => 1,
        }
    }
}

fn list(errors: &[ManifestError]) -> String {
    let lines: Vec<String> = errors.iter().map(|error| format!("error: {error}")).collect();
    lines.join("\n")
}

fn folders(searched: &[PathBuf]) -> String {
    let names: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}
