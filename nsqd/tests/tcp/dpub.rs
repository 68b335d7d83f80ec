//! DPUB: cases 62 to 71 of the nsqd specification.

use std::time::Duration;

use nsq_testkit::{Daemon, Stopwatch, nsqd};

/// The latest that a due message may come, in milliseconds after it is due. The reference looks at a young channel late.
const LATE: u64 = 15_000;

/// This DPUB line, with a body, must fail with this text.
#[track_caller]
fn expect_refused(daemon: &Daemon, line: &str, bytes: &[u8], text: &str) {
    let mut conn = daemon.connect();
    conn.command_with(line, bytes);
    conn.expect_fatal(text);
}

/// Publishes a deferred message and waits for its `OK`.
#[track_caller]
fn publish_deferred(daemon: &Daemon, ms: &str) {
    let mut conn = daemon.connect();
    conn.command_with(&format!("DPUB t {ms}"), b"x");
    conn.expect_ok();
}

#[test]
fn nd_062_a_deferred_message_waits() {
    let daemon = nsqd!();
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    let since = Stopwatch::start();
    publish_deferred(&daemon, "1000");
    daemon.expect_channel(
        "t",
        "c",
        &[("deferred_count", 1), ("depth", 0), ("message_count", 1)],
    );
    assert_eq!(consumer.message().attempts, 1);
    since.expect_ms(1000, LATE);
}

#[test]
fn nd_063_no_delay_is_a_publish() {
    let daemon = nsqd!();
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 10");
    for ms in ["0", ""] {
        publish_deferred(&daemon, ms);
        let since = Stopwatch::start();
        consumer.expect_message(b"x");
        since.expect_ms(0, 2000);
    }
}

#[test]
fn nd_064_dpub_needs_a_delay() {
    let daemon = nsqd!();
    expect_refused(
        &daemon,
        "DPUB t",
        b"x",
        "E_INVALID DPUB insufficient number of parameters",
    );
}

#[test]
fn nd_065_a_delay_is_digits() {
    let daemon = nsqd!();
    expect_refused(
        &daemon,
        "DPUB t -1",
        b"x",
        "E_INVALID DPUB could not parse timeout -1",
    );
    expect_refused(
        &daemon,
        "DPUB t abc",
        b"x",
        "E_INVALID DPUB could not parse timeout abc",
    );
}

#[test]
fn nd_066_the_longest_delay() {
    let daemon = nsqd!();
    publish_deferred(&daemon, "3600000");
    let text = "E_INVALID DPUB timeout 3600001 out of range 0-3600000";
    expect_refused(&daemon, "DPUB t 3600001", b"x", text);
}

#[test]
fn nd_067_the_topic_is_checked_first() {
    let daemon = nsqd!();
    expect_refused(
        &daemon,
        "DPUB a:b zz",
        b"x",
        r#"E_BAD_TOPIC DPUB topic name "a:b" is not valid"#,
    );
}

#[test]
fn nd_068_a_body_has_the_rules_of_pub() {
    let daemon = nsqd!("--max-msg-size=100");
    expect_refused(
        &daemon,
        "DPUB t 1",
        b"",
        "E_BAD_MESSAGE DPUB invalid message body size 0",
    );
    expect_refused(
        &daemon,
        "DPUB t 1",
        &[0; 101],
        "E_BAD_MESSAGE DPUB message too big 101 > 100",
    );
}

#[test]
fn nd_069_the_delay_starts_at_the_channel() {
    let daemon = nsqd!();
    publish_deferred(&daemon, "1000");
    // Without a channel no time counts.
    daemon.connect().expect_silence(Duration::from_millis(1500));
    let since = Stopwatch::start();
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    consumer.expect_message(b"x");
    since.expect_ms(1000, LATE);
}

#[test]
fn nd_070_a_paused_topic_holds_the_delay() {
    let daemon = nsqd!();
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    daemon.act("/topic/pause?topic=t");
    let since = Stopwatch::start();
    publish_deferred(&daemon, "1000");
    consumer.expect_silence(Duration::from_secs(2));
    daemon.act("/topic/unpause?topic=t");
    consumer.expect_message(b"x");
    since.expect_ms(3000, LATE);
}

#[test]
fn nd_071_each_channel_defers_its_own_copy() {
    let daemon = nsqd!();
    let mut consumers = [daemon.subscribe("t", "c"), daemon.subscribe("t", "d")];
    consumers
        .iter_mut()
        .for_each(|consumer| consumer.command("RDY 1"));
    let since = Stopwatch::start();
    publish_deferred(&daemon, "1000");
    daemon.expect_channel("t", "c", &[("deferred_count", 1)]);
    daemon.expect_channel("t", "d", &[("deferred_count", 1)]);
    let [first, second] = consumers.each_mut().map(|consumer| consumer.expect_message(b"x"));
    since.expect_ms(1000, LATE);
    assert_eq!(first, second);
}
