//! Slow and silent clients through each layer.

use std::time::Duration;

use nsq_testkit::{Next, Stopwatch};
use serde_json::json;

use crate::{Files, Layers, random};

#[test]
fn byte_by_byte_is_as_good_as_at_once() {
    let files = Files::new();
    let daemon = files.launch().start();
    for (number, layers) in Layers::ALL.into_iter().enumerate() {
        // A topic each: the connection of the last round may not be gone yet, and would get the message.
        let topic = format!("slow{number}");
        let mut conn = layers.connect(&daemon, &json!({}));
        let body = random(500);
        let publish = [format!("PUB {topic}\n").as_bytes(), &nsq_testkit::body(&body)].concat();
        conn.send_slowly(&publish);
        conn.expect_ok();
        conn.send_slowly(format!("SUB {topic} ch\nRDY 1\n").as_bytes());
        conn.expect_ok();
        let delivery = conn.expect_message(&body);
        conn.send_slowly(format!("FIN {}\n", delivery.id).as_bytes());
        daemon.expect_channel(&topic, "ch", &[("depth", 0), ("in_flight_count", 0)]);
    }
}

/// What waits behind a full socket is neither lost nor in disorder, and nobody else waits for it.
#[test]
fn a_consumer_that_reads_nothing_holds_up_nobody_and_misses_nothing() {
    const MESSAGES: usize = 150;
    let files = Files::new();
    let daemon = files.launch().start();
    for (number, layers) in Layers::ALL.into_iter().enumerate() {
        let topic = format!("t{number}");
        let quiet = json!({"heartbeat_interval": 60_000});
        let (mut idle, mut eager) = (layers.connect(&daemon, &quiet), layers.connect(&daemon, &quiet));
        idle.subscribe(&topic, "idle");
        eager.subscribe(&topic, "eager");
        idle.command("RDY 2500");
        eager.command("RDY 2500");
        let bodies: Vec<Vec<u8>> = (0..MESSAGES).map(|n| random(50_000 + n)).collect();
        let mut publisher = layers.connect(&daemon, &json!({}));
        for body in &bodies {
            publisher.publish(&topic, body);
        }
        for body in &bodies {
            let delivery = eager.expect_message(body);
            eager.finish(&delivery);
        }
        daemon.expect_channel(&topic, "eager", &[("depth", 0), ("in_flight_count", 0)]);
        for body in &bodies {
            let delivery = idle.expect_message(body);
            idle.finish(&delivery);
        }
        daemon.expect_channel(&topic, "idle", &[("depth", 0), ("in_flight_count", 0)]);
    }
}

/// Cases of section 3.1 through each layer: heartbeats come, and who answers none is cut after two intervals.
#[test]
fn heartbeats_and_deadlines_hold_through_each_layer() {
    let files = Files::new();
    let daemon = files.launch().start();
    std::thread::scope(|scope| {
        for layers in Layers::ALL {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut conn = layers.connect(daemon, &json!({"heartbeat_interval": 1000}));
                let since = Stopwatch::start();
                conn.expect_heartbeat();
                since.expect_ms(800, 3000);
                let end = loop {
                    match conn.next(Duration::from_millis(2500)) {
                        Next::Frame(frame) if frame.is_heartbeat() => {}
                        other => break other,
                    }
                };
                assert_eq!(end, Next::Closed, "{layers:?}");
                since.expect_ms(1800, 5000);
            });
        }
    });
}
