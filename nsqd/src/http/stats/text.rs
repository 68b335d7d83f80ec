//! The text of `/stats`, line by line as the reference writes it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nsq_http_api::nsqd::{ClientStats, Latency, Memory, Quantile, TopicStats};
use nsq_service::{build_info, duration};
use std::fmt::Write as _;

/// Everything before the topics. Times are Unix seconds. Writing into a string cannot fail, here and below.
pub(super) fn head(out: &mut String, start: i64, now: i64, health: &str, memory: Option<&Memory>) {
    let _ = write!(
        out,
        "{}\nstart_time {}\nuptime {}\n\nHealth: {health}\n",
        build_info::version_line("nsqd"),
        rfc3339(start, TimeZone::system()),
        seconds(now - start),
    );
    let Some(memory) = memory else { return };
    out.push_str("\nMemory:\n");
    for (name, value) in [
        ("heap_objects", memory.heap_objects),
        ("heap_idle_bytes", memory.heap_idle_bytes),
        ("heap_in_use_bytes", memory.heap_in_use_bytes),
        ("heap_released_bytes", memory.heap_released_bytes),
        ("gc_pause_usec_100", memory.gc_pause_usec_100),
        ("gc_pause_usec_99", memory.gc_pause_usec_99),
        ("gc_pause_usec_95", memory.gc_pause_usec_95),
        ("next_gc_bytes", memory.next_gc_bytes),
        ("gc_total_runs", memory.gc_total_runs.into()),
    ] {
        let _ = writeln!(out, "   {name:<25}\t{value}");
    }
}

/// Go writes `Z` where the offset is zero.
fn rfc3339(unix: i64, zone: TimeZone) -> String {
    let zoned = Timestamp::from_second(unix)
        .unwrap_or_default()
        .to_zoned_datetime(zone);
    let format = if zoned.offset().is_zero() {
        "%Y-%m-%dT%H:%M:%SZ"
    } else {
        "%Y-%m-%dT%H:%M:%S%:z"
    };
    zoned.strftime(format).to_string()
}

/// Values with the largest unit of which there is more than one thousandth of the next.
fn latencies(latency: &Latency) -> String {
    let text = |quantile: &Quantile| {
        let mut value = quantile.value;
        let mut units = ["ns", "us", "ms", "s"].into_iter();
        let mut unit = units.next().unwrap_or_default();
        for larger in units {
            if value <= 1000.0 {
                break;
            }
            value /= 1000.0;
            unit = larger;
        }
        format!("{value:.1}{unit}")
    };
    let list = latency.percentiles.iter().flatten();
    list.map(text).collect::<Vec<_>>().join(", ")
}

/// One block of topic, channels and consumers.
pub(super) fn topic(out: &mut String, picture: &TopicStats, now: i64) {
    let prefix = if picture.paused { "*P " } else { "   " };
    let _ = writeln!(
        out,
        "\n{prefix}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: {}",
        picture.topic_name,
        picture.depth,
        picture.backend_depth,
        picture.message_count,
        latencies(&picture.e2e_processing_latency)
    );
    for c in &picture.channels {
        let prefix = if c.paused { "   *P " } else { "      " };
        let _ = writeln!(
            out,
            "{prefix}[{:<25}] depth: {:<5} be-depth: {:<5} inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: {}",
            c.channel_name,
            c.depth,
            c.backend_depth,
            c.in_flight_count,
            c.deferred_count,
            c.requeue_count,
            c.timeout_count,
            c.message_count,
            latencies(&c.e2e_processing_latency)
        );
        c.clients
            .iter()
            .flatten()
            .for_each(|client| self::client(out, "        ", client, now));
    }
}

/// One line for a connection.
pub(super) fn client(out: &mut String, indent: &str, c: &ClientStats, now: i64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::offset;
    use nsq_http_api::nsqd::{ChannelStats, PubCount};

    #[test]
    fn times_are_written_as_go_does() {
        assert_eq!(rfc3339(1_732_380_000, TimeZone::UTC), "2024-11-23T16:40:00Z");
        assert_eq!(
            rfc3339(1_732_380_000, TimeZone::fixed(offset(1))),
            "2024-11-23T17:40:00+01:00"
        );
    }

    #[test]
    fn the_head_names_version_times_health_and_memory() {
        let mut out = String::new();
        head(&mut out, 100, 165, "OK", Some(&Memory::default()));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[2..6], ["uptime 1m5s", "", "Health: OK", ""]);
        assert_eq!(lines[6..8], ["Memory:", "   heap_objects             \t0"]);
        assert_eq!(lines.len(), 7 + 9);
        out.clear();
        head(&mut out, 100, 165, "OK", None);
        assert!(out.ends_with("Health: OK\n"));
    }

    #[test]
    fn a_topic_is_a_block_of_aligned_lines() {
        let consumer = ClientStats {
            hostname: "h".into(),
            version: "V2".into(),
            remote_address: "1.2.3.4:50".into(),
            user_agent: "u/1".into(),
            state: 3,
            ready_count: 25,
            connect_ts: 100,
            ..ClientStats::default()
        };
        let channel = ChannelStats {
            channel_name: "c".into(),
            depth: 12,
            clients: Some(vec![consumer.clone()]),
            ..ChannelStats::default()
        };
        let picture = TopicStats {
            topic_name: "t".into(),
            channels: vec![channel],
            message_count: 7,
            paused: true,
            ..TopicStats::default()
        };
        let mut out = String::new();
        topic(&mut out, &picture, 126);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "");
        assert_eq!(
            lines[1],
            "*P [t              ] depth: 0     be-depth: 0     msgs: 7        e2e%: "
        );
        assert_eq!(
            lines[2],
            "      [c                        ] depth: 12    be-depth: 0     inflt: 0    def: 0    re-q: 0     timeout: 0     msgs: 0        e2e%: "
        );
        assert_eq!(
            lines[3],
            "        [V2 h:50 u/1             ] state: 3 inflt: 0    rdy: 25   fin: 0        re-q: 0        msgs: 0        connected: 26s"
        );
        let producer = ClientStats {
            pub_counts: vec![PubCount {
                topic: "t".into(),
                count: 9,
            }],
            remote_address: "@".into(),
            ..consumer
        };
        out.clear();
        client(&mut out, "   ", &producer, 126);
        assert_eq!(
            out,
            "   [V2 h: u/1               ] msgs: 9        topics: t=9 connected: 26s\n"
        );
    }
}
