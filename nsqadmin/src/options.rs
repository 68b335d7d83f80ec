//! Flags and config keys (nsqadmin spec 2, as far as they do something), converted once into [`Options`]. Pure.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use ipnet::IpNet;
use nsq_http_api::client::{Target, Tls};
use nsq_service::exit::Exit;
use nsq_service::flags::{Flag, Program, Values};
use nsq_service::log;
use nsq_service::tls::{self, ClientAuth, ClientSettings, MinVersion};

use crate::access::{Access, Members, Role};
use crate::api::Graphite;

/// The flag table.
pub const FLAGS: &[Flag] = &[
    Flag::config(),
    Flag::version(),
    Flag::level(
        "log-level",
        "INFO",
        "set log verbosity: debug, info, warn, error, or fatal",
    ),
    Flag::string("log-prefix", "[nsqadmin] ", "log message prefix"),
    log::FORMAT,
    log::OUTPUT,
    Flag::bool("verbose", false, "[deprecated] has no effect, use --log-level").flag_only(),
    Flag::string(
        "http-address",
        "0.0.0.0:4171",
        "<addr>:<port> to listen on for HTTP clients",
    ),
    Flag::string(
        "ops-address",
        "",
        "<addr>:<port> or a path to listen on for probes and scrapers: /ping, /livez, /ready and /metrics (default none)",
    ),
    Flag::string("base-path", "/", "URL base path"),
    Flag::int("live-max-streams", "200", "open pages that get live numbers at a time"),
    Flag::string(
        "dev-static-dir",
        "",
        "folder whose files are served below /static/ in place of those in the program, for work on them",
    ),
    Flag::string("cluster-name", "", "name of the cluster, shown on every page"),
    Flag::string(
        "cluster-colour",
        "",
        "colour of a strip on every page, so that clusters are not mistaken for each other: ok, warn, bad or info (green, yellow, red, blue)",
    ),
    Flag::string(
        "dashboard-url",
        "",
        "URL that pages link to as their dashboard, where {topic}, {channel}, {node} and {cluster} stand for names",
    ),
    Flag::duration(
        "stats-poll-interval",
        "5s",
        "time interval for asking every nsqd for its numbers; 0 to ask only when a page is looked at, without charts",
    ),
    Flag::size(
        "history-max-bytes",
        "67108864",
        "memory for what the numbers were, in bytes",
    ),
    Flag::duration("http-client-connect-timeout", "2s", "timeout for HTTP connect"),
    Flag::duration("http-client-request-timeout", "5s", "timeout for HTTP request"),
    Flag::bool(
        "http-client-tls-insecure-skip-verify",
        false,
        "configure the HTTP client to skip verification of TLS certificates",
    ),
    Flag::string(
        "http-client-tls-root-ca-file",
        "",
        "path to CA file for the HTTP client",
    ),
    Flag::string(
        "http-client-tls-cert",
        "",
        "path to certificate file for the HTTP client",
    ),
    Flag::string("http-client-tls-key", "", "path to key file for the HTTP client"),
    Flag::string(
        "graphite-url",
        "",
        "graphite HTTP address, which /api/graphite asks for rates",
    ),
    Flag::duration(
        "statsd-interval",
        "1m0s",
        "time interval nsqd is configured to push to statsd (must match nsqd)",
    ),
    Flag::string(
        "notification-http-endpoint",
        "",
        "HTTP endpoint (fully qualified) to which POST notifications of admin actions will be sent",
    ),
    Flag::string(
        "allow-config-from-cidr",
        "127.0.0.1/8",
        "A CIDR from which to allow HTTP requests to the /config endpoint",
    ),
    Flag::string(
        "acl-http-header",
        "X-Forwarded-User",
        "HTTP header to check for authenticated admin users",
    ),
    Flag::strings(
        "admin-user",
        "admin user (may be given multiple times; if specified, only these users will be able to perform privileged actions; acl-http-header is used to determine the authenticated user)",
    )
    .key("admin_users"),
    Flag::strings(
        "operator-user",
        "user who may pause, unpause and create (may be given multiple times)",
    )
    .key("operator_users"),
    Flag::strings(
        "viewer-user",
        "user who may only look (may be given multiple times)",
    )
    .key("viewer_users"),
    Flag::string(
        "acl-groups-http-header",
        "",
        "HTTP header with the groups of the authenticated user, with commas between",
    ),
    Flag::strings("admin-group", "group whose members may do everything (may be given multiple times)").key("admin_groups"),
    Flag::strings(
        "operator-group",
        "group whose members may pause, unpause and create (may be given multiple times)",
    )
    .key("operator_groups"),
    Flag::strings("viewer-group", "group whose members may only look (may be given multiple times)").key("viewer_groups"),
    Flag::string(
        "default-role",
        "",
        "role of everybody else: none, viewer, operator or admin (default admin if no user and no group has a role, else viewer)",
    ),
    Flag::string(
        "audit-log-file",
        "",
        "file that gets a JSON line before and after each action, or - for standard output; what loses something is refused while it cannot be written",
    ),
    Flag::string(
        "message-access",
        "operator",
        "lowest role that sees what is in messages: viewer, operator or admin; off for nobody",
    ),
    Flag::bool("disable-publish", false, "offer and take no messages to publish"),
    Flag::string(
        "basic-auth-file",
        "",
        "file with a line <name>:<role>:<argon2id hash> for each who may log in with a password; read anew when it changes",
    ),
    Flag::strings(
        "trusted-proxy-cidr",
        "network of proxies whose acl-http-header and acl-groups-http-header are believed (may be given multiple times; default all)",
    )
    .key("trusted_proxy_cidrs"),
    Flag::strings(
        "allowed-host",
        "name, with or without port, that browsers may ask this console by, such as admin.example; others get 421 (may be given multiple times; default any)",
    )
    .key("allowed_hosts"),
    Flag::string(
        "https-address",
        "",
        "<addr>:<port> to listen on for HTTPS clients, with tls-cert and tls-key (default none)",
    ),
    Flag::string("tls-cert", "", "path to certificate file"),
    Flag::string("tls-key", "", "path to key file"),
    Flag::string(
        "tls-client-auth-policy",
        "",
        "client certificate auth policy ('require' or 'require-verify')",
    ),
    Flag::string("tls-root-ca-file", "", "path to certificate authority file"),
    Flag::string("tls-min-version", "tls1.2", "minimum TLS version ('tls1.2' or 'tls1.3')"),
    Flag::bool("proxy-graphite", false, "hand GET /render on to graphite-url"),
    Flag::bool("read-only", false, "refuse every action, also those of the JSON API"),
    Flag::strings(
        "allowed-origin",
        "origin beside our own whose pages may send forms, such as https://admin.example (may be given multiple times)",
    )
    .key("allowed_origins"),
    Flag::strings(
        "lookupd-http-address",
        "lookupd HTTP address (may be given multiple times)",
    )
    .key("nsqlookupd_http_addresses"),
    Flag::strings(
        "nsqd-http-address",
        "nsqd HTTP address (may be given multiple times)",
    )
    .key("nsqd_http_addresses"),
];

/// What an nsqadmin runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`, port 0 for any.
    pub http_address: String,
    /// Where probes and scrapers are answered; empty for nowhere.
    pub ops_address: String,
    /// Prefix of every path: empty, or starts with a slash and does not end in one.
    pub base_path: String,
    /// What the cluster is called; empty for nothing.
    pub cluster_name: String,
    /// Of the strip that tells clusters apart; empty for none.
    pub cluster_colour: &'static str,
    /// Where dashboards are, with places for names; empty for nowhere.
    pub dashboard_url: String,
    /// Open pages that get patches.
    pub max_streams: usize,
    /// How often the cluster is looked at.
    pub polling: Polling,
    /// Where the cluster is learned from.
    pub sources: Sources,
    /// Time to connect to an upstream.
    pub connect_timeout: Duration,
    /// Time for a whole request to an upstream.
    pub request_timeout: Duration,
    /// How https upstreams are verified.
    pub tls: Tls,
    /// Where graphite is; empty for nowhere.
    pub graphite_url: String,
    /// `GET /render` is handed on to it.
    pub is_graphite_proxied: bool,
    /// How often nsqds send counters to statsd.
    pub statsd_interval: Duration,
    /// Who hears about actions; none for nobody.
    pub notify: Option<Target>,
    /// From where `/config` may be used; none for everywhere.
    pub config_from: Option<IpNet>,
    /// Who may act.
    pub access: Access,
    /// Logins of the console's own.
    pub basic_file: Option<PathBuf>,
    /// Where HTTPS is spoken, and with what; none for nowhere.
    pub https: Option<(String, tls::Settings)>,
    /// What gets a line for each action, a path or `-`; empty for nothing.
    pub audit_file: String,
    /// Whose files stand for the embedded ones; none for nobody's.
    pub static_dir: Option<PathBuf>,
    /// Pages may publish.
    pub can_publish: bool,
    /// Level, form and stream of the log.
    pub log: log::Settings,
    /// All options as they were given, for `/config`.
    pub values: Values,
}

/// How often the cluster is looked at, and what is kept of it.
#[derive(Clone, Copy, Debug)]
pub struct Polling {
    /// Zero for only when somebody asks.
    pub interval: Duration,
    /// Memory for what the numbers were.
    pub history_bytes: usize,
}

/// Where the cluster is learned from; the addresses are `host:port` of HTTP APIs and never an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// nsqlookupds, which know the nsqds.
    Lookupds(Vec<String>),
    /// nsqds by name.
    Nsqds(Vec<String>),
}

impl Options {
    /// Reads the command line and the config file it names, and checks the result.
    ///
    /// # Errors
    /// An end instead of a start, see [`Program::parse`]; also exit code 1 for options that do not fit together.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, Exit> {
        let values = Program::new("nsqadmin", FLAGS).parse(args)?;
        let log = log::Settings::of(&values)?;
        Self::new(&values, log)
            .map_err(|text| Exit::fatal("[nsqadmin] ", &format!("failed to instantiate nsqadmin - {text}")))
    }

    fn new(values: &Values, log: log::Settings) -> Result<Self, String> {
        let lookupds = values.strings("lookupd-http-address");
        let nsqds = values.strings("nsqd-http-address");
        let sources = match (lookupds.is_empty(), nsqds.is_empty()) {
            (true, true) => {
                return Err("--nsqd-http-address or --lookupd-http-address required".to_owned());
            }
            (false, false) => {
                return Err("use --nsqd-http-address or --lookupd-http-address not both".to_owned());
            }
            (false, true) => Sources::Lookupds(addresses("lookupd-http-address", lookupds)?),
            (true, false) => Sources::Nsqds(addresses("nsqd-http-address", nsqds)?),
        };
        Ok(Self {
            http_address: values.string("http-address").to_owned(),
            ops_address: values.string("ops-address").to_owned(),
            base_path: base_path(values.string("base-path")),
            cluster_name: values.string("cluster-name").to_owned(),
            cluster_colour: colour(values.string("cluster-colour"))?,
            dashboard_url: dashboard(values.string("dashboard-url"))?,
            max_streams: usize::try_from(values.int("live-max-streams")).unwrap_or(0),
            polling: Polling {
                interval: values.duration("stats-poll-interval"),
                history_bytes: usize::try_from(values.size("history-max-bytes")).unwrap_or(usize::MAX),
            },
            sources,
            connect_timeout: values.duration("http-client-connect-timeout"),
            request_timeout: values.duration("http-client-request-timeout"),
            tls: client_tls(values)?,
            graphite_url: values.string("graphite-url").to_owned(),
            statsd_interval: values.duration("statsd-interval"),
            notify: notify(values.string("notification-http-endpoint"))?,
            config_from: cidr(values.string("allow-config-from-cidr"))?,
            access: access(values)?,
            basic_file: path(values, "basic-auth-file"),
            https: https(values)?,
            is_graphite_proxied: proxied(values)?,
            audit_file: values.string("audit-log-file").to_owned(),
            static_dir: path(values, "dev-static-dir"),
            can_publish: !values.bool("disable-publish"),
            log,
            values: values.clone(),
        })
    }
}

fn access(values: &Values) -> Result<Access, String> {
    let members = |role, users, groups| {
        let members = Members {
            users: values.strings(users).to_vec(),
            groups: values.strings(groups).to_vec(),
        };
        (role, members)
    };
    let members = [
        members(Role::Viewer, "viewer-user", "viewer-group"),
        members(Role::Operator, "operator-user", "operator-group"),
        members(Role::Admin, "admin-user", "admin-group"),
    ];
    let trusted: Result<Vec<IpNet>, String> = values
        .strings("trusted-proxy-cidr")
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error| format!("failed to parse --trusted-proxy-cidr ({text}) - {error}"))
        })
        .collect();
    let has_logins = !values.string("basic-auth-file").is_empty();
    let is_open = !has_logins && members.iter().all(|(_, members)| *members == Members::default());
    let default = match values.string("default-role") {
        "" if is_open => Role::Admin,
        "" => Role::Viewer,
        text => Role::of(text).ok_or_else(|| {
            format!("failed to parse --default-role ({text}) - one of none, viewer, operator and admin")
        })?,
    };
    Ok(Access {
        header: values.string("acl-http-header").to_owned(),
        groups_header: values.string("acl-groups-http-header").to_owned(),
        members,
        default,
        is_read_only: values.bool("read-only"),
        origins: values.strings("allowed-origin").to_vec(),
        trusted: trusted?,
        hosts: values.strings("allowed-host").to_vec(),
        bodies: bodies(values.string("message-access"))?,
    })
}

/// The lowest role that sees bodies; none for nobody.
fn bodies(text: &str) -> Result<Option<Role>, String> {
    let role = Role::of(text).filter(|role| *role > Role::None);
    match (text, role) {
        ("off", _) => Ok(None),
        (_, Some(role)) => Ok(Some(role)),
        _ => Err(format!(
            "failed to parse --message-access ({text}) - one of off, viewer, operator and admin"
        )),
    }
}

/// The file that an option names; none if it is empty.
fn path(values: &Values, name: &str) -> Option<PathBuf> {
    Some(values.string(name))
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
}

fn colour(text: &str) -> Result<&'static str, String> {
    let known = ["", "ok", "warn", "bad", "info"]
        .into_iter()
        .find(|own| *own == text);
    known.ok_or_else(|| format!("failed to parse --cluster-colour ({text}) - one of ok, warn, bad and info"))
}

/// Nothing but a page of the web: a link is clicked.
fn dashboard(url: &str) -> Result<String, String> {
    if url.is_empty() || url.starts_with("http://") || url.starts_with("https://") {
        Ok(url.to_owned())
    } else {
        Err(format!(
            "failed to parse --dashboard-url ({url}) - not an http or https URL"
        ))
    }
}

fn https(values: &Values) -> Result<Option<(String, tls::Settings)>, String> {
    let address = values.string("https-address");
    let (cert, key) = match (path(values, "tls-cert"), path(values, "tls-key")) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if address.is_empty() => return Ok(None),
        (None, None) => return Err("--https-address needs --tls-cert and --tls-key".to_owned()),
        _ => return Err("--tls-cert and --tls-key go together".to_owned()),
    };
    if address.is_empty() {
        return Err("--tls-cert and --tls-key need --https-address, where they are used".to_owned());
    }
    let policy = values.string("tls-client-auth-policy");
    if !["", "require", "require-verify"].contains(&policy) {
        return Err(format!(
            "failed to parse --tls-client-auth-policy ({policy}) - one of require and require-verify"
        ));
    }
    let settings = tls::Settings {
        cert,
        key,
        client_auth: ClientAuth::parse(policy),
        root_ca: path(values, "tls-root-ca-file"),
        min_version: match values.string("tls-min-version") {
            "tls1.2" => MinVersion::Tls12,
            "tls1.3" => MinVersion::Tls13,
            text => {
                return Err(format!(
                    "failed to parse --tls-min-version ({text}) - one of tls1.2 and tls1.3"
                ));
            }
        },
    };
    Ok(Some((address.to_owned(), settings)))
}

fn proxied(values: &Values) -> Result<bool, String> {
    let graphite = Graphite {
        url: values.string("graphite-url").to_owned(),
        interval: 0,
        is_proxied: values.bool("proxy-graphite"),
    };
    if graphite.is_proxied && graphite.root().is_none() {
        let url = values
            .string("graphite-url")
            .rsplit('@')
            .next()
            .unwrap_or_default();
        return Err(format!(
            "failed to parse --graphite-url ({url}) - not an http or https URL"
        ));
    }
    Ok(graphite.is_proxied)
}

fn notify(url: &str) -> Result<Option<Target>, String> {
    if url.is_empty() {
        return Ok(None);
    }
    let target = Target::parse(url);
    let text = || format!("failed to parse --notification-http-endpoint ({url}) - not an http or https URL");
    target.map(Some).ok_or_else(text)
}

/// As in Go, an address with a prefix stands for its network.
fn cidr(text: &str) -> Result<Option<IpNet>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let net: Result<IpNet, _> = text.parse();
    net.map(Some)
        .map_err(|error| format!("failed to parse --allow-config-from-cidr ({text}) - {error}"))
}

/// Files that are named are read now, so that a wrong one prevents the start; the roots of the system only when needed.
fn client_tls(values: &Values) -> Result<Tls, String> {
    let file = |flag| Some(values.string(flag)).filter(|path| !path.is_empty());
    let identity = match (file("http-client-tls-cert"), file("http-client-tls-key")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert, key)),
        (Some(_), None) => {
            return Err("--http-client-tls-key must be specified with --http-client-tls-cert".to_owned());
        }
        (None, Some(_)) => {
            return Err("--http-client-tls-cert must be specified with --http-client-tls-key".to_owned());
        }
    };
    let ca = file("http-client-tls-root-ca-file");
    let roots = ClientSettings {
        root_ca: ca.map(Into::into),
        skip_verify: values.bool("http-client-tls-insecure-skip-verify"),
        ..ClientSettings::default()
    };
    if let Some(ca) = ca {
        let loaded = ClientSettings {
            skip_verify: false,
            ..roots.clone()
        };
        let loaded = loaded.load();
        loaded.map_err(|error| format!("failed to read TLS root CA file {ca} - {error}"))?;
    }
    let Some((cert, key)) = identity else {
        let read = OnceLock::new();
        return Ok(Tls::new(move || read.get_or_init(|| roots.load()).clone()));
    };
    let settings = ClientSettings {
        identity: Some((cert.into(), key.into())),
        ..roots
    };
    let config = settings.load();
    let config = config.map_err(|error| format!("failed to LoadX509KeyPair {cert}, {key} - {error}"))?;
    Ok(Tls::from(config))
}

/// Only the form is checked: a name that does not resolve now may do so later, and shows as unreachable until then.
fn addresses(flag: &str, list: &[String]) -> Result<Vec<String>, String> {
    for address in list {
        let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host_fits = bare.is_some() || (!host.is_empty() && !host.contains([':', '/']));
            host_fits && port.parse::<u16>().is_ok()
        });
        if !valid {
            return Err(format!(
                "failed to resolve --{flag} ({address}) - not <host>:<port>"
            ));
        }
    }
    Ok(list.to_vec())
}

fn base_path(text: &str) -> String {
    let segments = text
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".");
    segments.map(|segment| format!("/{segment}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, Exit> {
        Options::from_args(args.iter().map(|arg| (*arg).to_owned()))
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let options = options(&["--lookupd-http-address=a:4161"]).unwrap();
        assert_eq!(options.http_address, "0.0.0.0:4171");
        assert_eq!(options.base_path, "");
        assert_eq!(options.sources, Sources::Lookupds(vec!["a:4161".to_owned()]));
        assert_eq!(
            (
                options.connect_timeout.as_secs(),
                options.request_timeout.as_secs()
            ),
            (2, 5)
        );
    }

    #[test]
    fn exactly_one_kind_of_source_is_needed() {
        for (args, text) in [
            (&[][..], "--nsqd-http-address or --lookupd-http-address required"),
            (
                &["--lookupd-http-address=a:1", "--nsqd-http-address=b:1"],
                "use --nsqd-http-address or --lookupd-http-address not both",
            ),
            (
                &["--nsqd-http-address=http://h:1"],
                "failed to resolve --nsqd-http-address (http://h:1) - ",
            ),
            (
                &["--lookupd-http-address=h"],
                "failed to resolve --lookupd-http-address (h) - ",
            ),
            (
                &["--lookupd-http-address=::1:4161"],
                "failed to resolve --lookupd-http-address (::1:4161) - ",
            ),
        ] {
            let exit = options(args).unwrap_err();
            assert_eq!(exit.code, 1);
            let expected = format!("FATAL: failed to instantiate nsqadmin - {text}");
            assert!(exit.stderr.contains(&expected), "{}", exit.stderr);
        }
        assert!(options(&["--nsqd-http-address=[::1]:4151"]).is_ok());
    }

    #[test]
    fn the_base_path_is_normalised() {
        for (given, expected) in [
            ("", ""),
            ("/", ""),
            ("nsq", "/nsq"),
            ("/adm//in/", "/adm/in"),
            ("./x", "/x"),
        ] {
            assert_eq!(base_path(given), expected);
        }
    }
}
