//! The command-line tools of NSQ, on the project's own client: flags, texts, files and exit codes are those of Go's tools.
//! Source: the tools specification; differences are in docs/compatibility.md.
//!
//! | module | what |
//! |---|---|
//! | [`ending`] | how a tool ends: one line and an exit code |
//! | [`log`] | lines of the client library |
//! | [`sources`] | where messages come from: flags that all consuming tools share, and their start |
//! | [`options`] | `-consumer-opt` and `-producer-opt` |
//! | `upstreams`, `pool`, `meter` | where messages go on to: which of several takes the next one, and how long they take |
//! | [`bench`] | the benchmark programs |
//! | [`to_nsq`], [`tail`], [`stat`], [`nsq_to_file`], [`nsq_to_http`], [`nsq_to_nsq`] | one module for each tool; its `main` is in `src/bin` |

pub mod bench;
pub mod ending;
pub mod log;
mod meter;
pub mod nsq_to_file;
pub mod nsq_to_http;
pub mod nsq_to_nsq;
pub mod options;
mod pool;
pub mod sources;
pub mod stat;
pub mod tail;
pub mod to_nsq;
mod upstreams;
