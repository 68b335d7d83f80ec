//! What changes the cluster (nsqadmin spec 8.8). Who may not act is refused before the body is read.

use std::sync::Arc;
use std::time::Duration;

use nsq_service::http::{BodyError, Failure, Reply, Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Shared;
use crate::access::{Identity, Role};
use crate::action::{Action, Verb};
use crate::audit::{Order, Who};
use crate::notify::Asker;
use crate::perform::Deed;

/// Longest body that is read.
const MAX_BODY: u64 = 1 << 20;

/// Every request to an upstream has a limit of its own, so this is for nobody but a caller of a cluster of thousands.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
struct Creation {
    topic: Option<String>,
    channel: Option<String>,
}

#[derive(Deserialize)]
struct Wanted {
    action: Option<String>,
}

#[derive(Deserialize)]
struct Tombstone {
    topic: Option<String>,
}

#[derive(serde::Serialize)]
struct Outcome {
    message: String,
}

/// Does it, however long it takes, and says what became of it.
async fn done(shared: &Arc<Shared>, request: &Request, who: Who, action: Action) -> Result<Reply, Failure> {
    if let Some(refusal) = action.refusal() {
        return Err(Failure::bad_request(refusal));
    }
    let order = Order {
        who,
        asker: shared.asker(request),
        deeds: vec![Deed::Act(action)],
        nonce: String::new(),
        before: Vec::new(),
        note: String::new(),
    };
    let entry = shared.perform(order, LONGEST).await?;
    let done = entry.done();
    let done = done
        .first()
        .ok_or_else(|| Failure::internal(&"it takes too long: /audit says what became of it"))?;
    match &done.failure {
        Some(failure) => Err(failure.clone()),
        None => Reply::json(&Outcome {
            message: done.message.clone(),
        }),
    }
}

/// The first JSON value of the body.
async fn body<T: DeserializeOwned>(request: &mut Request) -> Result<T, Failure> {
    let bytes = request.body.read(MAX_BODY).await.map_err(|error| match error {
        BodyError::TooLarge(_) => Failure::too_large("INVALID_BODY"),
        BodyError::Stalled(_) | BodyError::Broken(_) => Failure::bad_request("INVALID_BODY"),
    })?;
    let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter();
    match values.next() {
        None => Err(Failure::bad_request("EOF")),
        Some(value) => value.map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string())),
    }
}

impl Shared {
    #[allow(clippy::unused_self, reason = "beside what else an action is made of")]
    pub(crate) fn asker(&self, request: &Request) -> Asker {
        Asker::of(request, &Identity::of(request).user)
    }

    /// Lets through who may do what `name` says, and keeps that somebody else tried. Called before the body is read.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub(crate) async fn admit(
        &self,
        request: &Request,
        needed: Role,
        name: &'static str,
    ) -> Result<Who, Failure> {
        let who = Who::of(request);
        if let Err(refusal) = self.access.check(request, needed) {
            let names = ["topic", "channel", "node", "opt"].map(|name| request.param(name));
            let target = names.into_iter().filter(|name| !name.is_empty());
            let target = target.collect::<Vec<_>>().join("/");
            self.audit.refused(who, name, target).await;
            return Err(refusal);
        }
        Ok(who)
    }
}

/// `POST /api/topics`
pub(crate) async fn create(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let who = shared.admit(&request, Role::Operator, "create_topic").await?;
    let wanted: Creation = body(&mut request).await?;
    let action = Action {
        verb: Verb::Create,
        topic: wanted.topic.unwrap_or_default(),
        channel: wanted.channel.filter(|channel| !channel.is_empty()),
        node: None,
    };
    done(&shared, &request, who, action).await
}

/// What the path says, with `verb`.
fn of_path(request: &Request, verb: Verb, on_channel: bool) -> Action {
    Action {
        verb,
        topic: request.param("topic").to_owned(),
        channel: on_channel.then(|| request.param("channel").to_owned()),
        node: None,
    }
}

/// `POST /api/topics/:topic`
pub(crate) async fn act_on_topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    act(shared, request, false).await
}

/// `POST /api/topics/:topic/:channel`
pub(crate) async fn act_on_channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    act(shared, request, true).await
}

async fn act(shared: Arc<Shared>, mut request: Request, on_channel: bool) -> Result<Reply, Failure> {
    let who = shared.admit(&request, Role::Operator, "unknown").await?;
    let wanted: Wanted = body(&mut request).await?;
    let verb = wanted.action.as_deref().and_then(Verb::of);
    let verb = verb.filter(|verb| matches!(verb, Verb::Pause | Verb::Unpause | Verb::Empty));
    let verb = verb.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    let action = of_path(&request, verb, on_channel);
    shared.admit(&request, verb.role(), action.name()).await?;
    done(&shared, &request, who, action).await
}

/// `DELETE /api/topics/:topic`
pub(crate) async fn delete_topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let who = shared.admit(&request, Role::Admin, "delete_topic").await?;
    let action = of_path(&request, Verb::Delete, false);
    done(&shared, &request, who, action).await
}

/// `DELETE /api/topics/:topic/:channel`
pub(crate) async fn delete_channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let who = shared.admit(&request, Role::Admin, "delete_channel").await?;
    let action = of_path(&request, Verb::Delete, true);
    done(&shared, &request, who, action).await
}

/// `DELETE /api/nodes/:node`: takes a topic away from one node.
pub(crate) async fn tombstone(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let who = shared
        .admit(&request, Role::Admin, "tombstone_topic_producer")
        .await?;
    let wanted: Result<Tombstone, Failure> = body(&mut request).await;
    let topic = wanted.map_err(|_| Failure::bad_request("INVALID_BODY"))?.topic;
    let action = Action {
        verb: Verb::Tombstone,
        topic: topic.unwrap_or_default(),
        channel: None,
        node: Some(request.param("node").to_owned()),
    };
    done(&shared, &request, who, action).await
}
