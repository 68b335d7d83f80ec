//! The charts as text: no cluster is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nsq_testbed::{helm, printed};
use serde_json::{Value, json};

use crate::{Chart, KUBERNETES, objects};

const CHARTS: [&str; 2] = ["nsq-operator", "nsq-cluster"];
const MONITORING: &str = "--set=monitoring.podMonitor=true,monitoring.rules=true,monitoring.dashboards=true";

#[track_caller]
fn lint(chart: &Chart, flags: &[&str]) {
    let usual = ["lint", "--strict", "--quiet", chart.path()];
    let output = helm(&[&usual[..], &KUBERNETES, flags].concat());
    assert!(output.status.success(), "{}: {output:?}", chart.name);
    let told = [output.stdout, output.stderr].concat();
    assert!(told.is_empty(), "{}", String::from_utf8_lossy(&told));
}

#[test]
fn op_202_lint_is_strict_and_clean() {
    for name in CHARTS {
        let chart = Chart::with_stand_ins(name);
        lint(&chart, &[]);
        lint(&chart, &[&chart.full()]);
    }
    lint(&Chart::of("nsq-operator"), &[MONITORING]);
}

/// op_202: default and full values. `UPDATE_GOLDEN=1` writes the files anew; then read the difference.
#[test]
fn op_202_rendered_charts_are_the_golden_files() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube_charts/golden");
    let mut sources = BTreeSet::new();
    for name in CHARTS {
        let chart = Chart::with_stand_ins(name);
        for (values, flags) in [("default", vec![]), ("full", vec![chart.full()])] {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let rendered = chart.template("mq", &flags);
            sources.extend(
                rendered
                    .lines()
                    .filter_map(|line| line.strip_prefix("# Source: "))
                    .map(str::to_owned),
            );
            let rendered = without_definitions(&rendered);
            let file = golden.join(format!("{name}-{values}.yaml"));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&file, &rendered).unwrap();
            }
            let wanted = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                rendered == wanted,
                "{} differs; UPDATE_GOLDEN=1 writes it",
                file.display()
            );
        }
        for template in templates(&chart) {
            assert!(sources.contains(&template), "{template} is never rendered");
        }
    }
}

/// Definitions are compared with their files, which are long.
fn without_definitions(rendered: &str) -> String {
    let documents = rendered.split_inclusive("\n---\n");
    documents
        .filter(|document| !document.contains("# Source: nsq-operator/templates/crds.yaml"))
        .collect()
}

/// Templates that become objects, as Helm names them.
fn templates(chart: &Chart) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["templates", "templates/tests"] {
        let Ok(entries) = std::fs::read_dir(chart.folder.join(folder)) else {
            continue;
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let yaml = names.filter(|name| name.ends_with(".yaml"));
        found.extend(yaml.map(|name| format!("{}/{folder}/{name}", chart.name)));
    }
    found
}

#[test]
fn op_202_unknown_and_wrong_values_are_refused() {
    let wrong = [
        ("nsq-operator", "replica=2", "'replica' not allowed"),
        ("nsq-operator", "image.name=x", "'name' not allowed"),
        ("nsq-operator", "monitoring.rule=true", "'rule' not allowed"),
        (
            "nsq-operator",
            "monitoring.ruleOverrides.A.if=x",
            "'if' not allowed",
        ),
        ("nsq-operator", "logLevel=trace", "at '/logLevel'"),
        ("nsq-operator", "image.digest=sha256:1", "at '/image/digest'"),
        ("nsq-cluster", "replicas=2", "'replicas' not allowed"),
        ("nsq-cluster", "spec.nsqd.replica=2", "'replica' not allowed"),
        (
            "nsq-cluster",
            "spec.nsqd.replicas=many",
            "at '/spec/nsqd/replicas'",
        ),
        ("nsq-cluster", "spec.mode=Maybe", "at '/spec/mode'"),
        (
            "nsq-cluster",
            "spec.nsqd.pod.resources.limits.cpu=much",
            "at '/spec/nsqd/pod/resources/limits/cpu'",
        ),
        ("nsq-cluster", "topics[0].names=a", "'names' not allowed"),
        ("nsq-cluster", "topics[0].paused=true", "missing property 'name'"),
        (
            "nsq-cluster",
            "topics[0].channels[0].topic=a",
            "'topic' not allowed",
        ),
    ];
    for (name, value, text) in wrong {
        let refused = Chart::of(name).try_template("mq", &["--set", value]).unwrap_err();
        assert!(refused.contains(text), "{name} {value}: {refused}");
    }
}

#[test]
fn the_definitions_are_kept_unless_told_otherwise() {
    let chart = Chart::of("nsq-operator");
    for keep in [true, false] {
        let flag = format!("--set=crds.keep={keep}");
        let rendered = objects(&chart.template("mq", &[&flag, "--show-only=templates/crds.yaml"]));
        assert_eq!(rendered.len(), 3);
        for mut definition in rendered {
            let annotations = definition["metadata"]["annotations"].as_object_mut().unwrap();
            let policy = annotations.remove("helm.sh/resource-policy");
            assert_eq!(policy, keep.then(|| "keep".into()));
            let file = format!(
                "crds/nsq.rs_{}.yaml",
                definition["spec"]["names"]["plural"].as_str().unwrap()
            );
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
            let wanted: Value = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            assert_eq!(definition, wanted);
        }
    }
    let none = chart.template("mq", &["--set=crds.enabled=false"]);
    assert!(!none.contains("CustomResourceDefinition"));
}

/// Rules of each role, by kind, namespace and name.
fn roles(objects: &[Value]) -> BTreeMap<String, &Value> {
    let roles = objects
        .iter()
        .filter(|object| object["rules"].is_array() && object["roleRef"].is_null());
    roles
        .map(|role| {
            let meta = &role["metadata"];
            (
                format!("{} {} {}", role["kind"], meta["namespace"], meta["name"]),
                &role["rules"],
            )
        })
        .collect()
}

#[test]
fn the_roles_are_those_of_the_install_without_helm() {
    for names in [&[][..], &["a", "b"]] {
        let values = format!("--set-json=watchNamespaces={}", json!(names));
        let chart = Chart::of("nsq-operator").objects("mq", &[&values]);
        let install = objects(&printed(&[
            "install",
            "--namespace",
            "mq",
            "--watch-namespaces",
            &names.join(","),
        ]));
        assert_eq!(roles(&chart), roles(&install));
        let bound = |objects: &[Value]| -> BTreeSet<String> {
            let bindings = objects.iter().filter(|object| !object["roleRef"].is_null());
            let bound = bindings.map(|binding| {
                let meta = &binding["metadata"];
                format!(
                    "{} {} {}",
                    meta["namespace"], binding["roleRef"], binding["subjects"]
                )
            });
            bound.collect()
        };
        assert_eq!(bound(&chart), bound(&install));
    }
}

#[test]
fn the_deployment_is_that_of_the_install_but_for_image_and_flags() {
    let pod = |objects: &[Value]| {
        let deployment = objects
            .iter()
            .find(|object| object["kind"] == "Deployment")
            .unwrap();
        let mut pod = deployment["spec"]["template"]["spec"].clone();
        let container = pod["containers"][0].as_object_mut().unwrap();
        container.retain(|key, _| !["image", "imagePullPolicy", "args"].contains(&key.as_str()));
        pod
    };
    let chart = Chart::of("nsq-operator").objects("mq", &[]);
    let install = objects(&printed(&["install", "--namespace", "mq"]));
    assert_eq!(pod(&chart), pod(&install));
}

#[test]
fn rules_are_changed_and_left_out_by_name() {
    let chart = Chart::with_stand_ins("nsq-operator");
    let groups = |flags: &[&str]| {
        let only = ["--show-only=templates/prometheusrule.yaml", MONITORING];
        let rendered = chart.objects("mq", &[&only[..], flags].concat());
        rendered[0]["spec"]["groups"].clone()
    };
    let wanted: Value = serde_yaml::from_str(crate::RULES).unwrap();
    assert_eq!(groups(&[]), wanted["groups"]);
    let changed = groups(&[
        "--set=monitoring.ruleOverrides.NsqFirst.enabled=false",
        "--set=monitoring.ruleOverrides.NsqSecond.labels.severity=info",
    ]);
    let mut second = wanted["groups"][1].clone();
    second["rules"][1]["labels"]["severity"] = "info".into();
    assert_eq!(changed, Value::from(vec![second]));
    let flags = [MONITORING, "--set=monitoring.ruleOverrides.NsqThird.for=1m"];
    let refused = chart.try_template("mq", &flags).unwrap_err();
    assert!(refused.contains("there is no alert NsqThird"), "{refused}");
}

/// A chart that has both as parts hands them values of its own and `global`.
#[test]
fn both_charts_can_be_parts_of_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("parent");
    std::fs::create_dir_all(parent.join("charts")).unwrap();
    std::fs::write(
        parent.join("Chart.yaml"),
        "apiVersion: v2\nname: parent\nversion: 1.0.0\n",
    )
    .unwrap();
    std::fs::write(
        parent.join("values.yaml"),
        "global: {a: b}\nnsq-cluster: {name: mq}\n",
    )
    .unwrap();
    for name in CHARTS {
        let copy = Chart::copy(name);
        std::fs::rename(&copy.folder, parent.join("charts").join(name)).unwrap();
    }
    let usual = ["template", "x", parent.to_str().unwrap()];
    let output = helm(&[&usual[..], &KUBERNETES].concat());
    assert!(output.status.success(), "{output:?}");
    let rendered = objects(&String::from_utf8(output.stdout).unwrap());
    assert!(
        rendered
            .iter()
            .any(|object| object["kind"] == "NsqCluster" && object["metadata"]["name"] == "mq")
    );
}
