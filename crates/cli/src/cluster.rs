//! What is asked of the daemons, of all at the same time. Who does not answer is a value; who was not asked is not there.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use nsq_client::{Config, Secret, Tls};
use nsq_http_api::client::{Client, Error, authority};
use nsq_http_api::lookupd::Nodes;
use nsq_http_api::nsqd::Stats;
use nsq_service::build_info;
use nsq_service::tls::ClientSettings;

use crate::codes;
use crate::context;
use crate::place::Place;
use crate::problem::Problem;

/// Limit of a connect, and of a request.
const CONNECT: Duration = Duration::from_secs(2);
const REQUEST: Duration = Duration::from_secs(5);
/// Longest secret.
const MAX_SECRET: u64 = 4096;

/// A way to the daemons of one place.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Asks over HTTP.
    pub client: Client,
    /// Of connections to nsqd.
    pub config: Config,
    /// Where it is.
    pub place: Place,
}

/// An nsqd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Address of the TCP protocol that consumers are told.
    pub tcp: String,
    /// Address of the HTTP API that is told as well.
    pub http: String,
    /// Host name of its machine.
    pub hostname: String,
    /// Version of the reference's behaviour.
    pub version: String,
}

/// The nodes there are.
#[derive(Debug)]
pub struct Found {
    /// By their TCP addresses, in order.
    pub nodes: Vec<Node>,
    /// Topics that nsqlookupds name.
    pub registered: Vec<String>,
    /// Who did not answer, though someone named it.
    pub silent: Vec<Error>,
    /// nsqlookupds that answered.
    pub lookupds: Vec<String>,
}

/// A node and what its `/stats` say.
#[derive(Debug)]
pub struct Measured {
    /// The node.
    pub node: Node,
    /// Its numbers.
    pub stats: Result<Stats, Error>,
}

impl Cluster {
    /// Prepares to ask.
    ///
    /// # Errors
    /// A file of TLS or of the secret cannot be used.
    pub fn at(place: Place) -> Result<Self, Problem> {
        let context = &place.context;
        let tls = context.tls.then(|| tls(&place)).transpose()?;
        let secret = context.auth_secret_file.as_deref().map(|file| {
            let text = context::text(file, MAX_SECRET).map_err(|error| {
                let what = format!("cannot read the secret in {}: {error}", file.display());
                let todo = "name a file with the secret: nsq context set NAME --auth-secret-file FILE";
                Problem::new(codes::FILE_FAILED, what, todo)
            })?;
            Ok(Secret::new(text.trim()))
        });
        let config = Config {
            client_id: "nsq".to_owned(),
            hostname: build_info::hostname(),
            user_agent: format!("nsq/{}", build_info::RELEASE),
            tls: tls.clone(),
            auth_secret: secret.transpose()?,
            connect_timeout: CONNECT,
            command_timeout: REQUEST,
            ..Config::default()
        };
        let client = Client {
            connect_timeout: CONNECT,
            request_timeout: REQUEST,
            tls,
            ..Client::default()
        };
        Ok(Self {
            client,
            config,
            place,
        })
    }

    /// The nodes: those that nsqlookupds name, and those that were named themselves.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn find(&self) -> Result<Found, Problem> {
        let context = &self.place.context;
        let asked = join_all(
            context
                .lookupd
                .iter()
                .map(|address| self.client.lookupd_nodes(address)),
        );
        let topics = join_all(
            context
                .lookupd
                .iter()
                .map(|address| self.client.lookupd_topics(address)),
        );
        let direct = join_all(context.nsqd.iter().map(|address| self.introduce(address)));
        let (asked, topics, direct) = futures_util::future::join3(asked, topics, direct).await;
        let mut nodes = BTreeMap::new();
        let (mut silent, mut lookupds) = (Vec::new(), Vec::new());
        for (address, answer) in context.lookupd.iter().zip(asked) {
            match answer {
                Ok(answer) => {
                    lookupds.push(address.clone());
                    nodes.extend(named(&answer).map(|node| (node.tcp.clone(), node)));
                }
                Err(error) => silent.push(error),
            }
        }
        for answer in direct {
            match answer {
                Ok(node) => {
                    // Through the address that was given it can be reached from here.
                    nodes.insert(node.tcp.clone(), node);
                }
                Err(error) => silent.push(error),
            }
        }
        let mut registered: Vec<String> = topics.into_iter().flatten().flat_map(|t| t.topics).collect();
        registered.sort_unstable();
        registered.dedup();
        if nodes.is_empty() && lookupds.is_empty() {
            let first = silent.first().map(Problem::http);
            let none = || Problem::new(codes::NO_NODE, "no address was given", "name one with --lookupd");
            return Err(first.unwrap_or_else(none).at(&self.place.origin));
        }
        if self.place.guessed {
            silent.clear();
        }
        Ok(Found {
            nodes: nodes.into_values().collect(),
            registered,
            silent,
            lookupds,
        })
    }

    /// The nodes, at least one.
    ///
    /// # Errors
    /// Nobody answers, or nsqlookupds name no node.
    pub async fn nodes(&self) -> Result<Found, Problem> {
        let found = self.find().await?;
        for error in &found.silent {
            warn(&format!("shown without one that does not answer: {error}"));
        }
        if found.nodes.is_empty() {
            let what = format!(
                "no nsqd is registered at nsqlookupd {}",
                found.lookupds.join(", ")
            );
            let todo = "start one with --lookupd-tcp-address, or see `nsq check`";
            return Err(Problem::new(codes::NO_NODE, what, todo).at(&self.place.origin));
        }
        Ok(found)
    }

    async fn introduce(&self, address: &str) -> Result<Node, Error> {
        let info = self.client.nsqd_info(address).await?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Node {
            tcp: authority(host, i64::from(info.tcp_port)),
            http: address.to_owned(),
            hostname: info.hostname,
            version: info.version,
        })
    }

    /// The numbers of these nodes.
    pub async fn measure(&self, nodes: &[Node], clients: bool) -> Vec<Measured> {
        let asked = nodes.iter().map(|node| async move {
            Measured {
                stats: self.client.nsqd_stats(&node.http, clients).await,
                node: node.clone(),
            }
        });
        join_all(asked).await
    }
}

/// The nodes of an answer.
pub fn named(answer: &Nodes) -> impl Iterator<Item = Node> {
    answer.producers.iter().map(|found| {
        let producer = &found.producer;
        let at = |port| authority(&producer.broadcast_address, port);
        Node {
            tcp: at(producer.tcp_port),
            http: at(producer.http_port),
            hostname: producer.hostname.clone(),
            version: producer.version.clone(),
        }
    })
}

/// A line beside the data.
#[allow(clippy::print_stderr, reason = "a program talks to people here")]
pub fn warn(text: &str) {
    eprintln!("warning: {text}");
}

fn tls(place: &Place) -> Result<Tls, Problem> {
    let context = &place.context;
    let identity = match (&context.tls_cert, &context.tls_key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        _ => {
            let what = "a certificate goes with its key: --tls-cert and --tls-key must be given together";
            let todo = "set both: nsq context set NAME --tls-cert FILE --tls-key FILE";
            return Err(Problem::new(codes::TLS_FAILED, what, todo).at(&place.origin));
        }
    };
    let settings = ClientSettings {
        root_ca: context.tls_ca.clone(),
        identity,
        ..ClientSettings::default()
    };
    settings.load().map(Tls::from).map_err(|why| {
        let what = format!("the files of TLS cannot be used: {why}");
        let todo = "name PEM files that are there, with --tls-ca or in the context";
        Problem::new(codes::TLS_FAILED, what, todo).at(&place.origin)
    })
}
