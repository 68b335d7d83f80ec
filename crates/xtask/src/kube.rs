//! Kubernetes on this machine: what its test layer needs, and the cluster that tests leave running.

use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;

use crate::image::{self, Image, Profile};
use crate::process::{Outcome, answers, cargo, command, output, root, run, target_dir};
use crate::tools::{self, Tool};

/// The image that the tests name.
const IMAGE: &str = "nsq-rs/nsq:test";
/// That of the operator.
const OPERATOR_IMAGE: &str = "nsq-rs/nsq-operator:test";

/// What a test changes the image to.
const NEXT_IMAGE: &str = "nsq-rs/nsq:next";
/// Image of Go's daemons, as the tests name it.
const REFERENCE_IMAGE: &str = "nsqio/nsq:v1.3.0";
/// What of it the tests run: the daemons, and clients in pods.
const REFERENCE_PROGRAMS: [&str; 5] = ["nsqd", "nsqlookupd", "nsqadmin", "to_nsq", "nsq_tail"];

/// The commit whose operator the tests take for the release before, until there is one: the first whose templates are promised
/// to stay (`operator/tests/golden/released-templates.json`).
const PREVIOUS: &str = "fb2f6c1";

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
            run(script("image.sh").arg("load").args(images()?))
        }
        Action::Down => run(script("control-plane.sh").arg("down")),
        Action::Status => run(script("control-plane.sh").arg("status")),
    }
}

/// The images that the tests name: ours, the daemons under another name for tests that change the image, and Go's programs under
/// the name that their image has everywhere. Gives the archives.
fn images() -> Result<[PathBuf; 4], String> {
    let packages = [&image::DAEMONS[..], &image::OPERATOR].concat();
    let ours = image::programs(&packages, Profile::Dev)?;
    Tool::Reference.install()?;
    let reference = tools::folder().join(Tool::REFERENCE);
    Ok([
        pack("nsq.tar", IMAGE, &ours, &image::DAEMONS)?,
        pack("nsq-operator.tar", OPERATOR_IMAGE, &ours, &image::OPERATOR)?,
        pack("next.tar", NEXT_IMAGE, &ours, &image::DAEMONS)?,
        pack("reference.tar", REFERENCE_IMAGE, &reference, &REFERENCE_PROGRAMS)?,
    ])
}

/// Packs programs of a folder; gives the archive.
fn pack(archive: &str, name: &str, folder: &Path, programs: &[&str]) -> Result<PathBuf, String> {
    let archive = target_dir().join("images/tests").join(archive);
    let programs: Vec<PathBuf> = programs.iter().map(|program| folder.join(program)).collect();
    let image = Image {
        name,
        description: "For tests",
        programs: &programs,
        names: &[],
        compression: Compression::fast(),
    };
    image.write(&archive)?;
    Ok(archive)
}

/// Builds the operator of the release before; gives its folder, or none where the clone has no such commit.
///
/// # Errors
/// The commit does not build, or is missing where it should be there.
pub(crate) fn previous_operator() -> Result<Option<PathBuf>, String> {
    match build_previous() {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if is_shallow() => {
            println!(
                "NOT RUN: op_118, for this clone is shallow and has no operator of the release before ({error})"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn build_previous() -> Result<PathBuf, String> {
    let folder = target_dir().join("previous");
    let (archive, source) = (folder.join("source.tar"), folder.join("source"));
    std::fs::create_dir_all(&source).map_err(|e| format!("make {}: {e}", source.display()))?;
    run(command("git").args(["archive", "-o"]).arg(&archive).arg(PREVIOUS))?;
    run(command("tar").arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    let mut build = cargo();
    build.args(["build", "--locked", "-p", "nsq-operator", "--target-dir"]);
    build.arg(&folder).current_dir(&source);
    run(&mut build)?;
    Ok(folder.join("debug"))
}

/// Whether this clone has no older commits, as some have that are made for one build.
fn is_shallow() -> bool {
    output(command("git").args(["rev-parse", "--is-shallow-repository"]))
        .map_or(true, |text| text.trim() != "false")
}

/// Tells tests where Kubernetes is, and the operator of the release before.
pub(crate) fn tell(tests: &mut Command, previous: Option<&Path>) {
    tests
        .env("TESTBED_CACHE", cache())
        .env("NSQ_TESTBED_PATH", absolute(&programs()));
    if let Some(folder) = previous {
        tests.env("NSQ_PREVIOUS_DIR", absolute(folder));
    }
}

fn absolute(path: &Path) -> PathBuf {
    root().join(path)
}
