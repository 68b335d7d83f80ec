//! The operator against a real API server and real controllers, with pods that no node takes. Cases of the operator
//! specification, 13.2 to 13.5 and 13.12.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use nsq_testbed::{BOUND, Cluster, Namespace, Operator, small};
use nsq_testkit::eventually;
use serde_json::{Value, json};

/// Waits until the operator has nothing to do any more for what was applied.
#[track_caller]
fn settle(namespace: &Namespace, name: &str) {
    let generation = namespace.get(&["nsqcluster", name])["metadata"]["generation"].clone();
    namespace.await_status(name, "applied", |status| {
        status["observedGeneration"] == generation
    });
    eventually(BOUND, || namespace.names("deployment").len() > 1);
}

#[test]
fn op_027_every_object_is_accepted_with_its_name_labels_and_owner() {
    let namespace = Cluster::control_plane().namespace("op-027");
    let _operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &json!({}));
    settle(&namespace, "demo");
    let uid = namespace.get(&["nsqcluster", "demo"])["metadata"]["uid"].clone();
    let expected = [
        ("serviceaccount", &["demo-nsq"][..]),
        (
            "service",
            &[
                "demo-nsqadmin",
                "demo-nsqd",
                "demo-nsqd-publish",
                "demo-nsqlookupd",
                "demo-nsqlookupd-0",
                "demo-nsqlookupd-1",
            ],
        ),
        ("statefulset", &["demo-nsqd"]),
        (
            "deployment",
            &["demo-nsqadmin", "demo-nsqlookupd-0", "demo-nsqlookupd-1"],
        ),
        ("poddisruptionbudget", &["demo-nsqd", "demo-nsqlookupd"]),
        (
            "networkpolicy",
            &["demo-nsqadmin", "demo-nsqd", "demo-nsqlookupd"],
        ),
        (
            "persistentvolumeclaim",
            &["data-demo-nsqd-0", "data-demo-nsqd-1", "data-demo-nsqd-2"],
        ),
    ];
    for (kind, names) in expected {
        let list = namespace.get(&[kind, "-l", "nsq.rs/cluster=demo"]);
        let items = list["items"].as_array().unwrap();
        let found: Vec<&str> = items
            .iter()
            .filter_map(|item| item["metadata"]["name"].as_str())
            .collect();
        assert_eq!(found, names, "{kind}");
        for item in items {
            let meta = &item["metadata"];
            assert_eq!(meta["labels"]["app.kubernetes.io/managed-by"], "nsq-operator");
            let owner = &meta["ownerReferences"][0];
            if kind == "persistentvolumeclaim" {
                assert_eq!(*owner, Value::Null, "claims outlive the cluster");
            } else {
                assert_eq!(
                    (&owner["uid"], &owner["controller"]),
                    (&uid, &json!(true)),
                    "{kind}"
                );
            }
        }
    }
    assert_eq!(namespace.events("demo"), ["Created"]);
}

#[test]
fn op_041_a_restarted_operator_writes_nothing() {
    let namespace = Cluster::control_plane().namespace("op-041");
    let mut operator = Operator::start(&namespace);
    for name in ["a", "b", "c"] {
        namespace.apply_cluster(name, &small());
        settle(&namespace, name);
    }
    // What the controllers write reaches the statuses.
    for name in ["a", "b", "c"] {
        namespace.await_status(name, "Creating", |status| {
            let message = status["message"].as_str().unwrap_or_default();
            message.starts_with("nsqlookupd-0 not ready: ")
        });
    }
    operator.await_quiet();
    assert_eq!(operator.stop(), Some(0), "{}", operator.log());
    let operator = Operator::start(&namespace);
    operator.await_passes(3);
    operator.await_quiet();
    assert_eq!(operator.writes(), 0.0, "{}", operator.log());
}

#[test]
fn op_044_op_045_an_edit_of_an_owned_field_is_put_back_and_a_foreign_label_stays() {
    let namespace = Cluster::control_plane().namespace("op-044");
    let mut operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    let port = || namespace.get(&["service", "demo-nsqd-publish"])["spec"]["ports"][0]["port"].clone();
    let edit = || {
        namespace.kubectl(&["label", "--overwrite", "service", "demo-nsqd-publish", "team=mq"]);
        let patch = r#"[{"op": "replace", "path": "/spec/ports/0/port", "value": 4999}]"#;
        namespace.kubectl(&[
            "patch",
            "service",
            "demo-nsqd-publish",
            "--type=json",
            "-p",
            patch,
        ]);
    };
    edit();
    eventually(BOUND, || port() == 4150);
    let labels = || namespace.get(&["service", "demo-nsqd-publish"])["metadata"]["labels"].clone();
    assert_eq!(labels()["team"], "mq");

    operator.stop();
    edit();
    assert_eq!(port(), 4999);
    let _operator = Operator::start(&namespace);
    eventually(BOUND, || port() == 4150);
    assert_eq!(labels()["team"], "mq");
}

#[test]
fn op_046_a_deleted_child_is_made_again() {
    let namespace = Cluster::control_plane().namespace("op-046");
    let _operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    for (kind, name) in [
        ("service", "demo-nsqd"),
        ("configmap", "demo-nsqadmin"),
        ("deployment", "demo-nsqlookupd-0"),
    ] {
        let uid = || namespace.get(&[kind, name])["metadata"]["uid"].clone();
        let before = uid();
        namespace.kubectl(&["delete", kind, name, "--wait=false"]);
        eventually(BOUND, || !uid().is_null() && uid() != before);
    }
}

#[test]
fn op_047_a_foreign_object_of_the_same_name_is_left_alone_and_named() {
    let namespace = Cluster::control_plane().namespace("op-047");
    let foreign = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: demo-nsqd}
spec:
  serviceName: other
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec: {containers: [{name: other, image: "other:1"}]}
"#;
    namespace.apply(foreign);
    let version = || namespace.get(&["statefulset", "demo-nsqd"])["metadata"]["generation"].clone();
    let before = version();
    let _operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    let status = namespace.await_status("demo", "Stalled", |status| status["phase"] == "Stalled");
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(stalled["reason"], "NameConflict", "{stalled}");
    assert!(
        stalled["message"]
            .as_str()
            .unwrap()
            .contains("StatefulSet demo-nsqd"),
        "{stalled}"
    );
    assert_eq!(version(), before);
    assert!(
        namespace
            .names("deployment")
            .contains(&"demo-nsqlookupd-0".to_owned())
    );
    assert!(namespace.events("demo").contains(&"NameConflict".to_owned()));
}

#[test]
fn op_048_a_foreign_object_with_our_labels_is_never_deleted() {
    let namespace = Cluster::control_plane().namespace("op-048");
    namespace.apply(
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "labels": {
            "app.kubernetes.io/managed-by": "nsq-operator", "nsq.rs/cluster": "demo"}}}"#,
    );
    let operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    operator.await_quiet();
    assert!(namespace.names("configmap").contains(&"mine".to_owned()));
}

#[test]
fn op_057_what_is_switched_off_is_deleted_and_nothing_else() {
    let namespace = Cluster::control_plane().namespace("op-057");
    let _operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    let services = namespace.names("service");
    let mut spec = small();
    spec["nsqd"]["pdb"] = json!({"enabled": false});
    namespace.apply_cluster("demo", &spec);
    eventually(BOUND, || {
        !namespace
            .names("poddisruptionbudget")
            .contains(&"demo-nsqd".to_owned())
    });
    assert!(
        namespace
            .names("poddisruptionbudget")
            .contains(&"demo-nsqlookupd".to_owned())
    );
    assert_eq!(namespace.names("service"), services);
}

#[test]
fn a_burst_of_changes_is_a_few_passes_and_an_own_status_is_none() {
    let namespace = Cluster::control_plane().namespace("op-050");
    let operator = Operator::start_with(&namespace, &["--debounce", "1s"]);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    operator.await_quiet();
    let before = operator.passes();
    namespace.kubectl(&[
        "patch",
        "nsqcluster",
        "demo",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"message":"x"}}"#,
    ]);
    let levels = ["debug", "info", "warn", "error"];
    let patches: Vec<String> = (0..20)
        .map(|n| {
            format!(
                r#"{{"spec":{{"lookupd":{{"options":{{"logLevel":"{}"}}}}}}}}"#,
                levels[n % levels.len()]
            )
        })
        .collect();
    std::thread::scope(|scope| {
        for patch in &patches {
            scope.spawn(|| namespace.kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", patch]));
        }
    });
    settle(&namespace, "demo");
    operator.await_quiet();
    let passes = operator.passes() - before;
    // The changes took longer than a second; each pass that wrote something has one that sees it.
    assert!(passes <= 12.0, "{passes} passes");
}

#[test]
fn op_059_the_same_name_in_two_namespaces_is_two_clusters() {
    let cluster = Cluster::control_plane();
    let (one, two) = (cluster.namespace("op-059"), cluster.namespace("op-059"));
    let both = format!("{},{}", one.name(), two.name());
    let _operator = Operator::start_with(&one, &["--watch-namespaces", &both]);
    for namespace in [&one, &two] {
        namespace.apply_cluster("demo", &small());
    }
    for namespace in [&one, &two] {
        settle(namespace, "demo");
    }
    one.kubectl(&["delete", "nsqcluster", "demo"]);
    eventually(BOUND, || one.names("statefulset").is_empty());
    assert_eq!(two.names("statefulset"), ["demo-nsqd"]);
}

#[test]
fn op_175_one_of_two_operators_works_and_the_other_takes_over() {
    let namespace = Cluster::control_plane().namespace("op-175");
    let mut first = Operator::start(&namespace);
    eventually(BOUND, || first.metrics().get("nsq_operator_leader") == Some(1.0));
    let second = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    assert_eq!(second.writes(), 0.0);
    assert_eq!(second.metrics().get("nsq_operator_leader"), Some(0.0));
    second.ask("/readyz").expect(200, "OK");
    assert_eq!(first.stop(), Some(0));
    eventually(std::time::Duration::from_secs(5), || {
        second.metrics().get("nsq_operator_leader") == Some(1.0)
    });
    namespace.apply_cluster("other", &small());
    settle(&namespace, "other");
    assert!(second.writes() > 0.0);
}

#[test]
fn op_031_an_api_that_is_not_installed_is_named_and_the_rest_works() {
    let cluster = Cluster::control_plane();
    let namespace = cluster.namespace("op-031");
    cluster.kubectl(&[
        "delete",
        "--ignore-not-found",
        "crd",
        "podmonitors.monitoring.coreos.com",
    ]);
    let _operator = Operator::start(&namespace);
    let mut spec = small();
    spec["monitoring"] = json!({"podMonitor": true});
    namespace.apply_cluster("demo", &spec);
    let status = namespace.await_status("demo", "Stalled", |status| status["phase"] == "Stalled");
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(stalled["reason"], "CapabilityMissing", "{stalled}");
    assert!(
        stalled["message"].as_str().unwrap().contains("PodMonitor"),
        "{stalled}"
    );
    assert_eq!(namespace.names("statefulset"), ["demo-nsqd"]);

    namespace.apply(
        r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: podmonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PodMonitor, plural: podmonitors, singular: podmonitor}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#,
    );
    namespace.await_status("demo", "not Stalled", |status| {
        Namespace::condition(status, "Stalled")["status"] == "False"
    });
    assert_eq!(namespace.names("podmonitors.monitoring.coreos.com"), ["demo-nsq"]);
    spec["monitoring"] = json!({"podMonitor": false});
    namespace.apply_cluster("demo", &spec);
    eventually(BOUND, || {
        namespace.names("podmonitors.monitoring.coreos.com").is_empty()
    });
    cluster.kubectl(&["delete", "crd", "podmonitors.monitoring.coreos.com"]);
}

#[test]
fn op_051_what_a_quota_refuses_is_told_in_its_words_and_another_cluster_is_not_touched() {
    let cluster = Cluster::control_plane();
    let (full, free) = (cluster.namespace("op-051"), cluster.namespace("op-051"));
    full.kubectl(&[
        "create",
        "quota",
        "few",
        "--hard=count/poddisruptionbudgets.policy=0",
    ]);
    let both = format!("{},{}", full.name(), free.name());
    let _operator = Operator::start_with(&full, &["--watch-namespaces", &both]);
    for namespace in [&full, &free] {
        namespace.apply_cluster("demo", &small());
    }
    let status = full.await_status("demo", "Stalled", |status| status["phase"] == "Stalled");
    let stalled = Namespace::condition(&status, "Stalled");
    assert_eq!(stalled["reason"], "Forbidden", "{stalled}");
    assert!(
        stalled["message"].as_str().unwrap().contains("exceeded quota"),
        "{stalled}"
    );
    assert_eq!(
        full.names("statefulset"),
        ["demo-nsqd"],
        "what does not need it goes on"
    );
    settle(&free, "demo");
    let status = free.status("demo");
    assert_eq!(Namespace::condition(&status, "Stalled")["status"], "False");

    full.kubectl(&["delete", "quota", "few"]);
    full.await_status("demo", "not Stalled", |status| {
        Namespace::condition(status, "Stalled")["status"] == "False"
    });
}

#[test]
fn op_062_conditions_carry_the_generation_and_keep_the_time_of_their_status() {
    let namespace = Cluster::control_plane().namespace("op-062");
    let _operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    let before = Namespace::condition(&namespace.status("demo"), "Ready");
    let mut spec = small();
    spec["nsqd"]["replicas"] = 2.into();
    namespace.apply_cluster("demo", &spec);
    let status = namespace.await_status("demo", "of generation 2", |status| {
        status["observedGeneration"] == 2
    });
    for condition in status["conditions"].as_array().unwrap() {
        assert_eq!(condition["observedGeneration"], 2, "{condition}");
    }
    let after = Namespace::condition(&status, "Ready");
    assert_eq!(after["lastTransitionTime"], before["lastTransitionTime"]);
}

#[test]
fn op_176_daemons_that_do_not_answer_are_a_fact_and_nothing_is_taken_away() {
    let namespace = Cluster::control_plane().namespace("op-176");
    let operator = Operator::start_with(&namespace, &["--daemon-timeout", "1s"]);
    let mut spec = small();
    spec["nsqd"]["replicas"] = 2.into();
    namespace.apply_cluster("demo", &spec);
    settle(&namespace, "demo");
    eventually(BOUND, || namespace.names("pod").len() >= 4);
    // An address for documentation: packets to it go nowhere.
    let ready = r#"{"status":{"phase":"Running","podIP":"192.0.2.1","podIPs":[{"ip":"192.0.2.1"}],
        "conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}],
        "containerStatuses":[{"name":"nsqd","ready":true,"restartCount":0,"image":"i","imageID":"i",
        "state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}"#;
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        namespace.kubectl(&[
            "patch",
            "pod",
            pod,
            "--subresource=status",
            "--type=merge",
            "-p",
            ready,
        ]);
    }
    namespace.kubectl(&["scale", "nsqcluster", "demo", "--replicas=1"]);
    namespace.await_status("demo", "blocked", |status| {
        status["drain"]["nodes"][0]["blockers"][0]["reason"] == "Unreachable"
    });
    let passes = operator.passes();
    operator.await_passes_beyond(passes, 3);
    assert_eq!(
        namespace.get(&["statefulset", "demo-nsqd"])["spec"]["replicas"],
        2
    );
    let slow = operator.metrics();
    let within = slow.value(r#"nsq_operator_reconcile_seconds_bucket{kind="NsqCluster",le="10"}"#);
    assert!((within - slow.value(r#"nsq_operator_reconcile_seconds_count{kind="NsqCluster"}"#)).abs() < 0.5);
}

#[test]
fn op_180_a_namespace_that_goes_away_is_left_alone() {
    let namespace = Cluster::control_plane().namespace("op-180");
    let operator = Operator::start(&namespace);
    namespace.apply_cluster("demo", &small());
    settle(&namespace, "demo");
    // A finalizer holds the cluster, so that the namespace stays in the middle of its end.
    let hold = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
    namespace.kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", hold]);
    namespace
        .cluster()
        .kubectl(&["delete", "namespace", namespace.name(), "--wait=false"]);
    eventually(BOUND, || {
        namespace.names("service").is_empty() && namespace.names("deployment").is_empty()
    });
    let log = operator.log();
    assert!(!log.contains("not applied"), "{log}");
    let status = namespace.status("demo");
    assert_ne!(Namespace::condition(&status, "Stalled")["status"], "True");
    namespace.kubectl(&[
        "patch",
        "nsqcluster",
        "demo",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ]);
}

#[test]
fn op_182_only_the_namespaces_that_are_named_are_looked_at() {
    let cluster = Cluster::control_plane();
    let (seen, unseen) = (cluster.namespace("op-182"), cluster.namespace("op-182"));
    let operator = Operator::start(&seen);
    unseen.apply_cluster("demo", &small());
    seen.apply_cluster("demo", &small());
    settle(&seen, "demo");
    operator.await_quiet();
    assert!(unseen.names("statefulset").is_empty() && unseen.status("demo").is_null());
}
