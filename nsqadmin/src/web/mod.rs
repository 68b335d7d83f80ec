//! Pages: a view becomes a page, a page becomes HTML. No I/O while rendering.
//!
//! | module | what |
//! |---|---|
//! | [`visit`] | who looks at what |
//! | [`place`] | the page and what was chosen on it |
//! | [`page`], [`shell`] | the form of all pages, and their frame |
//! | [`table`], [`td`], [`chart`] | tables, values, charts |
//! | [`pages`] | what is on them |
//! | [`export`] | the same for machines |
//! | [`live`] | patches for open pages |
//! | [`looks`] | what is in queues, asked for when somebody looks |
//! | [`act`] | asks before something is done, and does it |
//! | [`form`] | what a browser sends with a form |
//! | [`csrf`] | tells our forms from those of other sites |

mod act;
mod assets;
mod chart;
mod csrf;
mod export;
mod form;
mod headers;
mod live;
mod looks;
mod page;
mod pages;
mod place;
mod shell;
mod table;
mod td;
mod urls;
mod visit;

use std::sync::Arc;

pub(crate) use act::{post_again, post_lookup, post_settings, post_topic, post_topics};
use askama::Template;
pub(crate) use assets::asset;
use csrf::Token;
pub(crate) use live::{Live, stream};
use nsq_service::http::header::LOCATION;
use nsq_service::http::{Failure, Method, Reply, Request, StatusCode};
use page::Page;
use pages::Typed;
use tokio::time::Instant;
use visit::Visit;

use crate::Shared;
use crate::api::{self, Steps};
use crate::fmt;
use crate::options::Sources;

/// A page with its headers.
fn html(page: &impl Template, status: StatusCode) -> Result<Reply, Failure> {
    let html = page.render().map_err(|error| Failure::internal(&error))?;
    Ok(headers::page(
        Reply::content("text/html; charset=utf-8", html).status(status),
    ))
}

/// On to another page.
fn to(url: &str) -> Reply {
    let reply = Reply::empty().status(StatusCode::SEE_OTHER);
    headers::page(reply.header(LOCATION, url))
}

/// The page at a path, if it is one whose values change by themselves.
async fn page_at(shared: &Shared, visit: &Visit, path: &str) -> Option<Page> {
    let below = path.strip_prefix(&shared.base_path)?;
    let segments: Vec<&str> = below.trim_start_matches('/').split('/').collect();
    let page = match *segments.as_slice() {
        [""] => pages::overview(visit),
        ["topics"] => pages::topics(visit),
        ["topics", topic] => pages::topic(visit, topic),
        ["topics", topic, channel] => {
            let mut steps = Steps::default();
            let record = api::read_channel(shared, topic, channel, &mut steps).await;
            let record = record.as_ref().map_err(Failure::message);
            pages::channel(visit, (topic, channel), record)
        }
        ["nodes"] => pages::nodes(visit),
        ["nodes", node] => pages::node(visit, node),
        ["counter"] => pages::counter(visit),
        ["cluster"] => pages::cluster(visit),
        ["timers"] => pages::timers(visit),
        ["dead"] => pages::dead(visit),
        ["audit"] => pages::audit(visit, shared.audit.entries()),
        ["audit", id] => pages::audit_entry(visit, shared.audit.entry(id)),
        _ => return None,
    };
    Some(visit.live(page))
}

/// `GET` of one of those pages; with `?confirm=` one of topics, a topic, a channel or what was done asks before something is done.
pub(crate) async fn live_page(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    if let Some(verb) = visit.query.get("confirm").filter(|_| has_verbs(&request)) {
        return act::confirm(&shared, &request, &visit, verb).await;
    }
    if visit.place.get("tab") == "publish"
        && !request.param("topic").is_empty()
        && request.param("channel").is_empty()
    {
        return act::publish_page(&shared, &request, &visit);
    }
    if let Some(reply) = looks::page(&shared, &request, &visit).await {
        return reply;
    }
    let path = request.path().to_owned();
    let began = Instant::now();
    match page_at(&shared, &visit, &path).await {
        Some(page) => {
            let reply = page.reply(&visit);
            shared.metrics.rendered(route_of(&request), began.elapsed());
            reply
        }
        None => Err(Failure::not_found("NOT_FOUND")),
    }
}

/// The route of a page, for metrics.
fn route_of(request: &Request) -> &'static str {
    let has = |name: &str| !request.param(name).is_empty();
    let last = request.path().rsplit('/').next().unwrap_or_default();
    match last {
        _ if has("channel") => "/topics/:topic/:channel",
        _ if has("topic") => "/topics/:topic",
        _ if has("node") => "/nodes/:node",
        _ if has("id") => "/audit/:id",
        "topics" => "/topics",
        "nodes" => "/nodes",
        "counter" => "/counter",
        "cluster" => "/cluster",
        "audit" => "/audit",
        "timers" => "/timers",
        "dead" => "/dead",
        _ => "/",
    }
}

/// Something can be done with what the page is about.
fn has_verbs(request: &Request) -> bool {
    let is_list = request.path().ends_with("/topics");
    is_list || ["topic", "id"].iter().any(|name| !request.param(name).is_empty())
}

/// `GET /search?q=`: straight to the one thing that is called so.
pub(crate) async fn search(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    if visit.query.get("frag").is_some() {
        return html(&pages::suggestions(&visit), StatusCode::OK);
    }
    match pages::straight_to(&visit) {
        Some(url) if !visit.is_export() => Ok(to(&url)),
        _ => pages::search(&visit).reply(&visit),
    }
}

/// Where nothing is: a page for people, a word for programs.
pub(crate) async fn nowhere(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let is_wanted = request
        .header("accept")
        .is_some_and(|types| types.contains("text/html"));
    let is_ours = request.path().starts_with(&shared.base_path);
    if !(is_read && is_wanted && is_ours) {
        return Err(Failure::not_found("NOT_FOUND"));
    }
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::nowhere(&visit, request.path()).reply(&visit)
}

/// `GET /settings`.
pub(crate) async fn settings(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    let token = Token::of(&request)?;
    let reply = pages::settings(&visit, &token.text).reply(&visit)?;
    Ok(token.keep(reply, &shared.base_path))
}

/// `GET /help`.
pub(crate) async fn help(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::help(&visit).reply(&visit)
}

/// `GET /lookup`.
pub(crate) async fn lookup(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    lookup_page(&shared, &visit, Token::of(&request)?, Typed::default(), None).await
}

/// The page, with what was typed.
async fn lookup_page(
    shared: &Shared,
    visit: &Visit,
    token: Token,
    typed: Typed<'_>,
    status: Option<StatusCode>,
) -> Result<Reply, Failure> {
    let inactive = match shared.upstream.sources() {
        Sources::Lookupds(lookupds) => {
            // only those that no nsqd is known to have can be inactive
            let silent = visit
                .view
                .snapshot
                .topics
                .iter()
                .filter(|topic| topic.spread.nodes == 0);
            let names = silent.map(|topic| topic.name.to_string()).collect();
            api::inactive_of(shared, &lookupds, names).await
        }
        Sources::Nsqds(_) => Vec::new(),
    };
    let mut page = pages::lookup(visit, inactive, &token.text, typed);
    page.status = status.unwrap_or(page.status);
    Ok(token.keep(page.reply(visit)?, &shared.base_path))
}

#[cfg(test)]
mod tests;
