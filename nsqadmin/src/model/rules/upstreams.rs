//! Rules about nodes, nsqlookupds and this console.

use super::{Held, Rule, Severity, Subject};
use crate::fmt::count;
use crate::model::snapshot::{NodeState, Snapshot, Source};

/// Rounds in a row that are too slow.
const SLOW_ROUNDS: u32 = 3;

pub(super) fn held(snapshot: &Snapshot, silent_polls: u32) -> Vec<Held> {
    let mut held = Vec::new();
    let answering: Vec<&Source> = snapshot
        .lookupds
        .iter()
        .filter(|source| source.trouble.is_none())
        .collect();
    for node in &snapshot.nodes {
        held.extend(silent(node, silent_polls));
        held.extend(ill(node));
        held.extend(partly_registered(node, &answering));
        if node.listed.out_of_date {
            let text = format!("runs {}, others have a newer version", node.listed.version);
            held.push(Held::new(Rule::VersionSkew, Severity::Info, subject(node), text));
        }
    }
    for gone in &snapshot.gone {
        let text = format!("is in no list any more (last depth {})", count(gone.depth));
        held.push(Held {
            since: Some(gone.seen),
            ..Held::new(
                Rule::NodeGone,
                Severity::Bad,
                Subject::Node(gone.key.clone()),
                text,
            )
        });
    }
    let severity = if answering.is_empty() {
        Severity::Bad
    } else {
        Severity::Warn
    };
    for source in &snapshot.lookupds {
        if let Some(trouble) = source
            .trouble
            .as_ref()
            .filter(|trouble| trouble.failures >= silent_polls)
        {
            let text = format!("nsqlookupd does not answer ({})", trouble.reason);
            held.push(Held {
                since: Some(trouble.since),
                ..Held::new(
                    Rule::LookupdSilent,
                    severity,
                    Subject::Lookupd(source.address.clone()),
                    text,
                )
            });
        }
    }
    if snapshot.slow_rounds >= SLOW_ROUNDS {
        let text = format!(
            "asking everybody takes {:.1} s, more than the interval",
            snapshot.round.as_secs_f64()
        );
        held.push(Held::new(Rule::SelfSlow, Severity::Info, Subject::Console, text));
    }
    held
}

fn subject(node: &NodeState) -> Subject {
    Subject::Node(node.key.clone())
}

fn silent(node: &NodeState, silent_polls: u32) -> Option<Held> {
    let trouble = node
        .trouble
        .as_ref()
        .filter(|trouble| trouble.failures >= silent_polls)?;
    let depth = match &node.said {
        Some(said) => format!(", last depth {}", count(said.depth())),
        None => String::new(),
    };
    let text = format!("does not answer ({}){depth}", trouble.reason);
    Some(Held {
        since: Some(trouble.since),
        ..Held::new(Rule::NodeSilent, Severity::Bad, subject(node), text)
    })
}

fn ill(node: &NodeState) -> Option<Held> {
    let health = node.ill()?;
    let text = if health.contains("no space left") {
        format!("disk full: {health}")
    } else {
        format!("is not healthy: {health}")
    };
    Some(Held::new(Rule::Unhealthy, Severity::Bad, subject(node), text))
}

fn partly_registered(node: &NodeState, answering: &[&Source]) -> Option<Held> {
    let (has, lacks): (Vec<&Source>, Vec<&Source>) = answering
        .iter()
        .partition(|source| source.nodes.contains(&node.key));
    if has.is_empty() || lacks.is_empty() {
        return None;
    }
    let names: Vec<&str> = lacks.iter().map(|source| source.address.as_str()).collect();
    let text = format!("is not registered with {}", names.join(", "));
    Some(Held::new(
        Rule::PartlyRegistered,
        Severity::Warn,
        subject(node),
        text,
    ))
}
