//! Publishes what somebody typed, or a file (console spec 3.6).

use std::sync::Arc;

use bytes::Bytes;
use nsq_http_api::lifecycle::Phase;
use nsq_service::http::{Failure, Reply, Request, StatusCode};

use super::super::csrf::Token;
use super::super::form::Form;
use super::super::pages::{self, Draft};
use super::super::visit::Visit;
use super::super::{fmt, urls};
use super::{ELSEWHERE, finish};
use crate::Shared;
use crate::audit::{Order, Who};
use crate::model::{NodeState, Snapshot};
use crate::perform::{Deed, Publication};

/// Messages of one form.
const MAX_LINES: usize = 1_000;

/// `GET /topics/:topic?tab=publish`.
pub(in super::super) fn page(shared: &Shared, request: &Request, visit: &Visit) -> Result<Reply, Failure> {
    let topic = request.param("topic");
    let token = Token::of(request)?;
    let mut page = pages::topic(visit, topic);
    if page.status == StatusCode::OK {
        pages::publish(visit, &mut page, topic, &token.text, shared.can_publish)?;
    }
    Ok(token.keep(page.reply(visit)?, &shared.base_path))
}

/// The page, with what was typed and why it is refused.
fn again(
    visit: &Visit,
    shared: &Shared,
    token: &Token,
    draft: &Draft<'_>,
    status: StatusCode,
) -> Result<Reply, Failure> {
    let mut page = pages::topic_tab(visit, draft.topic, "publish");
    page.forms = vec![pages::publish_form(visit, &token.text, draft)?];
    page.status = status;
    Ok(token.keep(page.reply(visit)?, &shared.base_path))
}

/// The form was too long to be read.
pub(super) async fn too_long(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let visit = Visit::of(shared, request, shared.board.view().await)?;
    let draft = Draft {
        topic: request.param("topic"),
        refusal: "That is more than 1 MiB, so nothing was published. Use to_nsq for more.",
        ..Draft::default()
    };
    let token = Token::of(request)?;
    again(&visit, shared, &token, &draft, StatusCode::PAYLOAD_TOO_LARGE)
}

/// `POST /topics/:topic` with `do=publish`.
pub(super) async fn post(
    shared: &Arc<Shared>,
    request: &Request,
    who: Who,
    form: &Form,
) -> Result<Reply, Failure> {
    let visit = Visit::of(shared, request, shared.board.view().await)?;
    if !shared.can_publish {
        let mut page = visit.page("", "Nothing was published");
        page.warn("This console takes no messages: --disable-publish is set.", "");
        page.status = StatusCode::FORBIDDEN;
        return page.reply(&visit);
    }
    let topic = request.param("topic");
    let token = Token::of(request)?;
    let draft = |refusal| Draft {
        topic,
        body: form.get("body"),
        by_line: form.get("lines") == "on",
        delay: form.get("delay"),
        node: form.get("node"),
        refusal,
    };
    if !token.is_in(form.get("csrf")) {
        shared.audit.refused(who, "publish", topic.to_owned()).await;
        return again(&visit, shared, &token, &draft(ELSEWHERE), StatusCode::FORBIDDEN);
    }
    let message = message(form);
    let wanted = plan(topic, form, message, &visit.view.snapshot);
    let publication = match wanted {
        Ok(publication) => publication,
        Err(refusal) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return again(&visit, shared, &token, &draft(refusal), status);
        }
    };
    let bytes = fmt::bytes(publication.body.len() as u64);
    let note = if publication.by_line {
        format!("{} messages, {bytes}", lines(&publication.body))
    } else {
        format!("1 message, {bytes}")
    };
    let order = Order {
        who,
        asker: shared.asker(request),
        deeds: vec![Deed::Publish(publication)],
        nonce: form.get("nonce").to_owned(),
        before: Vec::new(),
        note,
    };
    finish(shared, &visit, order).await
}

/// The file as it is; or what was typed, whose line ends a browser writes as CR LF whatever the key was.
fn message(form: &Form) -> Bytes {
    match form.bytes("file").filter(|file| !file.is_empty()) {
        Some(file) => file.clone(),
        None => Bytes::from(form.get("body").replace("\r\n", "\n")),
    }
}

/// Messages in a text of one for each line: nsqd passes over lines without any.
fn lines(body: &[u8]) -> usize {
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count()
}

/// What is to be published where; or why it cannot be.
fn plan(topic: &str, form: &Form, body: Bytes, snapshot: &Snapshot) -> Result<Publication, &'static str> {
    let by_line = form.get("lines") == "on";
    if !nsq_protocol::name::is_valid(topic.as_bytes()) {
        return Err("That is no name for a topic, so nothing was published.");
    }
    if body.is_empty() || (by_line && lines(&body) == 0) {
        return Err("There is no message: nsqd takes none without a body. Type one, or choose a file.");
    }
    if by_line && lines(&body) > MAX_LINES {
        return Err("That is more than 1,000 messages, so nothing was published. Use to_nsq for more.");
    }
    let delay = match form.get("delay").trim() {
        "" | "0" => None,
        text => Some(
            text.parse()
                .map_err(|_| "The delay is no number of milliseconds, so nothing was published.")?,
        ),
    };
    if by_line && delay.is_some() {
        return Err("Only a single message can be delayed, so nothing was published.");
    }
    let node = match form.get("node") {
        "" | "auto" => best(snapshot, topic)
            .ok_or("No nsqd answers that is healthy and takes messages, so nothing was published.")?,
        key => snapshot
            .node(key)
            .ok_or("There is no such node, so nothing was published.")?,
    };
    Ok(Publication {
        topic: topic.to_owned(),
        node: (node.key.clone(), node.address.clone()),
        body,
        by_line,
        delay,
    })
}

/// An nsqd that answers, is healthy and not on its way out: of those that have the topic the one with the fewest messages of it.
fn best<'a>(snapshot: &'a Snapshot, topic: &str) -> Option<&'a NodeState> {
    let fit = snapshot
        .nodes
        .iter()
        .filter(|node| node.is_answering() && node.ill().is_none() && node.phase != Phase::Draining);
    fit.min_by_key(|node| {
        let own = node.said.as_ref().and_then(|said| said.topic(topic));
        let depth = own.map(|topic| {
            let channels = topic.channels.iter().map(|channel| channel.numbers.depth);
            channels.fold(topic.own.depth, i64::saturating_add)
        });
        let all = node.said.as_ref().map_or(0, |said| said.depth());
        (depth.is_none(), depth.unwrap_or(all), node.key.clone())
    })
}

/// Where a message like the one before is published.
pub(in super::super) fn url(base: &str, topic: &str) -> String {
    format!("{}?tab=publish", urls::below(base, &["topics", topic]))
}
