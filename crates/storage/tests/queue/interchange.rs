//! The reference's own queue on the same files: it reads what we wrote, and we read what it wrote.

#![allow(clippy::print_stderr, reason = "a skipped check must be seen")]

use crate::support::{OPTIONS, append, drain, read};
use nsq_storage::{DiskQueue, QueueOptions, RealDisk, WarningKind};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// Four records of 33 bytes in a file.
const MAX_BYTES_PER_FILE: u64 = 140;

/// The built Go program, or `None` on a machine without Go; in CI that is an error.
fn reference() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(build_reference).as_deref()
}

fn build_reference() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-interchange");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go-interchange");
    let built = Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output();
    match built {
        Ok(output) => {
            assert!(
                output.status.success(),
                "go build: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(program)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "go is needed in CI: {error}");
            // Past the capture of the test harness.
            std::io::stderr()
                .write_all(b"NOT CHECKED: disk queue interchange with Go, because go is missing\n")
                .unwrap();
            None
        }
    }
}

/// A directory that both implementations take turns on.
struct Shared {
    dir: TempDir,
    program: &'static Path,
}

/// What the reference printed, and the log lines that warn.
struct Turn {
    printed: Vec<u32>,
    warnings: Vec<String>,
}

impl Shared {
    fn new() -> Option<Self> {
        Some(Self {
            program: reference()?,
            dir: tempfile::tempdir().unwrap(),
        })
    }

    fn ours(&self) -> (DiskQueue, Vec<WarningKind>) {
        let options = QueueOptions {
            max_bytes_per_file: MAX_BYTES_PER_FILE,
            ..OPTIONS
        };
        let (queue, warnings) = DiskQueue::open(Arc::new(RealDisk), self.dir.path(), "t:c", options).unwrap();
        (queue, warnings.into_iter().map(|warning| warning.kind).collect())
    }

    fn ours_without_warning(&self) -> DiskQueue {
        let (queue, warnings) = self.ours();
        assert_eq!(warnings, []);
        queue
    }

    /// Lets the reference do some steps.
    fn go(&self, steps: &str) -> Turn {
        let mut command = Command::new(self.program);
        command
            .arg(self.dir.path())
            .arg("t:c")
            .arg(MAX_BYTES_PER_FILE.to_string())
            .args(steps.split(' '));
        let output = command.output().unwrap();
        let (printed, log) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert!(output.status.success(), "{log}");
        let printed = printed.lines().map(|line| line.parse().unwrap()).collect();
        Turn {
            printed,
            warnings: log.lines().map(str::to_owned).collect(),
        }
    }

    fn go_without_warning(&self, steps: &str) -> Vec<u32> {
        let turn = self.go(steps);
        assert!(turn.warnings.is_empty(), "{:?}", turn.warnings);
        turn.printed
    }

    fn names(&self) -> Vec<String> {
        use nsq_storage::Disk;
        let names = RealDisk.list(self.dir.path()).unwrap().into_iter();
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn consume(queue: &mut DiskQueue, count: usize) -> Vec<u32> {
    let numbers = read(queue, count);
    queue.consume(numbers.len()).unwrap();
    numbers
}

fn numbers(range: std::ops::Range<u32>) -> Vec<u32> {
    range.collect()
}

/// Storage part of nsqd spec §12, 204, first half.
#[test]
fn the_reference_reads_what_we_wrote() {
    let Some(shared) = Shared::new() else { return };
    let mut ours = shared.ours_without_warning();
    append(&mut ours, 0..50);
    assert_eq!(consume(&mut ours, 13), numbers(0..13));
    assert_eq!(
        read(&mut ours, 5),
        numbers(13..18),
        "reading ahead consumes nothing"
    );
    ours.close().unwrap();
    let printed = shared.go_without_warning("depth take 37 depth");
    let mut expected = vec![37];
    expected.extend(13..50);
    expected.push(0);
    assert_eq!(printed, expected);
    assert_eq!(shared.ours_without_warning().depth(), 0);
}

/// Storage part of nsqd spec §12, 204, second half.
#[test]
fn we_read_what_the_reference_wrote() {
    let Some(shared) = Shared::new() else { return };
    assert_eq!(shared.go_without_warning("put 0 50 take 13"), numbers(0..13));
    let mut ours = shared.ours_without_warning();
    assert_eq!(ours.depth(), 37);
    assert_eq!(drain(&mut ours), numbers(13..50));
    assert_eq!(ours.take_warnings(), []);
}

#[test]
fn both_take_turns_in_the_middle_of_files() {
    let Some(shared) = Shared::new() else { return };
    let (mut next, mut expected) = (0, 0);
    for turn in 0..12_u32 {
        let (count, taken) = (3 + turn % 5, 2 + turn % 4);
        let got = if turn % 2 == 0 {
            let mut ours = shared.ours_without_warning();
            assert_eq!(ours.depth(), u64::from(next - expected));
            append(&mut ours, next..next + count);
            let got = consume(&mut ours, taken as usize);
            assert_eq!(ours.take_warnings(), []);
            ours.close().unwrap();
            got
        } else {
            shared.go_without_warning(&format!("put {next} {count} take {taken}"))
        };
        next += count;
        assert_eq!(got, numbers(expected..expected + taken));
        expected += taken;
    }
    let rest = next - expected;
    assert_eq!(
        shared.go_without_warning(&format!("take {rest}")),
        numbers(expected..next)
    );
    assert!(
        !shared
            .names()
            .iter()
            .any(|name| name.ends_with(".bad") || name.ends_with(".tmp"))
    );
}

/// Where the reference would rename a file to `.bad` (quirk 19) there is nothing for it to stumble over.
#[test]
fn the_reference_finds_nothing_wrong_after_everything_was_read_and_the_writer_rolled() {
    let Some(shared) = Shared::new() else { return };
    let mut ours = shared.ours_without_warning();
    append(&mut ours, 0..4);
    assert_eq!(consume(&mut ours, 4).len(), 4);
    append(&mut ours, 4..6);
    ours.close().unwrap();
    assert_eq!(shared.go_without_warning("depth take 2"), [2, 4, 5]);
}

#[test]
fn the_reference_goes_on_after_we_crashed() {
    let Some(shared) = Shared::new() else { return };
    let mut ours = shared.ours_without_warning();
    append(&mut ours, 0..6);
    ours.sync().unwrap();
    append(&mut ours, 6..7);
    drop(ours);
    let turn = shared.go("take 7 put 7 1 take 1");
    assert_eq!(turn.printed, numbers(0..8));
    assert!(
        turn.warnings
            .iter()
            .any(|line| line.contains("metadata writePos")),
        "{:?}",
        turn.warnings
    );
    assert_eq!(drain(&mut shared.ours_without_warning()), []);
}

#[test]
fn the_reference_reads_records_that_we_never_synced() {
    let Some(shared) = Shared::new() else { return };
    let mut ours = shared.ours_without_warning();
    append(&mut ours, 0..2);
    drop(ours);
    assert_eq!(shared.go("take 2").printed, [0, 1]);
}

#[test]
fn we_go_on_after_the_reference_crashed() {
    let Some(shared) = Shared::new() else { return };
    // It synced last when it rolled before record 24.
    assert_eq!(shared.go_without_warning("put 0 26 take 1 crash"), [0]);
    let (mut ours, warnings) = shared.ours();
    let stale = WarningKind::StaleMeta {
        file: 6,
        position: 0,
        length: 66,
        counted: 2,
    };
    assert_eq!(warnings, [stale]);
    assert_eq!(ours.depth(), 26, "the consumption of record 0 was not synced");
    append(&mut ours, [26]);
    assert_eq!(drain(&mut ours), numbers(0..27));
    assert_eq!(ours.take_warnings(), []);
}

#[test]
fn an_emptied_queue_goes_on_on_the_other_side() {
    let Some(shared) = Shared::new() else { return };
    let mut ours = shared.ours_without_warning();
    append(&mut ours, 0..9);
    ours.empty().unwrap();
    ours.close().unwrap();
    assert_eq!(
        shared.go_without_warning("depth put 9 9 empty depth put 18 1"),
        [0, 0]
    );
    let mut ours = shared.ours_without_warning();
    assert_eq!(drain(&mut ours), [18]);
    ours.delete().unwrap();
    assert!(shared.names().is_empty());
}
