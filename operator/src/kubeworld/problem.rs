//! What the API server did not do, and when to ask again. Pure. Source: operator spec 5.5.

use std::fmt;
use std::time::Duration;

use kube::core::Status;

/// First and longest wait after an error that nothing is known about.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Wait after a conflict: somebody wrote in between, and the watch will soon tell what.
const CONFLICT: Duration = Duration::from_secs(1);
/// Tries after which an error is told to people.
pub(super) const TELL_AFTER: u32 = 5;

/// Why a request failed, as far as it makes a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Somebody else wrote meanwhile, or a precondition did not hold.
    Conflict,
    /// The object does not exist.
    Missing,
    /// Too many requests; ask again after that time, where the server named one.
    Throttled(Option<Duration>),
    /// Quota, policy or permission, in the server's words.
    Forbidden(String),
    /// A field cannot be changed, in the server's words.
    Immutable(String),
    /// Refused for another reason, in the server's words.
    Invalid(String),
    /// The namespace goes away: nothing to mend.
    Terminating,
    /// The operator may not write now: it does not lead.
    NotLeader,
    /// Anything else.
    Other(String),
}

impl Problem {
    /// The time to wait before the same thing is tried again, after `attempts` failures in a row. `random` is in 0..1.
    #[must_use]
    pub(super) fn wait(&self, attempts: u32, random: f64) -> Duration {
        match self {
            Self::Conflict | Self::Missing => CONFLICT,
            Self::Throttled(Some(wait)) => *wait,
            Self::Terminating | Self::NotLeader => BACKOFF.1,
            Self::Throttled(None)
            | Self::Forbidden(_)
            | Self::Immutable(_)
            | Self::Invalid(_)
            | Self::Other(_) => {
                let doubled = BACKOFF
                    .0
                    .saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(10)));
                doubled
                    .min(BACKOFF.1)
                    .mul_f64(random.clamp(0.0, 1.0))
                    .max(BACKOFF.0)
            }
        }
    }

    /// A person has to mend it: no later try will succeed by itself.
    #[must_use]
    pub(super) fn needs_person(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::Immutable(_) | Self::Invalid(_))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("written by somebody else meanwhile"),
            Self::Missing => f.write_str("not there any more"),
            Self::Throttled(Some(wait)) => write!(f, "too many requests, again in {}s", wait.as_secs()),
            Self::Throttled(None) => f.write_str("too many requests"),
            Self::Terminating => f.write_str("the namespace is being deleted"),
            Self::NotLeader => f.write_str("not the leader"),
            Self::Forbidden(text) | Self::Immutable(text) | Self::Invalid(text) | Self::Other(text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(&*status),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<&Status> for Problem {
    fn from(status: &Status) -> Self {
        let details = status.details.as_ref();
        let terminating = details.is_some_and(|details| {
            details
                .causes
                .iter()
                .any(|cause| cause.reason == "NamespaceTerminating")
        });
        let text = status.message.clone();
        match status.code {
            403 if terminating => Self::Terminating,
            403 => Self::Forbidden(text),
            404 => Self::Missing,
            409 => Self::Conflict,
            422 if text.contains("immutable")
                || text.contains("may not be changed")
                || text.contains("updates to statefulset spec") =>
            {
                Self::Immutable(text)
            }
            400 | 422 => Self::Invalid(text),
            429 => {
                let seconds = details.map_or(0, |details| details.retry_after_seconds);
                let wait = Duration::from_secs(u64::from(seconds)).min(BACKOFF.1);
                Self::Throttled((!wait.is_zero()).then_some(wait))
            }
            _ => Self::Other(text),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(value: serde_json::Value) -> Problem {
        let status: Status = serde_json::from_value(value).unwrap();
        Problem::from(&status)
    }

    #[test]
    fn answers_of_the_server_are_told_apart() {
        let text = "exceeded quota".to_owned();
        assert_eq!(
            problem(json!({"code": 403, "message": text})),
            Problem::Forbidden(text)
        );
        assert_eq!(
            problem(
                json!({"code": 403, "message": "x", "details": {"causes": [{"reason": "NamespaceTerminating"}]}})
            ),
            Problem::Terminating
        );
        assert_eq!(problem(json!({"code": 409, "message": "x"})), Problem::Conflict);
        assert_eq!(
            problem(json!({"code": 429, "message": "x", "details": {"retryAfterSeconds": 7}})),
            Problem::Throttled(Some(Duration::from_secs(7)))
        );
        let text = "spec.selector: Invalid value: field is immutable".to_owned();
        assert_eq!(
            problem(json!({"code": 422, "message": text})),
            Problem::Immutable(text)
        );
        assert!(matches!(
            problem(json!({"code": 500, "message": "x"})),
            Problem::Other(_)
        ));
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_never_fall_below_a_second() {
        let other = Problem::Other(String::new());
        let waits: Vec<u64> = (1..12)
            .map(|attempt| other.wait(attempt, 1.0).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(other.wait(9, 0.0).as_secs(), 1);
        assert_eq!(Problem::Conflict.wait(9, 1.0).as_secs(), 1);
        assert_eq!(
            Problem::Throttled(Some(Duration::from_secs(7)))
                .wait(9, 0.0)
                .as_secs(),
            7
        );
        assert_eq!(Problem::Throttled(None).wait(3, 1.0).as_secs(), 4);
    }
}
