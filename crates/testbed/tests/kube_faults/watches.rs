//! What the operator knows is late, or has to be learned anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nsq_testbed::{BOUND, Cluster, Fault, Namespace};
use nsq_testkit::eventually;
use serde_json::{Value, json};

use crate::{Behind, objects, rendered, small, touch};

#[test]
fn op_171_watches_that_break_all_the_time_lose_nothing() {
    let demo = Behind::start(Cluster::control_plane().namespace("op-171"), &[]);
    let namespace = &demo.namespace;
    let end = demo.proxy.now() + Duration::from_secs(60);
    demo.proxy.drop_watches_every(Duration::from_secs(5));
    // The first that resumes in each 10 s is told that its version is too old, for each kind.
    let mut told = BTreeSet::new();
    demo.proxy.fault(move |call| {
        let resumes = call.verb == "watch" && call.at < end;
        (resumes && told.insert((call.path.clone(), call.at.as_secs() / 10))).then_some(Fault::Gone)
    });
    for name in ["a", "b"] {
        namespace.apply_cluster(name, &small());
    }
    let mut spec = small();
    let mut number = 0_u32;
    eventually(BOUND, || {
        number += 1;
        namespace.kubectl(&[
            "delete",
            "service",
            "a-nsqd",
            "--wait=false",
            "--ignore-not-found",
        ]);
        spec["lookupd"]["replicas"] = (1 + number % 2).into();
        namespace.apply_cluster("b", &spec);
        demo.await_applied("a", &small());
        demo.proxy.now() > end
    });
    demo.proxy.heal();
    let two = number % 2 == 1;
    eventually(BOUND, || {
        let deployments = namespace.names("deployment");
        deployments.contains(&"b-nsqlookupd-1".to_owned()) == two
    });
    demo.await_applied("b", &spec);
    demo.await_still("b");
    // More than four in five are cut while nothing happens.
    let cut = demo.operator.metrics();
    let restarts: f64 = cut
        .containing("nsq_operator_watch_restarts_total{")
        .map(|(_, value)| value)
        .sum();
    assert!(restarts > 50.0, "{restarts}");
    for name in ["a", "b"] {
        let spec = if name == "a" { small() } else { spec.clone() };
        assert_eq!(objects(namespace, name), rendered(name, &spec));
    }
    eventually(BOUND, || known(&demo) == listed(namespace));
}

/// Objects in the operator's stores, by kind.
fn known(demo: &Behind) -> BTreeMap<String, u32> {
    let metrics = demo.operator.metrics();
    let kinds = metrics.containing("nsq_operator_store_objects{");
    let kind = |sample: &str| sample.split('"').nth(1).unwrap().to_owned();
    kinds
        .filter(|(_, count)| *count > 0.0)
        .map(|(sample, count)| (kind(sample), count as u32))
        .collect()
}

/// Objects in the server's lists, by kind.
fn listed(namespace: &Namespace) -> BTreeMap<String, u32> {
    let kinds = "pod,serviceaccount,service,configmap,pvc,networkpolicy,pdb,deployment,statefulset,ingress";
    let children = namespace.get(&[kinds, "-l", "app.kubernetes.io/managed-by=nsq-operator"]);
    let own = namespace.get(&["nsqcluster,nsqtopic,nsqchannel"]);
    let mut counts = BTreeMap::new();
    for list in [children, own] {
        for object in list["items"].as_array().unwrap() {
            let kind = object["kind"].as_str().unwrap().to_owned();
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    counts
}

#[test]
fn op_052_what_was_written_and_is_not_seen_yet_is_not_written_again() {
    let flags = ["--log-level", "debug"];
    let demo = Behind::start(Cluster::control_plane().namespace("op-052"), &flags);
    let namespace = &demo.namespace;
    demo.proxy.hold_watches("services");
    namespace.apply_cluster("demo", &small());
    eventually(BOUND, || objects(namespace, "demo") == rendered("demo", &small()));
    // Every pass ends at once, a second after the one before.
    let again = "own writes are not seen yet; again in 1s";
    eventually(BOUND, || demo.operator.log().matches(again).count() >= 5);
    let at = moments(&demo.operator.log(), again);
    let between = (at[at.len() - 1] - at[0]) / f64::from(u32::try_from(at.len() - 1).unwrap());
    // Changes of other objects may wake it earlier, nothing makes it wait longer.
    assert!(between <= 1.5, "{between} s between {at:?}");
    let writes = demo.proxy.writes();
    let mut services: Vec<_> = writes.iter().filter(|call| call.resource == "services").collect();
    services.sort_by_key(|call| call.path.clone());
    let before = services.len();
    services.dedup_by_key(|call| call.path.clone());
    assert_eq!(services.len(), before, "{writes:?}");
    demo.proxy.heal();
    demo.await_applied("demo", &small());
    demo.await_still("demo");
    let writes = demo.proxy.writes();
    let after = writes.iter().filter(|call| call.resource == "services").count();
    assert_eq!(after, before, "{writes:?}");
}

/// When lines with this text were logged, in seconds of their minute and hour.
fn moments(log: &str, text: &str) -> Vec<f64> {
    let lines = log.lines().filter(|line| line.contains(text));
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let (_, time) = line["ts"].as_str().unwrap().split_once('T').unwrap();
            let parts = time
                .trim_end_matches('Z')
                .split(':')
                .map(|part| part.parse::<f64>().unwrap());
            parts.fold(0.0, |sum, part| sum * 60.0 + part)
        })
        .collect()
}

#[test]
fn op_053_a_status_that_is_written_wakes_nobody() {
    let demo = Behind::start(Cluster::control_plane().namespace("op-053"), &[]);
    let namespace = &demo.namespace;
    // Nothing runs, so nothing is waited for.
    let mut spec = small();
    spec["mode"] = "Stopped".into();
    for name in ["demo", "other"] {
        namespace.apply_cluster(name, &spec);
        namespace.await_status(name, "Stopped", |status| status["phase"] == "Stopped");
    }
    let statuses = || {
        let writes = demo.proxy.writes();
        let of_demo = writes
            .iter()
            .filter(|call| call.is("patch", "nsqclusters/status") && call.name.as_deref() == Some("demo"));
        of_demo.count()
    };
    // A round of looks at the other one in which nothing else happens.
    let mut number = 0;
    let mut looks = |count: u32| {
        for _ in 0..count {
            number += 1;
            let before = demo.operator.passes();
            touch(namespace, "other", number);
            demo.operator.await_passes_beyond(before, 1);
        }
    };
    let mut quiet = false;
    eventually(BOUND, || {
        let before = demo.operator.passes();
        looks(5);
        quiet = demo.operator.passes() <= before + 5.0;
        quiet
    });
    let (before, written) = (demo.operator.passes(), statuses());
    // A field that no object is made of.
    let patch = json!({"spec": {"nsqd": {"drain": {"timeout": "11m"}}}}).to_string();
    namespace.kubectl(&["patch", "nsqcluster", "demo", "--type=merge", "-p", &patch]);
    eventually(BOUND, || statuses() > written);
    // A pass counts when it has ended.
    demo.operator.await_passes_beyond(before, 1);
    looks(10);
    assert_eq!(statuses(), written + 1);
    assert!(
        (demo.operator.passes() - before - 11.0).abs() < 0.5,
        "{} passes",
        demo.operator.passes() - before
    );
}

#[test]
fn op_063_a_condition_keeps_its_time_while_only_words_change() {
    let demo = Behind::start(Cluster::control_plane().namespace("op-063"), &[]);
    let namespace = &demo.namespace;
    namespace.apply_cluster("demo", &small());
    let ready = |status: &Value| Namespace::condition(status, "Ready");
    let status = namespace.await_status("demo", "not ready", |status| ready(status)["status"] == "False");
    let since = ready(&status)["lastTransitionTime"].clone();
    let pod = || {
        let pods = namespace.get(&["pod", "-l", "app.kubernetes.io/component=nsqlookupd"]);
        pods["items"][0]["metadata"]["name"].as_str().map(str::to_owned)
    };
    eventually(BOUND, || pod().is_some());
    let pod = pod().unwrap();
    let mut messages = BTreeSet::new();
    for reason in ["One", "Two", "Three", "Four", "Five"] {
        let waiting = json!({"status": {"phase": "Pending", "containerStatuses": [{
            "name": "nsqlookupd", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason}},
        }]}});
        let waiting = waiting.to_string();
        let args = [
            "patch",
            "pod",
            &pod,
            "--subresource=status",
            "--type=merge",
            "-p",
            &waiting,
        ];
        namespace.kubectl(&args);
        let status = namespace.await_status("demo", reason, |status| {
            let message = status["message"].as_str().unwrap_or_default();
            message.contains(reason)
        });
        messages.insert(status["message"].to_string());
        assert_eq!(ready(&status)["lastTransitionTime"], since, "{status:#}");
        assert_eq!(ready(&status)["status"], "False");
    }
    assert_eq!(messages.len(), 5);
    // The last status is younger than that by more than the second which times are rounded to.
    let object = namespace.get(&["--show-managed-fields", "nsqcluster", "demo"]);
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    let status = managers
        .iter()
        .find(|entry| entry["manager"] == "nsq-operator-status");
    assert!(status.unwrap()["time"].as_str() > since.as_str(), "{managers:?}");
}
