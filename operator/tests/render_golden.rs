//! Golden files: manifests in, child objects out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap fails the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "reads and, when asked to, writes the golden files"
)]

use std::path::PathBuf;

use nsq_operator::api::parse_manifest;
use nsq_operator::build::Apis;
use nsq_operator::render::{Format, RenderOptions, render};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Names of the manifests in the folder.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files
        .filter_map(|file| file.strip_suffix(".in.yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn options() -> RenderOptions {
    let apis = Apis {
        pod_monitor: true,
        http_route: true,
    };
    RenderOptions {
        default_image: "nsq-rs/nsq:test".to_owned(),
        apis,
        ..RenderOptions::default()
    }
}

fn rendered(name: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{name}.in.yaml"))).unwrap();
    let manifest = parse_manifest(name, &text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    render(&manifest, &options()).unwrap()
}

/// op_020, op_030, op_032: the files of `tests/golden`. `UPDATE_GOLDEN=1` writes them anew; then read the
/// difference.
#[test]
fn op_020_030_032_golden_manifests_render_as_checked_in() {
    let names = names();
    for name in [
        "minimal",
        "full",
        "upstream",
        "tls",
        "static_names",
        "ephemeral",
        "one_node",
        "no_node",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} is missing");
    }
    for name in names {
        let file = folder().join(format!("{name}.yaml"));
        let output = rendered(&name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &output).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            output, golden,
            "{name}: run with UPDATE_GOLDEN=1 and read the difference"
        );
    }
}

/// The same text every time, and the same objects in YAML and JSON.
#[test]
fn yaml_and_json_hold_the_same_objects() {
    assert_eq!(rendered("full"), rendered("full"));
    let text = std::fs::read_to_string(folder().join("full.in.yaml")).unwrap();
    let manifest = parse_manifest("full", &text).unwrap();
    let json = render(
        &manifest,
        &RenderOptions {
            format: Format::Json,
            ..options()
        },
    )
    .unwrap();
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    let documents: Vec<serde_json::Value> = rendered("full")
        .split("---\n")
        .skip(1)
        .map(|yaml| serde_yaml::from_str(yaml).unwrap())
        .collect();
    assert_eq!(list["items"], serde_json::Value::Array(documents));
}
