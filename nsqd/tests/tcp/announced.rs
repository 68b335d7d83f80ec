//! Announced is not sent: sizes up to the largest that can be said, and connections that never say anything.

use nsq_testkit::{Conn, Daemon, allow_open_files, nsqd, ours_only};

/// The largest length and count of the protocol.
const MOST: i32 = i32::MAX;

/// Connections that announce, of each kind.
const EACH: u64 = 50;

/// Connections that stand in the middle of what they begin with.
const HALF_OPEN: u64 = 10_000;

/// What all of them may cost in resident memory, in KiB: 12 for each. One announced body is 2 GiB.
const BOUND_KIB: u64 = 12 * (HALF_OPEN + 5 * EACH);

fn started(daemon: &Daemon, bytes: &[&[u8]]) -> Conn {
    let mut conn = daemon.connect();
    conn.send(&bytes.concat());
    conn
}

/// A message goes through.
#[track_caller]
fn others_go_on(daemon: &Daemon, consumer: &mut Conn) {
    daemon.connect().publish("others", b"m");
    let delivery = consumer.expect_message(b"m");
    consumer.finish(&delivery);
}

#[test]
fn announced_sizes_and_half_open_connections_take_no_memory() {
    if ours_only("memory for an announced body") {
        return;
    }
    allow_open_files(HALF_OPEN + 2_000);
    let daemon = nsqd!(
        format!("--max-body-size={MOST}"),
        format!("--max-msg-size={MOST}"),
        "--max-heartbeat-interval=10m"
    );
    // All those connections may take longer than the time between two heartbeats.
    let mut consumer = daemon.connect();
    consumer.identify(r#"{"heartbeat_interval":600000}"#);
    consumer.expect_ok();
    consumer.subscribe("others", "c");
    consumer.command("RDY 1");
    others_go_on(&daemon, &mut consumer);
    let before = daemon.resident_kib();

    let (size, count) = (MOST.to_be_bytes(), ((MOST - 4) / 5).to_be_bytes());
    let mut open = Vec::new();
    for _ in 0..EACH {
        open.push(started(&daemon, &[b"PUB t\n", &size, b"begun"]));
        open.push(started(&daemon, &[b"DPUB t 1000\n", &size, b"begun"]));
        open.push(started(
            &daemon,
            &[b"MPUB t\n", &size, &count, &1_i32.to_be_bytes(), b"m"],
        ));
        open.push(started(
            &daemon,
            &[
                b"MPUB t\n",
                &size,
                &1_i32.to_be_bytes(),
                &(MOST - 8).to_be_bytes(),
                b"m",
            ],
        ));
        open.push(started(&daemon, &[b"IDENTIFY\n", &size, b"{"]));
    }
    for _ in 0..HALF_OPEN {
        let mut conn = daemon.connect_raw();
        conn.send(b"  V");
        open.push(conn);
    }
    let mut greedy = started(&daemon, &[b"MPUB t\n", &size, &size]);
    greedy.expect_fatal(&format!("E_BAD_BODY MPUB invalid message count {MOST}"));
    for target in ["/pub?topic=t", "/mpub?topic=t", "/mpub?topic=t&binary=true"] {
        let head = format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 4294967296\r\n\r\nbegun");
        assert_eq!(daemon.request_raw(head.as_bytes()).status, 413, "{target}");
    }

    others_go_on(&daemon, &mut consumer);
    let more = daemon.resident_kib().saturating_sub(before);
    assert!(more < BOUND_KIB, "{more} KiB for {} connections", open.len());
    drop(open);
    others_go_on(&daemon, &mut consumer);
    daemon.expect_topic("t", &[("depth", 0), ("message_count", 0)]);
}
