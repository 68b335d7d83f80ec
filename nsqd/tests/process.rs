//! The program around the engine: cases 205, 206 and 247 to 254 of the nsqd specification.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; what another process left behind is looked at with the real files"
)]

use nsq_testkit::{Daemon, Ended, Launch, nsqd_binary, ours_only, run_to_end};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use tempfile::TempDir;

fn launch() -> Launch {
    Launch::new(nsqd_binary(env!("CARGO_BIN_EXE_nsqd")))
}

/// A run that is expected to end by itself, in a folder of its own and with free ports.
fn run(flags: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), flags)
}

fn run_in(folder: &Path, flags: &[&str]) -> Ended {
    let mut all = vec!["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];
    all.extend(flags);
    run_to_end(&nsqd_binary(env!("CARGO_BIN_EXE_nsqd")), &all, folder)
}

#[track_caller]
fn assert_fatal(ended: &Ended, text: &str) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("[nsqd] ") && last.contains("FATAL: "), "{last}");
    assert!(last.contains(text), "{text} is not in {last}");
}

fn config(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("nsqd.toml");
    fs::write(&path, text).unwrap();
    format!("--config={}", path.display())
}

/// An option that clients are told.
fn msg_timeout_ms(daemon: &Daemon) -> u64 {
    let mut conn = daemon.connect();
    conn.identify(r#"{"feature_negotiation":true}"#);
    let answer: serde_json::Value = serde_json::from_slice(&conn.frame().data).unwrap();
    answer["msg_timeout"].as_u64().unwrap()
}

#[test]
fn nd_205_a_second_process_on_the_same_data_path_does_not_start() {
    let daemon = launch().start();
    let path = daemon.data().display().to_string();
    let ended = run(&[&format!("--data-path={path}")]);
    let text = "failed to instantiate nsqd - failed to lock data-path: cannot flock directory";
    assert_fatal(&ended, &format!("{text} {path} - "));
    assert_fatal(&ended, "(possibly in use by another instance of nsqd)");
    daemon.get("/ping").expect(200, "OK");
}

#[test]
fn nd_206_a_missing_data_path_ends_the_start() {
    assert_fatal(
        &run(&["--data-path=nowhere"]),
        "failed to lock data-path: open nowhere: no such file or directory",
    );
}

/// A folder that is there and takes no file.
#[test]
fn a_data_path_that_cannot_be_written_ends_the_start() {
    let ended = run(&["--data-path=/proc"]);
    assert_fatal(&ended, "failed to persist metadata - open /proc/nsqd.dat.");
}

#[test]
fn nd_247_the_version_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run_in(folder.path(), &["--version"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with("nsqd v1.3.0 (built w/"), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nd_248_wrong_usage() {
    for flag in ["--nope", "--msg-timeout=60", "--log-level=bad", "--worker-id=3"] {
        let ended = run(&[flag]);
        assert_eq!(ended.code, Some(2), "{flag}: {ended:?}");
        assert!(
            ended.stderr.contains("Usage of nsqd:"),
            "{flag}: {}",
            ended.stderr
        );
    }
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stderr.contains("Usage of nsqd:"), "{help:?}");
}

#[test]
fn nd_249_a_start_that_fails() {
    for (flag, text) in [
        ("--node-id=1024", "--node-id must be [0,1024)"),
        ("--max-deflate-level=0", "--max-deflate-level must be [1,9]"),
        ("--max-deflate-level=10", "--max-deflate-level must be [1,9]"),
    ] {
        assert_fatal(&run(&[flag]), &format!("failed to instantiate nsqd - {text}"));
    }
}

#[test]
fn nd_249_a_port_in_use_leaves_the_data_untouched() {
    let daemon = launch().start();
    let folder = tempfile::tempdir().unwrap();
    let addresses = [("--tcp-address", daemon.tcp()), ("--http-address", daemon.http())];
    for (flag, address) in addresses {
        let ended = run_in(folder.path(), &[&format!("{flag}={address}")]);
        assert_fatal(&ended, &format!("listen ({address}) failed - "));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// As under a service manager, which gives a small soft limit for programs that cannot do with more.
#[test]
fn more_connections_are_taken_than_the_soft_limit_of_open_files_has_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let limited = folder.path().join("limited");
    let nsqd = nsqd_binary(env!("CARGO_BIN_EXE_nsqd"));
    let script = format!("#!/bin/sh\nulimit -S -n 64\nexec '{}' \"$@\"\n", nsqd.display());
    fs::write(&limited, script).unwrap();
    fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = Launch::new(limited).start();
    let mut open: Vec<_> = (0..200).map(|_| daemon.connect()).collect();
    for conn in &mut open {
        conn.publish("t", b"m");
    }
    daemon.expect_topic("t", &[("message_count", 200)]);
}

#[test]
fn nd_250_flags_without_effect() {
    let mut daemon = launch().flag("--verbose").flag("--worker-id").start();
    daemon.get("/ping").expect(200, "OK");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn nd_251_the_config_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(&folder, "msg_timeout = 2500\nno_such_option = 1\n");
    assert_eq!(msg_timeout_ms(&launch().flag(&file).start()), 2500);
    let both = launch().flag(&file).flag("--msg-timeout=3s").start();
    assert_eq!(msg_timeout_ms(&both), 3000);
    let file = config(&folder, "log_level = \"zz\"\n");
    assert_fatal(&run(&[&file]), "failed parsing log_level zz");
    assert_fatal(
        &run(&["--config=nowhere.toml"]),
        "failed to load config file nowhere.toml - ",
    );
}

#[track_caller]
fn ends_cleanly_and_keeps_its_messages(signal: Signal) {
    let mut daemon = launch().start();
    daemon.connect().publish("t", b"kept");
    daemon.expect_topic("t", &[("depth", 1)]);
    daemon.signal(signal);
    assert_eq!(daemon.wait(), Some(0));
    let log = daemon.log();
    assert!(log.trim_end().ends_with("INFO: NSQ: bye"), "{log}");
    daemon.restart();
    daemon.expect_topic("t", &[("depth", 1)]);
}

#[test]
fn nd_252_a_signal_ends_it_cleanly() {
    ends_cleanly_and_keeps_its_messages(Signal::TERM);
    ends_cleanly_and_keeps_its_messages(Signal::INT);
}

#[test]
fn a_hangup_ends_it_cleanly_too() {
    if !ours_only("A30 SIGHUP") {
        ends_cleanly_and_keeps_its_messages(Signal::HUP);
    }
}

#[test]
fn a_silent_connection_does_not_hold_up_the_end() {
    if ours_only("clients that sent no magic") {
        return;
    }
    let mut daemon = launch().start();
    let _silent = daemon.connect_raw();
    let _idle = daemon.connect();
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn the_first_lines_of_a_start() {
    let daemon = launch().flag("--node-id=7").start();
    let log = daemon.log();
    let mut lines = log.lines();
    for text in [
        "INFO: nsqd v1.3.0 (built w/",
        "INFO: ID: 7",
        "INFO: NSQ: persisting topic/channel metadata to ",
        "INFO: TCP: listening on 127.0.0.1:",
    ] {
        assert!(lines.any(|line| line.contains(text)), "{text}: {log}");
    }
    assert_eq!(log.matches("HTTP: listening on ").count(), 1, "{log}");
}

/// What nsqio/nsq v1.3.0 does not know, with values that are not the defaults.
/// (`log-output` has a test of its own: these daemons are read on standard error.)
const EXTENSIONS: [(&str, &str); 6] = [
    ("join-timeout", "2s"),
    ("log-format", "json"),
    ("magic-timeout", "1m"),
    ("max-defer-timeout", "2h"),
    ("metrics-max-channels", "10"),
    ("ops-address", "127.0.0.1:0"),
];

#[test]
fn ex_006_extensions_are_strings_in_a_file_too() {
    let key = |flag: &str| flag.replace('-', "_");
    let folder = tempfile::tempdir().unwrap();
    let lines = EXTENSIONS.map(|(flag, value)| format!("{} = \"{value}\"\n", key(flag)));
    let launch = || Launch::new(env!("CARGO_BIN_EXE_nsqd"));
    let by_file = launch().flag(config(&folder, &lines.concat())).start();
    let by_flag = EXTENSIONS.iter().fold(launch(), |launch, (flag, value)| {
        launch.flag(format!("--{flag}={value}"))
    });
    let (by_flag, by_default) = (by_flag.start(), launch().start());
    for (flag, _) in EXTENSIONS {
        let shown = |daemon: &Daemon| daemon.get(&format!("/config/{}", key(flag))).text();
        assert_eq!(shown(&by_file), shown(&by_flag), "{flag}");
        assert_ne!(shown(&by_file), shown(&by_default), "{flag}");
    }
    assert_eq!(by_file.ask_ops("GET", "/livez").status, 200);
}

#[test]
fn ex_123_lines_are_json_where_that_is_asked_for() {
    if ours_only("log lines as JSON, and on standard output") {
        return;
    }
    let mut daemon = launch().flag("--log-format=json").start();
    daemon.connect().publish("t", b"m");
    assert_eq!(daemon.get("/ping").status, 200);
    assert_eq!(daemon.stop(), Some(0));
    let log = daemon.log();
    assert!(log.lines().count() > 5, "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for key in ["time", "severity", "message", "module"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
    }
    let mut plain = launch().start();
    assert_eq!(plain.stop(), Some(0));
    assert!(
        plain.log().lines().all(|line| line.starts_with("[nsqd] ")),
        "{}",
        plain.log()
    );

    let ended = run(&["--log-format=json", "--tcp-address=256.0.0.1:1"]);
    let last: serde_json::Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((ended.code, &last["severity"]), (Some(1), &"CRITICAL".into()));
    for (flag, text) in [
        ("--log-format=xml", "invalid log-format 'xml' (text, json)"),
        ("--log-output=file", "invalid log-output 'file' (stderr, stdout)"),
    ] {
        let ended = run(&[flag]);
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
        assert_eq!(ended.code, Some(1));
    }
}

#[test]
fn nd_253_without_http() {
    let mut daemon = launch().flag("--http-address=").start();
    daemon.connect().publish("t", b"m");
    assert_eq!(daemon.stop(), Some(0));
    assert!(!daemon.log().contains("HTTP: listening"), "{}", daemon.log());
}

#[test]
fn nd_254_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let (tcp, http) = (folder.path().join("tcp"), folder.path().join("http"));
    let flags = [
        format!("--tcp-address={}", tcp.display()),
        format!("--http-address={}", http.display()),
    ];
    let mut daemon = launch().flag(&flags[0]).flag(&flags[1]).start();

    let mut client = UnixStream::connect(&tcp).unwrap();
    client.write_all(b"  V2PUB t\n\x00\x00\x00\x01m").unwrap();
    let mut answer = [0; 10];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x00\x00\x00\x06\x00\x00\x00\x00OK");

    let mut client = UnixStream::connect(&http).unwrap();
    let request = b"GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(request).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    for key in [r#""http_port":-1"#, r#""tcp_port":-1"#] {
        assert!(answer.contains(key), "{answer}");
    }

    let second = run(&[&flags[0]]);
    assert_fatal(&second, &format!("listen ({}) failed - ", tcp.display()));
    assert_eq!(daemon.stop(), Some(0));
    assert!(!tcp.exists() && !http.exists());
}
