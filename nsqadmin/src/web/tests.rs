use std::sync::Arc;
use std::time::Duration;

use nsq_http_api::nsqd::{ChannelStats, Info, Stats, TopicStats};
use nsq_service::http::Query;
use parking_lot::RwLock;
use proptest::prelude::*;

use super::visit::Prefs;
use super::*;
use crate::access::Role;
use crate::board::View;
use crate::model::{Heard, History, Picture, Watch};
use crate::upstream::Answer;

/// A look at a cluster of one node with one topic and one channel whose texts are all `text`.
fn visit(text: &str, query: &str) -> Visit {
    let stats = || Stats {
        health: text.to_owned(),
        topics: Some(vec![TopicStats {
            topic_name: text.to_owned(),
            depth: 3,
            channels: vec![ChannelStats {
                channel_name: text.to_owned(),
                depth: 5,
                paused: true,
                ..Default::default()
            }],
            ..Default::default()
        }]),
        ..Default::default()
    };
    let info = Info {
        hostname: text.to_owned(),
        version: text.to_owned(),
        broadcast_address: text.to_owned(),
        ..Default::default()
    };
    let mut picture = Picture::default();
    picture.set_sources(&Sources::Nsqds(vec![text.to_owned()]));
    picture.hear_info(Answer {
        address: text.to_owned(),
        result: Ok(info),
    });
    let mut history = History::new(1 << 20);
    let mut watch = Watch::new(true);
    let mut last = None;
    for at in [0, 5, 10] {
        let heard = Heard {
            at,
            monotonic: Duration::from_secs(at.unsigned_abs()),
            took: Duration::ZERO,
        };
        picture.hear_stats(
            Answer {
                address: text.to_owned(),
                result: Ok(stats()),
            },
            heard,
        );
        let mut snapshot = picture.snapshot(at);
        snapshot.generation = 1;
        history.record(&snapshot);
        last = Some((watch.findings(&snapshot, &history), snapshot));
    }
    let (findings, snapshot) = last.unwrap();
    let query = Query::parse(query).unwrap();
    Visit {
        view: Arc::new(View {
            stretched: "",
            snapshot,
            findings,
            history: Arc::new(RwLock::new(history)),
            interval: Some(Duration::from_secs(5)),
        }),
        base: "/base".to_owned(),
        cluster: text.to_owned(),
        role: Role::Admin,
        user: text.to_owned(),
        is_read_only: false,
        streams: 0,
        colour: "",
        dashboard: String::new(),
        prefs: Prefs {
            theme: "auto",
            density: "compact",
            has_keys: true,
        },
        place: place::Place::new("/base/topics".to_owned(), &query),
        query,
        boot: "b".to_owned(),
    }
}

/// Every page about it.
fn all(text: &str, query: &str) -> Vec<String> {
    let visit = visit(text, query);
    let key = visit.view.snapshot.nodes[0].key.clone();
    let pages = [
        pages::overview(&visit),
        pages::topics(&visit),
        pages::topic(&visit, text),
        pages::channel(&visit, (text, text), Err("")),
        pages::nodes(&visit),
        pages::node(&visit, &key),
        pages::cluster(&visit),
        pages::counter(&visit),
        pages::search(&visit),
        pages::settings(&visit, "token"),
        pages::help(&visit),
        pages::topic(&visit, &format!("{text}x")),
    ];
    pages.iter().map(|page| page.render().unwrap()).collect()
}

fn count_of(html: &str, c: char) -> usize {
    html.matches(c).count()
}

/// Console spec 11.
#[test]
fn markup_in_names_is_shown_as_text() {
    for html in all("<script>alert(1)</script>", "q=<script>") {
        // our own, in the head
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert!(
            html.contains("&#60;script&#62;alert(1)&#60;/script&#62;"),
            "{html}"
        );
    }
}

/// Nothing of the policy is in the way, and ids are found once.
#[test]
fn nothing_inline_and_no_id_twice() {
    for html in all("plain", "") {
        for inline in [
            "<script>",
            "<script src",
            "<style",
            " style=",
            " onclick",
            "javascript:",
        ] {
            assert!(!html.contains(inline), "{inline} in {html}");
        }
        for attribute in [" id=\"", " data-k=\""] {
            let mut ids: Vec<&str> = html
                .split(attribute)
                .skip(1)
                .filter_map(|part| part.split('"').next())
                .collect();
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), all, "{attribute} in {html}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever an upstream says, the page has the same markup as with plain names.
    #[test]
    fn any_text_is_text(text in "[^\\p{L}]{1,12}|\\PC{1,12}") {
        for (html, plain) in all(&text, "").iter().zip(all("plain", "")) {
            if html.contains("“") { continue; }
            for c in ['<', '>'] {
                prop_assert_eq!(count_of(html, c), count_of(&plain, c), "{}", html);
            }
        }
    }

    /// Console spec 11: any choice of a visitor is a page.
    #[test]
    fn ui_024_any_query_is_a_page(
        name in "q|sort|page|per|state|t|tab|zone|nodes[.]sort|topics[.]page|evil",
        value in "\\PC{0,20}",
    ) {
        let query = format!("{name}={}", nsq_service::http::encode_component(&value));
        for html in all("plain", &query) {
            prop_assert!(!html.contains("evil="), "{}", html);
        }
    }
}
