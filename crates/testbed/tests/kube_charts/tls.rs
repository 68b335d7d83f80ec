//! A cluster whose clients must use TLS.

use nsq_testbed::Cluster;
use nsq_testkit::tls::Authority;
use serde_json::json;

use crate::running::{Installed, values};

/// Helm's test goes through TLS and believes the authority of the Secret alone; who speaks in clear is refused.
#[test]
fn messages_go_through_an_installed_cluster_that_requires_tls() {
    let mut installed = Installed {
        namespace: Cluster::nodes().namespace("tls"),
        cluster: values(),
    };
    let namespace = &installed.namespace;
    let authority = Authority::new();
    let host = format!("*.demo-nsqd.{}.svc.cluster.local", namespace.name());
    let nodes = authority.issue_for(&[host]);
    let secret = |name: &str, data: serde_json::Value| {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        namespace.apply(&secret.to_string());
    };
    secret(
        "demo-tls",
        json!({"tls.crt": nodes.cert, "tls.key": nodes.key, "ca.crt": authority.cert()}),
    );
    secret("other", json!({"ca.crt": Authority::new().cert()}));

    installed.cluster["spec"]["tls"] = json!({"mode": "Required", "secretName": "demo-tls"});
    installed.operator("install", &[]);
    installed.cluster("install");
    installed.namespace.await_running("demo");
    let (passed, told) = installed.test();
    assert!(passed && told.contains("ok: 100 of 100"), "{told}");
    let mut clear = installed.namespace.connect("demo-nsqd-0");
    clear.command("SUB t c");
    clear.expect_error("E_INVALID cannot SUB in current state (TLS required)");

    installed.cluster["test"]["caSecretName"] = "other".into();
    installed.cluster("upgrade");
    let (passed, told) = installed.test();
    assert!(!passed && told.contains("certificate"), "{told}");
}
