//! Configuration files of the daemons, as TOML with sorted keys. Source: operator spec 4.3 to 4.5.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::api::{
    AuthRequestMethod, ClientAuth, LogLevel, NsqClusterSpec, TlsMinVersion, TlsMode, snake_case,
};

/// Where the daemons' log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonLog {
    /// JSON on standard output, unless `extraOptions` say otherwise: our daemons in pods.
    Json,
    /// The daemon's own default: Go daemons, and local mode.
    Default,
}

/// Files of nsqd's TLS, as the daemon sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NsqdTlsFiles {
    /// Certificate.
    pub cert: String,
    /// Key.
    pub key: String,
    /// CA of the clients; used when the spec names one.
    pub ca: String,
}

/// Sorted keys of a TOML file with their values as TOML.
type Toml = BTreeMap<String, String>;

/// nsqd's file. `hot` holds what is applied without restart: the nsqlookupd list; with `None` that and
/// the log level are left out, which gives the content that needs a restart when it changes.
#[must_use]
pub fn nsqd_config(
    spec: &NsqClusterSpec,
    log: DaemonLog,
    tls: &NsqdTlsFiles,
    hot: Option<&[String]>,
) -> String {
    let mut file = Toml::new();
    log_keys(&mut file, log);
    let options = &spec.nsqd.options;
    typed_keys(&mut file, options);
    if let Some(list) = &options.e2e_processing_latency_percentiles {
        // As one string: the reference does not survive a list with an integer in it.
        file.insert(
            "e2e_processing_latency_percentiles".to_owned(),
            text(&list.join(",")),
        );
    }
    if let Some(statsd) = &options.statsd {
        file.insert("statsd_address".to_owned(), text(&statsd.address));
        if let Some(prefix) = &statsd.prefix {
            file.insert("statsd_prefix".to_owned(), text(prefix));
        }
        if let Some(interval) = &statsd.interval {
            file.insert("statsd_interval".to_owned(), text(interval.as_str()));
        }
    }
    tls_keys(&mut file, spec, tls);
    if !spec.auth.http_addresses.is_empty() {
        file.insert("auth_http_addresses".to_owned(), list(&spec.auth.http_addresses));
        let method = match spec.auth.request_method {
            AuthRequestMethod::Get => "get",
            AuthRequestMethod::Post => "post",
        };
        file.insert("auth_http_request_method".to_owned(), text(method));
    }
    extra_keys(&mut file, &spec.nsqd.extra_options);
    match hot {
        Some(lookupds) => {
            file.insert("nsqlookupd_tcp_addresses".to_owned(), list(lookupds));
        }
        None => {
            file.remove("log_level");
        }
    }
    write(&file)
}

/// An nsqd file that [`nsqd_config`] wrote for an older spec, with the hot options of now: what needs a restart stays as it is.
#[must_use]
pub fn with_hot_options(file: &str, lookupds: &[String], level: Option<LogLevel>) -> String {
    let lines = file.lines().filter_map(|line| line.split_once(" = "));
    let mut file: Toml = lines
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    file.insert("nsqlookupd_tcp_addresses".to_owned(), list(lookupds));
    match level {
        Some(level) => file.insert("log_level".to_owned(), text(level.as_str())),
        None => file.remove("log_level"),
    };
    write(&file)
}

/// nsqlookupd's file.
#[must_use]
pub fn lookupd_config(spec: &NsqClusterSpec, log: DaemonLog) -> String {
    let mut file = Toml::new();
    log_keys(&mut file, log);
    typed_keys(&mut file, &spec.lookupd.options);
    extra_keys(&mut file, &spec.lookupd.extra_options);
    write(&file)
}

/// nsqadmin's file. `kubernetes_cluster` is `<namespace>/<name>` for the console's Kubernetes view.
#[must_use]
pub fn admin_config(spec: &NsqClusterSpec, log: DaemonLog, kubernetes_cluster: Option<&str>) -> String {
    let mut file = Toml::new();
    log_keys(&mut file, log);
    typed_keys(&mut file, &spec.admin.options);
    if let Some(cluster) = kubernetes_cluster {
        file.insert("kubernetes_cluster".to_owned(), text(cluster));
    }
    extra_keys(&mut file, &spec.admin.extra_options);
    write(&file)
}

fn log_keys(file: &mut Toml, log: DaemonLog) {
    if log == DaemonLog::Json {
        file.insert("log_format".to_owned(), text("json"));
        file.insert("log_output".to_owned(), text("stdout"));
    }
}

/// The fields of an options block that are set, by the same words in snake case. Blocks within are
/// left to the caller.
fn typed_keys(file: &mut Toml, options: &impl Serialize) {
    let Ok(Value::Object(fields)) = serde_json::to_value(options) else {
        return;
    };
    for (field, value) in fields {
        let value = match value {
            Value::String(value) => text(&value),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Array(items) => list(
                &items
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
            ),
            Value::Null | Value::Object(_) => continue,
        };
        file.insert(snake_case(&field), value);
    }
}

fn tls_keys(file: &mut Toml, spec: &NsqClusterSpec, files: &NsqdTlsFiles) {
    let tls = &spec.tls;
    if tls.mode == TlsMode::Disabled {
        return;
    }
    file.insert("tls_cert".to_owned(), text(&files.cert));
    file.insert("tls_key".to_owned(), text(&files.key));
    let version = match tls.min_version {
        TlsMinVersion::TLS12 => "tls1.2",
        TlsMinVersion::TLS13 => "tls1.3",
    };
    file.insert("tls_min_version".to_owned(), text(version));
    if tls.mode == TlsMode::Required {
        // TCP must be TLS; plain HTTP stays open for probes, nsqadmin and the operator.
        file.insert("tls_required".to_owned(), text("tcp-https"));
    }
    if tls.ca_secret_name.is_some() {
        file.insert("tls_root_ca_file".to_owned(), text(&files.ca));
    }
    let policy = match tls.client_auth {
        ClientAuth::None => return,
        ClientAuth::Require => "require",
        ClientAuth::RequireVerify => "require-verify",
    };
    file.insert("tls_client_auth_policy".to_owned(), text(policy));
}

/// Every option type is accepted as a string, so no table of types is needed.
fn extra_keys(file: &mut Toml, extra: &BTreeMap<String, String>) {
    file.extend(extra.iter().map(|(key, value)| (key.clone(), text(value))));
}

fn write(file: &Toml) -> String {
    file.iter()
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect()
}

/// A TOML basic string. JSON's escapes are TOML's, but TOML wants DEL escaped too.
fn text(value: &str) -> String {
    Value::from(value).to_string().replace('\u{7f}', "\\u007f")
}

fn list(values: &[String]) -> String {
    let items: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("[{}]", items.join(", "))
}
