//! A disk queue from outside: with a disk that works, with damaged files, with a disk that fails.

#![allow(clippy::unwrap_used, reason = "tests")]

mod life;
mod support;
