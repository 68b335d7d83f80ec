//! Names of topics and channels: cases 22 to 32 of the nsqd specification.

use nsq_testkit::{Daemon, nsqd};

/// Publishing to this topic must fail with the text for an invalid name, quoted as given.
#[track_caller]
fn expect_bad_topic(daemon: &Daemon, topic: &str, quoted: &str) {
    let mut conn = daemon.connect();
    conn.command(&format!("PUB {topic}"));
    conn.expect_fatal(&format!("E_BAD_TOPIC PUB topic name {quoted} is not valid"));
}

#[test]
fn nd_022_valid_names() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    for topic in ["test", "test-with_period.", "a.b-c_D9", "test#ephemeral"] {
        conn.publish(topic, b"x");
    }
}

#[test]
fn nd_023_a_colon_is_not_valid() {
    expect_bad_topic(&nsqd!(), "a:b", r#""a:b""#);
}

#[test]
fn nd_024_a_name_has_at_most_64_characters() {
    let daemon = nsqd!();
    daemon.connect().publish(&"a".repeat(64), b"x");
    let long = "a".repeat(65);
    expect_bad_topic(&daemon, &long, &format!("\"{long}\""));
}

#[test]
fn nd_025_the_suffix_counts() {
    let daemon = nsqd!();
    daemon
        .connect()
        .publish(&format!("{}#ephemeral", "a".repeat(54)), b"x");
    let long = format!("{}#ephemeral", "a".repeat(55));
    expect_bad_topic(&daemon, &long, &format!("\"{long}\""));
}

#[test]
fn nd_026_a_hash_starts_the_suffix_only() {
    let daemon = nsqd!();
    for topic in ["#ephemeral", "a#b", "a#ephemeralx"] {
        expect_bad_topic(&daemon, topic, &format!("\"{topic}\""));
    }
}

#[test]
fn nd_027_an_empty_name_is_not_valid() {
    expect_bad_topic(&nsqd!(), "", r#""""#);
}

#[test]
fn nd_028_two_spaces_hold_an_empty_name() {
    expect_bad_topic(&nsqd!(), " t", r#""""#);
}

#[test]
fn nd_029_a_bad_name_is_quoted() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.send(b"PUB a\"b\xff\x01\n");
    conn.expect_fatal(r#"E_BAD_TOPIC PUB topic name "a\"b\xff\x01" is not valid"#);
}

#[test]
fn nd_030_sub_checks_the_topic_first() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("SUB a:b c:h");
    conn.expect_fatal(r#"E_BAD_TOPIC SUB topic name "a:b" is not valid"#);
}

#[test]
fn nd_031_a_channel_has_the_same_rule() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command("SUB t c:h");
    conn.expect_fatal(r#"E_BAD_CHANNEL SUB channel name "c:h" is not valid"#);
}

#[test]
fn nd_032_case_matters() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.publish("topic", b"x");
    conn.publish("Topic", b"x");
    for topic in ["topic", "Topic"] {
        daemon.expect_topic(topic, &[("message_count", 1)]);
    }
    assert_eq!(daemon.stats()["topics"].as_array().unwrap().len(), 2);
}
