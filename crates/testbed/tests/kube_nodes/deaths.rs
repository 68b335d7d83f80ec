//! Fewer nodes while messages come in, and operator and nodes that die at random times meanwhile: what was answered with `OK` is
//! delivered, or held by the node that stays.
//!
//! `cargo xtask crash-drain` runs this with many deaths and 100,000 messages; among the other tests it is short.
#![allow(clippy::print_stderr, reason = "numbers for people")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nsq_testkit::body;

use super::*;

/// Sets how often something dies.
const DEATHS: &str = "NSQ_DRAIN_DEATHS";
/// Sets how many messages are there before.
const MESSAGES: &str = "NSQ_DRAIN_MESSAGES";
/// Both, among the other tests.
const SHORT: (usize, usize) = (4, 6_000);

/// In one scale-down. More would only prove that kubelets wait longer and longer with a container that dies.
const DEATHS_OF_A_ROUND: usize = 5;
/// Longest scale-down.
const PATIENCE: Duration = Duration::from_secs(600);
/// Messages that are due later, and when.
const LATER: (usize, Duration) = (200, Duration::from_secs(60));
/// After this time nothing more comes. Only waited for in full when something is lost.
const QUIET: Duration = Duration::from_secs(90);

/// Channels of the topic: with consumers, with none, paused.
const CHANNELS: [&str; 3] = ["billing", "audit", "held"];
const NODES: [&str; 3] = ["demo-nsqd-0", "demo-nsqd-1", "demo-nsqd-2"];

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Numbers without order, from a seed that is printed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Who dies in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mortals {
    /// The operator alone.
    Operator,
    /// The operator, the nodes that go and the one that stays. What is due later is in memory until then, here as in Go's
    /// nsqd, so such a round has nothing of it.
    All,
}

/// A round with what was promised and seen in it.
struct Round<'a> {
    demo: &'a Running,
    accepted: Mutex<Vec<String>>,
    billed: Mutex<HashSet<String>>,
    publishing: AtomicBool,
    consuming: AtomicBool,
}

impl Round<'_> {
    /// Where the publish Service sends a connection now.
    fn publish_addresses(&self) -> Vec<SocketAddr> {
        let selector = "kubernetes.io/service-name=demo-nsqd-publish";
        let list = self.demo.namespace.get(&["endpointslice", "-l", selector]);
        let slices = list["items"].as_array().into_iter().flatten();
        let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        endpoints
            .filter(|endpoint| endpoint["conditions"]["ready"] == true)
            .filter_map(|endpoint| endpoint["addresses"][0].as_str()?.parse().ok())
            .map(|ip| SocketAddr::new(ip, 4150))
            .collect()
    }

    /// Publishes at a steady pace until told to end; a connection is used for a while, then another one is made.
    fn publish(&self, random: &mut Random) {
        let mut number = 0;
        while self.publishing.load(Ordering::Relaxed) {
            let addresses = self.publish_addresses();
            if addresses.is_empty() {
                continue;
            }
            let chosen = random.below(addresses.len() as u64);
            let Some(mut conn) = Conn::try_connect(addresses[usize::try_from(chosen).unwrap()]) else {
                continue;
            };
            conn.try_send(b"  V2");
            for _ in 0..200 {
                let text = format!("load-{number}");
                number += 1;
                let sent = conn.try_send(&[b"PUB t\n".as_slice(), &body(text.as_bytes())].concat());
                // One that is refused or not answered is not promised.
                if !sent || !matches!(conn.next(BOUND), Next::Frame(frame) if frame.data == b"OK") {
                    break;
                }
                self.accepted.lock().unwrap().push(text);
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Consumes from a node as long as there is one, again and again.
    fn consume(&self, pod: &str) {
        while self.consuming.load(Ordering::Relaxed) {
            let found = self.demo.namespace.get(&["pod", pod]);
            let ip = found["status"]["podIP"].as_str().and_then(|ip| ip.parse().ok());
            let Some(mut conn) = ip.and_then(|ip| Conn::try_connect(SocketAddr::new(ip, 4150))) else {
                continue;
            };
            conn.try_send(b"  V2SUB t billing\nRDY 500\n");
            while self.consuming.load(Ordering::Relaxed) {
                match conn.next(Duration::from_millis(200)) {
                    Next::Frame(frame) if frame.kind == 2 => {
                        let message = frame.delivery();
                        conn.try_send(format!("FIN {}\n", message.id).as_bytes());
                        self.billed.lock().unwrap().insert(text(&message));
                    }
                    Next::Frame(frame) if frame.is_heartbeat() => {
                        conn.try_send(b"NOP\n");
                    }
                    Next::Frame(_) | Next::Silence => {}
                    Next::Closed => break,
                }
            }
        }
    }
}

fn text(message: &Delivery) -> String {
    String::from_utf8(message.body.clone()).unwrap()
}

/// What a channel of the node that stays still holds, until all of `wanted` has come.
fn held(demo: &Running, channel: &str, wanted: &[String]) {
    let mut missing: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let mut conn = demo.namespace.connect(NODES[0]);
    conn.subscribe("t", channel);
    conn.command("RDY 2500");
    let mut last = Instant::now();
    while !missing.is_empty() && last.elapsed() < QUIET {
        match conn.next(Duration::from_secs(1)) {
            Next::Frame(frame) if frame.kind == 2 => {
                let message = frame.delivery();
                conn.finish(&message);
                missing.remove(text(&message).as_str());
                last = Instant::now();
            }
            Next::Frame(frame) if frame.is_heartbeat() => conn.command("NOP"),
            Next::Frame(_) | Next::Silence => {}
            Next::Closed => panic!("{channel}: the node ended the connection"),
        }
    }
    let some: Vec<&&str> = missing.iter().take(5).collect();
    assert!(missing.is_empty(), "{channel} lost {}: {some:?}", missing.len());
}

/// Three nodes with messages in all of them.
fn loaded(name: &str, messages: usize, mortals: Mortals) -> (Running, Vec<String>) {
    let mut spec = quick(3);
    spec["nsqd"]["options"] = json!({"memQueueSize": 0});
    spec["nsqd"]["drain"] = json!({"settle": "1s", "evacuate": "WhenStuck", "evacuateAfter": "1s"});
    let demo = running(name, &spec);
    let mut promised = Vec::new();
    for pod in NODES {
        for channel in CHANNELS {
            demo.create(pod, "t", channel);
        }
        let pause = demo
            .namespace
            .ask(pod, "POST", "/channel/pause?topic=t&channel=held");
        pause.expect(200, "");
    }
    let mut connections = NODES.map(|pod| demo.namespace.connect(pod));
    for batch in 0..messages.div_ceil(500) {
        let numbers = batch * 500..(messages.min(batch * 500 + 500));
        let texts: Vec<String> = numbers.map(|number| format!("before-{number}")).collect();
        let bodies: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        connections[batch % NODES.len()].publish_many("t", &bodies);
        promised.extend(texts);
    }
    if mortals == Mortals::Operator {
        for number in 0..LATER.0 {
            let later = format!("later-{number}");
            let conn = &mut connections[number % NODES.len()];
            conn.command_with(&format!("DPUB t {}", LATER.1.as_millis()), later.as_bytes());
            conn.expect_ok();
            promised.push(later);
        }
    }
    (demo, promised)
}

/// Ends the threads of a round, also when the test fails.
struct Ends<'a>(&'a Round<'a>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.publishing.store(false, Ordering::Relaxed);
        self.0.consuming.store(false, Ordering::Relaxed);
    }
}

/// One scale-down from three nodes to one; gives how often something died in it.
fn round(number: usize, messages: usize, deaths: usize, random: &mut Random) -> usize {
    let mortals = if number.is_multiple_of(2) {
        Mortals::All
    } else {
        Mortals::Operator
    };
    let (demo, promised) = loaded(&format!("deaths-{number}"), messages, mortals);
    let round = Round {
        demo: &demo,
        accepted: Mutex::new(promised),
        billed: Mutex::default(),
        publishing: AtomicBool::new(true),
        consuming: AtomicBool::new(true),
    };
    let over = || {
        let status = demo.namespace.status("demo");
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    };
    let mut died = 0;
    let mut successor: Option<Operator> = None;
    let mut publisher = Random(random.below(u64::MAX) | 1);
    let started = Instant::now();
    thread::scope(|scope| {
        let round = &round;
        let ends = Ends(round);
        scope.spawn(move || round.publish(&mut publisher));
        for pod in NODES {
            scope.spawn(move || round.consume(pod));
        }
        demo.scale(1);
        while died < deaths && !over() {
            let when = Instant::now() + Duration::from_millis(random.below(8000));
            eventually(PATIENCE, || Instant::now() >= when || over());
            let victim = match mortals {
                Mortals::Operator => 3,
                Mortals::All => usize::try_from(random.below(4)).unwrap(),
            };
            if let Some(pod) = NODES.get(victim) {
                if let Some(process) = demo.find_process(&format!("{pod}.demo-nsqd")) {
                    kill_process(process, Signal::KILL).unwrap();
                    died += 1;
                }
            } else {
                match &mut successor {
                    Some(operator) => operator.kill(),
                    None => demo.operator.signal(Signal::KILL),
                }
                successor = Some(Operator::start(&demo.namespace));
                died += 1;
            }
        }
        eventually(PATIENCE, over);
        round.publishing.store(false, Ordering::Relaxed);
        // What came last, and what is due later.
        let mut seen = (0, Instant::now());
        loop {
            let billed = round.billed.lock().unwrap();
            let missing: Vec<String> = {
                let promised = round.accepted.lock().unwrap();
                let missing = promised.iter().filter(|text| !billed.contains(*text));
                missing.cloned().collect()
            };
            if missing.is_empty() {
                break;
            }
            if billed.len() > seen.0 {
                seen = (billed.len(), Instant::now());
            }
            drop(billed);
            let some: Vec<&String> = missing.iter().take(5).collect();
            assert!(
                seen.1.elapsed() < QUIET,
                "billing lost {}: {some:?}",
                missing.len()
            );
            thread::sleep(Duration::from_millis(200));
        }
        drop(ends);
    });
    let promised = round.accepted.into_inner().unwrap();
    held(&demo, "audit", &promised);
    let unpause = demo
        .namespace
        .ask(NODES[0], "POST", "/channel/unpause?topic=t&channel=held");
    unpause.expect(200, "");
    held(&demo, "held", &promised);
    eprintln!(
        "round {number}: {mortals:?}, {died} deaths, {} messages answered with OK, none lost in {} channels, {:.0} s",
        promised.len(),
        CHANNELS.len(),
        started.elapsed().as_secs_f64()
    );
    died
}

#[test]
fn a_scale_down_under_load_loses_nothing_whatever_dies() {
    let (deaths, messages) = (setting(DEATHS, SHORT.0), setting(MESSAGES, SHORT.1));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut random = Random(u64::from(now.subsec_nanos()) | 1);
    eprintln!("seed {}", random.0);
    let mut died = 0;
    for number in 0.. {
        if died >= deaths {
            break;
        }
        died += round(
            number,
            messages,
            DEATHS_OF_A_ROUND.min(deaths - died),
            &mut random,
        );
    }
    eprintln!("{died} deaths");
}
