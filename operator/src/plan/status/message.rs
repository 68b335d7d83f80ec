//! The one line that says what is waited for. Source: operator spec 3.1 and 12.1.

use super::conditions::{Gathered, ROLLING_REGISTRIES};
use crate::api::{Condition, ConditionStatus, ConditionType, Phase};
use crate::plan::Parts;
use crate::plan::draft::{Draft, short};
use crate::plan::observed::{Life, Node};

/// Nodes named in one message.
const MAX_NAMES: usize = 5;

/// The message; empty when there is nothing to say.
pub(super) fn line(
    draft: &Draft<'_>,
    parts: &Parts,
    facts: &Gathered,
    conditions: &[Condition],
    phase: Phase,
) -> String {
    let stalled = conditions.iter().find(|condition| {
        condition.kind == ConditionType::Stalled && condition.status == ConditionStatus::True
    });
    if let Some(stalled) = stalled {
        return format!("{}: {}", stalled.reason, stalled.message);
    }
    match phase {
        Phase::Stopped => return "stopped: volumes kept".to_owned(),
        Phase::Stopping => {
            let names = draft.observed.nodes.iter().map(|node| short(node.ordinal));
            return format!("stopping {}", some(names.collect()));
        }
        _ => {}
    }
    let lines = [
        parts.drain.line.clone(),
        parts.rollout.line.clone(),
        registries(draft, parts),
        nodes(draft, phase),
        facts.wrong.join("; "),
        facts.incomplete.join("; "),
        draft.observed.refused.join("; "),
        parts
            .claims
            .behind
            .as_ref()
            .map_or_else(String::new, |(_, text)| text.clone()),
    ];
    lines
        .into_iter()
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

fn registries(draft: &Draft<'_>, parts: &Parts) -> String {
    if parts.registries.rolling {
        return ROLLING_REGISTRIES.to_owned();
    }
    let unready = draft
        .observed
        .lookupds
        .iter()
        .find(|lookupd| !lookupd.life.is_ready());
    unready.map_or_else(String::new, |lookupd| {
        format!("{} not ready: {}", lookupd.name, lookupd.life.why())
    })
}

/// Nodes that are not ready: joining ones first, because they say best what they wait for.
fn nodes(draft: &Draft<'_>, phase: Phase) -> String {
    let unready: Vec<&Node> = draft.active().filter(|node| !node.life.is_ready()).collect();
    if let Some((node, why)) = unready.iter().find_map(|node| Some((node, joining(&node.life)?))) {
        return format!("{} {why}", short(node.ordinal));
    }
    let Some(first) = unready.first() else {
        return String::new();
    };
    if matches!(phase, Phase::Creating | Phase::ScalingUp | Phase::Pending) && !is_failing(&first.life) {
        let names = unready.iter().map(|node| short(node.ordinal)).collect();
        return format!("waiting for {}: {}", some(names), first.life.why());
    }
    let failing = unready
        .iter()
        .find(|node| is_failing(&node.life))
        .unwrap_or(first);
    format!("{} not ready: {}", short(failing.ordinal), failing.life.why())
}

fn is_failing(life: &Life) -> bool {
    matches!(life, Life::Waiting(why) if why.starts_with("CrashLoop"))
}

/// What a joining node waits for, without the daemon's preamble.
fn joining(life: &Life) -> Option<&str> {
    let Life::NotReady(text) = life else { return None };
    let text = text.strip_prefix("NOT READY - ").unwrap_or(text);
    text.starts_with("joining").then_some(text)
}

fn some(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    let list = names.join(", ");
    if more == 0 {
        list
    } else {
        format!("{list} and {more} more")
    }
}
