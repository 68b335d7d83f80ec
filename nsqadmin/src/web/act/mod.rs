//! Asks before something is done, and does it (console spec 3.13). GET never changes anything; a POST has to carry the token of
//! our own form, and the full name if something would be lost.

mod ask;
mod publish;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use ask::Wish;
use nsq_service::http::header::SET_COOKIE;
use nsq_service::http::{Failure, Reply, Request, StatusCode};
pub(super) use publish::{page as publish_page, url as publish_url};

use super::csrf::Token;
use super::form::Form;
use super::pages::{self, Typed};
use super::visit::{DENSITIES, THEMES, Visit};
use super::{lookup_page, to, urls};
use crate::Shared;
use crate::access::Role;
use crate::action::{Action, Level, Verb};
use crate::audit::{Order, Who};
use crate::handling::Handled;
use crate::perform::Deed;

/// Longest form that is read.
const MAX_FORM: u64 = 32 << 10;

/// Longest form with messages.
const MAX_MESSAGES: u64 = 1 << 20;

/// After this the page of the entry follows what is done.
const PATIENCE: Duration = Duration::from_secs(30);

const ELSEWHERE: &str = "This form was opened elsewhere or has expired, so nothing was done. Send it again.";

/// `GET …?confirm=<verb>` of a topic, a channel, ticked topics, or an entry of the list of what was done.
pub(super) async fn confirm(
    shared: &Shared,
    request: &Request,
    visit: &Visit,
    verb: &str,
) -> Result<Reply, Failure> {
    let base = &shared.base_path;
    let wish = if let Some(entry) = shared.audit.entry(request.param("id")) {
        Wish::again(base, &entry)
    } else if request.param("topic").is_empty() {
        let topics = visit.query.all("topic").map(str::to_owned).collect();
        match Wish::of_topics(base, verb, topics) {
            Ok(wish) => Some(wish),
            Err(refusal) => return cannot(visit, &refusal),
        }
    } else {
        let says = |name: &str| visit.query.get(name).unwrap_or_default().to_owned();
        let ids = visit.query.all("id").map(str::to_owned).collect();
        wish_of(shared, request, visit, verb, ids, &says).await
    };
    let wish = wish.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    if visit.role < wish.role() {
        return pages::forbidden(visit, wish.role()).reply(visit);
    }
    wish.ask(shared, visit, &Token::of(request)?, ("", ""), StatusCode::OK)
}

/// Of the path of a topic or a channel: what is done to it, or with messages that wait in it.
async fn wish_of(
    shared: &Shared,
    request: &Request,
    visit: &Visit,
    verb: &str,
    ids: Vec<String>,
    says: queue::Says<'_>,
) -> Option<Wish> {
    if let Some(wish) = Wish::of_path(request, &shared.base_path, verb, &says("node")) {
        return Some(wish);
    }
    let mut wish = queue::wish(request, visit, verb, ids, says)?;
    if wish.level == Level::Named
        && visit.role >= wish.role()
        && let Some(handled) = wish.handled()
    {
        let (concerned, target) = (queue::concerned(shared, visit, handled).await, handled.target());
        if shared.access.sees_bodies(visit.role) {
            let note = format!("the first {} of what is concerned", concerned.len());
            shared.audit.noted(Who::of(request), "peek", target, note).await;
        }
        wish.concerned = concerned;
    }
    Some(wish)
}

/// The list of topics, with why nothing is done.
fn cannot(visit: &Visit, refusal: &str) -> Result<Reply, Failure> {
    let mut page = pages::topics(visit);
    page.warn(refusal, "");
    page.status = StatusCode::UNPROCESSABLE_ENTITY;
    page.reply(visit)
}

/// Who may do at least what an operator may; or the page that says that they may not.
async fn admitted(
    shared: &Shared,
    request: &Request,
    needed: Role,
    name: &'static str,
) -> Result<Who, Result<Reply, Failure>> {
    match shared.admit(request, needed, name).await {
        Ok(who) => Ok(who),
        Err(_) => {
            let view = shared.board.view().await;
            let page = Visit::of(shared, request, view)
                .and_then(|visit| pages::forbidden(&visit, needed).reply(&visit));
            Err(page)
        }
    }
}

/// `POST /topics/:topic`, and of a channel of it.
pub(crate) async fn post_topic(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let who = match admitted(&shared, &request, Role::Operator, "unknown").await {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let form = Form::read(&mut request, MAX_MESSAGES).await;
    let is_too_long = matches!(&form, Err(failure) if failure.code() == StatusCode::PAYLOAD_TOO_LARGE);
    if is_too_long && request.param("channel").is_empty() {
        return publish::too_long(&shared, &request).await;
    }
    let form = form?;
    if form.get("do") == "publish" && request.param("channel").is_empty() {
        return publish::post(&shared, &request, who, &form).await;
    }
    let visit = Visit::of(&shared, &request, shared.board.view().await)?;
    let ids = form.all("id").map(str::to_owned).collect();
    let says = |name: &str| form.get(name).to_owned();
    let wish = wish_of(&shared, &request, &visit, form.get("do"), ids, &says).await;
    let wish = wish.ok_or_else(|| Failure::bad_request("INVALID_ACTION"))?;
    fulfil(&shared, &request, who, &form, wish).await
}

/// `POST /topics`: what is to be done with those that are ticked.
pub(crate) async fn post_topics(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let who = match admitted(&shared, &request, Role::Operator, "unknown").await {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let form = Form::read(&mut request, MAX_FORM).await?;
    let topics = form.all("topic").map(str::to_owned).collect();
    match Wish::of_topics(&shared.base_path, form.get("do"), topics) {
        Ok(wish) => fulfil(&shared, &request, who, &form, wish).await,
        Err(refusal) => {
            let view = shared.board.view().await;
            cannot(&Visit::of(&shared, &request, view)?, &refusal)
        }
    }
}

/// `POST /audit/:id`: what failed is tried again.
pub(crate) async fn post_again(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let who = match admitted(&shared, &request, Role::Operator, "unknown").await {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let form = Form::read(&mut request, MAX_FORM).await?;
    let entry = shared.audit.entry(request.param("id"));
    let wish = entry.and_then(|entry| Wish::again(&shared.base_path, &entry));
    let wish = wish.ok_or_else(|| Failure::not_found("NOTHING_LEFT_TO_DO"))?;
    fulfil(&shared, &request, who, &form, wish).await
}

/// Does it if the form is ours and says that it is meant, and leads to what became of it.
async fn fulfil(
    shared: &Arc<Shared>,
    request: &Request,
    who: Who,
    form: &Form,
    wish: Wish,
) -> Result<Reply, Failure> {
    if wish.role() > Role::Operator {
        match admitted(shared, request, wish.role(), wish.name()).await {
            Ok(_) => {}
            Err(refusal) => return refusal,
        }
    }
    let view = shared.board.view().await;
    let visit = Visit::of(shared, request, view)?;
    let typed = form.get("name");
    let token = Token::of(request)?;
    if !token.is_in(form.get("csrf")) {
        shared.audit.refused(who, wish.name(), wish.phrase.clone()).await;
        return wish.ask(shared, &visit, &token, (typed, ELSEWHERE), StatusCode::FORBIDDEN);
    }
    if wish.level == Level::Named && typed != wish.phrase {
        let refusal = "That is not what stands above, so nothing was done.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return wish.ask(shared, &visit, &token, (typed, refusal), status);
    }
    let before = wish.there(&visit);
    let note = wish.handled().map(Handled::note).unwrap_or_default();
    let order = Order {
        who,
        asker: shared.asker(request),
        deeds: wish.deeds,
        nonce: form.get("nonce").to_owned(),
        before,
        note,
    };
    finish(shared, &visit, order).await
}

/// On to the page that says what became of it.
async fn finish(shared: &Arc<Shared>, visit: &Visit, order: Order) -> Result<Reply, Failure> {
    match shared.perform(order, PATIENCE).await {
        Ok(entry) => {
            shared.board.refresh().await;
            Ok(to(&urls::below(&shared.base_path, &["audit", &entry.id])))
        }
        Err(failure) if failure.code() == StatusCode::SERVICE_UNAVAILABLE => {
            let mut page = visit.page("", "Nothing was done");
            page.warn(
                "What loses something is only done when it can be written down, and --audit-log-file cannot be written. The \
                 log of this console says why.",
                failure.message(),
            );
            page.status = StatusCode::SERVICE_UNAVAILABLE;
            page.reply(visit)
        }
        Err(failure) => Err(failure),
    }
}

/// `POST /lookup`.
pub(crate) async fn post_lookup(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let who = match admitted(&shared, &request, Role::Operator, "create_topic").await {
        Ok(who) => who,
        Err(refusal) => return refusal,
    };
    let form = Form::read(&mut request, MAX_FORM).await?;
    let view = shared.board.view().await;
    let visit = Visit::of(&shared, &request, view)?;
    let typed = |refusal| Typed {
        topic: form.get("topic"),
        channel: form.get("channel"),
        refusal,
    };
    let token = Token::of(&request)?;
    if !token.is_in(form.get("csrf")) {
        let status = Some(StatusCode::FORBIDDEN);
        return lookup_page(&shared, &visit, token, typed(ELSEWHERE), status).await;
    }
    let action = Action {
        verb: Verb::Create,
        topic: form.get("topic").to_owned(),
        channel: Some(form.get("channel").to_owned()).filter(|channel| !channel.is_empty()),
        node: None,
    };
    if let Some(refusal) = action.refusal() {
        let text = match refusal {
            "INVALID_TOPIC" => "That is no name for a topic, so nothing was done.",
            _ => "That is no name for a channel, so nothing was done.",
        };
        let status = Some(StatusCode::UNPROCESSABLE_ENTITY);
        return lookup_page(&shared, &visit, token, typed(text), status).await;
    }
    let order = Order {
        who,
        asker: shared.asker(&request),
        deeds: vec![Deed::Act(action)],
        nonce: form.get("nonce").to_owned(),
        before: Vec::new(),
        note: String::new(),
    };
    finish(&shared, &visit, order).await
}

/// `POST /settings`: nothing of the cluster is touched, so everybody may.
pub(crate) async fn post_settings(shared: Arc<Shared>, mut request: Request) -> Result<Reply, Failure> {
    let form = Form::read(&mut request, MAX_FORM).await?;
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
        let value = form.get(name);
        if known.contains(&value) {
            let cookie = format!("nsqadmin_{name}={value}; Path={path}; Max-Age=31536000; SameSite=Lax");
            reply = reply.header(SET_COOKIE, &cookie);
        }
    }
    Ok(reply)
}
