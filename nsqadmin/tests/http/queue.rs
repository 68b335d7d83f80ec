//! A queue of an nsqd that can be looked into, as the extensions spec has it (8.1, 8.2): what it answers, and what is done to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsq_service::http::{Failure, Method, Query, Reply, StatusCode};
use serde_json::{Value, json};

/// A message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) body: Vec<u8>,
    /// Seconds of Unix time.
    pub(crate) due: i64,
    pub(crate) more: Value,
}

/// The messages of `t1/c1` on one node.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) messages: Vec<Own>,
    /// Where messages that were run went.
    pub(crate) run: Vec<String>,
    /// What refuses to be looked into: a status and its message.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// The dead-letter topic has this channel, and dead letters are in it.
    pub(crate) via: Option<&'static str>,
    pub(crate) job: Value,
    /// Messages in a second.
    pub(crate) rate: usize,
    pub(crate) policy: Value,
    pub(crate) policy_of_topic: Value,
    /// Every request, with its query.
    pub(crate) asked: Vec<String>,
}

impl Own {
    pub(crate) fn new(id: &str, state: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            id: format!("{id:0>16}"),
            state,
            body: body.into(),
            ..Self::default()
        }
    }

    fn shown(&self, most: usize) -> Value {
        let mut shown = json!({"id": self.id, "timestamp": 0, "attempts": 1, "size": self.body.len()});
        if most > 0 {
            let mut cut = most.min(self.body.len());
            let key = match std::str::from_utf8(&self.body) {
                Ok(text) => {
                    while !text.is_char_boundary(cut) {
                        cut -= 1;
                    }
                    shown["body"] = text[..cut].into();
                    "body"
                }
                Err(_) => {
                    shown["body_base64"] = STANDARD.encode(&self.body[..cut]).into();
                    "body_base64"
                }
            };
            assert!(shown[key].is_string());
            if cut < self.body.len() {
                shown["truncated"] = true.into();
            }
        }
        if self.state == "deferred" {
            shown["due"] = (self.due * 1_000_000_000).into();
            shown["source"] = "publish".into();
        }
        for (key, value) in self.more.as_object().into_iter().flatten() {
            shown[key] = value.clone();
        }
        shown
    }
}

impl Queue {
    /// The answer to a request of one of these endpoints; none for any other.
    pub(crate) fn play(
        &mut self,
        method: &Method,
        path: &str,
        query: &Query,
        raw: &str,
    ) -> Option<Result<Reply, Failure>> {
        let is_one = [
            "/channel/messages",
            "/topic/messages",
            "/channel/job",
            "/channel/policy",
            "/topic/policy",
        ];
        if !is_one.iter().any(|own| path.starts_with(own)) {
            return None;
        }
        self.asked.push(format!("{method} {path}?{raw}"));
        if let Some((status, message)) = self.refusal {
            let status = StatusCode::from_u16(status).unwrap();
            return Some(Err(Failure::new(status, message)));
        }
        Some(match (method.as_str(), path) {
            ("GET", "/channel/messages" | "/topic/messages") => self.list(query),
            ("POST", "/channel/messages/run" | "/channel/messages/cancel") => self.handle(path, query),
            ("GET", "/channel/job") => Ok(reply(&json!({"job": self.job}))),
            ("POST", "/channel/job/stop") => {
                self.job["running"] = false.into();
                Ok(reply(&json!({"job": self.job})))
            }
            ("GET", "/channel/policy") => Ok(reply(&self.policy)),
            ("GET", "/topic/policy") => Ok(reply(&self.policy_of_topic)),
            _ => Err(Failure::not_found("NOT_FOUND")),
        })
    }

    /// A second of the job.
    pub(crate) fn second(&mut self) {
        if self.job["running"] != true {
            return;
        }
        let state = self.job["state"].as_str().unwrap().to_owned();
        for _ in 0..self.rate {
            let Some(at) = self.messages.iter().position(|own| own.state == state) else {
                self.job["running"] = false.into();
                break;
            };
            let own = self.messages.remove(at);
            self.run.push(own.id);
            self.job["done"] = (self.job["done"].as_u64().unwrap() + 1).into();
        }
        let left = self.messages.iter().filter(|own| own.state == state).count();
        self.job["remaining"] = left.into();
    }

    fn list(&self, query: &Query) -> Result<Reply, Failure> {
        let get = |name: &str| query.get(name).unwrap_or_default();
        let state = if get("state").is_empty() {
            "ready"
        } else {
            get("state")
        };
        if state == "dead" && self.via.is_some_and(|via| get("via") != via) {
            return Err(Failure::new(StatusCode::CONFLICT, "VIA_REQUIRED"));
        }
        if state == "ready" && !get("id").is_empty() {
            return Err(Failure::bad_request("INVALID_ARG_ID"));
        }
        let number = |name: &str, default: usize| get(name).parse().unwrap_or(default);
        let mut all: Vec<&Own> = self.messages.iter().filter(|own| own.state == state).collect();
        let bound = |name: &str, default: i64| get(name).parse().unwrap_or(default);
        if state == "deferred" {
            all.sort_by_key(|own| own.due);
            all.retain(|own| own.due >= bound("due_from", i64::MIN) && own.due < bound("due_to", i64::MAX));
        }
        if !get("id").is_empty() {
            all.retain(|own| own.id == get("id"));
            if all.is_empty() {
                return Err(Failure::not_found("MESSAGE_NOT_FOUND"));
            }
        }
        // the cursor is the id of the first that comes
        let from = all.iter().position(|own| own.id == get("cursor")).unwrap_or(0);
        let limit = number("limit", 20);
        let shown: Vec<Value> = all
            .iter()
            .skip(from)
            .take(limit)
            .map(|own| own.shown(number("body", 1024)))
            .collect();
        let next = all.get(from + limit).map_or("", |own| own.id.as_str());
        let mut answer = json!({"messages": shown, "next": next});
        if state == "deferred" {
            let nanos = |own: Option<&&Own>| own.map_or(0, |own| own.due * 1_000_000_000);
            answer["total"] = all.len().into();
            answer["first_due"] = nanos(all.first()).into();
            answer["last_due"] = nanos(all.last()).into();
            let each = all
                .iter()
                .map(|own| json!({"to": own.due * 1_000_000_000, "count": 1}));
            answer["buckets"] = each.collect();
        }
        Ok(reply(&answer))
    }

    fn handle(&mut self, path: &str, query: &Query) -> Result<Reply, Failure> {
        let get = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let state = get("state");
        if !matches!(state.as_str(), "deferred" | "dead") {
            return Err(Failure::bad_request("INVALID_ARG_STATE"));
        }
        let is_run = path.ends_with("/run");
        if get("all") == "true" {
            if self.job["running"] == true {
                return Err(Failure::new(StatusCode::CONFLICT, "JOB_RUNNING"));
            }
            let remaining = self.messages.iter().filter(|own| own.state == state).count();
            self.rate = get("rate").parse().unwrap_or(100);
            self.job = json!({"id": "j1", "verb": if is_run { "run" } else { "cancel" }, "state": state, "running": true,
                "done": 0, "failed": 0, "remaining": remaining, "started": 0, "error": ""});
            return Ok(reply(&json!({"job": self.job})));
        }
        let ids = get("ids");
        let (mut done, mut missing) = (0, 0);
        for id in ids.split(',').filter(|id| !id.is_empty()) {
            match self
                .messages
                .iter()
                .position(|own| own.id == id && own.state == state)
            {
                Some(at) => {
                    self.messages.remove(at);
                    done += 1;
                    if is_run {
                        self.run.push(id.to_owned());
                    }
                }
                None => missing += 1,
            }
        }
        Ok(reply(&json!({"done": done, "missing": missing})))
    }
}

fn reply(value: &Value) -> Reply {
    Reply::json_bytes(value.to_string())
}
