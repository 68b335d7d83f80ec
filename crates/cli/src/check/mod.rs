//! `nsq check`: looks at every daemon from here, twice, with messages through the cluster in between; says what is wrong, where, and
//! what to do.
//!
//! | part | owns |
//! |---|---|
//! | `facts` | what was seen: plain values, failures included |
//! | `nodes`, `queues` | what of it is wrong. Pure |
//! | `pre` | what is wrong with a Kubernetes cluster before an install |
//! | `report` | how it is told |

mod facts;
mod nodes;
pub mod pre;
mod queues;
mod report;

use std::time::Duration;

use nsq_operator::check as round_trip;
use nsq_service::clock::{Clock as _, SystemClock};
use tokio::time::{Instant, sleep_until};

use crate::cluster::Cluster;
use crate::codes;
use crate::problem::{Problem, one_line};
use crate::publish::delay;
use facts::Facts;
pub use report::{Category, Finding, Form, Report};

/// Between the two looks: queues that stand still are told from slow ones.
const BETWEEN: Duration = Duration::from_secs(1);

/// The flags of the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Messages to send through the cluster and back; 0 for none
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub messages: u32,
    /// Limit of the way there and back
    #[arg(long, value_name = "TIME", value_parser = delay, default_value = "10s")]
    pub timeout: Duration,
    /// More messages than these in a channel are told
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub max_depth: u64,
    /// An older message in a channel is told
    #[arg(long, value_name = "TIME", value_parser = delay, default_value = "1h")]
    pub max_age: Duration,
    /// Form: text or json
    #[arg(short, long, value_enum, default_value = "text", hide_possible_values = true)]
    pub output: Form,
    /// A Kubernetes cluster before an install.
    #[command(flatten)]
    pub pre: pre::Before,
}

/// Sets the topic of this check apart from that of another one on this machine or at another time.
#[must_use]
pub fn tag() -> String {
    let nanos = SystemClock::new().unix_nanos();
    format!("{}-{nanos:x}", std::process::id())
}

/// Checks the cluster. `tag` sets the topic of this check apart from that of others.
///
/// # Errors
/// The check itself could not be made; what is wrong with the cluster is in the report.
pub async fn run(options: &Options, cluster: &Cluster, tag: &str) -> Result<Report, Problem> {
    let mut facts = Facts::gather(cluster).await;
    let second = Instant::now() + BETWEEN;
    let messages = messages(options, cluster, &facts, tag).await?;
    sleep_until(second).await;
    facts.look_again(cluster).await;
    let mut findings = nodes::judge(&facts);
    findings.extend(queues::judge(&facts, options));
    findings.extend(messages.1);
    Ok(Report::new(&facts, messages.0, findings))
}

/// Messages there and back, if there is a way: how it went, and what was wrong.
async fn messages(
    options: &Options,
    cluster: &Cluster,
    facts: &Facts,
    tag: &str,
) -> Result<(String, Option<Finding>), Problem> {
    let lookupds = facts.answering_lookupds();
    if options.messages == 0 || lookupds.is_empty() {
        return Ok(("none sent".to_owned(), None));
    }
    let options = round_trip::Options {
        lookupds,
        publish: None,
        messages: options.messages,
        timeout: options.timeout,
        tls_ca: None,
        config: Some(cluster.config.clone()),
    };
    let made = round_trip::run(&options, tag).await;
    let report = made.map_err(|why| {
        let what = format!("messages could not be sent through the cluster: {why}");
        Problem::new(codes::SYSTEM_FAILED, what, "leave them out with --messages 0")
    })?;
    let text = format!("{} of {} came back", report.seen(), report.wanted);
    if report.is_ok() {
        return Ok((text, None));
    }
    // What is wrong with single daemons is told there.
    let why = report
        .problems
        .iter()
        .find(|problem| !problem.contains("is registered, but") && !problem.contains("does not answer:"))
        .map_or_else(|| "see the nodes above".to_owned(), |problem| one_line(problem));
    let finding = Finding::wrong(
        Category::Messages,
        "MESSAGES_LOST",
        "the cluster",
        format!("{text}: {why}"),
        "mend what is wrong above, then check again",
    );
    Ok((text, Some(finding)))
}
