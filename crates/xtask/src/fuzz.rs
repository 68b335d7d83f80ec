//! `cargo xtask fuzz`: each target of `fuzz/` for a number of seconds.

use crate::process::{self, Outcome, cargo, output, root};

/// Runs the fuzz targets one after the other.
///
/// # Errors
/// cargo-fuzz is missing, or a target found an input that fails (its path is printed by cargo-fuzz).
pub(crate) fn run(seconds: u64, only: Option<&str>) -> Outcome {
    if output(cargo().args(["fuzz", "--version"])).is_err() {
        return Err("cargo-fuzz is not installed\nhint: cargo install cargo-fuzz --locked".to_owned());
    }
    let targets = targets()?;
    if let Some(name) = only
        && !targets.iter().any(|t| t == name)
    {
        return Err(format!("no fuzz target {name}; there are {}", targets.join(", ")));
    }
    for target in targets.iter().filter(|t| only.is_none_or(|name| name == *t)) {
        let limit = format!("-max_total_time={seconds}");
        // New inputs go to the first folder, which must exist; the seeds are read only.
        let corpus = format!("fuzz/corpus/{target}");
        std::fs::create_dir_all(root().join(&corpus)).map_err(|e| format!("create {corpus}: {e}"))?;
        let seeds = format!("fuzz/seeds/{target}");
        let seeds = root().join(&seeds).is_dir().then_some(seeds);
        // The sanitizer flag is not stable; this lets the pinned stable compiler take it.
        let mut fuzz = cargo();
        fuzz.env("RUSTC_BOOTSTRAP", "1")
            .args(["fuzz", "run", target, &corpus]);
        fuzz.args(seeds)
            .args(["--", &limit, "-timeout=5", "-rss_limit_mb=1024"]);
        process::run(&mut fuzz)?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("read {}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
