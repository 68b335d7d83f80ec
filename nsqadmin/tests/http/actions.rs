//! What changes the cluster, who may, and who is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Cluster, Fake};

const DONE: &str = r#"{"message":""}"#;

/// Cases 32 and 33.
#[tokio::test]
async fn na_032_na_033_pause_unpause_and_empty_go_to_every_nsqd() {
    let cluster = Cluster::start().await;
    for (path, verb, expected) in [
        ("/api/topics/t1", "pause", "/topic/pause?topic=t1"),
        ("/api/topics/t1", "unpause", "/topic/unpause?topic=t1"),
        ("/api/topics/t1", "empty", "/topic/empty?topic=t1"),
        ("/api/topics/t1/c1", "pause", "/channel/pause?topic=t1&channel=c1"),
        (
            "/api/topics/t1/c1",
            "unpause",
            "/channel/unpause?topic=t1&channel=c1",
        ),
        ("/api/topics/t1/c1", "empty", "/channel/empty?topic=t1&channel=c1"),
    ] {
        let body = format!(r#"{{"action":"{verb}"}}"#);
        assert_eq!(cluster.ask("POST", path, &body, 200).await, DONE);
        for nsqd in &cluster.nsqds {
            assert_eq!(nsqd.posted(), [expected]);
        }
        assert!(cluster.lookupds[0].posted().is_empty());
    }
}

/// Case 34.
#[tokio::test]
async fn na_034_other_actions_are_refused() {
    let cluster = Cluster::start().await;
    for path in ["/api/topics/t1", "/api/topics/t1/c1"] {
        for (body, text) in [
            (r#"{"action":"bogus"}"#, r#"{"message":"INVALID_ACTION"}"#),
            (r#"{"action":""}"#, r#"{"message":"INVALID_ACTION"}"#),
            ("", r#"{"message":"EOF"}"#),
        ] {
            assert_eq!(cluster.ask("POST", path, body, 400).await, text, "{body}");
        }
        cluster.ask("POST", path, r#"{"action":5}"#, 400).await;
    }
    assert!(cluster.nsqds[0].posted().is_empty());
}

/// Cases 35 and 36.
#[tokio::test]
async fn na_035_na_036_actions_on_what_is_not_there() {
    let cluster = Cluster::start().await;
    let pause = r#"{"action":"pause"}"#;
    cluster.ask("POST", "/api/topics/nope", pause, 502).await;
    assert_eq!(cluster.ask("POST", "/api/topics/dead", pause, 200).await, DONE);
    assert!(cluster.nsqds.iter().all(|nsqd| nsqd.posted().is_empty()));
    for nsqd in &cluster.nsqds {
        nsqd.answers("/channel/pause?topic=t1", "CHANNEL_NOT_FOUND");
    }
    let warned = cluster.ask("POST", "/api/topics/t1/nochan", pause, 200).await;
    let one = r#"got response 404 Not Found \"{\\\"message\\\":\\\"CHANNEL_NOT_FOUND\\\"}\""#;
    assert_eq!(warned, format!(r#"{{"message":"WARNING: {one}\n{one}"}}"#));
}

/// Cases 37 and 38.
#[tokio::test]
async fn na_037_na_038_topics_and_channels_are_created() {
    let cluster = Cluster::start().await;
    assert_eq!(
        cluster.ask("POST", "/api/topics", r#"{"topic":"n1"}"#, 200).await,
        DONE
    );
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.posted(), ["/topic/create?topic=n1"]);
    }
    assert!(cluster.nsqds.iter().all(|nsqd| nsqd.posted().is_empty()));
    let both = r#"{"topic":"t1","channel":"cc"}"#;
    assert_eq!(cluster.ask("POST", "/api/topics", both, 200).await, DONE);
    let channel = "/channel/create?topic=t1&channel=cc";
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.posted(), ["/topic/create?topic=t1", channel]);
    }
    for nsqd in &cluster.nsqds {
        assert_eq!(nsqd.posted(), [channel]);
    }
}

/// Case 39.
#[tokio::test]
async fn na_039_bad_names_are_refused() {
    let cluster = Cluster::start().await;
    for (body, text) in [
        (r#"{"topic":"bad$"}"#, "INVALID_TOPIC"),
        (r#"{"channel":"b"}"#, "INVALID_TOPIC"),
        (r#"{"topic":"ok","channel":"b$"}"#, "INVALID_CHANNEL"),
    ] {
        let answer = cluster.ask("POST", "/api/topics", body, 400).await;
        assert_eq!(answer, format!(r#"{{"message":"{text}"}}"#));
    }
    cluster.ask("POST", "/api/topics", "xx", 400).await;
    assert!(cluster.lookupds[0].posted().is_empty());
}

/// Case 30.
#[tokio::test]
async fn na_030_creating_while_all_nsqlookupds_are_silent() {
    let cluster = Cluster::start().await;
    for lookupd in &cluster.lookupds {
        lookupd.stop().await;
    }
    let warned = cluster.ask("POST", "/api/topics", r#"{"topic":"x"}"#, 200).await;
    assert!(warned.starts_with(r#"{"message":"WARNING: "#), "{warned}");
    cluster
        .ask("POST", "/api/topics", r#"{"topic":"x","channel":"c"}"#, 502)
        .await;
}

/// Cases 40 and 41.
#[tokio::test]
async fn na_040_na_041_deletions_go_everywhere() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.ask("DELETE", "/api/topics/t1/cc", "", 200).await, DONE);
    let everyone = || cluster.lookupds.iter().chain(&cluster.nsqds);
    for upstream in everyone() {
        assert_eq!(upstream.posted(), ["/channel/delete?topic=t1&channel=cc"]);
        upstream.answers("/channel/delete?topic=t1", "CHANNEL_NOT_FOUND");
    }
    let again = cluster.ask("DELETE", "/api/topics/t1/cc", "", 200).await;
    assert_eq!(again.matches("got response 404 Not Found").count(), 4, "{again}");
    everyone().for_each(|upstream| drop(upstream.posted()));
    assert_eq!(cluster.ask("DELETE", "/api/topics/dead", "", 200).await, DONE);
    for lookupd in &cluster.lookupds {
        assert_eq!(lookupd.posted(), ["/topic/delete?topic=dead"]);
    }
    cluster.ask("DELETE", "/api/topics/nope", "", 502).await;
    assert!(everyone().all(|upstream| upstream.posted().is_empty()));
}

/// Cases 42 and 43.
#[tokio::test]
async fn na_042_na_043_a_topic_is_taken_from_one_node() {
    let cluster = Cluster::start().await;
    let [d1, d2] = &cluster.nsqds;
    let path = format!("/api/nodes/{}", d2.address);
    assert_eq!(cluster.ask("DELETE", &path, r#"{"topic":"t1"}"#, 200).await, DONE);
    for lookupd in &cluster.lookupds {
        let node = d2.address.replace(':', "%3A");
        assert_eq!(
            lookupd.posted(),
            [format!("/topic/tombstone?topic=t1&node={node}")]
        );
    }
    assert_eq!(d2.posted(), ["/topic/delete?topic=t1"]);
    assert!(d1.posted().is_empty());
    d2.answers("/topic/delete?topic=t1", "TOPIC_NOT_FOUND");
    let again = cluster.ask("DELETE", &path, r#"{"topic":"t1"}"#, 200).await;
    assert!(
        again.contains("WARNING: ") && again.contains("TOPIC_NOT_FOUND"),
        "{again}"
    );
    for (body, text) in [(r#"{"topic":"b$"}"#, "INVALID_TOPIC"), ("", "INVALID_BODY")] {
        let answer = cluster.ask("DELETE", &path, body, 400).await;
        assert_eq!(answer, format!(r#"{{"message":"{text}"}}"#));
    }
    d2.stop().await;
    cluster.ask("DELETE", &path, r#"{"topic":"t1"}"#, 502).await;
}

/// Every protected route with a body that is wrong.
const PROTECTED: [(&str, &str); 6] = [
    ("POST", "/api/topics"),
    ("POST", "/api/topics/t1"),
    ("POST", "/api/topics/t1/c1"),
    ("DELETE", "/api/topics/t1"),
    ("DELETE", "/api/topics/t1/c1"),
    ("DELETE", "/api/nodes/x:1"),
];

/// Cases 44 and 47.
/// Console spec 11, ui_121: the same with only `--admin-user`, with the next test.
#[tokio::test]
async fn na_044_na_047_only_admins_act_and_everybody_reads() {
    let cluster = Cluster::start_flags("", true, &["--admin-user=alice", "--admin-user=bob"]).await;
    for (method, path) in PROTECTED {
        for header in [
            "X-Other: alice",
            "X-Forwarded-User: Alice",
            "X-Forwarded-User: carol",
            "Authorization: Basic YWxpY2U6eA==",
        ] {
            let (head, body) = cluster.send(method, path, &[header], "xx").await;
            assert!(
                head.starts_with("HTTP/1.1 403 "),
                "{method} {path} {header}: {head}"
            );
            assert_eq!(body, r#"{"message":"FORBIDDEN"}"#);
        }
        for header in ["X-Forwarded-User: alice", "x-forwarded-user: bob"] {
            let (head, _) = cluster.send(method, path, &[header], "xx").await;
            assert!(!head.starts_with("HTTP/1.1 403 "), "{method} {path}: {head}");
        }
    }
    cluster.body("/api/topics").await;
}

/// Case 45.
#[tokio::test]
async fn na_045_another_header_may_name_the_user() {
    let flags = ["--admin-user=alice", "--acl-http-header=X-Me"];
    let cluster = Cluster::start_flags("", true, &flags).await;
    for (header, status) in [("X-Forwarded-User: alice", "403"), ("X-Me: alice", "200")] {
        let body = r#"{"topic":"n1"}"#;
        let (head, _) = cluster.send("POST", "/api/topics", &[header], body).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{header}: {head}"
        );
    }
}

/// Case 51.
#[tokio::test]
async fn na_051_creating_where_nsqds_are_known_by_address() {
    let cluster = Cluster::start_with("", false).await;
    assert_eq!(
        cluster.ask("POST", "/api/topics", r#"{"topic":"zz"}"#, 200).await,
        DONE
    );
    let both = r#"{"topic":"zz","channel":"c"}"#;
    let refused = cluster.ask("POST", "/api/topics", both, 502).await;
    assert_eq!(
        refused,
        r#"{"message":"UPSTREAM_ERROR: failed to query any nsqlookupd: "}"#
    );
    assert!(cluster.nsqds.iter().all(|nsqd| nsqd.posted().is_empty()));
}

/// The notifications, once `count` have come.
async fn told(endpoint: &Fake, count: usize) -> Vec<Value> {
    let come = async {
        while endpoint.bodies().len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), come).await.unwrap();
    let parse = |body: String| serde_json::from_str(&body).unwrap();
    endpoint.bodies().into_iter().map(parse).collect()
}

/// Case 61.
#[tokio::test]
async fn na_061_each_action_is_told() {
    let endpoint = Fake::start().await;
    let flag = format!(
        "--notification-http-endpoint=http://{}/pub?topic=a",
        endpoint.address
    );
    let cluster = Cluster::start_flags("", true, &[&flag]).await;
    let node = format!("/api/nodes/{}", cluster.nsqds[1].address);
    let requests = [
        ("POST", "/api/topics", r#"{"topic":"t1","channel":"c"}"#),
        ("POST", "/api/topics/t1", r#"{"action":"pause"}"#),
        ("POST", "/api/topics/t1", r#"{"action":"unpause"}"#),
        ("POST", "/api/topics/t1", r#"{"action":"empty"}"#),
        ("POST", "/api/topics/t1/c1", r#"{"action":"pause"}"#),
        ("POST", "/api/topics/t1/c1", r#"{"action":"unpause"}"#),
        ("POST", "/api/topics/t1/c1", r#"{"action":"empty"}"#),
        ("DELETE", "/api/topics/t1/c1", ""),
        ("DELETE", "/api/topics/t1", ""),
        ("DELETE", node.as_str(), r#"{"topic":"t1"}"#),
    ];
    for (method, path, body) in requests {
        let headers = [
            "Authorization: Basic YWxpY2U6eA==",
            "User-Agent: test",
            "X-Scheme: https",
        ];
        let (head, _) = cluster.send(method, path, &headers, body).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    }
    let told = told(&endpoint, 11).await;
    let actions: Vec<&str> = told.iter().map(|body| body["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "create_topic",
            "create_channel",
            "pause_topic",
            "unpause_topic",
            "empty_topic",
            "pause_channel",
            "unpause_channel",
            "empty_channel",
            "delete_channel",
            "delete_topic",
            "tombstone_topic_producer",
        ]
    );
    assert!(endpoint.posted().iter().all(|target| target == "/pub?topic=a"));
    let (topic, channel, last) = (&told[2], &told[5], &told[10]);
    assert_eq!((topic.get("channel"), topic.get("node")), (None, None));
    for (key, value) in [
        ("user", "alice"),
        ("user_agent", "test"),
        ("topic", "t1"),
        ("url", "https://x/api/topics/t1"),
    ] {
        assert_eq!(topic[key], value);
    }
    assert_eq!(
        (&topic["timestamp"], &channel["channel"]),
        (&json!(0), &json!("c1"))
    );
    assert!(
        topic["remote_ip"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{topic}"
    );
    assert_ne!(topic["via"], "");
    assert_eq!(last["node"], cluster.nsqds[1].address);
}

/// Case 62; and A16, the user of the header.
#[tokio::test]
async fn na_062_an_endpoint_that_is_down_costs_nothing() {
    let endpoint = Fake::start().await;
    endpoint.stop().await;
    let flag = format!("--notification-http-endpoint=http://{}/", endpoint.address);
    let cluster = Cluster::start_flags("", true, &[&flag]).await;
    for _ in 0..3 {
        let pause = r#"{"action":"pause"}"#;
        assert_eq!(cluster.ask("POST", "/api/topics/t1", pause, 200).await, DONE);
    }
    assert_eq!(cluster.body("/ping").await, "OK");
}

#[tokio::test]
async fn behind_a_proxy_the_header_names_the_user_that_is_told() {
    let endpoint = Fake::start().await;
    let flag = format!("--notification-http-endpoint=http://{}/", endpoint.address);
    let cluster = Cluster::start_flags("", true, &[&flag]).await;
    let headers = ["X-Forwarded-User: bob"];
    cluster.send("DELETE", "/api/topics/t1", &headers, "").await;
    assert_eq!(told(&endpoint, 1).await[0]["user"], "bob");
}

#[tokio::test]
async fn a_page_of_another_site_cannot_act() {
    let cluster = Cluster::start().await;
    let requests = PROTECTED.into_iter().chain([("PUT", "/config/log_level")]);
    for (method, path) in requests {
        for header in ["Sec-Fetch-Site: cross-site", "Origin: http://other"] {
            let (head, body) = cluster.send(method, path, &[header], "{}").await;
            assert!(
                head.starts_with("HTTP/1.1 403 "),
                "{method} {path} {header}: {head}"
            );
            assert_eq!(body, r#"{"message":"FORBIDDEN"}"#);
        }
    }
    let upstreams = cluster.lookupds.iter().chain(&cluster.nsqds);
    assert!(upstreams.into_iter().all(|upstream| upstream.posted().is_empty()));
    let own = ["Origin: http://x"];
    let (head, _) = cluster.send("DELETE", "/api/topics/t1", &own, "").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}
