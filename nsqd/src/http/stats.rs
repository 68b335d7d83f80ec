//! `GET /stats`: JSON in the reference's key order, and its text (nsqd spec 6.5).

use super::State;
use crate::channel::ChannelSnapshot;
use crate::client::Client;
use crate::topic::TopicSnapshot;
use nsq_http_api::nsqd::{ChannelStats, ClientStats, Latency, Memory, PubCount, Stats, TopicStats};
use nsq_protocol::TopicName;
use nsq_service::http::{Failure, Reply, Request};
use nsq_service::{build_info, duration};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What was asked for.
struct Wanted {
    topic: Option<String>,
    channel: Option<String>,
    clients: bool,
    memory: bool,
}

/// `GET /stats`
pub(super) async fn stats(state: Arc<State>, request: Request) -> Result<Reply, Failure> {
    let query = request.query()?;
    let filter = |name: &str| {
        query
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let on = |name: &str| !matches!(query.get(name), Some("false" | "0"));
    let wanted = Wanted {
        topic: filter("topic"),
        channel: filter("channel"),
        clients: on("include_clients"),
        memory: on("include_mem"),
    };
    let stats = collect(&state, &wanted);
    if query.get("format") == Some("json") {
        return Reply::json(&stats);
    }
    let now = state.broker.engine.clock.unix_nanos() / 1_000_000_000;
    Ok(Reply::text(text(&stats, now)))
}

fn collect(state: &State, wanted: &Wanted) -> Stats {
    let selected = |name: &TopicName| wanted.topic.as_ref().is_none_or(|t| t == name.as_str());
    let all = state.broker.snapshot(selected);
    let missing = wanted.topic.is_some() && all.is_empty();
    let topics = all
        .iter()
        .filter_map(|(topic, channels)| topic_stats(topic, channels, wanted))
        .collect();
    let mut producers = Vec::new();
    if wanted.clients && !missing {
        let clients = state.broker.clients();
        producers = clients
            .iter()
            .filter(|c| c.has_published())
            .map(|c| client_stats(c))
            .collect();
    }
    Stats {
        version: build_info::VERSION.into(),
        health: state.broker.health.text(),
        start_time: state.facts.start_time,
        topics: (!missing).then_some(topics),
        memory: wanted.memory.then(memory),
        producers: (!producers.is_empty()).then_some(producers),
    }
}

/// `None` when a channel was asked for that the topic does not have.
fn topic_stats(topic: &TopicSnapshot, channels: &[ChannelSnapshot], wanted: &Wanted) -> Option<TopicStats> {
    let selected = |c: &&ChannelSnapshot| wanted.channel.as_ref().is_none_or(|name| name == c.name.as_str());
    let channels: Vec<_> = channels
        .iter()
        .filter(selected)
        .map(|c| channel_stats(c, wanted.clients))
        .collect();
    if wanted.channel.is_some() && channels.is_empty() {
        return None;
    }
    Some(TopicStats {
        topic_name: topic.name.to_string(),
        channels,
        depth: topic.depth.cast_signed(),
        backend_depth: topic.backend_depth.cast_signed(),
        message_count: topic.message_count,
        message_bytes: topic.message_bytes,
        paused: topic.paused,
        e2e_processing_latency: Latency::default(),
    })
}

fn channel_stats(channel: &ChannelSnapshot, with_clients: bool) -> ChannelStats {
    ChannelStats {
        channel_name: channel.name.to_string(),
        depth: channel.depth.cast_signed(),
        backend_depth: channel.backend_depth.cast_signed(),
        in_flight_count: channel.in_flight.cast_signed(),
        deferred_count: channel.deferred.cast_signed(),
        message_count: channel.messages,
        global_msg_count: channel.from_memory,
        requeue_count: channel.requeued,
        timeout_count: channel.timed_out,
        client_count: i64::try_from(channel.consumers.len()).unwrap_or(i64::MAX),
        clients: with_clients.then(|| channel.consumers.iter().map(|c| client_stats(c)).collect()),
        paused: channel.paused,
        ..ChannelStats::default()
    }
}

fn client_stats(client: &Client) -> ClientStats {
    let identity = client.identity.lock().clone();
    let counters = &client.counters;
    ClientStats {
        client_id: identity.client_id,
        hostname: identity.hostname,
        version: "V2".into(),
        remote_address: client.remote_address.clone(),
        state: client.state() as i32,
        ready_count: client.ready_count.load(Relaxed),
        in_flight_count: counters.in_flight.load(Relaxed).max(0),
        message_count: counters.messages.load(Relaxed),
        finish_count: counters.finished.load(Relaxed),
        requeue_count: counters.requeued.load(Relaxed),
        connect_ts: client.connected_at,
        sample_rate: identity.sample_rate,
        user_agent: identity.user_agent,
        topology_zone: identity.topology_zone,
        topology_region: identity.topology_region,
        pub_counts: client
            .published()
            .into_iter()
            .map(|(topic, count)| PubCount {
                topic: topic.to_string(),
                count,
            })
            .collect(),
        ..ClientStats::default()
    }
}

/// There is no collected heap here: the peak and the present resident size are the nearest to what the keys mean.
fn memory() -> Memory {
    let pages = rustix::param::page_size() as u64;
    let resident = resident_pages().unwrap_or(0) * pages;
    Memory {
        heap_in_use_bytes: resident,
        ..Memory::default()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a file of the kernel, not of the data path"
)]
fn resident_pages() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ').nth(1)?.parse().ok()
}

fn text(stats: &Stats, now: i64) -> String {
    let mut out = String::with_capacity(4096);
    let start = jiff::Timestamp::from_second(stats.start_time).unwrap_or_default();
    let zoned = start.to_zoned_datetime(jiff::tz::TimeZone::system());
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "{}\nstart_time {}\nuptime {}\n\nHealth: {}\n",
        build_info::version_line("nsqd"),
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z"),
        seconds(now - stats.start_time),
        stats.health
    );
    if let Some(m) = &stats.memory {
        out.push_str("\nMemory:\n");
        for (name, value) in [
            ("heap_objects", m.heap_objects),
            ("heap_idle_bytes", m.heap_idle_bytes),
            ("heap_in_use_bytes", m.heap_in_use_bytes),
            ("heap_released_bytes", m.heap_released_bytes),
            ("gc_pause_usec_100", m.gc_pause_usec_100),
            ("gc_pause_usec_99", m.gc_pause_usec_99),
            ("gc_pause_usec_95", m.gc_pause_usec_95),
            ("next_gc_bytes", m.next_gc_bytes),
            ("gc_total_runs", m.gc_total_runs.into()),
        ] {
            let _ = writeln!(out, "   {name:<25}\t{value}");
        }
    }
    match stats.topics.as_deref() {
        None | Some([]) => out.push_str("\nTopics: None\n"),
        Some(topics) => {
            out.push_str("\nTopics:");
            topics.iter().for_each(|topic| topic_text(&mut out, topic, now));
        }
    }
    match &stats.producers {
        None => out.push_str("\nProducers: None\n"),
        Some(producers) => {
            out.push_str("\nProducers:\n");
            producers
                .iter()
                .for_each(|client| client_text(&mut out, "   ", client, now));
        }
    }
    out
}

fn topic_text(out: &mut String, topic: &TopicStats, now: i64) {
    let prefix = if topic.paused { "*P " } else { "   " };
    let _ = writeln!(
        out,
        "\n{prefix}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: ",
        topic.topic_name, topic.depth, topic.backend_depth, topic.message_count
    );
    for c in &topic.channels {
        let prefix = if c.paused { "   *P " } else { "      " };
        let _ = writeln!(
            out,
            "{prefix}[{:<25}] depth: {:<5} be-depth: {:<5} inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: ",
            c.channel_name,
            c.depth,
            c.backend_depth,
            c.in_flight_count,
            c.deferred_count,
            c.requeue_count,
            c.timeout_count,
            c.message_count
        );
        c.clients
            .iter()
            .flatten()
            .for_each(|client| client_text(out, "        ", client, now));
    }
}

fn client_text(out: &mut String, indent: &str, c: &ClientStats, now: i64) {
    let port = c.remote_address.rsplit_once(':').map_or("", |(_, port)| port);
    let id = format!("{}:{port} {}", c.hostname, c.user_agent);
    let connected = seconds(now - c.connect_ts);
    let _ = if c.pub_counts.is_empty() {
        writeln!(
            out,
            "{indent}[{} {id:<21}] state: {} inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8} connected: {connected}",
            c.version,
            c.state,
            c.in_flight_count,
            c.ready_count,
            c.finish_count,
            c.requeue_count,
            c.message_count
        )
    } else {
        let total: u64 = c.pub_counts.iter().map(|p| p.count).sum();
        let topics: Vec<_> = c
            .pub_counts
            .iter()
            .map(|p| format!("{}={}", p.topic, p.count))
            .collect();
        writeln!(
            out,
            "{indent}[{} {id:<21}] msgs: {total:<8} topics: {} connected: {connected}",
            c.version,
            topics.join(",")
        )
    };
}

fn seconds(n: i64) -> String {
    duration::print(n.max(0).saturating_mul(1_000_000_000))
}
