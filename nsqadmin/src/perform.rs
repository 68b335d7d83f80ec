//! Does what was asked for, upstream by upstream (nsqadmin spec 8.8), and keeps what became of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nsq_service::http::{Failure, encode_component};
use tokio::sync::oneshot;

use crate::Shared;
use crate::access::Role;
use crate::action::{Action, Level, Verb};
use crate::api::{Call, Steps, producers};
use crate::audit::{Begun, Done, Entry, Order};
use crate::handling::Handled;
use crate::notify::{Asker, Event};
use crate::options::Sources;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Act(Action),
    /// Only what failed of it before.
    Again(Action, Vec<Call>),
    Publish(Publication),
    /// Of messages that wait.
    Handle(Handled),
}

/// Messages on their way to one nsqd.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) topic: String,
    /// Key and address.
    pub(crate) node: (String, String),
    pub(crate) body: Bytes,
    /// Each line is a message.
    pub(crate) by_line: bool,
    /// Milliseconds; none for at once.
    pub(crate) delay: Option<u64>,
}

impl Deed {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Act(action) | Self::Again(action, _) => action.name(),
            Self::Publish(_) => "publish",
            Self::Handle(handled) => handled.handling.name(),
        }
    }

    pub(crate) fn target(&self) -> String {
        match self {
            Self::Act(action) | Self::Again(action, _) => action.target(),
            Self::Publish(publication) => publication.topic.clone(),
            Self::Handle(handled) => handled.target(),
        }
    }

    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Self::Act(action) | Self::Again(action, _) => action.node.as_deref(),
            Self::Publish(publication) => Some(&publication.node.0),
            Self::Handle(handled) => match handled.nodes.as_slice() {
                [(key, _)] => Some(key),
                _ => None,
            },
        }
    }

    pub(crate) fn level(&self) -> Level {
        match self {
            Self::Act(action) | Self::Again(action, _) => action.verb.level(),
            Self::Publish(_) => Level::Plain,
            Self::Handle(handled) => handled.level(),
        }
    }

    /// The lowest that may.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Act(action) | Self::Again(action, _) => action.verb.role(),
            Self::Publish(_) => Role::Operator,
            Self::Handle(handled) => handled.handling.role(),
        }
    }

    pub(crate) fn action(&self) -> Option<&Action> {
        match self {
            Self::Act(action) | Self::Again(action, _) => Some(action),
            Self::Publish(_) | Self::Handle(_) => None,
        }
    }

    fn event(&self) -> Event<'_> {
        let action = self.action();
        Event {
            action: self.name(),
            topic: match self {
                Self::Act(action) | Self::Again(action, _) => &action.topic,
                Self::Publish(publication) => &publication.topic,
                Self::Handle(handled) => &handled.topic,
            },
            channel: match self {
                Self::Handle(handled) => &handled.channel,
                _ => action
                    .and_then(|action| action.channel.as_deref())
                    .unwrap_or_default(),
            },
            node: self.node().unwrap_or_default(),
        }
    }
}

/// `/topic/<verb>?topic=<topic>`, or the same of a channel.
fn path_of(verb: &str, topic: &str, channel: Option<&str>) -> String {
    let topic = encode_component(topic);
    match channel.map(encode_component) {
        None => format!("/topic/{verb}?topic={topic}"),
        Some(channel) => format!("/channel/{verb}?topic={topic}&channel={channel}"),
    }
}

impl Shared {
    /// Does all of `order`, one after the other, also if whoever asked for it goes away. After `patience` it goes on while the
    /// entry is handed out already. The same form sent twice is done once.
    ///
    /// # Errors
    /// 503 if nothing was done because what loses something has to be written down, and cannot be.
    pub(crate) async fn perform(
        self: &Arc<Self>,
        order: Order,
        patience: Duration,
    ) -> Result<Arc<Entry>, Failure> {
        let (entry, order) = match self.audit.begin(order).await? {
            Begun::Known(entry) => return Ok(entry),
            Begun::New(entry, order) => (entry, order),
        };
        let (tell, told) = oneshot::channel();
        let (shared, own) = (Arc::clone(self), Arc::clone(&entry));
        self.tasks.spawn(async move {
            for deed in &order.deeds {
                let mut steps = Steps::default();
                let failure = shared.run(deed, &order.asker, &mut steps).await.err();
                let message = steps.message();
                if failure.is_none()
                    && let Some(action) = deed.action()
                {
                    shared.board.mark(action);
                }
                own.add(Done {
                    target: deed.target(),
                    action: deed.action().cloned(),
                    calls: steps.into_calls(),
                    failure,
                    message,
                });
            }
            shared.audit.finish(&own).await;
            let _ = tell.send(());
        });
        // too slow, or the task ended: the entry says which
        let _ = tokio::time::timeout(patience, told).await;
        Ok(entry)
    }

    async fn run(&self, deed: &Deed, asker: &Asker, steps: &mut Steps) -> Result<(), Failure> {
        let event = deed.event();
        let is_told_first = matches!(deed, Deed::Act(action)
            if matches!(action.verb, Verb::Pause | Verb::Unpause | Verb::Empty));
        if is_told_first {
            // told even if the action fails, as the reference does
            self.tell(&event, asker);
        }
        match deed {
            Deed::Act(action) => self.act(action, steps).await?,
            Deed::Again(_, calls) => self.again(calls, steps).await,
            Deed::Publish(publication) => self.publish(publication, steps).await,
            Deed::Handle(handled) => self.handle(handled, steps).await,
        }
        match deed {
            _ if is_told_first => {}
            Deed::Act(action) if action.verb == Verb::Create => {
                let topic = Event {
                    action: "create_topic",
                    channel: "",
                    ..event
                };
                self.tell(&topic, asker);
                if action.channel.is_some() {
                    self.tell(&event, asker);
                }
            }
            _ => self.tell(&event, asker),
        }
        Ok(())
    }

    fn tell(&self, event: &Event<'_>, asker: &Asker) {
        if let Some(notifier) = &self.notifier {
            notifier.send(event, asker);
        }
    }

    async fn act(&self, action: &Action, steps: &mut Steps) -> Result<(), Failure> {
        let (topic, channel) = (action.topic.as_str(), action.channel.as_deref());
        let path = path_of(action.verb.text(), topic, channel);
        match action.verb {
            Verb::Create => {
                let of_topic = path_of("create", topic, None);
                self.post_to_lookupds(&of_topic, steps).await;
                if channel.is_some() {
                    self.post_to_lookupds(&path, steps).await;
                    if matches!(self.upstream.sources(), Sources::Nsqds(_)) {
                        // nothing to ask, as in the reference
                        steps.read::<()>("nsqlookupd", &[])?;
                    }
                    let nsqds = self.having(action, steps).await?;
                    self.post_to_nsqds(&nsqds, &path, steps).await;
                }
            }
            Verb::Pause | Verb::Unpause | Verb::Empty => {
                let nsqds = self.having(action, steps).await?;
                self.post_to_nsqds(&nsqds, &path, steps).await;
            }
            Verb::Delete => {
                // Asked first: afterwards the nsqlookupds no longer know.
                let nsqds = self.having(action, steps).await?;
                self.post_to_lookupds(&path, steps).await;
                self.post_to_nsqds(&nsqds, &path, steps).await;
            }
            Verb::Tombstone => {
                let node = action.node.clone().unwrap_or_default();
                let path = format!("{path}&node={}", encode_component(&node));
                self.post_to_lookupds(&path, steps).await;
                let address = [node];
                let infos = self.upstream.nsqd_info(&address).await;
                steps.read("nsqd", &infos)?;
                // To where it was found, not to where it says it is: that may be reachable for clients of the cluster only.
                let delete = path_of("delete", topic, None);
                self.post_to_nsqds(&address, &delete, steps).await;
            }
        }
        Ok(())
    }

    /// The same requests, in the same order.
    async fn again(&self, calls: &[Call], steps: &mut Steps) {
        for of_step in calls.chunk_by(|a, b| a.kind == b.kind && a.path == b.path) {
            let addresses: Vec<String> = of_step.iter().map(|call| call.address.clone()).collect();
            if let Some(Call { kind, path, .. }) = of_step.first() {
                let answers = self.upstream.post(kind, &addresses, path, Bytes::new()).await;
                steps.posted(kind, path, &answers);
            }
        }
    }

    async fn publish(&self, publication: &Publication, steps: &mut Steps) {
        let topic = encode_component(&publication.topic);
        let path = match (publication.by_line, publication.delay) {
            (true, _) => format!("/mpub?topic={topic}"),
            (false, None) => format!("/pub?topic={topic}"),
            (false, Some(delay)) => format!("/pub?topic={topic}&defer={delay}"),
        };
        let address = [publication.node.1.clone()];
        let body = publication.body.clone();
        let answers = self.upstream.post("nsqd", &address, &path, body).await;
        steps.posted("nsqd", &path, &answers);
    }

    /// One request to each node; messages that were not there any more are said.
    async fn handle(&self, handled: &Handled, steps: &mut Steps) {
        let addresses: Vec<String> = handled.nodes.iter().map(|(_, address)| address.clone()).collect();
        let path = handled.path();
        let answers = self.upstream.handle(&addresses, &path).await;
        let missing = answers.iter().filter_map(|answer| answer.result.as_ref().ok());
        let missing = missing.map(|answer| answer.missing).fold(0, u64::saturating_add);
        let posted: Vec<_> = answers.into_iter().map(|answer| answer.map(drop)).collect();
        steps.posted("nsqd", &path, &posted);
        if missing > 0 {
            steps.say(format!("{missing} of the messages were not there any more"));
        }
    }

    async fn post_to_lookupds(&self, path: &str, steps: &mut Steps) {
        if let Sources::Lookupds(lookupds) = self.upstream.sources() {
            let answers = self
                .upstream
                .post("nsqlookupd", &lookupds, path, Bytes::new())
                .await;
            steps.posted("nsqlookupd", path, &answers);
        }
    }

    async fn post_to_nsqds(&self, addresses: &[String], path: &str, steps: &mut Steps) {
        let answers = self.upstream.post("nsqd", addresses, path, Bytes::new()).await;
        steps.posted("nsqd", path, &answers);
    }

    /// Addresses of the nsqds that have the topic; of these only the one that the action is for, if it is for one.
    async fn having(&self, action: &Action, steps: &mut Steps) -> Result<Vec<String>, Failure> {
        let found = producers(self, &action.topic, steps).await?;
        let is_meant = |key: &str| action.node.as_deref().is_none_or(|node| node == key);
        let meant = found.into_iter().filter(|producer| is_meant(&producer.key));
        Ok(meant.map(|producer| producer.address).collect())
    }
}
