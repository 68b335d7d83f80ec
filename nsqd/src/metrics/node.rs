//! The families of the node (extensions spec 3.3, operator spec 11.1).

use super::Metrics;
use super::board::Board;
use crate::client::{Client, ClientState};
use crate::lifecycle::Stage;
use crate::lifecycle::survey::Survey;
use nsq_http_api::lifecycle::Phase;
use nsq_service::log;
use nsq_service::metrics::{Kind, Page, process, program};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Beyond 2^53 a count is shown rounded.
#[allow(clippy::cast_precision_loss, reason = "said above")]
const fn number(n: u64) -> f64 {
    n as f64
}

const fn truth(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

/// Writes all of them.
pub(super) fn write(metrics: &Metrics, board: &Board, page: &mut Page) {
    program(page, "nsqd", metrics.start_time);
    process(page);
    write_state(metrics, board, page);
    write_phase(metrics, page);
    write_connections(metrics, page);
    write_publishes(metrics, page);
    metrics.http.write(page);
    write_disk(metrics, page);
    write_timers(metrics, board, page);
    write_lookupds(metrics, page);
    write_security(metrics, page);
    let help = "Lines of the log, also those that its level kept out.";
    let mut lines = page.family(Kind::Counter, "nsqd_log_messages_total", help);
    for (level, count) in log::counts() {
        lines.value(&[("level", level)], number(count));
    }
}

fn write_state(metrics: &Metrics, board: &Board, page: &mut Page) {
    let broker = &metrics.broker;
    let is_joining = metrics.lifecycle.phase() == Phase::Joining;
    let is_ok = broker.health.is_ok();
    page.gauge("nsqd_healthy", "1 while /ping answers OK.", truth(is_ok));
    page.gauge(
        "nsqd_ready",
        "1 while /ready answers OK.",
        truth(is_ok && !is_joining),
    );
    page.gauge(
        "nsqd_metrics_truncated",
        "1 while topics or channels beyond --metrics-max-channels share the series with the label *.",
        truth(board.truncated),
    );
    page.gauge("nsqd_topics", "Topics.", number(board.topic_count as u64));
    page.gauge("nsqd_channels", "Channels.", number(board.channel_count as u64));
}

fn write_phase(metrics: &Metrics, page: &mut Page) {
    let (stage, _) = metrics.lifecycle.stage();
    let mut phases = page.family(Kind::Gauge, "nsqd_phase", "1 for the phase that the node is in.");
    for (phase, name) in [
        (Phase::Joining, "joining"),
        (Phase::Active, "active"),
        (Phase::Draining, "draining"),
    ] {
        phases.value(&[("phase", name)], truth(stage.phase() == phase));
    }
    let remaining = match stage {
        Stage::Draining(_) => {
            let survey = Survey::take(&metrics.broker);
            survey.depth + survey.in_flight + survey.deferred
        }
        Stage::Joining(_) | Stage::Active => 0,
    };
    page.gauge(
        "nsqd_drain_remaining_messages",
        "Messages that a draining node still has to get rid of; 0 otherwise.",
        number(remaining),
    );
    page.counter(
        "nsqd_evacuated_messages_total",
        "Messages handed to other nodes.",
        metrics.lifecycle.evacuated.load(Relaxed),
    );
    page.counter(
        "nsqd_received_evacuated_messages_total",
        "Messages taken over from other nodes.",
        metrics.broker.received.load(Relaxed),
    );
}

fn write_connections(metrics: &Metrics, page: &mut Page) {
    let counters = &metrics.broker.engine.counters;
    let clients = metrics.broker.clients();
    let mut kinds = page.family(
        Kind::Gauge,
        "nsqd_clients",
        "TCP connections by what they did so far.",
    );
    for kind in ["consumer", "publisher", "other"] {
        let count = clients.iter().filter(|client| kind_of(client) == kind).count();
        kinds.value(&[("kind", kind)], number(count as u64));
    }
    page.counter(
        "nsqd_connections_total",
        "Accepted TCP connections.",
        counters.connections.load(Relaxed),
    );
    let help = "TCP connections that were closed at once.";
    let mut refused = page.family(Kind::Counter, "nsqd_connections_refused_total", help);
    if let Some(count) = seen(&counters.bad_magic) {
        refused.value(&[("reason", "magic")], count);
    }
    page.counter(
        "nsqd_tcp_received_bytes_total",
        "Bytes read from TCP sockets.",
        counters.received_bytes.load(Relaxed),
    );
    page.counter(
        "nsqd_tcp_sent_bytes_total",
        "Bytes written to TCP sockets.",
        counters.sent_bytes.load(Relaxed),
    );
    page.counts(
        "nsqd_protocol_errors_total",
        "Error frames that were sent.",
        "code",
        &counters.protocol_errors,
    );
}

fn kind_of(client: &Arc<Client>) -> &'static str {
    if client.state() != ClientState::Init {
        "consumer"
    } else if client.has_published() {
        "publisher"
    } else {
        "other"
    }
}

fn seen(count: &AtomicU64) -> Option<f64> {
    Some(count.load(Relaxed)).filter(|count| *count > 0).map(number)
}

fn write_publishes(metrics: &Metrics, page: &mut Page) {
    let counters = &metrics.broker.engine.counters;
    page.counts(
        "nsqd_publish_errors_total",
        "Publish commands and requests that were refused.",
        "reason",
        &counters.publish_errors,
    );
    let help = "Time from a body that is read to its answer in the buffer of the connection.";
    let mut times = page.family(Kind::Histogram, "nsqd_publish_seconds", help);
    times.times(&[("durability", "memory")], &counters.publish_times.read());
}

fn write_disk(metrics: &Metrics, page: &mut Page) {
    let broker = &metrics.broker;
    let disk = &broker.engine.counters.disk;
    page.gauge(
        "nsqd_disk_bytes",
        "Bytes of the data files of all queues.",
        number(broker.stored_bytes()),
    );
    // What cannot be asked is left out: 0 would ring every bell.
    if let Ok(free) = broker.free_space() {
        page.gauge(
            "nsqd_disk_free_bytes",
            "Bytes that are free on the file system of the data path.",
            number(free),
        );
    }
    page.counter(
        "nsqd_disk_written_bytes_total",
        "Bytes of messages written to files.",
        disk.written_bytes.load(Relaxed),
    );
    page.counter(
        "nsqd_disk_read_bytes_total",
        "Bytes of messages read from files.",
        disk.read_bytes.load(Relaxed),
    );
    page.histogram(
        "nsqd_disk_sync_seconds",
        "How long syncs of message data took.",
        &disk.sync_times.read(),
    );
    let writing = disk.errors.read().filter(|(operation, _)| *operation != "read");
    page.counter(
        "nsqd_disk_write_errors_total",
        "Writes and syncs of message data that failed.",
        writing.map(|(_, count)| count).sum(),
    );
    page.counts(
        "nsqd_disk_errors_total",
        "Operations on queue files that failed.",
        "op",
        &disk.errors,
    );
}

fn write_timers(metrics: &Metrics, board: &Board, page: &mut Page) {
    page.gauge(
        "nsqd_timers",
        "Messages that wait for their time.",
        number(board.deferred()),
    );
    page.histogram(
        "nsqd_timer_lateness_seconds",
        "Time from the due time of a deferred message to its release.",
        &metrics.broker.engine.counters.timer_lateness.read(),
    );
}

fn write_lookupds(metrics: &Metrics, page: &mut Page) {
    let all = metrics.lookup.standings();
    let help = "1 while the nsqlookupd is connected and knows what there is.";
    let mut connected = page.family(Kind::Gauge, "nsqd_lookupd_connected", help);
    for of in &all {
        connected.value(&[("address", &of.address)], truth(of.connected));
    }
    let help = "Connections to the nsqlookupd that failed or broke.";
    let mut errors = page.family(Kind::Counter, "nsqd_lookupd_errors_total", help);
    for of in &all {
        errors.value(&[("address", &of.address)], number(of.errors));
    }
}

fn write_security(metrics: &Metrics, page: &mut Page) {
    page.counts(
        "nsqd_auth_requests_total",
        "Questions to auth servers, at AUTH and when what was granted ran out.",
        "result",
        &metrics.broker.engine.counters.auth,
    );
    let (mut loaded, mut failed) = metrics.outgoing.reloads();
    if let Some(tls) = &metrics.tls {
        let (more_loaded, more_failed) = tls.reloads();
        loaded += more_loaded;
        failed += more_failed;
    }
    let help = "Changed files that were taken while running, or were not.";
    let mut reloads = page.family(Kind::Counter, "nsqd_reloads_total", help);
    for (result, count) in [("ok", loaded), ("error", failed)] {
        if count > 0 {
            reloads.value(&[("what", "tls"), ("result", result)], number(count));
        }
    }
    if let Some(tls) = &metrics.tls {
        page.gauge(
            "nsqd_tls_certificate_expiry_seconds",
            "When the certificate in force ends, in Unix time.",
            number(tls.expiry().unsigned_abs()),
        );
    }
}
