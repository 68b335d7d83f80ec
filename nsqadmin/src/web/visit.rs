//! Who looks at what: all that a page is made of, so that the same page can be made again for a patch.

use std::sync::Arc;

use nsq_service::http::{Failure, Query, Request};

use super::page::{Act, Page};
use super::place::Place;
use super::shell::Shell;
use super::urls;
use crate::Shared;
use crate::access::{Identity, Role};
use crate::board::View;
use crate::model::{History, Metric, Of, Point};

/// Seconds that charts can cover.
pub(super) const RANGES: [(&str, i64); 8] = [
    ("15m", 900),
    ("1h", 3_600),
    ("2h", 7_200),
    ("6h", 21_600),
    ("12h", 43_200),
    ("24h", 86_400),
    ("48h", 172_800),
    ("168h", 604_800),
];

/// What a browser remembers for its user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefs {
    pub(super) theme: &'static str,
    pub(super) density: &'static str,
    /// Single keys do something.
    pub(super) has_keys: bool,
}

pub(super) const THEMES: [&str; 3] = ["auto", "light", "dark"];
pub(super) const DENSITIES: [&str; 2] = ["comfortable", "compact"];

impl Prefs {
    pub(super) fn of(request: &Request) -> Self {
        let cookie = request.header("cookie").unwrap_or_default();
        let get = |name: &str| {
            let mut pairs = cookie.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
        };
        let one_of = |all: &[&'static str], name: &str| {
            let value = get(name);
            let known = all.iter().find(|own| value == Some(**own)).or(all.first());
            known.copied().unwrap_or_default()
        };
        Self {
            theme: one_of(&THEMES, "nsqadmin_theme"),
            density: one_of(&DENSITIES, "nsqadmin_density"),
            has_keys: get("nsqadmin_keys") != Some("off"),
        }
    }
}

/// One look at one page.
pub(super) struct Visit {
    pub(super) view: Arc<View>,
    pub(super) base: String,
    pub(super) cluster: String,
    pub(super) colour: &'static str,
    /// Where dashboards are, with places for names; empty for nowhere.
    pub(super) dashboard: String,
    pub(super) role: Role,
    pub(super) user: String,
    /// Nobody acts.
    pub(super) is_read_only: bool,
    /// Open pages that get patches, in all.
    pub(super) streams: usize,
    pub(super) prefs: Prefs,
    pub(super) query: Query,
    pub(super) place: Place,
    /// Of this process.
    pub(super) boot: String,
}

impl Visit {
    /// Of a request for one of our pages.
    pub(super) fn of(shared: &Shared, request: &Request, view: Arc<View>) -> Result<Self, Failure> {
        let Identity { user, role } = Identity::of(request);
        Ok(Self::new(
            shared,
            view,
            request.path(),
            request.query()?,
            (role, user),
            Prefs::of(request),
        ))
    }

    /// Of the page at `path`.
    pub(super) fn new(
        shared: &Shared,
        view: Arc<View>,
        path: &str,
        query: Query,
        (role, user): (Role, String),
        prefs: Prefs,
    ) -> Self {
        Self {
            view,
            base: shared.base_path.clone(),
            cluster: shared.cluster_name.clone(),
            colour: shared.cluster_colour,
            dashboard: shared.dashboard_url.clone(),
            role,
            user,
            is_read_only: shared.access.is_read_only,
            streams: shared.live.open(),
            prefs,
            place: Place::new(url_of(path), &query),
            query,
            boot: shared.live.boot().to_owned(),
        }
    }

    /// A page with nothing on it yet, called `current` in the navigation.
    pub(super) fn page(&self, current: &'static str, title: impl Into<String>) -> Page {
        Page::new(Shell::new(self, current), title)
    }

    /// The page as it is shown with patches, if they come.
    pub(super) fn live(&self, mut page: Page) -> Page {
        if self.view.interval.is_some() {
            let view = nsq_service::http::encode_component(&self.place.with(&[]));
            page.shell.stream = format!("{}?view={view}", self.url(&["stream"]));
        }
        page
    }

    /// The dashboard about these, if there are dashboards.
    pub(super) fn dashboard(&self, topic: &str, channel: &str, node: &str) -> Option<Act> {
        if self.dashboard.is_empty() {
            return None;
        }
        let pairs = [
            ("{topic}", topic),
            ("{channel}", channel),
            ("{node}", node),
            ("{cluster}", &self.cluster),
        ];
        let url = pairs.iter().fold(self.dashboard.clone(), |url, (place, name)| {
            url.replace(place, &nsq_service::http::encode_component(name))
        });
        Some(Act {
            text: "Dashboard".to_owned(),
            url,
            loses: false,
        })
    }

    pub(super) fn url(&self, segments: &[&str]) -> String {
        urls::below(&self.base, segments)
    }

    /// What somebody chose is to be written into a file instead of shown: all rows, not one page of them.
    pub(super) fn is_export(&self) -> bool {
        matches!(self.query.get("format"), Some("csv" | "json"))
    }

    /// Seconds that the charts cover; none for no charts. `default` is one of [`RANGES`].
    pub(super) fn range(&self, default: &'static str) -> Option<i64> {
        self.view.interval?;
        let chosen = self.place.get("t");
        if chosen == "off" {
            return None;
        }
        let seconds = |name: &str| {
            RANGES
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, seconds)| *seconds)
        };
        seconds(chosen).or_else(|| seconds(default))
    }

    /// The ranges, with whether each is chosen and the page with it.
    pub(super) fn ranges(&self, default: &'static str) -> Vec<(&'static str, bool, String)> {
        if self.view.interval.is_none() {
            return Vec::new();
        }
        let chosen = self.place.get("t");
        let is_known = chosen == "off" || RANGES.iter().any(|(name, _)| *name == chosen);
        let current = if is_known { chosen } else { default };
        let names = RANGES.iter().map(|(name, _)| *name).chain(std::iter::once("off"));
        names
            .map(|name| {
                let value = if name == default { "" } else { name };
                (name, name == current, self.place.with(&[("t", value)]))
            })
            .collect()
    }

    pub(super) fn history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.view.history.read())
    }

    /// The points of the last quarter of an hour, few enough for a sparkline.
    pub(super) fn trend(&self, of: Of<'_>, metric: Metric) -> Vec<Point> {
        self.history(|history| history.points(of, metric, 900, self.view.snapshot.at, 30))
    }
}

/// A decoded path as a URL.
fn url_of(path: &str) -> String {
    let segments: Vec<_> = path.split('/').map(nsq_service::http::encode_component).collect();
    segments.join("/")
}
