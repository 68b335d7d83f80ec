//! `validate`: the rules of the API, evaluated offline. The CEL expressions are those of the CRDs.

use std::sync::OnceLock;

use kube::core::cel::{CompiledSchema, ErrorKind, compile_schema, validate_compiled};
use serde::Serialize;
use serde_json::Value;

use super::schema::Kind;
use super::structure::{self, MAX_VIOLATIONS, Violation};
use super::{NsqChannel, NsqCluster, NsqTopic};

/// A typed object of one of the three kinds.
pub trait Resource: Serialize {
    /// Its kind.
    const KIND: Kind;
}

impl Resource for NsqCluster {
    const KIND: Kind = Kind::NsqCluster;
}

impl Resource for NsqTopic {
    const KIND: Kind = Kind::NsqTopic;
}

impl Resource for NsqChannel {
    const KIND: Kind = Kind::NsqChannel;
}

/// Every rule that `new` breaks, as a new object or as the successor of `old`.
///
/// Empty means valid. At most 100 are listed.
#[must_use]
pub fn validate<R: Resource>(new: &R, old: Option<&R>) -> Vec<Violation> {
    match (
        serde_json::to_value(new),
        old.map(serde_json::to_value).transpose(),
    ) {
        (Ok(new), Ok(old)) => validate_value(R::KIND, &new, old.as_ref()),
        (Err(error), _) | (_, Err(error)) => {
            vec![Violation {
                path: String::new(),
                message: error.to_string(),
            }]
        }
    }
}

/// As `validate`, on JSON whose defaults are filled in.
pub(crate) fn validate_value(kind: Kind, new: &Value, old: Option<&Value>) -> Vec<Violation> {
    let mut found = Vec::new();
    structure::check(kind.schema(), new, "", &mut found);
    let structural = found.clone();
    if let Err(errors) = validate_compiled(compiled(kind), new, old) {
        for error in errors {
            // A rule that could not run, or that ran over a value of the wrong type, adds nothing to that mistake.
            let below = structural
                .iter()
                .any(|mistake| is_below(&error.field_path, &mistake.path));
            let failed = error.kind != ErrorKind::ValidationFailure && !structural.is_empty();
            if below || failed {
                continue;
            }
            // Rules about the object's name sit on the root, because paths into metadata are refused.
            let path = if error.field_path.is_empty() {
                "metadata.name".to_owned()
            } else {
                error.field_path
            };
            let violation = Violation {
                path,
                message: error.message,
            };
            if !found.contains(&violation) {
                found.push(violation);
            }
        }
    }
    // The evaluator walks a hash map; people and tests want the same order each time.
    found.sort();
    found.truncate(MAX_VIOLATIONS);
    found
}

/// Whether a path lies strictly below another one.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The rules of a kind, compiled once.
fn compiled(kind: Kind) -> &'static CompiledSchema {
    static RULES: [OnceLock<CompiledSchema>; 3] = [const { OnceLock::new() }; 3];
    RULES[kind as usize].get_or_init(|| compile_schema(kind.schema()))
}
