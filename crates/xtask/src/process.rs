//! Child processes and the places of this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a task answers: nothing, or one line for the person who called it.
pub(crate) type Outcome = Result<(), String>;

/// The folder of the workspace, two above this package.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// Where cargo puts its output: `CARGO_TARGET_DIR` or `target`.
pub(crate) fn target_dir() -> PathBuf {
    let dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(dir)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// A program, started in the folder of the workspace with no standard input.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Prints the command, runs it, and says which one failed.
///
/// # Errors
/// The program is missing or did not end with 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let text = shown(command);
    println!("$ {text}");
    let status = command.status().map_err(|e| format!("start `{text}`: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{text}` ended with {status}"))
    }
}

/// Runs a command quietly and returns what it printed on standard output.
///
/// # Errors
/// The program is missing or did not end with 0; the text has the end of its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let text = shown(command);
    let out = command.output().map_err(|e| format!("start `{text}`: {e}"))?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        let told = String::from_utf8_lossy(&out.stderr);
        Err(format!("`{text}` ended with {}: {}", out.status, told.trim()))
    }
}

/// True if the program exists and answers to this argument.
pub(crate) fn answers(program: &str, arg: &str) -> bool {
    command(program)
        .arg(arg)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// The command as a person types it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut text = program.to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}
