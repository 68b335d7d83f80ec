//! One round of look-ups: which nsqds have a topic.

use std::time::Duration;

use nsq_http_api::client::{Client, Tls, authority};
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
    // The only character of a name that a query cannot hold.
    let path = format!("/lookup?topic={}", topic.as_str().replace('#', "%23"));
    let mut questions = JoinSet::new();
    for address in addresses {
        let (client, address, path) = (client.clone(), address.clone(), path.clone());
        questions.spawn(async move {
            let answer = match client.get::<Lookup>(&address, &path).await {
                Ok(found) => Ok(addresses_of(&found)),
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                Err(error) => Err(error.to_string()),
            };
            (address, answer)
        });
    }
    questions.join_all().await
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
    use super::{Lookup, addresses_of};

    #[test]
    fn producers_become_addresses_to_dial() {
        let text = r#"{"channels":["c"],"producers":[
            {"broadcast_address":"a.host","tcp_port":4150},{"broadcast_address":"::1","tcp_port":4250}]}"#;
        let found: Lookup = serde_json::from_str(text).unwrap();
        assert_eq!(addresses_of(&found), ["a.host:4150", "[::1]:4250"]);
    }
}
