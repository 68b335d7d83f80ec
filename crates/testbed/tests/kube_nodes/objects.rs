//! Objects, pods and what the installed roles allow.

use super::*;

#[test]
fn op_028_op_040_op_064_pods_get_ready_and_then_nothing_is_written() {
    let demo = running("op-028", &quick(2));
    let namespace = &demo.namespace;
    namespace.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "nsqcluster",
        "demo",
    ]);
    let status = namespace.status("demo");
    assert_eq!(
        (&status["nsqd"]["registered"], &status["nsqd"]["ready"]),
        (&json!(2), &json!(2)),
        "{status}"
    );
    for ordinal in 0..2 {
        let pod = format!("demo-nsqd-{ordinal}");
        namespace
            .ask(&pod, "GET", "/config/id")
            .expect(200, &ordinal.to_string());
        let info = namespace.ask(&pod, "GET", "/info").json();
        let host = format!("{pod}.demo-nsqd.{}.svc.cluster.local", namespace.name());
        assert_eq!(info["broadcast_address"], host);
        let found = namespace.get(&["pod", &pod]);
        assert_eq!(found["spec"]["securityContext"]["runAsUser"], 65532);
        assert_eq!(
            found["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"],
            true
        );
    }
    assert_eq!(demo.endpoints("demo-nsqd"), ["demo-nsqd-0", "demo-nsqd-1"]);
    assert_eq!(
        demo.endpoints("demo-nsqd-publish"),
        ["demo-nsqd-0", "demo-nsqd-1"]
    );
    assert_eq!(demo.endpoints("demo-nsqlookupd-0").len(), 1);

    // The console, which nothing waited for, is in the status too.
    eventually(BOUND, || namespace.status("demo")["admin"]["ready"] == 1);
    demo.come_to_rest();
    let writes = demo.operator.writes();
    demo.pass(10);
    assert!(
        (demo.operator.writes() - writes).abs() < 0.5,
        "{}",
        demo.operator.log()
    );
}

/// What a name means to a process in a pod: it asks the server that its `/etc/resolv.conf` names.
#[track_caller]
fn resolved(process: Pid, host: &str) -> String {
    let id = process.as_raw_nonzero().to_string();
    let servers = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(format!("/proc/{id}/root/etc/resolv.conf"), servers.path()).unwrap();
    let script = format!(
        "mount --bind {} /etc/resolv.conf && getent ahostsv4 {host}",
        servers.path().display()
    );
    let output = Command::new("nsenter")
        .args([
            "--net", "--target", &id, "unshare", "--mount", "sh", "-c", &script,
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn op_033_pods_of_both_makers_are_what_their_manifest_says() {
    for (name, image) in [("op-033-ours", None), ("op-033-go", Some(REFERENCE_IMAGE))] {
        let mut spec = quick(2);
        if let Some(image) = image {
            spec["image"] = image.into();
        }
        let demo = running(name, &spec);
        let namespace = &demo.namespace;
        for ordinal in 0..2 {
            let pod = format!("demo-nsqd-{ordinal}");
            namespace
                .ask(&pod, "GET", "/config/id")
                .expect(200, &ordinal.to_string());
            let process = demo.process(&format!("{pod}.demo-nsqd"));
            let about = |file: &str| {
                std::fs::read_to_string(format!("/proc/{}/{file}", process.as_raw_nonzero())).unwrap()
            };
            let status = about("status");
            let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
            assert!(user.split_whitespace().all(|id| id == "65532"), "{user}");
            let mounts = about("mountinfo");
            let root = mounts
                .lines()
                .find(|line| line.split(' ').nth(4) == Some("/"))
                .unwrap();
            assert!(root.split(' ').nth(5).unwrap().starts_with("ro,"), "{root}");
            let found = namespace.get(&["pod", &pod]);
            let broadcast = namespace.ask(&pod, "GET", "/info").json()["broadcast_address"].clone();
            assert_eq!(
                found["status"]["podIP"],
                resolved(process, broadcast.as_str().unwrap()),
                "{broadcast}"
            );
        }
    }
}

/// The namespace enforces restricted pod security, the server has the admission plugin that asks for `finalizers`.
#[test]
fn op_178_op_179_the_roles_of_the_install_are_enough_and_nothing_else_is_asked_for() {
    let namespace = Cluster::nodes().namespace("op-178");
    let name = namespace.name();
    namespace.apply(&printed(&[
        "install",
        "--namespace",
        name,
        "--watch-namespaces",
        name,
    ]));
    // The process of this test takes the place of the pod.
    namespace.kubectl(&["delete", "deployment", "nsq-operator"]);
    let token = namespace.kubectl(&["create", "token", "nsq-operator"]);
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let admin = std::fs::read_to_string(namespace.cluster().kubeconfig()).unwrap();
    let mut lines: Vec<String> = admin.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.trim_start().starts_with("user: {token:") {
            *line = format!("  user: {{token: {}}}", token.trim());
        }
    }
    std::fs::write(&kubeconfig, lines.join("\n")).unwrap();
    let operator = Operator::start_as(&namespace, kubeconfig.path(), &[]);
    namespace.apply_cluster("demo", &quick(2));
    namespace.await_running("demo");
    namespace.kubectl(&["scale", "nsqcluster", "demo", "--replicas=1"]);
    namespace.await_status("demo", "1/1", |status| {
        status["nsqd"]["replicas"] == 1 && status["phase"] == "Running"
    });
    let patch = r#"{"spec":{"nsqd":{"pdb":{"enabled":false}}}}"#;
    namespace.kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", patch]);
    eventually(BOUND, || {
        !namespace
            .names("poddisruptionbudget")
            .contains(&"demo-nsqd".to_owned())
    });
    let metrics = operator.metrics();
    let refused: Vec<_> = metrics.containing("code=\"403\"").collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(metrics.containing("resource=\"secrets\"").count(), 0);
    assert!(!operator.log().contains("not told"), "{}", operator.log());
}

#[test]
fn op_029_names_that_the_outside_knows() {
    let mut spec = quick(2);
    spec["nsqd"]["expose"] = json!({
        "type": "StaticNames", "hostTemplate": "nsqd-{ordinal}.mq.example.com", "serviceType": "LoadBalancer",
        "annotations": {"external-dns.example.com/hostname": "nsqd-{ordinal}.mq.example.com"},
    });
    let demo = running("op-029", &spec);
    let namespace = &demo.namespace;
    for ordinal in 0..2 {
        let pod = format!("demo-nsqd-{ordinal}");
        let host = format!("nsqd-{ordinal}.mq.example.com");
        assert_eq!(
            demo.endpoints(&pod),
            [pod.as_str()],
            "the Service of that name selects one pod"
        );
        let service = namespace.get(&["service", &pod]);
        assert_eq!(service["spec"]["type"], "LoadBalancer");
        let annotations = &service["metadata"]["annotations"];
        assert_eq!(annotations["external-dns.example.com/hostname"], host.as_str());
        let info = namespace.ask(&pod, "GET", "/info").json();
        assert_eq!(info["broadcast_address"], host.as_str());
    }
    assert_eq!(demo.registered(0), ["nsqd-0", "nsqd-1"]);
}

#[test]
fn op_034_a_pod_leaves_the_publishers_before_it_ends_and_ends_cleanly() {
    let mut spec = quick(1);
    spec["nsqd"]["preStopSeconds"] = 5.into();
    let demo = running("op-034", &spec);
    let namespace = &demo.namespace;
    demo.fill("demo-nsqd-0", "t", "c", 20);
    let at = namespace.pod("demo-nsqd-0", 4151);
    let uid = demo.uids()[0].clone();
    namespace.kubectl(&["delete", "pod", "demo-nsqd-0", "--wait=false"]);
    eventually(Duration::from_secs(4), || {
        demo.endpoints("demo-nsqd-publish").is_empty()
    });
    request(at, "GET", "/ping", b"").expect(200, "OK");
    let mut exit = Value::Null;
    eventually(BOUND, || {
        let pod = namespace.get(&["pod", "demo-nsqd-0"]);
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"];
        if pod["metadata"]["uid"] == uid.as_str() && !ended.is_null() {
            exit = ended.clone();
        }
        pod["metadata"]["uid"] != uid.as_str()
    });
    assert_eq!(exit, 0);
    demo.await_nodes(1);
    assert_eq!(demo.depth("demo-nsqd-0", "t", "c"), 20);
}
