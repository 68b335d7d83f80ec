//! Manifests: YAML text into typed objects, with every mistake in it, each with its line.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::schema::{Kind, apply_defaults};
use super::structure::Violation;
use super::structure::{self, nearest};
use super::validate::validate_value;
use super::yaml::{self, Document};
use super::{API_VERSION, GROUP, NsqChannel, NsqCluster, NsqTopic};

/// What a manifest declares, with all defaults filled in, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Its clusters.
    pub clusters: Vec<NsqCluster>,
    /// Its topics.
    pub topics: Vec<NsqTopic>,
    /// Its channels.
    pub channels: Vec<NsqChannel>,
    /// Objects of other API groups, which are left alone, as `<line>: <kind>/<name>`.
    pub skipped: Vec<String>,
}

/// One mistake in a manifest. Its text is `<file>:<line>: <kind>/<name>: <field path>: <message>`;
/// parts that are not known are left out. Source: operator spec 8.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, from 1; 0 when it is not known.
    pub line: u64,
    /// `<kind>/<name>` of the object; empty outside of one.
    pub object: String,
    /// Path of the field; empty when the object as a whole is meant.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        for part in [&self.object, &self.path]
            .into_iter()
            .filter(|part| !part.is_empty())
        {
            write!(f, ": {part}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ManifestError {}

/// Reads a manifest of any number of documents. `file` is only used in errors.
///
/// # Errors
/// Every mistake of the text, by line: what is not YAML, unknown kinds and fields,
/// values the schema refuses, rules of operator spec 2.3 that are broken, objects declared twice.
pub fn parse_manifest(file: &str, text: &str) -> Result<Manifest, Vec<ManifestError>> {
    let mut reader = Reader::default();
    for document in yaml::read(text) {
        match document {
            Ok(document) => reader.document(document),
            Err(error) => {
                reader.errors.push(Mistake {
                    line: error.line,
                    message: error.message,
                    ..Mistake::default()
                });
            }
        }
    }
    if reader.errors.is_empty() {
        return Ok(reader.manifest);
    }
    reader.errors.sort();
    let located = |mistake: Mistake| ManifestError {
        file: file.to_owned(),
        line: mistake.line,
        object: mistake.object,
        path: mistake.path,
        message: mistake.message,
    };
    Err(reader.errors.into_iter().map(located).collect())
}

#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Mistake {
    line: u64,
    object: String,
    path: String,
    message: String,
}

#[derive(Default)]
struct Reader {
    manifest: Manifest,
    errors: Vec<Mistake>,
    /// Line of each object seen, by kind, namespace and name.
    seen: BTreeMap<(Kind, String, String), u64>,
}

impl Reader {
    fn document(&mut self, mut document: Document) {
        if !document.value.is_object() {
            return self.mistake(
                &document,
                "",
                "",
                "a document must be an object with apiVersion and kind",
            );
        }
        let api_version = text_at(&document.value, "/apiVersion").to_owned();
        let kind_name = text_at(&document.value, "/kind").to_owned();
        let name = text_at(&document.value, "/metadata/name").to_owned();
        let object = format!("{kind_name}/{name}");
        if api_version.is_empty() || kind_name.is_empty() {
            let field = if api_version.is_empty() {
                "apiVersion"
            } else {
                "kind"
            };
            return self.mistake(&document, "", field, "Required value");
        }
        if api_version.split('/').next() != Some(GROUP) {
            let line = document.line("kind");
            return self.manifest.skipped.push(format!("{line}: {object}"));
        }
        if api_version != API_VERSION {
            let message = format!("unknown version {api_version}, use {API_VERSION}");
            return self.mistake(&document, &object, "apiVersion", &message);
        }
        let Some(kind) = Kind::parse(&kind_name) else {
            let near = nearest(&kind_name, Kind::ALL.iter().map(|kind| kind.as_str()));
            let hint = near
                .map(|near| format!(", did you mean {near}?"))
                .unwrap_or_default();
            return self.mistake(
                &document,
                &object,
                "kind",
                &format!("unknown kind {kind_name}{hint}"),
            );
        };
        prepare(kind, &mut document.value);
        let violations = violations(kind, &document.value);
        if violations.is_empty() {
            self.unique(kind, &document, &object);
            self.typed(kind, &document, &object);
        } else {
            for Violation { path, message } in violations {
                self.mistake(&document, &object, &path, &message);
            }
        }
    }

    fn mistake(&mut self, document: &Document, object: &str, path: &str, message: &str) {
        self.errors.push(Mistake {
            line: document.line(path),
            object: object.to_owned(),
            path: path.to_owned(),
            message: message.to_owned(),
        });
    }

    fn unique(&mut self, kind: Kind, document: &Document, object: &str) {
        let line = document.line("metadata.name");
        let namespace = text_at(&document.value, "/metadata/namespace").to_owned();
        let name = text_at(&document.value, "/metadata/name").to_owned();
        if let Some(first) = self.seen.insert((kind, namespace, name), line) {
            let message = format!("the same object stands in line {first} already");
            self.mistake(document, object, "metadata.name", &message);
        }
    }

    fn typed(&mut self, kind: Kind, document: &Document, object: &str) {
        fn push<T: DeserializeOwned>(list: &mut Vec<T>, value: &Value) -> Result<(), serde_json::Error> {
            list.push(serde::Deserialize::deserialize(value)?);
            Ok(())
        }
        let pushed = match kind {
            Kind::NsqCluster => push(&mut self.manifest.clusters, &document.value),
            Kind::NsqTopic => push(&mut self.manifest.topics, &document.value),
            Kind::NsqChannel => push(&mut self.manifest.channels, &document.value),
        };
        if let Err(error) = pushed {
            self.mistake(document, object, "", &error.to_string());
        }
    }
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Drops the status, which a manifest may carry and nobody reads, and fills the defaults.
fn prepare(kind: Kind, value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    apply_defaults(kind.schema(), value);
}

fn violations(kind: Kind, value: &Value) -> Vec<Violation> {
    let empty = json!({});
    let mut found = Vec::new();
    structure::check(
        &metadata_schema(),
        value.get("metadata").unwrap_or(&empty),
        "metadata",
        &mut found,
    );
    if found.is_empty() {
        found = validate_value(kind, value, None);
    } else {
        // Rules about the name could not run; the others still say what else is wrong.
        let others = validate_value(kind, value, None);
        found.extend(
            others
                .into_iter()
                .filter(|violation| violation.path.starts_with("spec")),
        );
    }
    found
}

/// Metadata fields a manifest may have; those the API server fills are accepted unread.
fn metadata_schema() -> Value {
    let text = json!({"type": "string", "maxLength": 253});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut properties = json!({"name": text, "namespace": text, "labels": map, "annotations": map});
    for read_only in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ] {
        properties[read_only] = json!({});
    }
    json!({"type": "object", "required": ["name"], "properties": properties})
}
