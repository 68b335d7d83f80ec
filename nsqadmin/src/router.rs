//! Every path of nsqadmin. All stand below the base path.

use std::sync::Arc;

use nsq_service::http::{Method, Reply, Route, Router};

use crate::{Shared, api, web};

pub(crate) fn router(shared: Arc<Shared>) -> Router<Shared> {
    let base = shared.base_path.clone();
    Router::new(shared)
        .base(&base)
        .route(Route::plain(Method::GET, "/ping", |_, _| async { Ok(Reply::text("OK")) }).logged_at_debug())
        .route(Route::v1(Method::GET, "/info", |_, _| async { api::info() }))
        .route(Route::v1(Method::GET, "/api/topics", api::topics))
        .route(Route::v1(Method::GET, "/api/nodes", api::nodes))
        .route(Route::plain(Method::GET, "/", web::overview))
        .route(Route::plain(Method::GET, "/static/:asset", web::asset).logged_at_debug())
}
