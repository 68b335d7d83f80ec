//! The auth servers (nsqd spec 9): asked at `AUTH`, and again when what they granted has run out.

mod grants;

pub use grants::{Grants, Request};

use crate::counters::{AuthResult, Counters};
use nsq_http_api::client::{Client, Target};
use nsq_service::http::Method;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Largest answer.
const MAX_BODY: usize = 1 << 20;

/// How the servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskBy {
    /// Parameters in the URL.
    #[default]
    Get,
    /// Parameters as a JSON body.
    Post,
}

/// Who wants to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Applicant {
    /// Address without port; empty over a Unix socket.
    pub remote_ip: String,
    /// The connection has TLS.
    pub tls: bool,
    /// Common name of the client's certificate; empty without one.
    pub common_name: String,
    /// The body of `AUTH`.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Applicant {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tls={} common_name={:?}",
            self.remote_ip, self.tls, self.common_name
        )
    }
}

/// All auth servers of one nsqd.
#[derive(Debug)]
pub struct AuthServers {
    addresses: Vec<String>,
    by: AskBy,
    client: Client,
    /// Where the next query starts, so that they share the work.
    next: AtomicUsize,
    counters: Arc<Counters>,
}

impl AuthServers {
    /// Servers at these addresses: `host:port`, or whole URLs. `start` is where the first query starts.
    #[must_use]
    pub fn new(
        addresses: Vec<String>,
        by: AskBy,
        client: Client,
        start: usize,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            addresses,
            by,
            client: Client {
                max_body: MAX_BODY,
                ..client
            },
            next: AtomicUsize::new(start),
            counters,
        }
    }

    /// Asks one server after the other until one gives a valid answer; none if all failed. Why each failed is logged, without
    /// the secret.
    pub async fn ask(&self, applicant: &Applicant) -> Option<Grants> {
        let grants = self.ask_all(applicant).await;
        let result = match &grants {
            Some(grants) if grants.is_empty() => AuthResult::Denied,
            Some(_) => AuthResult::Ok,
            None => AuthResult::Error,
        };
        self.counters.auth.add(result as usize);
        grants
    }

    async fn ask_all(&self, applicant: &Applicant) -> Option<Grants> {
        let count = self.addresses.len();
        let start = self.next.fetch_add(1, Relaxed) % count.max(1);
        for address in self.addresses.iter().cycle().skip(start).take(count) {
            // Boxed: a question is large and rare, and every connection's task has room for its largest step.
            match Box::pin(self.ask_one(address, applicant)).await {
                Ok(grants) => return Some(grants),
                Err(why) => tracing::error!("AUTH: {address} - {why}"),
            }
        }
        None
    }

    async fn ask_one(&self, address: &str, applicant: &Applicant) -> Result<Grants, String> {
        let (url, body) = query(address, self.by, applicant);
        let target = Target::parse(&url).ok_or("not an http or https URL")?;
        let (method, content_type) = match self.by {
            AskBy::Get => (Method::GET, None),
            AskBy::Post => (Method::POST, Some("application/json")),
        };
        let answer = self.client.fetch(method, &target, content_type, body.into());
        let answer = answer.await.map_err(|e| e.cause.to_string())?;
        Grants::parse(&answer)
    }
}

/// URL and body of a query. Pure.
fn query(address: &str, by: AskBy, applicant: &Applicant) -> (String, Vec<u8>) {
    let endpoint = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}/auth")
    };
    let tls = if applicant.tls { "true" } else { "false" };
    match by {
        AskBy::Get => {
            let mut url = endpoint;
            let secret = &applicant.secret[..];
            for (mark, name, value) in [
                // A URL with a query of its own gets a second question mark, as in the reference.
                ('?', "common_name", applicant.common_name.as_bytes()),
                ('&', "remote_ip", applicant.remote_ip.as_bytes()),
                ('&', "secret", secret),
                ('&', "tls", tls.as_bytes()),
            ] {
                url.push(mark);
                url.push_str(name);
                url.push('=');
                url.extend(form_urlencoded::byte_serialize(value));
            }
            (url, Vec::new())
        }
        AskBy::Post => {
            let body = serde_json::json!({
                "common_name": [applicant.common_name],
                "remote_ip": [applicant.remote_ip],
                "secret": [String::from_utf8_lossy(&applicant.secret)],
                "tls": [tls],
            });
            (endpoint, body.to_string().into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applicant() -> Applicant {
        Applicant {
            remote_ip: "127.0.0.1".to_owned(),
            tls: true,
            common_name: "a name".to_owned(),
            secret: b"s&=\xff".to_vec(),
        }
    }

    #[test]
    fn nd_269_270_queries_have_the_form_of_the_reference() {
        let (url, body) = query("h:1", AskBy::Get, &applicant());
        assert_eq!(
            url,
            "http://h:1/auth?common_name=a+name&remote_ip=127.0.0.1&secret=s%26%3D%FF&tls=true"
        );
        assert!(body.is_empty());
        let (url, _) = query("https://h/x?y=1", AskBy::Get, &applicant());
        assert!(url.starts_with("https://h/x?y=1?common_name="), "{url}");
        let (url, body) = query("http://h/x", AskBy::Post, &applicant());
        assert_eq!(url, "http://h/x");
        assert_eq!(
            String::from_utf8_lossy(&body),
            r#"{"common_name":["a name"],"remote_ip":["127.0.0.1"],"secret":["s&=�"],"tls":["true"]}"#
        );
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", applicant()).contains("s&="));
    }
}
