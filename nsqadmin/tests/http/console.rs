//! The console: it asks in the background, remembers, and says what is wrong.

use crate::support::{Cluster, bare, stats};

/// Asks so often that tests need not wait; time itself passes when a test says so.
const OFTEN: &str = "--stats-poll-interval=50ms";

pub(crate) async fn polled() -> Cluster {
    Cluster::start_flags("", true, &[OFTEN]).await
}

/// Console spec 11.
#[tokio::test]
async fn ui_012_all_clear_is_said_after_a_complete_poll_and_not_while_somebody_is_silent() {
    // slow enough for a busy machine, which would be told otherwise
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=500ms"]).await;
    let idle = r#"{"health":"OK","topics":[]}"#;
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", idle);
    }
    cluster.until("/", |page| page.contains("All clear at ")).await;
    cluster.nsqds[1].stop().await;
    let page = cluster.until("/", |page| !page.contains("All clear")).await;
    assert!(
        page.contains("No known problem; 1 of 4 upstreams not answering.")
            || page.contains("does not answer"),
        "{page}"
    );
}

/// Console spec 11: what a node has had since it went silent is still shown, with its age.
#[tokio::test]
async fn ui_036_a_silent_node_keeps_its_last_values() {
    let cluster = polled().await;
    let node = format!("/nodes/{}", cluster.nsqds[0].address);
    cluster.until(&node, |page| page.contains("t1/c1")).await;
    cluster.nsqds[0].stop().await;
    cluster.pass(40);
    let page = cluster.until(&node, |page| page.contains("No answer for")).await;
    for part in [
        "Values below are from",
        "t1/c1",
        r#"<tr class="stale">"#,
        "registered",
    ] {
        assert!(page.contains(part), "{part} not in {page}");
    }
    let page = cluster.until("/", |page| page.contains("does not answer")).await;
    assert!(page.contains("last depth 8"), "{page}");
}

/// Console spec 11: totals carry how many nodes they cover, and the page for machines names who is missing.
#[tokio::test]
async fn ui_050_partial_data_is_said_everywhere() {
    let cluster = polled().await;
    cluster.until("/", |page| page.contains("2/2")).await;
    cluster.nsqds[0].stop().await;
    cluster.lookupds[1].stop().await;
    for path in [
        "/",
        "/topics",
        "/topics/t1",
        "/topics/t1/c1",
        "/nodes",
        "/cluster",
        "/lookup",
        "/counter",
    ] {
        let strip = format!("of 2 nodes not answering: {}", cluster.nsqds[0].address);
        cluster.until(path, |page| page.contains(&strip)).await;
    }
    let page = cluster.until("/", |page| page.contains("1/2 nodes")).await;
    assert!(page.contains("totals are partial"), "{page}");
    let json = cluster.body("/topics?format=json").await;
    assert!(
        json.starts_with(r#"{"at":"#) && json.contains(r#""partial":true"#),
        "{json}"
    );
    assert!(
        json.contains(&format!(
            r#""missing":["{}","{}"]"#,
            cluster.nsqds[0].address, cluster.lookupds[1].address
        )),
        "{json}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_056_without_an_interval_nothing_is_asked_without_a_page() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.nsqds[0].asked() + cluster.lookupds[0].asked(), 0);
    let page = cluster.body("/").await;
    assert!(!page.contains("<svg"), "{page}");
    assert!(cluster.nsqds[0].asked() > 0);
}

/// Console spec 11, and the reference's counters make it.
#[tokio::test]
async fn speeds_and_charts_come_from_two_answers() {
    let cluster = polled().await;
    let counting =
        |count: i64| stats(8, 3).replace(r#""message_count":8"#, &format!(r#""message_count":{count}"#));
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", counting(8));
    }
    cluster.until("/topics/t1", |page| page.contains(">16<")).await;
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", counting(508));
    }
    cluster.until("/topics/t1", |page| page.contains(">1,016<")).await;
    // the clock stands still, so both answers came at one moment: no speed yet
    assert!(!cluster.body("/topics/t1").await.contains("100/s"));
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", counting(1_008));
    }
    cluster.until("/topics/t1", |page| page.contains(">2,016<")).await;
    cluster.pass(10);
    let page = cluster.until("/topics/t1", |page| page.contains("200/s")).await;
    assert!(
        page.contains(r#"<svg viewBox="0 0 480 160" role="img""#),
        "{page}"
    );
    let page = cluster.body("/topics/t1?t=off").await;
    assert!(!page.contains(r#"role="img""#), "{page}");
}

/// Console spec 11: the same rows for machines.
#[tokio::test]
async fn ui_023_csv_and_json_have_the_rows_of_the_page() {
    let cluster = Cluster::start().await;
    let csv = cluster.body("/topics?format=csv&sort=-depth").await;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("name,state,depth,worst,"), "{csv}");
    assert!(
        lines[1].starts_with("t1,ok,9,c1,") && lines[2].starts_with("dead,on no nsqd,,"),
        "{csv}"
    );
    let json = cluster.body("/topics?format=json&sort=-depth").await;
    let (t1, dead) = (json.find(r#""name":"t1""#), json.find(r#""name":"dead""#));
    assert!(t1.is_some() && t1 < dead, "{json}");
    assert!(
        json.contains(r#""schema":"console/1""#) && json.contains(r#""depth":9,"#),
        "{json}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_130_search_goes_straight_to_the_one_thing_and_lists_the_others() {
    let cluster = Cluster::start().await;
    let (head, _) = cluster.get("/search?q=t1").await;
    assert!(
        head.starts_with("HTTP/1.1 303 ") && head.contains("\r\nLocation: /topics/t1\r\n"),
        "{head}"
    );
    let page = bare(&cluster.body("/search?q=c").await);
    assert!(page.contains(r#"<a href="/topics/t1/c1">t1/c1</a>"#), "{page}");
    let (head, _) = cluster.get("/search?q=pause%20t1").await;
    assert!(
        head.contains("\r\nLocation: /topics/t1?confirm=pause\r\n"),
        "{head}"
    );
    assert!(
        cluster
            .body("/search?q=zzz")
            .await
            .contains("Nothing has a name like this.")
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_032_what_is_not_there_offers_near_names() {
    let cluster = Cluster::start().await;
    let (head, page) = cluster.get("/topics/t").await;
    assert!(
        head.starts_with("HTTP/1.1 404 ") && page.contains(r#"href="/topics/t1">t1</a>"#),
        "{head} {page}"
    );
    let (head, page) = cluster.get("/topics/dead").await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && page.contains("No nsqd has this topic"),
        "{head} {page}"
    );
    let cluster = polled().await;
    cluster
        .until("/topics/t1/c1", |page| page.contains("Clients"))
        .await;
    for nsqd in &cluster.nsqds {
        nsqd.answers("/stats", r#"{"health":"OK","topics":[]}"#);
    }
    for lookupd in &cluster.lookupds {
        lookupd.answers("/topics", r#"{"topics":[]}"#);
    }
    // the names of topics are asked for again after half a minute
    cluster.pass(30);
    cluster
        .until("/topics/t1", |page| page.contains("There is no topic"))
        .await;
    cluster.pass(300);
    cluster
        .until("/topics/t1", |page| page.contains("It was last seen 5 min ago."))
        .await;
}

/// Console spec 11: theme and density are in the first HTML.
#[tokio::test]
async fn settings_are_cookies() {
    let cluster = Cluster::start().await;
    let token = "0123456789abcdef0123456789abcdef";
    let cookie = format!("Cookie: nsqadmin_csrf={token}");
    let form = format!("csrf={token}&theme=dark&density=compact&keys=evil");
    let (head, _) = cluster.send("POST", "/settings", &[&cookie], &form).await;
    assert!(
        head.starts_with("HTTP/1.1 303 ") && head.contains("nsqadmin_theme=dark; Path=/;"),
        "{head}"
    );
    assert!(!head.contains("evil"), "{head}");
    let (_, page) = cluster
        .send(
            "GET",
            "/",
            &["Cookie: nsqadmin_theme=dark; nsqadmin_density=compact"],
            "",
        )
        .await;
    assert!(
        page.contains(r#"data-theme="dark" data-density="compact""#),
        "{page}"
    );
    let (_, page) = cluster
        .send("GET", "/", &["Cookie: nsqadmin_theme=evil"], "")
        .await;
    assert!(page.contains(r#"data-theme="auto""#), "{page}");
}

/// Console spec 11: what would be lost is said where it is.
#[tokio::test]
async fn the_page_that_asks_says_what_is_lost() {
    let cluster = Cluster::start().await;
    let page = bare(&cluster.body("/topics/t1/c1?confirm=delete").await);
    for nsqd in &cluster.nsqds {
        assert!(page.contains(&nsqd.address), "{page}");
    }
    assert!(
        page.contains("2 clients are connected.") && page.contains(r#"<td class="number">8</td>"#),
        "{page}"
    );
}
