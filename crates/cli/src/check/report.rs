//! How a check is told: a tick or a cross for each category, and below it what is wrong and what to do. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use super::facts::Facts;

/// What is looked at, in this order; the last five before an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The registries.
    Nsqlookupd,
    /// nsqds and their registrations.
    Nodes,
    /// From here to them: network, TLS, secret.
    Connections,
    /// Topics.
    Topics,
    /// Channels and their consumers.
    Channels,
    /// There and back.
    Messages,
    /// The API server.
    Kubernetes,
    /// What whoever installs may do there.
    Rights,
    /// Where volumes come from.
    Storage,
    /// Of our kinds.
    Definitions,
    /// Where pods are to run.
    Namespaces,
}

impl Category {
    const fn word(self) -> &'static str {
        match self {
            Self::Nsqlookupd => "nsqlookupd",
            Self::Nodes => "nodes",
            Self::Connections => "connections",
            Self::Topics => "topics",
            Self::Channels => "channels",
            Self::Messages => "messages",
            Self::Kubernetes => "kubernetes",
            Self::Rights => "rights",
            Self::Storage => "storage",
            Self::Definitions => "definitions",
            Self::Namespaces => "namespaces",
        }
    }
}

/// Something that is wrong, or that may be meant so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Where it belongs.
    pub category: Category,
    /// Stable code, which `nsq explain` knows.
    pub code: &'static str,
    /// Wrong in any case; else it may be meant so, as a pause is.
    pub wrong: bool,
    /// The daemon, topic or channel.
    pub subject: String,
    /// What was seen.
    pub what: String,
    /// What to do.
    pub todo: String,
}

impl Finding {
    /// Something wrong.
    pub fn wrong(
        category: Category,
        code: &'static str,
        subject: impl Into<String>,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            category,
            code,
            wrong: true,
            subject: subject.into(),
            what: what.into(),
            todo: todo.into(),
        }
    }

    /// It may be meant so.
    #[must_use]
    pub fn note(self) -> Self {
        Self { wrong: false, ..self }
    }
}

/// Form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// The result of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Nothing is wrong.
    pub ok: bool,
    /// One line for each category.
    summary: Vec<(Category, String)>,
    /// What is wrong and what may be.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(facts: &Facts, messages: String, findings: Vec<Finding>) -> Self {
        let stats = || {
            facts
                .nodes
                .iter()
                .filter_map(|node| node.stats.as_ref()?.as_ref().ok())
        };
        let topics = || stats().flat_map(|stats| stats.topics.iter().flatten());
        let channels = || topics().flat_map(|topic| &topic.channels);
        let names = |names: Vec<&String>| names.into_iter().collect::<std::collections::BTreeSet<_>>().len();
        let consumers: i64 = channels().map(|channel| channel.client_count).sum();
        let reached = facts
            .nodes
            .iter()
            .filter(|node| matches!(node.reached, Some(Ok(()))));
        let summary = vec![
            (
                Category::Nsqlookupd,
                format!(
                    "{} of {} answer",
                    facts.answering_lookupds().len(),
                    facts.lookupds.len()
                ),
            ),
            (
                Category::Nodes,
                format!("{} of {} tell their state", stats().count(), facts.nodes.len()),
            ),
            (
                Category::Connections,
                format!(
                    "{} of {} accept clients from here",
                    reached.count(),
                    facts.nodes.len()
                ),
            ),
            (
                Category::Topics,
                names(topics().map(|topic| &topic.topic_name).collect()).to_string(),
            ),
            (
                Category::Channels,
                format!("{} on all nodes, {consumers} consumers", channels().count()),
            ),
            (Category::Messages, messages),
        ];
        Self::of(summary, findings)
    }

    /// What was looked at, in this order, and what was found.
    pub(super) fn of(summary: Vec<(Category, String)>, mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        Self {
            ok: !findings.iter().any(|finding| finding.wrong),
            summary,
            findings,
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts and flags alone: nothing in it can fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// For people: at most three lines for each finding.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (category, line) in &self.summary {
            let of: Vec<&Finding> = self.findings.iter().filter(|f| f.category == *category).collect();
            let sign = match (of.is_empty(), of.iter().any(|finding| finding.wrong)) {
                (true, _) => '✓',
                (_, false) => '!',
                (_, true) => '✗',
            };
            let _ = writeln!(text, "{sign} {:11}  {line}", category.word());
            for finding in of {
                let sign = if finding.wrong { '✗' } else { '!' };
                let Finding {
                    code,
                    subject,
                    what,
                    todo,
                    ..
                } = finding;
                let _ = writeln!(text, "    {sign} {subject}: {what} [{code}]\n      do: {todo}");
            }
        }
        let wrong = self.findings.iter().filter(|finding| finding.wrong).count();
        let notes = self.findings.len() - wrong;
        let _ = match (wrong, notes) {
            (0, 0) => writeln!(text, "all is well"),
            (0, notes) => writeln!(text, "nothing is wrong, {notes} to look at"),
            (wrong, notes) => writeln!(text, "{wrong} wrong, {notes} to look at; more: nsq explain CODE"),
        };
        text
    }
}
