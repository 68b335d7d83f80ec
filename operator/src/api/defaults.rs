//! Default values as functions, because serde and schemars take a default from a path on the field.
//!
//! A default stands once, on its field. `Default` of a block is read back from there, so the two
//! cannot differ.

use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer};

use super::duration::Span;

/// The value of `{}`: every field at its default.
///
/// # Panics
/// When a field of `T` has no default, a mistake in the type that each test meets at once.
pub(crate) fn from_fields<T: DeserializeOwned>() -> T {
    let nothing = std::iter::empty::<(&str, &str)>();
    match T::deserialize(MapDeserializer::<_, Error>::new(nothing)) {
        Ok(value) => value,
        Err(error) => unreachable!("a block without a default on each field: {error}"),
    }
}

/// Implements `Default` for blocks from the defaults of their fields.
macro_rules! default_from_fields {
    ($($block:ty),+ $(,)?) => {
        $(impl Default for $block {
            fn default() -> Self {
                $crate::api::defaults::from_fields()
            }
        })+
    };
}
pub(crate) use default_from_fields;

/// A number given as `int::<3>`.
pub(crate) fn int<const N: i32>() -> i32 {
    N
}

/// A number of 64 bits given as `long::<3>`.
pub(crate) fn long<const N: i64>() -> i64 {
    N
}

/// A time in seconds given as `seconds::<90>`, written the short way (`90s`, `2m`).
pub(crate) fn seconds<const N: u64>() -> Span {
    Span::from_seconds(N)
}

/// A switch that is on unless somebody turns it off.
pub(crate) fn on() -> bool {
    true
}

/// `skip_serializing_if` for a list that means the same when empty and when absent.
pub(crate) fn is_empty<T>(list: &[T]) -> bool {
    list.is_empty()
}
