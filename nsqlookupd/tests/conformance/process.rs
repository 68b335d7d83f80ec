//! Start, configuration and end, nsqlookupd spec 10, cases 64 to 66, and random bytes on both ports.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use crate::support::{Lookupd, PATIENCE, eventually, ours_only, run};

/// Sends a signal, as soon as the process waits for signals: the reference listens before it does, and what its main
/// goroutine does tells.
fn kill(signal: &str, lookupd: &Lookupd) {
    if std::env::var_os("NSQLOOKUPD_REFERENCE").is_some() {
        eventually("the reference catches signals", || {
            let goroutines = lookupd.get("/debug/pprof/goroutine?debug=2").body;
            goroutines.contains("svc.Run(").then_some(())
        });
    }
    assert!(
        Command::new("kill")
            .args([signal, &lookupd.pid()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn nl_064_version_and_failed_starts() {
    let version = run(&["-version"]);
    let line = String::from_utf8(version.stdout).unwrap();
    assert!(
        line.starts_with("nsqlookupd v1.3.0 (built w/") && line.lines().count() == 1,
        "{line}"
    );
    assert_eq!(version.status.code(), Some(0));

    let unknown = run(&["-nope"]);
    assert_eq!(unknown.status.code(), Some(2));
    let text = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        text.starts_with("flag provided but not defined: -nope\nUsage of nsqlookupd:\n"),
        "{text}"
    );

    let config = run(&["-config=/nowhere/nsqlookupd.cfg"]);
    assert_eq!(config.status.code(), Some(1));
    let text = String::from_utf8(config.stderr).unwrap();
    assert!(
        text.contains("FATAL: failed to load config file /nowhere/nsqlookupd.cfg - "),
        "{text}"
    );

    let running = Lookupd::start();
    let busy = run(&[
        "--tcp-address=127.0.0.1:0",
        &format!("--http-address={}", running.http),
    ]);
    assert_eq!(busy.status.code(), Some(1));
    if !ours_only("an HTTP port that is taken") {
        let text = String::from_utf8(busy.stderr).unwrap();
        assert!(
            text.contains(&format!("FATAL: listen ({}) failed - ", running.http)),
            "{text}"
        );
    }
}

#[test]
fn nl_065_flags_win_over_the_file_and_bare_numbers_are_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nsqlookupd.cfg");
    std::fs::write(
        &path,
        "log_level = \"warn\"\ntombstone_lifetime = 1000\nunknown = 1\n",
    )
    .unwrap();
    let config = format!("--config={}", path.display());
    // its INFO lines are how the harness finds the ports
    let lookupd = Lookupd::start_with(&[&config, "-log-level=INFO"]);
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t");
    let started = std::time::Instant::now();
    lookupd
        .post("/topic/tombstone?topic=t&node=a.host:5555")
        .is_empty();
    eventually("the tombstone is over", || {
        (!lookupd.lookup("t").is_empty()).then_some(())
    });
    assert!(started.elapsed().as_millis() >= 1000);
}

#[test]
fn nl_066_signals_end_the_process_cleanly() {
    for signal in ["-TERM", "-INT"] {
        let mut lookupd = Lookupd::start();
        let mut nsqd = lookupd.nsqd();
        nsqd.ok("REGISTER t");
        // the reference waits for a peer without a magic
        let mut silent = (!ours_only("B7 shutdown")).then(|| lookupd.raw());
        kill(signal, &lookupd);
        assert_eq!(lookupd.wait(), Some(0));
        nsqd.ended();
        if let Some(silent) = &mut silent {
            silent.ended();
        }
        let log = lookupd.log();
        assert!(
            log.contains("TCP: closing ") && log.contains("HTTP: closing "),
            "{log}"
        );
    }
}

#[test]
fn log_lines_have_the_references_form() {
    let lookupd = Lookupd::start_with(&["--log-prefix=[x] "]);
    let mut nsqd = lookupd.nsqd();
    nsqd.ok("REGISTER t c");
    nsqd.ok("PING");
    lookupd.get("/lookup?topic=t%20");
    let peer = nsqd.stream.local_addr().unwrap();
    drop(nsqd);
    for text in [
        format!("INFO: TCP: new client({peer})"),
        format!("INFO: CLIENT({peer}): desired protocol magic '  V1'"),
        format!("INFO: CLIENT({peer}): IDENTIFY Address:a.host TCP:5000 HTTP:5555 Version:1.3.0"),
        format!("INFO: DB: client({peer}) REGISTER category:client key: subkey:"),
        format!("INFO: DB: client({peer}) REGISTER category:channel key:t subkey:c"),
        format!("INFO: DB: client({peer}) REGISTER category:topic key:t subkey:"),
        format!("INFO: CLIENT({peer}): pinged (last ping "),
        "INFO: 404 GET /lookup?topic=t%20 (127.0.0.1:".to_owned(),
        format!("INFO: PROTOCOL(V1): [{peer}] exiting ioloop"),
    ] {
        let line = eventually(&text, || {
            lookupd
                .log()
                .lines()
                .find(|line| line.contains(&text))
                .map(str::to_owned)
        });
        // [x] 2026/01/02 03:04:05.678901 INFO: ...
        let time = line.strip_prefix("[x] ").unwrap().get(..26).unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000/00/00 00:00:00.000000", "{line}");
    }
}

/// Random bytes, from a fixed seed so that a failure can be repeated.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let length = usize::try_from(next() % 300).unwrap();
    (0..length).map(|_| next().to_le_bytes()[3]).collect()
}

/// The reference dies of a negative body length.
#[test]
fn random_bytes_neither_crash_nor_leak() {
    if ours_only("B1 IDENTIFY with a negative length") {
        return;
    }
    let lookupd = Lookupd::start();
    let sends = |address, start: &[u8], seed| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // the server may have closed already, which is an answer too
        let _ = stream.write_all(&[start, &noise(seed)].concat());
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    };
    for seed in 0..10_000 {
        // half of them get past the magic
        sends(lookupd.tcp, if seed % 2 == 0 { b"  V1" } else { b"" }, seed);
        sends(
            lookupd.http,
            if seed % 2 == 0 { b"GET /lookup?" } else { b"" },
            seed,
        );
    }
    assert_eq!(lookupd.get("/ping").body, "OK");
    let open = || {
        std::fs::read_dir(format!("/proc/{}/fd", lookupd.pid()))
            .unwrap()
            .count()
    };
    // standard streams, two listeners, the runtime's own; no connection
    eventually("all connections are closed", || (open() < 20).then_some(()));
}
