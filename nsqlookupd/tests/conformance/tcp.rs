//! The TCP protocol, nsqlookupd spec 10, cases 1 to 24.

use crate::support::{A, Lookupd, ours_only};

/// A body of IDENTIFY that differs from nsqd A's in one place.
fn a_with(from: &str, to: &str) -> String {
    let changed = A.replace(from, to);
    assert_ne!(changed, A);
    changed
}

#[test]
fn nl_001_ping_is_answered() {
    Lookupd::start().connect().ok("PING");
}

#[test]
fn nl_002_a_wrong_magic_is_refused() {
    let lookupd = Lookupd::start();
    let mut connection = lookupd.raw();
    connection.send(b"  V2");
    assert_eq!(connection.answer(), "E_BAD_PROTOCOL");
    connection.ended();
}

#[test]
fn nl_003_half_a_magic_ends_silently() {
    let lookupd = Lookupd::start();
    let mut connection = lookupd.raw();
    connection.send(b"  ");
    connection.end_input();
    connection.ended();
}

#[test]
fn nl_004_commands_may_be_pipelined() {
    let lookupd = Lookupd::start();
    let mut connection = lookupd.raw();
    connection.send(b"  V1PING\nPING\nPING\n");
    for _ in 0..3 {
        assert_eq!(connection.answer(), "OK");
    }
    // many more than one buffer of answers
    connection.send("PING\n".repeat(10_000));
    for _ in 0..10_000 {
        assert_eq!(connection.answer(), "OK");
    }
}

#[test]
fn nl_005_white_space_around_a_command_and_extra_words_are_ignored() {
    let lookupd = Lookupd::start();
    let mut connection = lookupd.connect();
    connection.ok("  PING \r");
    connection.ok("PING foo");
}

#[test]
fn nl_006_nl_007_unknown_commands_are_fatal() {
    let lookupd = Lookupd::start();
    lookupd.connect().fatal("ping", "E_INVALID invalid command ping");
    lookupd.connect().fatal("", "E_INVALID invalid command ");
}

#[test]
fn nl_008_register_needs_identify() {
    let lookupd = Lookupd::start();
    lookupd
        .connect()
        .fatal("REGISTER t c", "E_INVALID client must IDENTIFY");
    lookupd
        .connect()
        .fatal("UNREGISTER", "E_INVALID client must IDENTIFY");
}

#[test]
fn nl_009_identify_answers_who_this_is() {
    let lookupd = Lookupd::start_with(&["--broadcast-address=lookup.host"]);
    let answer = lookupd.connect().identify(A);
    let info: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&answer).unwrap();
    let keys: Vec<_> = info.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "broadcast_address",
            "hostname",
            "http_port",
            "tcp_port",
            "version"
        ]
    );
    assert_eq!(info["broadcast_address"], "lookup.host");
    assert_eq!(info["http_port"], lookupd.http.port());
    assert_eq!(info["tcp_port"], lookupd.tcp.port());
    assert_eq!(info["version"], "1.3.0");
}

#[test]
fn nl_010_a_second_identify_is_fatal() {
    Lookupd::start()
        .nsqd()
        .fatal("IDENTIFY", "E_INVALID cannot IDENTIFY again");
}

#[test]
fn nl_011_missing_fields_are_fatal() {
    let lookupd = Lookupd::start();
    for body in [
        a_with(r#","version":"1.3.0""#, ""),
        a_with(r#""version":"1.3.0""#, r#""version":"""#),
        a_with(r#""tcp_port":5000"#, r#""tcp_port":0"#),
        "null".to_owned(),
    ] {
        let mut connection = lookupd.connect();
        assert_eq!(
            connection.identify(&body),
            "E_BAD_BODY IDENTIFY missing fields",
            "{body}"
        );
        connection.ended();
    }
}

#[test]
fn nl_012_the_host_name_is_optional() {
    let lookupd = Lookupd::start();
    lookupd.nsqd_as(&a_with(r#""hostname":"a","#, ""));
}

#[test]
fn nl_013_what_is_not_the_right_json_is_fatal() {
    let lookupd = Lookupd::start();
    let bodies = ["{", "[1]", "", r#"{"tcp_port":"5000"}"#, &format!("{A} x")];
    for body in bodies {
        let mut connection = lookupd.connect();
        assert_eq!(
            connection.identify(body),
            "E_BAD_BODY IDENTIFY failed to decode JSON body",
            "{body}"
        );
        connection.ended();
    }
}

#[test]
fn nl_014_a_cut_identify_is_told() {
    let lookupd = Lookupd::start();
    for (bytes, expected) in [
        (
            &b"IDENTIFY\n\0\0"[..],
            "E_BAD_BODY IDENTIFY failed to read body size",
        ),
        (
            b"IDENTIFY\n\0\0\0\x0a{}",
            "E_BAD_BODY IDENTIFY failed to read body",
        ),
    ] {
        let mut connection = lookupd.connect();
        connection.send(bytes);
        connection.end_input();
        assert_eq!(connection.answer(), expected);
        connection.ended();
    }
}

/// The reference dies of a negative length.
#[test]
fn nl_015_a_negative_or_huge_length_hurts_nobody_else() {
    if ours_only("B1 IDENTIFY with a negative length") {
        return;
    }
    let lookupd = Lookupd::start();
    let mut other = lookupd.connect();
    for (length, expected) in [
        (-5, "E_BAD_BODY IDENTIFY failed to read body size"),
        (i32::MAX, "E_BAD_BODY IDENTIFY failed to read body"),
        ((1 << 20) + 1, "E_BAD_BODY IDENTIFY failed to read body"),
    ] {
        let mut connection = lookupd.connect();
        connection.send(b"IDENTIFY\n");
        connection.send(i32::to_be_bytes(length));
        assert_eq!(connection.answer(), expected);
        connection.ended();
        other.ok("PING");
    }
}

#[test]
fn nl_016_the_remote_address_cannot_be_claimed() {
    let lookupd = Lookupd::start();
    let connection = lookupd.nsqd_as(&A.replacen('{', r#"{"remote_address":"spoof","#, 1));
    let own = connection.stream.local_addr().unwrap().to_string();
    assert_eq!(lookupd.nodes()[0]["remote_address"], own);
}

/// nl_017, nl_018, nl_019
#[test]
fn nl_017_to_nl_019_parameters_are_checked() {
    let lookupd = Lookupd::start();
    for (line, expected) in [
        ("REGISTER", "E_INVALID REGISTER insufficient number of params"),
        ("UNREGISTER", "E_INVALID UNREGISTER insufficient number of params"),
        ("REGISTER  t", "E_BAD_TOPIC REGISTER topic name '' is not valid"),
        (
            "REGISTER a$b",
            "E_BAD_TOPIC REGISTER topic name 'a$b' is not valid",
        ),
        (
            "REGISTER a b$",
            "E_BAD_CHANNEL REGISTER channel name 'b$' is not valid",
        ),
        (
            "UNREGISTER a$b",
            "E_BAD_TOPIC UNREGISTER topic name 'a$b' is not valid",
        ),
        (
            "UNREGISTER a b$",
            "E_BAD_CHANNEL UNREGISTER channel name 'b$' is not valid",
        ),
    ] {
        lookupd.nsqd().fatal(line, expected);
    }
}

#[test]
fn nl_020_the_length_of_names_is_checked() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok(&format!("REGISTER {}", "x".repeat(64)));
    nsqd.ok("REGISTER x#ephemeral");
    for name in ["x".repeat(65), "#ephemeral".to_owned()] {
        let expected = format!("E_BAD_TOPIC REGISTER topic name '{name}' is not valid");
        lookupd.nsqd().fatal(&format!("REGISTER {name}"), &expected);
    }
}

#[test]
fn nl_021_words_after_the_channel_are_ignored() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER a b c d");
    assert_eq!(
        (lookupd.topics(), lookupd.channels("a")),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
}

#[test]
fn nl_022_unregister_of_something_unknown_is_fine() {
    let lookupd = Lookupd::start();
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("UNREGISTER nope");
    nsqd.ok("UNREGISTER nope c");
}

#[test]
fn nl_023_a_cut_line_is_not_answered() {
    let lookupd = Lookupd::start();
    let mut connection = lookupd.connect();
    connection.send(b"PING");
    connection.end_input();
    connection.ended();
}

#[test]
fn nl_024_a_long_line_is_read_up_to_the_cap() {
    let lookupd = Lookupd::start();
    lookupd.connect().ok(&format!("PING {}", "x".repeat(100_000)));
    if ours_only("B2 bounds") {
        return;
    }
    let mut connection = lookupd.connect();
    // ends by itself, without a newline, once it is too long
    let _ = std::io::Write::write_all(&mut connection.stream, &vec![b'x'; (1 << 20) + 1]);
    assert_eq!(connection.answer(), "E_INVALID line exceeds 1048576 bytes");
    connection.ended();
}
