//! What an administrator does in the first week: install, use, grow, shrink, upgrade. Messages go through pods of clients.

use std::collections::BTreeSet;

use nsq_testbed::{BOUND, Cluster, REFERENCE_IMAGE};
use nsq_testkit::eventually;
use serde_json::json;

use crate::running::{Installed, values};

/// Lines of each client that publishes.
const BATCH: usize = 20_000;

/// The whole way of 100,000 messages: published by five pods around 3, 5 and 2 nodes and an upgrade of the chart, read by a pod at
/// the end. Nothing is lost, and the upgrade replaces no node.
#[test]
fn messages_stay_through_growth_drain_and_an_upgrade_of_the_chart() {
    let mut installed = Installed {
        namespace: Cluster::nodes().namespace("walk"),
        cluster: values(),
    };
    installed.cluster["spec"]["nsqd"]["replicas"] = 3.into();
    installed.cluster["spec"]["nsqd"]["drain"] =
        json!({"settle": "1s", "evacuate": "WhenStuck", "evacuateAfter": "1s"});
    installed.cluster["topics"] = json!([{"name": "orders", "channels": [{"name": "billing"}]}]);
    installed.operator("install", &[]);
    installed.cluster("install");
    installed.namespace.await_running("demo");
    installed.await_members();

    installed.publish(0);
    installed.scale(5);
    installed.publish(1);
    installed.publish(2);
    installed.scale(2);
    installed.publish(3);
    let before = installed.pods("app.kubernetes.io/component=nsqd");
    installed.cluster["spec"]["nsqd"]["replicas"] = 2.into();
    installed.cluster["spec"]["lookupd"]["replicas"] = 1.into();
    installed.cluster["spec"]["lookupd"]["removalDelay"] = "1s".into();
    installed.cluster("upgrade");
    installed.namespace.await_running("demo");
    assert_eq!(installed.pods("app.kubernetes.io/component=nsqd"), before);
    installed.publish(4);

    let expected: BTreeSet<String> = (0..5).flat_map(lines).collect();
    installed.consume(&expected);
}

/// What one client publishes.
fn lines(batch: usize) -> impl Iterator<Item = String> {
    (batch * BATCH..(batch + 1) * BATCH).map(|number| format!("line {number}"))
}

impl Installed {
    #[track_caller]
    fn scale(&self, nodes: u32) {
        let namespace = &self.namespace;
        namespace.kubectl(&["scale", "nsqcluster", "demo", &format!("--replicas={nodes}")]);
        let text = format!("{nodes}/{nodes}");
        namespace.await_status("demo", &text, |status| {
            status["nsqd"]["readyText"] == text.as_str()
                && status["nsqd"]["replicas"] == nodes
                && status["phase"] == "Running"
        });
    }

    /// A client in a pod publishes a batch through the Service.
    #[track_caller]
    fn publish(&self, batch: usize) {
        let text: String = lines(batch).map(|line| line + "\n").collect();
        let name = format!("publish-{batch}");
        let namespace = ["-n", self.namespace.name()];
        let image = format!("--image={REFERENCE_IMAGE}");
        let run = ["run", &name, "-i", "--quiet", "--rm", "--restart=Never", &image];
        let client = [
            "--command",
            "--",
            "to_nsq",
            "--topic=orders",
            "--nsqd-tcp-address=demo-nsqd-publish:4150",
        ];
        let args = [&namespace[..], &run, &client].concat();
        let output = self.namespace.cluster().try_kubectl(&args, &text);
        assert!(output.status.success(), "{output:?}");
    }

    /// A client in a pod finds the nodes and prints what the channel has.
    #[track_caller]
    fn consume(&self, expected: &BTreeSet<String>) {
        let image = format!("--image={REFERENCE_IMAGE}");
        self.namespace.kubectl(&[
            "run",
            "consume",
            "--restart=Never",
            &image,
            "--command",
            "--",
            "nsq_tail",
            "--topic=orders",
            "--channel=billing",
            "--max-in-flight=1000",
            "--lookupd-http-address=demo-nsqlookupd-0:4161",
        ]);
        let read = || -> BTreeSet<String> {
            let log = self.namespace.kubectl(&["logs", "consume"]);
            let lines = log.lines().filter(|line| line.starts_with("line "));
            lines.map(str::to_owned).collect()
        };
        self.namespace
            .kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "pod/consume"]);
        eventually(BOUND, || read().len() >= expected.len());
        assert!(read() == *expected, "other lines than were published");
    }
}
