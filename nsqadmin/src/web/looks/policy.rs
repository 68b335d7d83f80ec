//! What is set for a topic or a channel, what is inherited, and what applies; node by node where nodes differ (console spec 2.1).

use std::collections::BTreeSet;

use nsq_http_api::policy::Policy;
use serde_json::Value;

use super::super::page::Page;
use super::super::table::{Column, Plan};
use super::super::td::Td;
use super::{Look, complain};

/// A key, on all nodes or on one.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    key: String,
    /// None for all of them.
    node: Option<String>,
    set: Option<Value>,
    effective: Option<Value>,
    /// Where what applies comes from.
    from: &'static str,
}

/// The policy on a node, and that of the topic above it.
struct On {
    node: String,
    own: Policy,
    above: Option<Policy>,
}

pub(super) async fn page(look: &Look<'_>) -> Page {
    let nodes = look.meant();
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    let upstream = &look.shared.upstream;
    let own = upstream.policies(&addresses, look.topic, look.channel).await;
    let above = match look.channel {
        Some(_) => upstream.policies(&addresses, look.topic, None).await,
        None => Vec::new(),
    };
    let mut page = look.frame();
    page.tiles.clear();
    let mut above = above.into_iter();
    let mut all = Vec::new();
    for (node, answer) in nodes.iter().zip(own) {
        let above = above.next().and_then(|answer| answer.result.ok());
        match answer.result {
            Ok(own) => all.push(On {
                node: node.key.clone(),
                own,
                above,
            }),
            Err(error) => complain(&mut page, node, &error),
        }
    }
    let lines = lines(&all);
    let differing: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line.node.is_some())
        .map(|line| line.key.as_str())
        .collect();
    if !differing.is_empty() {
        let keys: Vec<&str> = differing.into_iter().collect();
        page.notices.push(super::super::page::Notice {
            class: "warn",
            text: format!("The nodes differ in {}.", keys.join(", ")),
            ..Default::default()
        });
    }
    let plan = Plan {
        heading: "Policy",
        columns: columns(look),
        name: Box::new(|line: &Line| format!("{} {}", line.key, line.node.as_deref().unwrap_or_default())),
        empty: "No node says what applies.",
        has_filter: true,
        is_whole: true,
        ..Plan::default()
    };
    let class = |line: &Line| if line.node.is_some() { "warn" } else { "" };
    let mut table = plan.show(lines, &look.visit.place, class).0;
    if look.nodes.len() > 1 {
        super::rows::choose_node(look, &mut table, "all nodes");
    }
    page.tables.push(table);
    page
}

fn columns<'a>(look: &'a Look<'_>) -> Vec<Column<'a, Line>> {
    let shown = |value: &Option<Value>| value.as_ref().map(text).unwrap_or_default();
    vec![
        Column::text("key", "Setting", "as the policy calls it", |line: &Line| {
            Td::text(&line.key)
        }),
        Column::text("node", "Node", "where nodes differ", |line: &Line| {
            match &line.node {
                Some(node) => Td::link(node, look.visit.url(&["nodes", node])),
                None => Td::text("all"),
            }
        }),
        Column::text("set", "Set here", "", move |line: &Line| {
            Td::text(shown(&line.set))
        }),
        Column::text(
            "effective",
            "Applies",
            "what the node goes by",
            move |line: &Line| Td::text(shown(&line.effective)),
        ),
        Column::text("from", "Comes from", "", |line: &Line| Td::text(line.from)),
    ]
}

/// As somebody would write it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One line for each key on which all nodes agree, one for each node where they do not. Pure.
fn lines(all: &[On]) -> Vec<Line> {
    let keys: BTreeSet<&String> = all
        .iter()
        .flat_map(|on| on.own.effective.keys().chain(on.own.set.keys()))
        .collect();
    let mut lines = Vec::new();
    for key in keys {
        let each: Vec<Line> = all.iter().map(|on| on.line(key)).collect();
        let same = |line: &Line| Line {
            node: None,
            ..line.clone()
        };
        match each.first().map(same) {
            Some(first) if each.iter().all(|line| same(line) == first) => lines.push(first),
            _ => lines.extend(each),
        }
    }
    lines
}

impl On {
    fn line(&self, key: &str) -> Line {
        let is_above = self
            .above
            .as_ref()
            .is_some_and(|above| above.set.contains_key(key));
        Line {
            key: key.to_owned(),
            node: Some(self.node.clone()),
            set: self.own.set.get(key).cloned(),
            effective: self.own.effective.get(key).cloned(),
            from: match (self.own.set.contains_key(key), is_above) {
                (true, _) => "here",
                (false, true) => "the topic",
                (false, false) => "the nsqd",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(set: Value, effective: Value) -> Policy {
        let map = |value: Value| value.as_object().cloned().unwrap();
        Policy {
            set: map(set),
            effective: map(effective),
            ..Policy::default()
        }
    }

    fn on(node: &str, own: Policy, above: Option<Policy>) -> On {
        On {
            node: node.to_owned(),
            own,
            above,
        }
    }

    #[test]
    fn where_nodes_agree_there_is_one_line_and_it_says_where_the_value_comes_from() {
        let own = || {
            policy(
                json!({"ttl": "1h0m0s"}),
                json!({"ttl": "1h0m0s", "max_attempts": 5, "channel_full": "drop_oldest"}),
            )
        };
        let above = || Some(policy(json!({"max_attempts": 5}), json!({})));
        let lines = lines(&[on("a", own(), above()), on("b", own(), above())]);
        let shown: Vec<_> = lines
            .iter()
            .map(|line| (line.key.as_str(), line.node.as_deref(), line.from))
            .collect();
        assert_eq!(
            shown,
            [
                ("channel_full", None, "the nsqd"),
                ("max_attempts", None, "the topic"),
                ("ttl", None, "here")
            ]
        );
    }

    #[test]
    fn where_they_differ_each_has_its_own() {
        let of = |attempts: i64| {
            policy(
                json!({"max_attempts": attempts}),
                json!({"max_attempts": attempts, "ttl": "0s"}),
            )
        };
        let lines = lines(&[on("a", of(5), None), on("b", of(6), None)]);
        let shown: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line.key.as_str(),
                    line.node.as_deref(),
                    line.effective.as_ref().map(text),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("max_attempts", Some("a"), Some("5".to_owned())),
                ("max_attempts", Some("b"), Some("6".to_owned())),
                ("ttl", None, Some("0s".to_owned()))
            ]
        );
    }
}
