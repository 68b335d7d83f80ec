//! What became of the questions to upstreams (nsqadmin spec 6.1): nothing, a warning, or a failure.

use nsq_http_api::client::{Cause, Error};
use nsq_service::http::{Failure, StatusCode};

use crate::upstream::Answer;

/// The errors of each step.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<String>);

impl Steps {
    /// A step that reads: without any answer there is nothing to show.
    ///
    /// # Errors
    /// 502 if none of `answers` is one.
    pub(crate) fn read<T>(&mut self, kind: &str, answers: &[Answer<T>]) -> Result<(), Failure> {
        if answers.iter().all(|answer| answer.result.is_err()) {
            let all = errors(answers).join("\n");
            let message = format!("UPSTREAM_ERROR: failed to query any {kind}: {all}");
            return Err(Failure::new(StatusCode::BAD_GATEWAY, message));
        }
        self.write(answers);
        Ok(())
    }

    /// A step that changes something, or whose failure is only worth a warning.
    pub(crate) fn write<T>(&mut self, answers: &[Answer<T>]) {
        let errors = errors(answers);
        if !errors.is_empty() {
            self.0.push(errors.join("\n"));
        }
    }

    /// The `message` of an answer: empty, or a warning that lists what failed.
    pub(crate) fn message(&self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            format!("WARNING: {}", self.0.join("; "))
        }
    }
}

fn errors<T>(answers: &[Answer<T>]) -> Vec<String> {
    let failed = answers.iter().filter_map(|answer| answer.result.as_ref().err());
    failed.map(text).collect()
}

/// A refusal in the words of the reference, for scripts that look for them; anything else says what was tried.
fn text(error: &Error) -> String {
    match &error.cause {
        Cause::Status { status, body, .. } => {
            let reason = StatusCode::from_u16(*status).ok();
            let reason = reason
                .and_then(|status| status.canonical_reason())
                .unwrap_or_default();
            format!("got response {status} {reason} {body:?}")
        }
        _ => error.to_string(),
    }
}
