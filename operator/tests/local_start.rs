//! `nsq-operator`: the command line, and how `local` starts (operator spec 8.1, 8.5).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod local;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use local::{Local, await_gone, bin_dir, is_upstream, manifest, request, run, text};
use nsq_testkit::Conn;
use rustix::process::Signal;

/// OP-193: help, an unknown flag, the environment twin of a flag, and the flag that beats it.
#[test]
fn op_193_help_unknown_flag_and_environment() {
    let home = tempfile::tempdir().unwrap();
    for subcommand in ["local", "check", "render", "crd"] {
        let help = run(&[subcommand, "--help"], &[], home.path());
        assert_eq!(help.code, Some(0), "{subcommand}");
        assert!(
            help.stdout.contains("Example:\n  nsq-operator "),
            "{}",
            help.stdout
        );
        let unknown = run(&[subcommand, "--no-such-flag"], &[], home.path());
        assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
        assert!(unknown.stderr.contains("--no-such-flag") && unknown.stderr.contains("--help"));
    }
    assert!(!run(&["--help"], &[], home.path()).stdout.contains("run-child"));
    let version = run(&["--version"], &[], home.path());
    assert_eq!(version.code, Some(0));
    let expected = concat!("nsq-operator ", env!("CARGO_PKG_VERSION"), " (");
    assert!(
        version.stdout.starts_with(expected) && version.stdout.ends_with(")\n"),
        "{}",
        version.stdout
    );
    let twin = run(&["crd"], &[("NSQ_OPERATOR_KIND", "NsqTopic")], home.path());
    assert!(twin.stdout.contains("kind: NsqTopic") && !twin.stdout.contains("kind: NsqChannel"));
    let flag = run(
        &["crd", "--kind=NsqChannel"],
        &[("NSQ_OPERATOR_KIND", "NsqTopic")],
        home.path(),
    );
    assert!(flag.stdout.contains("kind: NsqChannel") && !flag.stdout.contains("kind: NsqTopic"));
}

/// OP-194, first part: the built-in cluster, its table and lines to copy, publish and consume through discovery.
#[test]
fn op_194_without_a_manifest() {
    if is_upstream() {
        // the built-in manifest wants our own daemons
        return;
    }
    let turn = local::turn();
    let usual = [4150, 4151, 4160, 4161, 4171];
    let free: Vec<bool> = usual
        .iter()
        .map(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .collect();
    let mut local = Local::start_in_turn(turn, tempfile::tempdir().unwrap(), &[]);
    nsq_testkit::eventually(local::PATIENCE, || {
        local.stdout().contains("cluster local   Running")
    });
    let ports: serde_json::Value =
        serde_json::from_str(&text(&local.home.path().join("nsq-data/local/ports.json"))).unwrap();
    let port = |daemon: &str, kind: &str| u16::try_from(ports[daemon][kind].as_u64().unwrap()).unwrap();
    let given = [
        port("nsqd-0", "tcp"),
        port("nsqd-0", "http"),
        port("nsqlookupd-0", "tcp"),
        port("nsqlookupd-0", "http"),
        port("nsqadmin", "http"),
    ];
    for ((usual, given), free) in usual.iter().zip(given).zip(free) {
        assert!(!free || *usual == given, "{usual} was free, {given} was taken");
    }
    let stdout = local.stdout();
    for line in [
        format!(
            "publish   curl -d hello 'http://127.0.0.1:{}/pub?topic=test'",
            given[1]
        ),
        format!(
            "consume   nsq_tail --topic=test --lookupd-http-address=127.0.0.1:{}",
            given[3]
        ),
        format!("console   http://127.0.0.1:{}/", given[4]),
        "data      ./nsq-data/local (kept)    stop with Ctrl-C".to_owned(),
    ] {
        assert!(stdout.contains(&line), "{line}\n{stdout}");
    }
    assert_eq!(
        request(given[1], "POST", "/pub?topic=test", "hello"),
        Some((200, "OK".to_owned()))
    );
    let lookup = || {
        request(given[3], "GET", "/lookup?topic=test", "")
            .map(|(_, body)| body)
            .unwrap_or_default()
    };
    let tcp = format!("\"tcp_port\":{}", given[0]);
    nsq_testkit::eventually(local::PATIENCE, || lookup().contains(&tcp));
    assert_eq!(receive(given[0], "test"), b"hello");
    local.stop();
    assert!(local.stdout().contains("nsqadmin stopped\n") && local.stdout().contains("nsqd-0 stopped\n"));
}

/// Reads one message as a consumer.
fn receive(port: u16, topic: &str) -> Vec<u8> {
    let mut conn = Conn::connect(([127, 0, 0, 1], port).into());
    conn.send(b"  V2");
    conn.subscribe(topic, "archive");
    conn.command("RDY 1");
    let message = conn.message();
    conn.command(&format!("FIN {}", message.id));
    message.body
}

/// OP-194, second part: several nodes 100 apart, `--save` writes once, `--ephemeral` leaves nothing behind.
#[test]
fn op_194_manifest_save_and_ephemeral() {
    let mut local = Local::running(&manifest(2, 1, ""));
    let (first, second) = (local.port("nsqd-0", "tcp"), local.port("nsqd-1", "tcp"));
    assert!(second == 4250 || TcpListener::bind(("127.0.0.1", 4250)).is_err() || first != 4150);
    assert_eq!(text(&local.data().join(".gitignore")), "*\n");
    local.stop();
    // its turn ends with it
    drop(local);

    let home = tempfile::tempdir().unwrap();
    let saved = home.path().join("own.yaml");
    std::fs::write(&saved, "taken").unwrap();
    let refused = run(&["local", "--save", "own.yaml"], &[], home.path());
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.starts_with("error: cannot write own.yaml: "),
        "{}",
        refused.stderr
    );
    assert_eq!(text(&saved), "taken");
    std::fs::remove_file(&saved).unwrap();
    if is_upstream() {
        return;
    }
    let mut local = Local::start_in(home, &["--save", "own.yaml", "--ephemeral", "--output", "json"]);
    local.await_phase("Running");
    assert!(text(&local.home.path().join("own.yaml")).contains("kind: NsqCluster"));
    let temporary = temporary_folders();
    assert!(!temporary.is_empty());
    local.stop();
    assert!(temporary.iter().all(|folder| !folder.exists()) && !local.home.path().join("nsq-data").exists());
}

/// Data folders of the running children.
fn temporary_folders() -> Vec<std::path::PathBuf> {
    let names = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let ours = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("nsq-local-"));
    ours.map(|entry| entry.path())
        .filter(|path| path.join("ports.json").exists())
        .collect()
}

/// OP-195: a busy port is replaced, the table says so, and the choice is remembered.
#[test]
fn op_195_busy_ports() {
    let turn = local::turn();
    let mut busy = None;
    // another program of this machine may have it for the moment
    nsq_testkit::eventually(local::PATIENCE, || {
        busy = TcpListener::bind(("127.0.0.1", 4151)).ok();
        busy.is_some()
    });
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("m.yaml"), manifest(1, 1, "")).unwrap();
    let mut local = Local::start_in_turn(turn, home, &["-f", "m.yaml"]);
    nsq_testkit::eventually(local::PATIENCE, || {
        local.stdout().contains("cluster demo   Running")
    });
    let chosen = local.port("nsqd-0", "http");
    assert_ne!(chosen, 4151);
    let stdout = local.stdout();
    assert!(
        stdout.contains("port 4151 is busy") || stdout.contains("ports 4151, 4150 are busy"),
        "{stdout}"
    );
    local.stop();
    drop(busy);
    local.start_again(&["-f", "m.yaml", "--output", "json"]);
    local.await_phase("Running");
    assert_eq!(local.port("nsqd-0", "http"), chosen);
    local.stop();
}

/// OP-200: a second instance on the same data folder.
#[test]
fn op_200_second_instance() {
    let mut local = Local::running(&manifest(1, 1, ""));
    let bins = bin_dir();
    let second = run(
        &["local", "-f", "m.yaml", "--bin-dir", bins.to_str().unwrap()],
        &[],
        local.home.path(),
    );
    assert_eq!(second.code, Some(4));
    let expected = format!("in use by another nsq-operator local, PID {}\n", local.child.id());
    assert!(second.stderr.ends_with(&expected), "{}", second.stderr);
    local.stop();
}

/// Four mistakes are all listed with their lines, exit code 3, and nothing is started.
#[test]
fn four_mistakes_are_listed_with_their_lines() {
    let home = tempfile::tempdir().unwrap();
    let text = "apiVersion: nsq.rs/v1alpha1
kind: NsqCluster
metadata:
  name: demo
spec:
  nsqd:
    replicas: 2000
    replicaz: 3
    drain: {settle: 1h}
  lookupd:
    options:
      tombstoneLifetime: 1s
";
    std::fs::write(home.path().join("m.yaml"), text).unwrap();
    let output = run(&["local", "-f", "m.yaml"], &[], home.path());
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{}", output.stderr);
    for (line, what) in [
        (7, "replicas"),
        (8, "replicaz"),
        (9, "drain.settle must be between 1s and 10m"),
    ] {
        let start = format!("error: m.yaml:{line}: NsqCluster/demo: ");
        assert!(
            lines
                .iter()
                .any(|text| text.starts_with(&start) && text.contains(what)),
            "{}",
            output.stderr
        );
    }
    assert!(
        output
            .stderr
            .contains("lookupd.options.tombstoneLifetime must be at least 10s")
    );
    assert!(!home.path().join("nsq-data").exists());
}

/// A missing program names the folders that were searched; an unreadable data folder and a foreign one say what they are.
#[test]
fn what_keeps_it_from_starting() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("m.yaml"), manifest(1, 1, "")).unwrap();
    let missing = run(
        &["local", "-f", "m.yaml", "--bin-dir", "/nowhere"],
        &[],
        home.path(),
    );
    let expected = "error: nsqd not found in /nowhere; build it or set --bin-dir\n";
    assert_eq!((missing.code, missing.stderr.as_str()), (Some(1), expected));

    let absent = run(&["local", "-f", "none.yaml"], &[], home.path());
    assert_eq!(absent.code, Some(1));
    assert!(
        absent.stderr.starts_with("error: cannot read none.yaml: "),
        "{}",
        absent.stderr
    );

    let bins = bin_dir();
    let bins = bins.to_str().unwrap();
    let blocked = home.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let folder = run(
        &[
            "local",
            "-f",
            "m.yaml",
            "--bin-dir",
            bins,
            "--data-dir",
            "file/data",
        ],
        &[],
        home.path(),
    );
    assert_eq!(folder.code, Some(1));
    assert!(
        folder.stderr.starts_with("error: cannot use file/data: "),
        "{}",
        folder.stderr
    );

    let closed = home.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&closed).is_err() {
        // not for the superuser, who reads everything
        let folder = run(
            &["local", "-f", "m.yaml", "--bin-dir", bins, "--data-dir", "closed"],
            &[],
            home.path(),
        );
        assert_eq!(folder.code, Some(1));
        assert!(
            folder.stderr.starts_with("error: cannot use closed: "),
            "{}",
            folder.stderr
        );
    }

    std::fs::create_dir(home.path().join("other")).unwrap();
    std::fs::write(home.path().join("other/state.json"), r#"{"cluster":"orders"}"#).unwrap();
    let foreign = run(
        &["local", "-f", "m.yaml", "--bin-dir", bins, "--data-dir", "other"],
        &[],
        home.path(),
    );
    assert_eq!(foreign.code, Some(1));
    let expected = "error: other holds data of cluster orders, not of demo: choose another --data-dir\n";
    assert_eq!(foreign.stderr, expected);
}

/// `/sd` names every daemon for Prometheus, `/metrics` tells the state of the cluster, `--logs` shows the daemons' logs;
/// SIGTERM ends it cleanly too.
#[test]
fn own_endpoints() {
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let flags = ["--logs", "--http-address", &format!("127.0.0.1:{port}")];
    let mut local = Local::start(&manifest(1, 1, ""), &flags);
    local.await_phase("Running");
    let metrics = || {
        request(port, "GET", "/metrics", "")
            .map(|(_, body)| body)
            .unwrap_or_default()
    };
    let ready = "nsq_operator_cluster_ready{namespace=\"local\",nsq_cluster=\"demo\"} 1";
    nsq_testkit::eventually(local::PATIENCE, || metrics().contains(ready));
    assert!(metrics().contains("state=\"active\"} 1"), "{}", metrics());
    for own in ["nsq_operator_build_info{", "process_resident_memory_bytes "] {
        assert!(metrics().contains(own), "{own}: {}", metrics());
    }
    let (_, targets) = request(port, "GET", "/sd", "").unwrap();
    let nsqd = format!("\"targets\":[\"127.0.0.1:{}\"]", local.port("nsqd-0", "http"));
    assert!(
        targets.contains(&nsqd) && targets.contains("\"nsq_component\":\"nsqlookupd\""),
        "{targets}"
    );
    local.await_said("nsqd-0 | ");
    let pids = local.pids();
    assert_eq!(pids.len(), 3, "{pids:?}");
    local.signal(Signal::TERM);
    assert_eq!(local.wait().code(), Some(0));
    await_gone(&pids);
}
