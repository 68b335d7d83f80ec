//! One nsqlookupd: its connection, what it was told, and what it said of itself (nsqd spec 8.1 to 8.4).

use super::registrar::{Registrar, Wanted};
use nsq_protocol::v1::{LookupInfo, MAGIC, PeerInfo};
use nsq_service::json;
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

/// Bound of the connect, of each write and of each answer.
const LIMIT: Duration = Duration::from_secs(1);
/// Time between signs of life.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Wait before a lost connection is made again; doubled after each failure, up to [`PING_INTERVAL`].
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How it stands with one nsqlookupd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its address as configured.
    pub address: String,
    /// It is connected and was told what there is.
    pub connected: bool,
    /// Connections that failed or broke.
    pub errors: u64,
}

/// One nsqlookupd by its address.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: String,
    max_answer: usize,
    /// What it said of itself; `None` while there is no connection.
    info: Mutex<Option<LookupInfo>>,
    /// Connections that failed or broke.
    errors: AtomicU64,
    removed: watch::Sender<bool>,
}

impl Peer {
    pub(super) fn new(address: String, max_answer: usize) -> Self {
        Self {
            address,
            max_answer,
            info: Mutex::default(),
            errors: AtomicU64::new(0),
            removed: watch::Sender::new(false),
        }
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            address: self.address.clone(),
            connected: self.info.lock().is_some(),
            errors: self.errors.load(Relaxed),
        }
    }

    fn note_error(&self, error: &io::Error) {
        self.errors.fetch_add(1, Relaxed);
        tracing::error!("LOOKUPD({}): {error}", self.address);
    }

    /// What it said of itself, if it is connected and told an HTTP address.
    pub(super) fn info(&self) -> Option<LookupInfo> {
        self.info
            .lock()
            .clone()
            .filter(|info| !info.broadcast_address.is_empty())
    }

    /// Ends the task that runs it, whatever that is waiting for.
    pub(super) fn remove(&self) {
        self.removed.send_replace(true);
    }

    /// Resolves when it was removed.
    pub(super) async fn removed(&self) {
        let mut removed = self.removed.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = removed.wait_for(|gone| *gone).await;
    }

    /// Keeps it informed; dropped when it is removed. `wanted` tells what exists, `changes` when that changed. A lost or refused
    /// connection is made again after a growing wait, and by the next change; everything is told first then.
    pub(super) async fn run(
        &self,
        identity: &PeerInfo,
        wanted: impl Fn() -> Wanted,
        mut changes: watch::Receiver<u64>,
    ) {
        let mut link = self.connect(identity, &wanted, &mut changes).await;
        // Not from one change to the next: changes that need no command must not put off the sign of life.
        let mut pings = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut wait = FIRST_RETRY;
        let mut retry_at = Instant::now() + wait;
        loop {
            let ping = tokio::select! {
                _ = pings.tick() => true,
                () = tokio::time::sleep_until(retry_at), if link.is_none() => false,
                changed = changes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    false
                }
            };
            if link.is_none() {
                link = self.connect(identity, &wanted, &mut changes).await;
            }
            let Some(open) = &mut link else {
                wait = wait.saturating_mul(2).min(PING_INTERVAL);
                retry_at = Instant::now() + wait;
                continue;
            };
            wait = FIRST_RETRY;
            let mut lines = open.registrar.catch_up(wanted());
            if ping {
                lines.push(b"PING\n".to_vec());
            }
            if let Err(e) = open.tell(&lines, self.max_answer).await {
                self.note_error(&e);
                link = None;
                retry_at = Instant::now() + wait;
                *self.info.lock() = None;
            }
        }
        *self.info.lock() = None;
    }

    async fn connect(
        &self,
        identity: &PeerInfo,
        wanted: &impl Fn() -> Wanted,
        changes: &mut watch::Receiver<u64>,
    ) -> Option<Link> {
        tracing::info!("LOOKUP connecting to {}", self.address);
        let connected = async {
            let mut link = Link::open(&self.address).await?;
            let answer = link.identify(identity, self.max_answer).await?;
            let info = LookupInfo::parse(&answer).ok_or_else(|| {
                let text = String::from_utf8_lossy(&answer).into_owned();
                io::Error::other(format!("unexpected answer to IDENTIFY - {text}"))
            })?;
            changes.mark_unchanged();
            let lines = link.registrar.announce_all(wanted());
            link.tell(&lines, self.max_answer).await?;
            Ok::<_, io::Error>((link, info))
        };
        match connected.await {
            Ok((link, info)) => {
                tracing::info!("LOOKUPD({}): peer info {info:?}", self.address);
                if info.broadcast_address.is_empty() {
                    tracing::error!("LOOKUPD({}): no broadcast address", self.address);
                }
                *self.info.lock() = Some(info);
                Some(link)
            }
            Err(e) => {
                self.note_error(&e);
                None
            }
        }
    }
}

/// An open connection.
struct Link {
    stream: TcpStream,
    registrar: Registrar,
}

async fn within<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(LIMIT, what)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Link {
    async fn open(address: &str) -> io::Result<Self> {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the dialer, with its time limit"
        )]
        let mut stream = within(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        within(stream.write_all(MAGIC)).await?;
        Ok(Self {
            stream,
            registrar: Registrar::default(),
        })
    }

    async fn identify(&mut self, identity: &PeerInfo, max_answer: usize) -> io::Result<Vec<u8>> {
        let body = json::to_vec(identity).map_err(io::Error::other)?;
        let mut command = b"IDENTIFY\n".to_vec();
        command.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
        command.extend_from_slice(&body);
        self.ask(&command, max_answer).await
    }

    /// Sends commands, each after the answer to the one before. What the answers say does not matter.
    async fn tell(&mut self, commands: &[Vec<u8>], max_answer: usize) -> io::Result<()> {
        for command in commands {
            self.ask(command, max_answer).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, command: &[u8], max_answer: usize) -> io::Result<Vec<u8>> {
        within(self.stream.write_all(command)).await?;
        let size = within(self.stream.read_i32()).await?;
        let size = usize::try_from(size).ok().filter(|&n| n <= max_answer);
        let size = size.ok_or_else(|| io::Error::other("answer is out of bounds"))?;
        let mut answer = vec![0; size];
        within(self.stream.read_exact(&mut answer)).await?;
        Ok(answer)
    }
}
