//! `bench_writer`: publishes batches, and waits for the answer to each.

use nsq_client::Producer;
use nsq_service::flags::{Flag, Program};

use super::{DEADLINE, NSQD, Plan, RUNFOR, Run, SIZE, TOPIC, measure, number};
use crate::ending::{self, End};

const NAME: &str = "bench_writer";
const FLAGS: &[Flag] = &[
    RUNFOR,
    NSQD,
    TOPIC,
    SIZE,
    Flag::int("batch-size", "200", "batch size of messages"),
    DEADLINE,
];

/// The program.
///
/// # Errors
/// Wrong usage, or an nsqd that cannot be reached or refuses.
pub fn run(args: impl IntoIterator<Item = String>) -> Result<(), End> {
    let program =
        Program::new(NAME, FLAGS).example("bench_writer -runfor=10s -nsqd-tcp-address=127.0.0.1:4150");
    let values = program.parse(args)?;
    let plan = Plan::of(&values)?;
    let batch = number(&values, "batch-size")?;
    if batch == 0 {
        return Err("--batch-size must be greater than 0".into());
    }
    measure(NAME, &plan, move |plan, run| write(plan, run, batch))
}

/// The number of messages that were accepted in time.
fn write(plan: &Plan, run: &Run, batch: usize) -> Result<u64, End> {
    let body = vec![0; plan.size];
    let bodies = vec![body.as_slice(); batch];
    ending::runtime()?.block_on(async {
        let connected = Producer::connect(&plan.nsqd, Plan::config(NAME, "writer")).await;
        let left = run.begin();
        let producer = connected.map_err(|error| error.to_string())?;
        let mut messages = 0;
        while !left.time().is_zero() {
            let published = producer.publish_many(&plan.topic, &bodies).await;
            published.map_err(|error| error.to_string())?;
            messages += bodies.len() as u64;
        }
        producer.close().await;
        Ok(messages)
    })
}
