//! Random actions on a broker with a disk in memory: every message is somewhere, and in one place only.

mod health;
mod timers;

use super::*;
use crate::block::Run;
use crate::client::Identity;
use nsq_service::clock::ManualClock;
use nsq_service::tasks::Tasks;
use nsq_storage::MemoryDisk;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
enum Action {
    Publish { count: u8, delay: bool },
    Take { who: u8, window: u8 },
    Finish(u8),
    Requeue { who: u8, delay: bool },
    Leave(u8),
    Empty,
    PauseTopic(bool),
    PauseChannel(bool),
    Wait(u8),
    Restart,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (1u8..30, prop::bool::weighted(0.2)).prop_map(|(count, delay)| Action::Publish { count, delay }),
        6 => (0u8..3, 1u8..20).prop_map(|(who, window)| Action::Take { who, window }),
        4 => (0u8..3).prop_map(Action::Finish),
        2 => (0u8..3, any::<bool>()).prop_map(|(who, delay)| Action::Requeue { who, delay }),
        1 => (0u8..3).prop_map(Action::Leave),
        1 => Just(Action::Empty),
        1 => any::<bool>().prop_map(Action::PauseTopic),
        1 => any::<bool>().prop_map(Action::PauseChannel),
        2 => (1u8..100).prop_map(Action::Wait),
        1 => Just(Action::Restart),
    ];
    prop::collection::vec(action, 1..60)
}

struct Consumer {
    client: Arc<Client>,
    subscription: Subscription,
    held: Vec<u64>,
}

struct World {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
    mem_queue_size: usize,
    broker: Arc<Broker>,
    consumers: Vec<Consumer>,
    /// What was published and not finished or emptied: body to id, once it was seen.
    alive: BTreeSet<u64>,
    published: u64,
    gone_late: BTreeSet<u64>,
}

fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().unwrap()
}

impl World {
    async fn open(disk: MemoryDisk, clock: Arc<ManualClock>, mem_queue_size: usize) -> Self {
        let options = Options {
            mem_queue_size,
            data_path: "/data".into(),
            ..Options::default()
        };
        disk.create_dir_all(&options.data_path).unwrap();
        let broker = Broker::open(options, Arc::new(disk.clone()), clock.clone(), Tasks::new())
            .await
            .unwrap();
        let mut world = Self {
            disk,
            clock,
            mem_queue_size,
            broker,
            consumers: Vec::new(),
            alive: BTreeSet::new(),
            published: 0,
            gone_late: BTreeSet::new(),
        };
        for _ in 0..3 {
            world.join().await;
        }
        world
    }

    async fn join(&mut self) {
        let client = self
            .broker
            .add_client(|id| Client::new(id, String::new(), 0, Identity::default()));
        let subscription = self
            .broker
            .subscribe(&name("t"), &name("c"), &client)
            .await
            .unwrap();
        client.in_flight.lock().set_timeout(60 * SECOND);
        self.consumers.push(Consumer {
            client,
            subscription,
            held: Vec::new(),
        });
    }

    fn topic(&self) -> Arc<Topic> {
        self.broker.topic("t").unwrap()
    }

    fn channel(&self) -> Arc<Channel> {
        self.topic().channel("c").unwrap()
    }

    async fn settle(&self, mut effects: Effects) {
        self.broker.engine.settle(&mut effects).await.unwrap();
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Publish { count, delay } => self.publish(count, delay).await,
            Action::Take { who, window } => self.take(who, window).await,
            Action::Finish(who) => self.finish(who),
            Action::Requeue { who, delay } => self.requeue(who, delay).await,
            Action::Leave(who) => {
                let gone = self.consumers.remove(usize::from(who));
                self.broker.unsubscribe(&gone.client, &gone.subscription).await;
                self.join().await;
            }
            Action::Empty => {
                self.quiesce().await;
                self.channel().empty(&self.broker.engine.workers).await.unwrap();
                self.topic().empty(&self.broker.engine.workers).await.unwrap();
                self.alive.clear();
                self.consumers
                    .iter_mut()
                    .for_each(|c| self.gone_late.extend(c.held.drain(..)));
            }
            Action::PauseTopic(paused) => self.broker.pause_topic(&self.topic(), paused).await.unwrap(),
            Action::PauseChannel(paused) => self.broker.pause_channel(&self.channel(), paused).await.unwrap(),
            Action::Wait(seconds) => self.wait(seconds).await,
            Action::Restart => self.restart().await,
        }
    }

    async fn publish(&mut self, count: u8, delay: bool) {
        let mut batch = BatchBuilder::default();
        for _ in 0..count {
            self.published += 1;
            self.alive.insert(self.published);
            batch.push(&self.published.to_be_bytes());
        }
        let delay = if delay { 50 * SECOND } else { 0 };
        self.broker
            .publish(&self.topic(), &mut batch, delay, &mut Effects::default())
            .await
            .unwrap();
    }

    async fn take(&mut self, who: u8, window: u8) {
        let (mut runs, mut effects) = (Vec::new(), Effects::default());
        let now = self.broker.engine.timers.now();
        let channel = self.channel();
        let consumer = &mut self.consumers[usize::from(who)];
        let (_, gauges) = channel.take(&consumer.client, usize::from(window), &mut runs, &mut effects);
        if gauges.epoch != consumer.subscription.gauges.epoch {
            consumer.client.in_flight.lock().clear();
            consumer.subscription.gauges = gauges;
        }
        for run in &runs {
            let (alive, held) = (&self.alive, &mut consumer.held);
            consumer.client.in_flight.lock().deliver(run, now, |m| {
                let body = u64::from_be_bytes(m.body.try_into().unwrap());
                assert!(
                    alive.contains(&body),
                    "{body} was finished or emptied, or never published"
                );
                held.push(m.head.id);
            });
        }
        self.settle(effects).await;
    }

    fn finish(&mut self, who: u8) {
        let consumer = &mut self.consumers[usize::from(who)];
        let Some(id) = consumer.held.pop() else { return };
        let body = body_of(&consumer.client, id);
        let finished = consumer.client.in_flight.lock().finish(id).unwrap();
        consumer.subscription.channel.finish_returned(&mut [finished]);
        consumer.subscription.gauges.in_flight.fetch_sub(1, Relaxed);
        consumer.subscription.gauges.inside.left(1, finished.bytes);
        assert!(self.alive.remove(&body));
    }

    async fn requeue(&mut self, who: u8, delay: bool) {
        let consumer = &mut self.consumers[usize::from(who)];
        let Some(id) = consumer.held.pop() else { return };
        let run = consumer.client.in_flight.lock().remove(id).unwrap();
        let mut effects = Effects::default();
        let Subscription { channel, gauges } = &consumer.subscription;
        if delay {
            channel.put_back_later(gauges, run, 30 * SECOND, &mut effects);
        } else {
            channel.put_back(gauges, [run], &mut effects);
        }
        self.settle(effects).await;
    }

    /// Lets time pass: consumers' time-outs by hand as their tasks would, the timer task by itself.
    async fn wait(&mut self, seconds: u8) {
        self.clock.advance(Duration::from_secs(seconds.into()));
        let now = self.broker.engine.timers.now();
        let mut effects = Effects::default();
        for consumer in &mut self.consumers {
            let mut runs = Vec::new();
            consumer.client.in_flight.lock().expire(now, &mut runs);
            let ids: BTreeSet<_> = runs.iter().flat_map(Run::messages).map(|m| m.head.id).collect();
            consumer.held.retain(|id| !ids.contains(id));
            consumer
                .subscription
                .channel
                .put_back(&consumer.subscription.gauges, runs, &mut effects);
        }
        self.settle(effects).await;
        self.broker.engine.timers.rearm();
        let due = || self.broker.engine.timers.next_due().is_none_or(|at| at > now);
        while !due() {
            tokio::task::yield_now().await;
        }
    }

    async fn restart(&mut self) {
        for consumer in self.consumers.drain(..) {
            self.broker
                .unsubscribe(&consumer.client, &consumer.subscription)
                .await;
        }
        self.broker.engine.tasks.stop();
        assert_eq!(self.broker.engine.tasks.join(Duration::from_secs(10)).await, 0);
        self.broker.close().await.unwrap();
        let (alive, published) = (std::mem::take(&mut self.alive), self.published);
        *self = Self::open(self.disk.clone(), self.clock.clone(), self.mem_queue_size).await;
        (self.alive, self.published) = (alive, published);
        // Ids begin a little ahead of the clock after a restart: the first publish would wait for a clock that stands still.
        self.clock.advance(Duration::from_secs(1));
    }

    /// Waits for a catch-up in progress: what it moves while the channel is emptied would rightly survive.
    async fn quiesce(&self) {
        while !self.topic().is_paused() && self.topic().snapshot().depth > 0 {
            tokio::task::yield_now().await;
        }
        self.check().await;
    }

    /// What the counts say must be what is there. Waits for what tasks and workers are about to do.
    async fn check(&self) {
        let expected = self.alive.len() as u64;
        for round in 0..20_000u32 {
            let all = self.broker.snapshot(|_| true);
            let (topic, channels) = &all[0];
            let channel = &channels[0];
            let inside = topic.inside + channel.inside;
            let parts = topic.depth + channel.depth + channel.in_flight + channel.deferred;
            let bytes = topic.bytes + channel.bytes;
            if (inside, parts, bytes) == (expected, expected, 8 * expected) {
                // What is gone has no age, once consumers have seen that it was emptied away.
                let seen = |c: &Consumer| c.client.in_flight.lock().is_empty();
                if expected == 0 && self.consumers.iter().all(seen) {
                    assert_eq!((topic.oldest, channel.oldest), (None, None));
                }
                return;
            }
            look_again(round).await;
        }
        panic!("{expected} alive, but {:?}", self.broker.snapshot(|_| true));
    }

    /// Takes and finishes everything: what comes out is what is alive, each message once.
    async fn drain(&mut self) {
        self.broker.pause_topic(&self.topic(), false).await.unwrap();
        self.broker.pause_channel(&self.channel(), false).await.unwrap();
        // Deferrals begin at the hand-over, so that has to be done before time passes.
        self.quiesce().await;
        self.wait(200).await;
        self.wait(200).await;
        for round in 0..20_000u32 {
            if self.alive.is_empty() {
                break;
            }
            self.take(0, 200).await;
            while !self.consumers[0].held.is_empty() {
                self.finish(0);
            }
            look_again(round).await;
        }
        assert_eq!(
            self.alive,
            BTreeSet::new(),
            "never delivered: {:?}",
            self.broker.snapshot(|_| true)
        );
    }
}

/// Gives the workers a moment before a condition is looked at again: none at first, a millisecond later on.
async fn look_again(round: u32) {
    if round < 1000 {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn body_of(client: &Client, id: u64) -> u64 {
    let run = client.in_flight.lock().peek(id).unwrap();
    let body = run.messages().next().unwrap().body.try_into().unwrap();
    u64::from_be_bytes(body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_is_somewhere_and_comes_out_once(actions in actions(), mem in prop_oneof![Just(0usize), Just(5), Just(1000)]) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
            let mut world = World::open(MemoryDisk::new(), clock, mem).await;
            for action in actions {
                world.act(action).await;
                world.check().await;
            }
            world.drain().await;
            world.check().await;
        });
    }
}

#[tokio::test]
async fn a_topic_that_could_not_flow_hands_everything_over_later() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
    let options = Options {
        mem_queue_size: 3,
        data_path: "/data".into(),
        ..Options::default()
    };
    let disk = MemoryDisk::new();
    disk.create_dir_all(&options.data_path).unwrap();
    let broker = Broker::open(options, Arc::new(disk), clock, Tasks::new())
        .await
        .unwrap();
    let topic = broker.get_or_create_topic(&name("t")).await.unwrap();
    for n in 0..10u8 {
        let mut batch = BatchBuilder::default();
        batch.push(&[n]);
        broker
            .publish(&topic, &mut batch, 0, &mut Effects::default())
            .await
            .unwrap();
    }
    assert_eq!((topic.snapshot().depth, topic.snapshot().backend_depth), (10, 7));
    let mut seen = BTreeMap::new();
    for channel in ["a", "b"] {
        broker
            .get_or_create_channel(&topic, &name(channel))
            .await
            .unwrap();
        seen.insert(channel, 0);
    }
    // The first channel gets the whole backlog, the second only what comes after it.
    for _ in 0..10_000 {
        if topic.snapshot().depth == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(topic.channel("a").map(|c| c.snapshot().depth), Some(10));
}
