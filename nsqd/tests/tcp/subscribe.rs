//! SUB: cases 72 to 80 of the nsqd specification.

use std::time::Duration;

use nsq_testkit::{BOUND, Next, eventually, nsqd};

#[test]
fn nd_072_sub_needs_no_identify() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("SUB t ch");
    conn.expect_ok();
}

#[test]
fn nd_073_sub_creates_topic_and_channel() {
    let daemon = nsqd!();
    let _conn = daemon.subscribe("t", "ch");
    daemon.expect_channel("t", "ch", &[("client_count", 1)]);
    let client = &daemon.channel("t", "ch")["clients"][0];
    assert_eq!((&client["state"], &client["ready_count"]), (&3.into(), &0.into()));
}

#[test]
fn nd_074_sub_needs_two_names() {
    let daemon = nsqd!();
    for line in ["SUB t", "SUB"] {
        let mut conn = daemon.connect();
        conn.command(line);
        conn.expect_fatal("E_INVALID SUB insufficient number of parameters");
    }
}

#[test]
fn nd_075_a_connection_subscribes_once() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "ch");
    conn.command("SUB t ch");
    conn.expect_fatal("E_INVALID cannot SUB in current state");
}

#[test]
fn nd_076_identify_and_auth_come_before_sub() {
    let daemon = nsqd!();
    for command in ["IDENTIFY", "AUTH"] {
        let mut conn = daemon.subscribe("t", "ch");
        conn.command_with(command, b"{}");
        conn.expect_fatal(&format!("E_INVALID cannot {command} in current state"));
    }
}

#[test]
fn nd_077_a_consumer_needs_heartbeats() {
    let daemon = nsqd!();
    for line in ["SUB t ch", "SUB a:b ch", "SUB"] {
        let mut conn = daemon.connect();
        conn.identify(r#"{"heartbeat_interval":-1}"#);
        conn.expect_ok();
        conn.command(line);
        conn.expect_fatal("E_INVALID cannot SUB with heartbeats disabled");
    }
}

#[test]
fn nd_078_extra_parameters_are_ignored() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("SUB t ch x y");
    conn.expect_ok();
    daemon.expect_channel("t", "ch", &[("client_count", 1)]);
}

#[test]
fn nd_079_a_channel_has_a_limit_of_consumers() {
    let daemon = nsqd!("--max-channel-consumers=2");
    let _first = daemon.subscribe("mcc", "ch");
    let second = daemon.subscribe("mcc", "ch");
    let mut third = daemon.connect();
    third.command("SUB mcc ch");
    third.expect_fatal("E_SUB_FAILED SUB failed consumers for mcc:ch exceeds limit of 2");
    drop(second);
    eventually(BOUND, || {
        let mut conn = daemon.connect();
        conn.command("SUB mcc ch");
        matches!(conn.next(BOUND), Next::Frame(frame) if frame.data == b"OK")
    });
}

#[test]
fn nd_080_nothing_comes_without_rdy() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "ch");
    daemon.connect().publish("t", b"x");
    daemon.expect_channel("t", "ch", &[("depth", 1)]);
    conn.expect_silence(Duration::from_millis(500));
}
