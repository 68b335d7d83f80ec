//! Every error with which a daemon or a tool does not start, as it is printed, and the exit code. Where Go's program has the same error
//! its text is Go's; where it is ours it says what was tried, what was wrong and what to do, in three lines at most.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nsq_testkit::{BOUND, eventually};
use support::{Daemon, Folder};

/// The folder of the file that has them all.
const GOLDEN: &str = "tests/golden/programs.txt";

/// What runs for so long has started.
const STARTED: Duration = Duration::from_secs(8);

/// Command lines, in order. `TAKEN` is an address where somebody listens, `LOOKUPD` that of an nsqlookupd, `CLOSED` one of nobody.
const CASES: &[&str] = &[
    // wrong flags
    "nsqd --msg-timeuot=1m",
    "nsqd --mem-queue-size=many",
    "nsqd --msg-timeout=soon",
    "nsqd --node-id=4096",
    "nsqd --max-deflate-level=11",
    "nsqd --log-level=loud",
    "nsqd --e2e-processing-latency-percentile=2",
    "nsqlookupd --no-such",
    "nsqlookupd --tombstone-lifetime=long",
    "nsqadmin",
    "nsqadmin --lookupd-http-address=LOOKUPD --nsqd-http-address=LOOKUPD",
    "nsqadmin --lookupd-http-address=nowhere",
    "nsqadmin --lookupd-http-address=LOOKUPD --default-role=king",
    "nsqadmin --lookupd-http-address=LOOKUPD --message-access=all",
    "nsqadmin --lookupd-http-address=LOOKUPD --allow-config-from-cidr=here",
    // configuration files
    "nsqd --config=missing.cfg",
    "nsqd --config=broken.cfg",
    "nsqd --config=values.cfg",
    "nsqlookupd --config=broken.cfg",
    "nsqadmin --config=missing.cfg",
    // folders and files
    "nsqd --data-path=missing",
    "nsqd --data-path=broken.cfg",
    "nsqd --data-path=used",
    "nsqd --data-path=torn",
    // certificates
    "nsqd --tls-cert=ca.pem",
    "nsqd --tls-cert=missing.pem --tls-key=missing.pem",
    "nsqd --tls-cert=ca.pem --tls-key=ca.pem",
    "nsqd --tls-required=true",
    "nsqd --tls-client-auth-policy=perhaps --tls-cert=ca.pem --tls-key=ca.pem",
    "nsqadmin --lookupd-http-address=LOOKUPD --https-address=127.0.0.1:0",
    "nsqadmin --lookupd-http-address=LOOKUPD --basic-auth-file=missing",
    "nsqadmin --lookupd-http-address=LOOKUPD --audit-log-file=missing/audit.log",
    "nsqadmin --lookupd-http-address=LOOKUPD --http-client-tls-root-ca-file=missing.pem",
    // addresses
    "nsqd --tcp-address=TAKEN",
    "nsqd --http-address=TAKEN",
    "nsqd --http-address=nowhere.invalid:1",
    "nsqlookupd --tcp-address=TAKEN",
    "nsqlookupd --http-address=TAKEN",
    "nsqadmin --lookupd-http-address=LOOKUPD --http-address=TAKEN",
    // the operator
    "nsq-operator",
    "nsq-operator rnu",
    "nsq-operator local -f missing.yaml",
    "nsq-operator local -f cluster.yaml",
    "nsq-operator render -f cluster.yaml",
    "nsq-operator run --leader-elect=false",
    "nsq-operator check --lookupd-http-address CLOSED --timeout 1s",
    // the tools
    "to_nsq",
    "to_nsq --topic=t",
    "nsq_tail",
    "nsq_tail --topic=t",
    "nsq_tail --topic=t --nsqd-tcp-address=LOOKUPD --lookupd-http-address=LOOKUPD",
    "nsq_tail --topic=not/a/name --nsqd-tcp-address=CLOSED",
    "nsq_stat",
    "nsq_stat --topic=t --channel=c --interval=soon --lookupd-http-address=LOOKUPD",
    "nsq_to_file",
    "nsq_to_file --topic=t --channel=c --nsqd-tcp-address=CLOSED --gzip-level=12",
    "nsq_to_http",
    "nsq_to_http --topic=t --channel=c --nsqd-tcp-address=CLOSED --post=nowhere",
    "nsq_to_nsq",
    "nsq_to_nsq --topic=t --nsqd-tcp-address=CLOSED",
];

struct Around {
    folder: Folder,
    lookupd: Daemon,
    taken: TcpListener,
    _user: Daemon,
}

impl Around {
    fn new() -> Self {
        let folder = Folder::new();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("broken.cfg"), "mem_queue_size = \n").unwrap();
        fs::write(at("values.cfg"), "mem_queue_size = \"many\"\n").unwrap();
        fs::write(at("ca.pem"), nsq_testkit::tls::Authority::new().cert()).unwrap();
        for name in ["used", "torn"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("torn/nsqd.dat"), "{\"topics\":").unwrap();
        let manifest = "apiVersion: nsq.rs/v1alpha1\nkind: NsqCluster\nmetadata:\n  name: demo\nspec:\n  nsqd:\n    replics: 3\n";
        fs::write(at("cluster.yaml"), manifest).unwrap();
        let data = format!("--data-path={}", at("used").display());
        Self {
            lookupd: folder.daemon("nsqlookupd", &[]),
            _user: folder.daemon("nsqd", &[&data]),
            taken: TcpListener::bind("127.0.0.1:0").unwrap(),
            folder,
        }
    }

    /// What the program printed, without what differs from run to run, and its exit code.
    fn run(&self, line: &str) -> (String, Option<i32>) {
        let taken = self.taken.local_addr().unwrap().to_string();
        let names = [
            ("TAKEN", taken.as_str()),
            ("LOOKUPD", &self.lookupd.http),
            ("CLOSED", "127.0.0.1:1"),
        ];
        let mut words = line.split(' ').map(|word| {
            names.iter().fold(word.to_owned(), |word, (name, address)| {
                word.replace(name, address)
            })
        });
        let program = words.next().unwrap();
        let path = self.folder.path().join(&program);
        if !path.exists() {
            symlink("nsq", &path).unwrap();
        }
        let mut args: Vec<String> = words.collect();
        let daemon = matches!(program.as_str(), "nsqd" | "nsqlookupd" | "nsqadmin");
        // flags that keep the rest of a start out of the way
        for flag in ["--tcp-address=", "--http-address="] {
            let fits = daemon && (program != "nsqadmin" || flag.starts_with("--http"));
            if fits && !args.iter().any(|arg| arg.starts_with(flag)) {
                args.push(format!("{flag}127.0.0.1:0"));
            }
        }
        let out = self.folder.path().join("out");
        let file = fs::File::create(&out).unwrap();
        let mut child = Command::new(&path)
            .args(&args)
            .current_dir(self.folder.path())
            .env("NSQ_HOME", self.folder.path().join("home"))
            .env("KUBECONFIG", self.folder.path().join("no-kubeconfig"))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut ended = None;
        let began = std::time::Instant::now();
        eventually(BOUND, || {
            ended = child.try_wait().unwrap();
            ended.is_some() || began.elapsed() > STARTED
        });
        if ended.is_none() {
            // it runs, which is for the test to judge
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let text = fs::read_to_string(&out).unwrap();
        let code = ended.and_then(|status| status.code());
        (self.plain(&text, &names), code)
    }

    /// Lines of problems alone, with names for addresses and the folder, without times.
    fn plain(&self, text: &str, names: &[(&str, &str)]) -> String {
        let folder = self.folder.path().display().to_string();
        let mut out = String::new();
        for line in text.lines() {
            if ["INFO: ", "DEBUG: ", "\"level\":\"info\""]
                .iter()
                .any(|own| line.contains(own))
            {
                continue;
            }
            if line.starts_with("Usage of ") {
                // what follows is `--help`
                let _ = writeln!(out, "{line} …");
                break;
            }
            let line = names
                .iter()
                .fold(line.replace(&folder, "FOLDER"), |line, (name, address)| {
                    line.replace(address, name)
                });
            let _ = writeln!(out, "{}", without_time(&line));
        }
        out
    }
}

/// `[nsqd] 2026/01/02 03:04:05.678901 FATAL: …` without the time.
fn without_time(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_time = |word: &&&str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits >= 6
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"/:.".contains(&byte))
            && (word.contains('/') || word.contains(':'))
    };
    words
        .iter()
        .filter(|word| !is_time(word))
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_program_that_does_not_start_says_why() {
    let around = Around::new();
    let mut all = String::new();
    for line in CASES {
        let (text, code) = around.run(line);
        let code = code.unwrap_or_else(|| panic!("{line} starts: {text}"));
        assert_ne!(code, 0, "{line}: {text}");
        assert!(!text.trim().is_empty(), "{line} says nothing");
        assert!(!text.contains("panicked"), "{line}: {text}");
        let _ = writeln!(all, "$ {line}\n{text}exit {code}\n");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &all).unwrap();
    }
    let wanted = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        wanted == all,
        "run with UPDATE_GOLDEN=1 and read the difference:\n{all}"
    );
}

/// A folder that cannot be written; root may write everywhere, so there it is not asked.
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let data = folder.path().join("closed");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(data.join("probe"), "").is_ok() {
        eprintln!("not asked: this user may write everywhere");
        return;
    }
    symlink("nsq", folder.path().join("nsqd")).unwrap();
    let mut command = Command::new(folder.path().join("nsqd"));
    let ended = support::ended(command.arg(format!("--data-path={}", data.display())));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("closed") && ended.stderr.contains("ermission denied"),
        "{ended:?}"
    );
}
