//! A sync that fails is a cause of its own (extensions spec 7.6).

use super::*;
use nsq_storage::FailingDisk;

async fn publish(broker: &Broker, topic: &str) {
    let topic = broker.get_or_create_topic(&name(topic)).await.unwrap();
    let mut batch = BatchBuilder::default();
    batch.push(b"x");
    broker
        .publish(&topic, &mut batch, 0, &mut Effects::default())
        .await
        .unwrap();
}

async fn wait_for(condition: impl Fn() -> bool) {
    for round in 0..20_000 {
        if condition() {
            return;
        }
        look_again(round).await;
    }
    panic!("it did not come true");
}

#[tokio::test]
async fn a_sync_that_failed_ends_with_a_sync_that_succeeds() {
    let options = Options {
        mem_queue_size: 0,
        data_path: "/data".into(),
        ..Options::default()
    };
    let sync_timeout = options.sync_timeout;
    let memory = MemoryDisk::new();
    memory.create_dir_all(&options.data_path).unwrap();
    let (disk, switch) = FailingDisk::new(memory);
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
    let broker = Broker::open(options, Arc::new(disk), clock.clone(), Tasks::new())
        .await
        .unwrap();
    let sync = || {
        clock.advance(sync_timeout);
        broker.engine.timers.rearm();
    };
    publish(&broker, "a").await;
    // Metadata is written soon after: that has to be over, or it would be what fails.
    wait_for(|| {
        let metadata = broker.disk.read_file("/data/nsqd.dat".as_ref(), 4096);
        metadata.is_ok_and(|json| String::from_utf8_lossy(&json).contains(r#""a""#))
    })
    .await;
    switch.set_broken(true);
    sync();
    wait_for(|| !broker.health.is_ok()).await;
    assert_eq!(broker.health.text(), "NOK - no space left on device");
    switch.heal();
    publish(&broker, "b").await;
    publish(&broker, "a").await;
    assert!(!broker.health.is_ok(), "a write is no sync");
    sync();
    wait_for(|| broker.health.is_ok()).await;
}
