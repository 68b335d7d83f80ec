//! What is wrong (console spec 3.1): the rules, one function for each kind of subject. Pure: evaluated once for each picture.

mod channels;
mod upstreams;

use std::collections::HashMap;
use std::sync::Arc;

use super::history::History;
use super::snapshot::Snapshot;

/// How bad it is; worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Severity {
    Info,
    Warn,
    Bad,
}

/// A rule of the spec, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rule {
    NodeSilent = 1,
    NodeGone = 2,
    PartlyRegistered = 3,
    Unhealthy = 4,
    LookupdSilent = 6,
    NoConsumers = 7,
    ConsumersIdle = 8,
    StuckInFlight = 9,
    Growing = 10,
    TimeoutStorm = 11,
    RequeueStorm = 12,
    DeadLetters = 13,
    OldestAge = 14,
    NoChannel = 15,
    Paused = 16,
    VersionSkew = 17,
    SelfSlow = 19,
    ReadOnly = 20,
    Dropping = 21,
}

/// Polls in a row without an answer that make an upstream silent.
const SILENT_POLLS: u32 = 3;

/// What the page of help says of each rule: id, severity, condition, for how long.
pub(crate) const RULES: &[(Rule, &str, &str, &str)] = &[
    (
        Rule::NodeSilent,
        "bad",
        "a listed nsqd did not answer 3 polls in a row",
        "",
    ),
    (
        Rule::NodeGone,
        "bad",
        "answered within the last hour and is in no list now",
        "",
    ),
    (
        Rule::PartlyRegistered,
        "warn",
        "in some but not all nsqlookupds that answer",
        "30 s",
    ),
    (
        Rule::Unhealthy,
        "bad",
        "the nsqd says that its health is not OK",
        "",
    ),
    (
        Rule::LookupdSilent,
        "warn, bad if all",
        "a nsqlookupd did not answer 3 polls in a row",
        "",
    ),
    (
        Rule::NoConsumers,
        "warn, bad if it grows",
        "messages wait and no client is connected",
        "60 s",
    ),
    (
        Rule::ConsumersIdle,
        "bad",
        "messages wait, clients are connected, and nothing is in flight or done",
        "15 s",
    ),
    (
        Rule::StuckInFlight,
        "bad",
        "messages are in flight and none is done",
        "60 s",
    ),
    (
        Rule::Growing,
        "warn",
        "the depth rose over 5 min by more than 100 and 10 %, and rises now",
        "5 min",
    ),
    (
        Rule::TimeoutStorm,
        "warn",
        "time-outs are 5 % of deliveries, and at least 10 in 5 min",
        "",
    ),
    (
        Rule::RequeueStorm,
        "warn",
        "requeues are 20 % of deliveries, and at least 10 in 5 min",
        "",
    ),
    (
        Rule::DeadLetters,
        "warn, bad if it rose",
        "there are dead letters",
        "",
    ),
    (
        Rule::OldestAge,
        "warn",
        "the oldest message waits for more than 15 min",
        "",
    ),
    (
        Rule::NoChannel,
        "warn",
        "messages wait in a topic without a channel",
        "60 s",
    ),
    (Rule::Paused, "info", "a topic or a channel is paused", ""),
    (
        Rule::VersionSkew,
        "info",
        "a node has an older version than another",
        "",
    ),
    (
        Rule::SelfSlow,
        "info",
        "asking everybody takes longer than the interval, 3 times in a row",
        "",
    ),
    (
        Rule::ReadOnly,
        "bad",
        "a topic refuses publishes on some node",
        "",
    ),
    (
        Rule::Dropping,
        "warn",
        "messages were dropped in the last 15 min",
        "",
    ),
];

impl Rule {
    /// Such as `R07`.
    pub(crate) fn id(self) -> String {
        format!("R{:02}", self as u8)
    }

    /// Seconds that it must hold before it is said.
    fn hold(self) -> i64 {
        match self {
            Self::PartlyRegistered => 30,
            Self::NoConsumers | Self::StuckInFlight | Self::NoChannel => 60,
            Self::ConsumersIdle => 15,
            _ => 0,
        }
    }
}

/// Whom it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    Console,
    Lookupd(String),
    Node(String),
    Topic(Arc<str>),
    Channel(Arc<str>, Arc<str>),
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) severity: Severity,
    pub(crate) subject: Subject,
    /// Without the subject.
    pub(crate) text: String,
    /// Unix seconds.
    pub(crate) since: i64,
}

/// A condition that holds at this moment.
struct Held {
    rule: Rule,
    severity: Severity,
    subject: Subject,
    text: String,
    /// Unix seconds, if it is known better than from when it was first seen.
    since: Option<i64>,
}

impl Held {
    fn new(rule: Rule, severity: Severity, subject: Subject, text: impl Into<String>) -> Self {
        Self {
            rule,
            severity,
            subject,
            text: text.into(),
            since: None,
        }
    }
}

/// Remembers since when conditions hold.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Failures in a row that make an upstream silent.
    silent_polls: u32,
    since: HashMap<(Rule, Subject), i64>,
}

impl Watch {
    /// Nothing seen yet. Who does not ask again and again says so at the first failure.
    pub(crate) fn new(is_polling: bool) -> Self {
        Self {
            silent_polls: if is_polling { SILENT_POLLS } else { 1 },
            since: HashMap::new(),
        }
    }

    /// What is wrong in this picture: worst first, then newest.
    pub(crate) fn findings(&mut self, snapshot: &Snapshot, history: &History) -> Vec<Finding> {
        let now = snapshot.at;
        let mut held = upstreams::held(snapshot, self.silent_polls);
        held.extend(channels::held(snapshot, history));
        let mut since = HashMap::with_capacity(held.len());
        let mut findings = Vec::new();
        for held in held {
            let key = (held.rule, held.subject.clone());
            let first = held.since.or(self.since.get(&key).copied()).unwrap_or(now);
            since.insert(key, first);
            if now.saturating_sub(first) >= held.rule.hold() {
                findings.push(Finding {
                    rule: held.rule,
                    severity: held.severity,
                    subject: held.subject,
                    text: held.text,
                    since: first,
                });
            }
        }
        self.since = since;
        findings.sort_by(|a, b| {
            let order = b.severity.cmp(&a.severity).then(b.since.cmp(&a.since));
            order
                .then_with(|| a.subject.cmp(&b.subject))
                .then(a.rule.cmp(&b.rule))
        });
        findings
    }
}

/// The worst finding about a topic or one of its channels.
pub(crate) fn of_topic<'a>(findings: &'a [Finding], name: &str) -> Option<&'a Finding> {
    findings.iter().find(|finding| match &finding.subject {
        Subject::Topic(topic) | Subject::Channel(topic, _) => &**topic == name,
        _ => false,
    })
}

/// The worst finding about a channel.
pub(crate) fn of_channel<'a>(findings: &'a [Finding], topic: &str, name: &str) -> Option<&'a Finding> {
    findings.iter().find(|finding| match &finding.subject {
        Subject::Channel(own, channel) => &**own == topic && &**channel == name,
        _ => false,
    })
}

#[cfg(test)]
mod tests;
