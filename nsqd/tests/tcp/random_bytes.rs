//! Random bytes on both ports: they neither end the daemon nor leave a connection open.

use std::net::SocketAddr;

use nsq_testkit::{BOUND, Conn, eventually, nsqd};

/// Streams sent to each port.
const STREAMS: u64 = 10_000;

/// What a stream to the TCP port begins with, so that the noise reaches each reader and not only the magic.
const TCP_STARTS: [&[u8]; 8] = [
    b"",
    b"  V2",
    b"  V2IDENTIFY\n\0\0\0\x20{\"",
    b"  V2PUB t\n\0\0\0\x20",
    b"  V2MPUB t\n\0\0\0\x40\0\0\0\x02\0\0\0\x08",
    b"  V2DPUB t 1\n\0\0",
    b"  V2SUB t c\nRDY 5\nFIN ",
    b"  V2SUB t c#ephemeral\nRDY 1\nREQ 0123456789abcdef ",
];

/// What a stream to the HTTP port begins with.
const HTTP_STARTS: [&[u8]; 5] = [
    b"",
    b"GET /stats?",
    b"GET /ping HTTP/1.1\r\n",
    b"POST /pub?topic=t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /mpub?topic=t&binary=true HTTP/1.1\r\nContent-Length: 64\r\n\r\n\0\0\0\x02\0\0\0",
];

/// Up to 300 bytes, the same for the same seed, so that a failure can be repeated.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let length = u16::from_le_bytes([next()[3], next()[3]]) % 300;
    (0..length).map(|_| next()[3]).collect()
}

/// Sends a beginning and noise, ends, and reads until the server ends too.
#[track_caller]
fn send(address: SocketAddr, start: &[u8], seed: u64) {
    let mut conn = Conn::connect(address);
    // The server may have closed already, which is an answer too.
    conn.try_send(&[start, &noise(seed)].concat());
    conn.try_half_close();
    assert!(
        conn.drain(),
        "the server keeps the connection of seed {seed} after {start:?}"
    );
}

#[test]
fn random_bytes_neither_end_nsqd_nor_leak_a_connection() {
    let mut daemon = nsqd!();
    let before = daemon.open_files();
    for seed in 0..STREAMS {
        let turn = usize::try_from(seed).expect("a small number");
        send(daemon.tcp(), TCP_STARTS[turn % TCP_STARTS.len()], seed);
        send(daemon.http(), HTTP_STARTS[turn % HTTP_STARTS.len()], seed);
    }
    daemon.get("/ping").expect(200, "OK");
    // A few files of queues may have come.
    eventually(BOUND, || daemon.open_files() <= before + 8);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
