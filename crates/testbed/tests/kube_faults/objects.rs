//! Objects that belong to somebody else, that nobody lets change, or of which there are two.

use nsq_testbed::{BOUND, Cluster, IMAGE, Namespace, printed};
use nsq_testkit::{Stopwatch, eventually};
use serde_json::{Value, json};

use crate::nodes::{fill, quick, scale};
use crate::{Behind, small};

#[test]
fn op_191_what_was_rendered_and_applied_by_hand_is_not_adopted() {
    let namespace = Cluster::control_plane().namespace("op-191");
    let mut spec = small();
    spec["image"] = IMAGE.into();
    let manifest = json!({
        "apiVersion": "nsq.rs/v1alpha1", "kind": "NsqCluster", "metadata": {"name": "demo"}, "spec": spec,
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, manifest.to_string()).unwrap();
    let path = file.path().to_str().unwrap();
    namespace.apply(&printed(&["render", "-f", path, "--namespace", namespace.name()]));
    let written = |namespace: &Namespace| {
        let list = namespace.get(&[
            "deployment,statefulset,service,configmap",
            "-l",
            "nsq.rs/cluster=demo",
        ]);
        let items = list["items"].as_array().unwrap();
        let of = |item: &Value| {
            (
                item["metadata"]["uid"].clone(),
                item["metadata"]["managedFields"].clone(),
            )
        };
        items.iter().map(of).collect::<Vec<_>>()
    };
    let before = written(&namespace);
    assert!(!before.is_empty());
    let demo = Behind::start(namespace, &[]);
    let namespace = &demo.namespace;
    namespace.apply(&manifest.to_string());
    let status = namespace.await_status("demo", "Stalled", |status| status["phase"] == "Stalled");
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(stalled["reason"], "NameConflict", "{stalled}");
    let message = stalled["message"].as_str().unwrap();
    assert!(message.starts_with("ServiceAccount demo-nsq "), "{message}");
    demo.await_still("demo");
    assert_eq!(written(namespace), before);
    let kinds = "serviceaccount,deployment,statefulset,service,configmap,networkpolicy,pdb";
    let list = namespace.get(&[kinds, "-l", "nsq.rs/cluster=demo"]);
    for item in list["items"].as_array().unwrap() {
        assert!(item["metadata"]["ownerReferences"].is_null(), "{item:#}");
    }
}

/// The claim is bound to a volume that is only an entry.
#[test]
fn op_132_a_class_that_forbids_growth_is_told_and_the_rest_goes_on() {
    let cluster = Cluster::control_plane();
    let namespace = cluster.namespace("op-132");
    let class = namespace.name().to_owned();
    namespace.apply(&format!(
        r#"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {class}}}
provisioner: example.com/none
allowVolumeExpansion: false
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {class}}}
spec:
  storageClassName: {class}
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  hostPath: {{path: /nowhere}}
  claimRef: {{namespace: {class}, name: data-demo-nsqd-0}}
"#
    ));
    let demo = Behind::start(namespace, &[]);
    let namespace = &demo.namespace;
    let mut spec = small();
    spec["nsqd"]["storage"] = json!({"size": "1Gi", "className": class});
    namespace.apply_cluster("demo", &spec);
    let claim = || namespace.get(&["pvc", "data-demo-nsqd-0"]);
    eventually(BOUND, || claim()["status"]["phase"] == "Bound");
    spec["nsqd"]["storage"]["size"] = "2Gi".into();
    spec["nsqd"]["pdb"] = json!({"enabled": false});
    spec["lookupd"]["replicas"] = 2.into();
    namespace.apply_cluster("demo", &spec);
    let status = namespace.await_status("demo", "Stalled", |status| status["phase"] == "Stalled");
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(stalled["reason"], "ResizeUnsupported", "{stalled}");
    let message = stalled["message"].as_str().unwrap();
    let server = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    assert!(message.contains(server), "{message}");
    assert_eq!(claim()["spec"]["resources"]["requests"]["storage"], "1Gi");
    eventually(BOUND, || {
        namespace
            .names("deployment")
            .contains(&"demo-nsqlookupd-1".to_owned())
    });
    cluster.kubectl(&["delete", "pv", &class, "--wait=false"]);
    cluster.kubectl(&["delete", "storageclass", &class]);
}

#[test]
fn op_146_of_two_objects_for_one_topic_the_older_one_counts() {
    let demo = Behind::start(Cluster::nodes().namespace("op-146"), &[]);
    let namespace = &demo.namespace;
    namespace.apply_cluster("demo", &quick(1));
    namespace.await_running("demo");
    let declare = |name: &str| {
        namespace.apply(&format!(
            "{{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {{name: {name}}}, \
             spec: {{clusterName: demo, name: orders}}}}"
        ));
    };
    let reason = |name: &str| {
        let status = namespace.get(&["nsqtopic", name])["status"].clone();
        Namespace::condition(&status, "Ready")["reason"].clone()
    };
    // By name the newer one would be the first; times are kept in seconds.
    declare("older");
    let age = Stopwatch::start();
    eventually(BOUND, || {
        reason("older") == "Synced" && age.elapsed().as_secs() >= 1
    });
    declare("newer");
    eventually(BOUND, || reason("newer") == "NameTaken");
    assert_eq!(reason("older"), "Synced");
    namespace.kubectl(&["delete", "nsqtopic", "older", "--wait=false"]);
    eventually(BOUND, || reason("newer") == "Synced");
}

/// A life: creation, an edit by a user, a restart of the nodes, more nodes, fewer nodes, a topic that comes and goes.
#[test]
fn op_049_nobody_but_the_three_field_managers_writes() {
    let demo = Behind::start(Cluster::nodes().namespace("op-049"), &[]);
    let namespace = &demo.namespace;
    let mut spec = quick(1);
    namespace.apply_cluster("demo", &spec);
    namespace.await_running("demo");
    let patch = r#"[{"op": "replace", "path": "/spec/ports/0/port", "value": 4999}]"#;
    namespace.kubectl(&[
        "patch",
        "service",
        "demo-nsqd-publish",
        "--type=json",
        "-p",
        patch,
    ]);
    eventually(BOUND, || {
        namespace.get(&["service", "demo-nsqd-publish"])["spec"]["ports"][0]["port"] == 4150
    });
    // What an apply alone could not put back.
    eventually(BOUND, || demo.operator.log().contains("lists replaced"));
    spec["nsqd"]["replicas"] = 2.into();
    spec["nsqd"]["options"]["maxRdyCount"] = 3000.into();
    namespace.apply_cluster("demo", &spec);
    namespace.await_status("demo", "2/2", |status| {
        let done = status["observedGeneration"] == 2 && status["phase"] == "Running";
        done && status["nsqd"]["updated"] == 2 && status["nsqd"]["readyText"] == "2/2"
    });
    namespace.apply(
        "{apiVersion: nsq.rs/v1alpha1, kind: NsqTopic, metadata: {name: t}, \
         spec: {clusterName: demo, deletionPolicy: Delete}}",
    );
    namespace.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "nsqtopic/t"]);
    fill(namespace, "demo-nsqd-1", "t", "c", 5);
    scale(namespace, 1);
    namespace.await_status("demo", "Draining", |status| {
        status["drain"]["nodes"][0]["state"] == "Draining"
    });
    let kinds = "nsqcluster,nsqtopic,pod,serviceaccount,service,configmap,pvc,networkpolicy,pdb,deployment,statefulset";
    let list = namespace.get(&[kinds, "--show-managed-fields"]);
    let mut managers = std::collections::BTreeSet::new();
    for item in list["items"].as_array().unwrap() {
        let entries = item["metadata"]["managedFields"].as_array();
        for entry in entries.into_iter().flatten().filter(|entry| is_ours(entry)) {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            managers.insert((text("manager"), text("operation"), text("subresource")));
        }
    }
    let of = |manager: &str, subresource: &str| {
        let text = str::to_owned;
        (text(manager), text("Apply"), text(subresource))
    };
    let expected = [
        of("nsq-operator", ""),
        of("nsq-operator-fence", ""),
        of("nsq-operator-status", "status"),
    ];
    assert_eq!(managers.into_iter().collect::<Vec<_>>(), expected);
    namespace.kubectl(&["delete", "nsqtopic", "t", "--wait=false"]);
    eventually(BOUND, || namespace.names("nsqtopic").is_empty());
}

fn is_ours(entry: &Value) -> bool {
    let manager = entry["manager"].as_str().unwrap_or_default();
    // What a client without a name of its own would be called.
    manager.starts_with("nsq-operator") || manager.starts_with("kube-rs") || manager == "unknown"
}
