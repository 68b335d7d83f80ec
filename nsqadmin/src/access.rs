//! Who may act (nsqadmin spec 5).

use nsq_service::http::{Failure, Request, StatusCode};

/// What somebody may do; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// Looks.
    Viewer,
    /// Does what loses nothing: pause, unpause, create.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// As pages write it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// The rule. The header is believed as it is: the proxy in front has to strip and set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Names who asks.
    pub header: String,
    /// Who may act; empty for everybody.
    pub admins: Vec<String>,
}

impl Access {
    /// Who the header says it is.
    pub(crate) fn user<'a>(&self, request: &'a Request) -> Option<&'a str> {
        request.header(&self.header).filter(|user| !user.is_empty())
    }

    /// Lets admins through, unless a page of another site makes their browser ask. Called before the body is read.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Failure> {
        if !is_own_site(|name| request.header(name)) {
            return Err(forbidden());
        }
        if self.may_act(request) {
            return Ok(());
        }
        Err(forbidden())
    }

    /// What who asks may do.
    pub(crate) fn role(&self, request: &Request) -> Role {
        if self.may_act(request) {
            Role::Admin
        } else {
            Role::Viewer
        }
    }

    /// Whether who asks is an admin.
    pub(crate) fn may_act(&self, request: &Request) -> bool {
        let user = request.header(&self.header);
        self.admins.is_empty() || user.is_some_and(|user| self.admins.iter().any(|admin| admin == user))
    }
}

/// The refusal.
pub(crate) fn forbidden() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN")
}

/// Whether a browser says that the request comes from a page of ours (console spec 6.4, rule 1). What is no browser sends
/// neither header.
fn is_own_site<'a>(header: impl Fn(&str) -> Option<&'a str>) -> bool {
    if let Some(site) = header("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = header("origin") else {
        return true;
    };
    let host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    host.is_some_and(|host| header("host") == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_site_cannot_act() {
        for (site, origin, is_own) in [
            (None, None, true),
            (Some("same-origin"), Some("https://other"), true),
            (Some("none"), None, true),
            (Some("same-site"), Some("http://a:4171"), false),
            (Some("cross-site"), None, false),
            (Some(""), None, false),
            (None, Some("http://a:4171"), true),
            (None, Some("https://a:4171"), true),
            (None, Some("http://a"), false),
            (None, Some("http://user@a:4171"), false),
            (None, Some("http://a:4171/"), false),
            (None, Some("null"), false),
            (None, Some(""), false),
        ] {
            let header = |name: &str| match name {
                "sec-fetch-site" => site,
                "origin" => origin,
                "host" => Some("a:4171"),
                _ => None,
            };
            assert_eq!(is_own_site(header), is_own, "{site:?} {origin:?}");
        }
    }
}
