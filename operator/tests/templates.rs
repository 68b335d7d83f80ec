//! What pod templates and StatefulSets are, whatever the spec.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "reads the golden manifests")]

mod clusters;

use std::collections::BTreeMap;

use clusters::{build, golden, resolved, stateful_set, template_hashes};
use nsq_operator::build::{Desired, NodeCount, ObjectKind, objects};
use proptest::prelude::*;
use serde_json::json;

proptest! {
    /// op_022: whatever the spec, a StatefulSet has replicas, a partition and the live claim templates.
    #[test]
    fn op_022_a_stateful_set_never_lacks_what_an_apply_would_reset(
        replicas in 0..=64_i32,
        desired in 0..=64_i32,
        partition in -1..=65_i32,
        on_delete in any::<bool>(),
        mode in prop::sample::select(vec!["Managed", "Paused", "Stopped"]),
        ephemeral in any::<bool>(),
        size in 1..=100_u32,
        live in any::<bool>(),
        flavor in prop::sample::select(vec!["Native", "Upstream"]),
    ) {
        let spec = json!({"mode": mode, "flavor": flavor, "nsqd": {
            "replicas": replicas,
            "update": {"type": if on_delete { "OnDelete" } else { "Rolling" }},
            "storage": {"type": if ephemeral { "Ephemeral" } else { "Persistent" }, "size": format!("{size}Gi")},
        }});
        let mut cluster = resolved("c", &spec);
        cluster.nodes = NodeCount::rolling(desired, partition);
        let templates = vec![json!({"metadata": {"name": "data"}, "spec": {"an": "old one"}})];
        cluster.live.claim_templates = live.then(|| templates.clone());
        let objects = objects(&cluster);
        let set = &stateful_set(&objects)["spec"];
        // How many nodes a stopped cluster has is decided where they are counted, not here.
        prop_assert_eq!(&set["replicas"], &json!(desired));
        let written = &set["updateStrategy"]["rollingUpdate"]["partition"];
        if on_delete {
            prop_assert!(written.is_null());
        } else {
            let written = written.as_i64().unwrap();
            prop_assert!((0..=i64::from(desired)).contains(&written));
        }
        if live {
            prop_assert_eq!(&set["volumeClaimTemplates"], &json!(templates));
        } else {
            prop_assert_eq!(set["volumeClaimTemplates"].is_array(), !ephemeral);
        }
    }
}

/// op_023
#[test]
fn op_023_counts_and_log_level_leave_the_nsqd_template_alone() {
    let hash = |spec| template_hashes(&build(&spec))["c-nsqd"].clone();
    let before = hash(json!({}));
    assert_eq!(hash(json!({"nsqd": {"replicas": 7}})), before);
    assert_eq!(hash(json!({"lookupd": {"replicas": 5}})), before);
    assert_eq!(hash(json!({"nsqd": {"options": {"logLevel": "debug"}}})), before);
}

/// op_024
#[test]
fn op_024_an_nsqd_option_renames_its_config_map_and_rolls_nsqd_only() {
    let (before, after) = (
        build(&json!({})),
        build(&json!({"nsqd": {"options": {"syncEvery": 9}}})),
    );
    let name = |objects: &[Desired]| {
        let maps = objects
            .iter()
            .filter(|object| object.kind == ObjectKind::ConfigMap);
        maps.map(|map| map.name.clone())
            .find(|name| name.starts_with("c-nsqd-"))
            .unwrap()
    };
    assert_ne!(name(&before), name(&after));
    let (before, after) = (template_hashes(&before), template_hashes(&after));
    let changed: Vec<&String> = before
        .keys()
        .filter(|name| before[*name] != after[*name])
        .collect();
    assert_eq!(changed, ["c-nsqd"]);
}

/// op_025: the rules of the restricted Pod Security Standard, for every pod of the golden set.
#[test]
fn op_025_pods_meet_the_restricted_profile() {
    for (name, cluster) in golden() {
        for object in objects(&cluster) {
            let pod = &object.object["spec"]["template"]["spec"];
            if pod.is_null() {
                continue;
            }
            let context = &pod["securityContext"];
            for field in [
                "hostNetwork",
                "hostPID",
                "hostIPC",
                "shareProcessNamespace",
                "initContainers",
            ] {
                assert!(pod.get(field).is_none(), "{name} {field}");
            }
            assert_eq!(context["runAsNonRoot"], true);
            assert!(context["runAsUser"].as_i64().unwrap() > 0);
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
            for volume in pod["volumes"].as_array().unwrap() {
                let kinds: Vec<&String> = volume
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "name")
                    .collect();
                assert!(
                    ["configMap", "emptyDir", "secret"].contains(&kinds[0].as_str()),
                    "{name} {kinds:?}"
                );
            }
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert!(context.get("privileged").is_none() && context.get("procMount").is_none());
                assert!(
                    container["ports"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|port| port.get("hostPort").is_none())
                );
            }
        }
    }
}

/// op_036
#[test]
fn op_036_common_labels_change_objects_and_no_template() {
    let (before, after) = (build(&json!({})), build(&json!({"commonLabels": {"team": "a"}})));
    assert_eq!(template_hashes(&before), template_hashes(&after));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.object["metadata"]["labels"]["team"], "a", "{}", after.name);
        assert_ne!(
            before.annotation("nsq.rs/spec-hash"),
            after.annotation("nsq.rs/spec-hash"),
            "{}",
            after.name
        );
    }
}

/// op_117: an upgrade of the operator restarts nobody. `golden/released-templates.json` has the hashes of the last release; a
/// release that must change one says so in its notes (`OperatorTemplateChanged`) and writes the file anew (`UPDATE_GOLDEN=1`).
#[test]
fn op_117_templates_are_those_of_the_last_release() {
    let released: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(include_str!("golden/released-templates.json")).unwrap();
    assert!(released.len() > 7);
    let now: BTreeMap<String, BTreeMap<String, String>> = golden()
        .into_iter()
        .map(|(name, cluster)| (name, template_hashes(&objects(&cluster))))
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/released-templates.json"
        );
        std::fs::write(path, serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
        return;
    }
    for (name, hashes) in &released {
        assert_eq!(now.get(name), Some(hashes), "{name}");
    }
}

/// op_135 (with `nothing_is_claimed_and_that_is_in_sync` for the status)
#[test]
fn op_135_an_ephemeral_cluster_has_a_bounded_folder_and_no_claims() {
    let objects = build(&json!({"nsqd": {"storage": {"type": "Ephemeral", "size": "3Gi"}}}));
    assert!(
        objects
            .iter()
            .all(|object| object.kind != ObjectKind::PersistentVolumeClaim)
    );
    let set = stateful_set(&objects);
    assert!(set["spec"]["volumeClaimTemplates"].is_null(), "{set}");
    let volumes = set["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let data: Vec<_> = volumes.iter().filter(|volume| volume["name"] == "data").collect();
    assert_eq!(data, [&json!({"name": "data", "emptyDir": {"sizeLimit": "3Gi"}})]);
}
