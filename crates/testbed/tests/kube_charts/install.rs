//! Installing, upgrading and uninstalling the operator. Its definitions belong to the whole cluster, so these cases have a control
//! plane of their own, where no pod runs: a process with the rights of the release takes the place of the operator's.

use nsq_testbed::{BOUND, Cluster, Namespace, Operator, OwnCluster, stand_in};
use nsq_testkit::eventually;
use serde_json::{Value, json};

use crate::Chart;

const CLUSTERS: &str = "nsqclusters.nsq.rs";
/// The field that the definition of the release before does not have.
const FIELD: &str = "joinTimeout";
const EVERYWHERE: [&str; 2] = ["--watch-namespaces", ""];

#[test]
fn op_013_op_202_op_203_the_operator_is_installed_upgraded_and_uninstalled() {
    let own = OwnCluster::start();
    let namespace = own.cluster().namespace("op-203");
    the_server_takes_what_is_rendered(&namespace);
    let release = Release {
        cluster: own.cluster(),
        namespace: &namespace,
    };
    release.install_and_upgrade();
    release.deletion_is_denied_while_a_cluster_is_protected();
    release.uninstall();
}

/// OP-202: a dry run of everything, without a warning.
fn the_server_takes_what_is_rendered(namespace: &Namespace) {
    let cluster = namespace.cluster();
    for name in ["orders", "billing"] {
        cluster.kubectl(&["create", "namespace", name]);
    }
    for (kind, plural) in [
        ("PodMonitor", "podmonitors"),
        ("PrometheusRule", "prometheusrules"),
    ] {
        namespace.apply(&stand_in("monitoring.coreos.com", "v1", kind, plural).to_string());
        let definition = format!("crd/{plural}.monitoring.coreos.com");
        cluster.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            &definition,
        ]);
    }
    namespace.kubectl(&[
        "label",
        "namespace",
        namespace.name(),
        "pod-security.kubernetes.io/warn=restricted",
    ]);
    for name in ["nsq-operator", "nsq-cluster"] {
        let chart = Chart::with_stand_ins(name);
        for flags in [vec![], vec![chart.full()]] {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let rendered = chart.template(namespace.name(), &flags);
            let dry = [
                "apply",
                "--server-side",
                "--force-conflicts",
                "--dry-run=server",
                "--warnings-as-errors",
                "-f",
                "-",
            ];
            let output = cluster.try_kubectl(&dry, &rendered);
            assert!(output.status.success(), "{name} {flags:?}: {output:?}");
        }
    }
}

/// The release of the operator.
struct Release<'a> {
    cluster: &'a Cluster,
    namespace: &'a Namespace,
}

impl Release<'_> {
    #[track_caller]
    fn helm(&self, command: &str, args: &[&str]) -> String {
        let usual = [command, "nsq-operator", "--namespace", self.namespace.name()];
        self.cluster.helm(&[&usual[..], args].concat())
    }

    /// The process in place of the pod.
    fn operator(&self) -> (Operator, tempfile::NamedTempFile) {
        let account = self.namespace.as_account("nsq-operator");
        let operator = Operator::start_as(self.namespace, account.path(), &EVERYWHERE);
        eventually(BOUND, || {
            operator.metrics().get("nsq_operator_leader") == Some(1.0)
        });
        (operator, account)
    }

    fn outdated(operator: &Operator) -> Option<f64> {
        let series = format!("nsq_operator_crd_outdated{{crd=\"{CLUSTERS}\"}}");
        operator.metrics().get(&series)
    }

    fn definition(&self) -> Value {
        self.cluster.get(&["crd", CLUSTERS])
    }

    /// OP-203, the first half.
    fn install_and_upgrade(&self) {
        let before = earlier();
        // Somebody has applied the definitions before.
        self.helm("install", &[before.path(), "--take-ownership"]);
        assert!(!self.definition().to_string().contains(FIELD));
        let (mut operator, account) = self.operator();
        eventually(BOUND, || Self::outdated(&operator) == Some(1.0));
        self.namespace.apply_cluster("demo", &crate::small());
        let mut nodes = Vec::new();
        eventually(BOUND, || {
            nodes = self.nodes();
            nodes.len() == 1
        });
        operator.await_quiet();
        let set = self.namespace.get(&["statefulset", "demo-nsqd"]);

        let notes = self.helm("upgrade", &[Chart::of("nsq-operator").path()]);
        assert!(notes.contains("helm install demo charts/nsq-cluster"), "{notes}");
        let definition = self.definition();
        assert!(definition.to_string().contains(FIELD));
        assert_eq!(
            definition["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
        let image = format!("nsq-rs/nsq-operator:{}", env!("CARGO_PKG_VERSION"));
        let deployment = self.namespace.get(&["deployment", "nsq-operator"]);
        assert_eq!(
            deployment["spec"]["template"]["spec"]["containers"][0]["image"],
            image
        );

        operator.stop();
        drop(account);
        let (operator, _account) = self.operator();
        eventually(BOUND, || Self::outdated(&operator) == Some(0.0));
        operator.await_quiet();
        assert_eq!(self.nodes(), nodes, "no nsqd is replaced");
        let after = self.namespace.get(&["statefulset", "demo-nsqd"]);
        assert_eq!(after["metadata"]["generation"], set["metadata"]["generation"]);
    }

    /// UIDs of the pods of nsqd.
    fn nodes(&self) -> Vec<String> {
        let list = self
            .namespace
            .get(&["pod", "-l", "app.kubernetes.io/component=nsqd"]);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|pod| pod["metadata"]["uid"].to_string())
            .collect()
    }

    /// OP-013.
    fn deletion_is_denied_while_a_cluster_is_protected(&self) {
        let namespace = self.namespace.name();
        let protect = |on: bool| {
            let patch = json!({"spec": {"deletionProtection": on}}).to_string();
            self.namespace
                .kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", &patch]);
        };
        let delete = |more: &[&str]| {
            let usual = ["delete", "nsqcluster", "demo", "--wait=false", "-n", namespace];
            let output = self.cluster.try_kubectl(&[&usual[..], more].concat(), "");
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        protect(true);
        let text =
            format!("NsqCluster {namespace}/demo is protected: set spec.deletionProtection to false first");
        // The API server takes a new policy up some time later.
        eventually(BOUND, || delete(&["--dry-run=server"]).contains(&text));
        let denied = delete(&[]);
        assert!(denied.contains("Forbidden") && denied.contains(&text), "{denied}");
        assert!(self.namespace.get(&["nsqcluster", "demo"])["metadata"]["deletionTimestamp"].is_null());
        protect(false);
        assert_eq!(delete(&[]), "");
        eventually(BOUND, || self.namespace.get(&["nsqcluster", "demo"]).is_null());
    }

    /// OP-203, the second half.
    fn uninstall(&self) {
        self.namespace.apply_cluster("kept", &crate::small());
        let uid = || self.namespace.get(&["nsqcluster", "kept"])["metadata"]["uid"].clone();
        let before = uid();
        self.helm("uninstall", &["--wait"]);
        assert!(self.namespace.get(&["deployment", "nsq-operator"]).is_null());
        for kind in ["clusterrole", "validatingadmissionpolicy"] {
            assert!(self.cluster.get(&[kind, "nsq-operator"]).is_null(), "{kind}");
        }
        assert!(!self.definition().is_null());
        assert_eq!(uid(), before);

        // What was kept is taken over by another installation, which does not keep it.
        let chart = Chart::of("nsq-operator");
        self.helm("install", &[chart.path(), "--set=crds.keep=false"]);
        assert_eq!(uid(), before);
        self.helm("uninstall", &[]);
        eventually(BOUND, || self.definition().is_null());
    }
}

/// The release before: there is none yet, so it is this one with a lower version and a field less.
fn earlier() -> Chart {
    let chart = Chart::copy("nsq-operator");
    let version = env!("CARGO_PKG_VERSION");
    chart.edit("Chart.yaml", |text| text.replace(version, "0.0.1"));
    chart.edit("files/crds/nsq.rs_nsqclusters.yaml", |text| {
        let text = without(&text, FIELD);
        let (hash, rest) = text.split_once("nsq.rs/schema-hash: ").unwrap();
        let rest = rest.split_once('\n').unwrap().1;
        format!("{hash}nsq.rs/schema-hash: '0123456789abcdef'\n{rest}")
    });
    chart
}

/// YAML without a key and what is below it.
fn without(yaml: &str, key: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut inside: Option<usize> = None;
    let mut left = String::new();
    for line in yaml.lines() {
        if inside.is_some_and(|depth| indent(line) > depth) {
            continue;
        }
        inside = line
            .trim_start()
            .starts_with(&format!("{key}:"))
            .then(|| indent(line));
        if inside.is_none() {
            left = left + line + "\n";
        }
    }
    left
}
