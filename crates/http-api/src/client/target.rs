//! Where a request goes.

use std::fmt;

use hyper::Uri;

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) https: bool,
    /// `host:port`, or `host` alone for the usual port.
    pub(super) authority: String,
    /// Path and query, percent-encoded.
    pub(super) path: String,
}

impl Target {
    /// `http://<authority><path>`. `path` may have a query; what it contains must be percent-encoded.
    #[must_use]
    pub fn http(authority: &str, path: &str) -> Self {
        Self {
            https: false,
            authority: authority.to_owned(),
            path: path.to_owned(),
        }
    }

    /// Reads an `http://` or `https://` URL; none if it is not one, or names a user.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let https = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let root = if path.starts_with('/') { "" } else { "/" };
        (!authority.contains('@')).then(|| Self {
            https,
            authority: authority.to_owned(),
            path: format!("{root}{path}"),
        })
    }

    /// The same on this port over https; none if that is no port, or if this is https already.
    pub(super) fn over_https(&self, port: i64) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
        (!self.https).then(|| Self {
            https: true,
            authority: format!("{}:{port}", self.host()),
            path: self.path.clone(),
        })
    }

    /// The name or address, in brackets if it has colons.
    pub(super) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => &self.authority,
        }
    }

    /// What to connect to.
    pub(super) fn address(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        if self.host().len() < self.authority.len() {
            self.authority.clone()
        } else {
            format!("{}:{usual}", self.authority)
        }
    }
}

impl fmt::Display for Target {
    /// The URL without its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://[::1]:8443/a/b?c=d%20e").unwrap();
        assert_eq!(
            (target.address().as_str(), target.host(), target.path.as_str()),
            ("[::1]:8443", "[::1]", "/a/b?c=d%20e")
        );
        assert_eq!(target.to_string(), "https://[::1]:8443/a/b");
        assert_eq!(target.over_https(1), None);
        for (url, address, path) in [
            ("http://host", "host:80", "/"),
            ("https://host?q", "host:443", "/?q"),
            ("https://[::1]/x", "[::1]:443", "/x"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.address().as_str(), target.path.as_str()),
                (address, path),
                "{url}"
            );
        }
        for url in [
            "ftp://host/",
            "host:4151",
            "/path",
            "http://user:secret@host/",
            "http://",
        ] {
            assert_eq!(Target::parse(url), None, "{url}");
        }
    }

    #[test]
    fn a_server_that_wants_https_is_asked_on_its_port() {
        let target = Target::http("[::1]:4161", "/channels?topic=t");
        let secured = target.over_https(4162).unwrap();
        assert_eq!(
            secured,
            Target::parse("https://[::1]:4162/channels?topic=t").unwrap()
        );
        for port in [0, -1, 65_536] {
            assert_eq!(target.over_https(port), None, "{port}");
        }
    }
}
