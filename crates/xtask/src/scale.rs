//! `cargo xtask scale`: what the operator costs with many clusters. The program is `crates/testbed/bench`.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{self, Outcome, cargo, command, target_dir};
use crate::{image, kube};

/// A network of its own: nothing else is in the way of the ports of thousands of daemons, and their addresses, all of the
/// network that is set aside for measurements, are local.
const NETWORK: &str = "ip link set lo up && ip route add local 198.18.0.0/15 dev lo && exec \"$@\"";

/// Its control plane is not that of the tests, which it would take the bridge away from at its end.
const NET: &str = "10.198";

/// Builds the operator in release and runs the measurements; the table is on standard output. With `of_image` it is the static
/// program of an image, whose size is printed.
///
/// # Errors
/// The machine cannot run it, a build failed, or a target was missed.
pub(crate) fn run(of_image: bool, args: &[String]) -> Outcome {
    if let Some(obstacle) = kube::obstacle() {
        return Err(obstacle);
    }
    kube::install()?;
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "-p", "nsq-testbed"]);
    if !of_image {
        build.args(["-p", "nsq-operator"]);
    }
    process::run(&mut build)?;
    let programs = target_dir().join("release");
    let mut measure = command("unshare");
    measure.args(["--net", "sh", "-c", NETWORK, "sh"]);
    measure.arg(programs.join("nsq-scale")).args(args);
    let operator = if of_image { operator_of_image()? } else { programs };
    kube::tell(own(&mut measure).env("NSQ_BIN_DIR", &operator), None);
    let measured = process::run(&mut measure);
    // A run that broke off leaves it.
    let mut end = command(&kube::scripts().join("control-plane.sh").to_string_lossy());
    process::run(own(end.arg("down")))?;
    measured
}

/// Builds the image of the operator, prints its size, and gives the folder of the program in it.
fn operator_of_image() -> Result<PathBuf, String> {
    let (programs, archive) = image::operator()?;
    let size = std::fs::metadata(&archive).map_err(|e| format!("read {}: {e}", archive.display()))?;
    println!("image of the operator, compressed: {} bytes", size.len());
    Ok(programs)
}

/// Tells a command which control plane is meant.
fn own(command: &mut Command) -> &mut Command {
    command.env("TESTBED_DIR", folder()).env("TESTBED_NET", NET)
}

fn folder() -> PathBuf {
    std::env::var_os("TESTBED_DIR")
        .map_or_else(|| std::env::temp_dir().join("nsq-testbed-scale"), PathBuf::from)
}
