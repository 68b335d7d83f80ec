//! One topic, channel and node, and the counter.

use serde_json::{Value, json};

use crate::support::{Cluster, Fake, stats};

async fn json(cluster: &Cluster, path: &str) -> Value {
    serde_json::from_str(&cluster.body(path).await).unwrap()
}

fn depths(record: &Value) -> [&Value; 3] {
    ["depth", "memory_depth", "backend_depth"].map(|key| &record[key])
}

/// Case 11.
#[tokio::test]
async fn na_011_a_topic_is_the_sum_of_its_nodes() {
    let cluster = Cluster::start().await;
    let topic = json(&cluster, "/api/topics/t1").await;
    assert_eq!(topic["node"], "*");
    assert_eq!(topic["message_count"], 9);
    assert_eq!(topic["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(topic["nodes"][0]["node"], cluster.nsqds[0].address);
    assert_eq!(topic["nodes"][0]["hostname"], "d1");
    assert_eq!(topic["nodes"][0]["nodes"], Value::Null);
    let channel = &topic["channels"][0];
    assert_eq!(channel["channel_name"], "c1");
    assert_eq!(depths(channel), [9, 6, 3].map(Value::from).each_ref());
    assert_eq!(channel["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(topic["message"], "");
    let text = cluster.body("/api/topics/t1").await;
    let start = r#"{"node":"*","hostname":"","topic_name":"t1","depth":0,"memory_depth":0,"backend_depth":0,"message_count":9,"delivery_msg_count":0,"nodes":[{"node":""#;
    assert!(text.starts_with(start), "{text}");
}

/// Case 12.
#[tokio::test]
async fn na_012_a_channel_is_the_sum_of_its_nodes() {
    let cluster = Cluster::start().await;
    for (nsqd, (depth, backend)) in cluster.nsqds.iter().zip([(8, 3), (1, 0)]) {
        let idle = stats(depth, backend).replace(r#""client_count":1"#, r#""client_count":0"#);
        nsqd.answers("/stats?topic=t1", idle);
    }
    let channel = json(&cluster, "/api/topics/t1/c1").await;
    assert_eq!(depths(&channel), [9, 6, 3].map(Value::from).each_ref());
    assert_eq!(
        (&channel["message"], &channel["clients"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(channel["client_count"], 0);
    assert_eq!(channel["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(channel.get("delivery_msg_count"), None);
}

fn with_clients(depth: i64, clients: &[(&str, i64, &str)]) -> String {
    let list: Vec<String> = clients
        .iter()
        .map(|(host, since, zone)| {
            format!(
                r#"{{"client_id":"{host}","hostname":"{host}","connect_ts":{since},"topology_zone":"{zone}","remote_address":"1.2.3.4:5"}}"#
            )
        })
        .collect();
    let count = format!(
        r#""client_count":{},"clients":[{}]"#,
        clients.len(),
        list.join(",")
    );
    stats(depth, 0).replace(r#""client_count":1,"clients":null"#, &count)
}

/// Case 13.
#[tokio::test]
async fn na_013_clients_of_all_nodes_are_grouped_by_node() {
    let cluster = Cluster::start().await;
    cluster.nsqds[0].answers(
        "/stats?topic=t1",
        with_clients(8, &[("z", -7, "other"), ("y", -5, "")]),
    );
    cluster.nsqds[1].answers("/stats?topic=t1", with_clients(1, &[("a", -3, "")]));
    let channel = json(&cluster, "/api/topics/t1/c1").await;
    assert_eq!(channel["client_count"], 3);
    let clients = channel["clients"].as_array().unwrap();
    let nodes: Vec<&str> = clients
        .iter()
        .map(|client| client["node"].as_str().unwrap())
        .collect();
    assert!(nodes.is_sorted(), "{nodes:?}");
    let of = |host: &str| {
        clients
            .iter()
            .position(|client| client["hostname"] == host)
            .unwrap()
    };
    assert!(of("y") < of("z"), "the same zone comes first: {clients:?}");
    // the clock of the test stands at 0
    assert_eq!(clients[of("y")]["connected"], 5_000_000_000_i64);
    assert_eq!(clients[of("a")]["connected"], 3_000_000_000_i64);
}

/// Cases 14, 15 and 16; A3 and A4 are adopted.
#[tokio::test]
async fn na_014_na_015_na_016_what_is_not_there() {
    let cluster = Cluster::start().await;
    let missing = cluster.ask("GET", "/api/topics/t1/nochan", "", 404).await;
    assert_eq!(missing, r#"{"message":"CHANNEL_NOT_FOUND"}"#);
    let unknown = cluster.ask("GET", "/api/topics/nope", "", 502).await;
    let refusal = r#"got response 404 Not Found \"{\\\"message\\\":\\\"TOPIC_NOT_FOUND\\\"}\""#;
    let expected =
        format!(r#"{{"message":"UPSTREAM_ERROR: failed to query any nsqlookupd: {refusal}\n{refusal}"}}"#);
    assert_eq!(unknown, expected);
    let dead = json(&cluster, "/api/topics/dead").await;
    assert_eq!((&dead["message_count"], &dead["nodes"]), (&json!(0), &json!([])));
}

/// Cases 19 and 20.
#[tokio::test]
async fn na_019_na_020_one_node() {
    let cluster = Cluster::start().await;
    let [d1, _] = &cluster.nsqds;
    d1.answers("/stats", with_clients(8, &[("a", 0, ""), ("b", 0, "")]));
    let node = json(&cluster, &format!("/api/nodes/{}", d1.address)).await;
    assert_eq!(node["node"], d1.address);
    assert_eq!(
        (&node["total_messages"], &node["total_clients"]),
        (&json!(8), &json!(2))
    );
    assert_eq!(node["topics"][0]["channels"][0]["clients"][1]["client_id"], "b");
    let missing = cluster.ask("GET", "/api/nodes/x:1", "", 404).await;
    assert_eq!(missing, r#"{"message":"NODE_NOT_FOUND"}"#);
}

/// Case 21.
#[tokio::test]
async fn na_021_the_counter_has_a_line_for_each_channel_and_node() {
    let cluster = Cluster::start().await;
    for (nsqd, depth) in cluster.nsqds.iter().zip([8, 1]) {
        let counted =
            stats(depth, 0).replace(r#""in_flight_count":1"#, &format!(r#""message_count":{depth}"#));
        let with_empty = counted.replace(
            r#""topics":["#,
            r#""topics":[{"topic_name":"alone","channels":[]},"#,
        );
        nsqd.answers("/stats", with_empty);
    }
    let counter = json(&cluster, "/api/counter").await;
    let stats = counter["stats"].as_object().unwrap();
    assert_eq!(stats.len(), 2);
    for (nsqd, count) in cluster.nsqds.iter().zip([8, 1]) {
        let own = &stats[&format!("t1:c1:{}", nsqd.address)];
        let expected =
            json!({"node": nsqd.address, "topic_name": "t1", "channel_name": "c1", "message_count": count});
        assert_eq!(own, &expected);
    }
}

/// Case 22.
#[tokio::test]
async fn na_022_names_are_decoded_and_encoded_again() {
    let cluster = Cluster::start().await;
    for lookupd in &cluster.lookupds {
        let producers = format!(
            r#"{{"channels":[],"producers":[{}]}}"#,
            cluster.nsqds[0].node("d1", "[]")
        );
        lookupd.answers("/lookup?topic=e#ephemeral", producers);
    }
    cluster.nsqds[0].answers(
        "/stats?topic=e#ephemeral",
        stats(4, 0).replace("t1", "e#ephemeral"),
    );
    let topic = json(&cluster, "/api/topics/e%23ephemeral").await;
    assert_eq!(
        (&topic["topic_name"], &topic["message_count"]),
        (&json!("e#ephemeral"), &json!(4))
    );
}

/// Case 25.
#[tokio::test]
async fn na_025_one_paused_node_makes_a_paused_channel() {
    let cluster = Cluster::start().await;
    let paused = stats(8, 3).replace(r#""client_count":1"#, r#""paused":true,"client_count":1"#);
    cluster.nsqds[0].answers("/stats?topic=t1", paused);
    let channel = json(&cluster, "/api/topics/t1/c1").await;
    assert_eq!(channel["paused"], true);
    assert_eq!(channel["nodes"][0]["paused"], true);
    assert_eq!(channel["nodes"][1]["paused"], false);
}

/// Case 26, and A5: the minimum is the true one.
#[tokio::test]
async fn na_026_latencies_are_merged_by_weight() {
    let cluster = Cluster::start().await;
    for (nsqd, (count, value)) in cluster.nsqds.iter().zip([(1, 100), (3, 20)]) {
        let latency = format!(
            r#""e2e_processing_latency":{{"count":{count},"percentiles":[{{"quantile":0.99,"value":{value}}},{{"quantile":0.5,"value":7}}]}},"client_count":1"#
        );
        nsqd.answers(
            "/stats?topic=t1",
            stats(1, 0).replace(r#""client_count":1"#, &latency),
        );
    }
    let channel = json(&cluster, "/api/topics/t1/c1").await;
    let latency = &channel["e2e_processing_latency"];
    assert_eq!((&latency["count"], &latency["host"]), (&json!(4), &json!("*")));
    let merged = json!({"quantile": 0.99, "min": 20.0, "max": 100.0, "average": 40.0, "count": 4});
    let seen = &latency["percentiles"][0];
    for key in ["quantile", "min", "max", "average", "count"] {
        assert_eq!(seen[key].as_f64(), merged[key].as_f64(), "{key} of {seen}");
    }
    assert_eq!(latency["percentiles"][1]["quantile"], 0.5);
}

/// Case 28.
#[tokio::test]
async fn na_028_a_silent_node_is_a_warning() {
    let cluster = Cluster::start().await;
    cluster.nsqds[1].stop().await;
    let topic = json(&cluster, "/api/topics/t1").await;
    assert!(
        topic["message"].as_str().unwrap().starts_with("WARNING: "),
        "{topic}"
    );
    assert_eq!(topic["message_count"], 8);
    assert_eq!(topic["nodes"].as_array().unwrap().len(), 1);
}

/// Case 31.
#[tokio::test]
async fn na_031_no_nodes_at_all() {
    let cluster = Cluster::start().await;
    for lookupd in &cluster.lookupds {
        lookupd.answers("/nodes", r#"{"producers":[]}"#);
    }
    let none = cluster.ask("GET", "/api/counter", "", 502).await;
    assert_eq!(
        none,
        r#"{"message":"UPSTREAM_ERROR: failed to query any nsqd: "}"#
    );
    assert_eq!(cluster.body("/api/nodes").await, r#"{"nodes":[],"message":""}"#);
}

/// Case 52.
#[tokio::test]
async fn na_052_nsqds_by_address_that_are_silent() {
    let cluster = Cluster::start_with("", false).await;
    cluster.nsqds[1].stop().await;
    let topic = json(&cluster, "/api/topics/t1").await;
    assert!(
        topic["message"].as_str().unwrap().starts_with("WARNING: "),
        "{topic}"
    );
    assert_eq!(topic["message_count"], 8);
    cluster.nsqds[0].stop().await;
    for path in ["/api/topics", "/api/topics/t1", "/api/nodes", "/api/counter"] {
        let error = cluster.ask("GET", path, "", 502).await;
        let start = r#"{"message":"UPSTREAM_ERROR: failed to query any nsqd: "#;
        assert!(error.starts_with(start), "{error}");
    }
}

/// Case 53.
#[tokio::test]
async fn na_053_an_nsqd_that_wants_tls_is_asked_over_it() {
    use nsq_testkit::tls::{Identity, serve_https};
    let secure = serve_https(&Identity::self_signed("localhost"), &stats(8, 3));
    let nsqd = Fake::start().await;
    let refusal = format!(
        r#"403 {{"message":"TLS_REQUIRED","https_port":{}}}"#,
        secure.port()
    );
    for path in ["/stats", "/stats?topic=t1", "/info"] {
        nsqd.answers(path, refusal.clone());
    }
    let lookupd = Fake::start().await;
    lookupd.answers("/topics", r#"{"topics":["t1"]}"#);
    let node = nsqd.node("d1", r#"["t1"]"#);
    lookupd.answers(
        "/lookup?topic=t1",
        format!(r#"{{"channels":[],"producers":[{node}]}}"#),
    );
    let flag = format!("--lookupd-http-address={}", lookupd.address);
    let trusting = ["--http-client-tls-insecure-skip-verify", flag.as_str()];
    let cluster = Cluster::start_flags("", true, &trusting).await;
    for own in &cluster.lookupds {
        own.stop().await;
    }
    let topic = json(&cluster, "/api/topics/t1").await;
    assert_eq!(topic["message_count"], 8);
    nsqd.answers("/channel/pause?topic=t1", refusal);
    let pause = r#"{"action":"pause"}"#;
    let paused = cluster.ask("POST", "/api/topics/t1/c1", pause, 200).await;
    // the two nsqlookupds that were stopped are named, the nsqd is not
    assert!(
        !paused.contains(&nsqd.address) && !paused.contains("response 403"),
        "{paused}"
    );
    assert_eq!(nsqd.posted(), ["/channel/pause?topic=t1&channel=c1"]);
    let strict = Cluster::start_flags("", true, &[flag.as_str()]).await;
    for own in &strict.lookupds {
        own.stop().await;
    }
    let error = strict.ask("GET", "/api/topics/t1", "", 502).await;
    assert!(
        error.contains("failed to query any nsqd") && error.contains("TLS: "),
        "{error}"
    );
}

/// Case 59.
#[tokio::test]
async fn na_059_a_rate_from_graphite() {
    let stub = Fake::start().await;
    let flag = format!("--graphite-url=http://{}", stub.address);
    let cluster = Cluster::start_flags("", true, &[&flag]).await;
    for (query, text) in [
        ("?metric=%zz", "INVALID_REQUEST"),
        ("", "INVALID_ARG_METRIC"),
        ("?metric=depth&target=x", "INVALID_ARG_METRIC"),
        ("?metric=rate", "INVALID_ARG_TARGET"),
    ] {
        let path = format!("/api/graphite{query}");
        let refused = cluster.ask("GET", &path, "", 400).await;
        assert_eq!(refused, format!(r#"{{"message":"{text}"}}"#), "{query}");
    }
    let path = "/api/graphite?metric=rate&target=sumSeries(a%20b)";
    for (value, rate) in [("120", "2.00"), ("-1", "N/A"), ("0", "0.00")] {
        stub.answers(
            "/render",
            format!(r#"[{{"target":"x","datapoints":[[{value},1700000000]]}}]"#),
        );
        assert_eq!(cluster.body(path).await, format!(r#"{{"rate":"{rate}"}}"#));
    }
    assert_eq!(
        stub.last_query(),
        "format=json&from=-120sec&target=sumSeries%28a%20b%29&until=-60sec"
    );
    for broken in [
        "[]",
        r#"[{"datapoints":[]}]"#,
        r#"[{"datapoints":[[null,1]]}]"#,
        "{",
    ] {
        stub.answers("/render", broken);
        let failed = cluster.ask("GET", path, "", 500).await;
        assert_eq!(failed, r#"{"message":"INTERNAL_ERROR"}"#, "{broken}");
    }
    stub.stop().await;
    cluster.ask("GET", path, "", 500).await;
}
