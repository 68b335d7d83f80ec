//! The operator while its API server misbehaves, between the two a proxy that does so on request. Cases of the operator
//! specification, 13.2 to 13.5, 13.9 and 13.10, 13.12 and 13.13.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; files are read and written whole"
)]

mod definitions;
mod objects;
mod requests;
mod watches;

use std::collections::BTreeSet;

use nsq_testbed::{BOUND, IMAGE, Namespace, Operator, Proxy, printed};
use nsq_testkit::eventually;
use serde_json::{Value, json};

/// A spec with one pod of each component, for which there is no node.
fn small() -> Value {
    let pod = json!({"nodeSelector": {"example.com/node": "none"}});
    json!({
        "nsqd": {"replicas": 1, "pod": pod},
        "lookupd": {"replicas": 1, "pod": pod},
        "admin": {"replicas": 1, "pod": pod},
    })
}

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
    let mut spec = spec.clone();
    spec["image"] = IMAGE.into();
    let manifest = json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": name}, "spec": spec,
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, manifest.to_string()).unwrap();
    let yaml = printed(&["render", "-f", file.path().to_str().unwrap()]);
    let documents = serde_yaml::Deserializer::from_str(&yaml);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    documents
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .map(|object: Value| format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"])))
        .collect()
}

/// Kinds and names of the objects of a cluster.
fn objects(namespace: &Namespace, name: &str) -> BTreeSet<String> {
    let kinds = "serviceaccount,service,configmap,pvc,networkpolicy,pdb,deployment,statefulset,ingress";
    let list = namespace.get(&[kinds, "-l", &format!("nsq.rs/cluster={name}")]);
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .map(|object| format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"])))
        .collect()
}

/// Makes the operator look at a cluster again, by a change that means nothing.
fn touch(namespace: &Namespace, name: &str, number: u32) {
    let mark = format!("touched={number}");
    namespace.kubectl(&["annotate", "--overwrite", "nsqcluster", name, &mark]);
}
