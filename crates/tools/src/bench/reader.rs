//! `bench_reader`: receives messages and finishes them.

use nsq_client::{ChannelName, ConsumerOptions};
use nsq_service::flags::{Flag, Program};
use tokio::time::timeout;

use super::{DEADLINE, NSQD, Plan, RUNFOR, Run, SIZE, TOPIC, measure, number};
use crate::ending::{self, End};
use crate::sources;

const NAME: &str = "bench_reader";
const FLAGS: &[Flag] = &[
    RUNFOR,
    NSQD,
    SIZE,
    TOPIC,
    Flag::string("channel", "ch", "channel to use"),
    DEADLINE,
    Flag::int("rdy", "2500", "RDY count to use"),
];
/// Received at once.
const BATCH: usize = 256;

/// The program.
///
/// # Errors
/// Wrong usage, or an nsqd that cannot be reached or refuses.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let program =
        Program::new(NAME, FLAGS).example("bench_reader -runfor=10s -nsqd-tcp-address=127.0.0.1:4150");
    let values = program.parse(args)?;
    let plan = Plan::of(&values)?;
    let channel: ChannelName = values
        .string("channel")
        .parse()
        .map_err(|_| "--channel is invalid")?;
    let ready = u32::try_from(number(&values, "rdy")?).unwrap_or(u32::MAX);
    measure(NAME, &plan, move |plan, run| read(plan, run, &channel, ready))
}

/// The number of messages that were finished in time.
fn read(plan: &Plan, run: &Run, channel: &ChannelName, ready: u32) -> Result<u64, End> {
    ending::runtime()?.block_on(async {
        let mut options = ConsumerOptions::new(plan.topic.clone(), channel.clone());
        options.config = Plan::config(NAME, "reader");
        options.nsqd_tcp_addresses = vec![plan.nsqd.clone()];
        options.max_in_flight = ready;
        let started = sources::start(options).await;
        let left = run.begin();
        let mut consumer = started?;
        let (mut messages, mut batch) = (0, Vec::new());
        loop {
            // What is over ends the wait, and a wait that ends with nothing is the end.
            let received = timeout(left.time(), consumer.next_many(&mut batch, BATCH)).await;
            if received.is_err() || left.time().is_zero() {
                break;
            }
            messages += batch.len() as u64;
            for delivery in batch.drain(..) {
                delivery.finish().await;
            }
        }
        for delivery in batch.drain(..) {
            delivery.requeue(std::time::Duration::ZERO).await;
        }
        sources::stop(consumer).await;
        Ok(messages)
    })
}
