//! `/config`.

use crate::support::Cluster;

/// Cases 54 and 56. One test sets the level, because the level belongs to the process.
#[tokio::test]
async fn na_054_na_056_options_are_shown_and_the_level_is_set() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.body("/config/log_level").await, "2");
    assert_eq!(cluster.ask("PUT", "/config/log_level", "DEBUG", 200).await, "1");
    assert_eq!(cluster.body("/config/log_level").await, "1");
    let invalid = r#"{"message":"INVALID_VALUE"}"#;
    for wrong in [r#""info""#, "warning", "5"] {
        assert_eq!(cluster.ask("PUT", "/config/log_level", wrong, 400).await, invalid);
    }
    assert_eq!(cluster.ask("PUT", "/config/log_level", "", 413).await, invalid);
    assert_eq!(cluster.body("/config/http_address").await, "127.0.0.1:0");
    assert_eq!(
        cluster.body("/config/http_client_request_timeout").await,
        "5000000000"
    );
    assert_eq!(cluster.body("/config/statsd_interval").await, "60000000000");
    let unknown = r#"{"message":"INVALID_OPTION"}"#;
    assert_eq!(cluster.ask("GET", "/config/nope", "", 400).await, unknown);
    assert_eq!(cluster.ask("PUT", "/config/base_path", "/x", 400).await, unknown);
    cluster.ask("POST", "/config/log_level", "info", 405).await;
}

/// Case 55.
#[tokio::test]
async fn na_055_nsqlookupds_are_replaced() {
    let cluster = Cluster::start().await;
    let path = "/config/nsqlookupd_http_addresses";
    let [l1, l2] = &cluster.lookupds;
    let both = format!(r#"["{}","{}"]"#, l1.address, l2.address);
    assert_eq!(cluster.body(path).await, both);
    let one = format!(r#"["{}"]"#, l1.address);
    assert_eq!(cluster.ask("PUT", path, &one, 200).await, one);
    assert_eq!(cluster.body(path).await, one);
    let asked = l2.asked();
    cluster.body("/api/topics").await;
    assert_eq!(l2.asked(), asked);
    let invalid = r#"{"message":"INVALID_VALUE"}"#;
    assert_eq!(cluster.ask("PUT", path, r#""x""#, 400).await, invalid);
    assert_eq!(cluster.ask("PUT", path, "[]", 200).await, "[]");
    cluster.ask("GET", "/api/topics", "", 502).await;
}

/// Case 57.
#[tokio::test]
async fn na_057_a_value_has_a_longest_length() {
    let cluster = Cluster::start().await;
    let path = "/config/log_level";
    cluster.ask("PUT", path, &"x".repeat(1_048_576), 400).await;
    let answer = cluster.ask("PUT", path, &"x".repeat(1_048_577), 413).await;
    assert_eq!(answer, r#"{"message":"INVALID_VALUE"}"#);
}

#[tokio::test]
async fn options_are_shown_to_a_network_only() {
    let cluster = Cluster::start_flags("", true, &["--allow-config-from-cidr=10.0.0.0/8"]).await;
    for (method, body) in [("GET", ""), ("PUT", "info")] {
        let refused = cluster.ask(method, "/config/log_level", body, 403).await;
        assert_eq!(refused, r#"{"message":"FORBIDDEN"}"#);
    }
    let cluster = Cluster::start_flags("", true, &["--allow-config-from-cidr="]).await;
    cluster.body("/config/log_level").await;
}

#[tokio::test]
async fn who_may_not_act_may_not_set_anything() {
    let cluster = Cluster::start_flags("", true, &["--admin-user=alice"]).await;
    cluster.ask("PUT", "/config/log_level", "info", 403).await;
    cluster.body("/config/base_path").await;
}
