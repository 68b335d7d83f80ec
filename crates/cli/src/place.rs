//! Where the cluster is: from a flag, the environment, a context, a running `local`, or this machine, in this order. Pure.

use std::path::PathBuf;

use nsq_operator::localworld::Whereabouts;

use crate::codes;
use crate::context::{Context, Contexts};
use crate::problem::Problem;

/// nsqlookupd on this machine.
const LOOKUPD: &str = "127.0.0.1:4161";
/// nsqd on this machine.
const NSQD: &str = "127.0.0.1:4151";

/// Name of the context that a running `local` makes.
pub const LOCAL: &str = "local";

/// The flags that every verb has.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Where the cluster is")]
pub struct PlaceFlags {
    /// HTTP addresses of nsqlookupds [env: NSQ_LOOKUPD]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub lookupd: Vec<String>,
    /// HTTP addresses of nsqds, to ask without nsqlookupd [env: NSQ_NSQD]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub nsqd: Vec<String>,
    /// Addresses, TLS and secret of this name [env: NSQ_CONTEXT]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Speak TLS and believe this authority, a PEM file [env: NSQ_TLS_CA]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

/// What the environment says about it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NSQ_LOOKUPD`.
    pub lookupd: Vec<String>,
    /// `NSQ_NSQD`.
    pub nsqd: Vec<String>,
    /// `NSQ_CONTEXT`.
    pub context: Option<String>,
    /// `NSQ_TLS_CA`.
    pub tls_ca: Option<PathBuf>,
}

impl Environment {
    /// Reads the variables of the process, by `get`.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|text| !text.is_empty());
        let list = |name: &str| -> Vec<String> {
            let text = get(name).unwrap_or_default();
            text.split([',', ' '])
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        Self {
            lookupd: list("NSQ_LOOKUPD"),
            nsqd: list("NSQ_NSQD"),
            context: get("NSQ_CONTEXT"),
            tls_ca: get("NSQ_TLS_CA").map(PathBuf::from),
        }
    }
}

/// Where the cluster is, and who said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Addresses, TLS and secret.
    pub context: Context,
    /// Who named the addresses, as errors say it.
    pub origin: String,
    /// Nobody named them: one of the two may well be missing.
    pub guessed: bool,
}

/// Decides. `local` is what a running `local` has told.
///
/// # Errors
/// The context that was named is not there.
pub fn decide(
    flags: &PlaceFlags,
    environment: &Environment,
    contexts: &Contexts,
    local: Option<&Whereabouts>,
) -> Result<Place, Problem> {
    let mut place = addresses(flags, environment, contexts, local)?;
    if let Some(file) = flags.tls_ca.as_ref().or(environment.tls_ca.as_ref()) {
        place.context.tls_ca = Some(file.clone());
        place.context.tls = true;
    }
    Ok(place)
}

fn addresses(
    flags: &PlaceFlags,
    environment: &Environment,
    contexts: &Contexts,
    local: Option<&Whereabouts>,
) -> Result<Place, Problem> {
    if !flags.lookupd.is_empty() || !flags.nsqd.is_empty() {
        return Ok(given(&flags.lookupd, &flags.nsqd, "the flags"));
    }
    if let Some(name) = &flags.context {
        return of_context(contexts, local, name, "--context");
    }
    if !environment.lookupd.is_empty() || !environment.nsqd.is_empty() {
        let origin = "NSQ_LOOKUPD and NSQ_NSQD";
        return Ok(given(&environment.lookupd, &environment.nsqd, origin));
    }
    if let Some(name) = &environment.context {
        return of_context(contexts, local, name, "NSQ_CONTEXT");
    }
    if let Some(name) = &contexts.current {
        return of_context(contexts, local, name, "`nsq context use`");
    }
    if let Some(local) = local {
        return Ok(running(local));
    }
    let origin = "the default: no flag, NSQ_LOOKUPD, context or running `nsq local` names another";
    Ok(Place {
        guessed: true,
        ..given(&[LOOKUPD.to_owned()], &[NSQD.to_owned()], origin)
    })
}

fn given(lookupd: &[String], nsqd: &[String], origin: &str) -> Place {
    Place {
        context: Context {
            lookupd: lookupd.to_vec(),
            nsqd: nsqd.to_vec(),
            ..Context::default()
        },
        origin: origin.to_owned(),
        guessed: false,
    }
}

fn running(local: &Whereabouts) -> Place {
    let origin = format!("the running `nsq local` (pid {})", local.pid);
    let (lookupd, nsqd) = (&local.lookupd_http_addresses, &local.nsqd_http_addresses);
    let nsqd = if lookupd.is_empty() { nsqd.as_slice() } else { &[] };
    given(lookupd, nsqd, &origin)
}

fn of_context(
    contexts: &Contexts,
    local: Option<&Whereabouts>,
    name: &str,
    by: &str,
) -> Result<Place, Problem> {
    let found = contexts.contexts.get(name);
    if let (None, LOCAL, Some(local)) = (found, name, local) {
        return Ok(running(local));
    }
    let context = found.cloned().ok_or_else(|| {
        let known: Vec<&str> = contexts.contexts.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        let what = format!("no context is called {name:?}: {known}");
        let todo = format!("make it with `nsq context set {name} --lookupd HOST:PORT`");
        Problem::new(codes::CONTEXT_NOT_FOUND, what, todo).at(by)
    })?;
    Ok(Place {
        context,
        origin: format!("context {name}"),
        guessed: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(address: &str) -> Vec<String> {
        vec![address.to_owned()]
    }

    fn contexts() -> Contexts {
        let mut contexts = Contexts::default();
        for name in ["work", "home"] {
            let context = Context {
                lookupd: one(name),
                ..Context::default()
            };
            contexts.contexts.insert(name.to_owned(), context);
        }
        contexts
    }

    #[test]
    fn flag_then_environment_then_context_then_local_then_this_machine() {
        let mut flags = PlaceFlags {
            lookupd: one("flag"),
            ..PlaceFlags::default()
        };
        let mut environment = Environment::read(|name| match name {
            "NSQ_LOOKUPD" => Some("env".to_owned()),
            "NSQ_CONTEXT" => Some("work".to_owned()),
            _ => None,
        });
        let mut contexts = contexts();
        contexts.current = Some("home".to_owned());
        let local = Whereabouts {
            pid: 7,
            lookupd_http_addresses: one("local"),
            nsqd_http_addresses: one("node"),
            ..Whereabouts::default()
        };
        let mut expect = |lookupd: &str, step: u8| {
            match step {
                1 => flags.lookupd.clear(),
                2 => environment.lookupd.clear(),
                3 => environment.context = None,
                4 => contexts.current = None,
                _ => {}
            }
            let place = decide(&flags, &environment, &contexts, Some(&local)).unwrap();
            assert_eq!(place.context.lookupd, one(lookupd), "{}", place.origin);
        };
        expect("flag", 0);
        expect("env", 1);
        expect("work", 2);
        expect("home", 3);
        expect("local", 4);
        let place = decide(&flags, &environment, &contexts, None).unwrap();
        assert!(place.guessed);
        assert_eq!(place.context.nsqd, one(NSQD));
    }

    #[test]
    fn a_context_that_is_not_there_is_told_with_those_that_are() {
        let flags = PlaceFlags {
            context: Some("wrok".to_owned()),
            ..PlaceFlags::default()
        };
        let problem = decide(&flags, &Environment::default(), &contexts(), None).unwrap_err();
        assert_eq!(problem.code, codes::CONTEXT_NOT_FOUND);
        assert!(problem.to_string().contains("there are home, work"), "{problem}");
    }
}
