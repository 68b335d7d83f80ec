//! The lines of a push and their datagrams (nsqd spec 10). Pure.

use nsq_http_api::nsqd::{ChannelStats, Latency, Memory, TopicStats};
use std::collections::HashMap;
use std::fmt::Write as _;

/// What all names begin with: every `%s` is the host key, and a dot ends it. Empty: nothing.
#[must_use]
pub fn prefix(pattern: &str, broadcast_address: &str, port: i64) -> String {
    if pattern.is_empty() {
        return String::new();
    }
    let key = format!("{broadcast_address}:{port}").replace(['.', ':'], "_");
    let mut prefix = pattern.replace("%s", &key);
    if !prefix.ends_with('.') {
        prefix.push('.');
    }
    prefix
}

/// Makes the lines of one push after the other; counters are told as differences.
#[derive(Debug, Default)]
pub struct Lines {
    prefix: String,
    /// Counters as they were at the last push, by the name of their line.
    before: HashMap<String, u64>,
    /// The same of this push; what no longer exists is forgotten with it.
    now: HashMap<String, u64>,
    out: Vec<String>,
}

impl Lines {
    /// Lines whose names begin with `prefix`.
    #[must_use]
    pub fn new(prefix: String) -> Self {
        Self {
            prefix,
            ..Self::default()
        }
    }

    /// The lines of this push, in the order of the reference, each with its line end.
    pub fn push(&mut self, topics: &[TopicStats], memory: Option<&Memory>) -> Vec<String> {
        for topic in topics {
            self.topic(topic);
        }
        if let Some(memory) = memory {
            self.memory(memory);
        }
        self.before = std::mem::take(&mut self.now);
        std::mem::take(&mut self.out)
    }

    fn topic(&mut self, topic: &TopicStats) {
        let name = format!("topic.{}", topic.topic_name);
        self.counter(&format!("{name}.message_count"), topic.message_count);
        self.counter(&format!("{name}.message_bytes"), topic.message_bytes);
        self.gauge(&format!("{name}.depth"), topic.depth);
        self.gauge(&format!("{name}.backend_depth"), topic.backend_depth);
        self.latency(&name, &topic.e2e_processing_latency);
        for channel in &topic.channels {
            self.channel(&name, channel);
        }
    }

    fn channel(&mut self, topic: &str, channel: &ChannelStats) {
        let name = format!("{topic}.channel.{}", channel.channel_name);
        self.counter(&format!("{name}.message_count"), channel.message_count);
        for (gauge, value) in [
            ("depth", channel.depth),
            ("backend_depth", channel.backend_depth),
            ("in_flight_count", channel.in_flight_count),
            ("deferred_count", channel.deferred_count),
        ] {
            self.gauge(&format!("{name}.{gauge}"), value);
        }
        self.counter(&format!("{name}.requeue_count"), channel.requeue_count);
        self.counter(&format!("{name}.timeout_count"), channel.timeout_count);
        self.gauge(&format!("{name}.clients"), channel.client_count);
        self.latency(&name, &channel.e2e_processing_latency);
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "whole percents and whole nanoseconds"
    )]
    fn latency(&mut self, name: &str, latency: &Latency) {
        for quantile in latency.percentiles.iter().flatten() {
            let percent = (quantile.quantile * 100.0).round() as i64;
            self.gauge(
                &format!("{name}.e2e_processing_latency_{percent}"),
                quantile.value as i64,
            );
        }
    }

    fn memory(&mut self, memory: &Memory) {
        for (name, value) in [
            ("heap_objects", memory.heap_objects),
            ("heap_idle_bytes", memory.heap_idle_bytes),
            ("heap_in_use_bytes", memory.heap_in_use_bytes),
            ("heap_released_bytes", memory.heap_released_bytes),
            ("gc_pause_usec_100", memory.gc_pause_usec_100),
            ("gc_pause_usec_99", memory.gc_pause_usec_99),
            ("gc_pause_usec_95", memory.gc_pause_usec_95),
            ("next_gc_bytes", memory.next_gc_bytes),
        ] {
            self.gauge(&format!("mem.{name}"), i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.counter("mem.gc_runs", memory.gc_total_runs.into());
    }

    fn gauge(&mut self, name: &str, value: i64) {
        self.line(name, value, 'g');
    }

    /// The difference may be below 0: a topic that was deleted and made again begins anew.
    fn counter(&mut self, name: &str, value: u64) {
        let before = self.before.get(name).copied().unwrap_or(0);
        self.now.insert(name.to_owned(), value);
        self.line(name, value.wrapping_sub(before).cast_signed(), 'c');
    }

    fn line(&mut self, name: &str, value: i64, kind: char) {
        let mut line = String::with_capacity(self.prefix.len() + name.len() + 16);
        // Writing into a string cannot fail.
        let _ = writeln!(line, "{}{name}:{value}|{kind}", self.prefix);
        self.out.push(line);
    }
}

/// Whole lines in datagrams of at most `size` bytes; a longer line goes alone.
#[must_use]
pub fn datagrams(lines: &[String], size: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut current = Vec::new();
    for line in lines {
        if !current.is_empty() && current.len() + line.len() > size {
            all.push(std::mem::take(&mut current));
        }
        current.extend_from_slice(line.as_bytes());
    }
    if !current.is_empty() {
        all.push(current);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nd_284_every_place_of_the_prefix_is_the_host() {
        assert_eq!(prefix("nsq.%s", "127.0.0.1", 4151), "nsq.127_0_0_1_4151.");
        assert_eq!(prefix("foo.%s.bar.%s.", "h", 1), "foo.h_1.bar.h_1.");
        assert_eq!(prefix("%s", "[::1]", 1), "[__1]_1.");
        assert_eq!(prefix("", "h", 1), "");
    }

    #[test]
    fn nd_285_counters_are_differences_and_may_fall() {
        let mut lines = Lines::new("p.".to_owned());
        let topic = |message_count| TopicStats {
            topic_name: "t".to_owned(),
            message_count,
            depth: 7,
            ..TopicStats::default()
        };
        let mut told = |count| lines.push(&[topic(count)], None)[..3].to_vec();
        assert_eq!(told(5)[0], "p.topic.t.message_count:5|c\n");
        assert_eq!(told(5)[0], "p.topic.t.message_count:0|c\n");
        assert_eq!(told(2)[0], "p.topic.t.message_count:-3|c\n");
        assert_eq!(told(2)[2], "p.topic.t.depth:7|g\n");
    }

    #[test]
    fn nd_283_lines_stay_whole() {
        let line = |length: usize| format!("{}\n", "x".repeat(length - 1));
        let lines = [line(10), line(10), line(11), line(40), line(5)];
        let sizes: Vec<usize> = datagrams(&lines, 20).iter().map(Vec::len).collect();
        assert_eq!(sizes, [20, 11, 40, 5]);
        assert!(datagrams(&[], 20).is_empty());
    }
}
