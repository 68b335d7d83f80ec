//! Which nsqds a consumer is connected to, and the share of the window that each gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

use super::backoff::{Backoff, Outcomes, random_part};
use super::session::{Session, told_to_stop};
use super::{ConsumerOptions, ConsumerStatus, Delivery, NsqdStatus};
use crate::discovery;

/// Connections at once. A cluster has at most 1024 nsqds: node ids have ten bits.
const MAX_NSQDS: usize = 1024;

/// One nsqd.
struct Peer {
    ready: watch::Sender<u32>,
    status: NsqdStatus,
    running: bool,
    /// Failures in a row.
    failures: u32,
    /// When to try again, if not running.
    retry_at: Instant,
    /// Named by an nsqlookupd in the last round, or given directly.
    wanted: bool,
}

/// The one task that owns the set of connections.
pub(super) struct Manager {
    options: ConsumerOptions,
    deliveries: mpsc::Sender<Delivery>,
    publish: watch::Sender<ConsumerStatus>,
    stop: watch::Receiver<bool>,
    peers: BTreeMap<String, Peer>,
    lookups: BTreeMap<String, Option<String>>,
    sessions: JoinSet<(String, Option<String>)>,
    subscribed: (mpsc::Sender<String>, mpsc::Receiver<String>),
    /// Who is first to get a share when there are more connections than messages in the window.
    turn: usize,
    backoff: Backoff,
    outcomes: Arc<Outcomes>,
    id: u64,
}

/// Consumers of this process so far, for the log.
static CONSUMERS: AtomicU64 = AtomicU64::new(0);

impl Manager {
    pub(super) fn new(
        options: ConsumerOptions,
        deliveries: mpsc::Sender<Delivery>,
        publish: watch::Sender<ConsumerStatus>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let subscribed = mpsc::channel(MAX_NSQDS);
        let (peers, lookups, sessions) = (BTreeMap::new(), BTreeMap::new(), JoinSet::new());
        Self {
            options,
            deliveries,
            publish,
            stop,
            peers,
            lookups,
            sessions,
            subscribed,
            turn: 0,
            backoff: Backoff::default(),
            outcomes: Arc::default(),
            id: CONSUMERS.fetch_add(1, Relaxed) + 1,
        }
    }

    /// Runs until told to stop, then until the sessions have said goodbye.
    pub(super) async fn run(mut self) {
        let direct: BTreeSet<String> = self.options.nsqd_tcp_addresses.iter().cloned().collect();
        self.want(&direct);
        let mut rounds = interval(self.options.lookup_interval.max(Duration::from_millis(10)));
        let mut first = true;
        let mut turns = interval(self.options.turn_interval.max(Duration::from_millis(10)));
        let outcomes = Arc::clone(&self.outcomes);
        let mut asking = JoinSet::new();
        let mut stop = self.stop.clone();
        while !*self.stop.borrow() && self.stop.has_changed().is_ok() {
            self.start_due();
            let retry = self.next_retry();
            tokio::select! {
                _ = turns.tick() => {
                    self.turn = self.turn.wrapping_add(1);
                    self.share();
                }
                () = outcomes.changed() => self.note_outcomes(),
                () = sleep_until(self.backoff.until().unwrap_or_else(Instant::now)), if self.backoff.until().is_some() => {
                    self.backoff.resume();
                    self.turn = self.turn.wrapping_add(1);
                    self.share();
                }
                _ = rounds.tick(), if asking.is_empty() => {
                    if std::mem::take(&mut first) {
                        let late = random_part() * self.options.lookup_jitter.clamp(0.0, 1.0);
                        rounds.reset_after(rounds.period().mul_f64(1.0 + late));
                    }
                    let options = &self.options;
                    let (addresses, topic) = (options.lookupd_http_addresses.clone(), options.topic.clone());
                    let (limit, tls) = (options.lookup_timeout, options.config.tls.clone());
                    asking.spawn(async move { discovery::nsqds(&addresses, &topic, limit, tls).await });
                }
                Some(Ok(answers)) = asking.join_next() => self.take_answers(answers, &direct),
                Some(address) = self.subscribed.1.recv() => self.note_subscribed(&address),
                Some(ended) = self.sessions.join_next() => if let Ok((address, why)) = ended {
                    self.note_ended(&address, why);
                },
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
                () = told_to_stop(&mut stop) => {}
            }
            self.publish_status();
        }
        while self.sessions.join_next().await.is_some() {}
    }

    /// The nsqds that are to be connected. Others keep their connection as long as it lasts: an nsqlookupd that forgets is no
    /// reason to leave messages behind.
    fn want(&mut self, addresses: &BTreeSet<String>) {
        for (address, peer) in &mut self.peers {
            peer.wanted = addresses.contains(address);
        }
        self.peers.retain(|_, peer| peer.wanted || peer.running);
        for address in addresses {
            if self.peers.len() < MAX_NSQDS {
                self.peers.entry(address.clone()).or_insert_with(Peer::new);
            }
        }
    }

    fn take_answers(
        &mut self,
        answers: Vec<(String, Result<Vec<String>, String>)>,
        direct: &BTreeSet<String>,
    ) {
        let mut found = direct.clone();
        let mut all_answered = true;
        for (lookupd, answer) in answers {
            match answer {
                Ok(addresses) => {
                    found.extend(addresses);
                    self.lookups.insert(lookupd, None);
                }
                Err(why) => {
                    all_answered = false;
                    tracing::error!(
                        id = self.id,
                        topic = self.options.topic.as_str(),
                        channel = self.options.channel.as_str(),
                        "error querying nsqlookupd ({lookupd}) - {why}"
                    );
                    self.lookups.insert(lookupd, Some(why));
                }
            }
        }
        // A silent nsqlookupd may know nsqds that the others do not: what was wanted stays wanted.
        if !all_answered {
            found.extend(
                self.peers
                    .iter()
                    .filter(|(_, peer)| peer.wanted)
                    .map(|(address, _)| address.clone()),
            );
        }
        self.want(&found);
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for (address, peer) in &mut self.peers {
            if peer.running || !peer.wanted || peer.retry_at > now {
                continue;
            }
            peer.running = true;
            if peer.failures == 0 {
                peer.status = NsqdStatus::Connecting;
            }
            let session = Session {
                address: address.clone(),
                topic: self.options.topic.clone(),
                channel: self.options.channel.clone(),
                config: self.options.config.clone(),
                retry: self.options.retry.clone(),
                outcomes: Arc::clone(&self.outcomes),
                id: self.id,
                deliveries: self.deliveries.clone(),
                ready: peer.ready.subscribe(),
                stop: self.stop.clone(),
                subscribed: self.subscribed.0.clone(),
            };
            let address = address.clone();
            self.sessions
                .spawn(async move { (address, session.run().await.err().map(|e| e.to_string())) });
        }
    }

    fn next_retry(&self) -> Option<Instant> {
        self.peers
            .values()
            .filter(|p| !p.running && p.wanted)
            .map(|p| p.retry_at)
            .min()
    }

    fn note_subscribed(&mut self, address: &str) {
        if let Some(peer) = self.peers.get_mut(address) {
            peer.status = NsqdStatus::Subscribed;
            peer.failures = 0;
            tracing::info!(
                id = self.id,
                topic = self.options.topic.as_str(),
                channel = self.options.channel.as_str(),
                nsqd = address,
                "connected"
            );
        }
        self.share();
    }

    fn note_ended(&mut self, address: &str, why: Option<String>) {
        if let Some(why) = &why {
            tracing::error!(
                id = self.id,
                topic = self.options.topic.as_str(),
                channel = self.options.channel.as_str(),
                nsqd = address,
                "{why}"
            );
        }
        if let Some(peer) = self.peers.get_mut(address) {
            peer.running = false;
            peer.failures = peer.failures.saturating_add(1);
            peer.retry_at = Instant::now() + backoff(peer.failures, self.options.max_backoff);
            peer.status = NsqdStatus::Failed(why.unwrap_or_else(|| "closed".to_owned()));
            if !peer.wanted {
                self.peers.remove(address);
            }
        }
        self.share();
    }

    fn note_outcomes(&mut self) {
        let was = self.backoff.clone();
        let outcomes = self.outcomes.take();
        self.backoff.note(outcomes, &self.options.retry, Instant::now());
        self.outcomes.watch_successes(self.backoff.is_on());
        if self.backoff != was {
            self.share();
        }
    }

    /// Divides the window among the subscribed connections; none of it while all wait.
    fn share(&self) {
        let window = self.backoff.window(self.options.max_in_flight);
        let subscribed: Vec<&Peer> = self
            .peers
            .values()
            .filter(|p| p.status == NsqdStatus::Subscribed)
            .collect();
        for (peer, count) in subscribed.iter().zip(shares(window, subscribed.len(), self.turn)) {
            peer.ready
                .send_if_modified(|ready| std::mem::replace(ready, count) != count);
        }
    }

    fn publish_status(&self) {
        let now = ConsumerStatus {
            lookups: self
                .lookups
                .iter()
                .map(|(a, why)| (a.clone(), why.clone()))
                .collect(),
            nsqds: self
                .peers
                .iter()
                .map(|(a, peer)| (a.clone(), peer.status.clone()))
                .collect(),
        };
        self.publish.send_if_modified(|had| {
            let changed = *had != now;
            *had = now;
            changed
        });
    }
}

impl Peer {
    fn new() -> Self {
        Self {
            ready: watch::Sender::new(0),
            status: NsqdStatus::Connecting,
            running: false,
            failures: 0,
            retry_at: Instant::now(),
            wanted: true,
        }
    }
}

/// Shares of `window` for `count` connections: equal parts, the rest one each, and with fewer messages than connections one each
/// for those whose `turn` it is. Of a window of 0 each gets nothing.
fn shares(window: u32, count: usize, turn: usize) -> Vec<u32> {
    let parts = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let (each, rest) = (window / parts, window % parts);
    let rest = usize::try_from(rest).unwrap_or(usize::MAX);
    let first = turn % count.max(1);
    (0..count)
        .map(|i| each + u32::from((i + count - first) % count < rest))
        .collect()
}

/// Wait before the next try: 1/64 of the longest wait, doubled with every failure in a row.
fn backoff(failures: u32, longest: Duration) -> Duration {
    longest / (64 >> failures.saturating_sub(1).min(6))
}

#[cfg(test)]
mod tests {
    use super::{backoff, shares};
    use std::time::Duration;

    #[test]
    fn the_window_is_divided_without_rest() {
        assert_eq!(shares(10, 3, 0), [4, 3, 3]);
        assert_eq!(shares(10, 3, 1), [3, 4, 3]);
        assert_eq!(shares(9, 3, 2), [3, 3, 3]);
        assert_eq!(shares(0, 2, 0), [0, 0]);
        assert!(shares(5, 0, 7).is_empty());
    }

    #[test]
    fn with_few_messages_the_connections_take_turns() {
        assert_eq!(shares(1, 3, 0), [1, 0, 0]);
        assert_eq!(shares(1, 3, 1), [0, 1, 0]);
        assert_eq!(shares(2, 3, 2), [1, 0, 1]);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let longest = Duration::from_secs(64);
        let waits: Vec<u64> = (1..10).map(|n| backoff(n, longest).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }
}
