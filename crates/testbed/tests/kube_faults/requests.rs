//! Calls that fail.

use std::collections::BTreeSet;
use std::time::Duration;

use nsq_testbed::{BOUND, Call, Cluster, Fault, Operator, Proxy};
use nsq_testkit::eventually;

use crate::{Behind, small, touch};

/// Renewals of the lease are spared: servers keep room for them when everything else has to wait.
#[test]
fn op_170_conflicts_throttling_and_errors_are_waited_out() {
    std::thread::scope(|scope| {
        for part in [conflicts, throttling, errors] {
            scope.spawn(part);
        }
    });
}

/// Every object's first write is a conflict.
fn conflicts() {
    let demo = Behind::start(Cluster::control_plane().namespace("op-170"), &[]);
    let mut met = BTreeSet::new();
    demo.proxy
        .fault(move |call| (is_hit(call) && met.insert(call.path.clone())).then_some(Fault::Answer(409)));
    demo.namespace.apply_cluster("demo", &small());
    demo.await_applied("demo", &small());
    expect_no_complaint(&demo);
    let refused = demo.proxy.seen();
    let conflicts = refused.iter().filter(|seen| seen.code == Some(409)).count();
    assert!(conflicts > 10, "{conflicts}");
}

/// For 30 s everything is too much, except that what is watched already goes on.
fn throttling() {
    const PAUSE: Duration = Duration::from_secs(3);
    let demo = Behind::start(Cluster::control_plane().namespace("op-170"), &[]);
    let end = demo.proxy.now() + Duration::from_secs(30);
    demo.proxy.fault(move |call| {
        let seconds = u32::try_from(PAUSE.as_secs()).unwrap();
        (!call.is_lease() && call.at < end).then_some(Fault::Throttle(seconds))
    });
    demo.namespace.apply_cluster("demo", &small());
    // What wakes the operator up does not make it ask earlier.
    let mut number = 0;
    eventually(BOUND, || {
        number += 1;
        touch(&demo.namespace, "demo", number);
        demo.proxy.now() > end
    });
    demo.await_applied("demo", &small());
    expect_no_complaint_below(&demo, 5);
    let seen = demo.proxy.seen();
    let refused: Vec<_> = seen.iter().filter(|seen| seen.code == Some(429)).collect();
    assert!(refused.len() > 10, "{}", refused.len());
    for first in refused {
        let same = |call: &Call| (call.verb, &call.path) == (first.call.verb, &first.call.path);
        let next = seen
            .iter()
            .find(|next| same(&next.call) && next.call.at > first.call.at);
        if let Some(next) = next.filter(|_| first.call.resource != "events") {
            let wait = next.call.at - first.call.at;
            assert!(wait >= PAUSE, "{} again after {wait:?}", first.call.path);
        }
    }
}

/// Every fifth call fails.
fn errors() {
    let demo = Behind::start(Cluster::control_plane().namespace("op-170"), &[]);
    let mut number = 0;
    demo.proxy.fault(move |call| {
        number += u32::from(!call.is_lease());
        (!call.is_lease() && number % 5 == 0).then_some(Fault::Answer(500))
    });
    demo.namespace.apply_cluster("demo", &small());
    demo.await_applied("demo", &small());
    let mut spec = small();
    spec["nsqd"]["options"]["maxRdyCount"] = 3000.into();
    demo.namespace.apply_cluster("demo", &spec);
    eventually(BOUND, || demo.namespace.status("demo")["observedGeneration"] == 2);
    expect_no_complaint(&demo);
    let failed = demo.proxy.seen();
    assert!(failed.iter().filter(|seen| seen.code == Some(500)).count() > 10);
}

fn is_hit(call: &Call) -> bool {
    call.is_write() && !call.is_lease()
}

fn expect_no_complaint(demo: &Behind) {
    let events = demo.namespace.events("demo");
    assert!(!events.contains(&"ApplyFailed".to_owned()), "{events:?}");
}

/// Complaints are about what was tried at least so often.
fn expect_no_complaint_below(demo: &Behind, tries: usize) {
    let list = demo.namespace.get(&["events.events.k8s.io"]);
    for event in list["items"].as_array().unwrap() {
        if event["reason"] != "ApplyFailed" {
            continue;
        }
        let name = event["note"].as_str().unwrap().split([' ', ':']).nth(1).unwrap();
        let seen = demo.proxy.seen();
        let refused = seen.iter().filter(|seen| {
            seen.code == Some(429) && seen.call.name.as_deref() == Some(name) && seen.call.namespace.is_some()
        });
        let count = refused.count();
        assert!(count >= tries, "{name} was told after {count} tries");
    }
}

/// The server is away for the operator alone: its connections are cut and new ones are closed, as it is with one that was
/// stopped. That leaves it to the other tests.
#[test]
fn op_172_without_an_api_server_the_leader_steps_down_and_comes_back_to_what_was() {
    let namespace = Cluster::control_plane().namespace("op-172");
    let proxy = Proxy::start(namespace.cluster());
    let mut operator = Operator::start_as(&namespace, proxy.kubeconfig(), &[]);
    let leads = |operator: &Operator| operator.metrics().get("nsq_operator_leader") == Some(1.0);
    namespace.apply_cluster("demo", &small());
    namespace.await_status("demo", "Creating", |status| {
        let message = status["message"].as_str().unwrap_or_default();
        message.starts_with("nsqlookupd-0 not ready: ")
    });
    operator.await_quiet();
    let pods = namespace.get(&["pod"]);
    let uids = |list: &serde_json::Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|pod| pod["metadata"]["uid"].to_string())
            .collect()
    };
    let writes = proxy.writes().len();

    let end = proxy.now() + Duration::from_secs(60);
    proxy.go_away();
    assert_eq!(operator.wait(), Some(5), "{}", operator.log());
    // As a kubelet does.
    let operator = Operator::start_as(&namespace, proxy.kubeconfig(), &[]);
    eventually(BOUND, || {
        operator.ask("/livez").expect(200, "OK");
        operator.ask("/readyz").expect(200, "OK");
        assert!(!leads(&operator));
        proxy.now() >= end
    });
    proxy.heal();
    eventually(BOUND, || leads(&operator));
    operator.await_passes(1);
    operator.await_quiet();
    assert_eq!(proxy.writes().len(), writes, "{:?}", proxy.writes().last());
    assert_eq!(uids(&namespace.get(&["pod"])), uids(&pods));
}
