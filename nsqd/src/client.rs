//! The shared part of one TCP connection: what the rest of nsqd may know of it, and how to wake it.

use crate::channel::in_flight::InFlight;
use futures_util::task::AtomicWaker;
use nsq_protocol::TopicName;
use nsq_service::tls::Agreed;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll};

/// Where a connection stands. The numbers are those of `/stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Connected, not subscribed.
    Init = 0,
    /// `SUB` succeeded.
    Subscribed = 3,
    /// `CLS` was sent: nothing more is delivered.
    Closing = 4,
}

/// What a client said of itself, or what stands for it before it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Name of the client; before `IDENTIFY` its address.
    pub client_id: String,
    /// Host of the client; before `IDENTIFY` its address.
    pub hostname: String,
    /// Library and version.
    pub user_agent: String,
    /// Percent of the messages it gets, 0 all.
    pub sample_rate: i32,
    /// Zone as sent.
    pub topology_zone: String,
    /// Region as sent.
    pub topology_region: String,
}

/// How near a consumer is, if nearer ones are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Locality {
    /// Anywhere.
    #[default]
    Elsewhere = 0,
    /// In the region of this nsqd.
    Region = 1,
    /// In its zone.
    Zone = 2,
}

impl Locality {
    /// Where a client stands that says so; what this nsqd does not know of itself is near to nobody (nsqd spec 3.10).
    #[must_use]
    pub fn of(identity: &Identity, zone: &str, region: &str) -> Self {
        if !zone.is_empty() && identity.topology_zone == zone {
            Self::Zone
        } else if !region.is_empty() && identity.topology_region == region {
            Self::Region
        } else {
            Self::Elsewhere
        }
    }
}

/// What lies on the bare stream of a connection.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// TLS, as it was agreed.
    pub tls: Option<Agreed>,
    /// Compression.
    pub compression: Option<Compression>,
}

/// Who an auth server says a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Its name.
    pub identity: String,
    /// Where that name is explained.
    pub identity_url: String,
}

/// How a connection is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Snappy.
    Snappy,
    /// Deflate with this level, 1 to 9.
    Deflate(u32),
}

/// One connection, shared by its task, the channel it consumes and the stats.
#[derive(Debug)]
pub struct Client {
    /// Distinct for every connection of this process.
    pub id: u64,
    /// `ip:port` of the peer.
    pub remote_address: String,
    /// Unix seconds of the connect.
    pub connected_at: i64,
    /// What it said of itself.
    pub identity: Mutex<Identity>,
    /// What its bytes go through.
    pub layers: Mutex<Layers>,
    /// Who it is, once it was granted something.
    pub authenticated: Mutex<Option<Authenticated>>,
    /// Messages it holds; locked after its channel, never before.
    pub in_flight: Mutex<InFlight>,
    /// What happened so far.
    pub counters: ClientCounters,
    state: AtomicU8,
    locality: AtomicU8,
    /// Messages it may hold; 0 delivers nothing.
    pub ready_count: AtomicI64,
    woken: AtomicBool,
    task: AtomicWaker,
    closed: AtomicBool,
    /// Whether it stands in its channel's list of waiting consumers. Changed under the channel's lock only.
    pub(crate) waiting: AtomicBool,
    published: Mutex<FxHashMap<TopicName, u64>>,
}

/// Counts since the connect.
#[derive(Debug, Default)]
pub struct ClientCounters {
    /// Messages sent to it.
    pub messages: AtomicU64,
    /// `FIN`s that succeeded.
    pub finished: AtomicU64,
    /// `REQ`s that succeeded.
    pub requeued: AtomicU64,
    /// Messages it holds now.
    pub in_flight: AtomicI64,
}

impl Client {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(id: u64, remote_address: String, connected_at: i64, identity: Identity) -> Self {
        Self {
            id,
            remote_address,
            connected_at,
            identity: Mutex::new(identity),
            layers: Mutex::default(),
            authenticated: Mutex::default(),
            in_flight: Mutex::default(),
            counters: ClientCounters::default(),
            state: AtomicU8::new(ClientState::Init as u8),
            locality: AtomicU8::new(Locality::Elsewhere as u8),
            ready_count: AtomicI64::new(0),
            woken: AtomicBool::new(false),
            task: AtomicWaker::new(),
            closed: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            published: Mutex::default(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> ClientState {
        match self.state.load(Relaxed) {
            3 => ClientState::Subscribed,
            4 => ClientState::Closing,
            _ => ClientState::Init,
        }
    }

    /// Sets where it stands. Called by its own task only.
    pub fn set_state(&self, state: ClientState) {
        self.state.store(state as u8, Relaxed);
    }

    /// How near it is; [`Locality::Elsewhere`] unless that matters.
    #[must_use]
    pub fn locality(&self) -> Locality {
        match self.locality.load(Relaxed) {
            2 => Locality::Zone,
            1 => Locality::Region,
            _ => Locality::Elsewhere,
        }
    }

    /// Sets how near it is. Called by its own task only, before it consumes.
    pub fn set_locality(&self, locality: Locality) {
        self.locality.store(locality as u8, Relaxed);
    }

    /// Lets its task look again at its channel and at [`Self::is_closed`].
    pub fn wake(&self) {
        self.woken.store(true, SeqCst);
        self.task.wake();
    }

    /// Ready once for every [`Self::wake`], or several of them, since the last time. For its own task only.
    pub fn poll_woken(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.woken.load(SeqCst) {
            self.task.register(cx.waker());
        }
        // A wake between the look and the registration is seen here.
        if self.woken.swap(false, SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Ends the connection: its task sees it at its next turn.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        self.wake();
    }

    /// Whether the connection is to end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Counts messages published by it.
    pub fn count_published(&self, topic: &TopicName, n: u64) {
        let mut published = self.published.lock();
        match published.get_mut(topic.as_str()) {
            Some(count) => *count += n,
            None => {
                published.insert(topic.clone(), n);
            }
        }
    }

    /// What it published, by topic, in name order.
    #[must_use]
    pub fn published(&self) -> Vec<(TopicName, u64)> {
        let mut counts: Vec<_> = self
            .published
            .lock()
            .iter()
            .map(|(t, &n)| (t.clone(), n))
            .collect();
        counts.sort_unstable();
        counts
    }

    /// Whether it published anything.
    #[must_use]
    pub fn has_published(&self) -> bool {
        !self.published.lock().is_empty()
    }
}
