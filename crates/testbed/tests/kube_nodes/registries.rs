//! Registries, and options that need no restart.

use super::*;

#[test]
fn op_119_op_120_op_121_op_123_hot_options_reach_the_nodes_without_a_restart() {
    let mut spec = quick(2);
    spec["lookupd"]["replicas"] = 2.into();
    let mut demo = running("op-119", &spec);
    let namespace = &demo.namespace;
    let before = demo.uids();
    let maps = || {
        let names = namespace.names("configmap").into_iter();
        names
            .filter(|name| name.starts_with("demo-nsqd-"))
            .collect::<Vec<_>>()
    };
    let named = maps();
    demo.patch(&json!({"nsqd": {"options": {"logLevel": "debug"}}}));
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        eventually(BOUND, || {
            namespace.ask(pod, "GET", "/config/log_level").text() == "1"
        });
    }
    assert_eq!(maps(), named, "edited in place");
    let file = namespace.get(&["configmap", &named[0]])["data"]["nsqd.cfg"].to_string();
    assert!(file.contains("debug"), "{file}");

    // op_120: nobody reads the new registry before it knows every node.
    let known = |pod: &str| {
        namespace
            .ask(pod, "GET", "/config/nsqlookupd_tcp_addresses")
            .text()
    };
    let reads = || {
        let admin = namespace.get(&["deployment", "demo-nsqadmin"]);
        admin.to_string().contains("demo-nsqlookupd-2")
    };
    demo.patch(&json!({"lookupd": {"replicas": 3}}));
    eventually(BOUND, || {
        let read = reads();
        if known("demo-nsqd-0").contains("nsqlookupd-2") {
            let ready =
                namespace.get(&["deployment", "demo-nsqlookupd-2"])["status"]["readyReplicas"].clone();
            assert_eq!(ready, 1, "nodes hear of it when it is ready");
        }
        if read {
            assert_eq!(demo.registered(2), ["demo-nsqd-0", "demo-nsqd-1"]);
        }
        read
    });
    namespace.await_status("demo", "3/3", |status| {
        status["lookupd"]["readyText"] == "3/3" && status["phase"] == "Running"
    });

    // op_121: nodes forget it first, it goes after its delay.
    demo.patch(&json!({"lookupd": {"replicas": 2, "removalDelay": "10s"}}));
    eventually(BOUND, || !known("demo-nsqd-0").contains("nsqlookupd-2"));
    let has = |kind: &str| namespace.names(kind).contains(&"demo-nsqlookupd-2".to_owned());
    let deployment = namespace.get(&["deployment", "demo-nsqlookupd-2"]);
    assert!(
        deployment["metadata"]["annotations"]["nsq.rs/removing-since"].is_string(),
        "{deployment}"
    );
    eventually(BOUND, || !has("deployment") && !has("service"));
    assert_eq!(demo.uids(), before);

    // op_123: without an operator, a node comes up with the list from its file.
    namespace.await_running("demo");
    demo.operator.kill();
    namespace.kubectl(&["delete", "pod", "demo-nsqd-1"]);
    eventually(BOUND, || {
        let uids = demo.uids();
        let ready = demo.endpoints("demo-nsqd-publish").len() == 2;
        uids.len() == 2 && uids[1] != before[1] && ready
    });
    let list = known("demo-nsqd-1");
    assert!(
        list.contains("nsqlookupd-1") && !list.contains("nsqlookupd-2"),
        "{list}"
    );
    demo.operator = Operator::start(&demo.namespace);
}

#[test]
fn op_127_registries_are_replaced_one_after_the_other() {
    let mut spec = quick(2);
    spec["lookupd"]["replicas"] = 2.into();
    let demo = running("op-127", &spec);
    let namespace = &demo.namespace;
    let nodes = demo.uids();
    let pods = [demo.registry(0), demo.registry(1)];
    demo.patch(&json!({"lookupd": {"options": {"tombstoneLifetime": "30s"}}}));
    eventually(BOUND, || {
        let list = namespace.get(&["pod", "-l", "app.kubernetes.io/component=nsqlookupd"]);
        let names: Vec<String> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        let second_goes = !names.contains(&pods[1]);
        if second_goes {
            // The first one is back and whole by then.
            assert_eq!(demo.registered(0), ["demo-nsqd-0", "demo-nsqd-1"]);
        }
        second_goes
    });
    assert_ne!(demo.registry(0), pods[0]);
    // The status may be that of a moment ago.
    eventually(BOUND, || demo.registered(1) == ["demo-nsqd-0", "demo-nsqd-1"]);
    namespace.await_running("demo");
    assert_eq!(demo.uids(), nodes);
}

#[test]
fn op_037_a_registry_that_is_lost_comes_back_under_its_address_and_is_filled() {
    let mut spec = quick(2);
    spec["lookupd"]["replicas"] = 2.into();
    let demo = running("op-037", &spec);
    let namespace = &demo.namespace;
    let address = || namespace.get(&["service", "demo-nsqlookupd-1"])["spec"]["clusterIP"].clone();
    let (before, pod) = (address(), demo.registry(1));
    kill_process(demo.process("demo-nsqlookupd-1"), Signal::KILL).unwrap();
    namespace.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]);
    eventually(BOUND, || demo.registry(1) != pod);
    let seen = std::time::Instant::now();
    eventually(BOUND, || demo.registered(1) == ["demo-nsqd-0", "demo-nsqd-1"]);
    assert!(seen.elapsed() <= Duration::from_secs(35), "{:?}", seen.elapsed());
    assert_eq!(address(), before);
}

/// Packets that begin a PUT of the configuration do not reach the node; everything else does.
#[test]
fn op_122_a_hot_option_that_one_node_refuses_is_tried_again_and_restarts_nobody() {
    const RULE: &str = "INPUT -p tcp --dport 4151 -m string --algo bm --string /config/log_level -m string --algo bm --string PUT -j DROP";
    let demo = running("op-122", &quick(2));
    let namespace = &demo.namespace;
    let before = demo.uids();
    let process = demo.process("demo-nsqd-1.demo-nsqd");
    demo.firewall(process, &format!("-I {RULE}"));
    demo.patch(&json!({"nsqd": {"options": {"logLevel": "debug"}}}));
    let status = namespace.await_status("demo", "refused", |status| {
        Namespace::condition(status, "ConfigInSync")["reason"] == "HotApplyFailed"
    });
    let message = Namespace::condition(&status, "ConfigInSync")["message"].clone();
    assert!(message.as_str().unwrap().starts_with("nsqd-1: "), "{message}");
    assert_eq!(
        namespace.ask("demo-nsqd-0", "GET", "/config/log_level").text(),
        "1"
    );
    namespace.await_event("demo", "HotApplyFailed");
    demo.firewall(process, &format!("-D {RULE}"));
    eventually(BOUND, || {
        namespace.ask("demo-nsqd-1", "GET", "/config/log_level").text() == "1"
    });
    namespace.await_running("demo");
    assert_eq!(demo.uids(), before);
}

/// Somebody made a pod announce another address while no operator was there; with OnDelete it stays as it is.
#[test]
fn op_069_op_126_what_only_a_person_may_restart_and_an_address_that_is_wrong() {
    let mut spec = quick(2);
    spec["nsqd"]["update"]["type"] = "OnDelete".into();
    let mut demo = running("op-126", &spec);
    let before = demo.uids();
    demo.patch(&json!({"nsqd": {"options": {"maxRdyCount": 3000}}}));
    let status = demo.namespace.await_status("demo", "pending", |status| {
        Namespace::condition(status, "ConfigInSync")["reason"] == "RestartPending"
    });
    let config = Namespace::condition(&status, "ConfigInSync");
    assert_eq!(config["message"], "demo-nsqd-0, demo-nsqd-1");
    demo.pass(2);
    assert_eq!(demo.uids(), before, "nothing rolls");
    demo.namespace
        .kubectl(&["delete", "pod", "demo-nsqd-0", "demo-nsqd-1"]);
    demo.namespace.await_status("demo", "in sync", |status| {
        Namespace::condition(status, "ConfigInSync")["reason"] == "InSync" && status["phase"] == "Running"
    });
    for pod in ["demo-nsqd-0", "demo-nsqd-1"] {
        let got = demo.namespace.ask(pod, "GET", "/config/max_rdy_count");
        got.expect(200, "3000");
    }

    // op_069
    demo.operator.kill();
    let set = demo.namespace.get(&["statefulset", "demo-nsqd"]);
    let args = set["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap();
    let place = args
        .iter()
        .position(|flag| flag.as_str().unwrap().starts_with("--broadcast-address="))
        .unwrap();
    let patch = json!([{
        "op": "replace",
        "path": format!("/spec/template/spec/containers/0/args/{place}"),
        "value": "--broadcast-address=elsewhere",
    }]);
    let patch = patch.to_string();
    demo.namespace
        .kubectl(&["patch", "statefulset", "demo-nsqd", "--type=json", "-p", &patch]);
    demo.namespace.kubectl(&["delete", "pod", "demo-nsqd-1"]);
    eventually(BOUND, || {
        let pod = demo.namespace.get(&["pod", "demo-nsqd-1"]);
        pod.to_string().contains("elsewhere") && pod["status"]["podIP"].is_string()
    });
    demo.operator = Operator::start(&demo.namespace);
    let status = demo.namespace.await_status("demo", "wrong", |status| {
        Namespace::condition(status, "RegistryConsistent")["reason"] == "WrongBroadcastAddress"
    });
    let registry = Namespace::condition(&status, "RegistryConsistent");
    assert_eq!(registry["status"], "False");
    let right = format!(
        "demo-nsqd-1.demo-nsqd.{}.svc.cluster.local",
        demo.namespace.name()
    );
    assert_eq!(
        registry["message"],
        format!("demo-nsqd-1 announces elsewhere instead of {right}")
    );
    demo.namespace.await_event("demo", "WrongBroadcastAddress");
}
