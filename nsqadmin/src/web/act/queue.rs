//! What somebody wants done with messages that wait (console spec 3.7, 3.8).

use nsq_http_api::messages::{EXTENSION, MessagesRequest, Which};
use nsq_service::http::Request;

use super::super::looks::{preview, second_of};
use super::super::visit::Visit;
use super::super::{fmt, urls};
use super::ask::Wish;
use crate::Shared;
use crate::handling::{Handled, Handling};
use crate::model::NodeState;

/// Messages that can be named at one time.
const MAX_IDS: usize = 100;
/// Those of all that a page shows before they are lost.
const SHOWN: u32 = 20;
/// Messages in a second, unless somebody says otherwise.
const RATE: u32 = 100;

/// What a link or a form says, by its name: the first value.
pub(super) type Says<'a> = &'a (dyn Fn(&str) -> String + Sync);

/// Of the path of a channel; none for what does not exist, or does not fit.
pub(super) fn wish(
    request: &Request,
    visit: &Visit,
    verb: &str,
    ids: Vec<String>,
    says: Says<'_>,
) -> Option<Wish> {
    let handling = Handling::of(verb)?;
    let (topic, channel) = (request.param("topic"), request.param("channel"));
    if channel.is_empty() {
        return None;
    }
    let node = says("node");
    let able = |node: &NodeState| node.is_answering() && node.extensions.iter().any(|own| own == EXTENSION);
    let nodes: Vec<(String, String)> = visit
        .view
        .snapshot
        .channel_on_nodes(topic, channel)
        .map(|(own, _)| own)
        .filter(|own| able(own) && (node.is_empty() || own.key == node))
        .map(|own| (own.key.clone(), own.address.clone()))
        .collect();
    let is_all = says("all") == "true" || handling == Handling::Stop;
    let are_ids = (1..=MAX_IDS).contains(&ids.len()) && ids.iter().all(|id| is_id(id)) && nodes.len() == 1;
    if nodes.is_empty() || (!is_all && !are_ids) {
        return None;
    }
    let which = if is_all {
        let rate = says("rate");
        Which::All {
            due_from: second_of(&says("from")),
            due_to: second_of(&says("to")),
            limit: says("limit").parse().unwrap_or(0),
            rate: if rate.is_empty() { RATE } else { rate.parse().ok()? },
        }
    } else {
        Which::Ids(ids)
    };
    let handled = Handled {
        handling,
        topic: topic.to_owned(),
        channel: channel.to_owned(),
        nodes,
        which,
        via: says("via"),
    };
    let tab = if matches!(handling, Handling::Run | Handling::Cancel) {
        "timers"
    } else {
        "dead"
    };
    let url = urls::below(&visit.base, &["topics", topic, channel]);
    let hidden = [
        ("node", node),
        ("via", says("via")),
        ("from", says("from")),
        ("to", says("to")),
    ];
    Some(Wish::of_handled(handled, &url, tab, hidden.to_vec()))
}

/// As nsqd gives them: they go into a list with commas.
fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The first of the messages that are meant, as far as they are there: id, node, size, and what is in them if that may be seen.
pub(super) async fn concerned(shared: &Shared, visit: &Visit, handled: &Handled) -> Vec<[String; 4]> {
    let sees = shared.access.sees_bodies(visit.role);
    let mut request = MessagesRequest {
        topic: handled.topic.clone(),
        channel: Some(handled.channel.clone()),
        state: handled.handling.state(),
        limit: SHOWN,
        body: (!sees).then_some(0),
        via: handled.via.clone(),
        ..MessagesRequest::default()
    };
    let mut rows = Vec::new();
    for (key, address) in &handled.nodes {
        let ids = match &handled.which {
            Which::All { due_from, due_to, .. } => {
                (request.due_from, request.due_to) = (*due_from, *due_to);
                vec![String::new()]
            }
            Which::Ids(ids) => ids.clone(),
        };
        for id in ids {
            if rows.len() >= SHOWN as usize {
                break;
            }
            request.id = id;
            let answer = shared.upstream.messages_of(address.clone(), &request).await;
            let messages = answer.result.map(|listed| listed.messages).unwrap_or_default();
            rows.extend(messages.iter().map(|message| {
                [
                    message.id.clone(),
                    key.clone(),
                    fmt::bytes(message.size),
                    preview(message),
                ]
            }));
        }
    }
    rows.truncate(SHOWN as usize);
    rows
}
