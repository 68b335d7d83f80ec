//! `nsq peek`, `nsq timers`, `nsq dead`: messages that wait, one by one, without consuming them (extensions spec 8.1). An nsqd tells by
//! its list of extensions whether it can be looked into; Go's cannot, and what to do instead is said.

use futures_util::future::join_all;
use nsq_http_api::client::Error;
use nsq_http_api::messages::{EXTENSION, Message, Messages, MessagesRequest, State};
use serde::Serialize;

use crate::cluster::{Cluster, Node, warn};
use crate::listing::{self, Format, Row};
use crate::problem::{Problem, one_line};
use crate::{codes, publish, topics};

/// Characters of a body in a table.
const PREVIEW: usize = 60;

/// What to do where no nsqd can be looked into.
fn instead(state: State, topic: &str) -> String {
    match state {
        State::Ready | State::InFlight => {
            format!("count them with `nsq top`, or consume them with `nsq tail {topic}`")
        }
        State::Deferred => format!("`nsq channel list {topic}` shows how many there are"),
        State::Dead => {
            "these nsqds have no dead letters: consumers that give up log or publish what they drop".into()
        }
    }
}

/// The flags of `peek`.
#[derive(Clone, Debug, clap::Args)]
pub struct PeekOptions {
    /// Topic
    pub topic: String,
    /// Channel; without it what waits in the topic itself
    pub channel: Option<String>,
    /// How much in which form.
    #[command(flatten)]
    pub form: Listed,
}

/// The flags of `timers` and `dead`.
#[derive(Clone, Debug, clap::Args)]
pub struct ChannelOptions {
    /// Topic
    pub topic: String,
    /// Channel
    pub channel: String,
    /// How much in which form.
    #[command(flatten)]
    pub form: Listed,
}

/// How much in which form.
#[derive(Clone, Debug, clap::Args)]
pub struct Listed {
    /// Messages of each node at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Form of the listing: table, json, yaml or name
    #[arg(short, long, value_enum, default_value = "table", hide_possible_values = true)]
    pub output: Format,
}

/// A message on its node.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRow {
    node: String,
    #[serde(flatten)]
    message: Message,
    #[serde(skip)]
    age: String,
    #[serde(skip)]
    due: String,
}

impl Row for MessageRow {
    const HEADS: &'static [&'static str] = &["ID", "NODE", " ATTEMPTS", " AGE", " DUE", " BYTES", "BODY"];

    fn name(&self) -> String {
        self.message.id.clone()
    }

    fn cells(&self) -> Vec<String> {
        let message = &self.message;
        vec![
            message.id.clone(),
            self.node.clone(),
            message.attempts.to_string(),
            self.age.clone(),
            self.due.clone(),
            message.size.to_string(),
            preview(message),
        ]
    }
}

/// The beginning of a body on one line.
fn preview(message: &Message) -> String {
    let text = match (&message.body, &message.body_base64) {
        (Some(text), _) => text.escape_debug().to_string(),
        (None, Some(packed)) => format!("base64 {packed}"),
        (None, None) => String::new(),
    };
    let mut cut: String = text.chars().take(PREVIEW).collect();
    if message.truncated || cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// The rows of these answers at Unix time `now` in ns: as the nodes have them, those that wait for their time in its order.
fn rows(answers: Vec<(String, Messages)>, state: State, now: i64) -> Vec<MessageRow> {
    let seconds = |nanos: i64| format!("{}s", nanos.max(0) / 1_000_000_000);
    let mut rows: Vec<MessageRow> = answers
        .into_iter()
        .flat_map(|(node, answer)| {
            answer
                .messages
                .into_iter()
                .map(move |message| (node.clone(), message))
        })
        .map(|(node, message)| MessageRow {
            node,
            age: seconds(now.saturating_sub(message.timestamp)),
            due: message
                .due
                .map_or_else(|| "-".to_owned(), |due| seconds(due.saturating_sub(now))),
            message,
        })
        .collect();
    if state == State::Deferred {
        rows.sort_by_key(|row| row.message.due);
    }
    rows
}

/// The messages of the nodes that can be looked into, at Unix time `now` in ns.
///
/// # Errors
/// Names that are none, nobody who answers, no nsqd that can be looked into, or none that has the topic and the channel.
pub async fn list(
    state: State,
    topic: &str,
    channel: Option<&str>,
    form: &Listed,
    cluster: &Cluster,
    now: i64,
) -> Result<String, Problem> {
    let topic = publish::topic(topic)?.to_string();
    let channel = channel
        .map(topics::channel)
        .transpose()?
        .map(|channel| channel.to_string());
    let nodes = cluster.nodes().await?.nodes;
    let able = able(state, &topic, nodes, cluster).await?;
    let request = MessagesRequest {
        topic,
        channel,
        state,
        limit: form.count,
        ..MessagesRequest::default()
    };
    let asked = able
        .iter()
        .map(|node| cluster.client.nsqd_messages(&node.http, &request));
    let mut answers = Vec::new();
    let mut missing = None;
    for (node, answer) in able.iter().zip(join_all(asked).await) {
        match answer {
            Ok(answer) => answers.push((node.tcp.clone(), answer)),
            // Not every node has every topic.
            Err(error) if error.is_not_found() => missing = Some(error),
            Err(error) => return Err(Problem::http(&error)),
        }
    }
    if let (true, Some(error)) = (answers.is_empty(), missing) {
        return Err(Problem::http(&error));
    }
    listing::text(&rows(answers, state, now), form.output)
}

/// The nodes that can be looked into; the others are told.
async fn able(state: State, topic: &str, nodes: Vec<Node>, cluster: &Cluster) -> Result<Vec<Node>, Problem> {
    let infos = join_all(nodes.iter().map(|node| cluster.client.nsqd_info(&node.http))).await;
    let (mut able, mut others) = (Vec::new(), Vec::new());
    for (node, info) in nodes.into_iter().zip(infos) {
        match info {
            Ok(info) if info.extensions.iter().any(|name| name == EXTENSION) => able.push(node),
            Ok(info) => others.push(format!("nsqd {} {}", node.tcp, info.version)),
            Err(error) => others.push(silent(&node, &error)),
        }
    }
    if able.is_empty() {
        let what = format!(
            "no nsqd can show the messages that it has: their /info names no extension {EXTENSION:?}"
        );
        return Err(Problem::new(codes::UNSUPPORTED, what, instead(state, topic)).at(others.join(", ")));
    }
    for other in others {
        warn(&format!("not looked into: {other}"));
    }
    Ok(able)
}

fn silent(node: &Node, error: &Error) -> String {
    format!(
        "nsqd {} does not answer: {}",
        node.tcp,
        one_line(&error.cause.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, due: Option<i64>, body: &str) -> Message {
        Message {
            id: id.to_owned(),
            due,
            body: Some(body.to_owned()),
            ..Message::default()
        }
    }

    #[test]
    fn what_waits_for_its_time_is_shown_in_the_order_of_it() {
        let answer = |messages| Messages {
            messages,
            ..Messages::default()
        };
        let answers = vec![
            (
                "a".to_owned(),
                answer(vec![message("1", Some(30_000_000_000), "x")]),
            ),
            (
                "b".to_owned(),
                answer(vec![message("2", Some(10_000_000_000), "y")]),
            ),
        ];
        let rows = rows(answers, State::Deferred, 5_000_000_000);
        let shown: Vec<_> = rows.iter().map(|row| (row.name(), row.due.clone())).collect();
        assert_eq!(
            shown,
            [
                ("2".to_owned(), "5s".to_owned()),
                ("1".to_owned(), "25s".to_owned())
            ]
        );
    }

    #[test]
    fn a_preview_is_one_line_and_says_that_it_is_cut() {
        assert_eq!(preview(&message("1", None, "a\nb\u{1b}")), "a\\nb\\u{1b}");
        let long = preview(&message("1", None, &"é".repeat(100)));
        assert_eq!(long.chars().count(), PREVIEW + 1);
        assert!(long.ends_with('…'));
    }
}
