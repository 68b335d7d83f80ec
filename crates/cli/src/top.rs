//! `nsq top`: channels by depth, growth or age; again and again on a terminal, once elsewhere.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use nsq_service::signals::Signals;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, Measured, Node};
use crate::codes;
use crate::listing::{self, Format, Row};
use crate::problem::Problem;
use crate::publish::delay;

/// Shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
/// Rows when the terminal does not tell its height.
const ROWS: usize = 20;
/// Lines of the screen that are no rows.
const AROUND: usize = 3;

/// The flags of the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Order of the rows: depth, growth or age
    #[arg(long, value_enum, default_value = "depth", hide_possible_values = true)]
    pub by: By,
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = delay, default_value = "1s")]
    pub interval: Duration,
    /// Look once, also on a terminal
    #[arg(long)]
    pub once: bool,
    /// Form: table, or once json, yaml, name
    #[arg(short, long, value_enum, default_value = "table", hide_possible_values = true)]
    pub output: Format,
}

/// Order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Messages that wait.
    Depth,
    /// How fast the depth grows.
    Growth,
    /// Age of the oldest message.
    Age,
}

/// A channel, or a topic that has none, over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TopRow {
    topic: String,
    channel: String,
    depth: i64,
    /// Messages per second by which the depth grows; none before the second look.
    growth: Option<f64>,
    /// Messages per second that enter.
    rate: Option<f64>,
    in_flight: i64,
    deferred: i64,
    consumers: i64,
    /// Seconds; none where no node tells it, as Go nsqd does not.
    oldest: Option<u64>,
    #[serde(skip)]
    messages: u64,
}

impl Row for TopRow {
    const HEADS: &'static [&'static str] = &[
        "TOPIC",
        "CHANNEL",
        " DEPTH",
        " GROWTH/S",
        " IN/S",
        " IN FLIGHT",
        " DEFERRED",
        " CONSUMERS",
        " OLDEST",
    ];

    fn name(&self) -> String {
        if self.channel.is_empty() {
            self.topic.clone()
        } else {
            format!("{}/{}", self.topic, self.channel)
        }
    }

    fn cells(&self) -> Vec<String> {
        let speed = |speed: Option<f64>, sign: bool| match speed {
            None => "?".to_owned(),
            Some(speed) if sign => format!("{speed:+.0}"),
            Some(speed) => format!("{speed:.0}"),
        };
        vec![
            self.topic.clone(),
            if self.channel.is_empty() {
                "(no channel)".to_owned()
            } else {
                self.channel.clone()
            },
            self.depth.to_string(),
            speed(self.growth, true),
            speed(self.rate, false),
            self.in_flight.to_string(),
            self.deferred.to_string(),
            self.consumers.to_string(),
            self.oldest
                .map_or_else(|| "?".to_owned(), |seconds| format!("{seconds}s")),
        ]
    }
}

type Key = (String, String);

/// The sums of one look.
fn sums(measured: Vec<Measured>) -> BTreeMap<Key, TopRow> {
    let mut rows: BTreeMap<Key, TopRow> = BTreeMap::new();
    let ours = |backlog: u64, age: u64, empty: bool| (age > 0 || backlog > 0 || empty).then_some(age / 1000);
    for Measured { stats, .. } in measured {
        for topic in stats.ok().and_then(|stats| stats.topics).unwrap_or_default() {
            let name = topic.topic_name;
            if topic.channels.is_empty() || topic.depth > 0 {
                let row = rows.entry((name.clone(), String::new())).or_default();
                row.depth += topic.depth;
                row.messages += topic.message_count;
                row.oldest = row
                    .oldest
                    .max(ours(topic.backlog_bytes, topic.oldest_age_ms, topic.depth == 0));
            }
            for channel in topic.channels {
                let row = rows.entry((name.clone(), channel.channel_name)).or_default();
                row.depth += channel.depth;
                row.messages += channel.message_count;
                row.in_flight += channel.in_flight_count;
                row.deferred += channel.deferred_count;
                row.consumers += channel.client_count;
                let empty = channel.depth + channel.in_flight_count + channel.deferred_count == 0;
                row.oldest = row
                    .oldest
                    .max(ours(channel.backlog_bytes, channel.oldest_age_ms, empty));
            }
        }
    }
    rows
}

/// Rows in order, with speeds over `time` since `before`.
#[allow(clippy::cast_precision_loss, reason = "numbers for people")]
fn rows(before: &BTreeMap<Key, TopRow>, now: BTreeMap<Key, TopRow>, time: Duration, by: By) -> Vec<TopRow> {
    let seconds = time.as_secs_f64().max(0.001);
    let mut rows: Vec<TopRow> = now
        .into_iter()
        .map(|((topic, channel), row)| {
            let then = before.get(&(topic.clone(), channel.clone()));
            // A counter that fell is a node that was started again: no speed.
            let rate = then.and_then(|then| row.messages.checked_sub(then.messages));
            TopRow {
                topic,
                channel,
                growth: then.map(|then| (row.depth - then.depth) as f64 / seconds),
                rate: rate.map(|count| count as f64 / seconds),
                ..row
            }
        })
        .collect();
    rows.sort_by_key(|row| {
        #[allow(clippy::cast_possible_truncation, reason = "an order")]
        Reverse(match by {
            By::Depth => row.depth,
            By::Growth => row.growth.unwrap_or(0.0) as i64,
            By::Age => i64::try_from(row.oldest.unwrap_or(0)).unwrap_or(i64::MAX),
        })
    });
    rows
}

/// Shows it; on a terminal until a signal ends it.
///
/// # Errors
/// Nobody answers, or an output that takes no more.
pub async fn run(options: &Options, cluster: &Cluster, terminal: bool) -> Result<(), Problem> {
    let live = terminal && !options.once && options.output == Format::Table;
    let pause = options.interval.max(SHORTEST);
    let mut signals = Signals::install().map_err(|error| {
        let what = format!("cannot catch signals: {error}");
        Problem::new(codes::SYSTEM_FAILED, what, "see the limits of this user")
    })?;
    let mut nodes: Vec<Node> = cluster.nodes().await?.nodes;
    let mut before = sums(cluster.measure(&nodes, false).await);
    let mut since = Instant::now();
    loop {
        tokio::select! {
            _ = signals.next() => return Ok(()),
            () = sleep(pause) => {}
        }
        let measured = cluster.measure(&nodes, false).await;
        let silent = measured.iter().filter(|measured| measured.stats.is_err()).count();
        let now = sums(measured);
        let elapsed = since.elapsed();
        since = Instant::now();
        let rows = rows(&before, now.clone(), elapsed, options.by);
        if !live {
            return listing::print(&listing::text(&rows, options.output)?);
        }
        if !listing::write(screen(&rows, nodes.len(), silent, height()).as_bytes())? {
            return Ok(());
        }
        before = now;
        // Nodes come and go; a look that fails keeps those that were there.
        if let Ok(found) = cluster.find().await {
            nodes = found.nodes;
        }
    }
}

/// What a terminal of this height shows: from its first line, and nothing of before below.
fn screen(rows: &[TopRow], nodes: usize, silent: usize, height: usize) -> String {
    let fit = height.saturating_sub(AROUND).max(1);
    let shown = &rows[..rows.len().min(fit)];
    let table = listing::table(TopRow::HEADS, shown.iter().map(Row::cells));
    let more = match rows.len() - shown.len() {
        0 => String::new(),
        more => format!("   {more} more below"),
    };
    let silent = match silent {
        0 => String::new(),
        count => format!("   {count} without an answer, not counted"),
    };
    let table = table.replace('\n', "\x1b[K\n");
    format!("\x1b[H{nodes} nodes{silent}{more}   end with Ctrl-C\x1b[K\n{table}\x1b[J")
}

fn height() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_row))
        .filter(|rows| *rows > 0)
        .unwrap_or(ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(depth: i64, messages: u64) -> BTreeMap<Key, TopRow> {
        let row = TopRow {
            depth,
            messages,
            ..TopRow::default()
        };
        BTreeMap::from([(("t".to_owned(), "c".to_owned()), row)])
    }

    #[test]
    fn speeds_are_per_second_and_none_over_a_restart() {
        let second = Duration::from_secs(2);
        let grown = &rows(&look(10, 100), look(30, 160), second, By::Depth)[0];
        assert_eq!((grown.growth, grown.rate), (Some(10.0), Some(30.0)));
        let again = &rows(&look(10, 100), look(0, 5), second, By::Depth)[0];
        assert_eq!((again.growth, again.rate), (Some(-5.0), None));
        assert_eq!(
            rows(&BTreeMap::new(), look(1, 1), second, By::Depth)[0].growth,
            None
        );
    }

    #[test]
    fn a_screen_is_no_higher_than_the_terminal() {
        let many: Vec<TopRow> = (0..50).map(|_| TopRow::default()).collect();
        let text = screen(&many, 2, 1, 24);
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.contains("29 more below") && text.contains("1 without an answer"));
    }
}
