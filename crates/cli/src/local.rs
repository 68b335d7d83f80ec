//! `nsq local`: the code of `nsq-operator local`, with the daemons in this file.

use std::process::ExitCode;

use nsq_operator::localworld::{self, StartError, Surroundings};

use crate::codes;
use crate::context::Home;
use crate::problem::Problem;

/// Runs the cluster until a signal ends it.
///
/// # Errors
/// It cannot be started; nothing runs then.
pub(crate) async fn run(options: &localworld::Options, home: &Home) -> Result<ExitCode, Problem> {
    let surroundings = Surroundings {
        own: std::env::current_exe().ok(),
        path: std::env::var_os("PATH"),
        is_whole: true,
        notice: home.notice(),
    };
    // On the heap: it is large.
    match Box::pin(localworld::run(options, &surroundings)).await {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) => Err(problem(&error)),
    }
}

fn problem(error: &StartError) -> Problem {
    let text = error.to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let more = lines.count();
    let what = first.trim_start_matches("error: ").to_owned();
    match error {
        StartError::Manifest(_) => {
            let what = if more > 0 {
                format!("{what} (and {more} more)")
            } else {
                what
            };
            Problem::new(
                codes::INVALID_FILE,
                what,
                "see every mistake with `nsq validate FILE`",
            )
        }
        StartError::InUse(..) => Problem::new(
            codes::DATA_IN_USE,
            what,
            "stop it, or choose another folder with --data-dir or --ephemeral",
        ),
        StartError::NoProgram { .. } => Problem::new(
            codes::LOCAL_FAILED,
            what,
            "leave --bin-dir away: this program is the daemons too",
        ),
        StartError::Folder(..) | StartError::OtherCluster { .. } => Problem::new(
            codes::LOCAL_FAILED,
            what,
            "choose another folder with --data-dir, or try --ephemeral",
        ),
        _ => Problem::new(
            codes::LOCAL_FAILED,
            what,
            "mend what the system names, then start again",
        ),
    }
}
