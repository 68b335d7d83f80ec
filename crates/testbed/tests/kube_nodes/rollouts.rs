//! Nodes that are replaced.

use super::*;

#[test]
fn op_125_an_option_that_needs_a_restart_is_rolled_from_the_top_one_by_one() {
    let demo = running("op-110", &quick(2));
    let namespace = &demo.namespace;
    let before = demo.uids();
    let maps = || {
        let names = namespace.names("configmap");
        names
            .into_iter()
            .filter(|name| name.starts_with("demo-nsqd-"))
            .collect::<Vec<_>>()
    };
    let old = maps();
    demo.patch(&json!({"nsqd": {"options": {"maxRdyCount": 3000}}}));
    let status = namespace.await_status("demo", "RollingOut", |status| !status["rollout"].is_null());
    assert_eq!(status["rollout"]["reasons"], json!(["ConfigChanged"]), "{status}");
    let uids = namespace.await_status("demo", "the top pod replaced", |_| {
        let uids = demo.uids();
        uids.len() == 2 && uids[1] != before[1]
    });
    drop(uids);
    namespace.await_status("demo", "Running", |status| {
        status["phase"] == "Running" && status["rollout"].is_null() && status["nsqd"]["updated"] == 2
    });
    let after = demo.uids();
    assert!(
        after[0] != before[0] && after[1] != before[1],
        "{before:?} {after:?}"
    );
    namespace
        .ask("demo-nsqd-0", "GET", "/config/max_rdy_count")
        .expect(200, "3000");
    eventually(BOUND, || maps().len() == 1);
    assert_ne!(maps(), old);
    let set = namespace.get(&["statefulset", "demo-nsqd"]);
    assert_eq!(
        set["spec"]["updateStrategy"]["rollingUpdate"]["partition"], 2,
        "parked again"
    );
    namespace.await_event("demo", "RolloutStarted");
    namespace.await_event("demo", "RolloutFinished");
}

/// Rule for a registry: who is connected stays so, and nobody else comes in.
const NO_NEW_NODES: &str = "INPUT -p tcp --dport 4160 --syn -j DROP";

/// Partition of the nodes, and which of them are not ready.
fn look(demo: &Running) -> (i64, Vec<i64>) {
    let set = demo.namespace.get(&["statefulset", "demo-nsqd"]);
    let partition = &set["spec"]["updateStrategy"]["rollingUpdate"]["partition"];
    let wanted = set["spec"]["replicas"].as_i64().unwrap();
    let list = demo
        .namespace
        .get(&["pod", "-l", "app.kubernetes.io/component=nsqd"]);
    let ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let mut conditions = conditions.filter(|condition| condition["type"] == "Ready");
        conditions.any(|condition| condition["status"] == "True")
            && pod["metadata"]["deletionTimestamp"].is_null()
    };
    let names: Vec<i64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pod| ready(pod))
        .map(|pod| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            name.rsplit_once('-').unwrap().1.parse().unwrap()
        })
        .collect();
    let away = (0..wanted).filter(|ordinal| !names.contains(ordinal)).collect();
    (partition.as_i64().unwrap_or(-1), away)
}

/// Ordinals whose UIDs differ.
fn replaced(before: &[String], after: &[String]) -> Vec<usize> {
    let all = before.iter().zip(after).enumerate();
    all.filter(|(_, (before, after))| before != after)
        .map(|(ordinal, _)| ordinal)
        .collect()
}

/// One life with everything: made, rolled with the operator away for a while, grown in the middle of it, drained.
#[test]
fn op_065_op_079_op_110_op_113_a_new_image_goes_from_node_to_node() {
    let mut demo = running("op-110", &quick(3));
    let before = demo.uids();
    demo.patch(&json!({"image": NEXT_IMAGE}));
    let mut partitions = vec![3];
    let mut order = Vec::new();
    let mut most_away = 0;
    let mut stopped = false;
    eventually(2 * BOUND, || {
        let (partition, away) = look(&demo);
        // Not the one that is added afterwards.
        most_away = most_away.max(away.iter().filter(|ordinal| **ordinal < 3).count());
        if partitions.last() != Some(&partition) {
            partitions.push(partition);
        }
        for ordinal in replaced(&before, &demo.uids()) {
            if !order.contains(&ordinal) {
                order.push(ordinal);
            }
        }
        if !stopped && order == [2] {
            stopped = true;
            // op_113: without an operator nothing moves; op_079: what is asked for meanwhile waits.
            demo.operator.kill();
            demo.scale(4);
            let now = partitions.last().copied();
            let moved = || {
                let (partition, _) = look(&demo);
                Some(partition) != now || replaced(&before, &demo.uids()) != [2]
            };
            assert!(demo.stays(Duration::from_secs(60), moved));
            demo.operator = Operator::start(&demo.namespace);
        }
        let status = demo.namespace.status("demo");
        let rolled = order.len() == 3 && status["rollout"].is_null() && partition >= 3;
        if !rolled && !status["rollout"].is_null() {
            assert_eq!(status["nsqd"]["desired"], 3, "nodes are added afterwards");
        }
        rolled
    });
    // Parked again: at the count, which has grown by then.
    assert_eq!(partitions[..4], [3, 2, 1, 0], "{partitions:?}");
    assert!(partitions.last().is_some_and(|last| *last >= 3), "{partitions:?}");
    assert_eq!(order, [2, 1, 0]);
    assert!(most_away <= 1, "never two at once");
    demo.await_nodes(4);
    demo.scale(3);
    demo.await_nodes(3);
    let namespace = &demo.namespace;
    for ordinal in 0..3 {
        let pod = namespace.get(&["pod", &format!("demo-nsqd-{ordinal}")]);
        assert_eq!(pod["spec"]["containers"][0]["image"], NEXT_IMAGE);
    }
    namespace.await_event("demo", "NodeRemoved");
    // op_065: the operator that came later goes on with the rollout and tells so.
    let events = namespace.events("demo");
    let told: Vec<&str> = events.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "Created",
            "RolloutStarted",
            "RolloutFinished",
            "ScalingUp",
            "ScaledUp",
            "DrainStarted",
            "NodeSealed",
            "NodeRemoved"
        ]
    );
    let finished = namespace.notes("demo", "RolloutFinished");
    assert_eq!(finished, ["all nodes replaced (ImageChanged)"]);
}

/// New connections to one registry are dropped, so that a replaced node cannot register there.
#[test]
fn op_111_a_node_that_one_registry_does_not_know_stops_the_rollout() {
    let mut spec = quick(2);
    spec["lookupd"]["replicas"] = 2.into();
    let demo = running("op-111", &spec);
    let process = demo.process("demo-nsqlookupd-1");
    let before = demo.uids();
    demo.firewall(process, &format!("-I {NO_NEW_NODES}"));
    demo.patch(&json!({"nsqd": {"restartedAt": "2026-01-02T03:04:05Z"}}));
    let text = "waiting for nsqd-1 to register in nsqlookupd-1";
    demo.namespace.await_status("demo", "stopped", |status| {
        status["message"].as_str().unwrap_or_default().contains(text)
    });
    demo.pass(3);
    assert_eq!(replaced(&before, &demo.uids()), [1]);
    demo.firewall(process, &format!("-D {NO_NEW_NODES}"));
    demo.namespace.await_running("demo");
    assert_eq!(replaced(&before, &demo.uids()), [0, 1]);
}

#[test]
fn op_112_a_broken_image_takes_one_pod_and_a_right_one_repairs_it() {
    let mut spec = quick(2);
    spec["imagePullPolicy"] = "Never".into();
    spec["lookupd"]["replicas"] = 2.into();
    spec["nsqd"]["update"]["gateTimeout"] = "30s".into();
    let demo = running("op-112", &spec);
    let namespace = &demo.namespace;
    let before = demo.uids();
    let stuck = || {
        let status = namespace.await_status("demo", "stuck", |status| {
            Namespace::condition(status, "Stalled")["reason"] == "RolloutStuck"
        });
        let message = Namespace::condition(&status, "Stalled")["message"].clone();
        message.as_str().unwrap().to_owned()
    };
    // Registries come first, so one of them is what is lost, and no node.
    demo.patch(&json!({"image": "nsq-rs/absent:1"}));
    assert_eq!(stuck(), "waiting for nsqlookupd-0 to be ready for more than 30s");
    assert_eq!((demo.uids(), look(&demo).1), (before.clone(), Vec::new()));
    assert_eq!(demo.registered(1), ["demo-nsqd-0", "demo-nsqd-1"]);
    demo.patch(&json!({"image": nsq_testbed::IMAGE}));
    namespace.await_running("demo");
    assert_eq!(demo.uids(), before);

    // A file that nsqd does not take, as a broken image of nsqd alone is.
    demo.patch(&json!({"nsqd": {"extraOptions": {"max_deflate_level": "none"}}}));
    assert_eq!(stuck(), "waiting for nsqd-1 to be ready for more than 30s");
    assert_eq!(look(&demo).1, [1]);
    assert_eq!(replaced(&before, &demo.uids()), [1]);
    let broken = demo.uids();
    namespace.await_event("demo", "NsqdCrashLooping");
    // Another one that has to reach all of them begins with the broken one.
    demo.patch(&json!({"nsqd": {"extraOptions": {"max_deflate_level": "5"}}}));
    eventually(BOUND, || replaced(&broken, &demo.uids()) == [1]);
    namespace.await_running("demo");
    assert_eq!(replaced(&before, &demo.uids()), [0, 1]);

    // Back to what the others run: they are left alone.
    let before = demo.uids();
    demo.patch(&json!({"nsqd": {"extraOptions": {"max_deflate_level": "none"}}}));
    eventually(BOUND, || look(&demo).1 == [1]);
    demo.patch(&json!({"nsqd": {"extraOptions": {"max_deflate_level": "5"}}}));
    namespace.await_running("demo");
    assert_eq!(replaced(&before, &demo.uids()), [1]);
}

#[test]
fn op_114_op_115_restarts_asked_for_from_outside_and_inside_are_walked_once() {
    let demo = running("op-114", &quick(2));
    let namespace = &demo.namespace;
    let before = demo.uids();
    namespace.kubectl(&["rollout", "restart", "statefulset/demo-nsqd"]);
    let mut reasons = Vec::new();
    let mut most_away = 0;
    eventually(BOUND, || {
        most_away = most_away.max(look(&demo).1.len());
        let status = namespace.status("demo");
        reasons.extend(
            status["rollout"]["reasons"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        replaced(&before, &demo.uids()) == [0, 1] && status["phase"] == "Running"
    });
    assert!(reasons.contains(&json!("ExternalChange")), "{reasons:?}");
    assert!(most_away <= 1, "behind the gates");

    let before = demo.uids();
    demo.patch(&json!({"nsqd": {"restartedAt": "2026-01-02T03:04:05Z"}}));
    namespace.await_running("demo");
    let after = demo.uids();
    assert_eq!(replaced(&before, &after), [0, 1]);
    demo.pass(1);
    assert_eq!(demo.uids(), after, "once");
    eventually(BOUND, || {
        let told = namespace.notes("demo", "RolloutFinished");
        told.last()
            .is_some_and(|note| note == "all nodes replaced (RestartRequested)")
    });
}

#[test]
fn op_116_two_clusters_at_a_time_replace_nodes() {
    const CLUSTERS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let namespace = Cluster::nodes().namespace("op-116");
    let _operator = Operator::start_with(&namespace, &["--max-rollouts", "2"]);
    let mut spec = quick(1);
    spec["admin"]["enabled"] = false.into();
    for name in CLUSTERS {
        namespace.apply_cluster(name, &spec);
    }
    for name in CLUSTERS {
        namespace.await_running(name);
    }
    for name in CLUSTERS {
        let patch = r#"{"spec":{"nsqd":{"options":{"maxRdyCount":3000}}}}"#;
        namespace.kubectl(&["patch", "nsqcluster", name, "--type=merge", "-p", patch]);
    }
    let mut most = 0;
    eventually(2 * BOUND, || {
        let sets = namespace.get(&["statefulset"]);
        let sets = sets["items"].as_array().unwrap();
        let rolling = sets.iter().filter(|set| {
            let spec = &set["spec"];
            spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64() < spec["replicas"].as_i64()
        });
        most = most.max(rolling.count());
        let clusters = namespace.get(&["nsqcluster"]);
        let clusters = clusters["items"].as_array().unwrap();
        clusters.iter().all(|cluster| {
            let status = &cluster["status"];
            status["observedGeneration"] == cluster["metadata"]["generation"]
                && status["phase"] == "Running"
                && status["nsqd"]["updated"] == 1
        })
    });
    assert!((1..=2).contains(&most), "{most} at once");
}

/// New nodes cannot register in one registry for a while, so that the gate stays shut.
#[test]
fn op_124_a_node_that_restarts_before_its_turn_has_its_old_file_and_the_hot_options_of_now() {
    let mut spec = quick(2);
    spec["lookupd"]["replicas"] = 2.into();
    let demo = running("op-124", &spec);
    let namespace = &demo.namespace;
    let before = demo.uids();
    let option = |pod: &str, key: &str| namespace.ask(pod, "GET", &format!("/config/{key}")).text();
    let old = option("demo-nsqd-0", "max_rdy_count");
    let registry = demo.process("demo-nsqlookupd-1");
    demo.firewall(registry, &format!("-I {NO_NEW_NODES}"));
    demo.patch(&json!({"nsqd": {"options": {"maxRdyCount": 3000}}}));
    eventually(BOUND, || {
        replaced(&before, &demo.uids()) == [1] && look(&demo).1.is_empty()
    });
    demo.patch(&json!({"nsqd": {"options": {"maxRdyCount": 3000, "logLevel": "debug"}}}));
    eventually(BOUND, || option("demo-nsqd-0", "log_level") == "1");
    namespace.kubectl(&["delete", "pod", "demo-nsqd-0"]);
    eventually(BOUND, || {
        replaced(&before, &demo.uids()) == [0, 1] && look(&demo).1.is_empty()
    });
    assert_eq!(option("demo-nsqd-0", "max_rdy_count"), old);
    let maps = namespace.get(&["configmap", "-l", "app.kubernetes.io/component=nsqd"]);
    let files = maps["items"].as_array().unwrap().iter();
    let files: Vec<&str> = files
        .map(|map| map["data"]["nsqd.cfg"].as_str().unwrap())
        .collect();
    assert_eq!(files.len(), 2);
    assert!(
        files.iter().all(|file| file.contains("log_level = \"debug\"")),
        "{files:?}"
    );
    assert_eq!(
        files.iter().filter(|file| file.contains("max_rdy_count")).count(),
        1
    );
    demo.firewall(registry, &format!("-D {NO_NEW_NODES}"));
    namespace.await_running("demo");
    assert_eq!(option("demo-nsqd-0", "max_rdy_count"), "3000");
}

/// Where the clone has no older commits there is no older operator, which `cargo xtask test kube` says.
#[test]
fn op_118_an_operator_that_takes_over_from_the_release_before_restarts_nobody() {
    let namespace = Cluster::nodes().namespace("op-118");
    let Some(mut previous) = Operator::start_previous(&namespace) else {
        return;
    };
    namespace.apply_cluster("demo", &quick(2));
    namespace.await_running("demo");
    assert_eq!(previous.stop(), Some(0), "{}", previous.log());
    let pods = |namespace: &Namespace| {
        let list = namespace.get(&["pod"]);
        let items = list["items"].as_array().unwrap().iter();
        let mut uids: Vec<String> = items
            .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
            .collect();
        uids.sort();
        uids
    };
    let before = pods(&namespace);
    let demo = Running {
        operator: Operator::start(&namespace),
        namespace,
    };
    demo.come_to_rest();
    assert_eq!(pods(&demo.namespace), before);
    assert_eq!(demo.namespace.status("demo")["phase"], "Running");
}
