//! What the operator may do, and what it asks for.

use std::collections::BTreeSet;
use std::process::Command;

use nsq_testbed::{BOUND, Cluster, Namespace, Operator, Proxy, Seen, printed, stand_in};
use nsq_testkit::eventually;
use serde_json::{Value, json};

use crate::nodes::{quick, scale};

/// One operator for all namespaces with the rights of its manifests goes through what it can do. The server has the admission
/// plugin OwnerReferencesPermissionEnforcement; by its selector the operator leaves the clusters of other tests alone.
#[test]
fn op_177_the_rights_of_the_install_are_enough_and_each_is_used() {
    let cluster = Cluster::nodes();
    let namespace = cluster.namespace("op-177");
    let name = namespace.name();
    let manifests = printed(&["install", "--namespace", name]);
    namespace.apply(&manifests);
    // The process of this test takes the place of the pod.
    namespace.kubectl(&["delete", "deployment", "nsq-operator"]);
    namespace.apply(&stand_in("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors").to_string());
    namespace.apply(&stand_in("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes").to_string());
    let account = namespace.as_account("nsq-operator");
    let proxy = Proxy::start_as(&cluster, account.path());
    let selector = format!("run={name}");
    let flags = ["--watch-namespaces", "", "--selector", &selector];
    let operator = Operator::start_as(&namespace, proxy.kubeconfig(), &flags);

    let demo = Demo {
        namespace: &namespace,
        proxy: &proxy,
    };
    demo.live();
    let seen = proxy.seen();
    let refused: Vec<&Seen> = seen.iter().filter(|seen| seen.code == Some(403)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(!operator.log().contains("not told"), "{}", operator.log());
    let used: BTreeSet<(&str, &str)> = seen
        .iter()
        .map(|seen| (seen.call.group.as_str(), seen.call.resource.as_str()))
        .collect();
    let mut rules = 0;
    for rule in rules_of(&manifests) {
        let text = |key: &str| -> Vec<String> {
            let list = rule[key].as_array().unwrap().iter();
            list.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let group = text("apiGroups").remove(0);
        for resource in text("resources") {
            // Asked by the admission plugin while an object with an owner is made; see below.
            let asked = resource == "nsqclusters/finalizers" || used.contains(&(&group, &resource));
            assert!(asked, "{group} {resource} is never used");
            rules += 1;
        }
    }
    assert!(rules > 20, "{rules}");
    demo.owners_need_the_right_to_finalize();
}

/// Rules of the roles for the operator.
fn rules_of(manifests: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(manifests);
    let objects = documents.map(|document| -> Value { serde::Deserialize::deserialize(document).unwrap() });
    let ours = objects.filter(|object| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        object["rules"].is_array() && name.starts_with("nsq-operator")
    });
    ours.flat_map(|object| object["rules"].as_array().cloned().unwrap())
        .collect()
}

struct Demo<'a> {
    namespace: &'a Namespace,
    proxy: &'a Proxy,
}

impl Demo<'_> {
    fn live(&self) {
        let namespace = self.namespace;
        let mut spec = quick(2);
        spec["nsqd"]["storage"]["whenScaled"] = "DeleteIfDrained".into();
        spec["nsqd"]["storage"]["resizeRestartAfter"] = "1s".into();
        spec["lookupd"]["replicas"] = 2.into();
        spec["monitoring"] = json!({"podMonitor": true});
        spec["admin"]["route"] = json!({"type": "Ingress", "hosts": ["nsq.example.com"]});
        self.apply("NsqCluster", "demo", &spec);
        namespace.await_running("demo");
        self.await_call("get", "customresourcedefinitions");
        let topic = json!({"clusterName": "demo", "deletionPolicy": "Delete"});
        self.apply("NsqTopic", "t", &topic);
        let channel = json!({"clusterName": "demo", "topic": "t", "deletionPolicy": "Delete"});
        self.apply("NsqChannel", "c", &channel);
        let ready = [
            "wait",
            "--for=condition=Ready",
            "--timeout=60s",
            "nsqtopic/t",
            "nsqchannel/c",
        ];
        namespace.kubectl(&ready);
        namespace.kubectl(&["delete", "nsqchannel", "c", "--timeout=60s"]);
        namespace.kubectl(&["delete", "nsqtopic", "t", "--timeout=60s"]);
        self.restart_for_a_volume();
        scale(namespace, 1);
        eventually(BOUND, || namespace.names("pvc") == ["data-demo-nsqd-0"]);
        spec["nsqd"]["replicas"] = 1.into();
        spec["nsqd"]["pdb"] = json!({"enabled": false});
        spec["networkPolicy"] = json!({"enabled": false});
        spec["lookupd"]["replicas"] = 1.into();
        spec["monitoring"] = json!({"podMonitor": false});
        spec["admin"]["route"] =
            json!({"type": "HTTPRoute", "hosts": ["nsq.example.com"], "parentRefs": [{"name": "gateway"}]});
        self.apply("NsqCluster", "demo", &spec);
        eventually(BOUND, || {
            namespace.names("httproutes.gateway.networking.k8s.io").len() == 1
        });
        eventually(BOUND, || namespace.names("ingress").is_empty());
        spec["admin"]["route"] = json!({"type": "None"});
        self.apply("NsqCluster", "demo", &spec);
        for kind in [
            "httproutes.gateway.networking.k8s.io",
            "podmonitors.monitoring.coreos.com",
            "networkpolicy",
        ] {
            eventually(BOUND, || namespace.names(kind).is_empty());
        }
        eventually(BOUND, || {
            !namespace
                .names("deployment")
                .contains(&"demo-nsqlookupd-1".to_owned())
        });
        namespace.await_running("demo");
    }

    /// A resizer says that the file system waits for the pod.
    fn restart_for_a_volume(&self) {
        let now = Command::new("date")
            .args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])
            .output()
            .unwrap();
        let now = String::from_utf8(now.stdout).unwrap();
        let pending = json!({"status": {"conditions": [{
            "type": "FileSystemResizePending", "status": "True", "lastTransitionTime": now.trim(),
        }]}});
        let none = json!({"status": {"conditions": null}});
        let write = |status: &Value| {
            let status = status.to_string();
            let args = [
                "patch",
                "pvc",
                "data-demo-nsqd-1",
                "--subresource=status",
                "--type=merge",
                "-p",
                &status,
            ];
            self.namespace.kubectl(&args);
        };
        write(&pending);
        self.await_call("create", "pods/eviction");
        write(&none);
        self.namespace.await_status("demo", "2/2", |status| {
            status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
        });
    }

    fn apply(&self, kind: &str, name: &str, spec: &Value) {
        let mut spec = spec.clone();
        if kind == "NsqCluster" {
            spec["image"] = nsq_testbed::IMAGE.into();
        }
        let labels = json!({"run": self.namespace.name()});
        let object = json!({
            "apiVersion": "nsq.rs/v1alpha1", "kind": kind,
            "metadata": {"name": name, "labels": labels}, "spec": spec,
        });
        self.namespace.apply(&object.to_string());
    }

    #[track_caller]
    fn await_call(&self, verb: &str, resource: &str) {
        eventually(BOUND, || {
            let seen = self.proxy.seen();
            let mut seen = seen.iter().filter(|seen| seen.call.is(verb, resource));
            seen.any(|seen| seen.code.is_some_and(|code| code < 300))
        });
    }

    /// Whoever may do everything else to the objects may not give them an owner that waits for them.
    fn owners_need_the_right_to_finalize(&self) {
        let namespace = self.namespace;
        let account = format!("--serviceaccount={}:default", namespace.name());
        namespace.kubectl(&["create", "rolebinding", "edits", "--clusterrole=edit", &account]);
        let owner = namespace.get(&["nsqcluster", "demo"])["metadata"]["uid"].clone();
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "ownerReferences": [{
            "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "name": "demo", "uid": owner,
            "controller": true, "blockOwnerDeletion": true,
        }]}});
        let user = format!("--as=system:serviceaccount:{}:default", namespace.name());
        let args = ["-n", namespace.name(), &user, "create", "-f", "-"];
        let output = namespace.cluster().try_kubectl(&args, &object.to_string());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("cannot set blockOwnerDeletion"), "{text}");
        let ours = namespace.get(&["service", "demo-nsqd"])["metadata"]["ownerReferences"][0].clone();
        assert_eq!(ours["blockOwnerDeletion"], true, "{ours}");
    }
}
