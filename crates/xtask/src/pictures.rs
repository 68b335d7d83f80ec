//! `cargo xtask pictures`: what a Prometheus tells of a loaded cluster, drawn as the dashboards have it. The script is
//! `crates/e2e/dashboards/picture.js`.

use crate::process::{self, Outcome, cargo, root};
use crate::tools::{self, Tool};

/// Draws the pictures of the page about dashboards anew.
///
/// # Errors
/// Prometheus cannot be installed, a build failed, or a query has no answer.
pub(crate) fn run() -> Outcome {
    Tool::Prometheus.install()?;
    process::run(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    process::run(
        cargo()
            .args(["test", "--locked", "-p", "nsq-e2e", "--test", "e2e_monitoring"])
            .arg("op_205_prometheus_answers_every_query")
            .env("NSQ_PICTURES", root().join("docs/operating/dashboards"))
            .env("NSQ_TEST_TOOLS", tools::folder()),
    )
}
