//! Patches for open pages (console spec 5): a page is made again for each picture, once for all who look at the same, and every
//! stream gets what differs from what it got last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use askama::Template;
use bytes::Bytes;
use futures_util::stream;
use nsq_service::http::header::{CACHE_CONTROL, HeaderName};
use nsq_service::http::{Failure, Query, Reply, Request};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::page::Page;
use super::td::Td;
use super::visit::{Prefs, Visit};
use super::{headers, page_at};
use crate::Shared;
use crate::access::{Identity, Role};
use crate::board::View;

/// A comment when there is nothing else, so that proxies and peers see that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A peer that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Charts are sent no more often than this: their newest point is one of hundreds.
const CHARTS: Duration = Duration::from_secs(15);

/// A stream ends after this, so that it moves on when replicas change.
const MAX_AGE: Duration = Duration::from_secs(900);

/// Longest wait for a peer to take the last event.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Largest patch; beyond it the page is better loaded anew.
const MAX_PATCH: usize = 64 << 10;

/// Seconds after which somebody who found no place may ask again.
const RETRY: u32 = 15;

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Same path, choices and role: the same patches.
type Key = (String, Role);

/// What a page shows now, in parts.
#[derive(Default)]
struct Parts {
    generation: u64,
    at: i64,
    /// Seconds since anybody answered.
    age: i64,
    /// Values by their keys.
    cells: BTreeMap<String, Td>,
    fragments: BTreeMap<&'static str, String>,
    /// Keys of the rows of the main table, in their order.
    rows: Vec<String>,
    missing: Vec<String>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Parts>>>>;

/// All streams.
pub(crate) struct Live {
    places: Arc<Semaphore>,
    max: usize,
    /// Tells one process from another.
    boot: String,
    slots: Mutex<HashMap<Key, Slot>>,
}

/// Only the value.
#[derive(Template)]
#[template(path = "td.html")]
struct Only<'a> {
    td: &'a Td,
}

impl Live {
    pub(crate) fn new(max_streams: usize, started: i64) -> Self {
        let max = max_streams.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(max)),
            max,
            boot: format!("{started:x}"),
            slots: Mutex::new(HashMap::new()),
        }
    }

    /// Streams at the moment.
    pub(crate) fn open(&self) -> usize {
        self.max - self.places.available_permits()
    }

    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    fn slot(&self, key: &Key) -> Slot {
        let mut slots = self.slots.lock();
        // a slot that nobody holds is a page that nobody watches any more
        slots.retain(|own, slot| own == key || Arc::strong_count(slot) > 1);
        Arc::clone(slots.entry(key.clone()).or_default())
    }
}

/// Somebody's look at a page, again and again.
struct Watched {
    shared: Arc<Shared>,
    key: Key,
    slot: Slot,
    path: String,
    query: Query,
    user: String,
    prefs: Prefs,
}

impl Watched {
    fn of(shared: &Arc<Shared>, request: &Request, wanted: &str) -> Result<Self, Failure> {
        let bad = || Failure::bad_request("INVALID_VIEW");
        let (path, query) = wanted.split_once('?').unwrap_or((wanted, ""));
        let path = nsq_service::http::decode_path(path).ok_or_else(bad)?;
        let query = Query::parse(query)?;
        if query.get("confirm").is_some() {
            return Err(bad());
        }
        let Identity { user, role } = Identity::of(request);
        let key = (wanted.to_owned(), role);
        Ok(Self {
            slot: shared.live.slot(&key),
            shared: Arc::clone(shared),
            key,
            path,
            query,
            user,
            prefs: Prefs::of(request),
        })
    }

    /// What the page shows in this view; made once for all who watch it.
    async fn parts(&self, view: Arc<View>) -> Result<Arc<Parts>, Failure> {
        let mut slot = self.slot.lock().await;
        if let Some(parts) = slot
            .as_ref()
            .filter(|parts| parts.generation >= view.snapshot.generation)
        {
            return Ok(Arc::clone(parts));
        }
        let visit = Visit::new(
            &self.shared,
            view,
            &self.path,
            self.query.clone(),
            (self.key.1, self.user.clone()),
            self.prefs,
        );
        let page = page_at(&self.shared, &visit, &self.path)
            .await
            .ok_or_else(|| Failure::bad_request("INVALID_VIEW"))?;
        let parts = Arc::new(Parts::of(&page, &visit).map_err(|error| Failure::internal(&error))?);
        *slot = Some(Arc::clone(&parts));
        Ok(parts)
    }
}

impl Parts {
    fn of(page: &Page, visit: &Visit) -> askama::Result<Self> {
        let tables = page
            .tables
            .iter()
            .flat_map(|table| &table.rows)
            .flat_map(|row| &row.cells);
        let tiles = page.tiles.iter().map(|tile| &tile.td);
        let cells = tables.chain(tiles).filter(|td| !td.key.is_empty());
        let rows = page.tables.first().map(|table| &table.rows);
        let snapshot = &visit.view.snapshot;
        Ok(Self {
            generation: snapshot.generation,
            at: snapshot.at,
            age: snapshot.age(),
            cells: cells.map(|td| (td.key.clone(), td.clone())).collect(),
            fragments: page.fragments()?.into_iter().collect(),
            rows: rows
                .into_iter()
                .flatten()
                .filter_map(|row| row.cells.first())
                .map(|td| td.key.clone())
                .collect(),
            missing: snapshot.missing().into_iter().map(str::to_owned).collect(),
        })
    }

    /// What differs from `before`; `shown` are the rows of the page as it was loaded. Charts are left out unless they are due.
    fn patch(&self, before: &Self, shown: &[String], with_charts: bool) -> String {
        let mut cells = Vec::new();
        let mut fragments = Vec::new();
        for (key, td) in &self.cells {
            if before.cells.get(key) == Some(td) {
                continue;
            }
            let is_plain = td.chip.is_none()
                && td.url.is_empty()
                && td.note.is_empty()
                && td.svg.0.is_empty()
                && td.links.is_empty();
            if is_plain {
                cells.push(json!([key, td.text, td.class, td.title]));
            } else if let Ok(html) = (Only { td }).render() {
                fragments.push(json!([key, html.trim(), td.class, td.title]));
            }
        }
        for (name, html) in &self.fragments {
            if before.fragments.get(name) != Some(html) && (with_charts || *name != "charts") {
                fragments.push(json!([name, html]));
            }
        }
        let new = self.rows.iter().filter(|row| !shown.contains(row)).count();
        let gone = shown.iter().filter(|row| !self.rows.contains(row)).count();
        let order = new == 0 && gone == 0 && shown != self.rows;
        let rows = json!({"new": new, "gone": gone, "order": order});
        let mut patch = json!({
            "gen": self.generation, "at": self.at, "age": self.age, "c": cells, "f": fragments, "p": rows
        });
        let text = patch.to_string();
        if text.len() <= MAX_PATCH {
            return text;
        }
        for (key, value) in [("c", json!([])), ("f", json!([])), ("reload", json!(true))] {
            patch[key] = value;
        }
        patch.to_string()
    }
}

/// `GET /stream?view=<page>`; with `once=1` one patch as JSON.
pub(crate) async fn stream(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let query = request.query()?;
    let view = query.get("view").unwrap_or_default().to_owned();
    let watched = Watched::of(&shared, &request, &view)?;
    let Some(mut views) = shared.board.views().filter(|_| !view.is_empty()) else {
        return Err(Failure::bad_request("NOT_LIVE"));
    };
    let now = Arc::clone(&views.borrow_and_update());
    let parts = watched.parts(now).await?;
    if query.get("once").is_some() {
        let patch = parts.patch(&Parts::default(), &parts.rows, true);
        return Ok(headers::page(Reply::json_bytes(patch)));
    }
    let place = Arc::clone(&shared.live.places).try_acquire_owned();
    let place = place.map_err(|_| Failure::unavailable("TOO_MANY_STREAMS").retry_after(RETRY))?;
    let (tell, mut told) = mpsc::channel(1);
    shared.tasks.spawn(send(watched, views, parts, tell, place));
    let chunks = stream::poll_fn(move |context| match told.poll_recv(context) {
        Poll::Ready(chunk) => Poll::Ready(chunk.map(Ok)),
        Poll::Pending => Poll::Pending,
    });
    let reply = Reply::stream("text/event-stream", chunks).header(CACHE_CONTROL, "no-store, no-transform");
    Ok(headers::common(reply.header(BUFFERING, "no")))
}

fn event(name: &str, generation: u64, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\nid: {generation}\ndata: {data}\n\n"))
}

/// Sends to one peer until it goes, or we do. While it does not read, newer pictures take the place of older ones.
async fn send(
    watched: Watched,
    mut views: watch::Receiver<Arc<View>>,
    first: Arc<Parts>,
    tell: mpsc::Sender<Bytes>,
    place: OwnedSemaphorePermit,
) {
    let tasks = watched.shared.tasks.clone();
    let every = views.borrow().interval.unwrap_or_default().as_secs_f64();
    let hello = json!({"gen": first.generation, "every": every, "boot": watched.shared.live.boot()});
    let began = Instant::now();
    let shown = first.rows.clone();
    let mut next = Some(event("hello", first.generation, &hello.to_string()));
    let mut sent = Arc::new(Parts::default());
    let mut latest = first;
    // the page has just been loaded with its charts
    let mut charts_at = began;
    loop {
        if let Some(chunk) = next.take() {
            // room for one: this waits while the peer does not read
            if !matches!(timeout(PATIENCE, tell.send(chunk)).await, Ok(Ok(()))) {
                break;
            }
        }
        if sent.generation < latest.generation {
            if sent.missing != latest.missing {
                let stale = json!({"since": latest.at, "missing": latest.missing});
                let _ = tell.try_send(event("stale", latest.generation, &stale.to_string()));
            }
            let with_charts = charts_at.elapsed() >= CHARTS;
            if with_charts {
                charts_at = Instant::now();
            }
            let patch = latest.patch(&sent, &shown, with_charts);
            watched.shared.metrics.patched();
            next = Some(event("patch", latest.generation, &patch));
            sent = Arc::clone(&latest);
            continue;
        }
        tokio::select! {
            () = tasks.stopping() => {
                let bye = event("bye", sent.generation, r#"{"retry":2000}"#);
                let _ = timeout(LAST_WORD, tell.send(bye)).await;
                break;
            }
            () = tell.closed() => break,
            () = sleep(HEARTBEAT) => next = Some(Bytes::from_static(b":\n\n")),
            changed = views.changed() => {
                if changed.is_err() || began.elapsed() > MAX_AGE {
                    let _ = tell.try_send(event("bye", sent.generation, r#"{"retry":2000}"#));
                    break;
                }
                let view = Arc::clone(&views.borrow_and_update());
                if let Ok(parts) = watched.parts(view).await {
                    latest = parts;
                }
            }
        }
    }
    drop(place);
}
