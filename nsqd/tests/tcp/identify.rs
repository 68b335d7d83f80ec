//! IDENTIFY: cases 124 to 144 of the nsqd specification, as far as they need neither TLS nor compression,
//! and case 3 of the extensions specification.

use std::time::Duration;

use nsq_testkit::{Conn, Daemon, Next, Stopwatch, nsqd, ours_only};
use serde_json::Value;

/// The answer to a negotiation that asks for nothing, byte for byte.
const DEFAULT: &str = concat!(
    r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,"tls_v1":false,"#,
    r#""deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,"#,
    r#""auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250,"#,
    r#""topology_region":"","topology_zone":""}"#
);

const BAD_JSON: &str = "E_BAD_BODY IDENTIFY failed to decode JSON body";

/// [`DEFAULT`], as the nsqd under test knows it: the keys of the topology are younger than the last release of the reference.
fn default_answer() -> String {
    let topology = r#","topology_region":"","topology_zone":"""#;
    if ours_only("topology flags and keys") {
        DEFAULT.replace(topology, "")
    } else {
        DEFAULT.to_owned()
    }
}

/// A connection that sent IDENTIFY with this JSON text.
#[track_caller]
fn identified(daemon: &Daemon, json: &str) -> Conn {
    let mut conn = daemon.connect();
    conn.identify(json);
    conn
}

/// The answer to a negotiation with these further keys.
#[track_caller]
fn negotiate(daemon: &Daemon, keys: &str) -> Value {
    let mut conn = identified(daemon, &format!(r#"{{"feature_negotiation":true,{keys}}}"#));
    let frame = conn.frame();
    assert_eq!(frame.kind, 0, "{}", frame.text());
    serde_json::from_slice(&frame.data).expect("JSON")
}

/// The key must be refused with each of these values, by this name in the text.
#[track_caller]
fn expect_invalid(daemon: &Daemon, key: &str, named: &str, values: &[i64]) {
    for value in values {
        let mut conn = identified(daemon, &format!(r#"{{"{key}":{value}}}"#));
        conn.expect_fatal(&format!("E_BAD_BODY IDENTIFY {named} ({value}) is invalid"));
    }
}

/// The key must come back with each of these values.
#[track_caller]
fn expect_echo(daemon: &Daemon, key: &str, values: &[i64]) {
    for value in values {
        assert_eq!(negotiate(daemon, &format!(r#""{key}":{value}"#))[key], *value);
    }
}

#[test]
fn nd_124_answers_with_and_without_negotiation() {
    let daemon = nsqd!();
    identified(&daemon, "{}").expect_ok();
    identified(&daemon, r#"{"feature_negotiation":true}"#).expect_response(&default_answer());
}

/// A client that knows the extensions of this nsqd, none of which is on.
#[test]
fn ex_003_a_client_that_asks_for_extensions_gets_the_same_bytes() {
    let daemon = nsqd!();
    let request = r#"{"feature_negotiation":true,"extensions":["headers"]}"#;
    identified(&daemon, request).expect_response(&default_answer());
}

#[test]
fn nd_125_the_body_is_one_json_object() {
    let daemon = nsqd!();
    for body in ["null", " {} \n"] {
        identified(&daemon, body).expect_ok();
    }
    for body in ["[]", "{", "{} x"] {
        identified(&daemon, body).expect_fatal(BAD_JSON);
    }
}

#[test]
fn nd_126_an_integer_is_plain() {
    let daemon = nsqd!();
    for value in [r#""30000""#, "30000.0", "3e4"] {
        identified(&daemon, &format!(r#"{{"heartbeat_interval":{value}}}"#)).expect_fatal(BAD_JSON);
    }
}

#[test]
fn nd_127_keys_match_in_any_case() {
    let daemon = nsqd!();
    identified(&daemon, r#"{"Feature_Negotiation":true}"#).expect_response(&default_answer());
}

#[test]
fn nd_128_unknown_keys_are_ignored() {
    let daemon = nsqd!();
    let body = r#"{"short_id":"a","long_id":"a.b","nobody_knows":[1,{"x":null}],"feature_negotiation":true}"#;
    identified(&daemon, body).expect_response(&default_answer());
}

#[test]
fn nd_129_parameters_are_ignored() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    conn.command_with("IDENTIFY a b", b"{}");
    conn.expect_ok();
}

#[test]
fn nd_130_the_size_of_the_body() {
    let daemon = nsqd!();
    for (length, text) in [
        (0, "E_BAD_BODY IDENTIFY invalid body size 0"),
        (-1, "E_BAD_BODY IDENTIFY invalid body size -1"),
        (5_242_881, "E_BAD_BODY IDENTIFY body too big 5242881 > 5242880"),
    ] {
        let mut conn = daemon.connect();
        conn.send(&[b"IDENTIFY\n", i32::to_be_bytes(length).as_slice()].concat());
        conn.expect_fatal(text);
    }
}

#[test]
fn nd_131_heartbeat_interval() {
    let daemon = nsqd!();
    expect_invalid(
        &daemon,
        "heartbeat_interval",
        "heartbeat interval",
        &[-2, 1, 999, 60_001],
    );
    for value in [-1, 0, 1000, 60_000] {
        identified(&daemon, &format!(r#"{{"heartbeat_interval":{value}}}"#)).expect_ok();
    }
}

#[test]
fn nd_132_the_largest_heartbeat_interval_is_an_option() {
    let daemon = nsqd!("--max-heartbeat-interval=300s");
    identified(&daemon, r#"{"heartbeat_interval":300000}"#).expect_ok();
    expect_invalid(&daemon, "heartbeat_interval", "heartbeat interval", &[300_001]);
}

#[test]
fn nd_133_output_buffer_size() {
    let daemon = nsqd!();
    expect_invalid(
        &daemon,
        "output_buffer_size",
        "output buffer size",
        &[-2, 1, 63, 65_537],
    );
    expect_echo(&daemon, "output_buffer_size", &[64, 65_536]);
    let unbuffered = negotiate(&daemon, r#""output_buffer_size":-1"#);
    assert_eq!(
        (
            &unbuffered["output_buffer_size"],
            &unbuffered["output_buffer_timeout"]
        ),
        (&1.into(), &0.into())
    );
}

#[test]
fn nd_134_output_buffer_timeout() {
    let daemon = nsqd!();
    expect_invalid(
        &daemon,
        "output_buffer_timeout",
        "output buffer timeout",
        &[-2, 1, 24, 30_001],
    );
    expect_echo(&daemon, "output_buffer_timeout", &[25, 30_000]);
    assert_eq!(
        negotiate(&daemon, r#""output_buffer_timeout":-1"#)["output_buffer_timeout"],
        0
    );
}

#[test]
fn nd_135_the_timeout_is_checked_before_the_size() {
    let daemon = nsqd!();
    let mut conn = identified(&daemon, r#"{"output_buffer_size":1,"output_buffer_timeout":1}"#);
    conn.expect_fatal("E_BAD_BODY IDENTIFY output buffer timeout (1) is invalid");
}

#[test]
fn nd_136_sample_rate() {
    let daemon = nsqd!();
    expect_invalid(&daemon, "sample_rate", "sample rate", &[-1, 100]);
    identified(&daemon, r#"{"sample_rate":2147483648}"#).expect_fatal(BAD_JSON);
    expect_echo(&daemon, "sample_rate", &[99]);
}

#[test]
fn nd_137_msg_timeout() {
    let daemon = nsqd!();
    expect_invalid(&daemon, "msg_timeout", "msg timeout", &[-1, 1, 999, 900_001]);
    expect_echo(&daemon, "msg_timeout", &[1000, 900_000]);
}

#[test]
fn nd_140_tls_without_a_certificate_is_not_granted() {
    let daemon = nsqd!();
    let mut conn = identified(&daemon, r#"{"feature_negotiation":true,"tls_v1":true}"#);
    conn.expect_response(&default_answer());
    conn.publish("t", b"in clear");
}

#[test]
fn nd_142_identify_may_be_repeated() {
    let daemon = nsqd!();
    let mut conn = daemon.connect();
    for _ in 0..3 {
        conn.identify(r#"{"feature_negotiation":true}"#);
        conn.expect_response(&default_answer());
    }
    conn.subscribe("t", "c");
}

#[test]
fn nd_143_the_first_interval_beats_the_second_cuts() {
    let daemon = nsqd!();
    let mut conn = identified(&daemon, r#"{"heartbeat_interval":1000}"#);
    conn.expect_ok();
    let since = Stopwatch::start();
    conn.identify(r#"{"heartbeat_interval":3000}"#);
    conn.expect_ok();
    let mut count = 0;
    let end = loop {
        match conn.next(Duration::from_millis(2500)) {
            Next::Frame(frame) if frame.is_heartbeat() => count += 1,
            other => break other,
        }
    };
    assert_eq!(end, Next::Closed);
    since.expect_ms(6000, 8000);
    assert!((5..=7).contains(&count), "{count} heartbeats in six seconds");
}

#[test]
fn nd_144_the_name_of_a_client() {
    let daemon = nsqd!();
    let mut conn = daemon.subscribe("t", "unnamed");
    expect_names(&daemon, "unnamed", ["127.0.0.1", "127.0.0.1"]);
    conn.half_close();
    for (channel, body, names) in [
        ("empty", "{}", ["", ""]),
        ("named", r#"{"client_id":"me","hostname":"here"}"#, ["me", "here"]),
    ] {
        let mut conn = identified(&daemon, body);
        conn.expect_ok();
        conn.subscribe("t", channel);
        expect_names(&daemon, channel, names);
    }
}

/// The one client of this channel must have this id and this host name.
#[track_caller]
fn expect_names(daemon: &Daemon, channel: &str, names: [&str; 2]) {
    let client = &daemon.channel("t", channel)["clients"][0];
    assert_eq!([&client["client_id"], &client["hostname"]], names);
}
