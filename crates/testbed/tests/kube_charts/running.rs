//! Both charts on nodes: the operator as a pod, a cluster, and Helm's test of it.

use nsq_testbed::{BOUND, Cluster, IMAGE, Namespace, OPERATOR_IMAGE};
use nsq_testkit::eventually;
use serde_json::{Value, json};

use crate::Chart;

/// A namespace with a release of each chart.
pub(crate) struct Installed {
    pub(crate) namespace: Namespace,
    /// Values of the cluster's chart.
    pub(crate) cluster: Value,
}

/// OP-203 here is about pods that run: the operator is replaced, nsqd is not.
#[test]
fn op_203_op_204_messages_go_through_an_installed_cluster() {
    let namespace = Cluster::nodes().namespace("op-204");
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    namespace.kubectl(&["label", "namespace", namespace.name(), enforce]);
    let mut installed = Installed {
        namespace,
        cluster: values(),
    };
    installed.operator("install", &[]);
    let notes = installed.cluster("install");
    let status = installed.namespace.await_running("demo");
    the_notes_have_the_addresses(&notes, &status);
    let (passed, told) = installed.test();
    assert!(passed && told.contains("ok: 100 of 100"), "{told}");
    installed.members_and_view_are_there();
    installed.an_upgrade_of_the_operator_replaces_no_node();
    installed.consumers_that_cannot_reach_nsqd_fail_the_test();
}

/// A small cluster whose topics have names that Kubernetes takes, and does not take, for objects.
pub(crate) fn values() -> Value {
    let pod = json!({"resources": {"requests": {"cpu": "1m", "memory": "16Mi"}}});
    json!({
        "spec": {
            "image": IMAGE,
            "nsqd": {
                "replicas": 2, "pod": pod, "storage": {"size": "1Gi"}, "joinTimeout": "5s", "preStopSeconds": 0,
                "terminationGracePeriodSeconds": 30, "update": {"minReadySeconds": 0},
            },
            "lookupd": {"pod": pod},
            "admin": {"pod": pod},
        },
        "topics": [{"name": "orders", "channels": [{"name": "Archive_1", "paused": true}]}],
        "adminView": {"enabled": true},
        "test": {"image": OPERATOR_IMAGE},
    })
}

fn the_notes_have_the_addresses(notes: &str, status: &Value) {
    let endpoints = &status["endpoints"];
    let mut addresses = vec![&endpoints["publishTcp"], &endpoints["publishHttp"]];
    addresses.extend(endpoints["lookupdHttp"].as_array().unwrap());
    for address in addresses {
        let address = address.as_str().unwrap();
        assert!(notes.contains(address), "{address}: {notes}");
    }
}

impl Installed {
    #[track_caller]
    fn helm(&self, args: &[&str]) -> String {
        let namespace = ["--namespace", self.namespace.name()];
        self.namespace.cluster().helm(&[args, &namespace].concat())
    }

    /// Installs or upgrades the operator; it looks at this namespace alone, and leaves to others what is there once for all.
    pub(crate) fn operator(&self, command: &str, flags: &[&str]) {
        let (repository, tag) = OPERATOR_IMAGE.split_once(':').unwrap();
        let sets = [
            format!("--set=image.repository={repository},image.tag={tag}"),
            format!("--set=watchNamespaces={{{}}}", self.namespace.name()),
            "--set=crds.enabled=false,rbac.aggregate=false,admissionPolicy.enabled=false".to_owned(),
        ];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let chart = Chart::of("nsq-operator");
        let usual = [command, "nsq-operator", chart.path(), "--wait", "--timeout=2m"];
        self.helm(&[&usual[..], &sets, flags].concat());
    }

    /// Installs or upgrades the cluster and gives the notes.
    pub(crate) fn cluster(&self, command: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, self.cluster.to_string()).unwrap();
        let chart = Chart::of("nsq-cluster");
        self.helm(&[
            command,
            "demo",
            chart.path(),
            "--values",
            file.path().to_str().unwrap(),
        ])
    }

    /// Whether Helm's test passes, and what its pod tells.
    pub(crate) fn test(&self) -> (bool, String) {
        let namespace = self.namespace.name();
        let args = ["test", "demo", "--logs", "--timeout=2m", "--namespace", namespace];
        let output = self.namespace.cluster().try_helm(&args);
        let told = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&told).into_owned(),
        )
    }

    pub(crate) fn await_members(&self) {
        let members = ["nsqtopic,nsqchannel", "--all"];
        let ready = ["wait", "--for=condition=Ready", "--timeout=60s"];
        self.namespace.kubectl(&[&ready[..], &members].concat());
    }

    fn members_and_view_are_there(&self) {
        let namespace = &self.namespace;
        self.await_members();
        assert_eq!(namespace.names("nsqtopic"), ["demo.orders"]);
        let stats = namespace
            .ask("demo-nsqd-0", "GET", "/stats?format=json&topic=orders")
            .json();
        let channel = &stats["topics"][0]["channels"][0];
        assert_eq!(channel["channel_name"], "Archive_1");
        assert_eq!(channel["paused"], true);

        let account = format!("--as=system:serviceaccount:{}:demo-admin-view", namespace.name());
        let may = |verb: &str, object: &str| {
            let args = ["auth", "can-i", verb, object, "-n", namespace.name(), &account];
            namespace.cluster().try_kubectl(&args, "").status.success()
        };
        assert!(may("get", "nsqclusters.nsq.rs/demo"));
        assert!(!may("get", "nsqclusters.nsq.rs/other") && !may("list", "nsqclusters.nsq.rs"));
        let admin = namespace.get(&["deployment", "demo-nsqadmin"]);
        assert_eq!(
            admin["spec"]["template"]["spec"]["serviceAccountName"],
            "demo-admin-view"
        );
    }

    /// Names of pods with their UIDs and restarts.
    pub(crate) fn pods(&self, selector: &str) -> Vec<String> {
        let list = self.namespace.get(&["pod", "-l", selector]);
        let pods = list["items"].as_array().unwrap().iter();
        pods.map(|pod| {
            let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
            format!(
                "{} {} {restarts}",
                pod["metadata"]["name"], pod["metadata"]["uid"]
            )
        })
        .collect()
    }

    /// OP-203.
    fn an_upgrade_of_the_operator_replaces_no_node(&mut self) {
        let (nodes, operator) = (
            "app.kubernetes.io/component=nsqd",
            "app.kubernetes.io/name=nsq-operator",
        );
        let before = (self.pods(nodes), self.pods(operator));
        self.operator("upgrade", &["--set-string=podAnnotations.round=2"]);
        eventually(BOUND, || {
            let after = self.pods(operator);
            after.len() == 1 && after != before.1
        });
        // What reaches running nodes without a restart shows that the new one works.
        self.cluster["spec"]["lookupd"]["replicas"] = 1.into();
        self.cluster["spec"]["lookupd"]["removalDelay"] = "1s".into();
        self.cluster("upgrade");
        self.namespace.await_running("demo");
        assert_eq!(self.pods(nodes), before.0);
    }

    /// OP-204: names that are known outside only are the usual mistake.
    fn consumers_that_cannot_reach_nsqd_fail_the_test(&mut self) {
        self.cluster["spec"]["nsqd"]["expose"] =
            json!({"type": "StaticNames", "hostTemplate": "nsqd-{ordinal}.mq.example.com"});
        self.cluster("upgrade");
        self.namespace.await_running("demo");
        let (passed, told) = self.test();
        assert!(!passed, "{told}");
        let text = "nsqd nsqd-0.mq.example.com:4150 is registered, but not reachable from here";
        assert!(told.contains(text), "{told}");
    }
}
