//! The table at the end: what was measured, the target, whether it is met.

use std::fmt::Write as _;
use std::process::Command;

/// One measure.
struct Row {
    name: String,
    target: String,
    measured: String,
    met: bool,
}

/// All measures of a run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// A measure that may be `most` at most, in `unit`: each run counts.
    pub(crate) fn at_most(&mut self, name: &str, most: f64, unit: &str, values: &[f64]) {
        let worst = values.iter().copied().fold(f64::MIN, f64::max);
        let row = Row {
            name: name.to_owned(),
            target: format!("≤ {most} {unit}"),
            measured: spread(unit, values),
            met: worst <= most,
        };
        eprintln!("{}: {} ({})", row.name, row.measured, row.target);
        self.rows.push(row);
    }

    /// Something worth knowing beside the measures.
    pub(crate) fn note(&mut self, text: String) {
        eprintln!("{text}");
        self.notes.push(text);
    }

    /// Markdown, with the machine. Gives what was missed.
    pub(crate) fn print(&self, runs: &str) -> Vec<&str> {
        println!("{}; {runs}\n", machine());
        println!("| measure | target | measured | |\n|---|---|---|---|");
        for row in &self.rows {
            let verdict = if row.met { "met" } else { "**missed**" };
            println!("| {} | {} | {} | {verdict} |", row.name, row.target, row.measured);
        }
        println!();
        for note in &self.notes {
            println!("- {note}");
        }
        let missed = self.rows.iter().filter(|row| !row.met);
        missed.map(|row| row.name.as_str()).collect()
    }
}

/// The median, and the smallest and largest where there is more than one.
fn spread(unit: &str, values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return "nothing".to_owned();
    };
    let mut text = format!("{} {unit}", short(sorted[sorted.len() / 2]));
    if sorted.len() > 1 {
        let _ = write!(
            text,
            " ({} to {}, {} values)",
            short(*first),
            short(*last),
            sorted.len()
        );
    }
    text
}

fn short(value: f64) -> String {
    // A sum of nothing is -0.
    let value = value + 0.0;
    if value.fract() == 0.0 || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The value below which 99 of 100 are.
pub(crate) fn p99(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Processors, system, and the version of Kubernetes.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let system = rustix::system::uname();
    let folder = std::env::var_os("NSQ_TESTBED_PATH").unwrap_or_default();
    let server = Command::new(std::path::Path::new(&folder).join("kube-apiserver"))
        .arg("--version")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    let (name, release) = (
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
    );
    format!("{cores} cores, {name} {release}, {server}, etcd without fsync")
}
