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

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The role of this name.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.text() == text)
    }
}

/// Who has a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    /// Names of people.
    pub(crate) users: Vec<String>,
    /// Names of their groups.
    pub(crate) groups: Vec<String>,
}

/// The rule. Headers are believed as they are: the proxy in front has to strip and set them.
#[derive(Clone, Debug)]
pub struct Access {
    /// Names who asks.
    pub(crate) header: String,
    /// Names the groups of who asks, with commas between; empty for no groups.
    pub(crate) groups_header: String,
    /// Of each role.
    pub(crate) members: [(Role, Members); 3],
    /// Of everybody else.
    pub(crate) default: Role,
    /// Nobody acts.
    pub(crate) is_read_only: bool,
    /// Sites beside our own whose pages may send forms, such as `https://admin.example`.
    pub(crate) origins: Vec<String>,
}

impl Access {
    /// Who the header says it is.
    pub(crate) fn user<'a>(&self, request: &'a Request) -> Option<&'a str> {
        request.header(&self.header).filter(|user| !user.is_empty())
    }

    /// Lets who has at least `needed` through, unless a page of another site makes their browser ask. Called before the body is
    /// read.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub(crate) fn check(&self, request: &Request, needed: Role) -> Result<(), Failure> {
        if self.role(request) >= needed
            && is_own_site(|name| request.header(name), &self.origins)
            && !self.is_read_only
        {
            return Ok(());
        }
        Err(forbidden())
    }

    /// What who asks may do: the highest of their roles.
    pub(crate) fn role(&self, request: &Request) -> Role {
        if self.is_read_only {
            return Role::Viewer;
        }
        let groups = request
            .header(&self.groups_header)
            .filter(|_| !self.groups_header.is_empty());
        self.role_of(request.header(&self.header), groups.unwrap_or_default())
    }

    fn role_of(&self, user: Option<&str>, groups: &str) -> Role {
        let groups: Vec<&str> = groups
            .split(',')
            .map(str::trim)
            .filter(|group| !group.is_empty())
            .collect();
        let has = |members: &Members| {
            user.is_some_and(|user| members.users.iter().any(|own| own == user))
                || members.groups.iter().any(|own| groups.contains(&own.as_str()))
        };
        let own = self
            .members
            .iter()
            .filter(|(_, members)| has(members))
            .map(|(role, _)| *role);
        own.max().unwrap_or(self.default)
    }
}

/// The refusal.
pub(crate) fn forbidden() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN")
}

/// Whether a browser says that the request comes from a page of ours (console spec 6.4, rule 1). What is no browser sends
/// neither header.
fn is_own_site<'a>(header: impl Fn(&str) -> Option<&'a str>, origins: &[String]) -> bool {
    if header("origin").is_some_and(|origin| origins.iter().any(|own| own == origin)) {
        return true;
    }
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
            assert_eq!(is_own_site(header, &[]), is_own, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn another_origin_that_was_allowed_can_act() {
        let header = |name: &str| match name {
            "sec-fetch-site" => Some("cross-site"),
            "origin" => Some("https://admin.example"),
            _ => Some("a:4171"),
        };
        assert!(is_own_site(header, &["https://admin.example".to_owned()]));
        assert!(!is_own_site(header, &["https://admin.example.evil".to_owned()]));
    }

    /// Console spec 11: groups map to roles, and the highest wins.
    #[test]
    fn the_highest_role_of_user_and_groups_wins() {
        let members = |user: &str, group: &str| Members {
            users: vec![user.to_owned()],
            groups: vec![group.to_owned()],
        };
        let access = Access {
            header: "X-Forwarded-User".to_owned(),
            groups_header: "X-Groups".to_owned(),
            members: [
                (Role::Viewer, members("vera", "staff")),
                (Role::Operator, members("olga", "ops")),
                (Role::Admin, members("ann", "root")),
            ],
            default: Role::Viewer,
            is_read_only: false,
            origins: Vec::new(),
        };
        for (user, groups, role) in [
            (None, "", Role::Viewer),
            (Some("ann"), "", Role::Admin),
            (Some("Ann"), "", Role::Viewer),
            (Some("olga"), "staff, root", Role::Admin),
            (Some("vera"), "ops", Role::Operator),
            (Some("nobody"), "staff,ops", Role::Operator),
            (None, "opsx", Role::Viewer),
        ] {
            assert_eq!(access.role_of(user, groups), role, "{user:?} {groups}");
        }
    }
}
