//! Whose daemons an image holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose daemon answers: ours, or the Go reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Flavor {
    /// Our daemons, with lifecycle, join barrier, `/ready` and `/metrics`.
    Native,
    /// Go NSQ images; the operator does without those.
    Upstream,
}

/// The flavor of an image that names none: `Upstream` iff the last two path components of its
/// repository are `nsqio/nsq`. Source: operator spec 2.2.
#[must_use]
pub fn derived_flavor(image: &str) -> Flavor {
    let repository = image.split('@').next().unwrap_or(image);
    let mut components = repository.rsplit('/');
    let last = components.next().unwrap_or_default();
    // A colon in the last component starts the tag; in an earlier one it would be a registry's port.
    let name = last.split(':').next().unwrap_or(last);
    if name == "nsq" && components.next() == Some("nsqio") {
        Flavor::Upstream
    } else {
        Flavor::Native
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// op_014
    #[test]
    fn op_014_flavor_is_derived_from_the_repository() {
        let digest = format!("r.example/nsqio/nsq@sha256:{}", "a".repeat(64));
        let cases = [
            ("nsqio/nsq:v1.3.0", Flavor::Upstream),
            (digest.as_str(), Flavor::Upstream),
            ("x/nsq", Flavor::Native),
            ("nsqio/nsq-extra", Flavor::Native),
            ("nsqio/nsq", Flavor::Upstream),
            ("r.example:5000/nsqio/nsq:v1@sha256:00", Flavor::Upstream),
            ("nsq", Flavor::Native),
            ("", Flavor::Native),
        ];
        for (image, flavor) in cases {
            assert_eq!(derived_flavor(image), flavor, "{image}");
        }
    }
}
