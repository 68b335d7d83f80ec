//! How a program ends.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "what is said before or after the log exists"
)]

use std::process::ExitCode;

/// Exit code of a failed start.
pub const START_FAILED: u8 = 1;

/// An end that the command line asks for: text for the two output streams and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Text for standard output, with its final newline; may be empty.
    pub stdout: String,
    /// Text for standard error, with its final newline; may be empty.
    pub stderr: String,
    /// Process exit code.
    pub code: u8,
}

impl Exit {
    /// A start that failed: one FATAL line with `prefix`, exit code 1.
    #[must_use]
    pub fn fatal(prefix: &str, text: &str) -> Self {
        Self {
            stdout: String::new(),
            stderr: crate::log::line::fatal_line(prefix, text),
            code: START_FAILED,
        }
    }

    /// Prints both texts and yields the exit code for `main`.
    #[must_use]
    pub fn finish(&self) -> ExitCode {
        print!("{}", self.stdout);
        eprint!("{}", self.stderr);
        ExitCode::from(self.code)
    }
}

/// Prints what [`Exit::fatal`] says and yields the exit code for `main`. `prefix` is the program's default one
/// (`[nsqd] `), because a start may fail before the configured one is known.
#[must_use]
pub fn fatal(prefix: &str, text: &str) -> ExitCode {
    Exit::fatal(prefix, text).finish()
}
