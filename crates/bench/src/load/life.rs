//! Works in which the daemon ends and starts again.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::conn::Wish;
use super::meter::{Found, Target};
use super::publish;
use crate::daemon::Running;
use crate::outcome::Outcome;
use crate::scenario::Work;
use crate::usage;

/// Starts, fills, ends and starts a daemon as the work says.
///
/// # Errors
/// It did not do what it should.
pub(crate) fn run(work: &Work, binary: &Path, flags: &[&str]) -> Outcome<Found> {
    let folder = tempfile::tempdir().map_err(|why| format!("make a data folder: {why}"))?;
    let start = || Running::start(binary, flags, folder.path());
    let mut found = Found::default();
    match *work {
        Work::Exit { count, size } => {
            let daemon = start()?;
            publish::fill(count, size, Wish::default(), daemon.target())?;
            end(daemon, &mut found)?;
        }
        Work::Restart { count, size } => {
            let daemon = start()?;
            publish::fill(count, size, Wish::default(), daemon.target())?;
            daemon.stop()?;
            again(start, &mut found)?;
        }
        Work::Start { topics } => {
            let file = folder.path().join("nsqd.dat");
            fs::write(&file, metadata(topics)).map_err(|why| format!("write {}: {why}", file.display()))?;
            again(start, &mut found)?;
        }
        _ => return Err("this work needs a daemon that runs".to_owned()),
    }
    Ok(found)
}

fn end(daemon: Running, found: &mut Found) -> Outcome {
    let Target { pid, .. } = daemon.target();
    let before = usage::of(pid)?;
    let began = Instant::now();
    daemon.stop()?;
    found.set("rss_mib_peak", before.peak_bytes as f64 / f64::from(1 << 20));
    found.set("exit_seconds", began.elapsed().as_secs_f64());
    Ok(())
}

fn again(start: impl Fn() -> Outcome<Running>, found: &mut Found) -> Outcome {
    let began = Instant::now();
    let daemon = start()?;
    found.set("start_ms", began.elapsed().as_secs_f64() * 1e3);
    let used = usage::of(daemon.target().pid)?;
    found.set("rss_mib_after", used.resident_bytes as f64 / f64::from(1 << 20));
    found.set("cpu_seconds", used.cpu.as_secs_f64());
    // Go's nsqd listens before it catches signals, so asking it to end would be a matter of luck: it is killed.
    drop(daemon);
    Ok(())
}

/// What a daemon leaves that had so many topics with a channel each.
fn metadata(topics: usize) -> String {
    let topics: Vec<_> = (0..topics)
        .map(|number| {
            let channels = [serde_json::json!({"name": "c0", "paused": false})];
            serde_json::json!({"name": format!("load_{number}"), "paused": false, "channels": channels})
        })
        .collect();
    serde_json::json!({"topics": topics, "version": "1.3.0"}).to_string()
}
