//! `bench_channels`: many connections, each to a topic of its own. It measures nothing itself.

use std::time::Duration;

use nsq_client::{Consumer, ConsumerOptions};
use nsq_service::flags::{Flag, Program};
use nsq_service::program::raise_file_limit;
use tokio::task::{JoinError, JoinSet};
use tokio::time::interval;

use super::{NSQD, Plan, number};
use crate::ending::{self, End};
use crate::sources;

const NAME: &str = "bench_channels";
const FLAGS: &[Flag] = &[Flag::int("num", "10000", "num channels"), NSQD];
/// From one connection to the next.
const PAUSE: Duration = Duration::from_millis(5);

/// The program.
///
/// # Errors
/// Wrong usage, or an nsqd that cannot be reached or refuses.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let program =
        Program::new(NAME, FLAGS).example("bench_channels -num=1000 -nsqd-tcp-address=127.0.0.1:4150");
    let values = program.parse(args)?;
    let (nsqd, count) = (values.string("nsqd-tcp-address"), number(&values, "num")?);
    raise_file_limit();
    ending::runtime()?.block_on(async {
        let mut signals = sources::signals()?;
        tokio::select! {
            _ = signals.next() => Ok(()),
            ended = load(nsqd, count) => ended,
        }
    })
}

/// Goes on until a connection is refused.
async fn load(nsqd: &str, count: usize) -> Result<(), End> {
    let mut pauses = interval(PAUSE);
    let mut clients = JoinSet::new();
    for number in 0..count {
        pauses.tick().await;
        let topic = format!("t{number}").parse().map_err(|_| "invalid topic name")?;
        let channel = "ch".parse().map_err(|_| "invalid channel name")?;
        let mut options = ConsumerOptions::new(topic, channel);
        options.config = Plan::config(NAME, NAME);
        options.nsqd_tcp_addresses = vec![nsqd.to_owned()];
        clients.spawn(client(options));
        if let Some(ended) = clients.try_join_next() {
            result_of(ended)?;
        }
    }
    while let Some(ended) = clients.join_next().await {
        result_of(ended)?;
    }
    Ok(())
}

fn result_of(ended: Result<Result<(), End>, JoinError>) -> Result<(), End> {
    ended.map_err(|_| "a client has ended early")?
}

async fn client(options: ConsumerOptions) -> Result<(), End> {
    let mut consumer: Consumer = sources::start(options).await?;
    while let Some(delivery) = consumer.next().await {
        delivery.finish().await;
    }
    Ok(())
}
