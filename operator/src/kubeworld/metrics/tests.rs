//! The page with a sample of every family, as a file. The tests of dashboards and alerts read it (`crates/e2e`, e2e_monitoring),
//! since the names and labels there are those of this registry; what docs/metrics.md says of them is compared with it too.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::super::store::{Object, StoreKind};
use super::*;
use crate::api::{NsqCluster, NsqClusterStatus};

/// A minute after the drain began.
const NOW: i64 = 1_790_000_060;

/// A cluster about which there is everything to tell: one drain, one rollout, both stuck.
fn facts() -> ClusterFacts {
    let began = "2026-09-21T14:13:20Z";
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": began});
    let status: NsqClusterStatus = serde_json::from_value(json!({
        "nsqd": {"desired": 3},
        "drain": {"from": 4, "to": 3, "startedAt": began, "nodes": [
            {"pod": "demo-nsqd-3", "state": "Draining", "since": began, "depth": 7, "inFlight": 2, "deferred": 1},
        ]},
        "rollout": {"reasons": ["ImageChanged"], "startedAt": began, "partition": 2, "pod": "demo-nsqd-2"},
        "conditions": [
            condition("Ready", "False", "Stalled"),
            condition("Reconciling", "True", "RollingOut"),
            condition("Stalled", "True", "RolloutStuck"),
            condition("Available", "True", "MinimumAvailable"),
            condition("RegistryConsistent", "True", "AllRegistered"),
            condition("ConfigInSync", "False", "RestartPending"),
            condition("StorageInSync", "True", "InSync"),
            condition("Draining", "True", "NoConsumers"),
        ],
    }))
    .unwrap();
    let nodes = [("active", 2), ("draining", 1), ("unready", 1)];
    ClusterFacts::of("mq", "demo", &status, nodes)
}

/// `UPDATE_GOLDEN=1` writes the file anew; then read the difference, and docs/metrics.md with it.
#[allow(clippy::disallowed_methods, reason = "a small file of the tests")]
#[test]
fn op_205_the_page_has_a_sample_of_every_family() {
    let key = ClusterKey {
        namespace: "mq".to_owned(),
        name: "demo".to_owned(),
    };
    let store = Store::default();
    let cluster = NsqCluster::new("demo", serde_json::from_value(json!({})).unwrap());
    store.put(
        StoreKind::Cluster,
        &key,
        "demo",
        Object::Cluster(Arc::new(cluster)),
    );
    let metrics = Metrics::new().unwrap();
    metrics.leads(true);
    for result in ["ok", "error"] {
        metrics.pass_began();
        metrics.pass_ended(result, Duration::from_millis(30));
    }
    metrics.queue_depth(0);
    metrics.requested("patch", "statefulsets", "200");
    metrics.wrote("StatefulSet", "apply");
    metrics.asked("nsqd", "facts", true);
    metrics.watch_restarted("Pod");
    metrics.unreadable("NsqCluster");
    metrics.outdated("nsqclusters.nsq.rs", false);
    metrics.cluster(&key, Some(facts()));
    let page = metrics.render(Some(&store), NOW).unwrap();

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(page, known, "run with UPDATE_GOLDEN=1 and read the difference");
    // A family without a sample is not on the page, and would be missing in the tests that read the file: who adds one to the
    // registry finds it does not compile here, and uses it above.
    let Inner {
        registry: _,
        leader: _,
        passes: _,
        pass_seconds: _,
        in_flight: _,
        depth: _,
        requests: _,
        writes: _,
        daemon_requests: _,
        objects: _,
        restarts: _,
        unreadable: _,
        outdated: _,
        clusters: _,
    } = &*metrics.inner;
    let about_clusters = 7;
    let heads = page.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(heads, 12 + about_clusters, "{page}");

    metrics.cluster(&key, None);
    let page = metrics.render(Some(&store), NOW).unwrap();
    assert!(!page.contains("nsq_cluster="), "{page}");
}
