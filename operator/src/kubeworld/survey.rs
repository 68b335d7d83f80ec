//! A look at an API server before an install, as whoever asks: nothing is changed there. Source: operator spec 8.6.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Config};

use crate::api::Kind;
use crate::crd::SCHEMA_HASH;
use crate::install::Install;
use crate::preflight::{Class, Definition, Facts, Place, Right, to_apply, to_grant};

/// Longest wait for one answer.
const REQUEST: Duration = Duration::from_secs(5);
/// Questions at once.
const AT_ONCE: usize = 8;
/// Storage classes that are read; more than any cluster has.
const CLASSES: u32 = 500;
/// The level of Pod security that a namespace enforces.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce";
/// The class for claims that name none.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// What there is for this install, with the in-cluster account or as the kubeconfig says.
///
/// # Errors
/// There is no way to an API server, or it does not tell its version or what one may do.
pub async fn survey(install: &Install) -> Result<Facts, String> {
    let mut config = Config::infer()
        .await
        .map_err(|error| format!("no way to an API server: {error}"))?;
    config.default_retry = false;
    let address = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| format!("API server {address}: {error}"))?;
    let told = |what: &str, why: String| format!("API server {address}: {what}: {why}");
    let version = asked(client.apiserver_version()).await;
    let version = version.map_err(|why| told("version", why))?.git_version;
    let (asked, denied) = rights(&client, install)
        .await
        .map_err(|why| told("what you may do there", why))?;
    Ok(Facts {
        version,
        asked,
        denied,
        classes: classes(&client).await,
        definitions: definitions(&client).await,
        namespaces: namespaces(&client, install).await,
    })
}

/// The answer within its time; what went wrong is a text.
async fn asked<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(answer) => answer.map_err(|error| match error {
            kube::Error::Api(status) => status.message,
            error => error.to_string(),
        }),
        Err(_) => Err(format!("no answer within {REQUEST:?}")),
    }
}

/// How many rights were asked for, and those that are missing.
async fn rights(client: &Client, install: &Install) -> Result<(usize, Vec<Right>), String> {
    if may(client, &Right::everything()).await? {
        return Ok((1, Vec::new()));
    }
    let mut wanted: BTreeSet<Right> = to_apply(install);
    if !may(client, &Right::escalate()).await? {
        wanted.extend(to_grant(install));
    }
    let count = wanted.len();
    let answers = stream::iter(wanted).map(|right| async move { Ok((may(client, &right).await?, right)) });
    let answers: Vec<(bool, Right)> = answers
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await
        .map_err(|why: String| why)?;
    let denied = answers.into_iter().filter(|(may, _)| !may);
    Ok((count, denied.map(|(_, right)| right).collect()))
}

async fn may(client: &Client, right: &Right) -> Result<bool, String> {
    let (resource, part) = match right.resource.split_once('/') {
        Some((resource, part)) => (resource, Some(part.to_owned())),
        None => (right.resource.as_str(), None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.clone()),
                resource: Some(resource.to_owned()),
                subresource: part,
                verb: Some(right.verb.clone()),
                namespace: right.namespace.clone(),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = asked(api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

async fn classes(client: &Client) -> Result<Vec<Class>, String> {
    let api: Api<StorageClass> = Api::all(client.clone());
    let listed = asked(api.list(&ListParams::default().limit(CLASSES))).await?;
    let class = |class: StorageClass| {
        let notes = class.metadata.annotations.unwrap_or_default();
        Class {
            name: class.metadata.name.unwrap_or_default(),
            is_default: notes.get(DEFAULT_CLASS).is_some_and(|value| value == "true"),
            grows: class.allow_volume_expansion.unwrap_or(false),
        }
    };
    Ok(listed.items.into_iter().map(class).collect())
}

async fn definitions(client: &Client) -> Vec<(&'static str, Result<Definition, String>)> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let name = kind.definition_name();
        let found = asked(api.get_metadata_opt(name)).await;
        let state = found.map(|found| match found {
            None => Definition::Absent,
            Some(found) => {
                let notes = found.metadata.annotations.unwrap_or_default();
                Definition::of(kind, notes.get(SCHEMA_HASH).map(String::as_str))
            }
        });
        all.push((name, state));
    }
    all
}

async fn namespaces(client: &Client, install: &Install) -> Vec<(String, Result<Place, String>)> {
    let api: Api<Namespace> = Api::all(client.clone());
    let names: BTreeSet<&String> = install
        .watch_namespaces
        .iter()
        .chain([&install.namespace])
        .collect();
    let api = &api;
    let look = |name: String| async move {
        let found = asked(api.get_opt(&name)).await;
        let place = found.map(|found| match found {
            None => Place::Absent,
            Some(found) if found.metadata.deletion_timestamp.is_some() => Place::Ending,
            Some(found) => Place::There(found.metadata.labels.unwrap_or_default().remove(ENFORCED)),
        });
        (name, place)
    };
    stream::iter(names.into_iter().cloned())
        .map(look)
        .buffered(AT_ONCE)
        .collect()
        .await
}
