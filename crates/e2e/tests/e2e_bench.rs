//! The program that measures: it measures, says what it found, and refuses what would measure nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests with real programs"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nsq_e2e::{program, tool};
use serde_json::Value;

fn bench(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(program("nsq-bench"));
    command.args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn pairs_are_measured_in_turns_and_told_as_records_table_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let reference = format!("--daemon=go={}", tool("go-nsq-daemons/nsqd").display());
    let ours = format!("--daemon=ours={}", program("nsqd").display());
    let only = "--only=^(sync1-pub-c1|timeout-2k|start-cold)$";
    let run = [
        "run",
        &reference,
        &ours,
        only,
        "--pairs=2",
        "--force",
        "--out=found",
    ];
    let done = bench(&run, folder.path());
    assert!(done.status.success(), "{}", text(&done.stderr));

    let found = folder.path().join("found");
    let records: Vec<Value> = fs::read_to_string(found.join("records.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let order: Vec<_> = records
        .iter()
        .filter(|record| record["scenario"] == "sync1-pub-c1")
        .map(|record| {
            (
                record["daemon"].as_str().unwrap(),
                record["pair"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(order, [("go", 0), ("ours", 0), ("go", 1), ("ours", 1)]);
    for record in &records {
        assert!(record.get("error").is_none(), "{record}");
    }
    let late = &records
        .iter()
        .find(|record| record["scenario"] == "timeout-2k")
        .unwrap()["latencies"]["late"];
    assert_eq!(late["count"], 2000, "every message came again");

    let table = fs::read_to_string(found.join("table.md")).unwrap();
    assert_eq!(text(&done.stdout), table);
    let rows: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(rows, BTreeSet::from(["start-cold", "sync1-pub-c1", "timeout-2k"]));
    let picture = fs::read_to_string(found.join("throughput.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("sync1-pub-c1"));

    // What was found is not mixed with what is found later, and can be told again.
    let again = bench(&run, folder.path());
    assert!(text(&again.stderr).contains("pass another folder with --out"));
    let told = bench(&["report", "found"], folder.path());
    assert_eq!(text(&told.stdout), table);
}

#[test]
fn what_measures_nothing_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let ours = format!("--daemon=ours={}", program("nsqd").display());
    for (args, why) in [
        (&["run", &ours][..], "<--quick|--full|--only <ONLY>>"),
        (
            &["run", &ours, "--only=^nothing$", "--force"],
            "no scenario has such a name",
        ),
        (
            &["run", "--daemon=x=/nowhere", "--quick", "--force"],
            "start /nowhere",
        ),
        (&["report", "nothing"], "read nothing/records.jsonl"),
    ] {
        let done = bench(args, folder.path());
        assert!(!done.status.success());
        assert!(
            text(&done.stderr).contains(why),
            "{args:?}: {}",
            text(&done.stderr)
        );
    }
}
