//! The manifest of a local cluster: where it comes from, what it may hold, whether it changed.

use std::path::{Path, PathBuf};

use super::error::StartError;
use super::folder::{read_text, write_new};
use crate::api::{Manifest, ManifestError, NsqChannel, NsqCluster, NsqTopic, parse_manifest, validate};

/// The manifest that is used without `-f`.
pub const BUILT_IN: &str = "\
apiVersion: nsq.rs/v1alpha1
kind: NsqCluster
metadata:
  name: local
spec:
  nsqd:
    replicas: 1
  lookupd:
    replicas: 1
  admin:
    replicas: 1
";
/// What errors call the built-in manifest.
const BUILT_IN_NAME: &str = "(built-in)";

/// A manifest that may be run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub(super) cluster: NsqCluster,
    pub(super) topics: Vec<NsqTopic>,
    pub(super) channels: Vec<NsqChannel>,
}

/// Where the manifest is, and what was read last.
#[derive(Debug)]
pub(super) struct Source {
    file: Option<PathBuf>,
    last: Option<String>,
}

impl Source {
    /// The built-in manifest, or a file.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, last: None }
    }

    /// Writes the built-in manifest to a new file and uses that.
    pub(super) fn save(file: &Path) -> Result<Self, StartError> {
        write_new(file, BUILT_IN).map_err(|error| StartError::Save(file.to_owned(), error))?;
        Ok(Self::new(Some(file.to_owned())))
    }

    /// Folder in which the manifest's Secrets are folders.
    pub(super) fn folder(&self) -> PathBuf {
        let folder = self
            .file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
    }

    /// The first reading.
    pub(super) fn read(&mut self) -> Result<Declared, StartError> {
        let text = match &self.file {
            Some(file) => read_text(file).map_err(|error| StartError::Unreadable(file.clone(), error))?,
            None => BUILT_IN.to_owned(),
        };
        self.last = Some(text.clone());
        declared(&self.name(), &text, None).map_err(StartError::Manifest)
    }

    /// Reads again. None if nothing changed; also while the file is being replaced and is not there.
    pub(super) fn changed(&mut self, running: &NsqCluster) -> Option<Result<Declared, StartError>> {
        let file = self.file.as_deref()?;
        let text = match read_text(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                // told once: the next reading of the same kind finds nothing new
                let told = self.last.replace(error.to_string());
                let new = told != self.last;
                return new.then(|| Err(StartError::Unreadable(file.to_owned(), error)));
            }
        };
        // an editor that empties the file before it writes is not done yet
        if text.is_empty() || self.last.as_deref() == Some(text.as_str()) {
            return None;
        }
        self.last = Some(text.clone());
        Some(declared(&self.name(), &text, Some(running)).map_err(StartError::Manifest))
    }

    fn name(&self) -> String {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        file.unwrap_or_else(|| BUILT_IN_NAME.to_owned())
    }
}

/// Checks a manifest for local mode. `running` is the cluster that a new version must be a successor of.
fn declared(file: &str, text: &str, running: Option<&NsqCluster>) -> Result<Declared, Vec<ManifestError>> {
    let manifest = parse_manifest(file, text)?;
    let error = |object: &str, path: &str, message: String| ManifestError {
        file: file.to_owned(),
        line: line_of(text, object),
        object: object.to_owned(),
        path: path.to_owned(),
        message,
    };
    let mut errors = Vec::new();
    let Manifest {
        clusters,
        topics,
        channels,
        ..
    } = manifest;
    let count = clusters.len();
    let mut clusters = clusters.into_iter();
    let (Some(cluster), None) = (clusters.next(), clusters.next()) else {
        return Err(vec![error(
            "",
            "",
            format!("local needs one NsqCluster, this manifest has {count}"),
        )]);
    };
    let name = cluster.metadata.name.clone().unwrap_or_default();
    if let Some(old) = running {
        let object = format!("NsqCluster/{name}");
        if old.metadata.name != cluster.metadata.name {
            let old = old.metadata.name.as_deref().unwrap_or_default();
            errors.push(error(
                &object,
                "metadata.name",
                format!("the cluster {old} is running; its name cannot change"),
            ));
        }
        let violations = validate(&cluster, Some(old)).into_iter();
        errors.extend(violations.map(|violation| error(&object, &violation.path, violation.message)));
    }
    let named = topics
        .iter()
        .map(|topic| ("NsqTopic", &topic.metadata.name, &topic.spec.cluster_name));
    let named = named.chain(
        channels
            .iter()
            .map(|channel| ("NsqChannel", &channel.metadata.name, &channel.spec.cluster_name)),
    );
    for (kind, object, cluster_name) in named.filter(|(_, _, cluster_name)| **cluster_name != name) {
        let object = format!("{kind}/{}", object.as_deref().unwrap_or_default());
        errors.push(error(
            &object,
            "spec.clusterName",
            format!("{cluster_name} is not the cluster of this manifest, {name}"),
        ));
    }
    if errors.is_empty() {
        Ok(Declared {
            cluster,
            topics,
            channels,
        })
    } else {
        Err(errors)
    }
}

/// Line of an object's name; 0 when it cannot be told.
fn line_of(text: &str, object: &str) -> u64 {
    let Some((_, name)) = object.split_once('/') else {
        return 0;
    };
    let wanted = |line: &str| {
        let line = line.trim();
        line.strip_prefix("name:")
            .is_some_and(|value| value.trim().trim_matches(['"', '\'']) == name)
    };
    text.lines().position(wanted).map_or(0, |at| at as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_manifest_is_a_cluster_of_one_each() {
        let declared = Source::new(None).read().unwrap();
        let spec = declared.cluster.spec;
        assert_eq!(
            (spec.nsqd.replicas, spec.lookupd.replicas, spec.admin.replicas),
            (1, 1, 1)
        );
    }

    #[test]
    fn members_of_another_cluster_and_a_second_cluster_are_refused() {
        let topic = "---\napiVersion: nsq.rs/v1alpha1\nkind: NsqTopic\nmetadata:\n  name: t\nspec:\n  clusterName: x\n";
        let errors = declared("m.yaml", &format!("{BUILT_IN}{topic}"), None).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "m.yaml:16: NsqTopic/t: spec.clusterName: x is not the cluster of this manifest, local"
        );
        let two = format!("{BUILT_IN}---\n{}", BUILT_IN.replace("local", "other"));
        let errors = declared("m.yaml", &two, None).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "m.yaml: local needs one NsqCluster, this manifest has 2"
        );
    }

    #[test]
    fn a_running_cluster_keeps_its_name_and_what_is_immutable() {
        let running = declared("m", BUILT_IN, None).unwrap().cluster;
        let renamed = BUILT_IN.replace("local", "other");
        assert!(declared("m", &renamed, Some(&running)).is_err());
        let edited = BUILT_IN.replace(
            "    replicas: 1\n  lookupd",
            "    storage: {size: 5Gi}\n  lookupd",
        );
        let errors = declared("m", &edited, Some(&running)).unwrap_err();
        assert_eq!(errors[0].message, "storage.size cannot shrink");
    }
}
