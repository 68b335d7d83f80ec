//! `render`: what a first pass would apply, as text. Source: operator spec 8.4.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::api::Manifest;
use crate::build::{Apis, Resolved, objects};
use crate::canonical::{sorted, to_yaml};

/// Image of clusters that name none: ours, of this release.
pub const DEFAULT_IMAGE: &str = concat!("nsq-rs/nsq:", env!("CARGO_PKG_VERSION"));

/// What `render` is told besides the manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderOptions {
    /// Namespace of clusters that name none.
    pub namespace: String,
    /// Namespace of the operator in network policies; empty leaves that rule out.
    pub operator_namespace: String,
    /// Image of clusters that name none.
    pub default_image: String,
    /// Optional APIs the Kubernetes cluster has.
    pub apis: Apis,
    /// Form of the output.
    pub format: Format,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            operator_namespace: "nsq-system".to_owned(),
            default_image: DEFAULT_IMAGE.to_owned(),
            apis: Apis::default(),
            format: Format::Yaml,
        }
    }
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// YAML documents, each after a `---`.
    #[default]
    Yaml,
    /// One JSON object of kind List.
    Json,
}

/// Not a format or API that `render` knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {given:?}, use {known}")]
pub struct UnknownWord {
    what: &'static str,
    given: String,
    known: &'static str,
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "yaml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            _ => Err(UnknownWord {
                what: "format",
                given: text.to_owned(),
                known: "yaml or json",
            }),
        }
    }
}

/// A comma list of `podmonitor` and `httproute`; empty is none.
impl FromStr for Apis {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut apis = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "podmonitor" => apis.pod_monitor = true,
                "httproute" => apis.http_route = true,
                _ => {
                    let known = "podmonitor, httproute";
                    return Err(UnknownWord {
                        what: "api",
                        given: word.to_owned(),
                        known,
                    });
                }
            }
        }
        Ok(apis)
    }
}

/// The manifest declares no cluster, so there is nothing to render.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest declares no NsqCluster")]
pub struct NoCluster;

/// The child objects of every cluster of a manifest, in the order they are applied in, without owner
/// references: there is no UID. The same input gives the same text every time.
///
/// # Errors
/// When the manifest declares no cluster.
pub fn render(manifest: &Manifest, options: &RenderOptions) -> Result<String, NoCluster> {
    if manifest.clusters.is_empty() {
        return Err(NoCluster);
    }
    let children = manifest.clusters.iter().flat_map(|cluster| {
        let mut resolved = Resolved::first(cluster, &options.namespace, &options.default_image);
        resolved.uid = None;
        let operator = &options.operator_namespace;
        resolved.operator_namespace = (!operator.is_empty()).then(|| operator.clone());
        resolved.apis = options.apis;
        objects(&resolved)
    });
    Ok(match options.format {
        Format::Yaml => children
            .map(|child| format!("---\n{}", to_yaml(&child.object)))
            .collect(),
        Format::Json => {
            let items: Vec<Value> = children.map(|child| child.object).collect();
            let list = sorted(&json!({"apiVersion": "v1", "kind": "List", "items": items}));
            format!("{list:#}\n")
        }
    })
}
