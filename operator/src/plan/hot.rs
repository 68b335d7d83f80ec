//! Options that reach running nodes without a restart: the list of registries and the log level. Source: operator spec 5.9.

use std::collections::BTreeSet;

use super::action::{Event, EventReason, NodeRequest};
use super::draft::Draft;
use super::observed::{Life, Node};
use crate::api::LogLevel;

/// Level of a node whose spec names none: the daemons' own default.
const DEFAULT_LEVEL: LogLevel = LogLevel::Info;

/// Compares every node that stays for now and answered with what it should have. True if something had to be asked.
pub(super) fn plan(draft: &mut Draft<'_>, current: i32, addresses: &[String]) -> bool {
    let observed = draft.observed;
    let level = observed
        .cluster
        .spec
        .nsqd
        .options
        .log_level
        .unwrap_or(DEFAULT_LEVEL);
    let (mut lists, mut levels) = (Vec::new(), Vec::new());
    let staying = |node: &&Node| node.ordinal < current && node.life != Life::Stopping;
    for node in observed.nodes.iter().filter(staying) {
        let Ok(facts) = &node.facts else { continue };
        let sealing = draft.sealing.contains(&node.ordinal);
        let wanted: BTreeSet<&String> = addresses.iter().collect();
        if !sealing && facts.lookupds.iter().collect::<BTreeSet<_>>() != wanted {
            draft.ask(node.ordinal, NodeRequest::Lookupds(addresses.to_vec()));
            lists.push(node.name.as_str());
        }
        if facts.log_level != number(level) {
            draft.ask(node.ordinal, NodeRequest::LogLevel(level));
            levels.push(node.name.as_str());
        }
    }
    let mut tell = |what: String, nodes: &[&str]| {
        if !nodes.is_empty() {
            draft.event(Event {
                warning: false,
                reason: EventReason::ConfigApplied,
                note: format!("{what} on {}", nodes.join(", ")),
            });
        }
    };
    tell(format!("nsqlookupd list of {}", addresses.len()), &lists);
    tell(format!("log level {}", level.as_str()), &levels);
    !lists.is_empty() || !levels.is_empty()
}

/// As `GET /config/log_level` answers.
fn number(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 1,
        LogLevel::Info => 2,
        LogLevel::Warn => 3,
        LogLevel::Error => 4,
        LogLevel::Fatal => 5,
    }
}
