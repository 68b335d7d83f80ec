//! nsqlookupds, topics that only they know, and the form that creates.

use std::sync::Arc;

use nsq_service::http::{Failure, Reply, Request, StatusCode};

use super::super::csrf::Token;
use super::super::page::{Creation, Notice, Page, Table, Td};
use super::super::view::Shell;
use super::super::{html, status_of, urls};
use crate::Shared;
use crate::api;
use crate::options::Sources;

/// `GET /lookup`.
pub(crate) async fn lookup(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let visitor = (Token::of(&request)?, shared.access.may_act(&request));
    page(&shared, visitor, ["", ""], "", StatusCode::OK).await
}

/// The page, with what was `typed` and why it is refused.
pub(in super::super) async fn page(
    shared: &Arc<Shared>,
    (token, may_act): (Token, bool),
    typed: [&str; 2],
    refusal: &str,
    status: StatusCode,
) -> Result<Reply, Failure> {
    let snapshot = shared.upstream.snapshot().await;
    let base = &shared.base_path;
    let mut page = Page::new(Shell::new(&snapshot, base, "Lookup", may_act), "Lookup");
    let Sources::Lookupds(lookupds) = shared.upstream.sources() else {
        page.notices.push(Notice {
            text: "No nsqlookupd is configured: the nsqds are known by their addresses.".to_owned(),
            ..Notice::default()
        });
        return html(&page, status);
    };
    let sources = snapshot.lookupds.iter().map(|source| {
        let state = match &source.trouble {
            None => Td::chip("ok", "✓", "ok"),
            Some(trouble) => Td {
                title: trouble.raw.clone(),
                ..Td::chip("bad", "▲", &trouble.reason)
            },
        };
        vec![Td::text(&source.address), state]
    });
    page.tables.push(Table::new(
        "nsqlookupds",
        &["Address", "State"],
        sources.collect(),
    ));
    // only those that no nsqd is known to have can be inactive
    let silent = snapshot.topics.iter().filter(|topic| topic.depth.nodes == 0);
    let names = silent.map(|topic| topic.name.clone()).collect();
    let inactive = api::inactive_of(shared, &lookupds, names).await.into_iter();
    let rows = inactive.map(|(topic, channels)| {
        let url = urls::below(base, &["topics", &topic]);
        vec![Td::link(topic, url), Td::text(channels.join(", "))]
    });
    page.tables.push(
        Table::new("Inactive topics", &["Topic", "Channels"], rows.collect())
            .or("There are none: some nsqd has each topic that the nsqlookupds know."),
    );
    if may_act {
        page.creation = Some(Creation {
            url: urls::below(base, &["lookup"]),
            csrf: token.text.clone(),
            topic: typed[0].to_owned(),
            channel: typed[1].to_owned(),
            refusal: refusal.to_owned(),
        });
    }
    let status = if status == StatusCode::OK {
        status_of(&snapshot)
    } else {
        status
    };
    Ok(token.keep(html(&page, status)?, base))
}
