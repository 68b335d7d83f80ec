//! What a process remembers about a cluster between passes. Losing it costs a few requests and starts waits again; what an
//! operation of many passes needs stands in the status and in annotations. Source: operator spec 5.1.

use std::collections::BTreeMap;
use std::time::Duration;

use super::child::Kept;
use super::problem::Problem;
use super::queue::Moment;
use super::store::{Children, Entry};
use crate::api::NsqClusterStatus;
use crate::build::ObjectKind;
use crate::plan::Memory;

/// A child by kind and name.
pub(super) type ChildName = (ObjectKind, String);

/// How long an own write may stay unseen before the store counts as complete all the same: what was written may be gone again.
const UNSEEN: Duration = Duration::from_secs(30);

/// What is remembered about one cluster.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Of the plan; none before the first pass of this process.
    pub plan: Option<Memory>,
    /// Hot options that a node refused in the last pass.
    pub refused: Vec<String>,
    /// Versions of own writes that the store does not show yet, and when they were written.
    in_flight: BTreeMap<ChildName, (String, Moment)>,
    /// Version at which an object that somebody else wrote was last put right.
    pub checked: BTreeMap<ChildName, String>,
    /// Objects that could not be applied.
    pub troubles: BTreeMap<ChildName, Trouble>,
    /// The status as it was last written, until the store shows it.
    status: Option<(String, NsqClusterStatus)>,
    /// Failures in a row of writing the status, and when it is tried again.
    pub status_trouble: Option<(u32, Moment)>,
    /// When drain numbers were last written.
    pub status_at: Option<Moment>,
    /// Generation for which objects of kinds without a watch were looked after.
    pub unwatched_at: Option<i64>,
}

/// An object that could not be applied.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Failures in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Moment,
    /// What is wrong, for people.
    pub what: What,
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The API server said so.
    Refused(Problem),
    /// It belongs to somebody else.
    Foreign,
}

impl Remembered {
    /// An object was written.
    pub(super) fn wrote(&mut self, child: ChildName, version: String, now: Moment) {
        self.in_flight.insert(child, (version, now));
    }

    /// Whether the store shows all that was written; a plan made from an older picture would repeat or undo it.
    pub(super) fn is_settled(&mut self, children: &Children, now: Moment) -> bool {
        self.in_flight.retain(|(kind, name), (version, at)| {
            let seen = children.get(&(Kept::Object(*kind), name.clone()));
            let shown = seen.is_some_and(|child| reached(&child.resource_version, version));
            !shown && now.saturating_sub(*at) < UNSEEN
        });
        self.in_flight.is_empty()
    }

    /// The status was written.
    pub(super) fn wrote_status(&mut self, version: String, status: NsqClusterStatus, now: Moment) {
        self.status = Some((version, status));
        self.status_at = Some(now);
        self.status_trouble = None;
    }

    /// The last status: the written one until the store has caught up.
    pub(super) fn status(&mut self, entry: &Entry) -> Option<NsqClusterStatus> {
        let cluster = entry.cluster.as_ref()?;
        let stored = cluster.metadata.resource_version.as_deref().unwrap_or_default();
        if self
            .status
            .as_ref()
            .is_some_and(|(version, _)| reached(stored, version))
        {
            self.status = None;
        }
        match &self.status {
            Some((_, status)) => Some(status.clone()),
            None => cluster.status.clone(),
        }
    }
}

/// Whether `seen` is the version `written` or a later one. Versions are numbers in every API server there is; where they
/// were not, only the same one would count.
fn reached(seen: &str, written: &str) -> bool {
    match (seen.parse::<u64>(), written.parse::<u64>()) {
        (Ok(seen), Ok(written)) => seen >= written,
        _ => seen == written,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::super::child::{Child, Detail};
    use super::*;

    fn children(version: &str) -> Children {
        let child = Child {
            uid: "u".into(),
            resource_version: version.into(),
            owner: None,
            spec_hash: "".into(),
            foreign: false,
            deleting: false,
            detail: Detail::Plain,
        };
        Children::from([(
            (Kept::Object(ObjectKind::Service), "s".to_owned()),
            Arc::new(child),
        )])
    }

    #[test]
    fn nothing_is_decided_before_the_own_write_is_seen() {
        let mut remembered = Remembered::default();
        let second = Duration::from_secs(1);
        remembered.wrote((ObjectKind::Service, "s".to_owned()), "100".to_owned(), second);
        assert!(!remembered.is_settled(&children("99"), second));
        assert!(!remembered.is_settled(&Children::new(), second * 30));
        assert!(remembered.is_settled(&children("100"), second));
        assert!(remembered.is_settled(&Children::new(), second));
    }

    #[test]
    fn what_never_shows_is_waited_for_half_a_minute() {
        let mut remembered = Remembered::default();
        remembered.wrote(
            (ObjectKind::Service, "s".to_owned()),
            "100".to_owned(),
            Duration::ZERO,
        );
        assert!(remembered.is_settled(&Children::new(), UNSEEN));
    }
}
