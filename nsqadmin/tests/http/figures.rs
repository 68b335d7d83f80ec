//! What pages say of figures that only some nodes give: latencies, deliveries, marks of charts, and what a diagnosis is made of.

use crate::console::polled;
use crate::support::{Cluster, bare, has, stats};

/// Console spec 11.
#[tokio::test]
async fn ui_039_a_latency_is_a_weighted_mean_and_its_tooltip_has_the_extremes() {
    let cluster = Cluster::start().await;
    let page = cluster.body("/topics/t1").await + &cluster.body("/topics/t1/c1").await;
    assert!(
        !page.contains("e2e"),
        "without any percentile there is no column: {page}"
    );
    for (nsqd, (count, slow, fast)) in cluster
        .nsqds
        .iter()
        .zip([(30, 4_000_000, 1_000_000), (10, 8_000_000, 2_000_000)])
    {
        let latency = format!(
            r#""e2e_processing_latency":{{"count":{count},"percentiles":[{{"quantile":0.95,"value":{fast}}},{{"quantile":0.99,"value":{slow}}}]}}"#
        );
        nsqd.answers(
            "/stats",
            format!(
                r#"{{"health":"OK","topics":[{{"topic_name":"t1",{latency},"channels":[{{"channel_name":"c1",{latency}}}]}}]}}"#
            ),
        );
    }
    cluster.pass(2);
    for path in ["/topics/t1", "/topics/t1/c1"] {
        let page = cluster.body(path).await;
        has(
            &page,
            &[">e2e 99 %</a>", ">e2e 95 %</a>", ">4.0 ms</td>", ">8.0 ms</td>"],
        );
        // (30 · 4 ms + 10 · 8 ms) / 40, and (30 · 1 ms + 10 · 2 ms) / 40
        for (title, text) in [
            ("lowest 4.0 ms, highest 8.0 ms, of 40 messages", "5.0 ms"),
            ("lowest 1.0 ms, highest 2.0 ms, of 40 messages", "1.2 ms"),
        ] {
            let cell = page.split(&format!(r#"title="{title}""#)).nth(1);
            let cell = cell.unwrap_or_else(|| panic!("{title} not in {page}"));
            let cell = cell.split("</td>").next().unwrap();
            assert!(cell.ends_with(&format!(">{text}")), "{cell}");
        }
    }
}

/// Console spec 11: reference 12.4.
#[tokio::test]
async fn ui_035_clients_and_deliveries_by_how_near_they_are() {
    let cluster = Cluster::start().await;
    let place = r#""topology_region":"eu","topology_zone":"eu-1","#;
    let node = cluster.nsqds[0]
        .node("d1", r#"["t1"]"#)
        .replace(r#""hostname""#, &format!("{place}\"hostname\""));
    for lookupd in &cluster.lookupds {
        lookupd.answers("/nodes", format!(r#"{{"producers":[{node}]}}"#));
        lookupd.answers(
            "/lookup?topic=t1",
            format!(r#"{{"channels":["c1"],"producers":[{node}]}}"#),
        );
    }
    let client = |name: &str, region: &str, zone: &str, more: &str| {
        format!(
            r#"{{"client_id":"{name}","hostname":"{name}","remote_address":"1.1.1.1:1","ready_count":1,"topology_region":"{region}","topology_zone":"{zone}"{more}}}"#
        )
    };
    let tls = r#","tls":true,"tls_version":"TLS1.3","tls_cipher_suite":"TLS_AES_128_GCM_SHA256","tls_negotiated_protocol":"h0","sample_rate":10,"snappy":true,"authed":true,"auth_identity":"svc","auth_identity_url":"https://who.example/svc""#;
    let clients = [
        client("same-zone", "eu", "eu-1", tls),
        client("same-region", "eu", "eu-2", ""),
        client("far", "us", "us-1", ""),
    ]
    .join(",");
    let answer = format!(
        r#"{{"health":"OK","topics":[{{"topic_name":"t1","channels":[{{"channel_name":"c1","depth":8,"client_count":3,"clients":[{clients}],"zone_local_msg_count":60,"region_local_msg_count":30,"global_msg_count":10}}]}}]}}"#
    );
    cluster.nsqds[0].answers("/stats", answer.clone());
    cluster.nsqds[0].answers("/stats?topic=t1", answer);
    let page = cluster.body("/topics/t1/c1").await;
    assert!(!page.contains("style="), "{page}");
    let text = bare(&page);
    for part in [
        r#"<svg class="delivery" viewBox="0 0 90 10" aria-hidden="true"><rect class="zone" x="0" y="0" width="54" height="10"/><rect class="region" x="54" y="0" width="27" height="10"/><rect class="other" x="81" y="0" width="9" height="10"/></svg>"#,
        "60 % zone, 30 % region",
        "sampled 10 % · TLS · snappy · authorised as svc · region eu, the node&#39;s · zone eu-1, the node&#39;s",
        r#"href="https://who.example/svc">identity</a>"#,
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert!(
        page.contains(r#"title="TLS1.3 TLS_AES_128_GCM_SHA256 h0""#),
        "{page}"
    );
    assert!(
        page.contains(r#"title="60 within the zone, 30 within the region, 10 beyond""#),
        "{page}"
    );
    for (name, tint) in [
        ("same-zone", r#"<tr class="zone">"#),
        ("same-region", r#"<tr class="region">"#),
        ("far", "<tr>"),
    ] {
        let row = text
            .split("<tr")
            .find(|row| row.contains(&format!(">{name}")))
            .unwrap();
        assert!(format!("<tr{row}").starts_with(tint), "{name}: {row}");
    }
}

/// What the depth of one channel was, as its chart has it.
fn points(page: &str, label: &str) -> Vec<Option<f64>> {
    let line = page.split(&format!(r#"data-label="{label}" data-y=""#)).nth(1);
    let line = line.unwrap_or_else(|| panic!("{label} not in {page}"));
    let points = line.split('"').next().unwrap().split(' ');
    points
        .map(|point| point.split_once(':').map(|(_, value)| value.parse().unwrap()))
        .collect()
}

/// Counts pictures of the cluster.
async fn generation(cluster: &Cluster) -> u64 {
    let json: serde_json::Value = serde_json::from_str(&cluster.body("/?format=json").await).unwrap();
    json["generation"].as_u64().unwrap()
}

/// Lets `change` happen and five seconds pass while nobody is being asked; the page of a picture of then.
async fn tick(cluster: &Cluster, path: &str, change: impl FnOnce()) -> String {
    let before = generation(cluster).await;
    while generation(cluster).await == before {
        tokio::task::yield_now().await;
    }
    change();
    cluster.pass(5);
    let before = generation(cluster).await;
    while generation(cluster).await < before + 2 {
        tokio::task::yield_now().await;
    }
    cluster.body(path).await
}

/// Console spec 11: F5.
#[tokio::test]
async fn ui_091_a_restart_and_an_emptied_queue_are_gaps_with_a_mark() {
    // so seldom that what a test changes between two rounds is seen by the next
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=200ms"]).await;
    let path = "/topics/t1/c1";
    let says = |start: i64, messages: i64, depth: i64| {
        for (at, nsqd) in cluster.nsqds.iter().enumerate() {
            let text = if at == 0 {
                format!(
                    r#"{{"version":"1.3.0","health":"OK","start_time":{start},"topics":[{{"topic_name":"t1","message_count":{messages},"channels":[{{"channel_name":"c1","depth":{depth},"message_count":{messages},"client_count":1}}]}}]}}"#
                )
            } else {
                r#"{"version":"1.3.0","health":"OK","start_time":9,"topics":[]}"#.to_owned()
            };
            nsqd.answers("/stats", text);
        }
    };
    says(100, 1_000, 900);
    cluster.until(path, |page| page.contains(">900<")).await;
    for round in 1..=3 {
        tick(&cluster, path, || says(100, 1_000 + round * 500, 900)).await;
    }
    let page = tick(&cluster, path, || says(700, 5, 5)).await;
    let gap = points(&page, "in");
    assert_eq!(gap.last(), Some(&None), "{gap:?}");
    has(&page, &[&format!("restart of {} at ", cluster.nsqds[0].address)]);
    for round in 1..=3 {
        tick(&cluster, path, || says(700, 5 + round * 500, 5 + round * 500)).await;
    }
    // somebody else empties it: Go's nsqd does not count what is finished
    let page = tick(&cluster, path, || says(700, 1_510, 0)).await;
    assert_eq!(points(&page, "done").last(), Some(&None), "{page}");
    has(&page, &["t1/c1 emptied at "]);
    for label in ["in", "done"] {
        for value in points(&page, label).into_iter().flatten() {
            assert!((0.0..=110.0).contains(&value), "{label}: {value}");
        }
    }
}

/// Console spec 11: F4 with one node.
#[tokio::test]
async fn ui_092_a_lost_node_is_a_band_and_a_gap_of_its_own() {
    let cluster = polled().await;
    let node = format!("/nodes/{}", cluster.nsqds[0].address);
    cluster.until(&node, |page| page.contains("t1/c1")).await;
    for _ in 0..3 {
        tick(&cluster, "/topics/t1", || ()).await;
    }
    cluster.nsqds[1].answers("/stats", "{");
    cluster
        .until("/topics/t1", |page| page.contains("1/2 nodes"))
        .await;
    for _ in 0..3 {
        tick(&cluster, "/topics/t1", || ()).await;
    }
    let page = cluster.body("/topics/t1").await;
    assert!(page.contains("<title>1 of 2 nodes</title>"), "{page}");
    let sum = points(&page, "topic and channels");
    assert_eq!(sum.last(), Some(&Some(8.0)), "not carried on: {sum:?}");
    let page = cluster
        .body(&format!("/nodes/{}", cluster.nsqds[1].address))
        .await;
    let own = points(&page, "depth");
    assert!(
        own.first().is_some_and(Option::is_some) && own.last() == Some(&None),
        "{own:?}"
    );
}

/// Console spec 11.
#[tokio::test]
async fn ui_064_one_of_three_nodes_fails_and_is_tried_again_alone() {
    use crate::support::{Fake, post, result_of};
    let cluster = Cluster::start().await;
    let third = Fake::start().await;
    let all = [&cluster.nsqds[0], &cluster.nsqds[1], &third];
    let names = ["d1", "d2", "d3"];
    let nodes: Vec<String> = all
        .iter()
        .zip(names)
        .map(|(nsqd, name)| nsqd.node(name, r#"["t1"]"#))
        .collect();
    third.answers("/stats", stats(1, 0));
    third.answers("/stats?topic=t1", stats(1, 0));
    for lookupd in &cluster.lookupds {
        lookupd.answers("/nodes", format!(r#"{{"producers":[{}]}}"#, nodes.join(",")));
        lookupd.answers(
            "/lookup?topic=t1",
            format!(r#"{{"channels":["c1"],"producers":[{}]}}"#, nodes.join(",")),
        );
    }
    third.answers("/channel/pause?topic=t1", "CHANNEL_NOT_FOUND");
    let (head, _) = post(&cluster, "/topics/t1/c1", "do=pause").await;
    let page = result_of(&cluster, &head).await;
    has(
        &page,
        &[
            "Done in part only: 2 did it, 1 did not.",
            "it does not have the channel",
            "CHANNEL_NOT_FOUND",
            "Retry failed (1)",
        ],
    );
    let counts = || all.map(|nsqd| nsqd.posted().len());
    assert_eq!(counts(), [1, 1, 1]);
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap();
    third.forgets("/channel/pause?topic=t1");
    let (head, _) = post(&cluster, location, "do=retry").await;
    has(&result_of(&cluster, &head).await, &["Done: one upstream did it."]);
    assert_eq!(counts(), [0, 0, 1]);
}

/// Ages and promises that only our nsqds give are in columns once one of them is there, and nobody's unknown is 0.
#[tokio::test]
async fn oldest_messages_and_durability_are_columns_where_a_node_says_them() {
    let cluster = Cluster::start().await;
    let heads = [">Oldest</a>", ">Durability</a>", ">Bytes</a>"];
    let page = cluster.body("/topics").await;
    assert!(heads.iter().all(|head| !page.contains(head)), "{page}");
    let [ours, _] = &cluster.nsqds;
    let (port, info) = (
        ours.port(),
        r#""version":"1.3.0","hostname":"h","broadcast_address":"127.0.0.1""#,
    );
    ours.answers(
        "/info",
        format!(r#"{{{info},"http_port":{port},"tcp_port":4150,"extensions":["metrics"]}}"#),
    );
    ours.answers(
        "/stats",
        r#"{"health":"OK","topics":[{"topic_name":"t1","durability":"memory","channels":[{"channel_name":"c1","depth":3,"oldest_age_ms":125000,"backlog_bytes":2048}]},
        {"topic_name":"idle","durability":"memory","channels":[]}]}"#,
    );
    cluster.pass(60);
    let page = cluster.body("/topics").await;
    has(&page, &heads);
    has(&page, &[">2 min</td>", ">2.0 KiB</td>", ">memory</td>"]);
    let json: serde_json::Value = serde_json::from_str(&cluster.body("/topics?format=json").await).unwrap();
    let row = |name: &str| {
        let rows = json["tables"]["All topics"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap().clone()
    };
    assert_eq!(row("t1")["oldest"], 125.0);
    assert!(
        row("idle")["oldest"].is_null() && row("dead")["durability"].is_null(),
        "{json}"
    );
}

/// Console spec 11: F8.
#[tokio::test]
async fn ui_042_a_node_that_comes_or_goes_says_what_is_left_and_what_it_waits_for() {
    let cluster = Cluster::start_flags("", true, &["--stats-poll-interval=100ms"]).await;
    for (nsqd, phase) in cluster.nsqds.iter().zip(["draining", "joining"]) {
        let port = nsqd.port();
        nsqd.answers(
            "/info",
            format!(
                r#"{{"version":"1.3.0","hostname":"h","broadcast_address":"127.0.0.1","http_port":{port},"tcp_port":4150,"extensions":["lifecycle"],"phase":"{phase}"}}"#
            ),
        );
    }
    let [leaving, coming] = &cluster.nsqds;
    leaving.answers(
        "/lifecycle",
        r#"{"phase":"draining","since_ms":0,"join":null,"drain":{"id":"7f3c","publishers":2,"refused":17,"depth":812,"in_flight":3,"deferred":10,
        "message_count":91234,"empty":false,"empty_ms":0,"evacuate":"stuck","after_ms":30000,"peers":[],"evacuating":true,"evacuated":100,"last_error":"",
        "blockers":[{"topic":"orders","channel":"billing","reason":"no_consumers","messages":812,"due_ms":0},
        {"topic":"mail","channel":"","reason":"no_channel","messages":5,"due_ms":0}]}}"#,
    );
    coming.answers(
        "/lifecycle",
        r#"{"phase":"joining","since_ms":0,"join":{"topics":3,"channels":7,"waiting":[{"topic":"t1","channel":"c1"}],"deadline_ms":90000},"drain":null}"#,
    );
    let page = |nsqd: &crate::support::Fake| format!("/nodes/{}", nsqd.address);
    let left = cluster
        .until(&page(leaving), |page| page.contains("What holds it up"))
        .await;
    has(
        &left,
        &[
            "825 messages left. It takes no publishes.",
            "<dt>Publishers</dt><dd>2</dd>",
            "<dt>Refused</dt><dd>17</dd>",
            "<dt>Sent to peers</dt><dd>100</dd>",
            r#"href="/topics/orders/billing">orders/billing</a>"#,
            "no client is connected",
            r#"href="/topics/mail">mail</a>"#,
            "the topic has no channel",
        ],
    );
    let joins = cluster
        .until(&page(coming), |page| page.contains("Waiting for consumers"))
        .await;
    has(
        &joins,
        &[
            "1 of 7 channels wait for consumers, for at most 1 min more.",
            r#"href="/topics/t1/c1">t1/c1</a>"#,
        ],
    );
    coming.answers("/lifecycle", r#"{"phase":"active","since_ms":0}"#);
    cluster
        .until(&page(coming), |page| !page.contains("Waiting for consumers"))
        .await;
}
