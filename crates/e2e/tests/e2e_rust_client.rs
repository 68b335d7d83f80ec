//! `nsq-client` against our daemons and against Go NSQ: the same calls have the same effect.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::future::Future;
use std::time::Duration;

use nsq_client::{
    ChannelName, Config, Consumer, ConsumerOptions, Delivery, Error, NsqdStatus, Producer, TopicName,
};
use nsq_e2e::http;
use nsq_e2e::reference::{Daemon, Maker};
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(30);

/// One nsqlookupd and two nsqds of a maker.
struct Cluster {
    lookupd: Daemon,
    nsqds: Vec<Daemon>,
    _folders: Vec<tempfile::TempDir>,
}

impl Cluster {
    fn start(maker: Maker) -> Self {
        let lookupd = maker.nsqlookupd(&[]);
        let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let nsqds = folders
            .iter()
            .map(|folder| maker.nsqd(folder.path(), &[&lookupd.tcp], &[]))
            .collect();
        Self {
            lookupd,
            nsqds,
            _folders: folders,
        }
    }

    fn consumer(&self, topic: &TopicName) -> Consumer {
        let mut options = ConsumerOptions::new(topic.clone(), channel());
        options.lookupd_http_addresses = vec![self.lookupd.http.clone()];
        options.lookup_interval = Duration::from_millis(100);
        options.max_in_flight = 20;
        Consumer::start(options)
    }
}

fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn channel() -> ChannelName {
    "channel".parse().unwrap()
}

/// Runs the test with both makers, each on a runtime of its own.
fn with_both<F: Future<Output = ()>>(test: impl Fn(Cluster) -> F) {
    for maker in [Maker::Reference, Maker::Ours] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test(Cluster::start(maker)));
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    timeout(BOUND, consumer.next())
        .await
        .expect("a delivery")
        .expect("a running consumer")
}

#[test]
fn messages_of_two_nsqds_are_found_and_finished() {
    with_both(async |cluster| {
        let name = topic("two_nsqds");
        for nsqd in &cluster.nsqds {
            let producer = Producer::connect(&nsqd.tcp, Config::default()).await.unwrap();
            producer.publish(&name, b"one").await.unwrap();
            producer.publish_many(&name, &["two", "three"]).await.unwrap();
            producer
                .publish_deferred(&name, Duration::from_millis(50), b"later")
                .await
                .unwrap();
            producer.close().await;
        }
        let mut consumer = cluster.consumer(&name);
        let mut seen = Vec::new();
        for _ in 0..8 {
            let delivery = next(&mut consumer).await;
            seen.push((
                delivery.nsqd().to_owned(),
                String::from_utf8_lossy(delivery.body()).into_owned(),
            ));
            assert!(delivery.finish().await);
        }
        seen.sort();
        let mut wanted: Vec<_> = cluster
            .nsqds
            .iter()
            .flat_map(|nsqd| ["later", "one", "three", "two"].map(|body| (nsqd.tcp.clone(), body.to_owned())))
            .collect();
        wanted.sort();
        assert_eq!(seen, wanted);
        consumer.close().await;
        for nsqd in &cluster.nsqds {
            nsq_e2e::eventually(BOUND, "all is finished", || {
                let stats = http::json(&nsqd.http, "/stats?format=json&topic=two_nsqds").unwrap();
                let channel = &stats["topics"][0]["channels"][0];
                channel["depth"] == 0 && channel["in_flight_count"] == 0 && channel["message_count"] == 4
            });
        }
    });
}

#[test]
fn publishes_at_the_same_time_each_get_their_own_answer() {
    with_both(async |cluster| {
        let name = topic("pipelined");
        let producer = Producer::connect(&cluster.nsqds[0].tcp, Config::default())
            .await
            .unwrap();
        let many: Vec<_> = (0..600).map(|i| i.to_string()).collect();
        let mut all = Vec::new();
        for body in &many {
            all.push(producer.publish(&name, body.as_bytes()));
        }
        for result in futures_of(all).await {
            result.unwrap();
        }
        let stats = http::json(&cluster.nsqds[0].http, "/stats?format=json&topic=pipelined").unwrap();
        assert_eq!(stats["topics"][0]["message_count"], 600);
    });
}

/// All at once, on this task.
async fn futures_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

#[test]
fn a_requeued_message_comes_again_and_a_touched_one_does_not() {
    with_both(async |cluster| {
        let name = topic("again");
        let producer = Producer::connect(&cluster.nsqds[0].tcp, Config::default())
            .await
            .unwrap();
        producer.publish(&name, b"again").await.unwrap();
        let mut consumer = cluster.consumer(&name);
        let first = next(&mut consumer).await;
        assert_eq!(first.message().attempts, 1);
        let id = first.message().id;
        assert!(first.touch().await);
        assert!(first.requeue(Duration::ZERO).await);
        let second = next(&mut consumer).await;
        assert_eq!((second.message().attempts, second.message().id), (2, id));
        assert!(second.finish().await);
        consumer.close().await;
    });
}

#[test]
fn a_refusal_carries_the_text_and_the_next_call_connects_again() {
    with_both(async |cluster| {
        let producer = Producer::connect(&cluster.nsqds[0].tcp, Config::default())
            .await
            .unwrap();
        let refused = producer.publish(&topic("empty"), b"").await.unwrap_err();
        let Error::Refused { text, asked, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(
            (text.as_str(), *asked),
            ("E_BAD_MESSAGE PUB invalid message body size 0", "PUB")
        );
        assert!(!refused.is_temporary());
        // The daemon closes after the error; the call that meets the closed connection may fail too.
        let name = topic("after");
        if producer.publish(&name, b"one").await.is_err() {
            producer.publish(&name, b"one").await.unwrap();
        }
    });
}

#[test]
fn an_nsqd_that_is_away_is_told_and_tried_again() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let away = Maker::Ours.nsqd(folder.path(), &[], &[]);
        let address = away.tcp.clone();
        drop(away);
        let mut options = ConsumerOptions::new(topic("away"), channel());
        options.nsqd_tcp_addresses = vec![address.clone()];
        options.max_backoff = Duration::from_millis(640);
        let mut consumer = Consumer::start(options);
        let mut status = consumer.status();
        let failed = status.wait_for(|s| matches!(s.nsqds.first(), Some((_, NsqdStatus::Failed(_)))));
        timeout(BOUND, failed).await.unwrap().unwrap();

        let back = Maker::Ours.nsqd(folder.path(), &[], &[&format!("--tcp-address={address}")]);
        assert_eq!(http::post(&back.http, "/pub?topic=away", "back").unwrap().0, 200);
        let delivery = next(&mut consumer).await;
        assert_eq!(
            (delivery.body(), delivery.nsqd()),
            (b"back".as_slice(), address.as_str())
        );
        delivery.finish().await;
        consumer.close().await;
    });
}

#[test]
fn failed_messages_come_again_later_and_are_given_up_after_the_limit() {
    with_both(async |cluster| {
        let name = topic("failing");
        let nsqd = &cluster.nsqds[0];
        let producer = Producer::connect(&nsqd.tcp, Config::default()).await.unwrap();
        producer.publish(&name, b"bad").await.unwrap();
        let mut options = ConsumerOptions::new(name, channel());
        options.nsqd_tcp_addresses = vec![nsqd.tcp.clone()];
        options.max_in_flight = 5;
        options.retry.requeue_delay = Duration::from_millis(20);
        options.retry.backoff_multiplier = Duration::from_millis(20);
        options.retry.max_attempts = 3;
        let mut consumer = Consumer::start(options);
        for attempt in 1..=3 {
            let delivery = next(&mut consumer).await;
            assert_eq!(
                (delivery.body(), delivery.message().attempts),
                (&b"bad"[..], attempt)
            );
            assert!(delivery.fail().await);
        }
        // The fourth delivery is finished unseen, and what comes then is received again. The consumer works while this waits.
        let http = nsqd.http.clone();
        let given_up = move || {
            let stats = http::json(&http, "/stats?format=json&topic=failing").unwrap();
            let channel = &stats["topics"][0]["channels"][0];
            let none = |key| channel[key] == 0;
            let is_done = channel["requeue_count"] == 3
                && ["depth", "in_flight_count", "deferred_count"]
                    .into_iter()
                    .all(none);
            is_done.then_some(()).ok_or(stats.to_string())
        };
        let waiting = tokio::task::spawn_blocking(|| nsq_e2e::eventually_ok(BOUND, given_up));
        waiting.await.unwrap();
        producer.publish(&topic("failing"), b"good").await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.body(), b"good");
        delivery.finish().await;
        consumer.close().await;
    });
}
