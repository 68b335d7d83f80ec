//! Reading manifests: every mistake is listed, each with its line.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]

use nsq_operator::api::{Flavor, NsqClusterSpec, parse_manifest, validate};
use proptest::prelude::*;

fn errors(text: &str) -> Vec<String> {
    parse_manifest("m.yaml", text)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn all_kinds_are_read_with_defaults() {
    let text = "\
apiVersion: nsq.rs/v1alpha1
kind: NsqCluster
metadata: {name: demo, namespace: mq}
spec: {}
---
apiVersion: nsq.rs/v1alpha1
kind: NsqTopic
metadata: {name: orders}
spec: {clusterName: demo, policy: {durability: fsync, maxAttempts: 5}}
---
apiVersion: nsq.rs/v1alpha1
kind: NsqChannel
metadata: {name: billing}
spec: {clusterName: demo, topic: orders, paused: null}
status: {nodes: 1/1}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
";
    let manifest = parse_manifest("m.yaml", text).unwrap();
    assert_eq!(manifest.clusters[0].spec, NsqClusterSpec::default());
    assert_eq!(manifest.clusters[0].metadata.namespace.as_deref(), Some("mq"));
    assert_eq!(
        manifest.clusters[0].spec.flavor_for("nsqio/nsq"),
        Flavor::Upstream
    );
    assert_eq!(manifest.topics[0].topic_name(), "orders");
    assert_eq!(
        (
            manifest.channels[0].channel_name(),
            manifest.channels[0].spec.paused
        ),
        ("billing", None)
    );
    assert_eq!(manifest.skipped, ["18: Secret/s"]);
}

#[test]
fn every_mistake_is_listed_with_its_line() {
    let text = "\
apiVersion: nsq.rs/v1alpha1
kind: NsqCluster
metadata:
  name: demo
spec:
  nsqd:
    replcas: 3
    preStopSeconds: 500
    storage:
      type: Sticky
    drain:
      settle: 1x
    extraOptions:
      data_path: /x
      deflate: false
  imagePullSecrets: [a, 5]
  image: a b
---
apiVersion: nsq.rs/v1alpha1
kind: NsqTopic
metadata: {name: orders}
spec: {}
";
    assert_eq!(
        errors(text),
        [
            "m.yaml:7: NsqCluster/demo: spec.nsqd.replcas: unknown field \"spec.nsqd.replcas\", \
             did you mean replicas?",
            "m.yaml:8: NsqCluster/demo: spec.nsqd.preStopSeconds: Invalid value: 500: \
             spec.nsqd.preStopSeconds in body should be less than or equal to 300",
            "m.yaml:8: NsqCluster/demo: spec.nsqd.preStopSeconds: preStopSeconds must be less than \
             terminationGracePeriodSeconds",
            "m.yaml:10: NsqCluster/demo: spec.nsqd.storage.type: Unsupported value: \"Sticky\": \
             supported values: \"Persistent\", \"Ephemeral\"",
            "m.yaml:12: NsqCluster/demo: spec.nsqd.drain.settle: Invalid value: \"1x\": \
             spec.nsqd.drain.settle in body should match '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$'",
            "m.yaml:13: NsqCluster/demo: spec.nsqd.extraOptions: extraOptions must not set options that \
             have their own field or that the operator owns",
            "m.yaml:15: NsqCluster/demo: spec.nsqd.extraOptions.deflate: Invalid value: \"boolean\": \
             spec.nsqd.extraOptions.deflate in body must be of type string: \"boolean\"",
            "m.yaml:16: NsqCluster/demo: spec.imagePullSecrets[1]: Invalid value: \"integer\": \
             spec.imagePullSecrets[1] in body must be of type string: \"integer\"",
            "m.yaml:17: NsqCluster/demo: spec.image: image must be an image reference without spaces",
            "m.yaml:22: NsqTopic/orders: spec.clusterName: Required value",
        ]
    );
}

#[test]
fn what_is_no_object_of_ours_is_said() {
    let head = "apiVersion: nsq.rs/v1alpha1\n";
    let cases = [
        (
            "- 1\n",
            "m.yaml:1: a document must be an object with apiVersion and kind",
        ),
        ("kind: NsqCluster\n", "m.yaml:1: apiVersion: Required value"),
        (
            "apiVersion: nsq.rs/v1\nkind: NsqCluster\nmetadata: {name: x}\n",
            "m.yaml:1: NsqCluster/x: apiVersion: unknown version nsq.rs/v1, use nsq.rs/v1alpha1",
        ),
        (
            &format!("{head}kind: NsqClustr\nmetadata: {{name: x}}\n"),
            "m.yaml:2: NsqClustr/x: kind: unknown kind NsqClustr, did you mean NsqCluster?",
        ),
        (
            &format!("{head}kind: NsqCluster\nmetadata: {{}}\nspec: {{}}\n"),
            "m.yaml:3: NsqCluster/: metadata.name: Required value",
        ),
        (
            &format!("{head}kind: NsqCluster\nmetadata: {{name: x, lables: {{}}}}\nspec: {{}}\n"),
            "m.yaml:3: NsqCluster/x: metadata.lables: unknown field \"metadata.lables\", did you mean labels?",
        ),
        (
            &format!("{head}kind: NsqCluster\nmetadata: {{name: x}}\n"),
            "m.yaml:1: NsqCluster/x: spec: Required value",
        ),
        ("a: [1\n", "m.yaml:1: unclosed bracket '[' at line 1, column 4"),
    ];
    for (text, error) in cases {
        assert_eq!(errors(text), [error]);
    }
    let twice = format!("{head}kind: NsqCluster\nmetadata:\n  name: x\nspec: {{}}\n---\n").repeat(2);
    assert_eq!(
        errors(&twice),
        ["m.yaml:10: NsqCluster/x: metadata.name: the same object stands in line 4 already"]
    );
}

#[test]
fn hostile_text_is_an_error_and_ends_soon() {
    let deep = "[".repeat(100_000);
    let bomb = format!(
        "a: &a [1,1]\n{}",
        (0..40).fold(String::new(), |text, i| {
            format!(
                "{text}b{i}: &b{i} [{}]\n",
                format!(
                    "*{},",
                    if i == 0 {
                        "a".to_owned()
                    } else {
                        format!("b{}", i - 1)
                    }
                )
                .repeat(9)
            )
        })
    );
    for text in [
        deep.as_str(),
        bomb.as_str(),
        "\u{0}",
        "a: !!binary x",
        "? [1]\n: 2\n",
        "&a *a",
    ] {
        assert!(
            parse_manifest("m.yaml", text).is_err(),
            "{}",
            &text[..text.len().min(40)]
        );
    }
}

/// A valid manifest to damage.
const FULL: &str = include_str!("golden/full.in.yaml");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the text, there is an answer: objects, or errors that name the file.
    #[test]
    fn any_text_has_an_answer(text in "(?s).{0,200}") {
        if let Err(errors) = parse_manifest("m.yaml", &text) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| error.to_string().starts_with("m.yaml")));
        }
    }

    /// A manifest with bytes cut out or put in: as above, and what is read keeps to the rules.
    #[test]
    fn a_damaged_manifest_has_an_answer(from in 0..FULL.len(), cut in 0..40_usize, put in "[ -~\n]{0,8}") {
        let to = (from + cut).min(FULL.len());
        let text = format!("{}{put}{}", &FULL[..from], &FULL[to..]);
        if let Ok(manifest) = parse_manifest("m.yaml", &text) {
            prop_assert!(manifest.clusters.iter().all(|cluster| validate(cluster, None).is_empty()));
        }
    }
}
