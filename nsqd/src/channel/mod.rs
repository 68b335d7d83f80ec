//! x
pub mod in_flight;
