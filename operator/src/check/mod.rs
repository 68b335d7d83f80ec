//! `nsq-operator check`: messages through a cluster and back, from where it is called.
//!
//! It is an ordinary client: it asks the nsqlookupds for nodes, makes a topic of its own with an ephemeral channel, publishes, consumes
//! through discovery, and deletes the topic. So it finds what other clients would run into, above all nodes whose broadcast address
//! does not lead to them. Source: operator spec 8.6. It knows neither Kubernetes nor local mode, and works against Go NSQ.

mod options;
mod report;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use nsq_client::connection::Connection;
use nsq_client::{Config, Consumer, ConsumerOptions, Error, NsqdStatus, Producer, Tls, TopicName};
use nsq_http_api::client::{Client, authority};
use nsq_service::tls::ClientSettings;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub use options::Options;
pub use report::{Lookupd, Nsqd, Report};

/// Limit of one request or one connection attempt; the whole check has `--timeout`.
const STEP: Duration = Duration::from_secs(5);
/// A subscription that is not there after this long will not come: a look-up round is made four times a second.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(10);
const LOOKUP_INTERVAL: Duration = Duration::from_millis(250);

/// Makes one check. `tag` sets its topic apart from that of any other check: letters and digits, at most 40.
///
/// # Errors
/// The tag does not make a topic name, or the CA file cannot be used. What is wrong with the cluster is in the report.
pub async fn run(options: &Options, tag: &str) -> Result<Report, String> {
    let topic = format!("nsq-check-{tag}")
        .parse()
        .map_err(|error: nsq_client::InvalidName| error.to_string())?;
    let tls = match &options.config {
        Some(config) => config.tls.clone(),
        None => options.tls_ca.clone().map(believing).transpose()?,
    };
    let start = Instant::now();
    let mut check = Check {
        options,
        topic,
        client: Client {
            connect_timeout: STEP,
            request_timeout: STEP,
            tls,
            ..Client::default()
        },
        deadline: start + options.timeout,
        report: Report {
            wanted: options.messages,
            ..Report::default()
        },
    };
    check.ask_lookupds().await;
    check.reach_nsqds().await;
    if check.reachable().is_empty() && check.options.publish.is_none() {
        check.problem("no nsqd can be reached, so no message was sent");
    } else {
        check.round_trip().await.map_err(|error| error.to_string())?;
    }
    check.report.elapsed = start.elapsed();
    Ok(check.report)
}

/// A check under way.
struct Check<'a> {
    options: &'a Options,
    topic: TopicName,
    client: Client,
    deadline: Instant,
    report: Report,
}

impl Check<'_> {
    fn client_config(&self) -> Config {
        Config {
            client_id: "nsq-operator-check".to_owned(),
            connect_timeout: STEP,
            command_timeout: STEP,
            tls: self.client.tls.clone(),
            ..self.options.config.clone().unwrap_or_default()
        }
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.report.problems.push(text.into());
    }

    /// TCP and HTTP addresses of the nsqds that answered.
    fn reachable(&self) -> Vec<(String, String)> {
        let nsqds = self.report.nsqds.iter().filter(|n| n.reached.is_ok());
        nsqds.map(|n| (n.tcp.clone(), n.http.clone())).collect()
    }

    async fn ask_lookupds(&mut self) {
        let mut named: BTreeMap<String, Nsqd> = BTreeMap::new();
        for address in &self.options.lookupds {
            let nodes = match self.client.lookupd_nodes(address).await {
                Ok(answer) => {
                    for node in &answer.producers {
                        let host = &node.producer.broadcast_address;
                        let tcp = authority(host, node.producer.tcp_port);
                        let http = authority(host, node.producer.http_port);
                        let fresh = Nsqd {
                            tcp: tcp.clone(),
                            http,
                            named_by: 0,
                            reached: Err(String::new()),
                        };
                        named.entry(tcp).or_insert(fresh).named_by += 1;
                    }
                    Ok(answer.producers.len())
                }
                Err(error) => {
                    self.report
                        .problems
                        .push(format!("nsqlookupd {address} does not answer: {error}"));
                    Err(error.to_string())
                }
            };
            self.report.lookupds.push(Lookupd {
                address: address.clone(),
                nodes,
            });
        }
        self.report.nsqds = named.into_values().collect();
    }

    /// Introduces itself to every nsqd at the address that consumers are told.
    async fn reach_nsqds(&mut self) {
        let mut attempts = JoinSet::new();
        for (index, nsqd) in self.report.nsqds.iter().enumerate() {
            let address = nsqd.tcp.clone();
            let config = self.client_config();
            attempts.spawn(async move {
                (
                    index,
                    Connection::connect(&address, &config)
                        .await
                        .map(|c| c.negotiated().version.clone()),
                )
            });
        }
        let mut results = attempts.join_all().await;
        results.sort_by_key(|(index, _)| *index);
        for (index, reached) in results {
            let Some(nsqd) = self.report.nsqds.get_mut(index) else {
                continue;
            };
            if let Err(error) = &reached {
                let (address, hint) = (&nsqd.tcp, "is its --broadcast-address right for clients here?");
                let text =
                    format!("nsqd {address} is registered, but not reachable from here: {error} ({hint})");
                self.report.problems.push(text);
            }
            nsqd.reached = reached.map_err(|error| error.to_string());
        }
    }

    async fn round_trip(&mut self) -> Result<(), nsq_client::InvalidName> {
        let nodes = self.reachable();
        self.create_topic(&nodes).await;
        let mut options = ConsumerOptions::new(self.topic.clone(), "check#ephemeral".parse()?);
        options.lookupd_http_addresses.clone_from(&self.options.lookupds);
        options.max_in_flight = 200;
        options.lookup_interval = LOOKUP_INTERVAL;
        options.config = self.client_config();
        let mut consumer = Consumer::start(options);
        self.wait_subscribed(&consumer, &nodes).await;
        let (published, latencies) = tokio::join!(
            self.publish(&nodes),
            receive(&mut consumer, self.options.messages, self.deadline)
        );
        if let Err(text) = published {
            self.problem(text);
        }
        self.report.latencies = latencies;
        let lost = self.report.wanted.saturating_sub(self.report.seen());
        if lost > 0 {
            self.problem(format!("{lost} of {} messages were not seen", self.report.wanted));
        }
        consumer.close().await;
        self.delete_topic(&nodes).await;
        Ok(())
    }

    /// Made before the first message, so that discovery has been through by then and no latency includes it.
    async fn create_topic(&mut self, nodes: &[(String, String)]) {
        for (_, http) in nodes {
            let path = format!("/topic/create?topic={}", self.topic);
            if let Err(error) = self.client.post(http, &path, Default::default()).await {
                self.problem(format!("the topic could not be made: {error}"));
            }
        }
    }

    async fn wait_subscribed(&mut self, consumer: &Consumer, nodes: &[(String, String)]) {
        let mut status = consumer.status();
        let end = self.deadline.min(Instant::now() + SUBSCRIBED_WITHIN);
        let missing = |status: &nsq_client::ConsumerStatus| -> Vec<String> {
            let there = |tcp: &String| status.nsqds.contains(&(tcp.clone(), NsqdStatus::Subscribed));
            nodes
                .iter()
                .map(|(tcp, _)| tcp)
                .filter(|tcp| !there(tcp))
                .cloned()
                .collect()
        };
        let waited = timeout_at(end, status.wait_for(|s| missing(s).is_empty()))
            .await
            .is_ok();
        if !waited {
            for address in missing(&status.borrow()) {
                self.problem(format!(
                    "nsqd {address} is not found through nsqlookupd as one that has the topic"
                ));
            }
        }
    }

    /// Sends all messages, to the publish address or to the nodes in turn. A body tells when it was sent.
    async fn publish(&self, nodes: &[(String, String)]) -> Result<(), String> {
        let sending = async {
            if let Some(address) = &self.options.publish {
                return self
                    .publish_http(address)
                    .await
                    .map_err(|e| format!("the publish address failed: {e}"));
            }
            self.publish_tcp(nodes)
                .await
                .map_err(|e| format!("publishing failed: {e}"))
        };
        timeout_at(self.deadline, sending)
            .await
            .unwrap_or_else(|_| Err("publishing was not done in time".to_owned()))
    }

    async fn publish_http(&self, address: &str) -> Result<(), nsq_http_api::client::Error> {
        let path = format!("/pub?topic={}", self.topic);
        for index in 0..self.options.messages {
            self.client.post(address, &path, self.body(index).into()).await?;
        }
        Ok(())
    }

    async fn publish_tcp(&self, nodes: &[(String, String)]) -> Result<(), Error> {
        let mut producers = Vec::with_capacity(nodes.len());
        for (tcp, _) in nodes {
            producers.push(Producer::connect(tcp, self.client_config()).await?);
        }
        for (index, producer) in (0..self.options.messages).zip(producers.iter().cycle()) {
            producer.publish(&self.topic, self.body(index).as_bytes()).await?;
        }
        for producer in producers {
            producer.close().await;
        }
        Ok(())
    }

    /// Number and time of sending, as nanoseconds before the deadline: the one moment that both ends know.
    fn body(&self, index: u32) -> String {
        format!(
            "{index} {}",
            self.deadline.saturating_duration_since(Instant::now()).as_nanos()
        )
    }

    /// Registrations first, so that no consumer finds the topic and makes it again.
    async fn delete_topic(&mut self, nodes: &[(String, String)]) {
        let path = format!("/topic/delete?topic={}", self.topic);
        let lookupds = self
            .report
            .lookupds
            .iter()
            .filter(|l| l.nodes.is_ok())
            .map(|l| l.address.clone());
        let addresses: Vec<String> = lookupds
            .chain(nodes.iter().map(|(_, http)| http.clone()))
            .collect();
        for address in addresses {
            match self.client.post(&address, &path, Default::default()).await {
                Err(error) if !error.is_not_found() => {
                    self.problem(format!("the topic could not be deleted: {error}"));
                }
                _ => {}
            }
        }
    }
}

/// TLS that believes the certificates of this file.
fn believing(root_ca: PathBuf) -> Result<Tls, String> {
    let settings = ClientSettings {
        root_ca: Some(root_ca),
        ..ClientSettings::default()
    };
    settings.load().map(Tls::from)
}

/// The latency of each message that comes, until all have come or the deadline.
async fn receive(consumer: &mut Consumer, wanted: u32, deadline: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut seen = HashSet::new();
    while seen.len() < usize::try_from(wanted).unwrap_or(usize::MAX) {
        let Ok(Some(delivery)) = timeout_at(deadline, consumer.next()).await else {
            break;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some((index, sent)) = parse_body(delivery.body())
            && seen.insert(index)
        {
            latencies.push(sent.saturating_sub(left));
        }
        delivery.finish().await;
    }
    latencies
}

fn parse_body(body: &[u8]) -> Option<(u32, Duration)> {
    let (index, nanos) = std::str::from_utf8(body).ok()?.split_once(' ')?;
    Some((index.parse().ok()?, Duration::from_nanos(nanos.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::parse_body;
    use std::time::Duration;

    #[test]
    fn a_foreign_body_is_not_ours() {
        assert_eq!(parse_body(b"7 1000"), Some((7, Duration::from_nanos(1_000))));
        assert_eq!(parse_body(b"hello"), None);
        assert_eq!(parse_body(&[0xff, b' ', b'1']), None);
    }
}
