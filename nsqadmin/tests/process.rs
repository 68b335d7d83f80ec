//! Start and end of the real process, nsqadmin spec 14, cases 1 to 7.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests work with real processes"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(20);

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nsqadmin"))
}

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

#[test]
fn na_001_na_002_na_003_na_004_na_005_na_006_failed_starts_and_version() {
    for (args, text) in [
        (&[][..], "--nsqd-http-address or --lookupd-http-address required"),
        (
            &["--nsqd-http-address=a:1", "--lookupd-http-address=b:1"],
            "use --nsqd-http-address or --lookupd-http-address not both",
        ),
        (
            &["--nsqd-http-address=a:1", "--http-client-tls-cert=c"],
            "--http-client-tls-key must be specified with --http-client-tls-cert",
        ),
        (
            &["--nsqd-http-address=a:1", "--http-client-tls-key=k"],
            "--http-client-tls-cert must be specified with --http-client-tls-key",
        ),
        (
            &[
                "--nsqd-http-address=a:1",
                "--http-client-tls-cert=/c",
                "--http-client-tls-key=/k",
            ],
            "failed to LoadX509KeyPair /c, /k - ",
        ),
        (
            &["--nsqd-http-address=a:1", "--http-client-tls-root-ca-file=/ca"],
            "failed to read TLS root CA file /ca - ",
        ),
        (
            &["--nsqd-http-address=a:1", "-allow-config-from-cidr", "x"],
            "failed to parse --allow-config-from-cidr (x) - ",
        ),
        (
            &["--nsqd-http-address=a:1", "--notification-http-endpoint=h:1"],
            "failed to parse --notification-http-endpoint (h:1) - ",
        ),
        (
            &["--nsqd-http-address=a:1", "--https-address=127.0.0.1:0"],
            "--https-address needs --tls-cert and --tls-key",
        ),
        (
            &["--nsqd-http-address=a:1", "--tls-cert=c", "--tls-key=k"],
            "--tls-cert and --tls-key need --https-address, where they are used",
        ),
        (
            &["--nsqd-http-address=a:1", "--trusted-proxy-cidr=proxy"],
            "failed to parse --trusted-proxy-cidr (proxy) - ",
        ),
        (
            &["--nsqd-http-address=a:1", "--proxy-graphite"],
            "failed to parse --graphite-url () - not an http or https URL",
        ),
        (
            &[
                "--nsqd-http-address=a:1",
                "--http-address=127.0.0.1:0",
                "--basic-auth-file=/nowhere",
            ],
            "failed to read --basic-auth-file (/nowhere) - ",
        ),
        (
            &[
                "--nsqd-http-address=a:1",
                "--http-address=127.0.0.1:0",
                "--audit-log-file=/nowhere/a",
            ],
            "failed to open --audit-log-file (/nowhere/a) - ",
        ),
        (
            &["-nsqd-http-address", "http://h:1"],
            "failed to resolve --nsqd-http-address (http://h:1) - ",
        ),
        (
            &["--nsqd-http-address=a:1", "--http-address=192.0.2.1:0"],
            "listen (192.0.2.1:0) failed - ",
        ),
    ] {
        let output = run(args);
        let text = format!("FATAL: failed to instantiate nsqadmin - {text}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(&text), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
    let version = run(&["-version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.starts_with(b"nsqadmin v1.3.0 (built w/"));
}

/// A running nsqadmin whose only nsqlookupd is not there, its address, and its log.
fn start() -> (Child, String, impl Iterator<Item = String>) {
    let mut child = command()
        .args(["--lookupd-http-address=127.0.0.1:1", "--http-address=127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let listening = lines
        .find(|line| line.contains("INFO: HTTP: listening on 127.0.0.1:"))
        .unwrap();
    (child, listening.rsplit(' ').next().unwrap().to_owned(), lines)
}

#[test]
fn na_007_sigterm_ends_the_process_cleanly() {
    let (mut child, address, mut lines) = start();
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert!(lines.any(|line| line.contains(&format!("INFO: HTTP: closing {address}"))));
    assert_eq!(child.wait().unwrap().code(), Some(0));
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

/// Sends `bytes` and yields what comes back until the end.
fn send(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // the server may have closed already, which is an answer too
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn random_bytes_neither_crash_nor_leak() {
    let (mut child, address, lines) = start();
    let reader = std::thread::Builder::new().spawn(move || lines.count()).unwrap();
    for seed in 0..10_000 {
        let start: &[u8] = if seed % 2 == 0 { b"GET /static/" } else { b"" };
        send(&address, &[start, &noise(seed)].concat());
    }
    let pong = send(&address, b"GET /ping HTTP/1.0\r\n\r\n");
    assert!(
        pong.starts_with(b"HTTP/1.0 200 OK"),
        "{}",
        String::from_utf8_lossy(&pong)
    );
    let open = || {
        std::fs::read_dir(format!("/proc/{}/fd", child.id()))
            .unwrap()
            .count()
    };
    let end = Instant::now() + PATIENCE;
    // standard streams, the listener, the runtime's own; no connection
    while open() >= 20 {
        assert!(Instant::now() < end, "{} files are open", open());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
}
