//! What is done to the nodes of Kubernetes: drained, their kubelet restarted, their containers killed.

use super::*;

const PODS: [&str; 2] = ["demo-nsqd-0", "demo-nsqd-1"];

/// Two nsqd on two nodes, with 100 messages each; what is answered for is on the disk.
fn spread(name: &str) -> Running {
    let mut spec = quick(2);
    spec["nsqd"]["options"] = json!({"memQueueSize": 0});
    let label = json!({"test.example/of": name});
    spec["nsqd"]["pod"]["affinity"] = json!({"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": label}},
        ],
    }});
    spec["nsqd"]["pod"]["labels"] = label;
    let demo = running(name, &spec);
    for pod in PODS {
        demo.fill(pod, "t", "c", 100);
    }
    demo
}

impl Running {
    /// The node a pod runs on.
    fn node_of(&self, pod: &str) -> String {
        let pod = self.namespace.get(&["pod", pod]);
        pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()
    }

    fn is_ready(&self, pod: &str) -> bool {
        let pod = self.namespace.get(&["pod", pod]);
        Namespace::condition(&pod["status"], "Ready")["status"] == "True"
    }

    fn restarts(&self, pod: &str) -> Value {
        self.namespace.get(&["pod", pod])["status"]["containerStatuses"][0]["restartCount"].clone()
    }

    /// All of the 100 messages are there, each once.
    #[track_caller]
    fn has_everything(&self, pod: &str) {
        let taken = self.take(pod, "t", "c", 100).into_iter();
        let bodies: BTreeSet<Vec<u8>> = taken.map(|message| message.body).collect();
        assert_eq!(bodies.len(), 100, "{pod}");
    }
}

/// What `kubectl drain` did to a node; it is open again for the other tests when this is dropped.
struct Drained(String);

impl Drained {
    fn new(node: &str, of: &str, timeout: &str) -> (Self, std::process::Output) {
        let selector = format!("--pod-selector=test.example/of={of}");
        let timeout = format!("--timeout={timeout}");
        let drained = Self(node.to_owned());
        let command = [
            "drain",
            node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            &selector,
            &timeout,
        ];
        let output = Cluster::nodes().try_kubectl(&command, "");
        (drained, output)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let _ = Cluster::nodes().try_kubectl(&["uncordon", &self.0], "");
    }
}

#[test]
fn kubectl_drain_takes_one_node_and_the_budget_keeps_the_other() {
    let name = "upkeep-drain";
    let demo = spread(name);
    let hosts = PODS.map(|pod| demo.node_of(pod));
    assert_ne!(hosts[0], hosts[1]);
    let kept = demo.uids()[1].clone();

    // As soon as the controller of budgets has seen both ready.
    let mut first = None;
    eventually(BOUND, || {
        let (drained, output) = Drained::new(&hosts[0], name, "20s");
        first = Some(drained);
        output.status.success()
    });
    // Its volume is on that node, so it waits; the status says for whom, and the other goes on.
    demo.namespace.await_status("demo", "1/2", |status| {
        status["nsqd"]["readyText"] == "1/2" && status["phase"] == "Degraded"
    });
    let (second, output) = Drained::new(&hosts[1], name, "7s");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("disruption budget"),
        "{told}"
    );
    drop(second);
    demo.has_everything(PODS[1]);
    assert_eq!(
        demo.namespace.get(&["pod", PODS[1]])["metadata"]["uid"],
        kept.as_str()
    );

    drop(first);
    demo.await_nodes(2);
    assert_eq!(demo.node_of(PODS[0]), hosts[0], "where its volume is");
    demo.has_everything(PODS[0]);
}

#[test]
fn a_kubelet_that_restarts_disturbs_no_message() {
    let demo = spread("upkeep-kubelet");
    let host = demo.node_of(PODS[1]);
    let before = demo.uids();
    let mut consumer = demo.consumer(PODS[1], "t", "c");
    let first = consumer.message();
    let cluster = demo.namespace.cluster();
    cluster.node(&["stop", &host, "kubelet"]);
    // Nobody looks after the pod now: it works all the same.
    consumer.finish(&first);
    demo.fill(PODS[1], "t2", "c", 10);
    cluster.node(&["up", "2"]);
    for _ in 1..100 {
        let message = consumer.message();
        consumer.finish(&message);
    }
    assert_eq!(demo.take(PODS[1], "t2", "c", 10).len(), 10);
    demo.await_nodes(2);
    assert_eq!(demo.uids(), before);
    assert_eq!(PODS.map(|pod| demo.restarts(pod)), [json!(0), json!(0)]);
}

#[test]
fn a_container_that_is_killed_comes_back_with_everything() {
    let demo = spread("upkeep-kill");
    let before = demo.uids();
    kill_process(demo.process("demo-nsqd-0.demo-nsqd"), Signal::KILL).unwrap();
    eventually(BOUND, || demo.restarts(PODS[0]) == 1 && demo.is_ready(PODS[0]));
    demo.await_nodes(2);
    assert_eq!(demo.uids(), before, "the same pods");
    for pod in PODS {
        demo.has_everything(pod);
    }
}
