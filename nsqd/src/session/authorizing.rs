//! Whether a command may be carried out, when auth servers decide (nsqd spec 9.4).

use super::commands::Verb;
use super::{Session, Stop};
use crate::auth::{Applicant, Grants, Request};
use crate::client::Authenticated;
use crate::counters::PublishError;
use nsq_protocol::v2::FrameType;
use nsq_protocol::{ErrorCode, TopicName, quote};
use serde::Serialize;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a connection was granted.
#[derive(Debug)]
pub(super) struct Authorized {
    applicant: Applicant,
    grants: Grants,
    /// Monotonic ns from which on the servers are asked again.
    expires_at: u64,
    /// The topic that was last published to, and may be while the grants hold.
    publishes: Option<TopicName>,
}

/// The answer to `AUTH`.
#[derive(Serialize)]
struct Welcome<'a> {
    identity: &'a str,
    identity_url: &'a str,
    permission_count: usize,
}

fn failed() -> Stop {
    Stop::error(ErrorCode::AuthFailed, "AUTH failed")
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// `AUTH` with this secret.
    pub(super) async fn authenticate(&mut self, secret: &[u8]) -> Result<(), Stop> {
        if self
            .authorized
            .as_ref()
            .is_some_and(|known| !known.grants.is_empty())
        {
            return Err(Stop::error(ErrorCode::Invalid, "AUTH already set"));
        }
        let security = self.security.clone();
        let Some(servers) = &security.auth else {
            return Err(Stop::error(ErrorCode::AuthDisabled, "AUTH disabled"));
        };
        let layers = self.client.layers.lock().clone();
        let applicant = Applicant {
            remote_ip: remote_ip(&self.client.remote_address),
            tls: layers.tls.is_some(),
            common_name: layers.tls.map(|agreed| agreed.common_name).unwrap_or_default(),
            secret: secret.to_vec(),
        };
        let grants = servers.ask(&applicant).await.ok_or_else(failed)?;
        if grants.is_empty() {
            return Err(Stop::error(
                ErrorCode::Unauthorized,
                "AUTH no authorizations found",
            ));
        }
        let welcome = Welcome {
            identity: &grants.identity,
            identity_url: &grants.identity_url,
            permission_count: grants.len(),
        };
        // Texts and a number always have a JSON form.
        let welcome = nsq_service::json::to_vec(&welcome).unwrap_or_default();
        self.output.frame(FrameType::Response, &welcome);
        self.grant(applicant, grants);
        Ok(())
    }

    fn grant(&mut self, applicant: Applicant, grants: Grants) {
        *self.client.authenticated.lock() = (!grants.is_empty()).then(|| Authenticated {
            identity: grants.identity.clone(),
            identity_url: grants.identity_url.clone(),
        });
        self.authorized = Some(Box::new(Authorized {
            expires_at: super::after(self.now(), grants.ttl),
            applicant,
            grants,
            publishes: None,
        }));
    }

    /// Whether a message may be published. Costs a branch without auth servers, and a comparison of names for who goes on
    /// publishing to the same topic.
    pub(super) async fn may_publish(&mut self, verb: Verb, topic: &TopicName) -> Result<(), Stop> {
        if self.security.auth.is_none() {
            return Ok(());
        }
        let allowed = self.authorize(verb.as_str(), Request::Publish(topic)).await;
        allowed.map_err(|stop| stop.refusing(PublishError::Auth))
    }

    /// Whether `command` may be carried out.
    pub(super) async fn authorize(&mut self, command: &str, request: Request<'_>) -> Result<(), Stop> {
        let security = self.security.clone();
        let Some(servers) = &security.auth else {
            return Ok(());
        };
        let first = || Stop::error(ErrorCode::AuthFirst, format!("AUTH required before {command}"));
        let known = self.authorized.take().filter(|known| !known.grants.is_empty());
        let known = known.ok_or_else(first)?;
        if self.now() >= known.expires_at {
            let Authorized { applicant, .. } = *known;
            let grants = servers.ask(&applicant).await.ok_or_else(failed)?;
            self.grant(applicant, grants);
        } else {
            self.authorized = Some(known);
        }
        let Some(known) = &mut self.authorized else {
            return Err(first());
        };
        let (topic, channel) = match request {
            Request::Publish(topic) if known.publishes.as_ref() == Some(topic) => return Ok(()),
            Request::Publish(topic) => (topic, ""),
            Request::Subscribe(topic, channel) => (topic, channel.as_str()),
        };
        if !known.grants.allow(request) {
            let (topic, channel) = (quote(topic.as_str().as_bytes()), quote(channel.as_bytes()));
            let text = format!("AUTH failed for {command} on {topic} {channel}");
            return Err(Stop::error(ErrorCode::Unauthorized, text));
        }
        if matches!(request, Request::Publish(_)) {
            known.publishes = Some(topic.clone());
        }
        Ok(())
    }
}

/// The address without its port; empty over a Unix socket.
fn remote_ip(address: &str) -> String {
    let address: Option<SocketAddr> = address.parse().ok();
    address.map_or_else(String::new, |address| address.ip().to_string())
}
