//! From the one file in an empty folder: a cluster, the first message, every verb, every name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod support;

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::CommandFactory as _;
use nsq_testkit::{BOUND, Stopwatch, eventually};
use support::{Folder, Running, ended};

/// Clusters of this test program run one after another: each wants the usual ports first.
fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two commands to the first message, under 2 s after the start; at most 12 lines on the first screen.
#[test]
fn two_commands_to_the_first_message_within_two_seconds() {
    let _turn = turn();
    let folder = Folder::new();
    let clock = Stopwatch::start();
    let mut local = Running::start(folder.command(&["local"]), &folder.path().join("local.out"));
    local.await_text("stop with Ctrl-C");
    let screen = local.text();
    let end = screen.find("stop with Ctrl-C").unwrap();
    assert!(screen[..end].lines().count() <= 12, "{screen}");
    assert!(screen.contains("nsq pub test hello") && screen.contains("nsq tail test"));
    // The daemons need a moment; a person needs longer.
    eventually(BOUND, || folder.run(&["pub", "test", "hello"]).code == Some(0));
    let tail = folder.ok(&["tail", "test", "-n", "1", "--timeout", "10s"]);
    assert_eq!(tail, "hello\n");
    assert!(clock.elapsed() < Duration::from_secs(2), "{:?}", clock.elapsed());
    assert_eq!(local.stop(), Some(0));
    assert!(
        !folder.path().join("home/local.json").exists(),
        "the notice goes with the cluster"
    );
}

/// Every command has an example that works, and a help of at most 24 lines.
#[test]
fn every_example_of_the_help_runs_and_no_help_is_long() {
    let _turn = turn();
    let folder = Folder::new();
    let mut local = folder.local();
    folder.ok(&["pub", "test", "one", "two", "three"]);
    std::fs::write(
        folder.path().join("cluster.yaml"),
        nsq_operator::localworld::BUILT_IN,
    )
    .unwrap();
    std::fs::write(folder.path().join("nsqd.cfg"), "msg_timeout = \"2m\"\n").unwrap();
    let mut examples = Vec::new();
    collect(&nsq_cli::verbs::Args::command(), &mut examples);
    for (path, example) in &examples {
        let mut help: Vec<&str> = path.split(' ').skip(1).collect();
        help.push("--help");
        let text = folder.ok(&help);
        assert!(text.lines().count() <= 24, "{path}:\n{text}");
        assert!(text.contains(example), "{path}:\n{text}");
    }
    // The usual ports, which one example names, may be those of another cluster.
    let notice = std::fs::read_to_string(folder.path().join("home/local.json")).unwrap();
    let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
    let lookupd = notice["lookupd_http_addresses"][0].as_str().unwrap();
    let run = |args: &[&str]| ended(folder.command(args).env("NSQ_LOOKUPD", lookupd));
    for (path, example) in examples.iter().filter(|(path, _)| path != "nsq local") {
        // What others may have deleted.
        for args in [
            ["topic", "create", "orders"].as_slice(),
            &["channel", "create", "orders", "billing"],
        ] {
            assert_eq!(run(args).code, Some(0), "{args:?}");
        }
        let args: Vec<&str> = example.split(' ').skip(1).collect();
        let ended = run(&args);
        // What nsqd has no endpoints for yet is told.
        let is_missing = ["nsq peek", "nsq timers", "nsq dead"].contains(&path.as_str());
        assert_eq!(
            (ended.code, ended.stderr.contains("UNSUPPORTED")),
            (Some(is_missing.into()), is_missing),
            "{path}: {example}: {ended:?}\n{}",
            local.text()
        );
    }
    assert_eq!(local.stop(), Some(0));
}

/// Every command with its example.
fn collect(command: &clap::Command, into: &mut Vec<(String, String)>) {
    walk(command, command.get_name(), into);
}

fn walk(command: &clap::Command, path: &str, into: &mut Vec<(String, String)>) {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let example = help.lines().find_map(|line| line.strip_prefix("  "));
    let example = example.unwrap_or_else(|| panic!("{path} has no example"));
    into.push((path.to_owned(), example.to_owned()));
    let visible = |child: &&clap::Command| !child.is_hide_set() && child.get_name() != "help";
    for child in command.get_subcommands().filter(visible) {
        walk(child, &format!("{path} {}", child.get_name()), into);
    }
}

/// Called as another program it is that program, and says so.
#[test]
fn by_another_name_it_is_that_program() {
    let folder = Folder::new();
    for (name, _) in nsq_cli::programs::PROGRAMS {
        std::os::unix::fs::symlink("nsq", folder.path().join(name)).unwrap();
        let mut command = std::process::Command::new(folder.path().join(name));
        command.arg("--help").stdin(Stdio::null());
        let ended = ended(&mut command);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let help = ended.stdout + &ended.stderr;
        assert!(help.contains(name), "{name}:\n{help}");
    }
}

/// Arguments, lines, files, a delay; and what comes out at the other end.
#[test]
fn arguments_lines_files_and_a_delay_are_published() {
    let folder = Folder::new();
    let (lookupd, nsqd) = support::small(&folder);
    let at = format!("--lookupd={}", lookupd.http);
    folder.ok(&["channel", "create", "t", "c", &at]);
    folder.ok(&["pub", "t", "a", "b c", &at]);
    std::fs::write(folder.path().join("two"), "d\n\ne").unwrap();
    folder.ok(&["pub", "t", "--lines", "-f", "two", &at]);
    folder.ok(&["pub", "t", "-f", "two", &at]);
    let mut piped = folder
        .command(&["pub", "t", &at])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    piped.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    assert!(piped.wait().unwrap().success());
    let clock = Stopwatch::start();
    folder.ok(&["pub", "t", "later", "--delay", "1500ms", &at]);
    let args = ["tail", "t", "-c", "c", "-n", "6", "--timeout", "10s", at.as_str()];
    let mut seen: Vec<String> = folder
        .ok(&args)
        .split_inclusive('\n')
        .map(str::to_owned)
        .collect();
    seen.sort();
    let mut wanted = ["a\n", "b c\n", "d\n", "e\n", "d\n", "\n", "e\n", "from a pipe\n"].map(str::to_owned);
    wanted.sort();
    assert_eq!(seen, wanted);
    let late = folder.ok(&[
        "tail",
        "t",
        "-c",
        "c",
        "-n",
        "1",
        "--timeout",
        "10s",
        "-o",
        "json",
        &at,
    ]);
    clock.expect_ms(1500, 10_000);
    assert!(
        late.contains("\"body\":\"later\"") && late.contains("\"attempts\":1"),
        "{late}"
    );
    drop(nsqd);
}

/// Topics and channels are listed in four forms, made, paused, emptied and deleted with the name typed, on every node that has them.
#[test]
fn topics_and_channels_are_listed_and_changed() {
    let folder = Folder::new();
    let (lookupd, first) = support::small(&folder);
    let second = folder.daemon("nsqd", &[&format!("--lookupd-tcp-address={}", lookupd.tcp)]);
    support::registered(&lookupd, 2);
    let nsq = |args: &[&str]| {
        let mut command = folder.command(args);
        command.env("NSQ_LOOKUPD", &lookupd.http);
        let ended = ended(&mut command);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended
    };
    assert!(
        nsq(&["channel", "create", "t", "c"])
            .stderr
            .contains("created on 2 nodes")
    );
    first.post("/pub?topic=t", b"x");
    second.post("/pub?topic=t", b"y");
    eventually(BOUND, || {
        nsq(&["channel", "list", "t", "-o", "json"])
            .stdout
            .contains("\"depth\": 2")
    });
    assert_eq!(nsq(&["topic", "list", "-o", "name"]).stdout, "t\n");
    assert!(
        nsq(&["topic", "list"])
            .stdout
            .starts_with("TOPIC  NODES  CHANNELS")
    );
    assert!(nsq(&["nodes", "-o", "yaml"]).stdout.contains("- tcp: 127.0.0.1:"));
    assert!(
        nsq(&["channel", "pause", "t", "c"])
            .stderr
            .contains("paused on 2 nodes")
    );
    assert!(nsq(&["channel", "list", "t"]).stdout.contains("paused"));
    nsq(&["channel", "unpause", "t", "c"]);
    nsq(&["channel", "empty", "t", "c", "--yes", "c"]);
    assert!(
        nsq(&["channel", "list", "t", "-o", "json"])
            .stdout
            .contains("\"depth\": 0")
    );
    let mut unconfirmed = folder.command(&["topic", "delete", "t", "--yes", "u"]);
    let refused = ended(unconfirmed.env("NSQ_LOOKUPD", &lookupd.http));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.starts_with("error[NOT_CONFIRMED]"));
    nsq(&["channel", "delete", "t", "c", "--yes", "c"]);
    nsq(&["topic", "delete", "t", "--yes", "t"]);
    assert_eq!(nsq(&["topic", "list", "-o", "name"]).stdout, "");
}

/// `top` orders by what it is asked to, and off a terminal it writes once, without a control character.
#[test]
fn top_writes_once_off_a_terminal() {
    let folder = Folder::new();
    let (lookupd, nsqd) = support::small(&folder);
    nsqd.post("/topic/create?topic=idle", b"");
    nsqd.post("/pub?topic=busy", b"x");
    let at = format!("--lookupd={}", lookupd.http);
    let table = folder.ok(&["top", "--interval", "100ms", &at]);
    let rows: Vec<&str> = table.lines().collect();
    assert!(
        rows[0].starts_with("TOPIC") && rows[1].starts_with("busy"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'));
    assert_eq!(
        folder.ok(&["top", "-o", "name", "--interval", "100ms", &at]),
        "busy\nidle\n"
    );
}

/// The Tab key gives verbs, flags, and names from the server, in each shell that is there.
#[test]
fn shells_complete_verbs_flags_and_names_from_the_server() {
    let folder = Folder::new();
    let (lookupd, nsqd) = support::small(&folder);
    for path in [
        "/topic/create?topic=orders",
        "/topic/create?topic=other",
        "/channel/create?topic=orders&channel=billing",
    ] {
        nsqd.post(path, b"");
    }
    let bash = |line: &str| {
        format!(
            "COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _nsq; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    };
    let zsh =
        |line: &str| format!("compadd() {{ print -l -- $found }}; words=({line}); CURRENT=${{#words}}; _nsq");
    let fish = |line: &str| format!("complete -C '{}'", line.replace("''", ""));
    type Asked<'a> = (&'a str, &'a str, &'a dyn Fn(&str) -> String);
    let shells: [Asked<'_>; 3] = [
        ("bash", "source <(nsq completion bash)", &bash),
        ("zsh", "compdef() { :; }; source <(nsq completion zsh)", &zsh),
        ("fish", "nsq completion fish | source", &fish),
    ];
    for (shell, load, ask) in shells {
        if std::process::Command::new(shell)
            .arg("--version")
            .output()
            .is_err()
        {
            eprintln!("not asked: {shell} is not installed");
            continue;
        }
        for (line, wanted) in [
            ("nsq chec", "check"),
            ("nsq pub --de", "--delay"),
            ("nsq topic pause or", "orders"),
            ("nsq channel pause orders bi", "billing"),
        ] {
            let mut command = std::process::Command::new(shell);
            let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
            command
                .args(["-c", &format!("{load}\n{}", ask(line))])
                .current_dir(folder.path())
                .env("PATH", path)
                .env("HOME", folder.path())
                .env("NSQ_HOME", folder.path().join("home"))
                .env("NSQ_LOOKUPD", &lookupd.http);
            let ended = ended(&mut command);
            assert_eq!(ended.stdout.trim(), wanted, "{shell}: {line}: {ended:?}");
        }
    }
}

/// A context is used by flag, by variable, and as the current one.
#[test]
fn contexts_are_kept_and_used() {
    let folder = Folder::new();
    let (lookupd, nsqd) = support::small(&folder);
    let at = format!("--lookupd={}", lookupd.http);
    folder.ok(&["context", "set", "work", &at]);
    assert!(folder.ok(&["context", "list"]).contains(&lookupd.http));
    assert!(folder.ok(&["nodes", "--context", "work"]).contains(&nsqd.tcp));
    let mut by_variable = folder.command(&["nodes"]);
    assert!(
        ended(by_variable.env("NSQ_CONTEXT", "work"))
            .stdout
            .contains(&nsqd.tcp)
    );
    folder.ok(&["context", "use", "work"]);
    assert!(folder.ok(&["nodes"]).contains(&nsqd.tcp));
    folder.ok(&["context", "delete", "work"]);
    assert_eq!(folder.run(&["nodes", "--context", "work"]).code, Some(7));
}
