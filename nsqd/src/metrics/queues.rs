//! The families of topics and channels (extensions spec 3.4, 3.5).

use super::board::{Board, ChannelRow, TopicRow};
use crate::series::Label;
use nsq_service::metrics::{Kind, Page};

/// A family with one sample for each row.
struct Family<R> {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    value: fn(&Board, &R) -> f64,
}

const fn counter<R>(name: &'static str, help: &'static str, value: fn(&Board, &R) -> f64) -> Family<R> {
    Family {
        kind: Kind::Counter,
        name,
        help,
        value,
    }
}

const fn gauge<R>(name: &'static str, help: &'static str, value: fn(&Board, &R) -> f64) -> Family<R> {
    Family {
        kind: Kind::Gauge,
        name,
        help,
        value,
    }
}

/// Beyond 2^53 a count is shown rounded.
#[allow(clippy::cast_precision_loss, reason = "said above")]
const fn number(n: u64) -> f64 {
    n as f64
}

const TOPIC: [Family<TopicRow>; 7] = [
    counter(
        "nsqd_topic_messages_total",
        "Accepted publishes of the topic.",
        |_, row| number(row.totals.messages),
    ),
    counter(
        "nsqd_topic_message_bytes_total",
        "Bytes of the bodies of accepted publishes.",
        |_, row| number(row.totals.bytes),
    ),
    gauge(
        "nsqd_topic_depth",
        "Messages that were not handed to the channels yet.",
        |_, row| number(row.depth),
    ),
    gauge(
        "nsqd_topic_backend_depth",
        "Those of them that lie in files.",
        |_, row| number(row.backend_depth),
    ),
    gauge(
        "nsqd_topic_paused",
        "1 while the topic hands nothing to its channels.",
        |_, row| number(row.paused),
    ),
    gauge(
        "nsqd_topic_backlog_bytes",
        "Bytes of the bodies of messages that were not handed to the channels yet.",
        |_, row| number(row.bytes),
    ),
    gauge(
        "nsqd_topic_oldest_message_age_seconds",
        "Age of the oldest message that was not handed to the channels yet, 0 without any.",
        |board, row| board.age(row.oldest),
    ),
];

const CHANNEL: [Family<ChannelRow>; 14] = [
    counter(
        "nsqd_channel_messages_total",
        "Messages that the topic handed over.",
        |_, row| number(row.totals.counts.messages),
    ),
    counter(
        "nsqd_channel_delivered_total",
        "Transmissions to consumers.",
        |_, row| number(row.totals.counts.delivered),
    ),
    counter(
        "nsqd_channel_finished_total",
        "FIN commands that succeeded.",
        |_, row| number(row.totals.counts.finished),
    ),
    counter(
        "nsqd_channel_requeued_total",
        "REQ commands that succeeded.",
        |_, row| number(row.totals.counts.requeued),
    ),
    counter(
        "nsqd_channel_timed_out_total",
        "Deliveries that were not answered in time.",
        |_, row| number(row.totals.counts.timed_out),
    ),
    counter(
        "nsqd_channel_excess_attempts_total",
        "Deliveries that were the sixth or a later one of their message: many client libraries discard those silently.",
        |_, row| number(row.totals.counts.excess_attempts),
    ),
    gauge(
        "nsqd_channel_depth",
        "Messages that can be delivered.",
        |_, row| number(row.depth),
    ),
    gauge(
        "nsqd_channel_backend_depth",
        "Those of them that lie in files.",
        |_, row| number(row.backend_depth),
    ),
    gauge(
        "nsqd_channel_in_flight",
        "Messages that were delivered and not answered yet.",
        |_, row| number(row.in_flight),
    ),
    gauge(
        "nsqd_channel_deferred",
        "Messages that wait for their time.",
        |_, row| number(row.deferred),
    ),
    gauge("nsqd_channel_clients", "Consumers.", |_, row| number(row.clients)),
    gauge(
        "nsqd_channel_paused",
        "1 while the channel delivers nothing.",
        |_, row| number(row.paused),
    ),
    gauge(
        "nsqd_channel_backlog_bytes",
        "Bytes of the bodies of messages that are ready, in flight or deferred.",
        |_, row| number(row.bytes),
    ),
    gauge(
        "nsqd_channel_oldest_message_age_seconds",
        "Age of the oldest message that is not finished, 0 without any; a deferred publish counts from its due time.",
        |board, row| board.age(row.oldest),
    ),
];

/// Writes all of them.
pub(super) async fn write(board: &Board, page: &mut Page) {
    for family in &TOPIC {
        let mut series = page.family(family.kind, family.name, family.help);
        for (topic, row) in &board.topics {
            series.value(&[("topic", topic.as_str())], (family.value)(board, row));
        }
        page.breathe().await;
    }
    let help = "Messages that went unseen at topic level.";
    let mut dropped = page.family(Kind::Counter, "nsqd_topic_dropped_total", help);
    for (topic, row) in board.topics.iter().filter(|(_, row)| row.totals.overflowed > 0) {
        let labels = [("topic", topic.as_str()), ("reason", "ephemeral")];
        dropped.value(&labels, number(row.totals.overflowed));
    }
    for family in &CHANNEL {
        let mut series = page.family(family.kind, family.name, family.help);
        for ((topic, channel), row) in &board.channels {
            series.value(&labels(topic, channel), (family.value)(board, row));
        }
        page.breathe().await;
    }
    write_dropped(board, page);
    write_readiness(board, page);
    page.breathe().await;
    write_times(board, page).await;
    write_quantiles(board, page);
    page.breathe().await;
}

fn labels<'a>(topic: &'a Label, channel: &'a Label) -> [(&'a str, &'a str); 2] {
    [("topic", topic.as_str()), ("channel", channel.as_str())]
}

fn write_dropped(board: &Board, page: &mut Page) {
    let help = "Messages that went without FIN: no room in an ephemeral queue, or left out by a sample rate.";
    let mut dropped = page.family(Kind::Counter, "nsqd_channel_dropped_total", help);
    for ((topic, channel), row) in &board.channels {
        let [topic, channel] = labels(topic, channel);
        let counts = &row.totals.counts;
        for (reason, count) in [("ephemeral", counts.overflowed), ("sample", counts.sampled_out)] {
            if count > 0 {
                dropped.value(&[topic, channel, ("reason", reason)], number(count));
            }
        }
    }
}

fn write_readiness(board: &Board, page: &mut Page) {
    let help = "Consumers by RDY: above 0 and with room, above 0 and used up, 0.";
    let mut clients = page.family(Kind::Gauge, "nsqd_channel_ready_clients", help);
    for ((topic, channel), row) in &board.channels {
        let [topic, channel] = labels(topic, channel);
        let of = row.readiness;
        for (state, count) in [
            ("ready", of.ready),
            ("full", of.full),
            ("not_ready", of.not_ready),
        ] {
            clients.value(&[topic, channel, ("state", state)], number(count));
        }
    }
}

async fn write_times(board: &Board, page: &mut Page) {
    let help = "Time from the publish of a message, or its due time, to its FIN.";
    let name = "nsqd_channel_publish_to_finish_seconds";
    let mut times = page.family(Kind::Histogram, name, help);
    for ((topic, channel), row) in &board.channels {
        times.times(&labels(topic, channel), &row.totals.from_publish);
    }
    page.breathe().await;
    let help = "Time from the delivery of a message to the FIN that answered it.";
    let name = "nsqd_channel_deliver_to_finish_seconds";
    let mut times = page.family(Kind::Histogram, name, help);
    for ((topic, channel), row) in &board.channels {
        times.times(&labels(topic, channel), &row.totals.from_delivery);
    }
    page.breathe().await;
}

/// Only where quantiles are configured: there are no samples otherwise.
fn write_quantiles(board: &Board, page: &mut Page) {
    if board.quantiles.is_empty() {
        return;
    }
    let help =
        "Quantiles of the time from publish to FIN over the configured window; NaN without a FIN in it.";
    let mut latency = page.family(Kind::Summary, "nsqd_channel_e2e_latency_seconds", help);
    for ((topic, channel), row) in &board.channels {
        for quantile in &board.quantiles {
            let samples = row.samples.as_ref().filter(|samples| samples.count() > 0);
            let value = samples.map_or(f64::NAN, |samples| samples.quantile(*quantile) / 1e9);
            latency.quantile(&labels(topic, channel), *quantile, value);
        }
    }
}
