//! Every error that a person can cause, as it is printed: what was tried and what was wrong, where, what to do, the code, the exit code.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod support;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use support::{Daemon, Ended, Folder, ended};

/// The folder of the file that has them all.
const GOLDEN: &str = "tests/golden/errors.txt";

/// Command lines, in order. `LOOKUPD`, `LOOKUPD_TCP` and `NSQD` stand for addresses of a running cluster.
const CASES: &[&str] = &[
    // usage
    "nsq",
    "nsq pbu",
    "nsq pub",
    "nsq pub t x --dealy 1s",
    "nsq pub t x --delay soon",
    "nsq nodes -o xml",
    "nsq check --messages many",
    "nsq check --storage-class fast",
    "nsq explain NO_SUCH",
    "nsq validate",
    "nsq validate other.cfg",
    "nsq completion csh",
    "nsq context set work",
    "nsq context set work --lookupd a:1 --tls-cert c.pem",
    // names
    "nsq pub not/a/name x --lookupd LOOKUPD",
    "nsq tail not/a/name --lookupd LOOKUPD",
    "nsq channel create t not/a/name --lookupd LOOKUPD",
    // what is not there
    "nsq topic pause missing --lookupd LOOKUPD",
    "nsq channel list missing --lookupd LOOKUPD",
    "nsq channel pause t missing --lookupd LOOKUPD",
    "nsq nodes --context missing",
    "nsq context use missing",
    "nsq context delete missing",
    // what this nsqd cannot do
    "nsq peek t --lookupd LOOKUPD",
    "nsq timers t c --lookupd LOOKUPD",
    "nsq dead t c --lookupd LOOKUPD",
    // losing messages
    "nsq topic delete t --lookupd LOOKUPD",
    "nsq topic empty t --yes u --lookupd LOOKUPD",
    // the way there
    "nsq nodes --lookupd 127.0.0.1:1",
    "nsq nodes --lookupd LOOKUPD_TCP",
    "nsq nodes --lookupd NSQD",
    "nsq nodes --lookupd nowhere",
    "nsq nodes --lookupd EMPTY",
    "nsq pub t x --lookupd CLOSED",
    "nsq nodes --lookupd LOOKUPD --tls-ca missing.pem",
    "nsq pub t x --lookupd LOOKUPD --tls-ca ca.pem",
    "nsq nodes --context half",
    "nsq pub t x --context secret",
    // messages
    "nsq pub t --lookupd LOOKUPD -f missing",
    "nsq pub t --lookupd LOOKUPD -f large",
    "nsq pub t --lookupd LOOKUPD -f empty",
    "nsq tail missing --timeout 100ms --lookupd LOOKUPD",
    // files
    "nsq validate nsqd.cfg",
    "nsq validate missing.yaml",
    "nsq validate cluster.yaml",
    "nsq local -f cluster.yaml",
    "nsq local -f missing.yaml",
    "nsq local --bin-dir .",
    "nsq local --data-dir nsqd.cfg",
];

struct Cluster {
    folder: Folder,
    lookupd: Daemon,
    nsqd: Daemon,
    empty: Daemon,
    closed: Daemon,
    _closed_nsqd: Daemon,
}

impl Cluster {
    fn new() -> Self {
        let folder = Folder::new();
        let (lookupd, nsqd) = support::small(&folder);
        nsqd.post("/topic/create?topic=t", b"");
        let closed = folder.daemon("nsqlookupd", &[]);
        let to_closed = format!("--lookupd-tcp-address={}", closed.tcp);
        let closed_nsqd = folder.daemon("nsqd", &[&to_closed, "--broadcast-tcp-port=1"]);
        support::registered(&closed, 1);
        let at = |name: &str| folder.path().join(name);
        fs::write(at("large"), vec![b'x'; 2 << 20]).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(
            at("nsqd.cfg"),
            "mem_queue_size = \"many\"\nmsg_timeuot = \"1m\"\n",
        )
        .unwrap();
        fs::write(at("ca.pem"), nsq_testkit::tls::Authority::new().cert()).unwrap();
        let manifest = "apiVersion: nsq.rs/v1alpha1\nkind: NsqCluster\nmetadata:\n  name: demo\nspec:\n  nsqd:\n    replics: 3\n";
        fs::write(at("cluster.yaml"), manifest).unwrap();
        fs::create_dir_all(at("home")).unwrap();
        let contexts = serde_json::json!({"contexts": {
            "half": {"lookupd": [lookupd.http], "tls": true, "tls_cert": "c.pem"},
            "secret": {"lookupd": [lookupd.http], "auth_secret_file": "missing"},
        }});
        fs::write(at("home/contexts.json"), contexts.to_string()).unwrap();
        Self {
            empty: folder.daemon("nsqlookupd", &[]),
            folder,
            lookupd,
            nsqd,
            closed,
            _closed_nsqd: closed_nsqd,
        }
    }

    /// Names for addresses, the longer ones first.
    fn addresses(&self) -> [(&'static str, &str); 6] {
        [
            ("LOOKUPD_TCP", &self.lookupd.tcp),
            ("NSQD_TCP", &self.nsqd.tcp),
            ("LOOKUPD", &self.lookupd.http),
            ("NSQD", &self.nsqd.http),
            ("EMPTY", &self.empty.http),
            ("CLOSED", &self.closed.http),
        ]
    }

    fn run(&self, line: &str) -> Ended {
        let word = |word: &str| {
            let found = self.addresses().into_iter().find(|(name, _)| *name == word);
            found.map_or(word.to_owned(), |(_, address)| address.to_owned())
        };
        let words: Vec<String> = line.split(' ').skip(1).map(word).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut ended = self.folder.run(&words);
        for (name, address) in self.addresses() {
            ended.stderr = ended.stderr.replace(address, name);
        }
        ended.stderr = ended
            .stderr
            .replace(&self.folder.path().display().to_string(), "FOLDER");
        ended
    }
}

#[test]
fn every_error_has_its_text_code_and_exit_code() {
    let cluster = Cluster::new();
    let mut all = String::new();
    for line in CASES {
        let ended = cluster.run(line);
        let code = ended.code.unwrap();
        assert_ne!(code, 0, "{line}: {ended:?}");
        shape(line, &ended);
        let _ = writeln!(all, "$ {line}\n{}exit {code}\n", ended.stderr);
    }
    // An output that takes no more.
    let mut full = cluster.folder.command(&["man"]);
    let ended = ended(full.stdout(File::options().write(true).open("/dev/full").unwrap()));
    shape("nsq man >/dev/full", &ended);
    let _ = writeln!(
        all,
        "$ nsq man >/dev/full\n{}exit {}\n",
        ended.stderr,
        ended.code.unwrap()
    );
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        fs::write(&golden, &all).unwrap();
    }
    let wanted = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        wanted == all,
        "run with UPDATE_GOLDEN=1 and read the difference:\n{all}"
    );
}

/// At most three lines: the code that `nsq explain` knows, and what to do; a stable exit code that the code has.
fn shape(line: &str, ended: &Ended) {
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!((2..=3).contains(&lines.len()), "{line}: {}", ended.stderr);
    let code = lines[0]
        .strip_prefix("error[")
        .and_then(|rest| rest.split(']').next());
    let code = code.unwrap_or_else(|| panic!("{line}: no code in {}", lines[0]));
    let known = nsq_cli::codes::CODES.iter().find(|known| known.name == code);
    let known = known.unwrap_or_else(|| panic!("{line}: {code} is not known"));
    assert_eq!(ended.code, Some(i32::from(known.exit)), "{line}");
    assert!(
        lines.last().unwrap().starts_with("  do: "),
        "{line}: {}",
        ended.stderr
    );
}

/// Every code can be seen in the file of errors, but for those that need a terminal or a second `local`.
#[test]
fn every_code_is_among_the_errors() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let text = fs::read_to_string(golden).unwrap();
    for code in nsq_cli::codes::CODES {
        let elsewhere = ["NO_INPUT", "DATA_IN_USE"].contains(&code.name);
        assert!(
            elsewhere || text.contains(&format!("error[{}]", code.name)),
            "{}",
            code.name
        );
    }
}
