//! Pages: a view becomes a page, a page becomes HTML. No I/O while rendering.
//!
//! | module | what |
//! |---|---|
//! | [`visit`] | who looks at what |
//! | [`place`] | the page and what was chosen on it |
//! | [`page`], [`shell`] | the form of all pages, and their frame |
//! | [`table`], [`td`], [`chart`], [`fmt`] | tables, values, charts, numbers |
//! | [`pages`] | what is on them |
//! | [`export`] | the same for machines |
//! | [`act`] | asks before something is done, and does it |
//! | [`csrf`] | tells our forms from those of other sites |

mod act;
mod assets;
mod chart;
mod csrf;
mod export;
mod fmt;
mod headers;
mod page;
mod pages;
mod place;
mod shell;
mod table;
mod td;
mod urls;
mod visit;

use std::sync::Arc;

pub(crate) use act::{post_channel, post_lookup, post_settings, post_topic};
use askama::Template;
pub(crate) use assets::asset;
use csrf::Token;
use nsq_service::http::header::LOCATION;
use nsq_service::http::{Failure, Reply, Request, StatusCode};
use pages::Typed;
use visit::Visit;

use crate::Shared;
use crate::api::{self, Steps};
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

/// `GET /`.
pub(crate) async fn overview(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::overview(&visit).reply(&visit)
}

/// `GET /topics`.
pub(crate) async fn topics(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::topics(&visit).reply(&visit)
}

/// `GET /topics/:topic`, which with `?confirm=` asks before something is done.
pub(crate) async fn topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    if let Some(verb) = visit.query.get("confirm") {
        return act::confirm(&shared, &request, &visit, verb);
    }
    pages::topic(&visit, request.param("topic")).reply(&visit)
}

/// `GET /topics/:topic/:channel`, which with `?confirm=` asks before something is done.
pub(crate) async fn channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    if let Some(verb) = visit.query.get("confirm") {
        return act::confirm(&shared, &request, &visit, verb);
    }
    let (topic, name) = (
        request.param("topic").to_owned(),
        request.param("channel").to_owned(),
    );
    let mut steps = Steps::default();
    let record = api::read_channel(&shared, &topic, &name, &mut steps).await;
    let record = record.as_ref().map_err(Failure::message);
    pages::channel(&visit, (&topic, &name), record).reply(&visit)
}

/// `GET /nodes`.
pub(crate) async fn nodes(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::nodes(&visit).reply(&visit)
}

/// `GET /nodes/:node`.
pub(crate) async fn node(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::node(&visit, request.param("node")).reply(&visit)
}

/// `GET /counter`.
pub(crate) async fn counter(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::counter(&visit).reply(&visit)
}

/// `GET /cluster`.
pub(crate) async fn cluster(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    pages::cluster(&visit).reply(&visit)
}

/// `GET /search?q=`: straight to the one thing that is called so.
pub(crate) async fn search(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    match pages::straight_to(&visit) {
        Some(url) if !visit.is_export() => Ok(to(&url)),
        _ => pages::search(&visit).reply(&visit),
    }
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
