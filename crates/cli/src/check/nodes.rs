//! What is wrong with nsqlookupds, nsqds, and the way from here to them. Pure.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use nsq_client::Error as ClientError;
use nsq_http_api::client::{Cause, Error};
use nsq_http_api::lifecycle::Phase;

use super::facts::{Facts, Lookupd, Node};
use super::report::{Category, Finding};
use crate::problem::one_line;

/// Everything that is wrong there.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = facts.lookupds.iter().filter_map(|l| lookupd(l, facts)).collect();
    found.extend(facts.silent.iter().map(given));
    if facts.nodes.is_empty() && facts.lookupds.iter().any(|lookupd| lookupd.nodes.is_ok()) {
        found.push(Finding::wrong(
            Category::Nodes,
            "NO_NODE",
            "the cluster",
            "no nsqd is registered at any nsqlookupd that answers",
            "start nsqd with --lookupd-tcp-address of each nsqlookupd (its TCP port, 4160 by default)",
        ));
    }
    for node in &facts.nodes {
        found.extend(registration(node, facts));
        found.extend(connection(node));
        found.extend(state(node));
    }
    found.extend(versions(facts));
    found
}

fn lookupd(lookupd: &Lookupd, facts: &Facts) -> Option<Finding> {
    let error = lookupd.nodes.as_ref().err()?;
    let why = one_line(&error.cause.to_string());
    let (code, todo) = match &error.cause {
        Cause::Timeout(_) => (
            "LOOKUPD_SILENT",
            "see what its process does, and whether a firewall drops packets",
        ),
        Cause::Connect(error) if error.kind() == ErrorKind::TimedOut => (
            "LOOKUPD_SILENT",
            "see what its process does, and whether a firewall drops packets",
        ),
        Cause::Tls(_) => (
            "TLS_FAILED",
            "name the authority of its certificate with --tls-ca FILE",
        ),
        Cause::Connect(_) | Cause::Address(_) if facts.guessed => (
            "LOOKUPD_DOWN",
            "start a cluster with `nsq local`, or name yours with --lookupd HOST:PORT",
        ),
        Cause::Connect(_) | Cause::Address(_) => {
            ("LOOKUPD_DOWN", "start it, or correct its address and port")
        }
        _ => (
            "NOT_NSQLOOKUPD",
            "give the HTTP address of an nsqlookupd (port 4161 by default)",
        ),
    };
    let subject = format!("nsqlookupd {}", lookupd.address);
    Some(Finding::wrong(Category::Nsqlookupd, code, subject, why, todo))
}

/// An nsqd that was given by its address and does not answer.
fn given(error: &Error) -> Finding {
    Finding::wrong(
        Category::Nodes,
        "NODE_HTTP_DOWN",
        "an nsqd that was named",
        one_line(&error.to_string()),
        "start it, or correct its HTTP address (port 4151 by default)",
    )
}

fn subject(node: &Node) -> String {
    format!("nsqd {}", node.tcp)
}

/// What nsqlookupds know of it.
fn registration(node: &Node, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, lookupd) in facts.lookupds.iter().enumerate() {
        let here: Vec<_> = node.registered.iter().filter(|(of, _)| *of == place).collect();
        if lookupd.nodes.is_ok() && here.is_empty() && !node.registered.is_empty() {
            found.push(Finding::wrong(
                Category::Nodes,
                "NODE_MISSING",
                subject(node),
                format!(
                    "not registered at nsqlookupd {}, though at another one",
                    lookupd.address
                ),
                "add that nsqlookupd to its --lookupd-tcp-address, and see that it can connect there",
            ));
        }
        let peers: BTreeSet<&str> = here
            .iter()
            .map(|(_, of)| of.producer.remote_address.as_str())
            .collect();
        if peers.len() > 1 {
            found.push(Finding::wrong(
                Category::Nodes,
                "NODE_DOUBLE",
                subject(node),
                format!(
                    "{} nsqds call themselves so: clients reach only one of them",
                    peers.len()
                ),
                "give each its own --broadcast-address and --broadcast-tcp-port",
            ));
        }
    }
    let registered = node.registered.first().map(|(_, of)| &of.producer);
    if let (Some(producer), Some(Ok(info))) = (registered, &node.info) {
        // What it says of itself at the address that was told.
        let other =
            info.broadcast_address != producer.broadcast_address || info.hostname != producer.hostname;
        let own_port = i64::from(info.tcp_port);
        let shared = node
            .registered
            .iter()
            .any(|(_, of)| of.producer.tcp_port == own_port);
        if other || (!shared && is_of_another(own_port, node, facts)) {
            found.push(Finding::wrong(
                Category::Nodes,
                "NODE_OTHER",
                subject(node),
                format!(
                    "its HTTP address {} leads to another nsqd (TCP port {own_port})",
                    node.http
                ),
                "correct its --broadcast-http-port and --broadcast-address",
            ));
        }
    }
    found
}

/// The port is that of another node of the cluster.
fn is_of_another(port: i64, node: &Node, facts: &Facts) -> bool {
    let others = facts.nodes.iter().filter(|other| other.tcp != node.tcp);
    others
        .flat_map(|other| &other.registered)
        .any(|(_, of)| of.producer.tcp_port == port)
}

/// Whether clients here can use it.
fn connection(node: &Node) -> Option<Finding> {
    let wrong = |code, what: String, todo: &str| {
        Some(Finding::wrong(
            Category::Connections,
            code,
            subject(node),
            what,
            todo,
        ))
    };
    let broadcast = "correct its --broadcast-address and --broadcast-tcp-port, or open the way to it";
    let error = match node.reached.as_ref()? {
        Ok(()) if node.wants_tls => {
            let what = "takes no clients without TLS".to_owned();
            return wrong(
                "TLS_REQUIRED",
                what,
                "speak TLS: --tls-ca FILE, or a context with TLS",
            );
        }
        Ok(()) => return None,
        Err(error) => error,
    };
    let text = one_line(&error.to_string());
    match error {
        ClientError::Connect { source, .. } => match source.kind() {
            ErrorKind::ConnectionRefused => {
                wrong("PORT_CLOSED", format!("{text}: nothing listens there"), broadcast)
            }
            ErrorKind::TimedOut => wrong("NODE_SILENT", format!("{text}: nothing comes back"), broadcast),
            _ => wrong(
                "ADDRESS_UNKNOWN",
                format!("{text}: that address is unknown here"),
                broadcast,
            ),
        },
        ClientError::TimedOut { .. } => wrong(
            "NODE_SILENT",
            text,
            "see what its process does: it accepts and does not answer",
        ),
        ClientError::Tls { source, .. } => {
            let why = format!("{source:?} {source}");
            if why.contains("Expired") {
                wrong(
                    "TLS_EXPIRED",
                    text,
                    "renew its certificate; nsqd reads a new one without a restart",
                )
            } else if why.contains("NotValidForName") || why.contains("not valid for name") {
                wrong(
                    "TLS_NAME",
                    text,
                    "give it a certificate for its --broadcast-address",
                )
            } else if why.contains("UnknownIssuer") || why.contains("BadSignature") {
                // A new authority of the old name signs otherwise.
                wrong(
                    "TLS_AUTHORITY",
                    text,
                    "name the authority that signed it with --tls-ca FILE",
                )
            } else {
                wrong(
                    "TLS_FAILED",
                    text,
                    "compare the versions and files of TLS on both sides",
                )
            }
        }
        ClientError::Disagreed { text: asked, .. } if asked.contains("no TLS") => wrong(
            "TLS_MISSING",
            text,
            "give it --tls-cert and --tls-key, or leave --tls-ca away",
        ),
        ClientError::Disagreed { .. } => wrong(
            "AUTH_REQUIRED",
            text,
            "name the file of the secret: nsq context set NAME --auth-secret-file FILE",
        ),
        ClientError::Refused { text: said, .. } if said.contains("AUTH") => wrong(
            "AUTH_FAILED",
            text,
            "see that its --auth-http-address answers, and that the secret is right",
        ),
        ClientError::Refused { .. } => wrong("REFUSED", text, "see `nsq explain` with the code of nsqd"),
        _ => wrong("NOT_NSQD", format!("{text}: no nsqd listens there"), broadcast),
    }
}

/// What it says of itself.
fn state(node: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |code, what: String, todo: &str| {
        found.push(Finding::wrong(Category::Nodes, code, subject(node), what, todo));
    };
    let unheard = node.info.as_ref().and_then(|info| info.as_ref().err());
    let unheard = unheard.or_else(|| node.stats.as_ref().and_then(|stats| stats.as_ref().err()));
    if let Some(error) = unheard {
        let (why, todo) = match &error.cause {
            Cause::Status { message, .. } if message.contains("TLS_REQUIRED") => (
                "it wants https".to_owned(),
                "speak TLS: --tls-ca FILE, or a context with TLS",
            ),
            cause => (
                one_line(&cause.to_string()),
                "correct its --broadcast-http-port, or open the way to it",
            ),
        };
        add(
            "NODE_HTTP_DOWN",
            format!("its HTTP address {} does not answer: {why}", node.http),
            todo,
        );
    }
    if let Some(Ok(stats)) = &node.stats
        && stats.health != "OK"
    {
        let what = format!("says of itself: {}", one_line(&stats.health));
        add(
            "NODE_UNHEALTHY",
            what,
            "see its log, and the room and rights of its --data-path",
        );
    }
    if let Some(Ok(info)) = &node.info {
        match info.phase {
            Some(Phase::Draining) => add(
                "NODE_DRAINING",
                "is being emptied and takes no messages".to_owned(),
                "wait until it is empty, or end the drain",
            ),
            Some(Phase::Joining) => add(
                "NODE_JOINING",
                "waits for consumers of its channels before it takes messages".to_owned(),
                "start the consumers, or lower --join-timeout",
            ),
            Some(Phase::Active) | None => {}
        }
    }
    found
}

/// All nodes are of one version.
fn versions(facts: &Facts) -> Option<Finding> {
    let infos = facts
        .nodes
        .iter()
        .filter_map(|node| node.info.as_ref()?.as_ref().ok());
    let versions: BTreeSet<String> = infos
        .map(|info| match &info.release {
            Some(release) => format!("{} (release {release})", info.version),
            None => info.version.clone(),
        })
        .collect();
    let several = versions.len() > 1;
    several.then(|| {
        let versions: Vec<String> = versions.into_iter().collect();
        Finding::wrong(
            Category::Nodes,
            "VERSIONS_DIFFER",
            "the cluster",
            format!("nodes are of versions {}", versions.join(" and ")),
            "finish the upgrade, unless it is under way",
        )
        .note()
    })
}
