//! Kubernetes on this machine: what its test layer needs, and the cluster that tests leave running.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, answers, cargo, command, output, root, run, target_dir};
use crate::tools::{self, Tool};

/// Programs in the image of the daemons.
const DAEMONS: [&str; 3] = ["nsqd", "nsqlookupd", "nsqadmin"];
/// The image that the tests name.
const IMAGE: &str = "nsq-rs/nsq:test";

/// What a test changes the image to.
const NEXT_IMAGE: &str = "nsq-rs/nsq:next";
/// Image of Go's daemons, as the tests name it.
const REFERENCE_IMAGE: &str = "nsqio/nsq:v1.3.0";

/// What to do with the cluster of the tests.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Action {
    /// Start what is missing and print the path of the kubeconfig
    Up,
    /// End it, with everything in it
    Down,
    /// Print what runs
    Status,
}

/// Folder of the scripts.
pub(crate) fn scripts() -> PathBuf {
    root().join("crates/testbed")
}

fn cache() -> PathBuf {
    std::env::var_os("TESTBED_CACHE").map_or_else(|| tools::folder().join("kubernetes"), PathBuf::from)
}

/// Folder of kubectl, helm and the programs of the control plane.
pub(crate) fn programs() -> PathBuf {
    cache().join("bin")
}

fn script(name: &str) -> Command {
    let mut script = command(&scripts().join(name).to_string_lossy());
    script.env("TESTBED_CACHE", cache());
    script
}

/// Why Kubernetes cannot run here; none if it can.
pub(crate) fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("nodes need the namespaces and control groups of Linux".to_owned());
    }
    if output(command("id").arg("-u"))
        .map(|id| id.trim() != "0")
        .unwrap_or(true)
    {
        return Some("nodes need root".to_owned());
    }
    if !answers("apt-get", "--version") {
        return Some(
            "containerd and runc are taken from Debian's or Ubuntu's packages, and there is no apt-get"
                .to_owned(),
        );
    }
    (!answers("go", "version")).then(|| "Kubernetes is built from Go modules, and there is no go".to_owned())
}

/// Builds and installs what is missing.
///
/// # Errors
/// The script failed; it has said why.
pub(crate) fn install() -> Outcome {
    run(&mut script("install.sh"))
}

/// Starts or ends the cluster of the tests.
///
/// # Errors
/// A script failed.
pub(crate) fn cluster(action: Action) -> Outcome {
    match action {
        Action::Up => {
            install()?;
            run(script("control-plane.sh").arg("up"))?;
            run(script("node.sh").args(["up", "2"]))?;
            let images = [image()?, next_image()?, reference_image()?];
            run(script("image.sh").arg("load").args(images))
        }
        Action::Down => run(script("control-plane.sh").arg("down")),
        Action::Status => run(script("control-plane.sh").arg("status")),
    }
}

/// Builds the image of the daemons from static programs; gives the archive.
///
/// # Errors
/// The target cannot be installed, or a build failed.
pub(crate) fn image() -> Result<PathBuf, String> {
    let target = static_target()?;
    let mut build = cargo();
    build.args(["build", "--locked", "--target", &target]);
    for daemon in DAEMONS {
        build.args(["--package", daemon]);
    }
    run(&mut build)?;
    pack("nsq.tar", IMAGE, &target_dir().join(&target).join("debug"))
}

/// The same programs under another name, for tests that change the image; after [`image`].
fn next_image() -> Result<PathBuf, String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    pack("next.tar", NEXT_IMAGE, &target_dir().join(target).join("debug"))
}

/// The same with Go's daemons, under the name that their image has everywhere.
fn reference_image() -> Result<PathBuf, String> {
    Tool::Reference.install()?;
    pack(
        "reference.tar",
        REFERENCE_IMAGE,
        &tools::folder().join(Tool::REFERENCE),
    )
}

/// Packs the daemons of a folder; gives the archive.
fn pack(name: &str, image: &str, programs: &Path) -> Result<PathBuf, String> {
    let archive = target_dir().join("images").join(name);
    let mut pack = script("image.sh");
    pack.arg("build").arg(&archive).arg(image);
    pack.args(DAEMONS.map(|daemon| programs.join(daemon)));
    run(&mut pack)?;
    Ok(archive)
}

/// Builds the image of the operator, for measurements: its static program in release, without symbols. Gives the folder of the
/// program and the archive.
///
/// # Errors
/// The target cannot be installed, or a build failed.
pub(crate) fn operator_image() -> Result<(PathBuf, PathBuf), String> {
    let target = static_target()?;
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--target",
        &target,
        "--package",
        "nsq-operator",
    ]);
    run(build.env("CARGO_PROFILE_RELEASE_STRIP", "symbols"))?;
    let programs = target_dir().join(&target).join("release");
    let archive = target_dir().join("images/nsq-operator.tar");
    let mut pack = script("image.sh");
    pack.arg("build").arg(&archive).arg("nsq-rs/nsq-operator:scale");
    run(pack.arg(programs.join("nsq-operator")))?;
    Ok((programs, archive))
}

/// The target of static programs, installed.
fn static_target() -> Result<String, String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    if answers("rustup", "--version") {
        run(command("rustup").args(["target", "add", &target]))?;
    }
    if !answers("musl-gcc", "--version") {
        run(command("apt-get").args(["install", "-y", "-q", "musl-tools"]))?;
    }
    Ok(target)
}

/// Tells tests where Kubernetes is.
pub(crate) fn tell(tests: &mut Command) -> &mut Command {
    tests
        .env("TESTBED_CACHE", cache())
        .env("NSQ_TESTBED_PATH", absolute(&programs()))
}

fn absolute(path: &Path) -> PathBuf {
    root().join(path)
}
