//! Counts and gauges for a statsd server (nsqd spec 10).

mod lines;

pub use lines::{Lines, datagrams, prefix};

use crate::broker::Broker;
use crate::options::Statsd;
use crate::pictures::{Measure, Wanted, memory, topic_stats};
use nsq_http_api::nsqd::TopicStats;
use nsq_service::tasks::Tasks;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Pushes until the daemon stops. `prefix` is the expanded one.
pub async fn push(broker: Arc<Broker>, settings: Statsd, prefix: String) {
    let mut lines = Lines::new(prefix);
    // Datagrams leave over the interval but its last second, so that a server is not hit by all at once.
    let spread = settings.interval.saturating_sub(Duration::from_secs(1));
    let tasks = broker.engine.tasks.clone();
    loop {
        let due = tokio::time::Instant::now() + settings.interval;
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = tasks.stopping() => return,
        }
        let topics = pictures(&broker, settings.exclude_ephemeral);
        let process = settings.mem_stats.then(memory);
        let lines = lines.push(&topics, process.as_ref());
        let datagrams = datagrams(&lines, settings.packet_size);
        if let Err(e) = send(&settings.address, &datagrams, spread, &tasks).await {
            tracing::error!("STATSD: {} - {e}", settings.address);
        }
    }
}

/// All topics with their channels in name order.
fn pictures(broker: &Broker, exclude_ephemeral: bool) -> Vec<TopicStats> {
    let measure = Measure::of(broker);
    let mut topics = broker.topics();
    topics.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    if exclude_ephemeral {
        topics.retain(|topic| !topic.name().is_ephemeral());
    }
    let picture = |topic: &Arc<crate::topic::Topic>| {
        let mut picture = topic_stats(topic, Wanted::default(), &measure);
        picture
            .channels
            .sort_unstable_by(|a, b| a.channel_name.cmp(&b.channel_name));
        if exclude_ephemeral {
            picture
                .channels
                .retain(|channel| !channel.channel_name.ends_with("#ephemeral"));
        }
        picture
    };
    topics.iter().map(picture).collect()
}

/// Sends the first at once and the others evenly over `spread`; what is left when the daemon stops goes without delay.
async fn send(address: &str, datagrams: &[Vec<u8>], spread: Duration, tasks: &Tasks) -> io::Result<()> {
    let count = u32::try_from(datagrams.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return Ok(());
    }
    let socket = open(address).await?;
    let began = tokio::time::Instant::now();
    for (number, datagram) in (0..count).zip(datagrams) {
        let due = began + spread * number / count;
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = tasks.stopping() => {}
        }
        socket.send(datagram).await?;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the one place that sends datagrams")]
async fn open(address: &str) -> io::Result<UdpSocket> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for target in tokio::net::lookup_host(address).await? {
        let any = if target.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(target).await {
            Ok(()) => return Ok(socket),
            Err(e) => failed = e,
        }
    }
    Err(failed)
}
