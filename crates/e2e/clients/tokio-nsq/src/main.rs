//! What tokio-nsq can do, through the layers that are named, and a consumer. The commands are described in ../README.md.

use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, Instant};

use tokio_nsq::{
    NSQChannel, NSQConfigShared, NSQConfigSharedCompression, NSQConfigSharedTLS, NSQConsumerConfig,
    NSQConsumerConfigSources, NSQConsumerLookupConfig, NSQDeflateLevel, NSQEvent, NSQProducer, NSQProducerConfig,
    NSQRequeueDelay, NSQTopic,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ALL: usize = 7;

/// How to connect through these layers.
fn layered(layers: &str) -> Outcome<NSQConfigShared> {
    let mut config = NSQConfigShared::new().set_flush_interval(Duration::from_millis(1));
    for layer in layers.split('+') {
        config = match layer {
            "plain" => config,
            // Without a configuration of its own it verifies nothing.
            "tls" => config.set_tls(NSQConfigSharedTLS::new("nsqd")),
            "snappy" => config.set_compression(NSQConfigSharedCompression::Snappy),
            "deflate" => {
                let level = NSQDeflateLevel::new(6).ok_or("no such level")?;
                config.set_compression(NSQConfigSharedCompression::Deflate(level))
            }
            "auth" => config.set_credentials(b"secret".to_vec()),
            other => return Err(format!("no layer {other}").into()),
        };
    }
    Ok(config)
}

async fn answered(producer: &mut NSQProducer) -> Outcome<()> {
    match producer.consume().await {
        Some(NSQEvent::Ok()) => Ok(()),
        other => Err(format!("OK was due, there is {other:?}").into()),
    }
}

async fn abilities(address: &str, layers: &str) -> Outcome<()> {
    let config = layered(layers)?;
    let topic = NSQTopic::new("abilities").ok_or("no topic")?;
    let mut producer = NSQProducerConfig::new(address).set_shared(config.clone()).build();
    match producer.consume().await {
        Some(NSQEvent::Healthy()) => {}
        other => return Err(format!("no connection: {other:?}").into()),
    }
    producer.publish(&topic, b"publish".to_vec()).await?;
    answered(&mut producer).await?;
    let many = ["multi-1", "multi-2", "requeue", "touch", "backoff"].map(|body| body.as_bytes().to_vec());
    producer.publish_multiple(&topic, many.to_vec()).await?;
    answered(&mut producer).await?;
    let began = Instant::now();
    producer.publish_deferred(&topic, b"deferred".to_vec(), 300).await?;
    answered(&mut producer).await?;

    let channel = NSQChannel::new("channel").ok_or("no channel")?;
    let mut consumer = NSQConsumerConfig::new(topic, channel)
        .set_max_in_flight(1)
        .set_sources(NSQConsumerConfigSources::Daemons(vec![address.to_owned()]))
        .set_shared(config)
        .set_base_requeue_interval(Duration::from_millis(50))
        .build();
    let mut finished = 0;
    while finished < ALL {
        let message = consumer.consume_filtered().await.ok_or("the consumer ended")?;
        let body = String::from_utf8_lossy(&message.body).into_owned();
        match (body.as_str(), message.attempt) {
            ("requeue", 1) => {
                message.requeue(NSQRequeueDelay::NoDelay).await;
                continue;
            }
            // It backs off by message: the delay grows with the attempts.
            ("backoff", 1) => {
                message.requeue(NSQRequeueDelay::DefaultDelay).await;
                continue;
            }
            // Longer than the time-out in all, so that only the touches keep it from coming again.
            ("touch", _) => {
                for _ in 0..5 {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    message.touch().await;
                }
            }
            ("deferred", _) if began.elapsed() < Duration::from_millis(250) => return Err("early".into()),
            _ => {}
        }
        println!("{body} {}", message.attempt);
        message.finish().await;
        finished += 1;
    }
    // The last answer is on its way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

async fn consume(topic: &str, channel: &str, lookupds: &str) -> Outcome<()> {
    let addresses: HashSet<String> = lookupds.split(',').map(|address| format!("http://{address}")).collect();
    let lookup = NSQConsumerLookupConfig::new()
        .set_addresses(addresses)
        .set_poll_interval(Duration::from_secs(1));
    let topic = NSQTopic::new(topic).ok_or("no topic")?;
    let channel = NSQChannel::new(channel).ok_or("no channel")?;
    let mut consumer = NSQConsumerConfig::new(topic, channel)
        .set_max_in_flight(200)
        .set_sources(NSQConsumerConfigSources::Lookup(lookup))
        .set_shared(NSQConfigShared::new().set_backoff_max_wait(Duration::from_secs(1)))
        .build();
    while let Some(message) = consumer.consume_filtered().await {
        println!("{}", String::from_utf8_lossy(&message.body));
        message.finish().await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["abilities", address, layers] => abilities(address, layers).await,
        ["consume", topic, channel, lookupds] => consume(topic, channel, lookupds).await,
        _ => Err("abilities ADDRESS LAYERS, or consume TOPIC CHANNEL LOOKUPDS".into()),
    }
}
