//! The operator with real nodes: kubelets run the pods, real clients publish and consume. Cases of the operator specification,
//! 13.3 to 13.10.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap fails the test; a kubeconfig is read and written whole"
)]

mod deaths;
mod drains;
mod growth;
mod members;
mod modes;
mod objects;
mod registries;
mod rollouts;
mod storage;
mod upkeep;
mod upstream;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use nsq_testbed::{BOUND, Cluster, NEXT_IMAGE, Namespace, Operator, REFERENCE_IMAGE, printed};
use nsq_testkit::{Conn, Delivery, Next, eventually, request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A cluster that does everything quickly, and of which many fit on a small machine.
fn quick(nodes: u32) -> Value {
    let pod = json!({"resources": {"requests": {"cpu": "1m", "memory": "16Mi"}}});
    json!({
        "nsqd": {
            "pod": pod,
            "replicas": nodes,
            "joinTimeout": "5s",
            "preStopSeconds": 0,
            "terminationGracePeriodSeconds": 30,
            "storage": {"size": "1Gi"},
            "drain": {"settle": "1s", "evacuate": "Never"},
            "update": {"minReadySeconds": 0},
        },
        "lookupd": {"replicas": 1, "removalDelay": "1s", "pod": pod},
        "admin": {"replicas": 1, "pod": pod},
    })
}

struct Running {
    namespace: Namespace,
    operator: Operator,
}

/// A namespace with an operator and a running cluster `demo`.
fn running(name: &str, spec: &Value) -> Running {
    let namespace = Cluster::nodes().namespace(name);
    let operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", spec);
    namespace.await_running("demo");
    Running { namespace, operator }
}

impl Running {
    /// Changes the spec with a merge patch.
    #[track_caller]
    fn patch(&self, spec: &Value) {
        let patch = json!({"spec": spec}).to_string();
        self.namespace
            .kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", &patch]);
    }

    #[track_caller]
    fn scale(&self, nodes: u32) {
        let replicas = format!("--replicas={nodes}");
        self.namespace
            .kubectl(&["scale", "nsqcluster", "demo", &replicas]);
    }

    /// Has the operator look so many times more, by a change that means nothing.
    #[track_caller]
    fn pass(&self, count: u32) {
        let before = self.operator.passes();
        let mut number = 0;
        eventually(BOUND, || {
            number += 1;
            let touched = format!("touched={number}");
            self.namespace
                .kubectl(&["annotate", "--overwrite", "nsqcluster", "demo", &touched]);
            self.operator.passes() >= before + f64::from(count)
        });
    }

    /// Has it look until it finds nothing to write any more.
    #[track_caller]
    fn come_to_rest(&self) {
        eventually(BOUND, || {
            let before = self.operator.writes();
            self.pass(2);
            self.operator.writes() <= before
        });
    }

    /// Waits until so many nodes are there, and nothing is left to do.
    #[track_caller]
    fn await_nodes(&self, nodes: u32) -> Value {
        let text = format!("{nodes}/{nodes}");
        self.namespace.await_status("demo", &text, |status| {
            status["nsqd"]["replicas"] == nodes
                && status["nsqd"]["readyText"] == text.as_str()
                && status["phase"] == "Running"
        })
    }

    /// Waits until a doomed node is in this state.
    #[track_caller]
    fn await_state(&self, pod: &str, state: &str) -> Value {
        self.namespace.await_status("demo", state, |status| {
            let nodes = status["drain"]["nodes"].as_array();
            let mut nodes = nodes.into_iter().flatten();
            nodes.any(|node| node["pod"] == pod && node["state"] == state)
        })
    }

    /// Waits until the drain has this reason.
    #[track_caller]
    fn await_reason(&self, reason: &str) -> Value {
        self.namespace.await_status("demo", reason, |status| {
            Namespace::condition(status, "Draining")["reason"] == reason
        })
    }

    /// The process of a daemon in a pod, seen from this machine.
    #[track_caller]
    fn process(&self, address: &str) -> Pid {
        let mut found = None;
        eventually(BOUND, || {
            found = self.find_process(address);
            found.is_some()
        });
        found.unwrap()
    }

    /// The same, if it runs now.
    fn find_process(&self, address: &str) -> Option<Pid> {
        let flag = format!("--broadcast-address={address}.");
        let inside = format!(".{}.svc.", self.namespace.name());
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let found = all.filter_map(|entry| {
            let id: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            (line.contains(&flag) && line.contains(&inside)).then_some(id)
        });
        Pid::from_raw(found.max()?)
    }

    /// Changes the firewall of the pod that this process is in.
    #[track_caller]
    fn firewall(&self, process: Pid, rule: &str) {
        let target = process.as_raw_nonzero().to_string();
        let output = Command::new("nsenter")
            .args(["--net", "--target", &target, "iptables"])
            .args(rule.split_whitespace())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Name of the pod of a registry.
    #[track_caller]
    fn registry(&self, index: u32) -> String {
        let selector = format!("app.kubernetes.io/component=nsqlookupd,nsq.rs/index={index}");
        let mut name = String::new();
        eventually(BOUND, || {
            let list = self.namespace.get(&["pod", "-l", &selector]);
            let pods = list["items"].as_array().unwrap();
            let mut ready = pods
                .iter()
                .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
                .filter(|pod| pod["status"]["podIP"].is_string());
            let found = ready.next().and_then(|pod| pod["metadata"]["name"].as_str());
            name = found.unwrap_or_default().to_owned();
            found.is_some()
        });
        name
    }

    /// Names of the nodes that a registry knows; none while it does not answer.
    fn registered(&self, index: u32) -> Vec<String> {
        let at = self.namespace.pod(&self.registry(index), 4161);
        let answer = std::panic::catch_unwind(|| request(at, "GET", "/nodes", b"").json());
        let answer = answer.unwrap_or_default();
        let all = answer["producers"].as_array().into_iter().flatten();
        let hosts = all.filter_map(|node| node["broadcast_address"].as_str());
        let mut names: Vec<String> = hosts
            .map(|host| host.split('.').next().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Whether something of a cluster stays false for as long as `time`.
    fn stays(&self, time: Duration, mut happens: impl FnMut() -> bool) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(time, &mut happens);
        }))
        .is_err()
    }

    /// UIDs of the nsqd pods, by ordinal.
    fn uids(&self) -> Vec<String> {
        let list = self
            .namespace
            .get(&["pod", "-l", "app.kubernetes.io/component=nsqd"]);
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Makes a topic and its channel on a node.
    fn create(&self, pod: &str, topic: &str, channel: &str) {
        let ask = |target: String| self.namespace.ask(pod, "POST", &target).expect(200, "");
        ask(format!("/topic/create?topic={topic}"));
        ask(format!("/channel/create?topic={topic}&channel={channel}"));
    }

    /// Publishes `count` messages to a node, which has the channel.
    fn fill(&self, pod: &str, topic: &str, channel: &str, count: usize) {
        self.create(pod, topic, channel);
        let mut conn = self.namespace.connect(pod);
        for number in 0..count {
            conn.publish(topic, format!("{pod} {number}").as_bytes());
        }
    }

    /// A consumer on a node.
    fn consumer(&self, pod: &str, topic: &str, channel: &str) -> Conn {
        let mut conn = self.namespace.connect(pod);
        conn.subscribe(topic, channel);
        conn.command("RDY 100");
        conn
    }

    /// Takes this many messages from a node and finishes them.
    #[track_caller]
    fn take(&self, pod: &str, topic: &str, channel: &str, count: usize) -> Vec<Delivery> {
        let mut consumer = self.consumer(pod, topic, channel);
        let mut taken = Vec::new();
        for _ in 0..count {
            let message = consumer.message();
            consumer.finish(&message);
            taken.push(message);
        }
        // What was finished is finished before the connection ends.
        consumer.command("CLS");
        consumer.expect_response("CLOSE_WAIT");
        taken
    }

    /// Messages a node has for a channel.
    fn depth(&self, pod: &str, topic: &str, channel: &str) -> u64 {
        let stats = self
            .namespace
            .ask(pod, "GET", &format!("/stats?format=json&topic={topic}"))
            .json();
        let channels = stats["topics"][0]["channels"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = channels.iter().find(|found| found["channel_name"] == channel);
        found.map_or(0, |found| found["depth"].as_u64().unwrap())
    }

    /// Addresses behind a Service that get traffic.
    fn endpoints(&self, service: &str) -> Vec<String> {
        let selector = format!("kubernetes.io/service-name={service}");
        let list = self.namespace.get(&["endpointslice", "-l", &selector]);
        let mut found = Vec::new();
        for slice in list["items"].as_array().unwrap() {
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                if endpoint["conditions"]["ready"] == true {
                    found.push(
                        endpoint["targetRef"]["name"]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned(),
                    );
                }
            }
        }
        found.sort();
        found
    }
}
