//! Logins of the console's own: a file with a line for each, `name:role:hash`, for installations without a proxy that logs people in
//! (console spec 6.1). Passwords are known as Argon2id hashes only.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use base64::Engine as _;
use nsq_service::clock::Clock;
use nsq_service::listen::Peer;
use nsq_service::tasks::Tasks;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, oneshot};

use super::{Identity, Role};

/// Longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// Time between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);

/// Wrong passwords of a peer within a minute; after that it is not listened to.
const MAX_WRONG: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// Peers whose wrong passwords are counted; of more the longest silent is forgotten.
const MAX_PEERS: usize = 4096;

/// Right credentials that need no hash again.
const MAX_KNOWN: usize = 1024;

/// Hashes at one time: each takes its memory, and a processor.
const AT_ONCE: usize = 2;

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// No such name, or another password.
    Credentials,
    TooOften,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Login {
    role: Role,
    hash: String,
}

type Logins = HashMap<String, Login>;

/// What tells one state of the file from another.
type Stamp = Option<(SystemTime, u64)>;

#[derive(Default)]
struct State {
    logins: Arc<Logins>,
    stamp: Stamp,
    looked: Duration,
    /// SHA-256 of credentials that were right.
    known: HashMap<[u8; 32], Identity>,
    /// Moments of wrong passwords.
    wrong: HashMap<IpAddr, VecDeque<Duration>>,
}

/// The file, and what was found out with it.
pub(crate) struct Basic {
    path: PathBuf,
    state: Mutex<State>,
    hashing: Semaphore,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
}

/// Reads the lines. Empty ones and those with `#` before them are passed over.
fn parse(text: &str) -> Result<Logins, String> {
    let mut logins = Logins::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("line {number}: {what}");
        let mut parts = line.splitn(3, ':');
        let (name, role, hash) = match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(role), Some(hash)) if !name.is_empty() => (name, role, hash),
            _ => return Err(wrong("not name:role:hash")),
        };
        let role = Role::of(role)
            .filter(|role| *role > Role::None)
            .ok_or_else(|| wrong("the role is none of viewer, operator and admin"))?;
        let parsed = PasswordHash::new(hash);
        if parsed.is_ok_and(|hash| hash.algorithm.as_str() == "argon2id") {
            let login = Login {
                role,
                hash: hash.to_owned(),
            };
            if logins.insert(name.to_owned(), login).is_some() {
                return Err(wrong("the name stands there twice"));
            }
        } else {
            return Err(wrong("the hash is not one of argon2id ($argon2id$v=19$…)"));
        }
    }
    Ok(logins)
}

impl Basic {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is not understood; with the line.
    pub(crate) async fn load(path: PathBuf, clock: Arc<dyn Clock>, tasks: Tasks) -> Result<Self, String> {
        let basic = Self {
            path,
            state: Mutex::default(),
            hashing: Semaphore::new(AT_ONCE),
            clock,
            tasks,
        };
        basic.look(true).await?;
        Ok(basic)
    }

    /// Reads the file anew if it is another than before.
    async fn look(&self, is_first: bool) -> Result<(), String> {
        let now = self.clock.monotonic();
        {
            let mut state = self.state.lock();
            if !is_first && now.saturating_sub(state.looked) < LOOK {
                return Ok(());
            }
            state.looked = now;
        }
        let metadata = tokio::fs::metadata(&self.path).await;
        let metadata = metadata.map_err(|error| error.to_string())?;
        let stamp = metadata.modified().ok().map(|time| (time, metadata.len()));
        if !is_first && self.state.lock().stamp == stamp {
            return Ok(());
        }
        if metadata.len() > MAX_FILE {
            return Err(format!("larger than {MAX_FILE} bytes"));
        }
        // also if it is not understood: it is looked at again when it changes
        self.state.lock().stamp = stamp;
        let text = tokio::fs::read_to_string(&self.path).await;
        let logins = parse(&text.map_err(|error| error.to_string())?)?;
        let mut state = self.state.lock();
        state.logins = Arc::new(logins);
        state.known.clear();
        Ok(())
    }

    /// Who the credentials of an `Authorization` header belong to.
    ///
    /// # Errors
    /// To nobody; or the peer was wrong too often to be listened to.
    pub(crate) async fn identify(&self, header: &str, peer: Peer) -> Result<Identity, Wrong> {
        if let Err(error) = self.look(false).await {
            tracing::error!("--basic-auth-file: the logins read before stay in force - {error}");
        }
        let key: [u8; 32] = Sha256::digest(header.as_bytes()).into();
        if let Some(identity) = self.state.lock().known.get(&key) {
            return Ok(identity.clone());
        }
        let from = match peer {
            Peer::Tcp(address) => address.ip(),
            Peer::Unix => IpAddr::from([0, 0, 0, 0]),
        };
        if self.is_shut_out(from) {
            return Err(Wrong::TooOften);
        }
        let logins = Arc::clone(&self.state.lock().logins);
        let identity = match credentials(header) {
            Some((name, password)) => self.verify(Arc::clone(&logins), name, password).await,
            None => None,
        };
        let Some(identity) = identity else {
            tracing::warn!("ACCESS: wrong user or password from {peer}");
            self.was_wrong(from);
            return Err(Wrong::Credentials);
        };
        let mut state = self.state.lock();
        if state.known.len() >= MAX_KNOWN {
            state.known.clear();
        }
        // a login that a newer file no longer has must not outlive it
        if Arc::ptr_eq(&state.logins, &logins) {
            state.known.insert(key, identity.clone());
        }
        Ok(identity)
    }

    async fn verify(&self, logins: Arc<Logins>, name: String, password: String) -> Option<Identity> {
        // never closed
        let _permit = self.hashing.acquire().await;
        let (tell, told) = oneshot::channel();
        self.tasks.spawn_blocking(move || {
            // an unknown name takes as long as a known one
            let login = logins.get(&name);
            let hash = login
                .or_else(|| logins.values().next())
                .map(|login| login.hash.as_str());
            let is_right = hash
                .and_then(|hash| PasswordHash::new(hash).ok())
                .is_some_and(|hash| {
                    Argon2::default()
                        .verify_password(password.as_bytes(), &hash)
                        .is_ok()
                });
            let identity = login.filter(|_| is_right).map(|login| Identity {
                user: name.clone(),
                role: login.role,
            });
            let _ = tell.send(identity);
        });
        told.await.ok().flatten()
    }

    fn is_shut_out(&self, from: IpAddr) -> bool {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let Some(times) = state.wrong.get_mut(&from) else {
            return false;
        };
        times.retain(|at| now.saturating_sub(*at) < MINUTE);
        times.len() >= MAX_WRONG
    }

    fn was_wrong(&self, from: IpAddr) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        if state.wrong.len() >= MAX_PEERS && !state.wrong.contains_key(&from) {
            let oldest = state.wrong.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                state.wrong.remove(&oldest);
            }
        }
        let times = state.wrong.entry(from).or_default();
        times.push_back(now);
        if times.len() > MAX_WRONG {
            times.pop_front();
        }
    }
}

/// Name and password of `Basic …`.
fn credentials(header: &str) -> Option<(String, String)> {
    let encoded = header.strip_prefix("Basic ")?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHQ$8xwWsG0Ex5DTnxKjjCHjwA";

    #[test]
    fn lines_are_names_roles_and_hashes() {
        let logins = parse(&format!("# people\n\nann:admin:{HASH}\n olga:operator:{HASH}\n")).unwrap();
        assert_eq!(logins["ann"].role, Role::Admin);
        assert_eq!(logins["olga"].role, Role::Operator);
        for (text, why) in [
            ("ann".to_owned(), "line 1: not name:role:hash"),
            (format!(":admin:{HASH}"), "line 1: not name:role:hash"),
            (format!("\nann:king:{HASH}"), "line 2: the role is none of"),
            (format!("ann:none:{HASH}"), "line 1: the role is none of"),
            ("ann:admin:secret".to_owned(), "line 1: the hash is not one"),
            (
                format!("ann:admin:{HASH}\nann:viewer:{HASH}"),
                "line 2: the name stands there twice",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
            assert!(!error.contains("secret"));
        }
    }
}
