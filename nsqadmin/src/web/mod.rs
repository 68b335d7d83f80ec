//! Pages: a snapshot becomes a view model, a view model becomes HTML. No I/O while rendering.
//!
//! | module | what |
//! |---|---|
//! | [`view`] | the overview, and the frame of all pages |
//! | [`page`] | the form of the other pages |
//! | [`pages`] | what is on them |
//! | [`act`] | asks before something is done, and does it |
//! | [`csrf`] | tells our forms from those of other sites |

mod act;
mod assets;
mod csrf;
mod fmt;
mod headers;
mod page;
mod pages;
mod urls;
mod view;

use std::sync::Arc;

pub(crate) use act::{post_channel, post_lookup, post_topic};
use askama::Template;
pub(crate) use assets::asset;
use nsq_service::http::{Failure, Reply, Request, StatusCode};
pub(crate) use pages::{channel, counter, lookup, node, nodes, topic};

use crate::Shared;
use crate::model::Snapshot;

/// A page with its headers.
fn html(page: &impl Template, status: StatusCode) -> Result<Reply, Failure> {
    let html = page.render().map_err(|error| Failure::internal(&error))?;
    Ok(headers::page(
        Reply::content("text/html; charset=utf-8", html).status(status),
    ))
}

fn status_of(snapshot: &Snapshot) -> StatusCode {
    if snapshot.is_blind() {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::OK
    }
}

/// `GET /`.
pub(crate) async fn overview(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let snapshot = shared.upstream.snapshot().await;
    let page = view::Overview::new(&snapshot, &shared.base_path, shared.access.may_act(&request));
    html(&page, status_of(&snapshot))
}
