//! Who may look, and who may act (nsqadmin spec 5, console spec 6).

mod basic;
mod gate;

pub(crate) use basic::Basic;
pub(crate) use gate::gate;
use ipnet::IpNet;
use nsq_service::http::{Failure, Request, StatusCode};
use nsq_service::listen::Peer;

/// What somebody may do; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// Not even looks.
    None,
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
            Self::None => "none",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Viewer, Self::Operator, Self::Admin];

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

/// Who asks, as the door found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Empty for nobody that is known.
    pub(crate) user: String,
    pub(crate) role: Role,
}

/// The rule. Headers are believed as they are, or from trusted proxies only: the proxy in front has to strip and set them.
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
    /// Peers whose headers say who somebody is; none for everybody.
    pub(crate) trusted: Vec<IpNet>,
    /// Names that the console is asked by; none for any.
    pub(crate) hosts: Vec<String>,
    /// The lowest that sees what is in messages; none for nobody.
    pub(crate) bodies: Option<Role>,
}

impl Access {
    /// Who the headers say it is, if they are believed.
    fn of_headers(&self, request: &Request) -> Identity {
        if !self.trusts(request.peer()) {
            return Identity {
                user: String::new(),
                role: self.default,
            };
        }
        let user = request.header(&self.header).filter(|user| !user.is_empty());
        let groups = request
            .header(&self.groups_header)
            .filter(|_| !self.groups_header.is_empty());
        Identity {
            user: user.unwrap_or_default().to_owned(),
            role: self.role_of(user, groups.unwrap_or_default()),
        }
    }

    /// Who comes through a socket in the file system was let to it.
    fn trusts(&self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp(address) => {
                self.trusted.is_empty() || self.trusted.iter().any(|net| net.contains(&address.ip()))
            }
            Peer::Unix => true,
        }
    }

    /// Whether a `Host` is one of ours. A port stands there or not, as the browser has it.
    fn is_host(&self, host: &str) -> bool {
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
            _ => host,
        };
        let fits = |own: &String| own.eq_ignore_ascii_case(host) || own.eq_ignore_ascii_case(bare);
        self.hosts.is_empty() || self.hosts.iter().any(fits)
    }

    /// Whether somebody sees what is in messages.
    pub(crate) fn sees_bodies(&self, role: Role) -> bool {
        self.bodies.is_some_and(|needed| role >= needed)
    }

    /// Everybody's headers are believed.
    pub(crate) fn trusts_all(&self) -> bool {
        self.trusted.is_empty()
    }

    /// Roles are given to somebody by headers.
    pub(crate) fn has_members(&self) -> bool {
        self.members
            .iter()
            .any(|(_, members)| *members != Members::default())
    }

    /// Lets who has at least `needed` through, unless a page of another site makes their browser ask. Called before the body is
    /// read.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub(crate) fn check(&self, request: &Request, needed: Role) -> Result<(), Failure> {
        if Identity::of(request).role >= needed
            && is_own_site(|name| request.header(name), &self.origins)
            && !self.is_read_only
        {
            return Ok(());
        }
        Err(forbidden())
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

impl Identity {
    /// What the door attached; nobody, if it was not asked.
    pub(crate) fn of(request: &Request) -> Self {
        let known = request.attached::<Self>().cloned();
        known.unwrap_or(Self {
            user: String::new(),
            role: Role::None,
        })
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
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            hosts: vec!["admin.example".to_owned(), "[::1]:4171".to_owned()],
            bodies: None,
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
        for (peer, is_trusted) in [("10.9.9.9:1", true), ("11.0.0.1:1", false), ("[::1]:1", false)] {
            assert_eq!(
                access.trusts(Peer::Tcp(peer.parse().unwrap())),
                is_trusted,
                "{peer}"
            );
        }
        for (host, is_ours) in [
            ("admin.example", true),
            ("Admin.Example:4171", true),
            ("[::1]:4171", true),
            ("[::1]", false),
            ("evil.example", false),
            ("admin.example.evil:80", false),
            ("", false),
        ] {
            assert_eq!(access.is_host(host), is_ours, "{host}");
        }
    }
}
