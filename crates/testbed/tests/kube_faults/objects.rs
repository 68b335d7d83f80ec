//! Objects that belong to somebody else, that nobody lets change, or of which there are two.

use nsq_testbed::{BOUND, Cluster, IMAGE, Namespace, printed};
use nsq_testkit::eventually;
use serde_json::{Value, json};

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
