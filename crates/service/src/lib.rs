//! What every daemon of the project needs and none of them should write again: the command line of the
//! reference, its log lines, the HTTP stack, listeners, signals, the clock and the task tracker.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | [`flags`] | flag table, grammar, config file, current values | what any option means |
//! | [`duration`] | Go duration text | |
//! | [`log`] | log lines on standard error, the level in force | who logs |
//! | [`clock`] | the only readings of the system clocks | |
//! | [`listen`] | binding and accepting, TCP and Unix sockets | what is spoken on a connection |
//! | [`http`] | accept loop, limits, routing rules, replies | topics, channels, any endpoint |
//! | [`metrics`] | pages for Prometheus, what all programs show on them | what a program measures |
//! | [`json`] | JSON text as Go's encoder writes it | |
//! | [`tasks`] | every spawned task, and the end of all of them | |
//! | [`signals`] | process signals | |
//! | [`build_info`] | versions, host name | |
//! | [`program`] | the life of a daemon's process | what the daemon does |
//! | [`exit`] | how a program ends | |
//!
//! Invariants: the system clocks are read only in [`clock`]; tasks are spawned only in [`tasks`]; warp and hyper
//! are named only in [`http`].

pub mod build_info;
pub mod clock;
pub mod duration;
pub mod exit;
pub mod flags;
pub mod http;
pub mod json;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod program;
pub mod signals;
pub mod tasks;
pub mod tls;
