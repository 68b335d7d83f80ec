//! How a tool ends.

use std::fmt;
use std::process::ExitCode;

use nsq_service::exit::Exit;
use tokio::runtime::{Builder, Runtime};

use crate::log;

/// Why a tool ends other than by itself.
#[derive(Debug)]
pub enum End {
    /// What the command line asks for: version, help, wrong usage.
    Asked(Exit),
    /// One line with a time, exit code 1.
    Failed(String),
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        Self::Asked(exit)
    }
}

impl From<String> for End {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<&str> for End {
    fn from(text: &str) -> Self {
        Self::Failed(text.to_owned())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(exit) => f.write_str(&exit.stderr),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

/// The exit code of a tool; its last words are printed.
pub fn finish(result: Result<(), End>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::Asked(exit)) => exit.finish(),
        Err(End::Failed(text)) => {
            log::line(&text);
            ExitCode::FAILURE
        }
    }
}

/// A runtime on this thread: what a tool does is mostly waiting for two sockets.
///
/// # Errors
/// The system gives none.
pub fn runtime() -> Result<Runtime, End> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| End::Failed(format!("cannot start the runtime - {error}")))
}
