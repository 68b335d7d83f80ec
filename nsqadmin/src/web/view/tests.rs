use nsq_http_api::nsqd::{ChannelStats, Info, Stats, TopicStats};
use proptest::prelude::*;

use super::*;
use crate::model::from_nsqds;
use crate::upstream::Answer;

/// A page about one node with one topic and one channel whose texts are all `text`.
fn page(text: &str) -> String {
    let stats = Stats {
        health: text.to_owned(),
        topics: Some(vec![TopicStats {
            topic_name: text.to_owned(),
            channels: vec![ChannelStats {
                channel_name: text.to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        }]),
        ..Default::default()
    };
    let info = Info {
        hostname: text.to_owned(),
        version: text.to_owned(),
        ..Default::default()
    };
    let infos = [Answer {
        address: text.to_owned(),
        result: Ok(info),
    }];
    let snapshot = from_nsqds(
        &infos,
        vec![Answer {
            address: text.to_owned(),
            result: Ok(stats),
        }],
    );
    Overview::new(&snapshot, "/base", true).render().unwrap()
}

fn count_of(html: &str, c: char) -> usize {
    html.matches(c).count()
}

#[test]
fn markup_in_names_is_shown_as_text() {
    let html = page("<script>alert(1)</script>");
    assert!(!html.contains("<script"), "{html}");
    assert!(
        html.contains("&#60;script&#62;alert(1)&#60;/script&#62;"),
        "{html}"
    );
}

proptest! {
    /// Whatever nodes say about themselves, it adds no markup: no tag, no end of an attribute.
    #[test]
    fn no_text_from_outside_becomes_markup(text in any::<String>()) {
        let (plain, hostile) = (page("x"), page(&text));
        for c in ['<', '>', '"'] {
            prop_assert_eq!(count_of(&hostile, c), count_of(&plain, c));
        }
    }
}

#[test]
fn nothing_inline_is_in_a_page() {
    let html = page("x");
    for forbidden in [
        "<script",
        "<style",
        "style=",
        "onclick",
        "javascript:",
        "http://",
        "//cdn",
    ] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    assert!(html.contains(r#"href="/base/static/app.css?v="#), "{html}");
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let topics = (0..1000).map(|n| TopicStats {
        topic_name: format!("t{n}"),
        depth: n,
        ..Default::default()
    });
    let stats = Stats {
        topics: Some(topics.collect()),
        ..Default::default()
    };
    let infos = [Answer {
        address: "n:1".to_owned(),
        result: Ok(Info::default()),
    }];
    let snapshot = from_nsqds(
        &infos,
        vec![Answer {
            address: "n:1".to_owned(),
            result: Ok(stats),
        }],
    );
    let html = Overview::new(&snapshot, "", true).render().unwrap();
    assert!(html.contains("the 200 deepest of 1,000 topics"), "{html}");
    assert_eq!(html.matches("<tr class=\"topic\">").count(), 200);
    assert!(html.contains(">t999<") && !html.contains(">t0<"));
}
