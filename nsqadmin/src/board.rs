//! What pages are made of: the newest picture, what is wrong in it, and what the numbers were. With a poll interval a task owns
//! all three and publishes; without one they are made when a page asks.

mod feeds;

use std::sync::Arc;
use std::time::Duration;

use feeds::{Feeds, Told};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use nsq_http_api::since;
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use parking_lot::RwLock;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::action::{Action, Verb};
use crate::model::{Event, Finding, Heard, History, Picture, Place, Snapshot, Watch};
use crate::options::{Polling, Sources};
use crate::upstream::{Answer, PARALLEL, Upstream, Weight};

/// Without polling a picture is used again for this long, so that many readers cost the cluster one question.
const FRESH: Duration = Duration::from_secs(2);

/// `/info` and the names of topics are asked for again after so many seconds.
const SELDOM: Duration = Duration::from_secs(60);
const TOPICS: Duration = Duration::from_secs(30);

/// A node that fails again and again is asked less often: after so many failures and so many seconds.
const BACKS_OFF: u32 = 3;
const OFF: i64 = 15;
const LONG: i64 = 300;
const LONG_OFF: i64 = 30;

/// What a round may bring, and how seldom it becomes for that (console spec 4.1).
const MAX_BYTES_PER_SECOND: usize = 32 << 20;
const SELDOMEST: Duration = Duration::from_secs(60);

/// What happens on a node is looked at at once, but no more often than this.
const NOTICES: Duration = Duration::from_millis(500);

/// Longest wait of an action for a picture that shows what it did.
const CATCH_UP: Duration = Duration::from_secs(2);

/// What a page is made of.
pub(crate) struct View {
    pub(crate) snapshot: Snapshot,
    /// Worst first.
    pub(crate) findings: Vec<Finding>,
    /// Locked for a moment while a picture is added, and while a page reads.
    pub(crate) history: Arc<RwLock<History>>,
    /// The one that is kept; none without polling.
    pub(crate) interval: Option<Duration>,
    /// Why it is longer than the one that was asked for; empty if it is not.
    pub(crate) stretched: &'static str,
}

/// Where views come from.
pub(crate) struct Board {
    upstream: Arc<Upstream>,
    clock: Arc<dyn Clock>,
    source: Source,
}

enum Source {
    Polled {
        views: watch::Receiver<Arc<View>>,
        /// Room for one: a round that is asked for twice is one round.
        wanted: mpsc::Sender<()>,
    },
    OnDemand(Box<Mutex<OnDemand>>),
}

/// Asks when somebody looks.
struct OnDemand {
    owner: Owner,
    /// The last view, and when it was made.
    latest: Option<(Duration, Arc<View>)>,
}

/// The one owner of what was heard.
struct Owner {
    picture: Picture,
    watch: Watch,
    history: Arc<RwLock<History>>,
    interval: Option<Duration>,
    generation: u64,
    slow_rounds: u32,
    /// The interval that is kept, and why it is not the one that was asked for.
    pace: Pace,
    topics_at: Option<Duration>,
    infos_at: Option<Duration>,
}

/// An answer that came.
enum Came {
    Topics(Answer<nsq_http_api::lookupd::Topics>),
    Nodes(Answer<nsq_http_api::lookupd::Nodes>, Heard),
    Info(Answer<nsq_http_api::nsqd::Info>),
    Lifecycle(Answer<nsq_http_api::lifecycle::Lifecycle>),
    Stats(Box<Answer<nsq_http_api::nsqd::Stats>>, Weight, Heard),
}

type Questions = FuturesUnordered<BoxFuture<'static, Came>>;

impl Board {
    /// Starts the task that polls, if there is an interval.
    pub(crate) fn start(
        polling: &Polling,
        upstream: Arc<Upstream>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Self {
        let owner = Owner::new(polling);
        let source = if polling.interval.is_zero() {
            Source::OnDemand(Box::new(Mutex::new(OnDemand { owner, latest: None })))
        } else {
            let (wanted, asked) = mpsc::channel(1);
            let (publish, views) = watch::channel(Arc::new(owner.first()));
            let round = Rounds {
                upstream: Arc::clone(&upstream),
                clock: Arc::clone(&clock),
                permits: Arc::new(Semaphore::new(PARALLEL)),
                questions: Questions::new(),
                busy: Vec::new(),
                round: Vec::new(),
                cost: Weight::default(),
                feeds: Feeds::new(Arc::clone(&upstream), Arc::clone(&clock), tasks.clone()),
                notices: Notices::default(),
            };
            tasks.spawn(poll(
                owner,
                round,
                polling.interval,
                publish,
                asked,
                tasks.clone(),
            ));
            Source::Polled { views, wanted }
        };
        Self {
            upstream,
            clock,
            source,
        }
    }

    /// The newest view.
    pub(crate) async fn view(&self) -> Arc<View> {
        match &self.source {
            Source::Polled { views, .. } => Arc::clone(&views.borrow()),
            Source::OnDemand(latest) => {
                // held while asking: whoever comes meanwhile gets the same picture
                let mut latest = latest.lock().await;
                let OnDemand { owner, latest: view } = &mut *latest;
                if let Some((at, view)) = view
                    && self.clock.monotonic().saturating_sub(*at) < FRESH
                {
                    return Arc::clone(view);
                }
                let mut rounds = Rounds {
                    upstream: Arc::clone(&self.upstream),
                    clock: Arc::clone(&self.clock),
                    permits: Arc::new(Semaphore::new(PARALLEL)),
                    questions: Questions::new(),
                    busy: Vec::new(),
                    round: Vec::new(),
                    cost: Weight::default(),
                    feeds: Feeds::new(Arc::clone(&self.upstream), Arc::clone(&self.clock), Tasks::new()),
                    notices: Notices::default(),
                };
                rounds.ask(owner, Duration::ZERO);
                while let Some(came) = rounds.questions.next().await {
                    rounds.take(owner, came, Duration::ZERO);
                }
                let new = Arc::new(owner.view(&*self.clock));
                *view = Some((self.clock.monotonic(), Arc::clone(&new)));
                new
            }
        }
    }

    /// The newest view, if the cluster is looked at in the background.
    pub(crate) fn latest(&self) -> Option<Arc<View>> {
        match &self.source {
            Source::Polled { views, .. } => Some(Arc::clone(&views.borrow())),
            Source::OnDemand(_) => None,
        }
    }

    /// Views as they come; none without polling.
    pub(crate) fn views(&self) -> Option<watch::Receiver<Arc<View>>> {
        match &self.source {
            Source::Polled { views, .. } => Some(views.clone()),
            Source::OnDemand(_) => None,
        }
    }

    /// Charts show where it was done.
    pub(crate) fn mark(&self, action: &Action) {
        let event = match action.verb {
            Verb::Pause => Event::Paused,
            Verb::Unpause => Event::Unpaused,
            Verb::Empty => Event::Emptied,
            Verb::Create | Verb::Delete | Verb::Tombstone => return,
        };
        if let Some(view) = self.latest() {
            let now = self.clock.unix_nanos() / 1_000_000_000;
            let channel = action.channel.clone().unwrap_or_default();
            let place = Place::Queue(action.topic.clone(), channel);
            view.history.write().mark(now, event, place);
        }
    }

    /// Something was changed: the next view shows it.
    pub(crate) async fn refresh(&self) {
        match &self.source {
            Source::Polled { views, wanted } => {
                let mut views = views.clone();
                let before = views.borrow_and_update().snapshot.generation;
                // full: a round is wanted already
                let _ = wanted.try_send(());
                let next = views.wait_for(|view| view.snapshot.generation > before);
                let _ = tokio::time::timeout(CATCH_UP, next).await;
            }
            Source::OnDemand(latest) => latest.lock().await.latest = None,
        }
    }
}

impl Owner {
    fn new(polling: &Polling) -> Self {
        Self {
            picture: Picture::default(),
            watch: Watch::new(!polling.interval.is_zero()),
            history: Arc::new(RwLock::new(History::new(polling.history_bytes))),
            interval: Some(polling.interval).filter(|interval| !interval.is_zero()),
            generation: 0,
            slow_rounds: 0,
            pace: Pace {
                interval: polling.interval,
                why: "",
            },
            topics_at: None,
            infos_at: None,
        }
    }

    /// Before the first answer.
    fn first(&self) -> View {
        View {
            snapshot: Snapshot::default(),
            findings: Vec::new(),
            history: Arc::clone(&self.history),
            interval: self.interval.map(|_| self.pace.interval),
            stretched: self.pace.why,
        }
    }

    fn view(&mut self, clock: &dyn Clock) -> View {
        let now = clock.unix_nanos() / 1_000_000_000;
        let mut snapshot = self.picture.snapshot(now);
        self.generation += 1;
        snapshot.generation = self.generation;
        snapshot.slow_rounds = self.slow_rounds;
        if self.interval.is_some() {
            self.history.write().record(&snapshot);
        }
        let findings = self.watch.findings(&snapshot, &self.history.read());
        View {
            snapshot,
            findings,
            ..self.first()
        }
    }
}

/// Asks, and remembers who has not answered yet.
struct Rounds {
    upstream: Arc<Upstream>,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    questions: Questions,
    /// Upstreams that were asked and have not answered, in whatever round.
    busy: Vec<String>,
    /// Of these, those of this round.
    round: Vec<String>,
    /// Of the answers that came since the round began.
    cost: Weight,
    feeds: Feeds,
    notices: Notices,
}

/// What happened on nodes and was not looked at yet.
#[derive(Default)]
struct Notices {
    nodes: Vec<String>,
    /// When those are asked.
    due: Option<Instant>,
    last: Option<Instant>,
    /// Were asked, and their answer is shown at once.
    asked: Vec<String>,
    /// One of these answers came.
    is_news: bool,
}

impl Rounds {
    /// One question to everybody who has answered the last one; the nodes' are spread over `over`.
    fn ask(&mut self, owner: &mut Owner, over: Duration) {
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
    fn hear(&mut self, owner: &mut Owner, told: Told) {
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
    fn ask_noticed(&mut self, owner: &Owner) {
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

    fn take(&mut self, owner: &mut Owner, came: Came, over: Duration) {
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
    fn is_over(&self) -> bool {
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

/// How often the cluster is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    interval: Duration,
    why: &'static str,
}

/// As often as is `wanted`, but so that reading what the last round brought takes at most a tenth of a processor, and the network
/// brings at most 32 MiB in a second; never seldomer than once a minute, unless that is wanted.
fn pace(wanted: Duration, cost: Weight) -> Pace {
    let by_parsing = cost.parsing * 10;
    let by_bytes = Duration::from_millis((cost.bytes / (MAX_BYTES_PER_SECOND / 1_000)) as u64);
    let longest = wanted.max(SELDOMEST);
    let (needed, why) = if by_parsing > by_bytes {
        (
            by_parsing,
            "reading the answers would take more than a tenth of a processor",
        )
    } else {
        (by_bytes, "the answers would be more than 32 MiB each second")
    };
    if needed > wanted {
        Pace {
            interval: needed.min(longest),
            why,
        }
    } else {
        Pace {
            interval: wanted,
            why: "",
        }
    }
}

/// The task: round after round until the end.
async fn poll(
    mut owner: Owner,
    mut rounds: Rounds,
    interval: Duration,
    publish: watch::Sender<Arc<View>>,
    mut wanted: mpsc::Receiver<()>,
    tasks: Tasks,
) {
    let mut over = Duration::ZERO;
    let mut last_round = Duration::ZERO;
    let wanted_interval = interval;
    loop {
        let interval = owner.pace.interval;
        let began = Instant::now();
        rounds.ask(&mut owner, over);
        let latest = began + interval * 4 / 5;
        let mut between = began + wanted_interval;
        while !rounds.is_over() {
            tokio::select! {
                () = tasks.stopping() => return,
                () = sleep_until(latest) => break,
                // a long round is shown while it goes on: else all that it replaces would be kept until its end
                () = sleep_until(between), if interval > wanted_interval => {
                    between = Instant::now() + wanted_interval;
                    let mut view = owner.view(&*rounds.clock);
                    view.snapshot.round = last_round;
                    publish.send_replace(Arc::new(view));
                }
                () = until(rounds.notices.due) => rounds.ask_noticed(&owner),
                Some(told) = rounds.feeds.told.recv() => rounds.hear(&mut owner, told),
                Some(came) = rounds.questions.next() => rounds.take(&mut owner, came, over),
            }
            news(&mut owner, &mut rounds, last_round, &publish);
        }
        let round = began.elapsed();
        owner.slow_rounds = if rounds.is_over() {
            0
        } else {
            owner.slow_rounds.saturating_add(1)
        };
        owner.pace = pace(wanted_interval, rounds.cost);
        rounds.upstream.metrics().round(round, owner.pace.interval);
        let mut view = owner.view(&*rounds.clock);
        view.snapshot.round = round;
        last_round = round;
        publish.send_replace(Arc::new(view));
        // the first round is asked at once, the others are spread
        over = interval * 2 / 5;
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = sleep_until(began + interval) => break,
                Some(()) = wanted.recv() => {
                    over = Duration::ZERO;
                    // what was done may have made a topic, or ended one
                    owner.topics_at = None;
                    break;
                }
                () = until(rounds.notices.due) => rounds.ask_noticed(&owner),
                Some(told) = rounds.feeds.told.recv() => rounds.hear(&mut owner, told),
                Some(came) = rounds.questions.next() => rounds.take(&mut owner, came, over),
            }
            news(&mut owner, &mut rounds, round, &publish);
        }
    }
}

/// Never without a moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What a node gave notice of is shown at once (console spec 5.4).
fn news(owner: &mut Owner, rounds: &mut Rounds, round: Duration, publish: &watch::Sender<Arc<View>>) {
    if std::mem::take(&mut rounds.notices.is_news) {
        let mut view = owner.view(&*rounds.clock);
        view.snapshot.round = round;
        publish.send_replace(Arc::new(view));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_cost_much_come_less_often() {
        let wanted = Duration::from_secs(5);
        let pace = |mib: usize, millis: u64| {
            let cost = Weight {
                bytes: mib << 20,
                parsing: Duration::from_millis(millis),
            };
            super::pace(wanted, cost).interval.as_secs()
        };
        assert_eq!(pace(0, 0), 5);
        assert_eq!(pace(159, 499), 5);
        assert_eq!(pace(320, 0), 10);
        assert_eq!(pace(320, 1_200), 12);
        assert_eq!(pace(1 << 20, 0), 60);
        let long = Duration::from_secs(90);
        let much = Weight {
            bytes: usize::MAX / 2,
            parsing: long,
        };
        assert_eq!(super::pace(long, much).interval, long);
    }
}
