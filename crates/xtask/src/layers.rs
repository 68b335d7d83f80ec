//! `cargo xtask test`: the layers of checks and tests, cheap ones first, one header and one time for each.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::process::{self, Outcome, answers, cargo, output, root, target_dir};
use crate::tools::{self, Tool};
use crate::{bench, codegen, kube, local, repeat, tidy};

/// One kind of check.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    /// rustfmt agrees
    Format,
    /// clippy and rustc say nothing
    Lints,
    /// the rules of the repository hold
    Tidy,
    /// every test and program compiles
    Build,
    /// generated files are the ones that the types print
    Codegen,
    /// the reference programs and client libraries of other languages are there
    Tools,
    /// unit tests, conformance tests of each daemon, documentation tests
    Unit,
    /// the conformance tests of nsqd and nsqlookupd on the daemons of Go NSQ v1.3.0
    Reference,
    /// counts of nsqd for each message are within their bounds, and so is its ratio to Go's
    Counts,
    /// the console in a browser
    Browser,
    /// the operator on a real Kubernetes, with the daemons in pods
    Kube,
    /// whole-system tests with real clients
    E2e,
}

/// Why a layer is not green.
enum Stop {
    Failed(String),
    /// It cannot run on this machine: told, and in CI a failure.
    Cannot(String),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// The order of CI. The end-to-end layer is last: its output closes with cargo's own summary lines.
const ORDER: [Layer; 12] = [
    Layer::Format,
    Layer::Lints,
    Layer::Tidy,
    Layer::Build,
    Layer::Codegen,
    Layer::Tools,
    Layer::Unit,
    Layer::Reference,
    Layer::Counts,
    Layer::Browser,
    Layer::Kube,
    Layer::E2e,
];

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::Tidy => "tidy",
            Self::Build => "build",
            Self::Codegen => "codegen",
            Self::Tools => "tools",
            Self::Unit => "unit and conformance tests",
            Self::Reference => "conformance tests on the reference",
            Self::Counts => "counts for each message",
            Self::Browser => "tests in a browser",
            Self::Kube => "tests on Kubernetes",
            Self::E2e => "whole-system tests",
        })
    }
}

/// Runs the wanted layers (all, if none is named) and stops at the first that fails.
///
/// # Errors
/// The layer that failed; in `strict` mode also one that cannot run on this machine.
pub(crate) fn run(wanted: &[Layer], strict: bool) -> Outcome {
    let start = Instant::now();
    let mut skipped = Vec::new();
    for layer in ORDER
        .into_iter()
        .filter(|l| wanted.is_empty() || wanted.contains(l))
    {
        println!(
            "\n==== {layer} ({} after the start) ====",
            seconds(start.elapsed())
        );
        let began = Instant::now();
        match run_layer(layer) {
            // Nothing follows the last layer, so that the output ends with cargo's summary of the tests.
            Ok(()) if layer == Layer::E2e => {}
            Ok(()) => println!("==== {layer}: ok in {} ====", seconds(began.elapsed())),
            Err(Stop::Cannot(why)) if !strict => {
                println!("==== {layer}: SKIPPED, {why} ====");
                skipped.push(layer.to_string());
            }
            Err(Stop::Cannot(why)) => {
                return Err(format!(
                    "{layer} cannot run here, which CI does not accept: {why}"
                ));
            }
            Err(Stop::Failed(why)) => return Err(format!("{layer}: {why}")),
        }
    }
    if skipped.is_empty() {
        Ok(())
    } else {
        told_at_the_end(&skipped)
    }
}

fn told_at_the_end(skipped: &[String]) -> Outcome {
    println!(
        "not run on this machine: {} (each says why above)",
        skipped.join(", ")
    );
    Ok(())
}

fn run_layer(layer: Layer) -> Result<(), Stop> {
    match layer {
        Layer::Format => {
            component("fmt", "rustfmt")?;
            process::run(cargo().args(["fmt", "--all", "--check"]))?;
        }
        Layer::Lints => {
            component("clippy", "clippy")?;
            process::run(cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]))?;
        }
        Layer::Tidy => tidy::run()?,
        Layer::Build => build()?,
        Layer::Codegen => codegen::check_built()?,
        Layer::Tools => {
            tools::programs_present().map_err(Stop::Cannot)?;
            for tool in Tool::ALL {
                tool.install()?;
            }
        }
        Layer::Unit => {
            tests(cargo().args([
                "test",
                "--workspace",
                "--exclude",
                "nsq-e2e",
                "--exclude",
                "nsq-testbed",
                "--locked",
                "--no-fail-fast",
            ]))?;
        }
        Layer::Reference => {
            tools::programs_present().map_err(Stop::Cannot)?;
            reference()?;
        }
        Layer::Counts => {
            tools::programs_present().map_err(Stop::Cannot)?;
            bench::counters_present().map_err(Stop::Cannot)?;
            bench::gate()?;
        }
        Layer::Browser => {
            tools::browser_present().map_err(Stop::Cannot)?;
            Tool::Browser.install()?;
            let folder = tools::folder().join(Tool::BROWSER);
            process::run(
                tell(process::command("node").current_dir(&folder).arg("--test")).args(Tool::browser_tests()),
            )?;
        }
        Layer::Kube => {
            if let Some(obstacle) = kube::obstacle() {
                return Err(Stop::Cannot(obstacle));
            }
            kube::cluster(kube::Action::Up)?;
            let tested = on_kubernetes();
            kube::cluster(kube::Action::Down)?;
            tested?;
        }
        Layer::E2e => {
            tools::programs_present().map_err(Stop::Cannot)?;
            // Selected by name and not by package, so that cargo does not build the dependencies once more with fewer features.
            tests(cargo().args([
                "test",
                "--workspace",
                "--locked",
                "--no-fail-fast",
                "--test",
                "e2e_*",
            ]))?;
        }
    }
    Ok(())
}

/// Builds test binaries and the programs that they start, in the profile of the tests.
fn build() -> Outcome {
    process::run(cargo().args(["build", "--workspace", "--bins", "--tests", "--locked"]))?;
    for program in local::PROGRAMS {
        let path = target_dir().join("debug").join(program);
        if !path.is_file() {
            return Err(format!("{} was not built", path.display()));
        }
    }
    Ok(())
}

/// The same tests as those of our daemons; what they leave out is on the page of differences, which `tidy` checks.
fn reference() -> Outcome {
    Tool::Reference.install()?;
    for (package, variable) in [("nsqd", "NSQD_REFERENCE"), ("nsqlookupd", "NSQLOOKUPD_REFERENCE")] {
        // By name and not by package, for the same reason as below. A name that two packages have runs one test more.
        let mut command = cargo();
        command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
        for name in test_programs(&root().join(package).join("tests"))? {
            command.args(["--test", &name]);
        }
        let daemon = tools::folder().join(Tool::REFERENCE).join(package);
        tests(command.env(variable, daemon))?;
    }
    // The local cluster of the operator with Go's daemons.
    let mut local = cargo();
    local.args(["test", "--workspace", "--locked", "--test", "local_edits"]);
    process::run(local.env("NSQ_BIN_DIR", tools::folder().join(Tool::REFERENCE)))
}

/// The operator's tests. Controllers and kubelets that compete for a few cores are at times later than any test allows for, so a
/// test that fails is tried once more, alone, and the output says so.
fn on_kubernetes() -> Outcome {
    let previous = kube::previous_operator()?;
    let test = |program: &str, args: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--workspace", "--locked", "--test", program, "--"]);
        kube::tell(&mut command, previous.as_deref());
        repeat::watched(tell(command.args(args)))
    };
    let mut failed = Vec::new();
    for program in test_programs(&kube::scripts().join("tests"))? {
        // They wait for controllers and kubelets most of the time.
        let Err(first) = test(&program, &["--test-threads", "4"]) else {
            continue;
        };
        let names = first.to_repeat();
        if names.is_empty() {
            failed.push(first.why);
            continue;
        }
        println!("FAILED, and tried again alone: {}", names.join(", "));
        match test(
            &program,
            &[&["--test-threads", "1", "--exact"], &names[..]].concat(),
        ) {
            Ok(()) => println!("PASSED WHEN ALONE: {}", names.join(", ")),
            Err(second) => failed.push(second.why),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("; "))
    }
}

/// What cargo makes of a folder `tests`: a program of each file and of each folder.
fn test_programs(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("read {}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn tests(command: &mut Command) -> Outcome {
    process::run(tell(command))
}

/// Tells tests where the programs are: ours, and those of other languages.
fn tell(command: &mut Command) -> &mut Command {
    command
        .env("NSQ_BIN_DIR", target_dir().join("debug"))
        .env("NSQ_TEST_TOOLS", tools::folder())
}

/// A part of the toolchain: there, or installed by rustup.
fn component(subcommand: &str, name: &str) -> Result<(), Stop> {
    if output(cargo().args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    if !answers("rustup", "--version") {
        return Err(Stop::Cannot(format!(
            "{name} is missing and there is no rustup to install it"
        )));
    }
    process::run(process::command("rustup").args(["component", "add", name])).map_err(Stop::Failed)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
