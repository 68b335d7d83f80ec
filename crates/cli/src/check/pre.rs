//! `nsq check --pre`: what is wrong with a Kubernetes cluster before NSQ is installed there. The judge is pure.

use std::collections::BTreeMap;

use nsq_operator::install::Install;
use nsq_operator::kubeworld::survey;
use nsq_operator::preflight::{Class, Definition, Facts, OLDEST, Place, Right};

use super::report::{Category, Finding, Report};
use crate::codes;
use crate::problem::{Problem, one_line};

/// Rights of one finding that are named; the rest is counted.
const NAMED: usize = 6;

/// Where it is to be installed.
#[derive(Clone, Debug, clap::Args)]
pub struct Before {
    /// Look at the Kubernetes cluster of the kubeconfig instead, before an install
    #[arg(long)]
    pub pre: bool,
    /// With --pre: namespace of the operator
    #[arg(long, value_name = "NS", requires = "pre", default_value = "nsq-system")]
    pub namespace: String,
    /// With --pre: namespaces that it watches, separated by commas; all if not given
    #[arg(long, value_name = "LIST", requires = "pre", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// With --pre: storage class of the clusters; the default one if not given
    #[arg(long, value_name = "NAME", requires = "pre")]
    pub storage_class: Option<String>,
}

/// Looks, and says what is wrong.
///
/// # Errors
/// There is no way to an API server.
pub async fn run(options: &Before) -> Result<Report, Problem> {
    let install = Install {
        namespace: options.namespace.clone(),
        image: String::new(),
        watch_namespaces: options.watch_namespaces.clone(),
    };
    let facts = survey::survey(&install).await;
    let facts = facts.map_err(|why| {
        let todo =
            "name the kubeconfig of the cluster with KUBECONFIG, and see that `kubectl version` answers";
        Problem::new(codes::UNREACHABLE, one_line(&why), todo)
    })?;
    Ok(judge(&facts, options.storage_class.as_deref()))
}

/// The report. `wanted` is the storage class that was named.
fn judge(facts: &Facts, wanted: Option<&str>) -> Report {
    let mut found = Vec::new();
    found.extend(version(&facts.version));
    found.extend(rights(&facts.denied));
    found.extend(storage(facts.classes.as_deref(), wanted));
    found.extend(definitions(facts));
    found.extend(
        facts
            .namespaces
            .iter()
            .filter_map(|(name, place)| namespace(name, place)),
    );
    Report::of(summary(facts), found)
}

fn summary(facts: &Facts) -> Vec<(Category, String)> {
    let classes = match &facts.classes {
        Ok(classes) => classes.iter().find(|class| class.is_default).map_or_else(
            || "no default class".to_owned(),
            |class| format!("default class {}", class.name),
        ),
        Err(_) => "unknown".to_owned(),
    };
    let installed = facts
        .definitions
        .iter()
        .filter(|(_, state)| matches!(state, Ok(Definition::Same | Definition::Other)));
    let namespaces: Vec<String> = facts
        .namespaces
        .iter()
        .map(|(name, place)| described(name, place))
        .collect();
    vec![
        (Category::Kubernetes, facts.version.clone()),
        (
            Category::Rights,
            format!(
                "{} of {} that the install needs",
                facts.asked - facts.denied.len(),
                facts.asked
            ),
        ),
        (Category::Storage, classes),
        (
            Category::Definitions,
            format!("{} of {} installed", installed.count(), facts.definitions.len()),
        ),
        (Category::Namespaces, namespaces.join(", ")),
    ]
}

fn described(name: &str, place: &Result<Place, String>) -> String {
    match place {
        Ok(Place::Absent) => format!("{name} (will be made)"),
        Ok(Place::Ending) => format!("{name} (being deleted)"),
        Ok(Place::There(None)) => format!("{name} (no Pod security)"),
        Ok(Place::There(Some(level))) => format!("{name} ({level})"),
        Err(_) => format!("{name} (unknown)"),
    }
}

/// What could not be read: perhaps well, perhaps not.
fn unread(category: Category, subject: &str, why: &str) -> Finding {
    let todo = "ask as somebody who may read it, or see with kubectl";
    Finding::wrong(category, "NOT_READABLE", subject, one_line(why), todo).note()
}

fn version(text: &str) -> Option<Finding> {
    let mut parts = text.trim_start_matches('v').split('.');
    let mut number = || {
        let part = parts.next()?;
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let version = number().zip(number());
    let (major, minor) = OLDEST;
    match version {
        Some(version) if version >= OLDEST => None,
        Some(_) => Some(Finding::wrong(
            Category::Kubernetes,
            "KUBERNETES_OLD",
            "the API server",
            format!("is {text}; {major}.{minor} is the oldest that works"),
            "upgrade the cluster first",
        )),
        None => Some(unread(
            Category::Kubernetes,
            "the API server",
            &format!("{text:?} is no version"),
        )),
    }
}

fn rights(denied: &[Right]) -> Vec<Finding> {
    let mut places: BTreeMap<&Option<String>, Vec<String>> = BTreeMap::new();
    for right in denied {
        let group = if right.group.is_empty() {
            String::new()
        } else {
            format!(".{}", right.group)
        };
        let text = format!("{} {}{group}", right.verb, right.resource);
        places.entry(&right.namespace).or_default().push(text);
    }
    let finding = |(namespace, texts): (&Option<String>, Vec<String>)| {
        let more = texts.len().saturating_sub(NAMED);
        let mut what = format!("you may not {}", texts[..texts.len() - more].join(", "));
        if more > 0 {
            what = format!("{what}, and {more} more");
        }
        let subject = namespace
            .as_ref()
            .map_or_else(|| "the cluster".to_owned(), |name| format!("namespace {name}"));
        let todo = "install as somebody with these rights (cluster-admin has them)";
        Finding::wrong(Category::Rights, "RIGHTS_MISSING", subject, what, todo)
    };
    places.into_iter().map(finding).collect()
}

fn storage(classes: Result<&[Class], &String>, wanted: Option<&str>) -> Vec<Finding> {
    let classes = match classes {
        Ok(classes) => classes,
        Err(why) => return vec![unread(Category::Storage, "storage classes", why)],
    };
    let defaults: Vec<&Class> = classes.iter().filter(|class| class.is_default).collect();
    let names = || {
        let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        if names.is_empty() {
            "there is none at all".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        }
    };
    let chosen = match wanted {
        Some(wanted) => classes.iter().find(|class| class.name == wanted),
        None => defaults.first().copied(),
    };
    let Some(chosen) = chosen else {
        let (code, subject, what, todo) = match wanted {
            Some(wanted) => (
                "STORAGE_CLASS_MISSING",
                format!("storage class {wanted}"),
                format!("is not there; {}", names()),
                "name one that is there, in --storage-class and in spec.nsqd.storage.className",
            ),
            None => (
                "STORAGE_CLASS_NONE",
                "storage classes".to_owned(),
                format!(
                    "none is the default: claims of nsqd would stay Pending; {}",
                    names()
                ),
                "make one the default, or name one here with --storage-class and in the manifests",
            ),
        };
        return vec![Finding::wrong(Category::Storage, code, subject, what, todo)];
    };
    let subject = format!("storage class {}", chosen.name);
    let mut found = Vec::new();
    if wanted.is_none() && defaults.len() > 1 {
        let names: Vec<&str> = defaults.iter().map(|class| class.name.as_str()).collect();
        let what = format!(
            "{} are all the default: Kubernetes takes the newest",
            names.join(", ")
        );
        let todo = "leave one, or name one in the manifests";
        found.push(
            Finding::wrong(
                Category::Storage,
                "STORAGE_CLASS_MANY",
                "storage classes",
                what,
                todo,
            )
            .note(),
        );
    }
    if !chosen.grows {
        let what = "its volumes cannot grow (allowVolumeExpansion is not set)";
        let todo = "give nsqd large enough volumes from the start, or take another class";
        found.push(Finding::wrong(Category::Storage, "STORAGE_CLASS_FIXED", subject, what, todo).note());
    }
    found
}

fn definitions(facts: &Facts) -> Vec<Finding> {
    let some = facts
        .definitions
        .iter()
        .any(|(_, state)| matches!(state, Ok(Definition::Same | Definition::Other)));
    let finding = |(name, state): &(&'static str, Result<Definition, String>)| {
        match state {
        Ok(Definition::Same) => None,
        // Before the first install none is there, and that is as it should be.
        Ok(Definition::Absent) if !some => None,
        Ok(Definition::Absent) => Some(Finding::wrong(
            Category::Definitions,
            "DEFINITION_MISSING",
            *name,
            "is not installed, though others of NSQ are",
            "kubectl apply --server-side -f crds/ (the chart does it by itself)",
        )),
        Ok(Definition::Other) => Some(
            Finding::wrong(
                Category::Definitions,
                "DEFINITION_OTHER",
                *name,
                "is that of another release",
                "read its upgrade notes, then kubectl apply --server-side -f crds/ (the chart does it by itself)",
            )
            .note(),
        ),
        Err(why) => Some(unread(Category::Definitions, name, why)),
    }
    };
    facts.definitions.iter().filter_map(finding).collect()
}

fn namespace(name: &str, place: &Result<Place, String>) -> Option<Finding> {
    let subject = format!("namespace {name}");
    match place {
        Ok(Place::Absent) => None,
        Ok(Place::Ending) => Some(Finding::wrong(
            Category::Namespaces,
            "NAMESPACE_ENDING",
            subject,
            "is being deleted: nothing can be made in it",
            "wait until it is gone, or take another with --namespace",
        )),
        Ok(Place::There(Some(level))) if level == "restricted" => None,
        Ok(Place::There(level)) => {
            let what = format!(
                "enforces {} of Pod security; NSQ runs under restricted",
                level
                    .as_ref()
                    .map_or_else(|| "no level".to_owned(), |level| format!("the level {level}"))
            );
            let todo = format!(
                "kubectl label namespace {name} pod-security.kubernetes.io/enforce=restricted --overwrite, if all in it can"
            );
            Some(Finding::wrong(Category::Namespaces, "POD_SECURITY_LOW", subject, what, todo).note())
        }
        Err(why) => Some(unread(Category::Namespaces, &subject, why)),
    }
}

#[cfg(test)]
mod tests;
