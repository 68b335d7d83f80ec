//! Configuration files of the daemons.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "reads the golden manifests")]

mod clusters;

use clusters::{build, golden};
use nsq_operator::build::{ObjectKind, objects, with_hot_options};
use serde_json::json;

/// The files read as TOML, with the values that were asked for.
#[test]
fn every_option_stands_in_the_file_with_its_value() {
    let (_, cluster) = golden()
        .into_iter()
        .find(|(name, _)| name == "full.in.yaml")
        .unwrap();
    let objects = objects(&cluster);
    let file = |prefix: &str, key: &str| -> toml::Table {
        let mut maps = objects
            .iter()
            .filter(|object| object.kind == ObjectKind::ConfigMap);
        let map = maps.find(|map| map.name.starts_with(prefix)).unwrap();
        map.object["data"][key].as_str().unwrap().parse().unwrap()
    };
    let expected: toml::Table = include_str!("cases/full_nsqd.toml").parse().unwrap();
    assert_eq!(file("c-nsqd-", "nsqd.cfg"), expected);
    assert_eq!(
        file("c-nsqlookupd", "nsqlookupd.cfg")["tombstone_lifetime"].as_str(),
        Some("1m")
    );
    let admin = file("c-nsqadmin", "nsqadmin.cfg");
    assert_eq!(admin["admin_users"].as_array().unwrap().len(), 2);
    assert_eq!(admin["kubernetes_cluster"].as_str(), Some("ns/c"));
    // A user's choice wins over the operator's default.
    assert_eq!(
        (admin["log_format"].as_str(), admin["log_output"].as_str()),
        (Some("text"), Some("stdout"))
    );
}

#[test]
fn any_text_survives_the_file() {
    let text = "a\"b\\c\u{7f}\u{1}\n\té=#";
    let objects = build(&json!({"nsqd": {"extraOptions": {"log_prefix": text}}}));
    let map = objects
        .iter()
        .find(|object| object.name.starts_with("c-nsqd-") && object.kind == ObjectKind::ConfigMap);
    let file: toml::Table = map.unwrap().object["data"]["nsqd.cfg"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(file["log_prefix"].as_str(), Some(text));
}

#[test]
fn an_older_file_gets_the_hot_options_of_now_and_keeps_the_rest() {
    let old = "log_level = \"debug\"\nmax_rdy_count = 7\nnsqlookupd_tcp_addresses = [\"a:4160\"]\nstatsd_prefix = \"a = b\"\n";
    let two = ["a:4160".to_owned(), "b:4160".to_owned()];
    assert_eq!(
        with_hot_options(old, &two, None),
        "max_rdy_count = 7\nnsqlookupd_tcp_addresses = [\"a:4160\", \"b:4160\"]\nstatsd_prefix = \"a = b\"\n"
    );
    let warn = Some(nsq_operator::api::LogLevel::Warn);
    assert_eq!(
        with_hot_options(old, &[], warn),
        "log_level = \"warn\"\nmax_rdy_count = 7\nnsqlookupd_tcp_addresses = []\nstatsd_prefix = \"a = b\"\n"
    );
}
