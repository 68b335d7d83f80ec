//! Pages: a snapshot becomes a view model, a view model becomes HTML. No I/O while rendering.

mod assets;
mod fmt;
mod headers;
mod view;

use std::sync::Arc;

use askama::Template as _;
pub(crate) use assets::asset;
use nsq_service::http::{Failure, Reply, Request, StatusCode};

use crate::Shared;

/// `GET /`.
pub(crate) async fn overview(shared: Arc<Shared>, _: Request) -> Result<Reply, Failure> {
    let snapshot = shared.upstream.snapshot().await;
    let page = view::Overview::new(&snapshot, &shared.base_path);
    let html = page.render().map_err(|error| Failure::internal(&error))?;
    let status = if snapshot.is_blind() {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::OK
    };
    Ok(headers::page(
        Reply::content("text/html; charset=utf-8", html).status(status),
    ))
}
