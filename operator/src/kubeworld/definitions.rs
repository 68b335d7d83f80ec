//! The definitions of our kinds in the API server: whether they are installed, and whether they are those of this release.
//! Source: operator spec 2.6, 5.14.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};

use super::metrics::Metrics;
use super::serve::{Health, Loop, State};
use crate::api::Kind;
use crate::crd::{SCHEMA_HASH, schema_hash};

/// Time between looks for definitions that are not installed, or not those of this release.
const MISSING: Duration = Duration::from_secs(10);
/// Time between looks for definitions that are as they should be.
const COMPARED: Duration = Duration::from_secs(600);
/// Longest wait for one answer.
const REQUEST: Duration = Duration::from_secs(5);

/// Waits until the definitions of our kinds are installed.
pub(super) async fn installed(client: &Client, health: &Health) {
    loop {
        health.step(Loop::Passes);
        let missing = missing(client).await;
        if missing.is_empty() {
            return;
        }
        let why = format!(
            "no definition of {}; install the files of crds/",
            missing.join(", ")
        );
        tracing::warn!("{why}");
        health.set(State::Waiting(why));
        tokio::time::sleep(MISSING).await;
    }
}

async fn missing(client: &Client) -> Vec<&'static str> {
    let all = Kind::ALL.map(Kind::as_str);
    let asked = client.list_api_group_resources(crate::api::API_VERSION);
    let resources = match tokio::time::timeout(REQUEST, asked).await {
        Ok(Ok(list)) => list.resources,
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Vec::new(),
        Ok(Err(error)) => {
            tracing::warn!("definitions: {error}");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!("definitions: no answer");
            Vec::new()
        }
    };
    let there = |kind: &&str| resources.iter().any(|resource| resource.kind == *kind);
    all.into_iter().filter(|kind| !there(kind)).collect()
}

/// Tells, forever, which installed definitions are not those of this release. The operator works on with what they keep.
pub(super) async fn compare(client: &Client, metrics: &Metrics) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let ours = Kind::ALL.map(|kind| (kind.definition_name(), schema_hash(kind)));
    let mut told: Option<Vec<&str>> = None;
    loop {
        let mut outdated = Vec::new();
        for (name, hash) in &ours {
            let Some(found) = installed_hash(&api, name).await else {
                continue;
            };
            metrics.outdated(name, found != *hash);
            if found != *hash {
                outdated.push(*name);
            }
        }
        if told.as_ref() != Some(&outdated) {
            for name in &outdated {
                tracing::warn!("{name} is the definition of another release; install the files of crds/");
            }
            told = Some(outdated.clone());
        }
        tokio::time::sleep(if outdated.is_empty() { COMPARED } else { MISSING }).await;
    }
}

/// What an installed definition says of its schema; none if that cannot be read now.
async fn installed_hash(api: &Api<CustomResourceDefinition>, name: &str) -> Option<String> {
    match tokio::time::timeout(REQUEST, api.get_metadata(name)).await {
        Ok(Ok(found)) => {
            let hash = found
                .metadata
                .annotations
                .and_then(|mut all| all.remove(SCHEMA_HASH));
            Some(hash.unwrap_or_default())
        }
        Ok(Err(error)) => {
            tracing::warn!("definition {name}: {error}");
            None
        }
        Err(_) => {
            tracing::warn!("definition {name}: no answer");
            None
        }
    }
}
