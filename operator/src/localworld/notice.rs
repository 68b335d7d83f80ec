//! A file that tells other programs of this user where the running cluster is. It is written when that changes and removed at
//! the end; one that was left behind names a process that is gone.
#![allow(
    clippy::disallowed_methods,
    reason = "a small file of the operator itself; messages are the daemons' business"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a running cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Whereabouts {
    /// Who runs it.
    pub pid: u32,
    /// Its name.
    pub cluster: String,
    /// HTTP addresses of its nsqlookupds.
    pub lookupd_http_addresses: Vec<String>,
    /// HTTP addresses of its nsqds.
    pub nsqd_http_addresses: Vec<String>,
}

/// The file. It goes with this value.
#[derive(Debug)]
pub(super) struct Notice {
    path: PathBuf,
    told: Whereabouts,
}

impl Notice {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            told: Whereabouts::default(),
        }
    }

    /// Tells it, if it is news. A failure is told once for each change.
    pub(super) fn tell(&mut self, now: &Whereabouts) -> Result<(), String> {
        if self.told == *now {
            return Ok(());
        }
        self.told.clone_from(now);
        let path = self.path.display();
        replace(&self.path, now).map_err(|error| {
            format!("note: {path} cannot be written ({error}): other terminals must be told the addresses")
        })
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if self.told != Whereabouts::default() {
            // One that stays names a process that is gone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whoever looks meanwhile sees the one before.
fn replace(path: &Path, whereabouts: &Whereabouts) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension(format!("new-{}", whereabouts.pid));
    fs::write(&new, serde_json::to_vec(whereabouts)?)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_where_the_cluster_is_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nsq/local.json");
        let mut notice = Notice::new(path.clone());
        let here = Whereabouts {
            pid: 7,
            lookupd_http_addresses: vec!["127.0.0.1:4161".to_owned()],
            ..Whereabouts::default()
        };
        notice.tell(&here).unwrap();
        let read: Whereabouts = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, here);
        drop(notice);
        assert!(!path.exists());
    }
}
