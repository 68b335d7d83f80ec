//! The commands that pages tell people to type, typed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nsq_testbed::{BOUND, Cluster, Namespace};
use nsq_testkit::eventually;
use nsq_testkit::tls::Authority;

use crate::running::{Installed, values};

/// Pages whose commands look at a cluster `demo` in the namespace `mq`, and change nothing.
const PAGES: [&str; 2] = [
    include_str!("../../../../docs/operating/alerts.md"),
    include_str!("../../../../docs/operating/troubleshooting.md"),
];
/// What the pages forward, and where the answers are looked for then.
const FORWARD: &str = "kubectl port-forward -n mq pod/demo-nsqd-0 4151";
const FORWARDED: &str = "127.0.0.1:4151";

/// Commands behind a prompt, without what is said about them.
fn commands() -> Vec<&'static str> {
    let lines = PAGES.iter().flat_map(|page| page.lines());
    let typed = lines.filter_map(|line| line.trim_start().strip_prefix("$ "));
    let mut found: Vec<&str> = typed
        .map(|line| line.split("   #").next().unwrap_or(line).trim())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn every_command_of_a_runbook_does_what_the_page_says() {
    let mut installed = Installed {
        namespace: Cluster::nodes().namespace("pages"),
        cluster: values(),
    };
    installed.cluster["spec"]["nsqd"]["replicas"] = 3.into();
    installed.operator("install", &[]);
    installed.cluster("install");
    let namespace = &installed.namespace;
    namespace.await_running("demo");
    let issued = Authority::new().issue("localhost");
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = issued.write(folder.path());
    let [cert, key] =
        [("cert", cert), ("key", key)].map(|(what, file)| format!("--{what}={}", file.display()));
    namespace.kubectl(&["create", "secret", "tls", "demo-tls", &cert, &key]);
    for target in [
        "/topic/create?topic=orders",
        "/channel/create?topic=orders&channel=billing",
    ] {
        namespace.ask("demo-nsqd-0", "POST", target).expect(200, "");
    }

    let person = Person::new(namespace, folder.path());
    let (_forwarding, forwarded) = forward(&person);
    let all = commands();
    assert!(all.len() > 25, "{all:?}");
    for command in all {
        // Needs names of the cluster outside of it; Helm's test runs it inside.
        if command == FORWARD || command.starts_with("nsq-operator check ") {
            continue;
        }
        let output = person
            .types(&command.replace(FORWARDED, &forwarded))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let found_nothing = command.contains("| grep ") && output.status.code() == Some(1);
        let never_ended = command.contains(" --previous") && said.contains("previous terminated container");
        assert!(
            (output.status.success() || found_nothing && said.is_empty()) || never_ended,
            "{command}: {output:?}"
        );
    }
}

/// Somebody who types commands, and works in the namespace of the test.
struct Person<'a> {
    namespace: &'a Namespace,
    kubeconfig: PathBuf,
}

impl<'a> Person<'a> {
    fn new(namespace: &'a Namespace, folder: &Path) -> Self {
        let kubeconfig = folder.join("kubeconfig");
        std::fs::copy(namespace.cluster().kubeconfig(), &kubeconfig).unwrap();
        let person = Self {
            namespace,
            kubeconfig,
        };
        let choose = format!(
            "kubectl config set-context --current --namespace={}",
            namespace.name()
        );
        assert!(person.types(&choose).status().unwrap().success());
        person
    }

    fn types(&self, line: &str) -> Command {
        let own = format!("-n {} ", self.namespace.name());
        let line = line.replace("-n mq ", &own).replace("-n nsq-system ", &own);
        let mut shell = self.namespace.cluster().shell();
        shell.env("KUBECONFIG", &self.kubeconfig);
        shell.args(["-o", "pipefail", "-c", &line]);
        shell
    }
}

/// A process that ends with the test.
struct Forwarding(Child);

impl Drop for Forwarding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does what the page forwards, on a port that nobody else has, and gives its address.
fn forward(person: &Person<'_>) -> (Forwarding, String) {
    assert!(
        commands().contains(&FORWARD),
        "the pages say how to reach a daemon"
    );
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let line = format!("exec {FORWARD}").replace("4151", &format!("{}:4151", address.port()));
    let mut forward = person.types(&line);
    let forward = forward.stdout(Stdio::null()).stderr(Stdio::null());
    let forwarding = Forwarding(forward.spawn().unwrap());
    eventually(BOUND, || TcpStream::connect(address).is_ok());
    (forwarding, address.to_string())
}
