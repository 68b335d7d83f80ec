//! What was done, by whom, and what became of it (console spec 3.12, 6.6): the last in memory, all in a file if one is named.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nsq_service::clock::Clock;
use nsq_service::http::{Failure, Request, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::access::{Identity, Role};
use crate::action::{Action, Level};
use crate::api::Call;
use crate::metrics::Metrics;
use crate::notify::Asker;
use crate::perform::Deed;

/// Entries that are kept in memory, and forms that are known again when they are sent twice.
const KEPT: usize = 1000;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// Empty for nobody that is known.
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) peer: String,
    pub(crate) forwarded_for: String,
    pub(crate) method: String,
}

/// What somebody may do, wants done, and has confirmed.
pub(crate) struct Order {
    pub(crate) who: Who,
    pub(crate) asker: Asker,
    pub(crate) deeds: Vec<Deed>,
    /// Of the form; empty for what is no form.
    pub(crate) nonce: String,
    /// What was there: what it is called, and depth, in flight, deferred and clients.
    pub(crate) before: Vec<[String; 5]>,
    /// Such as how much was published.
    pub(crate) note: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Running,
    Done,
    /// Some did it.
    Partial,
    Failed,
    Refused,
}

impl Outcome {
    pub(crate) const ALL: [Self; 5] = [
        Self::Running,
        Self::Done,
        Self::Partial,
        Self::Failed,
        Self::Refused,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// As metrics call it (extensions spec 3.7).
    fn label(self) -> &'static str {
        match self {
            Self::Running | Self::Done => "ok",
            Self::Partial => "partial",
            Self::Failed => "error",
            Self::Refused => "denied",
        }
    }
}

/// What became of one deed.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) target: String,
    /// None if it cannot be tried again.
    pub(crate) action: Option<Action>,
    pub(crate) calls: Vec<Call>,
    /// Why it ended early.
    pub(crate) failure: Option<Failure>,
    /// The `message` of the JSON API.
    pub(crate) message: String,
}

impl Done {
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.trouble.is_some())
    }

    /// What is left to do, if it can be tried again.
    pub(crate) fn again(&self) -> Option<Deed> {
        let action = self.action.clone()?;
        let failed: Vec<Call> = self.failed().cloned().collect();
        if self.failure.is_some() {
            Some(Deed::Act(action))
        } else {
            (!failed.is_empty()).then_some(Deed::Again(action, failed))
        }
    }
}

/// One entry of the list.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) at: i64,
    pub(crate) who: Who,
    pub(crate) name: &'static str,
    pub(crate) targets: Vec<String>,
    pub(crate) node: String,
    pub(crate) level: Level,
    pub(crate) before: Vec<[String; 5]>,
    pub(crate) note: String,
    began: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    outcome: Outcome,
    done: Vec<Arc<Done>>,
    took: Duration,
}

impl Entry {
    pub(crate) fn add(&self, done: Done) {
        self.state.lock().done.push(Arc::new(done));
    }

    /// What became of each deed so far.
    pub(crate) fn done(&self) -> Vec<Arc<Done>> {
        self.state.lock().done.clone()
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.state.lock().outcome
    }

    pub(crate) fn took(&self) -> Duration {
        self.state.lock().took
    }

    /// Requests that changed something: those that did, and those that failed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let done = self.done();
        let all: usize = done.iter().map(|done| done.calls.len()).sum();
        let failed: usize = done.iter().map(|done| done.failed().count()).sum();
        (all - failed, failed)
    }

    fn end(&self, took: Duration) -> Outcome {
        let (ok, failed) = self.counts();
        let mut state = self.state.lock();
        let whole = state.done.iter().filter(|done| done.failure.is_some()).count();
        let is_none = ok == 0 && (failed > 0 || whole == state.done.len());
        state.took = took;
        state.outcome = match (failed + whole, is_none) {
            (0, _) => Outcome::Done,
            (_, true) => Outcome::Failed,
            (_, false) => Outcome::Partial,
        };
        state.outcome
    }

    fn line(&self, event: &str) -> Value {
        json!({
            "time": crate::fmt::utc(self.at),
            "event": event,
            "id": self.id,
            "user": self.who.user,
            "role": self.who.role.text(),
            "peer": self.who.peer,
            "forwarded_for": self.who.forwarded_for,
            "method": self.who.method,
            "action": self.name,
            "targets": self.targets,
            "node": self.node,
            "note": self.note,
        })
    }
}

/// A new entry, or that of the same form.
pub(crate) enum Begun {
    New(Arc<Entry>, Box<Order>),
    Known(Arc<Entry>),
}

/// All entries.
pub(crate) struct Audit {
    /// Newest first.
    entries: Mutex<VecDeque<Arc<Entry>>>,
    /// Of forms, with the entry that each became; newest first.
    nonces: Mutex<VecDeque<(String, Arc<Entry>)>>,
    next: AtomicU64,
    boot: String,
    file: Option<tokio::sync::Mutex<Sink>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// Where lines go.
pub(crate) enum Sink {
    Stdout,
    /// Opened for each line, so that it can be moved away.
    File(PathBuf),
}

impl Sink {
    /// That of `--audit-log-file`; none for an empty one.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "" => None,
            "-" => Some(Self::Stdout),
            path => Some(Self::File(path.into())),
        }
    }

    /// Adds a line.
    pub(crate) async fn write(&self, line: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = tokio::io::stdout();
                out.write_all(line).await?;
                out.flush().await
            }
            Self::File(path) => {
                let mut options = tokio::fs::OpenOptions::new();
                options.append(true).create(true).mode(0o640);
                let mut file = options.open(path).await?;
                file.write_all(line).await?;
                // a write of tokio's is only known to have gone well after this
                file.flush().await
            }
        }
    }
}

impl Audit {
    pub(crate) fn new(
        file: Option<Sink>,
        boot: String,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            entries: Mutex::default(),
            nonces: Mutex::default(),
            next: AtomicU64::new(1),
            boot,
            file: file.map(tokio::sync::Mutex::new),
            clock,
            metrics,
        }
    }

    /// Newest first.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.lock().iter().cloned().collect()
    }

    pub(crate) fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries.lock().iter().find(|entry| entry.id == id).cloned()
    }

    /// Writes down what is about to be done.
    ///
    /// # Errors
    /// 503 if it loses something, and cannot be written down.
    pub(crate) async fn begin(&self, order: Order) -> Result<Begun, Failure> {
        let deeds = &order.deeds;
        let entry = Arc::new(Entry {
            name: deeds.first().map_or("", Deed::name),
            targets: deeds.iter().map(Deed::target).collect(),
            node: deeds.iter().find_map(Deed::node).unwrap_or_default().to_owned(),
            level: deeds.iter().map(Deed::level).max().unwrap_or(Level::Plain),
            before: order.before.clone(),
            note: order.note.clone(),
            ..self.entry_of(order.who.clone(), Outcome::Running)
        });
        if !order.nonce.is_empty() {
            let mut nonces = self.nonces.lock();
            if let Some((_, known)) = nonces.iter().find(|(nonce, _)| *nonce == order.nonce) {
                return Ok(Begun::Known(Arc::clone(known)));
            }
            nonces.push_front((order.nonce.clone(), Arc::clone(&entry)));
            nonces.truncate(KEPT);
        }
        self.keep(&entry);
        if self.write(&entry.line("intent")).await.is_err() && entry.level == Level::Named {
            self.end(&entry, Outcome::Refused);
            let text = "AUDIT_LOG_NOT_WRITABLE";
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        Ok(Begun::New(entry, Box::new(order)))
    }

    /// Writes down how it ended.
    pub(crate) async fn finish(&self, entry: &Entry) {
        let outcome = entry.end(self.clock.monotonic().saturating_sub(entry.began));
        self.metrics.acted(entry.name, outcome.label());
        let done = entry.done();
        let calls = done.iter().flat_map(|done| &done.calls).map(|call| {
            let error = call.trouble.as_ref().map(|(_, raw)| raw);
            json!({"kind": call.kind, "address": call.address, "path": call.path, "error": error})
        });
        let failures = done.iter().filter_map(|done| {
            let text = done.failure.as_ref()?.message();
            Some(json!({"target": done.target, "error": text}))
        });
        let mut line = entry.line("result");
        line["result"] = json!(outcome.text());
        line["ms"] = json!(u64::try_from(entry.took().as_millis()).unwrap_or(u64::MAX));
        line["calls"] = calls.collect();
        line["failures"] = failures.collect();
        // it has been done: that it cannot be written down is in the log
        let _ = self.write(&line).await;
    }

    /// Keeps that somebody may not do what they asked for.
    pub(crate) async fn refused(&self, who: Who, name: &'static str, target: String) {
        let entry = Arc::new(Entry {
            name,
            targets: vec![target],
            ..self.entry_of(who, Outcome::Refused)
        });
        self.keep(&entry);
        self.metrics.acted(name, Outcome::Refused.label());
        let _ = self.write(&entry.line("refused")).await;
    }

    /// Keeps something that is not done to the cluster and went well; `note` is what there is to say about it.
    pub(crate) async fn noted(&self, who: Who, name: &'static str, target: String, note: String) {
        let entry = Arc::new(Entry {
            name,
            targets: vec![target],
            note,
            ..self.entry_of(who, Outcome::Done)
        });
        self.keep(&entry);
        self.metrics.acted(name, Outcome::Done.label());
        let _ = self.write(&entry.line("result")).await;
    }

    fn end(&self, entry: &Entry, outcome: Outcome) {
        entry.state.lock().outcome = outcome;
        self.metrics.acted(entry.name, outcome.label());
    }

    fn entry_of(&self, who: Who, outcome: Outcome) -> Entry {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Entry {
            id: format!("{}-{number}", self.boot),
            at: self.clock.unix_nanos() / 1_000_000_000,
            who,
            name: "",
            targets: Vec::new(),
            node: String::new(),
            level: Level::Plain,
            before: Vec::new(),
            note: String::new(),
            began: self.clock.monotonic(),
            state: Mutex::new(State {
                outcome,
                done: Vec::new(),
                took: Duration::ZERO,
            }),
        }
    }

    fn keep(&self, entry: &Arc<Entry>) {
        let mut entries = self.entries.lock();
        entries.push_front(Arc::clone(entry));
        entries.truncate(KEPT);
    }

    async fn write(&self, line: &Value) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = format!("{line}\n");
        // one after the other, so that lines stay whole
        let written = file.lock().await.write(text.as_bytes()).await;
        if let Err(error) = &written {
            tracing::error!("failed to write to --audit-log-file - {error}");
        }
        written
    }
}

impl Who {
    pub(crate) fn of(request: &Request) -> Self {
        let Identity { user, role } = Identity::of(request);
        Self {
            user,
            role,
            peer: request.peer().to_string(),
            forwarded_for: request.header("x-forwarded-for").unwrap_or_default().to_owned(),
            method: request.method().to_string(),
        }
    }
}
