//! The frame of all pages: where one can go, who one is, and who does not answer.

use nsq_service::build_info;

use super::visit::Visit;
use super::{assets, fmt, urls};
use crate::board::View;

/// Names in the problem strip.
const MAX_NAMED: usize = 3;

/// What all pages have.
pub(super) struct Shell {
    pub(super) css: String,
    pub(super) js: String,
    pub(super) icon: String,
    pub(super) home: String,
    pub(super) search: String,
    pub(super) topics: String,
    pub(super) q: String,
    pub(super) cluster: String,
    /// Of the strip that tells clusters apart; empty for none.
    pub(super) colour: &'static str,
    /// Of who looks.
    pub(super) role: &'static str,
    pub(super) user: String,
    /// `auto`, `light` or `dark`; `comfortable` or `compact`.
    pub(super) theme: &'static str,
    pub(super) density: &'static str,
    pub(super) pages: Vec<PageLink>,
    pub(super) more: Vec<PageLink>,
    pub(super) version: &'static str,
    pub(super) release: &'static str,
    /// Who does not answer; empty if all do.
    pub(super) problem: String,
    pub(super) details: String,
    /// How old the numbers are, and where they come from.
    pub(super) state: String,
    /// Where patches come from; empty if none come.
    pub(super) stream: String,
    /// Tells one process from another.
    pub(super) boot: String,
    /// Seconds between patches.
    pub(super) every: String,
    /// Single keys do something.
    pub(super) has_keys: bool,
    /// Seconds until a wall board loads the page anew.
    pub(super) refresh: Option<u16>,
}

pub(super) struct PageLink {
    pub(super) text: &'static str,
    pub(super) url: String,
    pub(super) is_current: bool,
}

impl Shell {
    /// The frame of the page that is called `current` in the navigation.
    pub(super) fn new(visit: &Visit, current: &str) -> Self {
        let base = visit.base.as_str();
        let link = |(text, page): (&'static str, &str)| PageLink {
            text,
            url: if page.is_empty() {
                urls::home(base)
            } else {
                urls::below(base, &[page])
            },
            is_current: text == current,
        };
        let pages = [
            ("Overview", ""),
            ("Topics", "topics"),
            ("Nodes", "nodes"),
            ("Lookup", "lookup"),
            ("Cluster", "cluster"),
        ];
        let more = [
            ("Counter", "counter"),
            ("Dead letters", "dead"),
            ("Timers", "timers"),
            ("Audit", "audit"),
            ("Settings", "settings"),
            ("Help", "help"),
        ];
        Self {
            css: assets::url(base, "app.css"),
            js: assets::url(base, "app.js"),
            icon: assets::url(base, "favicon.svg"),
            home: urls::home(base),
            search: urls::below(base, &["search"]),
            topics: urls::below(base, &["topics"]),
            q: String::new(),
            cluster: visit.cluster.clone(),
            colour: visit.colour,
            role: visit.role.text(),
            user: visit.user.clone(),
            theme: visit.prefs.theme,
            density: visit.prefs.density,
            pages: pages.into_iter().map(link).collect(),
            more: more.into_iter().map(link).collect(),
            version: build_info::VERSION,
            release: build_info::RELEASE,
            problem: problem(&visit.view),
            details: urls::below(base, &["cluster"]),
            state: state(&visit.view),
            stream: String::new(),
            boot: visit.boot.clone(),
            every: visit.view.interval.unwrap_or_default().as_secs_f64().to_string(),
            has_keys: visit.prefs.has_keys,
            refresh: visit
                .query
                .get("refresh")
                .and_then(|text| text.parse().ok())
                .filter(|n| (5..=300).contains(n)),
        }
    }
}

fn state(view: &View) -> String {
    let nodes = view.snapshot.nodes.len();
    let what = if nodes == 1 {
        "1 node".to_owned()
    } else {
        format!("{nodes} nodes")
    };
    match view.interval {
        None => format!("{what} · asked for this page"),
        Some(_) if view.snapshot.generation == 0 => "first poll running".to_owned(),
        Some(interval) => format!(
            "{what} · asked every {}{}, last round {}",
            fmt::duration(interval),
            if view.stretched.is_empty() {
                ""
            } else {
                " (stretched)"
            },
            fmt::duration(view.snapshot.round)
        ),
    }
}

fn problem(view: &View) -> String {
    let snapshot = &view.snapshot;
    let silent = snapshot.nodes.iter().filter(|node| node.trouble.is_some());
    let silent: Vec<&str> = silent.map(|node| node.key.as_str()).collect();
    let deaf = snapshot.lookupds.iter().filter(|source| source.trouble.is_some());
    let deaf: Vec<&str> = deaf.map(|source| source.address.as_str()).collect();
    let mut parts = Vec::new();
    for (names, of, what) in [
        (&silent, snapshot.nodes.len(), "nodes"),
        (&deaf, snapshot.lookupds.len(), "nsqlookupds"),
    ] {
        if !names.is_empty() {
            let more = if names.len() > MAX_NAMED {
                " and others"
            } else {
                ""
            };
            let named = names
                .iter()
                .take(MAX_NAMED)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            parts.push(format!(
                "{} of {of} {what} not answering: {named}{more}",
                names.len()
            ));
        }
    }
    if !silent.is_empty() {
        parts.push("totals are partial".to_owned());
    }
    parts.join(" · ")
}
