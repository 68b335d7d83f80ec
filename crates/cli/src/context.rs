//! Contexts: named addresses, TLS and secrets, in a file of this user; and where a running `local` tells its addresses.
#![allow(
    clippy::disallowed_methods,
    reason = "small files of this user: what is in them is no message"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use nsq_operator::localworld::Whereabouts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::problem::Problem;

/// Largest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// Addresses of a cluster, how it is verified, and where the secret is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    /// HTTP addresses of nsqlookupds.
    pub lookupd: Vec<String>,
    /// HTTP addresses of nsqds.
    pub nsqd: Vec<String>,
    /// Speak TLS with nsqd, and https where a daemon wants it.
    pub tls: bool,
    /// PEM file of the authorities to believe; none for those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the certificate to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// File that holds the secret for nsqds that ask for one. The secret itself is never kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret_file: Option<PathBuf>,
}

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used when nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    pub contexts: BTreeMap<String, Context>,
}

/// The folder with both files; none if the environment names no home.
#[derive(Clone, Debug, Default)]
pub struct Home(Option<PathBuf>);

impl Home {
    /// `NSQ_HOME`, else `nsq` in the folder of configurations; by `get`, which reads a variable.
    pub fn find(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let below = |path: PathBuf, more: &str| path.join(more);
        Self(
            get("NSQ_HOME")
                .or_else(|| get("XDG_CONFIG_HOME").map(|path| below(path, "nsq")))
                .or_else(|| get("HOME").map(|path| below(path, ".config/nsq"))),
        )
    }

    /// Where a running `local` tells its addresses.
    #[must_use]
    pub fn notice(&self) -> Option<PathBuf> {
        self.0.as_deref().map(|home| home.join("local.json"))
    }

    fn file(&self) -> Option<PathBuf> {
        self.0.as_deref().map(|home| home.join("contexts.json"))
    }

    /// The running `local`, if there is one.
    #[must_use]
    pub fn local(&self) -> Option<Whereabouts> {
        let told: Whereabouts = read(&self.notice()?).ok()??;
        is_running(told.pid).then_some(told)
    }

    /// All contexts; none if there is no file.
    ///
    /// # Errors
    /// The file cannot be read or is no file of contexts.
    pub fn contexts(&self) -> Result<Contexts, Problem> {
        let Some(file) = self.file() else {
            return Ok(Contexts::default());
        };
        Ok(read(&file)?.unwrap_or_default())
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// There is no home, or the system refuses.
    pub fn save(&self, contexts: &Contexts) -> Result<(), Problem> {
        let file = self.file().ok_or_else(|| {
            let what = "contexts have no place: neither NSQ_HOME nor HOME is set";
            Problem::new(codes::FILE_FAILED, what, "set NSQ_HOME to a folder")
        })?;
        let write = || {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            let new = file.with_extension(format!("new-{}", std::process::id()));
            let mut text = serde_json::to_vec_pretty(contexts)?;
            text.push(b'\n');
            fs::write(&new, text)?;
            fs::rename(new, &file)
        };
        write().map_err(|error: std::io::Error| {
            let what = format!("cannot write {}: {error}", file.display());
            Problem::new(
                codes::FILE_FAILED,
                what,
                "set NSQ_HOME to a folder that can be written",
            )
        })
    }
}

/// Reads a text file with a cap.
///
/// # Errors
/// What the system says, or that it is too long.
pub fn text(path: &Path, most: u64) -> std::io::Result<String> {
    String::from_utf8(bytes(path, most)?).map_err(|_| std::io::Error::other("not a text in UTF-8"))
}

/// Reads a file with a cap.
///
/// # Errors
/// What the system says, or that it is too long.
pub fn bytes(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(std::io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Problem> {
    let text = match text(path, MAX_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            return Err(Problem::new(codes::FILE_FAILED, what, "see who may read it"));
        }
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let what = format!("{}:{}:{}: {error}", path.display(), error.line(), error.column());
        Problem::new(
            codes::INVALID_FILE,
            what,
            "mend the file, or remove it and make the contexts anew",
        )
    })
}

/// A process of this number is there. It may be another one after a crash: its addresses then answer nothing, which is told.
fn is_running(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed());
    pid.is_some_and(|pid| match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        Err(error) => error == rustix::io::Errno::PERM,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_and_a_broken_file_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(|name| (name == "NSQ_HOME").then(|| folder.path().display().to_string()));
        assert_eq!(home.contexts().unwrap(), Contexts::default());
        let mut contexts = Contexts::default();
        contexts.contexts.insert("work".to_owned(), Context::default());
        home.save(&contexts).unwrap();
        assert_eq!(home.contexts().unwrap(), contexts);
        fs::write(folder.path().join("contexts.json"), "{\n \"curent\": 1}").unwrap();
        let problem = home.contexts().unwrap_err();
        assert_eq!(problem.code, codes::INVALID_FILE);
        assert!(problem.to_string().contains("contexts.json:2:"), "{problem}");
    }

    #[test]
    fn the_home_follows_the_conventions() {
        let of = |set: &'static str| Home::find(move |name| (name == set).then(|| "/x".to_owned())).0;
        assert_eq!(of("NSQ_HOME"), Some("/x".into()));
        assert_eq!(of("XDG_CONFIG_HOME"), Some("/x/nsq".into()));
        assert_eq!(of("HOME"), Some("/x/.config/nsq".into()));
        assert_eq!(of("OTHER"), None);
    }
}
