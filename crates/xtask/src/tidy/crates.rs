//! Edges between packages. Any edge that is not in [`MAP`] is refused.

use serde_json::Value;

/// One dependency as cargo's metadata tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: String,
    pub(super) to: String,
    /// True for dev-dependencies: tests may use more.
    pub(super) dev: bool,
}

/// What a package may import from this workspace.
struct Package {
    name: &'static str,
    imports: &'static [&'static str],
    /// In addition, in tests.
    tests: &'static [&'static str],
}

/// The dependency map. `nsq-testkit` is for tests alone, so no `imports` of a part of the product names it.
const MAP: &[Package] = &[
    Package {
        name: "nsq-protocol",
        imports: &[],
        tests: &[],
    },
    Package {
        name: "nsq-storage",
        imports: &[],
        tests: &[],
    },
    Package {
        name: "nsq-transport",
        imports: &[],
        tests: &[],
    },
    Package {
        name: "nsq-http-api",
        imports: &[],
        tests: &[],
    },
    Package {
        name: "nsq-service",
        imports: &[],
        tests: &["nsq-http-api", "nsq-testkit"],
    },
    Package {
        name: "nsq-client",
        imports: &["nsq-protocol", "nsq-http-api", "nsq-transport"],
        tests: &["nsq-testkit"],
    },
    Package {
        name: "nsqd",
        imports: &[
            "nsq-protocol",
            "nsq-storage",
            "nsq-http-api",
            "nsq-service",
            "nsq-transport",
        ],
        tests: &["nsq-testkit", "nsq-client"],
    },
    Package {
        name: "nsqlookupd",
        imports: &["nsq-protocol", "nsq-http-api", "nsq-service"],
        tests: &["nsq-testkit", "nsq-client"],
    },
    Package {
        name: "nsqadmin",
        imports: &["nsq-protocol", "nsq-http-api", "nsq-service"],
        tests: &["nsq-testkit"],
    },
    Package {
        name: "nsq-operator",
        imports: &["nsq-client", "nsq-http-api", "nsq-service"],
        tests: &["nsq-testkit", "nsq-protocol"],
    },
    Package {
        name: "nsq-testkit",
        imports: &["nsq-protocol", "nsq-http-api", "nsq-client"],
        tests: &[],
    },
    Package {
        name: "nsq-tools",
        imports: &["nsq-client", "nsq-http-api", "nsq-service"],
        tests: &["nsq-testkit"],
    },
    Package {
        name: "nsq-cli",
        imports: &[
            "nsq-client",
            "nsq-http-api",
            "nsq-service",
            "nsq-tools",
            "nsqd",
            "nsqlookupd",
            "nsqadmin",
            "nsq-operator",
        ],
        tests: &["nsq-testkit"],
    },
    Package {
        name: "nsq-bench",
        imports: &["nsq-protocol", "nsq-testkit"],
        tests: &["nsq-testkit"],
    },
    Package {
        name: "nsq-e2e",
        imports: &[],
        tests: &["nsq-testkit", "nsq-protocol", "nsq-client", "nsq-http-api"],
    },
    Package {
        name: "nsq-testbed",
        imports: &["nsq-testkit"],
        tests: &["nsq-testkit"],
    },
    Package {
        name: "xtask",
        imports: &[],
        tests: &[],
    },
];

/// Outside packages that only some of ours may import, also in tests.
const OUTSIDE: &[(&str, &[&str], &str)] = &[
    (
        "warp",
        &["nsq-service", "nsqd", "nsqlookupd", "nsqadmin", "nsq-operator"],
        "HTTP servers only",
    ),
    (
        "prometheus",
        &["nsq-service", "nsqd", "nsqlookupd", "nsqadmin", "nsq-operator"],
        "metrics of programs only",
    ),
    (
        "kube",
        &["nsq-operator", "nsq-testbed"],
        "only the operator knows Kubernetes",
    ),
    (
        "k8s-openapi",
        &["nsq-operator", "nsq-testbed"],
        "only the operator knows Kubernetes",
    ),
];

/// Packages without a runtime: these outside packages are refused in their code (tests may use them).
const NO_RUNTIME: &[&str] = &["nsq-protocol", "nsq-storage"];
const RUNTIME: &[&str] = &["tokio", "hyper", "hyper-util", "warp", "parking_lot", "tracing"];

/// Reads the edges out of `cargo metadata --no-deps`.
///
/// # Errors
/// The text is not that document.
pub(super) fn parse(metadata: &str) -> Result<Vec<Edge>, String> {
    let document: Value = serde_json::from_str(metadata).map_err(|e| format!("read cargo metadata: {e}"))?;
    let packages = document["packages"]
        .as_array()
        .ok_or("cargo metadata without packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut edges = Vec::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            edges.push(Edge {
                from: text(&package["name"]),
                to: text(&dependency["name"]),
                dev: dependency["kind"] == "dev",
            });
        }
    }
    Ok(edges)
}

/// The edges that the map refuses, as lines for a person.
pub(super) fn check(edges: &[Edge]) -> Vec<String> {
    edges.iter().filter_map(refusal).collect()
}

fn refusal(edge: &Edge) -> Option<String> {
    let Edge { from, to, dev } = edge;
    if let Some((_, allowed, why)) = OUTSIDE.iter().find(|(name, ..)| name == to)
        && !allowed.contains(&from.as_str())
    {
        return Some(format!("{from} -> {to}: {why}"));
    }
    if !dev && NO_RUNTIME.contains(&from.as_str()) && RUNTIME.contains(&to.as_str()) {
        return Some(format!(
            "{from} -> {to}: this package has no runtime and does no I/O of its own"
        ));
    }
    if !MAP.iter().any(|p| p.name == to) {
        return None;
    }
    let Some(package) = MAP.iter().find(|p| p.name == from) else {
        return Some(format!(
            "{from} -> {to}: {from} is not in the map (crates/xtask/src/tidy/crates.rs)"
        ));
    };
    let allowed = package.imports.contains(&to.as_str()) || (*dev && package.tests.contains(&to.as_str()));
    // A package may name itself in its tests, to switch a feature on.
    if allowed || (*dev && from == to) {
        return None;
    }
    let kind = if *dev { " (in tests)" } else { "" };
    Some(format!(
        "{from} -> {to}{kind}: the dependency map has no such edge"
    ))
}

/// Every package takes its lints from the workspace, unless it is a workspace of its own.
pub(super) fn check_manifest(path: &str, content: &str) -> Option<String> {
    let is_member = content.contains("[package]") && !content.contains("[workspace]");
    let takes_lints = content.contains("[lints]\nworkspace = true");
    (is_member && !takes_lints).then(|| format!("{path}: has no `[lints] workspace = true`"))
}

#[cfg(test)]
mod tests {
    use super::{Edge, check, check_manifest, parse};

    fn edge(from: &str, to: &str, dev: bool) -> Vec<String> {
        check(&[Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            dev,
        }])
    }

    #[test]
    fn edges_of_the_map_pass() {
        assert!(edge("nsqd", "nsq-storage", false).is_empty());
        assert!(edge("nsq-client", "nsq-protocol", false).is_empty());
        assert!(edge("nsqd", "nsq-testkit", true).is_empty());
        assert!(edge("nsqd", "serde", false).is_empty());
    }

    #[test]
    fn an_edge_against_the_map_is_refused() {
        assert_eq!(
            edge("nsq-protocol", "nsq-storage", false),
            ["nsq-protocol -> nsq-storage: the dependency map has no such edge"]
        );
        assert_eq!(
            edge("nsq-operator", "nsqd", false).len(),
            1,
            "the operator starts daemons, it never links them"
        );
        assert_eq!(edge("nsq-operator", "nsqd", true).len(), 1);
        assert_eq!(edge("nsqlookupd", "nsq-storage", false).len(), 1);
    }

    #[test]
    fn the_testkit_stays_out_of_programs() {
        assert_eq!(edge("nsqd", "nsq-testkit", false).len(), 1);
    }

    #[test]
    fn pure_packages_take_no_runtime() {
        assert_eq!(edge("nsq-protocol", "tokio", false).len(), 1);
        assert_eq!(edge("nsq-storage", "tokio", false).len(), 1);
        assert_eq!(edge("nsq-client", "warp", false).len(), 1);
        assert_eq!(edge("nsqd", "kube", true).len(), 1);
    }

    #[test]
    fn a_new_package_has_to_be_put_on_the_map() {
        assert!(edge("nsq-novelty", "nsq-protocol", false)[0].contains("not in the map"));
    }

    #[test]
    fn metadata_gives_edges_with_their_kind() {
        let text = r#"{"packages":[{"name":"nsqd","dependencies":[
            {"name":"tokio","kind":null},{"name":"nsq-testkit","kind":"dev"}]}]}"#;
        let edges = parse(text).unwrap();
        assert_eq!(
            edges.iter().map(|e| (e.to.as_str(), e.dev)).collect::<Vec<_>>(),
            [("tokio", false), ("nsq-testkit", true)]
        );
        assert!(parse("[]").is_err());
    }

    #[test]
    fn a_member_without_the_shared_lints_is_refused() {
        assert!(check_manifest("nsqd/Cargo.toml", "[package]\nname = \"nsqd\"\n").is_some());
        assert!(check_manifest("nsqd/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n").is_none());
        assert!(check_manifest("Cargo.toml", "[workspace]\n").is_none());
        assert!(check_manifest("fuzz/Cargo.toml", "[package]\n\n[workspace]\n").is_none());
    }
}
