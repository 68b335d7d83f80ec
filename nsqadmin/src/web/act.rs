//! Asks before something is done, and does it (console spec 3.13). GET never changes anything; a POST has to carry the token of
//! our own form, and the full name if something would be lost.

use std::sync::Arc;

use askama::Template;
use nsq_service::http::header::SET_COOKIE;
use nsq_service::http::{Failure, Query, Reply, Request, StatusCode};

use super::csrf::Token;
use super::pages::Typed;
use super::shell::Shell;
use super::visit::{DENSITIES, THEMES, Visit};
use super::{html, lookup_page, to, urls};
use crate::Shared;
use crate::access::Role;
use crate::api::Steps;
use crate::model::Sum;
use crate::notify::Asker;

/// Longest form that is read.
const MAX_FORM: u64 = 16 << 10;

const ELSEWHERE: &str = "This form was opened elsewhere or has expired, so nothing was done. Send it again.";

/// The page that asks.
#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    shell: Shell,
    question: String,
    effect: &'static str,
    url: String,
    back: String,
    csrf: String,
    verb: &'static str,
    node: String,
    loses: bool,
    lost: Vec<[String; 5]>,
    warnings: Vec<String>,
    full_name: String,
    typed: String,
    refusal: &'static str,
    button: String,
}

/// What is to be done, and with what.
struct Wish {
    verb: Verb,
    topic: String,
    channel: Option<String>,
    /// For [`Verb::Tombstone`].
    node: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Pause,
    Unpause,
    Empty,
    Delete,
    Tombstone,
}

impl Verb {
    fn of(text: &str) -> Option<Self> {
        let all = [
            Self::Pause,
            Self::Unpause,
            Self::Empty,
            Self::Delete,
            Self::Tombstone,
        ];
        all.into_iter().find(|verb| verb.text() == text)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Empty => "empty",
            Self::Delete => "delete",
            Self::Tombstone => "tombstone",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Pause => "Pause",
            Self::Unpause => "Unpause",
            Self::Empty => "Empty",
            Self::Delete => "Delete",
            Self::Tombstone => "Tombstone",
        }
    }

    fn loses(self) -> bool {
        matches!(self, Self::Empty | Self::Delete | Self::Tombstone)
    }

    /// The lowest that may.
    fn role(self) -> Role {
        if self.loses() { Role::Admin } else { Role::Operator }
    }

    fn effect(self, is_channel: bool) -> &'static str {
        match (self, is_channel) {
            (Self::Pause, false) => {
                "Messages stop flowing from the topic to its channels, on every node. Publishing goes on: messages wait in \
                 the topic."
            }
            (Self::Pause, true) => {
                "Delivery to clients stops on every node. Publishing goes on: messages wait in the channel."
            }
            (Self::Unpause, _) => "Messages flow again, on every node.",
            (Self::Empty, false) => {
                "The messages that wait in the topic itself are lost, on every node. Those in its channels stay."
            }
            (Self::Empty, true) => {
                "The messages that wait in the channel, in flight and deferred ones included, are lost, on every node."
            }
            (Self::Delete, false) => {
                "The topic, its channels and all their messages are lost, on every node. Clients are disconnected."
            }
            (Self::Delete, true) => {
                "The channel and all its messages are lost, on every node. Its clients are disconnected."
            }
            (Self::Tombstone, _) => {
                "The nsqlookupds forget that the node has the topic, and the node deletes the topic with all its messages."
            }
        }
    }
}

impl Wish {
    /// `None` for a verb that does not exist or does not fit.
    fn of(request: &Request, verb: &str, node: &str) -> Option<Self> {
        let verb = Verb::of(verb)?;
        let channel = Some(request.param("channel").to_owned()).filter(|channel| !channel.is_empty());
        let fits = verb != Verb::Tombstone || (channel.is_none() && !node.is_empty());
        fits.then(|| Self {
            verb,
            topic: request.param("topic").to_owned(),
            channel,
            node: node.to_owned(),
        })
    }

    fn full_name(&self) -> String {
        match &self.channel {
            None => self.topic.clone(),
            Some(channel) => format!("{}/{channel}", self.topic),
        }
    }

    /// Such as `channel billing`.
    fn object(&self) -> String {
        match &self.channel {
            None => format!("topic {}", self.topic),
            Some(channel) => format!("channel {channel}"),
        }
    }

    fn url(&self, base: &str) -> String {
        match &self.channel {
            None => urls::below(base, &["topics", &self.topic]),
            Some(channel) => urls::below(base, &["topics", &self.topic, channel]),
        }
    }

    /// Where one goes afterwards.
    fn after(&self, base: &str) -> String {
        match (self.verb, &self.channel) {
            (Verb::Delete, None) => urls::home(base),
            (Verb::Delete, Some(_)) => urls::below(base, &["topics", &self.topic]),
            (Verb::Tombstone, _) => urls::below(base, &["nodes"]),
            _ => self.url(base),
        }
    }

    async fn fulfil(&self, shared: &Shared, asker: &Asker) -> Result<Steps, Failure> {
        let channel = self.channel.as_deref();
        match self.verb {
            Verb::Delete => shared.delete(&self.topic, channel, asker).await,
            Verb::Tombstone => shared.tombstone(&self.topic, &self.node, asker).await,
            verb => shared.act(verb.text(), &self.topic, channel, asker).await,
        }
    }
}

/// `GET …?confirm=<verb>`.
pub(super) fn confirm(
    shared: &Shared,
    request: &Request,
    visit: &Visit,
    verb: &str,
) -> Result<Reply, Failure> {
    let wish = Wish::of(request, verb, visit.query.get("node").unwrap_or_default());
    let wish = wish.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    if visit.role < wish.verb.role() {
        return Err(crate::access::forbidden());
    }
    ask(
        shared,
        visit,
        &Token::of(request)?,
        &wish,
        ("", ""),
        StatusCode::OK,
    )
}

/// The page that asks, with what was typed and why it is refused.
fn ask(
    shared: &Shared,
    visit: &Visit,
    token: &Token,
    wish: &Wish,
    (typed, refusal): (&str, &'static str),
    status: StatusCode,
) -> Result<Reply, Failure> {
    let base = &shared.base_path;
    let verb = wish.verb;
    let button = format!("{} {}", verb.title(), wish.object());
    let question = match verb {
        Verb::Tombstone => format!("{button} on {}?", wish.node),
        _ => format!("{} {} {}?", verb.title(), kind(wish), wish.full_name()),
    };
    let page = Confirm {
        shell: Shell::new(visit, ""),
        question,
        effect: verb.effect(wish.channel.is_some()),
        url: wish.url(base),
        back: match verb {
            Verb::Tombstone => urls::below(base, &["nodes", &wish.node]),
            _ => wish.url(base),
        },
        csrf: token.text.clone(),
        verb: verb.text(),
        node: wish.node.clone(),
        loses: verb.loses(),
        lost: if verb.loses() {
            lost(visit, wish)
        } else {
            Vec::new()
        },
        warnings: if verb.loses() {
            warnings(visit, wish)
        } else {
            Vec::new()
        },
        full_name: wish.full_name(),
        typed: typed.to_owned(),
        refusal,
        button,
    };
    Ok(token.keep(html(&page, status)?, base))
}

/// What is where now, and would be lost: node, and depth, in flight, deferred and clients there.
fn lost(visit: &Visit, wish: &Wish) -> Vec<[String; 5]> {
    let count = |number: i64| super::fmt::count(number);
    let nodes = visit.view.snapshot.on_nodes(&wish.topic);
    let nodes = nodes.filter(|(node, _)| wish.verb != Verb::Tombstone || node.key == wish.node);
    nodes
        .filter_map(|(node, topic)| {
            let mut sum = crate::model::Numbers::default();
            match &wish.channel {
                Some(channel) => sum.add(&topic.channel(channel)?.numbers),
                None => {
                    sum.add(&topic.own);
                    if wish.verb != Verb::Empty {
                        topic
                            .channels
                            .iter()
                            .for_each(|channel| sum.add(&channel.numbers));
                    }
                }
            }
            let rest = [sum.in_flight, sum.deferred, sum.clients].map(|number| count(i64::from(number)));
            let [in_flight, deferred, clients] = rest;
            Some([node.key.clone(), count(sum.depth), in_flight, deferred, clients])
        })
        .collect()
}

/// Why one should look twice.
fn warnings(visit: &Visit, wish: &Wish) -> Vec<String> {
    let Some(topic) = visit.view.snapshot.topic(&wish.topic) else {
        return Vec::new();
    };
    let numbers = match &wish.channel {
        Some(channel) => topic.channel(channel).map(|channel| channel.numbers),
        None => Some(topic.sum),
    };
    let numbers = numbers.unwrap_or_default();
    let mut warnings = Vec::new();
    if numbers.clients > 0 {
        warnings.push(format!("{} clients are connected.", numbers.clients));
    }
    if topic.own.rates.entered > 0.0 {
        let speed = super::fmt::rate(f64::from(topic.own.rates.entered));
        warnings.push(format!("Messages are coming in: {speed}."));
    }
    let Sum { nodes, answered, .. } = topic.spread.sum();
    if answered < nodes {
        warnings.push(format!(
            "{} of {nodes} nodes do not answer: what they have is not known.",
            nodes - answered
        ));
    }
    warnings
}

fn kind(wish: &Wish) -> &'static str {
    if wish.channel.is_some() {
        "channel"
    } else {
        "topic"
    }
}

/// `POST /topics/:topic`.
pub(crate) async fn post_topic(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    post(&shared, request).await
}

/// `POST /topics/:topic/:channel`.
pub(crate) async fn post_channel(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    post(&shared, request).await
}

async fn post(shared: &Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request, Role::Operator)?;
    let form = read(&mut request).await?;
    let view = shared.board.view().await;
    let visit = Visit::of(shared, &request, view)?;
    let get = |name| form.get(name).unwrap_or_default();
    let wish = Wish::of(&request, get("do"), get("node"));
    let wish = wish.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    if visit.role < wish.verb.role() {
        return Err(crate::access::forbidden());
    }
    let typed = get("name");
    let token = Token::of(&request)?;
    if !token.is_in(form.get("csrf")) {
        return ask(
            shared,
            &visit,
            &token,
            &wish,
            (typed, ELSEWHERE),
            StatusCode::FORBIDDEN,
        );
    }
    if wish.verb.loses() && typed != wish.full_name() {
        let refusal = "The name is not the one above, so nothing was done.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return ask(shared, &visit, &token, &wish, (typed, refusal), status);
    }
    let asker = shared.asker(&request);
    let outcome = wish.fulfil(shared, &asker).await;
    let title = format!("{} {}", wish.verb.title(), wish.object());
    result(shared, request, outcome, title, wish.after(&shared.base_path)).await
}

/// `POST /lookup`.
pub(crate) async fn post_lookup(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request, Role::Operator)?;
    let form = read(&mut request).await?;
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    let get = |name| form.get(name).unwrap_or_default();
    let typed = Typed {
        topic: get("topic"),
        channel: get("channel"),
        refusal: ELSEWHERE,
    };
    let token = Token::of(&request)?;
    if !token.is_in(form.get("csrf")) {
        return lookup_page(&shared, &visit, token, typed, Some(StatusCode::FORBIDDEN)).await;
    }
    let asker = shared.asker(&request);
    let outcome = shared.create(typed.topic, typed.channel, &asker).await;
    let refusal = match &outcome {
        Err(failure) if failure.message() == "INVALID_TOPIC" => {
            "That is no name for a topic, so nothing was done."
        }
        Err(failure) if failure.message() == "INVALID_CHANNEL" => {
            "That is no name for a channel, so nothing was done."
        }
        _ => {
            let after = urls::below(&shared.base_path, &["topics", typed.topic]);
            return result(
                &shared,
                request,
                outcome,
                format!("Create {}", typed.topic),
                after,
            )
            .await;
        }
    };
    let typed = Typed { refusal, ..typed };
    lookup_page(
        &shared,
        &visit,
        token,
        typed,
        Some(StatusCode::UNPROCESSABLE_ENTITY),
    )
    .await
}

/// `POST /settings`: nothing of the cluster is touched, so everybody may.
pub(crate) async fn post_settings(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let form = read(&mut request).await?;
    let token = Token::of(&request)?;
    let url = urls::below(&shared.base_path, &["settings"]);
    if !token.is_in(form.get("csrf")) {
        return Err(crate::access::forbidden());
    }
    let path = urls::home(&shared.base_path);
    let mut reply = to(&url);
    let all: [(&str, &[&str]); 3] = [
        ("theme", &THEMES),
        ("density", &DENSITIES),
        ("keys", &["on", "off"]),
    ];
    for (name, known) in all {
        if let Some(value) = form.get(name).filter(|value| known.contains(value)) {
            let cookie = format!("nsqadmin_{name}={value}; Path={path}; Max-Age=31536000; SameSite=Lax");
            reply = reply.header(SET_COOKIE, &cookie);
        }
    }
    Ok(reply)
}

async fn read(request: &mut Request) -> Result<Query, Failure> {
    let bytes = request.body.read(MAX_FORM).await;
    let bytes = bytes.map_err(|_| Failure::bad_request("INVALID_BODY"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::bad_request("INVALID_BODY"))?;
    Query::parse(text)
}

/// On to the next page if all went well; otherwise what did not.
async fn result(
    shared: &Arc<Shared>,
    request: Request,
    outcome: Result<Steps, Failure>,
    title: String,
    after: String,
) -> Result<Reply, Failure> {
    shared.board.refresh().await;
    let (text, raw, status) = match outcome {
        Ok(steps) if steps.message().is_empty() => return Ok(to(&after)),
        Ok(steps) => (
            "Done in part only: some did not do it. Look at the details, then try again.",
            steps.message(),
            StatusCode::OK,
        ),
        Err(failure) => (
            "It failed: who has to do it, or to know who does, did not answer. Look at the details, then try again.",
            failure.message().to_owned(),
            failure.code(),
        ),
    };
    let view = shared.board.view().await;
    let visit = Visit::of(shared, &request, view)?;
    let mut page = visit.page("", title);
    page.warn(text, raw);
    page.crumb("On to the page it is about", after);
    page.status = status;
    page.reply(&visit)
}
