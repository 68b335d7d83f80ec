//! One message: what is known about it and what is in it, or all of it as a file (console spec 3.5).

use nsq_http_api::client::Error;
use nsq_http_api::messages::{Message, Messages, MessagesRequest, State};
use nsq_service::http::header::CONTENT_DISPOSITION;
use nsq_service::http::{Failure, Reply, StatusCode};

use super::super::page::{Block, Link, Page};
use super::super::{fmt, headers};
use super::body::Form;
use super::rows::bytes_of;
use super::{Look, complain, seconds};
use crate::model::NodeState;

/// Bytes of a body that are shown, and those that are if all is asked for; beyond that there is the file.
const SHOWN: u64 = 64 << 10;
const ALL: u64 = 1 << 20;
/// Pages of a list on which a message is looked for.
const PAGES: usize = 5;
/// Messages on each of them.
const ON_A_PAGE: u32 = 200;

pub(super) async fn page(look: &Look<'_>) -> Result<Reply, Failure> {
    let place = &look.visit.place;
    let state = State::of(place.get("state"))
        .filter(|_| look.channel.is_some())
        .unwrap_or_default();
    let id = place.get("id");
    let mut page = look.frame();
    page.tiles.clear();
    let Some(node) = look.chosen() else {
        page.warn("The node that had it is not there, or does not answer.", "");
        page.status = StatusCode::NOT_FOUND;
        return page.reply(look.visit);
    };
    let is_file = look.visit.query.get("download").is_some();
    let most = match place.get("show") {
        _ if is_file => u64::MAX,
        "all" => ALL,
        _ => SHOWN,
    };
    match find(look, node, (state, id), most).await {
        Ok(Some(message)) => {
            let said = format!("{id}, {}", state.as_str());
            let what = if is_file { "download" } else { "peek" };
            look.noted(what, &[node], &said).await;
            if is_file {
                return Ok(file(&message));
            }
            show(look, &mut page, node, (state, &message));
        }
        Ok(None) => {
            page.say(format!("Message {id} left the queue of {} meanwhile.", node.key));
            page.status = StatusCode::NOT_FOUND;
        }
        Err(error) => {
            complain(&mut page, node, &error);
            page.status = StatusCode::BAD_GATEWAY;
        }
    }
    page.reply(look.visit)
}

/// The message with at most so much of its body. First without any, for its size: nsqd refuses to show more than it takes.
async fn find(
    look: &Look<'_>,
    node: &NodeState,
    (state, id): (State, &str),
    most: u64,
) -> Result<Option<Message>, Error> {
    let mut request = MessagesRequest {
        body: Some(0),
        ..look.request(state, 1)
    };
    let listed = if state == State::Ready {
        list_to(look, node, &mut request, id).await?
    } else {
        id.clone_into(&mut request.id);
        first(look, node, &request, id).await?
    };
    let Some(message) = listed else { return Ok(None) };
    request.body = Some(message.size.min(most));
    first(look, node, &request, id).await
}

async fn ask(look: &Look<'_>, node: &NodeState, request: &MessagesRequest) -> Result<Messages, Error> {
    let upstream = &look.shared.upstream;
    upstream.messages_of(node.address.clone(), request).await.result
}

/// The message, if it is the first of the list.
async fn first(
    look: &Look<'_>,
    node: &NodeState,
    request: &MessagesRequest,
    id: &str,
) -> Result<Option<Message>, Error> {
    match ask(look, node, request).await {
        Ok(listed) => {
            let first = listed.messages.into_iter().next();
            Ok(first.filter(|message| message.id == id))
        }
        // it was there a moment ago
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks for one of those that wait, which cannot be asked for by their id: from the page on that it was seen on. After that the
/// request begins with it.
async fn list_to(
    look: &Look<'_>,
    node: &NodeState,
    request: &mut MessagesRequest,
    id: &str,
) -> Result<Option<Message>, Error> {
    look.visit.place.get("cursor").clone_into(&mut request.cursor);
    for _ in 0..PAGES {
        request.limit = ON_A_PAGE;
        let listed = ask(look, node, request).await?;
        let at = listed.messages.iter().position(|message| message.id == id);
        if let Some(at) = at {
            if let Some(before) = u32::try_from(at).ok().filter(|before| *before > 0) {
                // a page that ends before it says where it begins
                request.limit = before;
                request.cursor = ask(look, node, request).await?.next;
            }
            request.limit = 1;
            return Ok(listed.messages.into_iter().nth(at));
        }
        if listed.next.is_empty() {
            return Ok(None);
        }
        request.cursor = listed.next;
    }
    Ok(None)
}

/// The body, byte by byte, as something that no browser opens by itself.
fn file(message: &Message) -> Reply {
    let bytes = bytes_of(message).unwrap_or_default();
    let name: String = message.id.chars().filter(char::is_ascii_alphanumeric).collect();
    let reply = Reply::content("application/octet-stream", bytes);
    let disposition = format!("attachment; filename=\"{name}.bin\"");
    headers::page(reply.header(CONTENT_DISPOSITION, &disposition))
}

fn show(look: &Look<'_>, page: &mut Page, node: &NodeState, (state, message): (State, &Message)) {
    let visit = look.visit;
    let now = visit.view.snapshot.at;
    let when = |nanos: i64| {
        let at = seconds(nanos);
        let apart = now.saturating_sub(at);
        match apart {
            0.. => format!("{} ({} ago)", fmt::utc(at), fmt::seconds(apart)),
            _ => format!("{} (in {})", fmt::utc(at), fmt::seconds(-apart)),
        }
    };
    let mut facts = vec![
        ("Node".to_owned(), node.key.clone()),
        ("State".to_owned(), state.as_str().replace('_', " ")),
        ("Published".to_owned(), when(message.timestamp)),
        ("Attempts".to_owned(), message.attempts.to_string()),
        (
            "Size".to_owned(),
            format!("{} ({} bytes)", fmt::bytes(message.size), message.size),
        ),
    ];
    let mut fact = |word: &str, text: Option<String>| {
        facts.extend(text.map(|text| (word.to_owned(), text)));
    };
    fact("Due", message.due.map(when));
    fact("Waits since", message.source.clone());
    fact("Delivered", message.delivered.map(when));
    fact("Times out", message.deadline.map(when));
    fact("Held by", message.client_id.clone());
    if let Some(letter) = &message.dead_letter {
        fact("Given up because of", Some(letter.reason.clone()));
        fact("Given up", Some(when(letter.at)));
        fact("Was message", Some(letter.id.clone()));
        fact("Last to", letter.last_client.clone());
    }
    page.texts.push(("Message", facts));
    let bytes = bytes_of(message).unwrap_or_default();
    let form = Form::of(visit.place.get("as"), &bytes);
    let forms = Form::ALL.into_iter().filter(|form| form.fits(&bytes));
    let file = format!("{}&download=1", visit.place.with(&[]));
    let mut links = vec![Link {
        text: format!("Download {}", fmt::bytes(message.size)),
        url: file,
    }];
    let shown = bytes.len() as u64;
    let said = if shown >= message.size {
        "All of it is shown.".to_owned()
    } else {
        if message.size <= ALL {
            links.insert(
                0,
                Link {
                    text: format!("Show all {}", fmt::bytes(message.size)),
                    url: visit.place.with(&[("show", "all")]),
                },
            );
        }
        format!(
            "The first {} of {} are shown.",
            fmt::bytes(shown),
            fmt::bytes(message.size)
        )
    };
    page.block = Some(Block {
        heading: format!("Body of {}", message.id),
        text: form.show(&bytes),
        forms: forms
            .map(|own| (own.name(), own == form, visit.place.with(&[("as", own.name())])))
            .collect(),
        said,
        links,
    });
}
