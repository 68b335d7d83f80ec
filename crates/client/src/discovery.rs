//! One round of look-ups: which nsqds have a topic.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use nsq_http_api::client::{Client, Target, Tls, authority};
use nsq_http_api::lookupd::Lookup;
use nsq_protocol::TopicName;
use tokio::task::JoinSet;

/// Largest answer, in bytes: a thousand nsqds with long names are a tenth of it.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Asks all nsqlookupds (HTTP addresses) at once. For each the TCP addresses of the nsqds that it names, or why it did not answer.
/// One that does not know the topic has answered: nobody has it yet.
pub(crate) async fn nsqds(
    addresses: &[String],
    topic: &TopicName,
    limit: Duration,
    tls: Option<Tls>,
) -> Vec<(String, Result<Vec<String>, String>)> {
    let client = Client {
        connect_timeout: limit,
        request_timeout: limit,
        max_body: MAX_ANSWER_BYTES,
        tls,
    };
    let mut questions = JoinSet::new();
    for address in addresses {
        let (client, address, url) = (client.clone(), address.clone(), lookup_url(address, topic));
        questions.spawn(async move {
            let Some(target) = Target::parse(&url) else {
                return (address, Err(format!("{url} is no address of an nsqlookupd")));
            };
            let answer = match client.fetch(Method::GET, &target, None, Bytes::new()).await {
                Ok(body) => serde_json::from_slice::<Lookup>(&body)
                    .map(|found| addresses_of(&found))
                    .map_err(|error| format!("GET {target}: answer is not understood: {error}")),
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                Err(error) => Err(error.to_string()),
            };
            (address, answer)
        });
    }
    questions.join_all().await
}

/// Where to ask: `host:port` or a URL, with `/lookup` if it names no path, and with what its query says already.
fn lookup_url(address: &str, topic: &TopicName) -> String {
    // The only character of a name that a query cannot hold.
    let topic = topic.as_str().replace('#', "%23");
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, format!("{query}&")),
        None => (rest, String::new()),
    };
    let place = match place.split_once('/') {
        None | Some((_, "")) => format!("{}/lookup", place.trim_end_matches('/')),
        Some(_) => place.to_owned(),
    };
    format!("{scheme}://{place}?{query}topic={topic}")
}

fn addresses_of(found: &Lookup) -> Vec<String> {
    found
        .producers
        .iter()
        .map(|producer| authority(&producer.broadcast_address, producer.tcp_port))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Lookup, addresses_of, lookup_url};

    #[test]
    fn an_address_may_be_a_url() {
        let topic = "t#ephemeral".parse().unwrap();
        for (address, url) in [
            ("h:1", "http://h:1/lookup?topic=t%23ephemeral"),
            ("https://h:1/", "https://h:1/lookup?topic=t%23ephemeral"),
            ("http://h:1/other?a=b", "http://h:1/other?a=b&topic=t%23ephemeral"),
        ] {
            assert_eq!(lookup_url(address, &topic), url);
        }
    }

    #[test]
    fn producers_become_addresses_to_dial() {
        let text = r#"{"channels":["c"],"producers":[
            {"broadcast_address":"a.host","tcp_port":4150},{"broadcast_address":"::1","tcp_port":4250}]}"#;
        let found: Lookup = serde_json::from_str(text).unwrap();
        assert_eq!(addresses_of(&found), ["a.host:4150", "[::1]:4250"]);
    }
}
