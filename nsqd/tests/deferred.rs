//! Deferred messages and restarts: EX-046 and EX-048 to EX-052 of the extensions specification, which override cases 192 and
//! 193 of nsqd.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; what the daemon left behind is looked at with the real files"
)]

use nsq_testkit::{Conn, Daemon, Launch, Stopwatch, body, eventually, nsqd_binary, ours_only};
use nsqd::deferrals::file::{self, When};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LOST: &str = "X deferrals over a restart, and on disk";

fn launch() -> Launch {
    Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
}

fn defer(conn: &mut Conn, topic: &str, ms: u64, body: &[u8]) {
    conn.command_with(&format!("DPUB {topic} {ms}"), body);
    conn.expect_ok();
}

fn with_channel() -> Daemon {
    let daemon = launch().start();
    daemon.act("/topic/create?topic=t");
    daemon.act("/channel/create?topic=t&channel=c");
    daemon
}

fn consumer(daemon: &Daemon) -> Conn {
    let mut conn = daemon.subscribe("t", "c");
    conn.command("RDY 100");
    conn
}

#[test]
fn ex_046_a_due_time_survives_a_clean_stop() {
    if ours_only(LOST) {
        return;
    }
    let mut daemon = with_channel();
    let mut conn = daemon.connect();
    daemon.post("/pub?topic=t", b"ready");
    let watch = Stopwatch::start();
    defer(&mut conn, "t", 4000, b"later");
    daemon.restart();
    daemon.expect_channel(
        "t",
        "c",
        &[("depth", 1), ("deferred_count", 1), ("backend_depth", 1)],
    );
    let mut consumer = consumer(&daemon);
    consumer.expect_message(b"ready");
    let message = consumer.expect_message(b"later");
    watch.expect_ms(3990, 4500);
    assert_eq!(message.attempts, 1);
    consumer.finish(&message);
    daemon.expect_channel("t", "c", &[("depth", 0), ("deferred_count", 0)]);
}

/// The same without a consumer until it is due, twice stopped, and for a message that was requeued.
#[test]
fn ex_046_a_due_time_survives_several_stops_and_a_requeue() {
    if ours_only(LOST) {
        return;
    }
    let mut daemon = with_channel();
    daemon.post("/pub?topic=t", b"requeued");
    let mut conn = consumer(&daemon);
    let message = conn.message();
    let watch = Stopwatch::start();
    conn.requeue(&message, 4000);
    daemon.expect_channel("t", "c", &[("deferred_count", 1)]);
    drop(conn);
    daemon.restart();
    daemon.restart();
    daemon.expect_channel("t", "c", &[("deferred_count", 1), ("depth", 0)]);
    let mut conn = consumer(&daemon);
    let message = conn.expect_message(b"requeued");
    watch.expect_ms(3990, 4500);
    assert_eq!(message.attempts, 2);
}

#[test]
fn ex_048_what_became_due_while_it_was_down_comes_at_once() {
    let mut daemon = with_channel();
    defer(&mut daemon.connect(), "t", 300, b"due");
    let deferred = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    eventually(Duration::from_secs(5), || {
        deferred.elapsed() > Duration::from_millis(400)
    });
    daemon.restart();
    let watch = Stopwatch::start();
    consumer(&daemon).expect_message(b"due");
    watch.expect_ms(0, 1000);
}

#[test]
fn ex_049_a_delay_waits_for_the_channel_also_over_a_restart() {
    if ours_only("X deferrals over a restart, and on disk") {
        return;
    }
    let mut daemon = launch().start();
    let mut conn = daemon.connect();
    defer(&mut conn, "t", 2000, b"later");
    conn.publish("t", b"ready");
    daemon.expect_topic("t", &[("depth", 2)]);
    daemon.restart();
    let watch = Stopwatch::start();
    daemon.act("/channel/create?topic=t&channel=c");
    let mut consumer = consumer(&daemon);
    consumer.expect_message(b"ready");
    consumer.expect_message(b"later");
    watch.expect_ms(1990, 3000);
}

#[test]
fn ex_050_delays_survive_the_overflow_to_disk() {
    if ours_only("X deferrals over a restart, and on disk") {
        return;
    }
    let daemon = launch().flag("--mem-queue-size=0").start();
    let mut conn = daemon.connect();
    // The topic keeps them in its files, because there is no channel yet.
    for number in 0..100 {
        defer(&mut conn, "t", 2000, format!("{number}").as_bytes());
    }
    daemon.expect_topic("t", &[("depth", 100), ("backend_depth", 100)]);
    let watch = Stopwatch::start();
    daemon.act("/channel/create?topic=t&channel=c");
    for number in 0..100 {
        defer(&mut conn, "t", 2000, format!("direct {number}").as_bytes());
    }
    let mut consumer = consumer(&daemon);
    for _ in 0..200 {
        let message = consumer.message();
        consumer.finish(&message);
        assert!(
            watch.elapsed() >= Duration::from_millis(1990),
            "{:?}",
            watch.elapsed()
        );
    }
    daemon.expect_channel(
        "t",
        "c",
        &[("depth", 0), ("deferred_count", 0), ("in_flight_count", 0)],
    );
}

#[test]
fn a_broken_file_of_due_times_only_makes_messages_early() {
    if ours_only("X deferrals over a restart, and on disk") {
        return;
    }
    let mut daemon = with_channel();
    defer(&mut daemon.connect(), "t", 60_000, b"m");
    assert_eq!(daemon.stop(), Some(0));
    let file = daemon.data().join("nsqd.timers.dat");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    daemon.restart();
    daemon.expect_log("nsqd.timers.dat is broken behind 0 records");
    consumer(&daemon).expect_message(b"m");
}

#[test]
fn an_emptied_channel_forgets_its_due_times() {
    if ours_only(LOST) {
        return;
    }
    let mut daemon = with_channel();
    defer(&mut daemon.connect(), "t", 60_000, b"m");
    daemon.restart();
    daemon.expect_channel("t", "c", &[("deferred_count", 1)]);
    daemon.act("/channel/empty?topic=t&channel=c");
    daemon.expect_channel("t", "c", &[("deferred_count", 0), ("depth", 0)]);
    assert_eq!(daemon.stop(), Some(0));
    assert!(
        !daemon.data().join("nsqd.timers.dat").exists(),
        "nothing is held back: no file"
    );
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Due times are read from what a clean stop leaves: nobody waits for a month.
#[test]
fn ex_051_deferred_publishes_have_a_bound_of_their_own() {
    const MONTH: u64 = 2_592_000_000;
    const HOUR: u64 = 3_600_000;
    if ours_only("`max-req-timeout` bounds `DPUB` too") {
        return;
    }
    let mut daemon = launch().flag("--max-defer-timeout=720h").start();
    let mut consumer = daemon.subscribe("t", "c");
    consumer.command("RDY 1");
    daemon.post("/pub?topic=t", b"requeued").expect(200, "OK");
    let message = consumer.expect_message(b"requeued");
    let before = unix_ms();
    consumer.requeue(&message, 2 * HOUR);
    defer(&mut daemon.connect(), "t", MONTH, b"by TCP");
    let target = format!("/pub?topic=t&defer={MONTH}");
    daemon.post(&target, b"by HTTP").expect(200, "OK");
    daemon.expect_channel("t", "c", &[("deferred_count", 3)]);
    let after = unix_ms();

    let mut refused = daemon.connect();
    refused.command_with(&format!("DPUB t {}", MONTH + 1), b"x");
    refused.expect_fatal("E_INVALID DPUB timeout 2592000001 out of range 0-2592000000");
    let target = format!("/pub?topic=t&defer={}", MONTH + 1);
    daemon
        .post(&target, b"x")
        .expect(400, r#"{"message":"INVALID_DEFER"}"#);

    drop(consumer);
    assert_eq!(daemon.stop(), Some(0));
    let bytes = std::fs::read(daemon.data().join(file::FILE_NAME)).unwrap();
    let (entries, broken) = file::parse(&bytes);
    assert!(!broken);
    let due = |entry: &file::Entry| match entry.when {
        When::Due(at) => at / 1_000_000,
        When::Delay(_) => 0,
    };
    let mut dues: Vec<_> = entries.iter().map(due).collect();
    dues.sort_unstable();
    assert_eq!(dues.len(), 3, "{entries:?}");
    for (due, delay) in dues.into_iter().zip([HOUR, MONTH, MONTH]) {
        let began = due - i64::try_from(delay).unwrap();
        // To the millisecond, and one for each rounding.
        assert!(
            (before - 2..=after + 2).contains(&began),
            "{before} {began} {after}"
        );
    }
}

/// The first half of the case is with the broker: `ex_052_a_thousand_channels_release_in_time`.
#[test]
fn ex_052_far_timers_cost_nothing_while_idle() {
    const CHANNELS: usize = 100;
    const MESSAGES: usize = 1000;
    const WINDOW: Duration = Duration::from_secs(3);
    if ours_only("A10, A11 deferrals and time-outs") {
        return;
    }
    let daemon = launch().start();
    daemon.act("/topic/create?topic=t");
    for channel in 0..CHANNELS {
        daemon.act(&format!("/channel/create?topic=t&channel=c{channel}"));
    }
    let mut conn = daemon.connect();
    let far = |number| {
        [
            format!("DPUB t {}\n", 3_000_000 + number).as_bytes(),
            &body(b"far"),
        ]
        .concat()
    };
    conn.send(&(0..MESSAGES).flat_map(far).collect::<Vec<u8>>());
    for _ in 0..MESSAGES {
        conn.expect_ok();
    }
    for channel in [0, CHANNELS - 1] {
        daemon.expect_channel(
            "t",
            &format!("c{channel}"),
            &[("deferred_count", MESSAGES as u64)],
        );
    }
    let before = daemon.cpu_time();
    conn.expect_silence(WINDOW);
    let used = daemon.cpu_time() - before;
    assert!(used < WINDOW / 100, "{used:?} in {WINDOW:?}");
}
