//! Real text: licence texts, documentation and package lists of the machine that runs the tests.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Fewer lines are no test of anything.
pub const MIN_LINES: usize = 100_000;
/// As many lines are taken at most.
pub const MAX_LINES: usize = 150_000;
/// Longer lines are left out: nsqd takes 1 MiB for a whole batch by default.
const MAX_LINE_BYTES: usize = 4_096;
/// Larger files are left out.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// Where text is on the machines that build this project: Debian's, then what a Rust toolchain brings.
const PLACES: [&str; 5] = [
    "/usr/share/common-licenses",
    "/var/lib/dpkg/status",
    "/usr/share/doc",
    "/usr/share/perl",
    "/usr/lib/python3",
];

/// Every non-empty line of the texts found, up to [`MAX_LINES`], in a stable order.
///
/// # Panics
/// There are fewer than [`MIN_LINES`].
#[must_use]
pub fn lines() -> Vec<Vec<u8>> {
    let mut places: Vec<PathBuf> = PLACES.iter().map(PathBuf::from).collect();
    for toolchain in ["RUSTUP_HOME", "CARGO_HOME", "HOME"] {
        places.extend(
            std::env::var_os(toolchain)
                .map(PathBuf::from)
                .map(|home| match toolchain {
                    "RUSTUP_HOME" => home.join("toolchains"),
                    "CARGO_HOME" => home.join("registry/src"),
                    _ => home.join(".cargo/registry/src"),
                }),
        );
    }
    let mut lines = Vec::new();
    for place in places {
        collect(&place, &mut lines);
        if lines.len() >= MAX_LINES {
            break;
        }
    }
    lines.truncate(MAX_LINES);
    assert!(
        lines.len() >= MIN_LINES,
        "only {} lines of text on this machine",
        lines.len()
    );
    lines
}

fn collect(path: &Path, lines: &mut Vec<Vec<u8>>) {
    let Ok(kind) = fs::symlink_metadata(path) else {
        return;
    };
    if lines.len() >= MAX_LINES {
        return;
    }
    if kind.is_dir() {
        let mut inside: Vec<_> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .collect();
        inside.sort();
        for path in inside {
            collect(&path, lines);
        }
        return;
    }
    if !kind.is_file() || kind.len() > MAX_FILE_BYTES {
        return;
    }
    let Ok(content) = fs::read(path) else { return };
    // An archive or an image is no text.
    if content.contains(&0) {
        return;
    }
    let fits = |line: &&[u8]| !line.is_empty() && line.len() <= MAX_LINE_BYTES;
    lines.extend(content.split(|b| *b == b'\n').filter(fits).map(<[u8]>::to_vec));
}

/// How often each line is there.
#[must_use]
pub fn multiset(lines: &[Vec<u8>]) -> HashMap<&[u8], usize> {
    let mut counts = HashMap::with_capacity(lines.len());
    for line in lines {
        *counts.entry(line.as_slice()).or_insert(0) += 1;
    }
    counts
}

/// What is in `left` and not in `right`, counted; the first few as text, for a message.
#[must_use]
pub fn missing(left: &[Vec<u8>], right: &[Vec<u8>]) -> (usize, Vec<String>) {
    let have = multiset(right);
    let (mut count, mut shown) = (0, Vec::new());
    for (line, wanted) in multiset(left) {
        let lacking = wanted.saturating_sub(have.get(line).copied().unwrap_or(0));
        count += lacking;
        if lacking > 0 && shown.len() < 5 {
            shown.push(String::from_utf8_lossy(line).into_owned());
        }
    }
    (count, shown)
}
