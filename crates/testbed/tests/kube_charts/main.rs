//! The Helm charts with the real Helm. Cases of the operator specification, 13.2 and 13.13.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap fails the test; charts are read and written whole"
)]

mod install;
mod pages;
mod running;
mod text;
mod tls;
mod walk;

use std::path::{Path, PathBuf};
use std::process::Command;

use nsq_testbed::{helm, small};
use serde_json::Value;

/// Helm that was built from its module takes a very old one for granted.
const KUBERNETES: [&str; 2] = ["--kube-version", "1.34.0"];
/// Stand for what the chart has in files/rules and files/dashboards, which changes for reasons of its own.
const RULES: &str = include_str!("rules.yaml");
const DASHBOARD: &str = "{\n  \"title\": \"{{topic}}\"\n}\n";

/// A chart of this repository, or a copy of one.
struct Chart {
    name: &'static str,
    folder: PathBuf,
    /// Ends with the chart.
    _copy: Option<tempfile::TempDir>,
}

impl Chart {
    fn of(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../charts")
            .join(name);
        Self {
            name,
            folder,
            _copy: None,
        }
    }

    /// A copy that a test may change.
    fn copy(name: &'static str) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let from = Self::of(name).folder;
        let copied = Command::new("cp").arg("-r").arg(from).arg(parent.path()).status();
        assert!(copied.unwrap().success());
        Self {
            name,
            folder: parent.path().join(name),
            _copy: Some(parent),
        }
    }

    /// A copy with rules and a dashboard of the tests.
    fn with_stand_ins(name: &'static str) -> Self {
        let chart = Self::copy(name);
        if name == "nsq-operator" {
            chart.replace("files/rules", "test.yaml", RULES);
            chart.replace("files/dashboards", "test.json", DASHBOARD);
        }
        chart
    }

    /// Makes a file the only one of a folder.
    fn replace(&self, folder: &str, file: &str, text: &str) {
        let folder = self.folder.join(folder);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }

    /// Changes a file.
    fn edit(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(text)).unwrap();
    }

    fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// The flag for the file with every value other than its default.
    fn full(&self) -> String {
        format!("--values={}/ci/full-values.yaml", self.path())
    }

    /// What it becomes with these flags, or what Helm says against it.
    fn try_template(&self, namespace: &str, flags: &[&str]) -> Result<String, String> {
        let release = if self.name == "nsq-operator" {
            self.name
        } else {
            "demo"
        };
        let usual = ["template", release, self.path(), "--namespace", namespace];
        let output = helm(&[&usual[..], &KUBERNETES, flags].concat());
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[track_caller]
    fn template(&self, namespace: &str, flags: &[&str]) -> String {
        let rendered = self.try_template(namespace, flags);
        rendered.unwrap_or_else(|text| panic!("{}: {text}", self.name))
    }

    /// The objects that it becomes.
    #[track_caller]
    fn objects(&self, namespace: &str, flags: &[&str]) -> Vec<Value> {
        objects(&self.template(namespace, flags))
    }
}

/// The objects of a stream of YAML documents.
fn objects(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let objects = documents.map(|document| -> Value { serde::Deserialize::deserialize(document).unwrap() });
    objects.filter(|object| !object.is_null()).collect()
}
