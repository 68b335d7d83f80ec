//! `cargo xtask pictures`: what a Prometheus tells of a loaded cluster, drawn as the dashboards have it. The script is
//! `crates/e2e/dashboards/picture.js`. `cargo xtask console-pictures`: the pages of the console, as a browser shows them.

use crate::process::{self, Outcome, cargo, root, target_dir};
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

/// Takes pictures of the console: of all pages of scripted clusters, or those of the documentation, of a console that runs.
///
/// # Errors
/// The browser cannot be driven, a build failed, or a page did not come.
pub(crate) fn of_console(running: Option<&str>) -> Outcome {
    tools::browser_present()?;
    Tool::Browser.install()?;
    let folder = tools::folder().join(Tool::BROWSER);
    let node = |script: &str| {
        let mut node = process::command("node");
        node.current_dir(&folder).arg(script);
        node
    };
    if let Some(url) = running {
        let pictures = root().join("docs/console");
        return process::run(node("documented.mjs").arg(url).arg(pictures));
    }
    process::run(cargo().args(["build", "-p", "nsqadmin", "--locked"]))?;
    let pictures = target_dir().join("console-pictures");
    process::run(
        node("pictures.test.mjs")
            .env("NSQ_BIN_DIR", target_dir().join("debug"))
            .env("CONSOLE_PICTURES", &pictures),
    )?;
    println!("look at {}", pictures.display());
    Ok(())
}
