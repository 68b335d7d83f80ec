//! `render` and `crd` as programs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(clippy::disallowed_methods, reason = "runs the program on real files")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nsq-operator"));
    command.args(args).stdin(Stdio::null());
    command
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn render(environment: &[(&str, &str)]) -> Output {
    let file = repository("operator/tests/golden/full.in.yaml");
    let args = [
        "render",
        "-f",
        file.to_str().unwrap(),
        "--api",
        "podmonitor,httproute",
    ];
    let mut command = program(&args);
    command.env_clear().envs(environment.iter().copied());
    command.output().unwrap()
}

/// op_190: the output does not depend on time zone, locale or environment; it parses, and the objects come in
/// the order they are applied in.
#[test]
fn op_190_render_is_the_same_everywhere() {
    let plain = render(&[]);
    assert!(plain.status.success(), "{}", text(&plain.stderr));
    let moved = render(&[
        ("TZ", "Asia/Tokyo"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "de_DE"),
        ("HOME", "/nowhere"),
    ]);
    assert_eq!(text(&plain.stdout), text(&moved.stdout));
    let mut kinds: Vec<String> = Vec::new();
    for document in text(&plain.stdout).split("---\n").skip(1) {
        let object: serde_json::Value = serde_yaml::from_str(document).unwrap();
        kinds.push(object["kind"].as_str().unwrap().to_owned());
    }
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "ServiceAccount",
            "Service",
            "ConfigMap",
            "PersistentVolumeClaim",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Deployment",
            "StatefulSet",
            "Deployment",
            "Ingress",
            "PodMonitor",
        ]
    );
}

/// op_192: three broken rules and an unknown field: exit code 3, all four with file and line.
#[test]
fn op_192_an_invalid_manifest_lists_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.yaml");
    let manifest = "\
apiVersion: nsq.rs/v1alpha1
kind: NsqCluster
metadata:
  name: demo
spec:
  nsqd:
    replcas: 4
    drain:
      settle: 11m
    update:
      gateTimeout: 1s
  tls:
    mode: Optional
";
    std::fs::write(&file, manifest).unwrap();
    let name = file.to_str().unwrap();
    let output = program(&["render", "-f", name]).output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(3), "")
    );
    assert_eq!(
        text(&output.stderr),
        format!(
            "error: {name}:7: NsqCluster/demo: spec.nsqd.replcas: unknown field \"spec.nsqd.replcas\", did you \
             mean replicas?\n\
             error: {name}:9: NsqCluster/demo: spec.nsqd.drain.settle: drain.settle must be between 1s and 10m\n\
             error: {name}:11: NsqCluster/demo: spec.nsqd.update.gateTimeout: update.gateTimeout must be at least \
             30s\n\
             error: {name}:12: NsqCluster/demo: spec.tls.secretName: tls.secretName is required unless tls.mode \
             is Disabled\n"
        )
    );
}

#[test]
fn crd_checks_a_folder_and_writes_it() {
    let checked_in = repository("crds");
    let check = program(&["crd", "--check", checked_in.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", text(&check.stderr));

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let check = program(&["crd", "--check", dir, "--kind", "NsqTopic"])
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(1));
    assert!(
        text(&check.stderr).contains("nsq.rs_nsqtopics.yaml"),
        "{}",
        text(&check.stderr)
    );
    assert!(!text(&check.stderr).contains("nsq.rs_nsqchannels.yaml"));

    assert!(program(&["crd", "--dir", dir]).output().unwrap().status.success());
    for name in [
        "nsq.rs_nsqclusters.yaml",
        "nsq.rs_nsqtopics.yaml",
        "nsq.rs_nsqchannels.yaml",
    ] {
        let (written, expected) = (
            std::fs::read(folder.path().join(name)),
            std::fs::read(checked_in.join(name)),
        );
        assert_eq!(written.unwrap(), expected.unwrap(), "{name}");
    }
    let printed = program(&["crd", "--kind", "NsqChannel"]).output().unwrap();
    let file = std::fs::read_to_string(checked_in.join("nsq.rs_nsqchannels.yaml")).unwrap();
    assert_eq!(text(&printed.stdout), format!("---\n{file}"));
}
