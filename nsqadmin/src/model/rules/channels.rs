//! Rules about topics and channels.

use std::sync::Arc;

use super::{Held, Rule, Severity, Subject};
use crate::fmt::count;
use crate::model::history::{History, Metric, Of};
use crate::model::snapshot::{Channel, Snapshot, Topic, is_ephemeral};

/// Seconds over which growth and storms are looked at.
const FIVE_MINUTES: i64 = 300;

/// Seconds in which a new dead letter or a dropped message counts as new.
const QUARTER_HOUR: i64 = 900;

/// Events in five minutes that are few enough for any reason.
const FEW: f32 = 10.0;

/// Messages that are few enough for one of them to be the reason.
const ONE_MESSAGE: i64 = 5;

pub(super) fn held(snapshot: &Snapshot, history: &History) -> Vec<Held> {
    let mut held = Vec::new();
    for topic in snapshot.topics.iter().filter(|topic| topic.spread.answered > 0) {
        held.extend(of_topic(topic));
        for channel in topic
            .channels
            .iter()
            .filter(|channel| channel.spread.answered > 0)
        {
            let channel = Seen {
                topic: &topic.name,
                channel,
                history,
                now: snapshot.at,
                is_topic_paused: topic.spread.paused > 0,
            };
            held.extend(channel.held());
        }
    }
    held
}

fn of_topic(topic: &Topic) -> Vec<Held> {
    let mut held = Vec::new();
    let subject = || Subject::Topic(Arc::clone(&topic.name));
    if topic.channels.is_empty() && topic.own.depth > 0 {
        let text = format!(
            "{} and there is no channel to take them",
            waiting(topic.own.depth)
        );
        held.push(Held::new(Rule::NoChannel, Severity::Warn, subject(), text));
    }
    if topic.spread.paused > 0 {
        let text = paused("topic", topic.spread.paused, topic.spread.answered);
        held.push(Held::new(Rule::Paused, Severity::Info, subject(), text));
    }
    if topic.read_only > 0 {
        let text = format!(
            "refuses publishes on {} of {} nodes",
            topic.read_only, topic.spread.answered
        );
        held.push(Held::new(Rule::ReadOnly, Severity::Bad, subject(), text));
    }
    held
}

fn clients(many: u32) -> String {
    if many == 1 {
        "1 client".to_owned()
    } else {
        format!("{many} clients")
    }
}

fn waiting(many: i64) -> String {
    if many == 1 {
        "1 message waits".to_owned()
    } else {
        format!("{} messages wait", count(many))
    }
}

fn paused(what: &str, paused: usize, nodes: usize) -> String {
    if paused == nodes {
        format!("{what} is paused")
    } else {
        format!("{what} is paused on {paused} of {nodes} nodes")
    }
}

struct Seen<'a> {
    topic: &'a Arc<str>,
    channel: &'a Channel,
    history: &'a History,
    now: i64,
    is_topic_paused: bool,
}

impl Seen<'_> {
    fn of(&self) -> Of<'_> {
        Of::Channel(self.topic, &self.channel.name)
    }

    fn hold(&self, rule: Rule, severity: Severity, text: impl Into<String>) -> Held {
        let subject = Subject::Channel(Arc::clone(self.topic), Arc::clone(&self.channel.name));
        Held::new(rule, severity, subject, text)
    }

    fn held(&self) -> Vec<Held> {
        let all = [
            self.waits(),
            self.stuck(),
            self.growing(),
            self.time_outs(),
            self.requeues(),
            self.dead(),
            self.old(),
            self.is_paused(),
            self.dropping(),
        ];
        all.into_iter().flatten().collect()
    }

    fn runs(&self) -> bool {
        self.channel.spread.paused == 0
    }

    /// R07 and R08: messages wait, and nobody takes them.
    fn waits(&self) -> Option<Held> {
        let numbers = &self.channel.numbers;
        if numbers.depth <= 0 || !self.runs() {
            return None;
        }
        if numbers.clients == 0 {
            if is_ephemeral(&self.channel.name) {
                return None;
            }
            let grows = numbers.rates.entered > numbers.rates.done.max(0.0);
            let severity = if grows { Severity::Bad } else { Severity::Warn };
            let text = format!("{} and no client is connected", waiting(numbers.depth));
            return Some(self.hold(Rule::NoConsumers, severity, text));
        }
        let is_idle = numbers.in_flight == 0 && numbers.rates.done == 0.0;
        is_idle.then(|| {
            let text = format!(
                "{} connected, nothing in flight, {} waiting",
                clients(numbers.clients),
                count(numbers.depth)
            );
            self.hold(Rule::ConsumersIdle, Severity::Bad, text)
        })
    }

    fn stuck(&self) -> Option<Held> {
        let numbers = &self.channel.numbers;
        let is_stuck = numbers.in_flight > 0
            && numbers.rates.done == 0.0
            && (numbers.depth > 0 || numbers.rates.timed_out > 0.0)
            && self.runs();
        is_stuck.then(|| {
            let text = format!(
                "{} in flight and none is finished, {} waiting",
                numbers.in_flight,
                count(numbers.depth)
            );
            self.hold(Rule::StuckInFlight, Severity::Bad, text)
        })
    }

    /// First and last depth of the last five minutes.
    fn growing(&self) -> Option<Held> {
        if self.is_topic_paused {
            return None;
        }
        let points = self
            .history
            .recent(self.of(), Metric::Depth, FIVE_MINUTES, self.now);
        let mut known = points.iter().filter(|(_, depth)| !depth.is_nan());
        let (began, first) = *known.next()?;
        let (ended, last) = *known.next_back()?;
        let before_last = known.next_back().map_or(first, |(_, depth)| *depth);
        let rose = last - first;
        if rose <= (first / 10.0).max(100.0) || last <= before_last {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "five minutes in seconds")]
        let speed = rose / (ended.saturating_sub(began).max(1) as f32);
        let text = format!(
            "depth {}, growing {speed:.0}/s",
            count(self.channel.numbers.depth)
        );
        Some(self.hold(Rule::Growing, Severity::Warn, text))
    }

    /// How many in five minutes, from the speed at each point.
    fn counted(&self, metric: Metric) -> f32 {
        let points = self.history.recent(self.of(), metric, FIVE_MINUTES, self.now);
        let pairs = points.iter().zip(points.iter().skip(1));
        #[allow(clippy::cast_precision_loss, reason = "seconds between two polls")]
        let parts = pairs.map(|((before, _), (at, speed))| speed * at.saturating_sub(*before) as f32);
        parts.filter(|part| !part.is_nan()).sum()
    }

    /// Time-outs or requeues that are more than `part` of all deliveries.
    fn storm(&self, metric: Metric, part: f32) -> Option<(f32, f32)> {
        let many = self.counted(metric);
        if many < FEW {
            return None;
        }
        let all: f32 = [Metric::Done, Metric::Requeued, Metric::TimedOut]
            .into_iter()
            .map(|of| self.counted(of))
            .sum();
        let share = many / all;
        (share >= part).then_some((many, share * 100.0))
    }

    fn time_outs(&self) -> Option<Held> {
        let (many, share) = self.storm(Metric::TimedOut, 0.05)?;
        let text = format!("{many:.0} time-outs in 5 min, {share:.0} % of deliveries");
        Some(self.hold(Rule::TimeoutStorm, Severity::Warn, text))
    }

    fn requeues(&self) -> Option<Held> {
        let (many, share) = self.storm(Metric::Requeued, 0.2)?;
        let text = if self.channel.numbers.unfinished() <= ONE_MESSAGE {
            format!("one message retried {many:.0} times in 5 min")
        } else {
            format!("{many:.0} requeues in 5 min, {share:.0} % of deliveries")
        };
        Some(self.hold(Rule::RequeueStorm, Severity::Warn, text))
    }

    /// Whether a counter is higher than a quarter of an hour ago, or than when the console began.
    fn rose(&self, metric: Metric) -> bool {
        let points = self
            .history
            .points(self.of(), metric, QUARTER_HOUR, self.now, usize::MAX);
        let mut known = points
            .iter()
            .map(|(_, value)| *value)
            .filter(|value| !value.is_nan());
        let first = known.next();
        match (first, known.next_back()) {
            (Some(first), Some(last)) => last > first,
            _ => false,
        }
    }

    fn dead(&self) -> Option<Held> {
        let dead = self.channel.numbers.dead;
        if dead == 0 {
            return None;
        }
        let severity = if self.rose(Metric::Dead) {
            Severity::Bad
        } else {
            Severity::Warn
        };
        Some(self.hold(Rule::DeadLetters, severity, format!("{dead} dead letters")))
    }

    fn old(&self) -> Option<Held> {
        let minutes = self.channel.numbers.oldest_ms / 60_000;
        (minutes >= 15).then(|| {
            let text = format!("the oldest message waits for {minutes} min");
            self.hold(Rule::OldestAge, Severity::Warn, text)
        })
    }

    fn is_paused(&self) -> Option<Held> {
        let spread = self.channel.spread;
        (spread.paused > 0).then(|| {
            let text = paused("channel", spread.paused, spread.answered);
            self.hold(Rule::Paused, Severity::Info, text)
        })
    }

    fn dropping(&self) -> Option<Held> {
        (self.channel.numbers.dropped > 0 && self.rose(Metric::Dropped)).then(|| {
            let text = format!(
                "{} messages were dropped without being finished",
                self.channel.numbers.dropped
            );
            self.hold(Rule::Dropping, Severity::Warn, text)
        })
    }
}
