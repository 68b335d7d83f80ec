//! `nsq check --pre` against a script of an API server (operator spec 8.6).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests drive the real program with real files, sockets and clocks, and wait with a bound"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Ended, Folder, ended};

/// What the API server says, and what it was asked.
struct Server {
    folder: Folder,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Answers a method, a path and a body with a status and a body.
type Script = fn(&str, &Value) -> (u16, Value);

impl Server {
    fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&stream, script, &notes);
            }
        });
        let folder = Folder::new();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
        Self { folder, asked }
    }

    fn check(&self, more: &[&str]) -> Ended {
        let mut command = self.folder.command(&[&["check", "--pre"], more].concat());
        ended(command.env("KUBECONFIG", self.folder.path().join("kubeconfig")))
    }
}

fn answer(mut stream: &TcpStream, script: Script, notes: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        line.trim_end().to_owned()
    };
    let first = line();
    let mut length = 0;
    loop {
        let header = line().to_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let target = first.rsplit_once(' ').map_or("", |(target, _)| target).to_owned();
    let path = target.split('?').next().unwrap().to_owned();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (status, body) = script(&path, &body);
    notes.lock().unwrap().push(path);
    let body = body.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}");
    let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}");
}

fn refused(status: u16, reason: &str) -> (u16, Value) {
    let text = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": reason});
    (status, text)
}

fn version(minor: u32) -> (u16, Value) {
    let version = format!("v1.{minor}.1");
    let empty = [
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ];
    let mut all = json!({"major": "1", "minor": minor.to_string(), "gitVersion": version});
    for key in empty {
        all[key] = "".into();
    }
    (200, all)
}

fn review(body: &Value, allowed: bool) -> (u16, Value) {
    let mut body = body.clone();
    body["status"] = json!({"allowed": allowed});
    (201, body)
}

/// A new server and somebody who may do everything.
fn well(target: &str, body: &Value) -> (u16, Value) {
    match target {
        "GET /version" => version(34),
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => review(body, true),
        "GET /apis/storage.k8s.io/v1/storageclasses" => (
            200,
            json!({"kind": "StorageClassList", "apiVersion": "storage.k8s.io/v1", "metadata": {}, "items": [{
                "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": "p", "allowVolumeExpansion": true,
            }]}),
        ),
        _ => refused(404, "NotFound"),
    }
}

/// An old one with leftovers, and somebody who may make objects in namespaces and little else.
fn ill(target: &str, body: &Value) -> (u16, Value) {
    match target {
        "GET /version" => version(29),
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => {
            let place = &body["spec"]["resourceAttributes"]["namespace"];
            review(body, place.is_string())
        }
        "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/nsqclusters.nsq.rs" => (
            200,
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
                "name": "nsqclusters.nsq.rs", "annotations": {"nsq.rs/schema-hash": "0123456789abcdef"},
            }}),
        ),
        "GET /api/v1/namespaces/mq" => (
            200,
            json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {
                "name": "mq", "deletionTimestamp": "2024-01-01T00:00:00Z",
            }}),
        ),
        _ if target.contains("storageclasses") => refused(403, "Forbidden"),
        _ => refused(404, "NotFound"),
    }
}

#[test]
fn a_cluster_where_nothing_is_missing_has_a_tick_everywhere() {
    let server = Server::start(well);
    let ended = server.check(&[]);
    assert_eq!(
        ended.stdout,
        "✓ kubernetes   v1.34.1\n\
         ✓ rights       1 of 1 that the install needs\n\
         ✓ storage      default class fast\n\
         ✓ definitions  0 of 3 installed\n\
         ✓ namespaces   nsq-system (will be made)\n\
         all is well\n",
        "{ended:?}"
    );
    assert_eq!(ended.code, Some(0));
    // It only looks: a review is a question, though it is asked by POST.
    let asked = server.asked.lock().unwrap();
    let changing = asked
        .iter()
        .filter(|target| !target.starts_with("GET ") && !target.contains("selfsubjectaccessreviews"));
    assert_eq!(changing.count(), 0, "{asked:?}");
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let server = Server::start(ill);
    let text = server.check(&["--namespace", "mq", "--watch-namespaces", "a,b"]);
    assert_eq!(text.code, Some(1), "{text:?}");
    let json = server.check(&["--namespace", "mq", "--watch-namespaces", "a,b", "-o", "json"]);
    assert_eq!(json.code, Some(1));
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let found: Vec<(&str, bool)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            (
                finding["code"].as_str().unwrap(),
                finding["wrong"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("KUBERNETES_OLD", true),
            ("RIGHTS_MISSING", true),
            ("NOT_READABLE", false),
            ("DEFINITION_MISSING", true),
            ("DEFINITION_MISSING", true),
            ("DEFINITION_OTHER", false),
            ("NAMESPACE_ENDING", true),
        ],
        "{report:#}"
    );
    for line in [
        "✗ rights",
        "you may not create namespaces, patch namespaces, create customresourcedefinitions.apiextensions.k8s.io",
        "! storage classes: Forbidden [NOT_READABLE]",
        "! storage      unknown",
        "✗ namespaces   a (will be made), b (will be made), mq (being deleted)",
    ] {
        assert!(text.stdout.contains(line), "{line}: {}", text.stdout);
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_what_to_do() {
    let folder = Folder::new();
    let mut command = folder.command(&["check", "--pre"]);
    let ended = ended(command.env("KUBECONFIG", folder.path().join("missing")));
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("error[UNREACHABLE]: no way to an API server"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("  do: name the kubeconfig"), "{ended:?}");
}
