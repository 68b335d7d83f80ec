//! Questions of a round, and what comes without a question.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use nsq_http_api::since;
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::Owner;
use super::feeds::{Feeds, Told};
use crate::model::Heard;
use crate::options::Sources;
use crate::upstream::{Answer, PARALLEL, Upstream, Weight};

/// `/info` and the names of topics are asked for again after so many seconds.
const SELDOM: Duration = Duration::from_secs(60);
const TOPICS: Duration = Duration::from_secs(30);

/// A node that fails again and again is asked less often: after so many failures and so many seconds.
const BACKS_OFF: u32 = 3;
const OFF: i64 = 15;
const LONG: i64 = 300;
const LONG_OFF: i64 = 30;

/// What happens on a node is looked at at once, but no more often than this.
const NOTICES: Duration = Duration::from_millis(500);

/// An answer that came.
pub(super) enum Came {
    Topics(Answer<nsq_http_api::lookupd::Topics>),
    Nodes(Answer<nsq_http_api::lookupd::Nodes>, Heard),
    Info(Answer<nsq_http_api::nsqd::Info>),
    Lifecycle(Answer<nsq_http_api::lifecycle::Lifecycle>),
    Stats(Box<Answer<nsq_http_api::nsqd::Stats>>, Weight, Heard),
}

pub(super) type Questions = FuturesUnordered<BoxFuture<'static, Came>>;

/// Asks, and remembers who has not answered yet.
pub(super) struct Rounds {
    pub(super) upstream: Arc<Upstream>,
    pub(super) clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    pub(super) questions: Questions,
    /// Upstreams that were asked and have not answered, in whatever round.
    busy: Vec<String>,
    /// Of these, those of this round.
    round: Vec<String>,
    /// Of the answers that came since the round began.
    pub(super) cost: Weight,
    pub(super) feeds: Feeds,
    pub(super) notices: Notices,
}

/// What happened on nodes and was not looked at yet.
#[derive(Default)]
pub(super) struct Notices {
    nodes: Vec<String>,
    /// When those are asked.
    pub(super) due: Option<Instant>,
    last: Option<Instant>,
    /// Were asked, and their answer is shown at once.
    asked: Vec<String>,
    /// One of these answers came.
    pub(super) is_news: bool,
}

impl Rounds {
    pub(super) fn new(upstream: Arc<Upstream>, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        Self {
            feeds: Feeds::new(Arc::clone(&upstream), Arc::clone(&clock), tasks),
            upstream,
            clock,
            permits: Arc::new(Semaphore::new(PARALLEL)),
            questions: Questions::new(),
            busy: Vec::new(),
            round: Vec::new(),
            cost: Weight::default(),
            notices: Notices::default(),
        }
    }

    /// One question to everybody who has answered the last one; the nodes' are spread over `over`.
    pub(super) fn ask(&mut self, owner: &mut Owner, over: Duration) {
        self.round.clear();
        self.cost = Weight::default();
        let sources = self.upstream.sources();
        owner.picture.set_sources(&sources);
        let now = self.clock.monotonic();
        let is_due = |at: &mut Option<Duration>, after: Duration| {
            let due = at.is_none_or(|at| now.saturating_sub(at) >= after);
            if due {
                *at = Some(now);
            }
            due
        };
        if let Sources::Lookupds(lookupds) = &sources {
            // without polling every round stands alone
            let with_topics = is_due(&mut owner.topics_at, TOPICS) || owner.interval.is_none();
            for address in lookupds
                .iter()
                .filter(|address| !self.busy.contains(address))
                .cloned()
                .collect::<Vec<_>>()
            {
                self.busy.push(address.clone());
                self.round.push(address.clone());
                if with_topics {
                    let (upstream, address) = (Arc::clone(&self.upstream), address.clone());
                    self.questions.push(Box::pin(async move {
                        Came::Topics(upstream.topics_of(address).await)
                    }));
                }
                let (upstream, clock) = (Arc::clone(&self.upstream), Arc::clone(&self.clock));
                self.questions.push(Box::pin(async move {
                    let began = clock.monotonic();
                    let answer = upstream.nodes_of(address).await;
                    Came::Nodes(answer, heard(&*clock, began))
                }));
            }
        }
        let with_infos = is_due(&mut owner.infos_at, SELDOM);
        self.follow(owner);
        self.ask_nodes(owner, over, with_infos);
    }

    /// Listens to those that tell by themselves; what they told last is true until they tell something else.
    fn follow(&mut self, owner: &mut Owner) {
        self.upstream.follow_only(&owner.picture.addresses());
        if owner.interval.is_none() {
            return;
        }
        let able = owner.picture.able(since::EVENTS);
        self.feeds.listen_to(&able, owner.pace.interval);
        let began = self.clock.monotonic();
        for address in able {
            let is_old = owner
                .picture
                .is_older(&address, began.saturating_sub(owner.pace.interval * 3 / 2));
            if let Some(stats) = self
                .upstream
                .last_told(&address)
                .filter(|_| is_old && self.feeds.is_live(&address))
            {
                let answer = Answer {
                    address,
                    result: Ok(stats),
                };
                owner.picture.hear_stats(answer, heard(&*self.clock, began));
            }
        }
    }

    /// Something that was told without a question.
    pub(super) fn hear(&mut self, owner: &mut Owner, told: Told) {
        match told {
            Told::Changes(address, changes, weight) => {
                // of one that is not listened to any more
                if !self.feeds.mark(&address, true) {
                    return;
                }
                self.cost.bytes += weight.bytes;
                self.cost.parsing += weight.parsing;
                self.upstream.metrics().polled(&address, weight.bytes, false);
                let result = Ok(self.upstream.told(&address, *changes));
                let began = self.clock.monotonic();
                owner
                    .picture
                    .hear_stats(Answer { address, result }, heard(&*self.clock, began));
            }
            Told::Notice(address) => {
                if !self.notices.nodes.contains(&address) {
                    self.notices.nodes.push(address);
                }
                let now = Instant::now();
                let next = self.notices.last.map_or(now, |last| (last + NOTICES).max(now));
                self.notices.due.get_or_insert(next);
            }
            Told::Ended(address) => {
                self.feeds.mark(&address, false);
            }
        }
    }

    /// Asks those on which something happened.
    pub(super) fn ask_noticed(&mut self, owner: &Owner) {
        self.notices.due = None;
        self.notices.last = Some(Instant::now());
        for address in std::mem::take(&mut self.notices.nodes) {
            if !self.notices.asked.contains(&address) {
                self.notices.asked.push(address.clone());
            }
            if !self.busy.contains(&address) {
                self.busy.push(address.clone());
                self.ask_stats(owner, address, Duration::ZERO);
            }
        }
    }

    fn ask_stats(&mut self, owner: &Owner, address: String, wait: Duration) {
        let is_followed = owner.picture.can(&address, since::EXTENSION);
        let (upstream, clock) = (Arc::clone(&self.upstream), Arc::clone(&self.clock));
        let permits = Arc::clone(&self.permits);
        self.questions.push(Box::pin(async move {
            if !wait.is_zero() {
                sleep(wait).await;
            }
            // never closed
            let _permit = permits.acquire().await;
            let began = clock.monotonic();
            let (answer, weight) = if is_followed {
                upstream.changed_stats_of(address).await
            } else {
                upstream.weighed_stats_of(address).await
            };
            Came::Stats(Box::new(answer), weight, heard(&*clock, began))
        }));
    }

    fn ask_nodes(&mut self, owner: &Owner, over: Duration, with_infos: bool) {
        let now = self.clock.unix_nanos() / 1_000_000_000;
        let nodes = owner.picture.due(now, |trouble| match trouble.failures {
            0..=BACKS_OFF => 0,
            _ if now.saturating_sub(trouble.since) < LONG => OFF,
            _ => LONG_OFF,
        });
        let nodes: Vec<String> = nodes
            .into_iter()
            .filter(|address| !self.busy.contains(address))
            .collect();
        let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX).max(1);
        for (at, address) in (0_u32..).zip(nodes) {
            if with_infos || owner.picture.is_unknown(&address) {
                let (upstream, address) = (Arc::clone(&self.upstream), address.clone());
                self.questions.push(Box::pin(
                    async move { Came::Info(upstream.info_of(address).await) },
                ));
            }
            if owner.picture.is_on_the_move(&address) {
                self.ask_lifecycle(address.clone());
            }
            if self.feeds.is_live(&address) {
                continue;
            }
            self.busy.push(address.clone());
            self.round.push(address.clone());
            self.ask_stats(owner, address, over / count * at);
        }
    }

    fn ask_lifecycle(&mut self, address: String) {
        let upstream = Arc::clone(&self.upstream);
        self.questions.push(Box::pin(async move {
            Came::Lifecycle(upstream.lifecycle_of(address).await)
        }));
    }

    pub(super) fn take(&mut self, owner: &mut Owner, came: Came, over: Duration) {
        match came {
            Came::Topics(answer) => owner.picture.hear_topics(answer),
            Came::Info(answer) => {
                let address = answer.address.clone();
                let was_moving = owner.picture.is_on_the_move(&address);
                owner.picture.hear_info(answer);
                if !was_moving && owner.picture.is_on_the_move(&address) {
                    self.ask_lifecycle(address);
                }
                self.follow(owner);
            }
            Came::Lifecycle(answer) => owner.picture.hear_lifecycle(answer),
            Came::Nodes(answer, heard) => {
                self.is_back(&answer.address);
                owner.picture.hear_nodes(answer, heard);
                // nodes that nobody knew before are asked in the same round
                let known: Vec<String> = self.round.clone();
                self.ask_nodes_but(owner, &known, over);
            }
            Came::Stats(answer, weight, heard) => {
                self.is_back(&answer.address);
                self.cost.bytes += weight.bytes;
                self.cost.parsing += weight.parsing;
                let asked = self.notices.asked.len();
                self.notices.asked.retain(|own| *own != answer.address);
                self.notices.is_news |= self.notices.asked.len() < asked;
                let is_error = answer.result.is_err();
                self.upstream
                    .metrics()
                    .polled(&answer.address, weight.bytes, is_error);
                owner.picture.hear_stats(*answer, heard);
            }
        }
    }

    fn ask_nodes_but(&mut self, owner: &Owner, known: &[String], over: Duration) {
        let is_new = owner
            .picture
            .addresses()
            .iter()
            .any(|address| !known.contains(address) && owner.picture.is_new(address));
        if is_new {
            self.ask_nodes(owner, over, false);
        }
    }

    fn is_back(&mut self, address: &str) {
        self.busy.retain(|own| own != address);
    }

    /// Whether all of this round answered.
    pub(super) fn is_over(&self) -> bool {
        self.round.iter().all(|address| !self.busy.contains(address))
    }
}

fn heard(clock: &dyn Clock, began: Duration) -> Heard {
    let monotonic = clock.monotonic();
    Heard {
        at: clock.unix_nanos() / 1_000_000_000,
        monotonic,
        took: monotonic.saturating_sub(began),
    }
}
