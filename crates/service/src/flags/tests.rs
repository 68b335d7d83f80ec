use super::*;
use crate::log::Level;

fn tls_required(text: &str) -> Result<(String, i64), String> {
    match text {
        "false" => Ok((text.to_owned(), 0)),
        "true" => Ok((text.to_owned(), 1)),
        "tcp-https" => Ok((text.to_owned(), 2)),
        _ => Err("neither a boolean nor tcp-https".to_owned()),
    }
}

const FLAGS: &[Flag] = &[
    Flag::config(),
    Flag::version(),
    Flag::level("log-level", "info", "log level"),
    Flag::string("tcp-address", "0.0.0.0:4150", "address"),
    Flag::string("broadcast-address", "", "announced"),
    Flag::int("node-id", "0", "node id").key("id"),
    Flag::bool("snappy", true, "offer snappy"),
    Flag::bool("verbose", false, "no effect").flag_only(),
    Flag::duration("msg-timeout", "1m0s", "time-out"),
    Flag::strings("lookupd-tcp-address", "peer").key("nsqlookupd_tcp_addresses"),
    Flag::floats("percentile", "percentiles"),
    Flag::size("budget", "64Mi", "memory"),
    Flag::custom("tls-required", "false", tls_required, true, "require TLS"),
];

fn parse(args: &[&str]) -> Result<Values, Exit> {
    parse_file(args, "")
}

/// Parses `args`; the file `-config f` has the text `file`.
fn parse_file(args: &[&str], file: &str) -> Result<Values, Exit> {
    let program = Program::new("nsqd", FLAGS).default("broadcast-address", "host1");
    program.parse_with(args.iter().map(|arg| (*arg).to_owned()), |path| match path {
        "f" => Ok(file.to_owned()),
        _ => Err("no such file".to_owned()),
    })
}

fn config(file: &str) -> Result<Values, Exit> {
    parse_file(&["-config", "f"], file)
}

fn text(rendered: Option<Rendered>) -> String {
    match rendered {
        Some(Rendered::Text(text)) => text,
        Some(Rendered::Json(json)) => String::from_utf8(json).unwrap(),
        None => "no such key".to_owned(),
    }
}

#[test]
fn defaults_hold_without_arguments() {
    let values = parse(&[]).unwrap();
    assert_eq!(values.string("broadcast-address"), "host1");
    assert_eq!(values.duration("msg-timeout").as_secs(), 60);
    assert_eq!(values.level("log-level"), Level::Info);
    assert_eq!(values.size("budget"), 64 << 20);
    assert!(values.bool("snappy"));
    assert!(values.strings("lookupd-tcp-address").is_empty());
}

#[test]
fn all_four_forms_work_and_the_last_one_wins() {
    for args in [
        &["-node-id", "7"][..],
        &["-node-id=7"],
        &["--node-id", "7"],
        &["--node-id=7"],
        &["--node-id=1", "-node-id=0x7"],
        &["-node-id=07"],
        &["-node-id=0b111"],
    ] {
        assert_eq!(parse(args).unwrap().int("node-id"), 7, "{args:?}");
    }
}

#[test]
fn a_switch_takes_no_following_word_and_the_first_word_ends_the_flags() {
    let values = parse(&["--snappy", "false", "--node-id=3"]).unwrap();
    assert!(values.bool("snappy"));
    assert_eq!(values.int("node-id"), 0);
    assert!(!parse(&["--snappy=F"]).unwrap().bool("snappy"));
    assert_eq!(parse(&["--", "--nope"]).unwrap().int("node-id"), 0);
    assert_eq!(
        parse(&["--tls-required", "tcp-https"])
            .unwrap()
            .int("tls-required"),
        1
    );
    assert_eq!(
        parse(&["--tls-required=tcp-https"]).unwrap().int("tls-required"),
        2
    );
}

#[test]
fn repeatable_flags_accumulate() {
    let values = parse(&["--lookupd-tcp-address=a:1", "--lookupd-tcp-address", "b:2,c:3"]).unwrap();
    assert_eq!(values.strings("lookupd-tcp-address"), ["a:1", "b:2,c:3"]);
    let values = parse(&["--percentile=0.5,0.99", "--percentile=0.9"]).unwrap();
    assert_eq!(values.floats("percentile"), [0.99, 0.9, 0.5]);
}

#[test]
fn wrong_usage_has_gos_text_then_the_usage_and_exit_code_two() {
    for (args, expected) in [
        (&["-nope"][..], "flag provided but not defined: -nope"),
        (&["---x"], "bad flag syntax: ---x"),
        (&["-node-id"], "flag needs an argument: -node-id"),
        (
            &["-node-id=x"],
            "invalid value \"x\" for flag -node-id: parse error",
        ),
        (
            &["-node-id=99999999999999999999"],
            "invalid value \"99999999999999999999\" for flag -node-id: value out of range",
        ),
        (
            &["-snappy=2"],
            "invalid boolean value \"2\" for -snappy: parse error",
        ),
        (
            &["-msg-timeout=5"],
            "invalid value \"5\" for flag -msg-timeout: parse error",
        ),
        (
            &["-log-level", "xx"],
            "invalid value \"xx\" for flag -log-level: invalid log level 'xx' (debug, info, warn, error, fatal)",
        ),
    ] {
        let exit = parse(args).unwrap_err();
        let (first, usage) = exit.stderr.split_once('\n').unwrap();
        assert_eq!((first, exit.code), (expected, 2));
        assert!(usage.starts_with("Usage of nsqd:\n"), "{usage}");
    }
}

#[test]
fn help_and_version_end_well() {
    let exit = parse(&["--help"]).unwrap_err();
    assert_eq!((exit.code, exit.stdout.as_str()), (0, ""));
    assert!(
        exit.stderr
            .contains("  -tcp-address string\n    \taddress (default \"0.0.0.0:4150\")\n")
    );
    assert!(
        exit.stderr
            .contains("  -msg-timeout duration\n    \ttime-out (default 1m0s)\n")
    );
    assert!(exit.stderr.contains("  -verbose\n    \tno effect\n"));
    let exit = parse(&["-version", "-config=missing"]).unwrap_err();
    assert_eq!(exit.code, 0);
    assert!(
        exit.stdout.starts_with("nsqd v1.3.0 (built w/rust"),
        "{}",
        exit.stdout
    );
}

#[test]
fn the_file_is_coerced_and_the_command_line_wins() {
    let file = r#"
        log_level = "warn"
        id = "12"
        msg_timeout = 1500
        snappy = "false"
        nsqlookupd_tcp_addresses = "a:1,b:2"
        percentile = [0.5, 1]
        budget = "1Ki"
        tls_required = true
        verbose = "ignored"
        unknown = [1, 2]
        [table]
        also = "ignored"
    "#;
    let values = config(file).unwrap();
    assert_eq!(values.level("log-level"), Level::Warn);
    assert_eq!(values.int("node-id"), 12);
    assert_eq!(values.duration("msg-timeout").as_millis(), 1500);
    assert!(!values.bool("snappy"));
    assert_eq!(values.strings("lookupd-tcp-address"), ["a:1", "b:2"]);
    assert_eq!(values.floats("percentile"), [0.5, 1.0]);
    assert_eq!(values.size("budget"), 1024);
    assert_eq!(values.int("tls-required"), 1);

    let args = ["-config=f", "-log-level=INFO", "--lookupd-tcp-address=c:3"];
    let values = parse_file(&args, file).unwrap();
    assert_eq!(values.level("log-level"), Level::Info);
    assert_eq!(values.strings("lookupd-tcp-address"), ["c:3"]);
    assert_eq!(
        config("msg_timeout = \"1000\"")
            .unwrap()
            .duration("msg-timeout")
            .as_secs(),
        1
    );
    assert_eq!(
        config("msg_timeout = \"90s\"")
            .unwrap()
            .duration("msg-timeout")
            .as_secs(),
        90
    );
}

#[test]
fn a_bad_file_is_one_fatal_line_and_exit_code_one() {
    for (file, expected) in [
        (
            "log_level = \"loud\"\nid = 1.5",
            "FATAL: failed parsing log_level loud\n",
        ),
        (
            "tls_required = \"yes\"",
            "FATAL: failed parsing tls_required yes\n",
        ),
        (
            "snappy = 0",
            "FATAL: Resolve failed to coerce value 0 for option snappy - an integer is not a boolean",
        ),
        (
            "id = 1.5",
            "FATAL: Resolve failed to coerce value 1.5 for option id - float is not accepted here\n",
        ),
        (
            "tcp_address = 4150",
            "FATAL: Resolve failed to coerce value 4150 for option tcp_address",
        ),
        ("tcp_address = ", "FATAL: failed to load config file f - "),
    ] {
        let exit = config(file).unwrap_err();
        assert_eq!(exit.code, 1);
        assert!(
            exit.stderr.starts_with("[nsqd] ") && exit.stderr.contains(expected),
            "{}",
            exit.stderr
        );
        assert_eq!(exit.stderr.lines().count(), 1, "{}", exit.stderr);
    }
    let exit = parse(&["-config=missing"]).unwrap_err();
    assert!(
        exit.stderr
            .contains("FATAL: failed to load config file missing - no such file\n")
    );
}

#[test]
fn values_are_shown_as_the_config_endpoint_wants_them() {
    let mut values = parse(&["--lookupd-tcp-address=a:1", "--tls-required"]).unwrap();
    for (key, expected) in [
        ("log_level", "2"),
        ("tcp_address", "0.0.0.0:4150"),
        ("id", "0"),
        ("node_id", "no such key"),
        ("snappy", "true"),
        ("msg_timeout", "60000000000"),
        ("nsqlookupd_tcp_addresses", "[\"a:1\"]"),
        ("percentile", "[]"),
        ("tls_required", "1"),
        ("version", "no such key"),
    ] {
        assert_eq!(text(values.render(key)), expected, "{key}");
    }
    values.set("log_level", Value::Level(Level::Error));
    assert_eq!(text(values.render("log_level")), "4");
}
