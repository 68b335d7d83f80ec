//! Every path of nsqadmin. All but `/metrics` stand below the base path.

use std::sync::Arc;

use nsq_service::http::{Failure, Method, Reply, Request, Route, Router};

use crate::access::gate;
use crate::{Shared, api, metrics, web};

pub(crate) fn router(shared: Arc<Shared>) -> Router<Shared> {
    let base = shared.base_path.clone();
    let measured = Arc::clone(&shared.metrics.http);
    Router::new(shared)
        .measured(measured)
        .packing()
        .guarded(gate)
        .missing(web::nowhere)
        // Outside the base path: scrapers ask all programs for the same one.
        .route(
            Route::plain(Method::GET, "/metrics", metrics::page)
                .logged_at_debug()
                .open(),
        )
        .base(&base)
        .route(Route::plain(Method::GET, "/ping", ok).logged_at_debug().open())
        .route(Route::v1(Method::GET, "/livez", ok).logged_at_debug().open())
        .route(Route::v1(Method::GET, "/ready", ok).logged_at_debug().open())
        .route(Route::v1(Method::GET, "/info", |_, _| async { api::info() }))
        .route(Route::v1(Method::GET, "/api/topics", api::topics))
        .route(Route::v1(Method::POST, "/api/topics", api::create).reads_body())
        .route(Route::v1(Method::GET, "/api/topics/:topic", api::topic))
        .route(Route::v1(Method::POST, "/api/topics/:topic", api::act_on_topic).reads_body())
        .route(Route::v1(Method::DELETE, "/api/topics/:topic", api::delete_topic))
        .route(Route::v1(
            Method::GET,
            "/api/topics/:topic/:channel",
            api::channel,
        ))
        .route(Route::v1(Method::POST, "/api/topics/:topic/:channel", api::act_on_channel).reads_body())
        .route(Route::v1(
            Method::DELETE,
            "/api/topics/:topic/:channel",
            api::delete_channel,
        ))
        .route(Route::v1(Method::GET, "/api/nodes", api::nodes))
        .route(Route::v1(Method::GET, "/api/nodes/:node", api::node))
        .route(Route::v1(Method::DELETE, "/api/nodes/:node", api::tombstone).reads_body())
        .route(Route::v1(Method::GET, "/api/counter", api::counter))
        .route(Route::v1(Method::GET, "/api/graphite", api::graphite))
        .route(Route::plain(Method::GET, "/render", api::render))
        .route(Route::v1(Method::GET, "/config/:opt", api::show_config))
        .route(Route::v1(Method::PUT, "/config/:opt", api::change_config).reads_body())
        .route(page("/", web::live_page))
        .route(page("/topics", web::live_page))
        .route(Route::plain(Method::POST, "/topics", web::post_topics).reads_body())
        .route(page("/topics/:topic", web::live_page))
        .route(Route::plain(Method::POST, "/topics/:topic", web::post_topic).reads_body())
        .route(page("/topics/:topic/:channel", web::live_page))
        .route(Route::plain(Method::POST, "/topics/:topic/:channel", web::post_topic).reads_body())
        .route(page("/nodes", web::live_page))
        .route(page("/nodes/:node", web::live_page))
        .route(page("/lookup", web::lookup))
        .route(Route::plain(Method::POST, "/lookup", web::post_lookup).reads_body())
        .route(page("/counter", web::live_page))
        .route(page("/cluster", web::live_page))
        .route(page("/timers", web::live_page))
        .route(page("/dead", web::live_page))
        .route(page("/audit", web::live_page))
        .route(page("/audit/:id", web::live_page))
        .route(Route::plain(Method::POST, "/audit/:id", web::post_again).reads_body())
        .route(Route::plain(Method::GET, "/stream", web::stream))
        .route(page("/search", web::search))
        .route(page("/settings", web::settings))
        .route(Route::plain(Method::POST, "/settings", web::post_settings).reads_body())
        .route(page("/help", web::help))
        .route(page("/static/:asset", web::asset).logged_at_debug())
}

/// A page: `HEAD` asks for it too.
fn page<F, R>(path: &'static str, handler: F) -> Route<Shared>
where
    F: Fn(Arc<Shared>, Request) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    Route::plain(Method::GET, path, handler).with_head()
}

/// The paths of the ops listener (extensions spec 14.1), without the base path.
pub(crate) fn ops_router(shared: Arc<Shared>) -> Router<Shared> {
    Router::new(shared)
        .strict()
        .route(Route::plain(Method::GET, "/ping", ok).logged_at_debug())
        .route(Route::v1(Method::GET, "/livez", ok).logged_at_debug())
        .route(Route::v1(Method::GET, "/ready", ok).logged_at_debug())
        .route(Route::plain(Method::GET, "/metrics", metrics::page).logged_at_debug())
}

async fn ok(_: Arc<Shared>, _: Request) -> Result<Reply, Failure> {
    Ok(Reply::text("OK"))
}
