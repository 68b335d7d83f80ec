//! A disk queue from outside: with a disk that works, with damaged files, with a disk that fails.

#![allow(clippy::unwrap_used, reason = "a test may end that way, also in its helpers")]

mod failures;
mod garbage;
mod interchange;
mod life;
mod model;
mod positions;
mod recovery;
mod support;
