//! Telling plain HTTP from TLS by the first byte.

/// Whether a connection that begins with this byte speaks plain HTTP: a method begins with a letter, a TLS record does not.
#[must_use]
pub fn is_plain_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}
