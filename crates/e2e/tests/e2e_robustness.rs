//! 10,000 streams of bytes that nobody should send, to every port: no daemon ends, and no connection is left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real sockets and files"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nsq_e2e::local::{LocalCluster, Node};
use nsq_e2e::{eventually, http};

const STREAMS: u64 = 10_000;
const SENDERS: u64 = 8;
/// The same bytes in every run.
const SEED: u64 = 0x6e73_712d_7273_0001;
/// A daemon that answers late still has to close.
const BOUND: Duration = Duration::from_secs(60);

/// xorshift64*: enough for noise, and the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// Beginnings that lead into the parsers, so that noise does not stop at the door.
const TCP_STARTS: [&[u8]; 12] = [
    b"",
    b"  V2",
    b"  V1",
    b"  V2IDENTIFY\n",
    b"  V2IDENTIFY\n\0\0\0\x02{}SUB noise channel\nRDY 10\n",
    b"  V2PUB noise\n\0\0\0\x04body",
    b"  V2MPUB noise\n\0\0\0\x20\0\0\0\x02\0\0\0\x01a\0\0\0",
    b"  V2SUB noise channel#ephemeral\nRDY 1\nFIN ",
    b"  V2DPUB noise 100\n\0\0\0\x01",
    b"  V1IDENTIFY\n",
    b"  V1IDENTIFY\n\0\0\0\x02{}REGISTER noise\n",
    b"  V1PING\nREGISTER ",
];
const HTTP_STARTS: [&[u8]; 9] = [
    b"",
    b"GET / HTTP/1.1\r\n",
    b"GET /stats?format=",
    b"GET /lookup?topic=noise HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /pub?topic=noise HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n",
    b"POST /mpub?topic=noise&binary=true HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    b"POST /topic/create?topic=%00 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    b"PUT /config/nsqlookupd_tcp_addresses HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Sends one stream and reads what comes until the end; ends in one of three ways.
fn send(address: &str, starts: &[&[u8]], noise: &mut Noise) {
    let mut stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("connect {address}: {e}"));
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut bytes = starts[noise.below(starts.len())].to_vec();
    let length = [0, 1, 4, 30, 300, 3_000][noise.below(6)];
    bytes.extend(noise.bytes(length));
    // A daemon may have closed before the last byte: that is its right.
    let _ = stream.write_all(&bytes);
    match noise.below(3) {
        0 => {}
        1 => drop(stream.shutdown(Shutdown::Both)),
        _ => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.take(1 << 20).read_to_end(&mut Vec::new());
        }
    }
}

/// Sockets that a process has open.
fn sockets(node: &Node) -> usize {
    let folder = fs::read_dir(format!("/proc/{}/fd", node.pid))
        .unwrap_or_else(|e| panic!("{} is gone: {e}", node.name));
    let targets = folder
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

fn resident_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid)).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn storm(address: &str, starts: &'static [&'static [u8]]) {
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || {
                let mut noise = Noise(SEED + sender);
                for _ in 0..STREAMS / SENDERS {
                    send(address, starts, &mut noise);
                }
            });
        }
    });
}

#[test]
fn noise_on_every_port_ends_no_daemon_and_leaves_no_connection() {
    let cluster = LocalCluster::start("  nsqd: {replicas: 1}\n  lookupd: {replicas: 1}\n");
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    for node in &nodes {
        let before = sockets(node);
        if !node.tcp.is_empty() {
            storm(&node.tcp, &TCP_STARTS);
        }
        storm(&node.http, &HTTP_STARTS);
        // The operator and the other daemons come and go too: at rest there are as many as before.
        eventually(
            BOUND,
            &format!("{} has {before} sockets again", node.name),
            || sockets(node) <= before,
        );
        assert_eq!(
            http::get(&node.http, "/ping").unwrap(),
            (200, "OK".to_owned()),
            "{}",
            node.name
        );
        let resident = resident_kib(node);
        assert!(
            resident < 256 << 10,
            "{} holds {resident} KiB after the storm",
            node.name
        );
    }
    assert_eq!(cluster.nodes(), nodes, "no daemon was started again");
    cluster.stop();
}
