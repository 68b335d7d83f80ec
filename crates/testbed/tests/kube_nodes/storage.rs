//! Claims that grow.

use super::*;

#[test]
fn op_130_op_077_claims_grow_while_everything_runs_and_new_ones_have_the_new_size() {
    let demo = running("op-130", &quick(1));
    let namespace = &demo.namespace;
    let set = || {
        let set = namespace.get(&["statefulset", "demo-nsqd"]);
        (
            set["metadata"]["uid"].clone(),
            set["metadata"]["generation"].clone(),
        )
    };
    let (before, uids) = (set(), demo.uids());
    demo.patch(&json!({"nsqd": {"storage": {"size": "2Gi"}}}));
    let claim = |name: &str| namespace.get(&["pvc", name]);
    eventually(BOUND, || {
        claim("data-demo-nsqd-0")["spec"]["resources"]["requests"]["storage"] == "2Gi"
    });
    eventually(BOUND, || {
        claim("data-demo-nsqd-0")["status"]["capacity"]["storage"] == "2Gi"
    });
    let status = namespace.await_status("demo", "grown", |status| status["storage"]["smallest"] == "2Gi");
    let storage = Namespace::condition(&status, "StorageInSync");
    assert_eq!(storage["reason"], "InSync", "{storage}");
    assert_eq!((set(), demo.uids()), (before, uids));
    demo.scale(2);
    namespace.await_status("demo", "2/2", |status| {
        status["nsqd"]["readyText"] == "2/2" && status["phase"] == "Running"
    });
    assert_eq!(
        claim("data-demo-nsqd-1")["spec"]["resources"]["requests"]["storage"],
        "2Gi"
    );
}

/// A class whose volumes grow when the test says so.
fn offline_class() -> String {
    let cluster = Cluster::nodes();
    let manifest = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "by-hand"},
        "provisioner": "testbed.local/directory", "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true, "parameters": {"growByHand": "yes"},
    });
    let output = cluster.try_kubectl(&["apply", "-f", "-"], &manifest.to_string());
    assert!(output.status.success(), "{output:?}");
    "by-hand".to_owned()
}

/// What a resizer writes when the volume has grown and the file system waits for the pod.
fn grown(demo: &Running, ordinal: u32) {
    let now = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    let patch = json!({"status": {"conditions": [{
        "type": "FileSystemResizePending", "status": "True",
        "lastTransitionTime": String::from_utf8(now.stdout).unwrap().trim(),
        "message": "Waiting for user to (re-)start a pod to finish file system resize of volume on node.",
    }]}});
    write_status(demo, ordinal, &patch);
}

/// What it writes when that is done.
fn resized(demo: &Running, ordinal: u32, size: &str) {
    let patch = json!({"status": {"capacity": {"storage": size}, "conditions": null}});
    write_status(demo, ordinal, &patch);
}

fn write_status(demo: &Running, ordinal: u32, patch: &Value) {
    let (claim, patch) = (format!("data-demo-nsqd-{ordinal}"), patch.to_string());
    demo.namespace.kubectl(&[
        "patch",
        "pvc",
        &claim,
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ]);
}

fn requested(demo: &Running, ordinal: u32) -> Value {
    let claim = demo.namespace.get(&["pvc", &format!("data-demo-nsqd-{ordinal}")]);
    claim["spec"]["resources"]["requests"]["storage"].clone()
}

#[test]
fn op_131_op_133_pods_restart_once_for_volumes_that_cannot_grow_under_them() {
    let mut spec = quick(2);
    spec["nsqd"]["storage"] =
        json!({"size": "1Gi", "className": offline_class(), "resizeRestartAfter": "0s"});
    let demo = running("op-131", &spec);
    let namespace = &demo.namespace;
    let before = demo.uids();
    // op_133: pods are made although the volumes have not grown.
    demo.patch(&json!({"nsqd": {"storage": {"size": "2Gi"}, "options": {"maxRdyCount": 3000}}}));
    namespace.await_status("demo", "rolled", |status| {
        status["nsqd"]["updated"] == 2 && status["rollout"].is_null() && status["phase"] == "Resizing"
    });
    let rolled = demo.uids();
    assert!(before[0] != rolled[0] && before[1] != rolled[1]);
    assert_eq!(
        (requested(&demo, 0), requested(&demo, 1)),
        (json!("2Gi"), json!("2Gi"))
    );
    assert_eq!(namespace.status("demo")["storage"]["smallest"], "1Gi");

    // op_131: with 0s nobody is restarted.
    grown(&demo, 0);
    grown(&demo, 1);
    namespace.await_status("demo", "told", |status| {
        Namespace::condition(status, "StorageInSync")["reason"] == "FileSystemResizePending"
    });
    demo.pass(1);
    assert_eq!(demo.uids(), rolled);
    demo.patch(&json!({"nsqd": {"storage": {"resizeRestartAfter": "1s"}}}));
    let mut reasons = Vec::new();
    let mut order = Vec::new();
    eventually(BOUND, || {
        let status = namespace.status("demo");
        reasons.extend(
            status["rollout"]["reasons"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        let uids = demo.uids();
        for ordinal in [1_u32, 0] {
            let place = usize::try_from(ordinal).unwrap();
            let new = uids.get(place).is_some_and(|uid| *uid != rolled[place]);
            if new && !order.contains(&ordinal) {
                order.push(ordinal);
            }
        }
        order.len() == 2 && uids.len() == 2
    });
    assert_eq!(order, [1, 0], "one at a time from the top");
    assert!(!reasons.is_empty());
    assert!(
        reasons.iter().all(|reason| reason == "ResizeNeedsRestart"),
        "{reasons:?}"
    );
    let restarted = demo.uids();
    namespace.await_status("demo", "both ready", |status| {
        status["nsqd"]["ready"] == 2 && status["rollout"].is_null()
    });
    // The conditions are still there; the pods that have mounted the volumes since are left alone.
    demo.pass(1);
    assert_eq!(demo.uids(), restarted, "exactly once");
    for ordinal in 0..2 {
        resized(&demo, ordinal, "2Gi");
    }
    namespace.await_running("demo");
    for reason in ["VolumeResizing", "VolumeResized"] {
        namespace.await_event("demo", reason);
    }
}

#[test]
fn op_134_a_claim_that_somebody_deleted_is_made_anew_with_the_size_of_now() {
    let demo = running("op-134", &quick(2));
    let namespace = &demo.namespace;
    demo.scale(1);
    demo.await_nodes(1);
    namespace.kubectl(&["delete", "pvc", "data-demo-nsqd-1"]);
    demo.patch(&json!({"nsqd": {"storage": {"size": "2Gi"}}}));
    namespace.await_status("demo", "grown", |status| status["storage"]["smallest"] == "2Gi");
    demo.scale(2);
    demo.await_nodes(2);
    assert_eq!(requested(&demo, 1), "2Gi");
}

/// Runs a command where the kubelet of a node sees its files.
#[track_caller]
fn on_node(cluster: &Cluster, node: &str, command: &str) {
    let run = cluster.kubeconfig().with_file_name("run").join(node);
    let run = std::fs::read_to_string(&run).unwrap();
    let process = run.split_whitespace().next().unwrap();
    let output = Command::new("nsenter")
        .args(["--mount", "--pid", "--target", process, "--", "sh", "-c", command])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn op_035_a_node_with_a_full_disk_is_unready_and_not_restarted() {
    /// Longer than the liveness probe has patience.
    const LOOKED: Duration = Duration::from_secs(75);
    let mut spec = quick(1);
    spec["nsqd"]["options"] = json!({"memQueueSize": 0});
    let demo = running("op-035", &spec);
    let namespace = &demo.namespace;
    let pod = "demo-nsqd-0";
    let claim = namespace.get(&["pvc", "data-demo-nsqd-0"]);
    let volume = namespace.get(&["pv", claim["spec"]["volumeName"].as_str().unwrap()]);
    let path = volume["spec"]["local"]["path"].as_str().unwrap();
    let pod_object = namespace.get(&["pod", pod]);
    let node = pod_object["spec"]["nodeName"].as_str().unwrap();
    // While nothing uses it, the folder is replaced by a small file system.
    demo.patch(&json!({"mode": "Stopped"}));
    namespace.await_status("demo", "Stopped", |status| status["phase"] == "Stopped");
    eventually(BOUND, || namespace.names("pod").is_empty());
    on_node(
        namespace.cluster(),
        node,
        &format!("mount -t tmpfs -o size=256k,mode=1777 small {path}"),
    );
    demo.patch(&json!({"mode": "Managed"}));
    demo.await_nodes(1);
    // The container has it; what goes with the volume later is the folder.
    on_node(namespace.cluster(), node, &format!("umount --lazy {path}"));

    let mut publisher = namespace.connect(pod);
    let refused = (0..200).any(|_| {
        publisher.command_with("PUB t", &[b'm'; 10_000]);
        let frame = publisher.frame();
        frame.kind == 1 && frame.text().starts_with("E_PUB_FAILED")
    });
    assert!(refused, "the disk is full");
    let found = || namespace.get(&["pod", pod])["status"].clone();
    eventually(BOUND, || {
        Namespace::condition(&found(), "Ready")["status"] == "False"
    });
    eventually(BOUND, || demo.endpoints("demo-nsqd-publish").is_empty());
    let restarted = || found()["containerStatuses"][0]["restartCount"] != 0;
    assert!(demo.stays(LOOKED, restarted), "{}", found());
    assert_eq!(Namespace::condition(&found(), "Ready")["status"], "False");
}

/// As `kubectl drain` does it for each pod of a node.
fn evict(demo: &Running, pod: &str) -> std::process::Output {
    let name = demo.namespace.name();
    let target = format!("/api/v1/namespaces/{name}/pods/{pod}/eviction");
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    demo.namespace
        .cluster()
        .try_kubectl(&["create", "--raw", &target, "-f", "-"], &eviction.to_string())
}

#[test]
fn evicted_nodes_go_one_after_the_other_and_come_back_with_their_messages() {
    let demo = running("evicted", &quick(2));
    let pods = ["demo-nsqd-0", "demo-nsqd-1"];
    for pod in pods {
        demo.fill(pod, "t", "c", 100);
    }
    let before = demo.uids();
    let is_back = |nth: usize| {
        let pod = demo.namespace.get(&["pod", pods[nth]]);
        pod["metadata"]["uid"] != before[nth].as_str()
            && Namespace::condition(&pod["status"], "Ready")["status"] == "True"
    };
    // As soon as the controller of budgets has seen both nodes ready.
    eventually(BOUND, || evict(&demo, pods[0]).status.success());
    // The second may go when the first is back, and not a moment earlier.
    eventually(BOUND, || {
        let answer = evict(&demo, pods[1]);
        let told = String::from_utf8_lossy(&answer.stderr);
        assert!(
            if answer.status.success() {
                is_back(0)
            } else {
                told.contains("disruption budget")
            },
            "{answer:?}"
        );
        answer.status.success()
    });
    eventually(BOUND, || is_back(1));
    for pod in pods {
        let bodies: BTreeSet<Vec<u8>> = demo
            .take(pod, "t", "c", 100)
            .into_iter()
            .map(|message| message.body)
            .collect();
        assert_eq!(bodies.len(), 100, "{pod}");
    }
}
