//! The JSON documents of the daemons' HTTP APIs, for those who write them and those who read them, and (feature
//! `client`) one small client.
//!
//! Writing gives the keys in the reference's order. Reading is tolerant: unknown keys are ignored, absent keys and
//! `null` lists are empty, because the peer may be the reference, an older or a newer release. Who must tell
//! "absent" from "empty" finds an `Option`.
//!
//! The crate knows no daemon's inside: values come in, text comes out.

pub mod lifecycle;
pub mod lookupd;
pub mod messages;
pub mod nsqd;
pub mod policy;
pub mod since;

#[cfg(feature = "client")]
pub mod client;

use serde::{Deserialize, Deserializer};

/// Reads `null` as the default value.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
