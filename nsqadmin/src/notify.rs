//! Notifications of actions (nsqadmin spec 10): a POST each, one at a time, in order. An endpoint that does not answer costs a
//! line in the log and never an action.

use std::sync::Arc;

use bytes::Bytes;
use nsq_http_api::client::{Client, Target};
use nsq_service::build_info;
use nsq_service::clock::Clock;
use nsq_service::http::{Method, Request, encode_component};
use nsq_service::tasks::Tasks;
use serde::Serialize;
use tokio::sync::mpsc;

/// Notifications that wait; when the endpoint is slower than people act, newer ones are dropped and logged.
const WAITING: usize = 256;

/// Who asked for an action and how, taken from its request.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Asker {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    remote_ip: String,
    user_agent: String,
    url: String,
}

/// One action.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event<'a> {
    pub(crate) action: &'static str,
    pub(crate) topic: &'a str,
    pub(crate) channel: &'a str,
    pub(crate) node: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    action: &'static str,
    topic: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    channel: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    node: &'a str,
    timestamp: i64,
    #[serde(flatten)]
    asker: &'a Asker,
    via: String,
}

/// The sending end.
pub(crate) struct Notifier {
    queue: mpsc::Sender<Bytes>,
    clock: Arc<dyn Clock>,
}

impl Notifier {
    /// Starts the task that sends.
    pub(crate) fn start(target: Target, client: Client, clock: Arc<dyn Clock>, tasks: &Tasks) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let stop = tasks.clone();
        tasks.spawn(async move {
            loop {
                let body = tokio::select! {
                    () = stop.stopping() => return,
                    body = waiting.recv() => body,
                };
                let Some(body) = body else { return };
                let sent = client.fetch(Method::POST, &target, Some("application/json"), body);
                if let Err(error) = sent.await {
                    tracing::error!("failed to send notification - {error}");
                }
            }
        });
        Self { queue, clock }
    }

    /// Queues the notification.
    pub(crate) fn send(&self, event: &Event<'_>, asker: &Asker) {
        let body = Body {
            action: event.action,
            topic: event.topic,
            channel: event.channel,
            node: event.node,
            timestamp: self.clock.unix_nanos() / 1_000_000_000,
            asker,
            via: build_info::hostname(),
        };
        let sent = nsq_service::json::to_vec(&body).map(|json| self.queue.try_send(json.into()));
        if !matches!(sent, Ok(Ok(()))) {
            tracing::error!("failed to send notification - {WAITING} are waiting already");
        }
    }
}

impl Asker {
    /// A Basic user name wins; behind a proxy it is the one that `fallback` names.
    pub(crate) fn of(request: &Request, fallback: &str) -> Self {
        let is_https = request.is_secured() || request.header("x-scheme") == Some("https");
        let scheme = if is_https { "https" } else { "http" };
        let host = request.header("host").unwrap_or_default();
        let path: Vec<_> = request.path().split('/').map(encode_component).collect();
        let query = match request.raw_query() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        Self {
            user: basic_user(request.header("authorization"))
                .or_else(|| (!fallback.is_empty()).then(|| fallback.to_owned())),
            remote_ip: request.peer().to_string(),
            user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
            url: format!("{scheme}://{host}{}{query}", path.join("/")),
        }
    }
}

fn basic_user(header: Option<&str>) -> Option<String> {
    let encoded = header?.strip_prefix("Basic ")?;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.split_once(':')?.0.to_owned())
}
