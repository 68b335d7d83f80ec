//! Certificates that change while the daemon runs: cases EX-104 and EX-105.

use nsq_testkit::tls::{self, Authority};
use nsq_testkit::{Daemon, eventually, ours_only};
use std::path::Path;
use std::time::Duration;

use crate::{Files, lets_in, secured};

#[test]
fn ex_104_a_new_certificate_is_taken_while_the_old_connections_go_on() {
    if ours_only("X certificates, keys and CAs") {
        return;
    }
    let files = Files::new();
    let daemon = files.launch().start();
    let seen = || peer_of(&daemon);
    let first = seen();
    let mut before = secured(&daemon, &tls::client());
    swap(&files, |folder| {
        files.authority.issue("renewed").write(folder);
    });
    eventually(Duration::from_secs(13), || seen() != first);
    before.publish("t", b"over the old connection");
    let renewed = seen();
    swap(&files, |folder| {
        std::fs::write(folder.join("tls.crt"), "garbage").unwrap();
    });
    daemon.expect_log("TLS: the old certificate stays");
    assert_eq!(seen(), renewed);
}

/// Replaces the files the way Kubernetes does: a new folder, and one rename of a link to it. The first time, the files
/// themselves become links.
fn swap(files: &Files, write: impl FnOnce(&Path)) {
    let folder = files.folder.path();
    let version = tempfile::tempdir_in(folder).unwrap().keep();
    for name in ["tls.crt", "tls.key"] {
        std::fs::copy(folder.join(name), version.join(name)).unwrap();
    }
    write(&version);
    let (data, next) = (folder.join("..data"), folder.join("..next"));
    std::os::unix::fs::symlink(&version, &next).unwrap();
    std::fs::rename(&next, &data).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let link = folder.join(format!("{name}.link"));
        std::os::unix::fs::symlink(Path::new("..data").join(name), &link).unwrap();
        std::fs::rename(&link, folder.join(name)).unwrap();
    }
}

/// The certificate that a new connection is shown.
fn peer_of(daemon: &Daemon) -> Vec<u8> {
    let conn = secured(daemon, &tls::client());
    conn.peer_certificate().expect("a certificate")
}

#[test]
fn ex_105_a_new_ca_decides_about_new_connections() {
    if ours_only("X certificates, keys and CAs") {
        return;
    }
    let files = Files::new();
    let daemon = files
        .launch()
        .flag("--tls-client-auth-policy=require-verify")
        .flag(files.root_ca())
        .start();
    let old = tls::client_with(&files.authority.issue("old"));
    let authority = Authority::new();
    let new = tls::client_with(&authority.issue("new"));
    assert!(lets_in(&daemon, &old) && !lets_in(&daemon, &new));
    let next = files.folder.path().join("ca.next");
    std::fs::write(&next, authority.cert()).unwrap();
    std::fs::rename(&next, files.folder.path().join("ca.crt")).unwrap();
    eventually(Duration::from_secs(13), || lets_in(&daemon, &new));
    assert!(!lets_in(&daemon, &old));
}
