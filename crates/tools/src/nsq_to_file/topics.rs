//! Which topics are archived (tools spec 5.2).

use std::collections::BTreeSet;

use hyper::Method;
use nsq_http_api::client::{Client, Target};
use nsq_http_api::lookupd::Topics;
use nsq_service::flags::Values;
use regex::Regex;

use crate::ending::End;
use crate::sources::Sources;

/// `-topic` and `-topic-pattern`.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Empty: all that nsqlookupds know.
    names: BTreeSet<String>,
    pattern: Option<Regex>,
}

impl Wanted {
    /// Reads the two flags.
    ///
    /// # Errors
    /// Neither is there, nobody could tell which topics there are, or the pattern is none.
    pub(super) fn of(values: &Values, sources: &Sources) -> Result<Self, End> {
        let names: BTreeSet<String> = values.strings("topic").iter().cloned().collect();
        let pattern = values.string("topic-pattern");
        if names.is_empty() && pattern.is_empty() {
            return Err("--topic or --topic-pattern required".into());
        }
        if names.is_empty() && sources.lookupds.is_empty() {
            return Err("--lookupd-http-address must be specified when no --topic specified".into());
        }
        let pattern = match pattern {
            "" => None,
            text => Some(Regex::new(text).map_err(|error| format!("--topic-pattern is invalid - {error}"))?),
        };
        Ok(Self { names, pattern })
    }

    /// Those that are there now.
    pub(super) async fn ask(&self, lookupds: &[String], client: &Client) -> BTreeSet<String> {
        let found = if self.names.is_empty() {
            known(lookupds, client).await
        } else {
            self.names.clone()
        };
        found.into_iter().filter(|topic| self.matches(topic)).collect()
    }

    fn matches(&self, topic: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let matches = pattern.is_match(topic);
        if !matches {
            tracing::warn!("skipping topic {topic} (doesn't match pattern {pattern})");
        }
        matches
    }
}

/// Topics of all nsqlookupds that answer.
async fn known(lookupds: &[String], client: &Client) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for address in lookupds {
        let topics = match target(address) {
            Some(target) => topics(client, &target).await,
            None => Err(format!("{address} is no address of an nsqlookupd")),
        };
        match topics {
            Ok(topics) => found.extend(topics),
            Err(error) => tracing::error!("could not retrieve topic list: {error}"),
        }
    }
    found
}

async fn topics(client: &Client, target: &Target) -> Result<Vec<String>, String> {
    let answer = client.fetch(Method::GET, target, None, bytes::Bytes::new()).await;
    let body = answer.map_err(|error| error.to_string())?;
    let topics: Topics = serde_json::from_slice(&body)
        .map_err(|error| format!("GET {target}: answer is not understood: {error}"))?;
    Ok(topics.topics)
}

/// An address may be a URL, as for consumers.
fn target(address: &str) -> Option<Target> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let place = rest.split(['/', '?']).next().unwrap_or_default();
    Target::parse(&format!("{scheme}://{place}/topics"))
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn an_address_may_be_a_url() {
        for (address, url) in [
            ("h:1", "http://h:1/topics"),
            ("https://h:1/lookup?a=b", "https://h:1/topics"),
        ] {
            assert_eq!(target(address).unwrap().to_string(), url);
        }
        assert!(target("http://user:secret@h:1").is_none());
    }
}
