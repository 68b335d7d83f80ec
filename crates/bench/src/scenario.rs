//! What can be measured: a work, the flags of the daemon for it, and the targets.

use std::fmt;

use crate::load::conn::Wish;

/// Publishers that wait for their answers.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) wish: Wish,
    pub(crate) connections: usize,
    /// Messages in all.
    pub(crate) count: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages of a command; from 2 on it is MPUB.
    pub(crate) batch: usize,
    /// Commands without an answer.
    pub(crate) window: usize,
    pub(crate) topics: usize,
    /// Channels of each topic, made before; with none messages stay with the topic.
    pub(crate) channels: usize,
    /// Messages before the measuring begins.
    pub(crate) warm_up: usize,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            wish: Wish::default(),
            connections: 1,
            count: 100_000,
            size: 200,
            batch: 1,
            window: 1,
            topics: 1,
            channels: 0,
            warm_up: 2000,
        }
    }
}

/// The same over HTTP, one request after the other on each connection.
#[derive(Clone, Debug)]
pub(crate) struct PublishHttp {
    pub(crate) connections: usize,
    pub(crate) count: usize,
    pub(crate) size: usize,
    pub(crate) batch: usize,
}

/// Consumers that drain a channel that was filled before.
#[derive(Clone, Debug)]
pub(crate) struct Consume {
    pub(crate) wish: Wish,
    pub(crate) connections: usize,
    pub(crate) count: usize,
    pub(crate) size: usize,
    /// RDY.
    pub(crate) window: u32,
    /// FINs of one write at most.
    pub(crate) at_once: u64,
}

/// Publishers and consumers at once.
#[derive(Clone, Debug)]
pub(crate) struct Both {
    pub(crate) publish: Publish,
    /// Of each channel.
    pub(crate) consumers: usize,
    pub(crate) window: u32,
    /// Messages that are published and not consumed, at most; none lets the queues grow.
    pub(crate) at_most: Option<usize>,
}

/// Messages by a timetable.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    pub(crate) wish: Wish,
    /// Messages per second of all senders.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) size: usize,
    pub(crate) connections: usize,
    pub(crate) channels: usize,
    /// Of each channel.
    pub(crate) consumers: usize,
    pub(crate) window: u32,
}

impl Default for Timetable {
    fn default() -> Self {
        Self {
            wish: Wish::default(),
            rate: 1000.0,
            seconds: 6.0,
            size: 200,
            connections: 1,
            channels: 1,
            consumers: 1,
            window: 2500,
        }
    }
}

/// Messages deferred by a delay of this range.
#[derive(Clone, Debug)]
pub(crate) struct Deferred {
    pub(crate) count: usize,
    pub(crate) delay_ms: (u64, u64),
    /// Whether they are waited for.
    pub(crate) consume: bool,
}

/// What is done with a daemon.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Publish(Publish),
    PublishHttp(PublishHttp),
    Consume(Consume),
    Both(Both),
    Timetable(Timetable),
    Deferred(Deferred),
    Timeouts {
        count: usize,
    },
    IdleConnections {
        count: usize,
        subscribed: bool,
    },
    IdleTopics {
        count: usize,
    },
    /// SIGTERM with so many messages in memory.
    Exit {
        count: usize,
        size: usize,
    },
    /// A start with so many messages on disk.
    Restart {
        count: usize,
        size: usize,
    },
    /// A start with so many topics.
    Start {
        topics: usize,
    },
}

impl Work {
    /// Whether the daemon is started and stopped by the work itself.
    pub(crate) const fn is_life(&self) -> bool {
        matches!(
            self,
            Self::Exit { .. } | Self::Restart { .. } | Self::Start { .. }
        )
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its own text names every count.
        write!(f, "{self:?}")
    }
}

/// How a figure of ours has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    /// So many times less than the reference.
    TimesLess(f64),
    /// So many times more.
    TimesMore(f64),
    /// At most this, whatever the reference does.
    AtMost(f64),
    /// No aim, but worth knowing: less is better.
    Less,
    /// The same: more is better.
    More,
}

/// A figure that is shown of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    /// See [`crate::record::Record::figure`].
    pub(crate) figure: &'static str,
    pub(crate) aim: Aim,
}

/// How often a scenario is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// In as many pairs as were asked for.
    Pairs,
    /// Once on each daemon: it takes long and gives the same.
    Once,
}

/// One thing that is measured. Its name is a stable identifier.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) flags: Vec<&'static str>,
    pub(crate) work: Work,
    /// The open loop at this share of what the reference can do; its rate is put in when that is known.
    pub(crate) share: Option<f64>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) repeat: Repeat,
    /// Part of the run that takes two minutes.
    pub(crate) quick: bool,
}
