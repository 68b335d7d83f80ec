//! `nsq context`: list, set, use, delete.

use std::path::PathBuf;

use serde::Serialize;

use crate::codes;
use crate::context::{Context, Contexts, Home};
use crate::listing::{Format, Row, text};
use crate::place::LOCAL;
use crate::problem::Problem;

/// What a context is made of.
#[derive(Clone, Debug, clap::Args)]
pub struct SetArgs {
    /// Name; an existing context is replaced
    name: String,
    /// HTTP addresses of nsqlookupds
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    lookupd: Vec<String>,
    /// HTTP addresses of nsqds, to ask without nsqlookupd
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    nsqd: Vec<String>,
    /// Speak TLS and believe the authorities of the system
    #[arg(long)]
    tls: bool,
    /// Speak TLS and believe this authority, a PEM file
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Certificate to show, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File with the secret for nsqds that ask for one
    #[arg(long, value_name = "FILE")]
    auth_secret_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct ContextRow {
    name: String,
    current: bool,
    lookupd: Vec<String>,
    nsqd: Vec<String>,
    tls: bool,
    auth: bool,
}

impl Row for ContextRow {
    const HEADS: &'static [&'static str] = &["NAME", "CURRENT", "NSQLOOKUPD", "NSQD", "TLS", "AUTH"];

    fn name(&self) -> String {
        self.name.clone()
    }

    fn cells(&self) -> Vec<String> {
        let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
        vec![
            self.name.clone(),
            yes(self.current),
            self.lookupd.join(","),
            self.nsqd.join(","),
            yes(self.tls),
            yes(self.auth),
        ]
    }
}

/// All contexts, the running `local` included.
///
/// # Errors
/// The file cannot be used.
pub fn list(format: Format, home: &Home) -> Result<String, Problem> {
    let Contexts { current, contexts } = home.contexts()?;
    let row = |(name, context): (String, Context)| ContextRow {
        current: current.as_ref() == Some(&name),
        name,
        lookupd: context.lookupd,
        nsqd: context.nsqd,
        tls: context.tls,
        auth: context.auth_secret_file.is_some(),
    };
    let own = contexts.contains_key(LOCAL);
    let mut rows: Vec<ContextRow> = contexts.into_iter().map(row).collect();
    if let Some(local) = home.local().filter(|_| !own) {
        rows.push(ContextRow {
            name: LOCAL.to_owned(),
            current: current.is_none(),
            lookupd: local.lookupd_http_addresses,
            nsqd: local.nsqd_http_addresses,
            tls: false,
            auth: false,
        });
    }
    text(&rows, format)
}

/// Makes or replaces a context.
///
/// # Errors
/// It has no address, or the file cannot be used.
pub fn set(args: SetArgs, home: &Home) -> Result<String, Problem> {
    if args.lookupd.is_empty() && args.nsqd.is_empty() {
        let what = format!("context {} has no address", args.name);
        let todo = "give --lookupd HOST:PORT or --nsqd HOST:PORT";
        return Err(Problem::new(codes::USAGE, what, todo));
    }
    // It is used from any folder.
    let absolute = |path: Option<PathBuf>| path.map(|path| std::path::absolute(&path).unwrap_or(path));
    let context = Context {
        lookupd: args.lookupd,
        nsqd: args.nsqd,
        tls: args.tls || args.tls_ca.is_some() || args.tls_cert.is_some(),
        tls_ca: absolute(args.tls_ca),
        tls_cert: absolute(args.tls_cert),
        tls_key: absolute(args.tls_key),
        auth_secret_file: absolute(args.auth_secret_file),
    };
    let mut contexts = home.contexts()?;
    contexts.contexts.insert(args.name.clone(), context);
    home.save(&contexts)?;
    Ok(format!(
        "context {} set; use it with nsq context use {0}",
        args.name
    ))
}

/// Makes a context the current one.
///
/// # Errors
/// It is not there, or the file cannot be used.
pub fn choose(name: &str, home: &Home) -> Result<String, Problem> {
    let mut contexts = home.contexts()?;
    if !contexts.contexts.contains_key(name) {
        return Err(missing(name));
    }
    contexts.current = Some(name.to_owned());
    home.save(&contexts)?;
    Ok(format!("context {name} is the current one"))
}

/// Deletes a context.
///
/// # Errors
/// It is not there, or the file cannot be used.
pub fn delete(name: &str, home: &Home) -> Result<String, Problem> {
    let mut contexts = home.contexts()?;
    if contexts.contexts.remove(name).is_none() {
        return Err(missing(name));
    }
    contexts.current = contexts.current.filter(|current| current != name);
    home.save(&contexts)?;
    Ok(format!("context {name} deleted"))
}

fn missing(name: &str) -> Problem {
    let what = format!("no context is called {name:?}");
    Problem::new(
        codes::CONTEXT_NOT_FOUND,
        what,
        "see those there are with `nsq context list`",
    )
}
