//! Scaffold of this crate.
