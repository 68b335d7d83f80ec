//! The HTTP API (nsqlookupd spec 7). Parameters come from the query only; bodies are ignored.

use std::sync::Arc;

use nsq_http_api::lookupd::{Channels, Info, Topics};
use nsq_protocol::name::{ChannelName, TopicName};
use nsq_service::build_info;
use nsq_service::http::{Failure, Method, Query, Reply, Request, Route, Router};
use serde::Serialize;

use crate::registry::{DebugProducer, Full};
use crate::{Shared, metrics};

type Answer = Result<Reply, Failure>;

/// Every endpoint: a new one is one line here and one function below.
pub(crate) fn router(shared: Arc<Shared>) -> Router<Shared> {
    let measured = Arc::clone(&shared.metrics.http);
    Router::new(shared)
        .measured(measured)
        .route(Route::plain(Method::GET, "/ping", ping).logged_at_debug())
        .route(Route::v1(Method::GET, "/livez", ping).logged_at_debug())
        .route(Route::v1(Method::GET, "/ready", ping).logged_at_debug())
        .route(Route::plain(Method::GET, "/metrics", metrics).logged_at_debug())
        .route(Route::v1(Method::GET, "/info", info))
        .route(Route::v1(Method::GET, "/debug", debug))
        .route(Route::v1(Method::GET, "/lookup", lookup))
        .route(Route::v1(Method::GET, "/topics", topics))
        .route(Route::v1(Method::GET, "/channels", channels))
        .route(Route::v1(Method::GET, "/nodes", nodes))
        .route(Route::v1(Method::POST, "/topic/create", create_topic))
        .route(Route::v1(Method::POST, "/topic/delete", delete_topic))
        .route(Route::v1(Method::POST, "/topic/tombstone", tombstone_topic))
        .route(Route::v1(Method::POST, "/channel/create", create_channel))
        .route(Route::v1(Method::POST, "/channel/delete", delete_channel))
}

/// The endpoints of the ops listener (extensions spec 14.1).
pub(crate) fn ops_router(shared: Arc<Shared>) -> Router<Shared> {
    Router::new(shared)
        .strict()
        .route(Route::plain(Method::GET, "/ping", ping).logged_at_debug())
        .route(Route::v1(Method::GET, "/livez", ping).logged_at_debug())
        .route(Route::v1(Method::GET, "/ready", ping).logged_at_debug())
        .route(Route::plain(Method::GET, "/metrics", metrics).logged_at_debug())
}

async fn metrics(shared: Arc<Shared>, request: Request) -> Answer {
    let render = |page| async { metrics::render(&shared, page) };
    Ok(shared.metrics.endpoint.answer(request, render).await)
}

async fn ping(_: Arc<Shared>, _: Request) -> Answer {
    Ok(Reply::text("OK"))
}

async fn info(_: Arc<Shared>, _: Request) -> Answer {
    Reply::json(&Info {
        version: build_info::VERSION.to_owned(),
        extensions: vec!["metrics".to_owned()],
        release: Some(build_info::RELEASE.to_owned()),
    })
}

async fn debug(shared: Arc<Shared>, _: Request) -> Answer {
    /// A list of pairs written as one object.
    struct Map(Vec<(String, Vec<DebugProducer>)>);
    impl Serialize for Map {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }
    let all = shared.registry.lock().debug();
    Reply::json(&Map(all))
}

async fn topics(shared: Arc<Shared>, _: Request) -> Answer {
    let topics = shared.registry.lock().topics();
    Reply::json(&Topics { topics })
}

async fn channels(shared: Arc<Shared>, request: Request) -> Answer {
    let query = request.query()?;
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    let channels = shared.registry.lock().channels(topic);
    Reply::json(&Channels { channels })
}

async fn lookup(shared: Arc<Shared>, request: Request) -> Answer {
    let query = request.query()?;
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    let found = shared.registry.lock().lookup(topic, shared.now());
    shared.metrics.lookup(found.is_some());
    Reply::json(&found.ok_or_else(|| Failure::not_found("TOPIC_NOT_FOUND"))?)
}

async fn nodes(shared: Arc<Shared>, _: Request) -> Answer {
    let nodes = shared.registry.lock().nodes(shared.now());
    Reply::json(&nodes)
}

async fn create_topic(shared: Arc<Shared>, request: Request) -> Answer {
    let topic = topic_name(&request.query()?)?;
    tracing::info!("DB: adding topic({topic})");
    shared.registry.lock().ensure(&topic, None).map_err(full)?;
    Ok(Reply::empty())
}

async fn delete_topic(shared: Arc<Shared>, request: Request) -> Answer {
    let query = request.query()?;
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    if shared.registry.lock().delete_topic(topic) {
        tracing::info!("DB: removing topic({topic})");
    }
    Ok(Reply::empty())
}

async fn tombstone_topic(shared: Arc<Shared>, request: Request) -> Answer {
    let query = request.query()?;
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    let node = query.require("node", "MISSING_ARG_NODE")?;
    tracing::info!("DB: setting tombstone for producer@{node} of topic({topic})");
    shared.registry.lock().tombstone(topic, node, shared.now());
    Ok(Reply::empty())
}

async fn create_channel(shared: Arc<Shared>, request: Request) -> Answer {
    let (topic, channel) = channel_names(&request.query()?)?;
    tracing::info!("DB: adding channel({channel}) in topic({topic})");
    shared
        .registry
        .lock()
        .ensure(&topic, Some(&channel))
        .map_err(full)?;
    Ok(Reply::empty())
}

async fn delete_channel(shared: Arc<Shared>, request: Request) -> Answer {
    let (topic, channel) = channel_names(&request.query()?)?;
    if !shared
        .registry
        .lock()
        .delete_channel(topic.as_str(), channel.as_str())
    {
        return Err(Failure::not_found("CHANNEL_NOT_FOUND"));
    }
    tracing::info!("DB: removing channel({channel}) from topic({topic})");
    Ok(Reply::empty())
}

fn topic_name(query: &Query) -> Result<TopicName, Failure> {
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    topic
        .parse()
        .map_err(|_| Failure::bad_request("INVALID_ARG_TOPIC"))
}

fn channel_names(query: &Query) -> Result<(TopicName, ChannelName), Failure> {
    let topic = topic_name(query)?;
    let channel = query.require("channel", "MISSING_ARG_CHANNEL")?;
    Ok((
        topic,
        channel
            .parse()
            .map_err(|_| Failure::bad_request("INVALID_ARG_CHANNEL"))?,
    ))
}

fn full(_: Full) -> Failure {
    Failure::unavailable("TOO_MANY_TOPICS")
}
