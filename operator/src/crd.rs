//! The CustomResourceDefinitions as files. The Rust types are their only source; `crds/` holds the
//! output of this module, and a test compares them. Source: operator spec 2.6 and 8.3.

use serde_json::{Value, json};

use crate::api::Kind;
use crate::canonical::{hash16, to_yaml};

/// Annotation by which an operator sees whether the CRD in the cluster is its own.
pub const SCHEMA_HASH: &str = "nsq.rs/schema-hash";

/// One CustomResourceDefinition, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrdFile {
    /// Kind it defines.
    pub kind: Kind,
    /// Name of its file, such as `nsq.rs_nsqclusters.yaml`.
    pub file_name: String,
    /// Its YAML, one document without `---`.
    pub yaml: String,
}

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

/// The file of one kind.
#[must_use]
pub fn render(kind: Kind) -> CrdFile {
    let definition = definition(kind);
    let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
    CrdFile {
        kind,
        file_name: format!("nsq.rs_{plural}.yaml"),
        yaml: to_yaml(&definition),
    }
}

/// The files of all kinds.
#[must_use]
pub fn render_all() -> Vec<CrdFile> {
    Kind::ALL.into_iter().map(render).collect()
}

/// Several files as one stream of YAML documents, for standard output.
#[must_use]
pub fn stream(files: &[CrdFile]) -> String {
    files.iter().map(|file| format!("---\n{}", file.yaml)).collect()
}

/// Names of the files that differ from this release, or that are absent. `read` returns the content
/// of a file of that name in the folder to check, `None` when there is none.
pub fn differing(files: &[CrdFile], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    files
        .iter()
        .filter(|file| read(&file.file_name).as_deref() != Some(file.yaml.as_str()))
        .map(|file| file.file_name.clone())
        .collect()
}
