//! A Prometheus that scrapes what a test started.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{eventually, eventually_ok, free_address, http, tool};

/// It starts and has scraped everything within this time, on a machine that does other things.
const START: Duration = Duration::from_secs(60);

/// The running server. It ends when it is dropped.
pub struct Prometheus {
    address: String,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes and evaluates every second. `jobs` is the YAML below `scrape_configs:`, indented by two spaces;
    /// `rules` are files of rules.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn start(jobs: &str, rules: &[&Path]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let every = "scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s";
        let rules: Vec<String> = rules.iter().map(|file| format!("'{}'", file.display())).collect();
        let text = format!(
            "global: {{{every}}}\nrule_files: [{}]\nscrape_configs:\n{jobs}",
            rules.join(", ")
        );
        fs::write(&config, text).unwrap();
        let address = free_address();
        let mut process = Process::start(
            "prometheus",
            Command::new(tool("prometheus/prometheus")).args([
                &format!("--config.file={}", config.display()),
                &format!("--storage.tsdb.path={}", folder.path().join("data").display()),
                &format!("--web.listen-address={address}"),
                "--storage.tsdb.retention.time=1h",
            ]),
        );
        eventually(START, "Prometheus is ready", || {
            assert!(process.is_running(), "Prometheus ended:\n{}", process.errors());
            http::get(&address, "/-/ready").is_some_and(|(status, _)| status == 200)
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// `host:port` of its API.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it has scraped so many targets, and no target has an error.
    ///
    /// # Panics
    /// It has not within a minute; the message has what it says of each target.
    pub fn wait_targets(&self, count: usize) {
        eventually_ok(START, || {
            let targets = self.api("targets?state=active")?["activeTargets"].take();
            let up = |target: &&Value| target["health"] == "up" && target["lastError"] == "";
            let is_so = targets
                .as_array()
                .is_some_and(|all| all.iter().filter(up).count() == count && all.len() == count);
            let told = || format!("{count} targets are up: {targets:#}");
            is_so.then_some(()).ok_or_else(told)
        });
    }

    /// The series that a query gives now.
    ///
    /// # Errors
    /// What Prometheus says of it.
    pub fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let data = self.api(&format!("query?query={}", encoded(query)))?;
        data["result"].as_array().cloned().ok_or_else(|| data.to_string())
    }

    /// The value of the first series that a query gives now.
    #[must_use]
    pub fn value(&self, query: &str) -> Option<f64> {
        self.query(query).ok()?.first()?["value"][1]
            .as_str()?
            .parse()
            .ok()
    }

    /// The data of an endpoint of its API.
    ///
    /// # Errors
    /// The error in its answer.
    pub fn api(&self, target: &str) -> Result<Value, String> {
        let (_, body) = http::get(&self.address, &format!("/api/v1/{target}")).ok_or("no answer")?;
        let mut answer: Value = serde_json::from_str(&body).map_err(|e| format!("{e}: {body}"))?;
        if answer["status"] == "success" {
            Ok(answer["data"].take())
        } else {
            Err(answer["error"].as_str().unwrap_or(&body).to_owned())
        }
    }
}

/// Text as the value of an argument in a URL.
fn encoded(text: &str) -> String {
    let one = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(one).collect()
}
