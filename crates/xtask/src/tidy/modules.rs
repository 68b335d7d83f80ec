//! Edges between modules inside the packages, and outside packages that only some modules may name.
//!
//! Tests are exempt: files below `tests/`, files called `tests.rs`, and the unit tests at the end of a file.

use super::paths::{blanked, named, without_tests};

/// Modules that must not name certain paths.
struct Refusal {
    /// Prefixes of files, without `.rs`: `nsqd/src/topic` is the file and the folder of that name.
    files: &'static [&'static str],
    /// Prefixes of paths, whole words.
    paths: &'static [&'static str],
    why: &'static str,
}

/// A path that only these modules may name.
struct Reserve {
    path: &'static str,
    files: &'static [&'static str],
    why: &'static str,
}

const UP_FROM_BROKER: &[&str] = &["crate::session", "crate::http", "crate::lookup", "crate::statsd"];

/// Rooms of the engine, from the door to the disk. A room names those below it, never one above.
const REFUSALS: &[Refusal] = &[
    Refusal {
        files: &["nsqd/src/broker"],
        paths: UP_FROM_BROKER,
        why: "the broker knows no socket and no HTTP",
    },
    Refusal {
        files: &["nsqd/src/topic"],
        paths: &[
            "crate::broker",
            "crate::session",
            "crate::http",
            "crate::lookup",
            "crate::statsd",
        ],
        why: "a topic knows only its channels and what is below",
    },
    Refusal {
        files: &["nsqd/src/channel"],
        paths: &[
            "crate::topic",
            "crate::broker",
            "crate::session",
            "crate::http",
            "crate::lookup",
            "crate::statsd",
        ],
        why: "a channel does not know its topic",
    },
    Refusal {
        files: &[
            "nsqd/src/engine",
            "nsqd/src/disk_workers",
            "nsqd/src/timers",
            "nsqd/src/effects",
            "nsqd/src/queue",
            "nsqd/src/block",
            "nsqd/src/wheel",
            "nsqd/src/message_id",
        ],
        paths: &[
            "crate::channel",
            "crate::topic",
            "crate::broker",
            "crate::session",
            "crate::http",
            "crate::lookup",
            "crate::statsd",
        ],
        why: "the machinery does not know whose messages it moves",
    },
    Refusal {
        files: &["nsqd/src/effects", "nsqd/src/queue", "nsqd/src/timers"],
        paths: &["crate::engine", "crate::disk_workers"],
        why: "what is to be done does not know who does it",
    },
    Refusal {
        files: &[
            "nsqd/src/channel/state",
            "nsqd/src/channel/in_flight",
            "nsqd/src/wheel",
            "nsqd/src/session/negotiate",
            "nsqd/src/lookup/registrar",
            "nsqd/src/options",
            "nsqlookupd/src/registry",
        ],
        paths: &[
            "tokio",
            "parking_lot",
            "std::fs",
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::thread",
            "std::env",
        ],
        why: "a pure module: values in, values out",
    },
    Refusal {
        files: &["operator/src/api", "operator/src/plan", "operator/src/build"],
        paths: &[
            "tokio",
            "hyper",
            "warp",
            "std::fs",
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::env",
            "std::thread",
            "kube::Client",
            "kube::client",
            "kube::runtime",
            "kube::Api",
            "crate::kubeworld",
            "crate::localworld",
            "crate::daemon",
            "crate::cli",
            "crate::serve",
            "crate::check",
        ],
        why: "a pure module: what is observed comes in as a value",
    },
    Refusal {
        files: &["operator/src/api"],
        paths: &["crate::plan", "crate::build"],
        why: "the types are below all",
    },
    Refusal {
        files: &["operator/src/build"],
        paths: &["crate::plan"],
        why: "objects are built from the types alone",
    },
    Refusal {
        files: &["operator/src/daemon"],
        paths: &["crate::kubeworld", "crate::localworld", "crate::cli"],
        why: "both worlds use the daemon client, it knows neither",
    },
    Refusal {
        files: &["operator/src/kubeworld"],
        paths: &["crate::localworld", "crate::cli"],
        why: "the worlds are apart",
    },
    Refusal {
        files: &["operator/src/localworld"],
        paths: &["crate::kubeworld", "crate::cli"],
        why: "the worlds are apart",
    },
];

const RESERVES: &[Reserve] = &[
    Reserve {
        path: "warp",
        files: &[
            "crates/service/src",
            "nsqd/src/http",
            "nsqlookupd/src/http",
            "nsqadmin/src/server",
            "nsqadmin/src/router",
            "nsqadmin/src/http",
            "nsqadmin/src/api",
            "nsqadmin/src/web",
            "operator/src/serve",
        ],
        why: "HTTP belongs to the http modules",
    },
    Reserve {
        path: "prometheus",
        files: &[
            "crates/service/src",
            "nsqd/src/metrics",
            "nsqlookupd/src/metrics",
            "nsqadmin/src/metrics",
            "operator/src/kubeworld/metrics",
        ],
        why: "metrics belong to the metrics modules",
    },
    Reserve {
        path: "kube::Client",
        files: &["operator/src/kubeworld"],
        why: "only kubeworld talks to an API server",
    },
    Reserve {
        path: "kube::Api",
        files: &["operator/src/kubeworld"],
        why: "only kubeworld talks to an API server",
    },
    Reserve {
        path: "rustix::fs::flock",
        files: &["crates/storage/src", "operator/src/localworld"],
        why: "locks belong to the disk",
    },
];

/// The lines of one source file that a rule refuses.
pub(super) fn check(path: &str, content: &str) -> Vec<String> {
    if is_test(path) {
        return Vec::new();
    }
    let Some(module) = module_of(path) else {
        return Vec::new();
    };
    let code = blanked(content);
    let mut refused = Vec::new();
    for found in named(without_tests(&code), &module) {
        for rule in REFUSALS
            .iter()
            .filter(|r| r.files.iter().any(|f| covers_file(f, path)))
        {
            if rule.paths.iter().any(|p| covers_path(p, &found.path)) {
                refused.push(format!(
                    "{path}:{}: names {}: {}",
                    found.line, found.path, rule.why
                ));
            }
        }
        for rule in RESERVES.iter().filter(|r| covers_path(r.path, &found.path)) {
            if !rule.files.iter().any(|f| covers_file(f, path)) {
                refused.push(format!(
                    "{path}:{}: names {}: {}",
                    found.line, found.path, rule.why
                ));
            }
        }
    }
    refused
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.contains("/benches/")
        || path.starts_with("fuzz/")
}

/// `nsqd/src/session/mod.rs` is `crate::session`; a file outside `src` has no module.
fn module_of(path: &str) -> Option<String> {
    let (_, inner) = path.split_once("src/")?;
    let inner = inner.strip_suffix(".rs")?;
    let mut parts = vec!["crate"];
    parts.extend(inner.split('/').filter(|p| !matches!(*p, "mod" | "lib" | "main")));
    Some(parts.join("::"))
}

fn covers_file(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn covers_path(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn rooms_name_what_is_below_them() {
        assert!(check("nsqd/src/session/mod.rs", "use crate::broker::Broker;\n").is_empty());
        assert!(check("nsqd/src/topic.rs", "use crate::channel::Channel;\n").is_empty());
        assert!(check("nsqd/src/http/routes.rs", "use warp::Filter;\n").is_empty());
    }

    #[test]
    fn an_edge_back_up_is_refused() {
        let refused = check(
            "nsqd/src/channel.rs",
            "use std::fmt;\nuse crate::{broker::Broker, queue::Queue};\n",
        );
        assert_eq!(
            refused,
            ["nsqd/src/channel.rs:2: names crate::broker::Broker: a channel does not know its topic"]
        );
        assert_eq!(
            check(
                "nsqd/src/channel/state.rs",
                "fn f(t: &super::super::topic::Topic) {}\n"
            )
            .len(),
            1
        );
        assert_eq!(
            check("nsqd/src/broker.rs", "fn f() { crate::http::reply() }\n").len(),
            1
        );
    }

    #[test]
    fn pure_modules_name_no_runtime() {
        assert_eq!(
            check("nsqd/src/wheel.rs", "fn f() { tokio::time::sleep(d); }\n").len(),
            1
        );
        assert_eq!(
            check("operator/src/plan/drain.rs", "use kube::Client;\n").len(),
            2,
            "refused here, reserved elsewhere"
        );
        assert_eq!(
            check("operator/src/build/names.rs", "use crate::plan::Plan;\n").len(),
            1
        );
        assert_eq!(
            check("nsqlookupd/src/registry.rs", "use std::net::TcpStream;\n").len(),
            1
        );
        assert!(check("operator/src/api/cluster.rs", "use kube::CustomResource;\n").is_empty());
    }

    #[test]
    fn warp_and_prometheus_have_their_modules() {
        assert_eq!(check("nsqd/src/broker.rs", "use warp::Filter;\n").len(), 1);
        assert_eq!(
            check("crates/client/src/lib.rs", "use prometheus::Counter;\n").len(),
            1
        );
        assert!(check("crates/service/src/http.rs", "use warp::Filter;\n").is_empty());
        assert!(check("nsqlookupd/src/metrics.rs", "use prometheus::Counter;\n").is_empty());
    }

    #[test]
    fn tests_are_exempt() {
        assert!(check("nsqd/tests/http.rs", "use warp::Filter;\n").is_empty());
        assert!(check("nsqd/src/wheel/tests.rs", "use tokio::time;\n").is_empty());
        assert!(
            check(
                "nsqd/src/wheel.rs",
                "#[cfg(test)]\nmod tests {\n    use tokio::time;\n}\n"
            )
            .is_empty()
        );
    }
}
