//! The CustomResourceDefinitions as files. The Rust types are their only source; `crds/` holds the
//! output of this module, and a test compares them. Source: operator spec 2.6 and 8.3.

use serde_json::{Value, json};

use crate::api::Kind;
use crate::canonical::{hash16, to_yaml};
use crate::generated::File;

/// Annotation by which an operator sees whether the CRD in the cluster is its own.
pub const SCHEMA_HASH: &str = "nsq.rs/schema-hash";

/// The definition of a kind with its `nsq.rs/schema-hash`.
#[must_use]
pub fn definition(kind: Kind) -> Value {
    let mut definition = kind.definition();
    definition["metadata"]["annotations"] = json!({ SCHEMA_HASH: hash16(&definition["spec"]) });
    definition
}

/// What [`SCHEMA_HASH`] says in the definition of a kind.
#[must_use]
pub fn schema_hash(kind: Kind) -> String {
    hash16(&kind.definition()["spec"])
}

/// The file of one kind, such as `nsq.rs_nsqclusters.yaml`: one document without `---`.
#[must_use]
pub fn render(kind: Kind) -> File {
    let definition = definition(kind);
    let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
    File {
        path: format!("nsq.rs_{plural}.yaml"),
        text: to_yaml(&definition),
    }
}

/// The files of all kinds.
#[must_use]
pub fn render_all() -> Vec<File> {
    Kind::ALL.into_iter().map(render).collect()
}

/// Several files as one stream of YAML documents, for standard output.
#[must_use]
pub fn stream(files: &[File]) -> String {
    files.iter().map(|file| format!("---\n{}", file.text)).collect()
}
