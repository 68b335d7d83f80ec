//! What is written by others is text, and all text can be read.

use crate::support::{Cluster, bare};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&<script>";

/// Console spec 11: F6.
#[tokio::test]
async fn ui_150_hostile_strings_are_text_everywhere() {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let hostile = json(HOSTILE);
    let name = format!("--cluster-name={HOSTILE}");
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=200ms", &name]).await;
    let client = format!(
        r#"{{"client_id":{hostile},"hostname":{hostile},"remote_address":{hostile},"user_agent":{hostile},"version":{hostile},"auth_identity":{hostile},"authed":true,"auth_identity_url":"javascript:alert(1)","topology_region":{hostile},"topology_zone":{hostile},"ready_count":1}}"#
    );
    let answer = |depth: i64| {
        format!(
            r#"{{"health":{hostile},"start_time":1,"topics":[{{"topic_name":{hostile},"depth":{depth},"durability":{hostile},"channels":[{{"channel_name":{hostile},"depth":{depth},"client_count":1,"clients":[{client}]}}]}}]}}"#
        )
    };
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", answer(7));
        nsqd.answers(&format!("/stats?topic={HOSTILE}"), answer(7));
    }
    let node = cluster.nsqds[0].node("d1", "[]");
    let node = node.replace(r#""d1""#, &hostile).replace(r#""1.3.0""#, &hostile);
    for lookupd in &cluster.lookupds {
        lookupd.answers("/nodes", format!(r#"{{"producers":[{node}]}}"#));
        lookupd.answers("/topics", format!(r#"{{"topics":[{hostile},"dead"]}}"#));
        lookupd.answers(
            "/lookup?topic=dead",
            format!(r#"{{"channels":[{hostile}],"producers":[]}}"#),
        );
    }
    cluster.until("/topics", |page| page.contains("&#60;img")).await;
    let encoded = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%27%26%3Cscript%3E";
    let key = format!("/nodes/{}", cluster.nsqds[0].address);
    for path in [
        "/".to_owned(),
        "/topics".to_owned(),
        format!("/topics?q={encoded}&state={encoded}"),
        format!("/topics/{encoded}"),
        format!("/topics/{encoded}/{encoded}"),
        format!("/topics/{encoded}/{encoded}?tab=clients"),
        format!("/topics/{encoded}?confirm=delete"),
        "/nodes".to_owned(),
        key,
        "/lookup".to_owned(),
        "/cluster".to_owned(),
        "/counter".to_owned(),
        "/dead".to_owned(),
        "/timers".to_owned(),
        format!("/search?q={encoded}"),
        format!("/search?q={encoded}&frag=1"),
        format!("/audit?user={encoded}"),
        "/settings".to_owned(),
        "/help".to_owned(),
        format!("/{encoded}"),
    ] {
        let (head, page) = cluster.send("GET", &path, &["Accept: text/html"], "").await;
        if path.starts_with("/search") && head.starts_with("HTTP/1.1 303 ") {
            assert!(!head.contains('<'), "{head}");
            continue;
        }
        assert!(
            !page.contains("<img") && !page.contains("href=\"javascript"),
            "{path}: {page}"
        );
        assert!(page.matches("<script").count() <= 1, "{path}: {page}");
        assert!(!bare(&page).contains("alert(1)>"), "{path}: {page}");
    }
    for path in ["/topics", "/nodes", &format!("/topics/{encoded}")] {
        let join = if path.contains('?') { '&' } else { '?' };
        let (head, csv) = cluster.get(&format!("{path}{join}format=csv")).await;
        assert!(
            head.contains("\r\nContent-Type: text/csv") && head.contains("nosniff") && !csv.is_empty(),
            "{head}"
        );
        let (head, text) = cluster.get(&format!("{path}{join}format=json")).await;
        assert!(head.contains("\r\nContent-Type: application/json"), "{head}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
    let view = format!("%2Ftopics%2F{}", encoded.replace('%', "%25"));
    let patch = cluster.body(&format!("/stream?once=1&view={view}")).await;
    let patch: serde_json::Value = serde_json::from_str(&patch).unwrap();
    for fragment in patch["f"].as_array().unwrap() {
        let html = fragment[1].as_str().unwrap();
        assert!(!html.contains("<img") && !html.contains("<script"), "{html}");
    }
}

/// Relative luminance of `#rrggbb` or `#rgb`.
fn luminance(colour: &str) -> f64 {
    let hex = colour.strip_prefix('#').unwrap();
    let wide: String = match hex.len() {
        3 => hex.chars().flat_map(|c| [c, c]).collect(),
        _ => hex.to_owned(),
    };
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&wide[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

fn ratio(one: &str, other: &str) -> f64 {
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Console spec 11, as WCAG 2.2 counts it, from the stylesheet as it is served.
#[tokio::test]
async fn ui_141_colours_have_enough_contrast() {
    let css = Cluster::start().await.body("/static/app.css").await;
    let tokens = |start: &str| -> std::collections::HashMap<String, String> {
        let block = css.split(start).nth(1).unwrap().split('}').next().unwrap();
        let pairs = block.split(';').filter_map(|line| line.trim().split_once(": "));
        pairs
            .filter(|(name, _)| name.starts_with("--"))
            .map(|(name, value)| (name[2..].to_owned(), value.to_owned()))
            .collect()
    };
    let (light, dark) = (tokens(":root {"), tokens(":root[data-theme=\"dark\"] {"));
    // whoever follows the system sees the same
    assert_eq!(tokens(":root[data-theme=\"auto\"] {"), dark);
    for (theme, colours) in [("light", light), ("dark", dark)] {
        let least = |one: &str, other: &str, least: f64| {
            let found = ratio(&colours[one], &colours[other]);
            assert!(
                found >= least,
                "{theme}: {one} on {other} has {found:.2}, less than {least}"
            );
        };
        for paper in ["bg", "surface"] {
            for text in ["text", "muted", "link", "ok", "warn", "bad"] {
                least(text, paper, 4.5);
            }
            for drawn in ["control", "s1", "s2", "s3", "s4"] {
                least(drawn, paper, 3.0);
            }
        }
        for chip in ["ok", "warn", "bad", "idle"] {
            least(chip, &format!("{chip}-chip"), 4.5);
            // tinted rows and cells that have just changed
            least("text", &format!("{chip}-chip"), 4.5);
        }
        least("link", "info-chip", 4.5);
        least("text", "info-chip", 4.5);
        least("on-link", "link", 4.5);
        least("on-link", "bad", 4.5);
    }
}
