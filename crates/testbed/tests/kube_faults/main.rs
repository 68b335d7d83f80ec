//! The operator while its API server misbehaves, between the two a proxy that does so on request. Cases of the operator
//! specification, 13.2 to 13.5, 13.9 and 13.10, 13.12 and 13.13.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; files are read and written whole"
)]

mod crash;
mod definitions;
mod nodes;
mod objects;
mod requests;
mod rights;
mod watches;

use std::collections::BTreeSet;

use nsq_testbed::{BOUND, IMAGE, Namespace, Operator, Proxy, printed, small};
use nsq_testkit::eventually;
use serde_json::{Value, json};

/// A namespace with an operator behind a proxy.
struct Behind {
    // In the order in which they have to end.
    operator: Operator,
    proxy: Proxy,
    namespace: Namespace,
}

impl Behind {
    fn start(namespace: Namespace, flags: &[&str]) -> Self {
        let proxy = Proxy::start(namespace.cluster());
        let operator = Operator::start_as(&namespace, proxy.kubeconfig(), flags);
        eventually(BOUND, || {
            let leads = operator.metrics().get("nsq_operator_leader") == Some(1.0);
            leads && operator.ask("/readyz").status == 200
        });
        Self {
            operator,
            proxy,
            namespace,
        }
    }

    /// Waits until three looks at a cluster, each for nothing, changed nothing.
    #[track_caller]
    fn await_still(&self, name: &str) {
        let mut number = 0;
        eventually(BOUND, || {
            let writes = self.proxy.writes().len();
            for _ in 0..3 {
                number += 1;
                let before = self.operator.passes();
                touch(&self.namespace, name, number);
                self.operator.await_passes_beyond(before, 1);
            }
            self.proxy.writes().len() == writes
        });
    }

    /// Waits until a cluster has exactly the objects of its spec and a status of its generation, and is not Stalled on the way.
    #[track_caller]
    fn await_applied(&self, name: &str, spec: &Value) {
        let wanted = rendered(name, spec);
        let namespace = &self.namespace;
        eventually(BOUND, || {
            let status = namespace.status(name);
            assert_ne!(
                Namespace::condition(&status, "Stalled")["status"],
                "True",
                "{status:#}"
            );
            let generation = &namespace.get(&["nsqcluster", name])["metadata"]["generation"];
            status["observedGeneration"] == *generation && objects(namespace, name) == wanted
        });
    }
}

/// Kinds and names of what a spec becomes, as the operator renders it.
fn rendered(name: &str, spec: &Value) -> BTreeSet<String> {
    render("default", name, spec).iter().map(title).collect()
}

/// The same in a namespace, with the hash of each.
fn rendered_with_hashes(namespace: &Namespace, name: &str, spec: &Value) -> BTreeSet<String> {
    render(namespace.name(), name, spec).iter().map(hashed).collect()
}

fn render(namespace: &str, name: &str, spec: &Value) -> Vec<Value> {
    let mut spec = spec.clone();
    spec["image"] = IMAGE.into();
    let manifest = json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": name}, "spec": spec,
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, manifest.to_string()).unwrap();
    let path = file.path().to_str().unwrap();
    // The operator of a test runs outside of the cluster: no namespace has to be let in for it.
    let flags = ["--namespace", namespace, "--operator-namespace", ""];
    let yaml = printed(&[&["render", "-f", path][..], &flags].concat());
    let documents = serde_yaml::Deserializer::from_str(&yaml);
    documents
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect()
}

/// Kinds and names of the objects of a cluster.
fn objects(namespace: &Namespace, name: &str) -> BTreeSet<String> {
    stored(namespace, name).iter().map(title).collect()
}

/// The same with the hash of each.
fn hashed_objects(namespace: &Namespace, name: &str) -> BTreeSet<String> {
    stored(namespace, name).iter().map(hashed).collect()
}

fn stored(namespace: &Namespace, name: &str) -> Vec<Value> {
    let kinds = "serviceaccount,service,configmap,pvc,networkpolicy,pdb,deployment,statefulset,ingress";
    let list = namespace.get(&[kinds, "-l", &format!("nsq.rs/cluster={name}")]);
    list["items"].as_array().cloned().unwrap_or_default()
}

fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// What an object is and what it says. Claims and the StatefulSet keep what was true when they were made: of them the parts count
/// that follow the spec.
fn hashed(object: &Value) -> String {
    let note = |key: &str| {
        object["metadata"]["annotations"][key]
            .as_str()
            .unwrap_or_default()
    };
    let said = match object["kind"].as_str() {
        Some("PersistentVolumeClaim") => object["spec"]["resources"]["requests"]["storage"].to_string(),
        Some("StatefulSet") => {
            let spec = &object["spec"];
            let partition = &spec["updateStrategy"]["rollingUpdate"]["partition"];
            format!(
                "{} {} {partition}",
                note("nsq.rs/template-hash"),
                spec["replicas"]
            )
        }
        _ => note("nsq.rs/spec-hash").to_owned(),
    };
    format!("{} {said}", title(object))
}

/// Makes the operator look at a cluster again, by a change that means nothing.
fn touch(namespace: &Namespace, name: &str, number: u32) {
    let mark = format!("touched={number}");
    namespace.kubectl(&["annotate", "--overwrite", "nsqcluster", name, &mark]);
}
