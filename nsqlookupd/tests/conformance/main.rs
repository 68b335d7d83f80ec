//! nsqlookupd as its peers see it: the cases of nsqlookupd spec 10, against the real process.
//!
//! With `NSQLOOKUPD_REFERENCE` set to the path of another build, for example the original, the same tests run against
//! that; they skip or adapt where docs/compatibility.md names a deliberate difference.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests work with real processes, and say what they leave out"
)]

mod http;
mod process;
mod registration;
mod support;
mod tcp;
