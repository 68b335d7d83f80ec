//! What became of the questions to upstreams (nsqadmin spec 6.1): nothing, a warning, or a failure.

use nsq_http_api::client::{Cause, Error};
use nsq_service::http::{Failure, StatusCode};

use crate::upstream::{Answer, plain_reason};

/// What was changed where, and the errors of each step.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    errors: Vec<String>,
    calls: Vec<Call>,
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// `nsqd` or `nsqlookupd`.
    pub(crate) kind: &'static str,
    pub(crate) address: String,
    /// With its query.
    pub(crate) path: String,
    /// What went wrong: in a few words, and in full.
    pub(crate) trouble: Option<(String, String)>,
}

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
        self.warn(answers);
        Ok(())
    }

    /// A step whose failure is only worth a warning.
    pub(crate) fn warn<T>(&mut self, answers: &[Answer<T>]) {
        let errors = errors(answers);
        if !errors.is_empty() {
            self.errors.push(errors.join("\n"));
        }
    }

    /// A step that changes something.
    pub(crate) fn posted(&mut self, kind: &'static str, path: &str, answers: &[Answer<()>]) {
        self.warn(answers);
        self.calls.extend(answers.iter().map(|answer| {
            Call {
                kind,
                address: answer.address.clone(),
                path: path.to_owned(),
                trouble: answer
                    .result
                    .as_ref()
                    .err()
                    .map(|error| (plain_reason(error), text(error))),
            }
        }));
    }

    /// What is worth a warning though every request went well.
    pub(crate) fn say(&mut self, text: String) {
        self.errors.push(text);
    }

    /// The `message` of an answer: empty, or a warning that lists what failed.
    pub(crate) fn message(&self) -> String {
        if self.errors.is_empty() {
            String::new()
        } else {
            format!("WARNING: {}", self.errors.join("; "))
        }
    }

    /// What was changed, or tried to.
    pub(crate) fn into_calls(self) -> Vec<Call> {
        self.calls
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
