//! Tabs that look into queues (console spec 3.5 to 3.8): of nsqds that can be looked into, asked when somebody looks. Looking
//! changes nothing there, and is written down here.
//!
//! | module | what |
//! |---|---|
//! | [`body`] | how a body is shown. Pure |
//! | [`rows`] | what rows of messages have in common |
//! | [`peek`] | messages that wait or are in flight |
//! | [`opened`] | one message, shown or as a file |
//! | [`timers`] | messages that wait for their time |
//! | [`dead`] | messages that were given up |
//! | [`policy`] | what is set and what applies |
//! | [`when`] | moments that are typed, histograms. Pure |

mod body;
mod dead;
mod opened;
mod peek;
mod policy;
mod rows;
mod timers;
mod when;

pub(super) use rows::preview;
use std::sync::Arc;
pub(super) use when::second_of;

use nsq_http_api::client::Error;
use nsq_http_api::messages::{self, MessagesRequest, State};
use nsq_http_api::policy as policies;
use nsq_service::http::{Failure, Reply, Request, StatusCode};

use super::fmt;
use super::page::Page;
use super::pages;
use super::visit::Visit;
use crate::Shared;
use crate::audit::Who;
use crate::model::{ChannelOn, NodeState, Numbers};
use crate::upstream::plain_reason;

/// One look at one queue.
struct Look<'a> {
    shared: &'a Arc<Shared>,
    request: &'a Request,
    visit: &'a Visit,
    topic: &'a str,
    /// None for the topic's own queue.
    channel: Option<&'a str>,
    /// Those that have it, answer, and can.
    nodes: Vec<(&'a NodeState, Numbers)>,
    /// What is in messages may be shown.
    sees: bool,
}

/// The page behind one of these tabs; none where no node can be looked into, or there is no such tab.
pub(super) async fn page(
    shared: &Arc<Shared>,
    request: &Request,
    visit: &Visit,
) -> Option<Result<Reply, Failure>> {
    let (topic, channel) = (request.param("topic"), request.param("channel"));
    let channel = Some(channel).filter(|channel| !channel.is_empty());
    let tab = visit.place.get("tab");
    let extension = match (tab, channel) {
        ("messages", _) | ("timers" | "dead", Some(_)) => messages::EXTENSION,
        ("policy", _) => policies::EXTENSION,
        _ => return None,
    };
    let snapshot = &visit.view.snapshot;
    let has = |node: &NodeState| node.is_answering() && node.extensions.iter().any(|own| own == extension);
    let nodes: Vec<(&NodeState, Numbers)> = match channel {
        Some(channel) => snapshot
            .channel_on_nodes(topic, channel)
            .filter(|(node, _)| has(node))
            .map(|(node, own): (_, &ChannelOn)| (node, own.numbers))
            .collect(),
        None => snapshot
            .on_nodes(topic)
            .filter(|(node, _)| has(node))
            .map(|(node, own)| (node, own.own))
            .collect(),
    };
    if nodes.is_empty() {
        return None;
    }
    let look = Look {
        shared,
        request,
        visit,
        topic,
        channel,
        nodes,
        sees: shared.access.sees_bodies(visit.role),
    };
    Some(match tab {
        "messages" if !look.sees => look.hidden().await.reply(visit),
        "messages" if !visit.place.get("id").is_empty() => opened::page(&look).await,
        "messages" => peek::page(&look).await.reply(visit),
        "timers" => timers::page(&look).await.reply(visit),
        "dead" => dead::page(&look).await.reply(visit),
        _ => policy::page(&look).await.reply(visit),
    })
}

impl Look<'_> {
    /// The frame of the page: names, what is wrong, the tabs, and which nodes cannot.
    fn frame(&self) -> Page {
        match self.channel {
            Some(channel) => pages::channel(self.visit, (self.topic, channel), Err("")),
            None => pages::topic_tab(self.visit, self.topic, self.visit.place.get("tab")),
        }
    }

    /// In place of messages for somebody who may not see them.
    async fn hidden(&self) -> Page {
        let is_file = self.visit.query.get("download").is_some();
        let what = if is_file { "download" } else { "peek" };
        let audit = &self.shared.audit;
        audit.refused(Who::of(self.request), what, self.target()).await;
        let mut page = self.frame();
        page.tiles.clear();
        page.status = StatusCode::FORBIDDEN;
        page.warn(
            match self.shared.access.bodies {
                None => "What is in messages is shown to nobody here: --message-access is off.".to_owned(),
                Some(needed) => format!(
                    "Seeing what is in messages needs the role {}; you are {}.",
                    needed.text(),
                    self.visit.role.text()
                ),
            },
            "",
        );
        page
    }

    /// The full name, such as `orders/billing`.
    fn target(&self) -> String {
        match self.channel {
            Some(channel) => format!("{}/{channel}", self.topic),
            None => self.topic.to_owned(),
        }
    }

    /// What is asked for, in this state.
    fn request(&self, state: State, limit: u32) -> MessagesRequest {
        MessagesRequest {
            topic: self.topic.to_owned(),
            channel: self.channel.map(str::to_owned),
            state,
            limit,
            body: (!self.sees).then_some(0),
            via: self.visit.place.get("via").to_owned(),
            ..MessagesRequest::default()
        }
    }

    /// The node that was chosen; none for all of them.
    fn chosen(&self) -> Option<&NodeState> {
        let key = self.visit.place.get("node");
        let node = self.nodes.iter().find(|(node, _)| node.key == key);
        node.map(|(node, _)| *node)
    }

    /// The one that was chosen, or all.
    fn meant(&self) -> Vec<&NodeState> {
        match self.chosen() {
            Some(node) => vec![node],
            None => self.nodes.iter().map(|(node, _)| *node).collect(),
        }
    }

    /// Writes down that somebody looked.
    async fn noted(&self, what: &'static str, nodes: &[&NodeState], said: &str) {
        let keys: Vec<&str> = nodes.iter().map(|node| node.key.as_str()).collect();
        let note = format!("{said} on {}", keys.join(", "));
        let audit = &self.shared.audit;
        audit
            .noted(Who::of(self.request), what, self.target(), note)
            .await;
    }
}

/// Why a node did not show what it has.
fn complain(page: &mut Page, node: &NodeState, error: &Error) {
    let key = &node.key;
    let text = match error.status() {
        Some(403) => format!(
            "{key} shows no messages over HTTP: its clients have to authenticate, and HTTP is no way around that."
        ),
        Some(429) => format!("{key} is looked into by too many at this moment. Look again."),
        Some(404) => format!("{key} does not have it any more."),
        _ => format!("{key} could not be looked into: {}.", plain_reason(error)),
    };
    page.warn(text, error.to_string());
}

/// Nanoseconds as the seconds that pages write.
fn seconds(nanos: i64) -> i64 {
    nanos.div_euclid(1_000_000_000)
}

/// Such as `20 messages`.
fn many(count: usize) -> String {
    let number = fmt::count(i64::try_from(count).unwrap_or(i64::MAX));
    if count == 1 {
        "1 message".to_owned()
    } else {
        format!("{number} messages")
    }
}
