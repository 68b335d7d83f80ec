//! What a scraper wants.

use mime::Mime;

use crate::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The content type of a page.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// `OpenMetrics` where it is named, in a version that we write, and not liked less than text.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let (mut open, mut text) = (0.0, 0.0);
        for item in items(headers, &ACCEPT) {
            let Ok(kind) = item.parse::<Mime>() else { continue };
            let known = |version: Option<mime::Name<'_>>| {
                version.is_none_or(|version| matches!(version.as_str(), "0.0.1" | "1.0.0"))
            };
            let liked = quality(kind.get_param("q").map(|q| q.as_str()));
            match kind.essence_str() {
                "application/openmetrics-text" if known(kind.get_param("version")) => {
                    open = liked.max(open);
                }
                "text/plain" => text = liked.max(text),
                _ => {}
            }
        }
        if open > 0.0 && open >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// Whether the answer may be packed.
pub(super) fn wants_gzip(headers: &HeaderMap) -> bool {
    items(headers, &ACCEPT_ENCODING).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && quality(parts.find_map(|part| part.strip_prefix("q="))) > 0.0
    })
}

fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// How much something is liked, 0 to 1; what cannot be read is not liked.
fn quality(q: Option<&str>) -> f64 {
    q.map_or(1.0, |q| {
        q.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn openmetrics_is_for_those_who_name_it_and_like_it_enough() {
        let open = [
            "application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "text/plain, application/openmetrics-text; version=0.0.1",
        ];
        let text = [
            "*/*",
            "",
            "application/json",
            "application/openmetrics-text;q=0.1,text/plain",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=NaN",
            ";;,,=",
        ];
        for accept in open {
            assert_eq!(
                Format::wanted(&with(ACCEPT, accept)),
                Format::OpenMetrics,
                "{accept}"
            );
        }
        for accept in text {
            assert_eq!(Format::wanted(&with(ACCEPT, accept)), Format::Text, "{accept}");
        }
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn gzip_is_for_those_who_name_it() {
        for (value, wanted) in [
            ("gzip", true),
            ("br, GZIP;q=0.1", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("x-gzip", false),
        ] {
            assert_eq!(wants_gzip(&with(ACCEPT_ENCODING, value)), wanted, "{value}");
        }
    }
}
