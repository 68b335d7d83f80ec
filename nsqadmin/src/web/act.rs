//! Asks before something is done, and does it (console spec 3.13). GET never changes anything; a POST has to carry the token of
//! our own form, and the full name if something would be lost.

use std::sync::Arc;

use askama::Template;
use nsq_service::http::header::LOCATION;
use nsq_service::http::{Failure, Query, Reply, Request, StatusCode};

use super::csrf::Token;
use super::page::{Link, Notice, Page};
use super::view::Shell;
use super::{headers, html, pages, urls};
use crate::Shared;
use crate::api::Steps;
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
pub(super) async fn confirm(shared: &Arc<Shared>, request: Request, verb: &str) -> Result<Reply, Failure> {
    let query = request.query()?;
    let wish = Wish::of(&request, verb, query.get("node").unwrap_or_default());
    let wish = wish.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    if !shared.access.may_act(&request) {
        return Err(crate::access::forbidden());
    }
    ask(shared, Token::of(&request)?, &wish, ("", ""), StatusCode::OK).await
}

/// The page that asks, with what was typed and why it is refused.
async fn ask(
    shared: &Arc<Shared>,
    token: Token,
    wish: &Wish,
    (typed, refusal): (&str, &'static str),
    status: StatusCode,
) -> Result<Reply, Failure> {
    let snapshot = shared.upstream.snapshot().await;
    let base = &shared.base_path;
    let verb = wish.verb;
    let button = format!("{} {}", verb.title(), wish.object());
    let question = match verb {
        Verb::Tombstone => format!("{button} on {}?", wish.node),
        _ => format!("{} {} {}?", verb.title(), kind(wish), wish.full_name()),
    };
    let page = Confirm {
        shell: Shell::new(&snapshot, base, "", true),
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
        full_name: wish.full_name(),
        typed: typed.to_owned(),
        refusal,
        button,
    };
    Ok(token.keep(html(&page, status)?, base))
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
    shared.access.check(&request)?;
    let form = read(&mut request).await?;
    let get = |name| form.get(name).unwrap_or_default();
    let wish = Wish::of(&request, get("do"), get("node"));
    let wish = wish.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    let typed = get("name");
    let token = Token::of(&request)?;
    if !token.is_in(form.get("csrf")) {
        return ask(shared, token, &wish, (typed, ELSEWHERE), StatusCode::FORBIDDEN).await;
    }
    if wish.verb.loses() && typed != wish.full_name() {
        let refusal = "The name is not the one above, so nothing was done.";
        return ask(
            shared,
            token,
            &wish,
            (typed, refusal),
            StatusCode::UNPROCESSABLE_ENTITY,
        )
        .await;
    }
    let asker = shared.asker(&request);
    let outcome = wish.fulfil(shared, &asker).await;
    let title = format!("{} {}", wish.verb.title(), wish.object());
    result(shared, outcome, title, wish.after(&shared.base_path)).await
}

/// `POST /lookup`.
pub(crate) async fn post_lookup(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    shared.access.check(&request)?;
    let form = read(&mut request).await?;
    let get = |name| form.get(name).unwrap_or_default();
    let (topic, channel) = (get("topic"), get("channel"));
    let typed = [topic, channel];
    let token = Token::of(&request)?;
    if !token.is_in(form.get("csrf")) {
        return pages::lookup_page(&shared, (token, true), typed, ELSEWHERE, StatusCode::FORBIDDEN).await;
    }
    let asker = shared.asker(&request);
    let outcome = shared.create(topic, channel, &asker).await;
    let refusal = match &outcome {
        Err(failure) if failure.message() == "INVALID_TOPIC" => {
            "That is no name for a topic, so nothing was done."
        }
        Err(failure) if failure.message() == "INVALID_CHANNEL" => {
            "That is no name for a channel, so nothing was done."
        }
        _ => {
            let after = urls::below(&shared.base_path, &["topics", topic]);
            return result(&shared, outcome, format!("Create {topic}"), after).await;
        }
    };
    pages::lookup_page(
        &shared,
        (token, true),
        typed,
        refusal,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await
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
    outcome: Result<Steps, Failure>,
    title: String,
    after: String,
) -> Result<Reply, Failure> {
    shared.upstream.forget().await;
    let (text, raw, status) = match outcome {
        Ok(steps) if steps.message().is_empty() => {
            let reply = Reply::empty().status(StatusCode::SEE_OTHER);
            return Ok(headers::page(reply.header(LOCATION, &after)));
        }
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
    let snapshot = shared.upstream.snapshot().await;
    let mut page = Page::new(Shell::new(&snapshot, &shared.base_path, "", true), title);
    page.notices.push(Notice {
        bad: true,
        text: text.to_owned(),
        raw,
    });
    page.crumbs.push(Link {
        text: "On to the page it is about".to_owned(),
        url: after,
    });
    html(&page, status)
}
