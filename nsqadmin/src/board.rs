//! What pages are made of: the newest picture, what is wrong in it, and what the numbers were. With a poll interval a task owns
//! all three and publishes; without one they are made when a page asks.
//!
//! | part | what |
//! |---|---|
//! | `rounds` | questions of a round, and what comes without a question |
//! | `feeds` | streams of nsqds that tell by themselves |
//! | `pace` | how often. Pure |

mod feeds;
mod pace;
mod rounds;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nsq_service::clock::Clock;
use nsq_service::tasks::Tasks;
use pace::{Pace, pace};
use parking_lot::RwLock;
use rounds::Rounds;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::action::{Action, Verb};
use crate::model::{Event, Finding, History, Picture, Place, Snapshot, Watch};
use crate::options::Polling;
use crate::upstream::Upstream;

/// Without polling a picture is used again for this long, so that many readers cost the cluster one question.
const FRESH: Duration = Duration::from_secs(2);

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
            let round = Rounds::new(Arc::clone(&upstream), Arc::clone(&clock), tasks.clone());
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
                let mut rounds = Rounds::new(
                    Arc::clone(&self.upstream),
                    Arc::clone(&self.clock),
                    // nobody is listened to: its tasks are none
                    Tasks::new(),
                );
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
