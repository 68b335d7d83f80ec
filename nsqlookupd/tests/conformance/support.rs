//! A real nsqlookupd process, a raw V1 connection and a raw HTTP request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Bound of every wait. Far above what is needed, for slow machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Nsqd A of the spec.
pub(crate) const A: &str =
    r#"{"broadcast_address":"a.host","hostname":"a","tcp_port":5000,"http_port":5555,"version":"1.3.0"}"#;

/// Whether the tests run against another build than ours, which differs here on purpose: as the row of
/// docs/compatibility.md with this subject says (`cargo xtask tidy` looks for it).
pub(crate) fn ours_only(row: &str) -> bool {
    let reference = std::env::var_os("NSQLOOKUPD_REFERENCE").is_some();
    if reference {
        eprintln!("NOT COMPARED WITH THE REFERENCE: {row}");
    }
    reference
}

fn command(args: &[&str]) -> Command {
    let program =
        std::env::var_os("NSQLOOKUPD_REFERENCE").unwrap_or_else(|| env!("CARGO_BIN_EXE_nsqlookupd").into());
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// Tries until `condition` yields something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// A running nsqlookupd on free ports; killed when dropped.
pub(crate) struct Lookupd {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Lookupd {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(args: &[&str]) -> Self {
        let own = ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];
        let mut child = command(&[&own, args].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, sink) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = std::thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = sink.lock().unwrap();
                    log.push_str(&line);
                    log.push('\n');
                }
            })
            .unwrap();
        let address = |what: &str| {
            eventually(what, || {
                let log = log.lock().unwrap();
                let line = log.lines().find(|line| line.contains(what))?;
                line.rsplit(' ').next()?.parse().ok()
            })
        };
        let (tcp, http) = (address("TCP: listening on "), address("HTTP: listening on "));
        Self {
            child,
            log,
            reader: Some(reader),
            tcp,
            http,
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Waits for the end of the process and for the last word of its log; yields its exit code, none after a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let status = eventually("exit of nsqlookupd", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.code()
    }

    /// A connection that sent nothing yet.
    pub(crate) fn raw(&self) -> Connection {
        let stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream }
    }

    /// A connection that sent the magic.
    pub(crate) fn connect(&self) -> Connection {
        let mut connection = self.raw();
        connection.send(b"  V1");
        connection
    }

    /// A connection that identified itself as nsqd A.
    pub(crate) fn nsqd(&self) -> Connection {
        self.nsqd_as(A)
    }

    pub(crate) fn nsqd_as(&self, info: &str) -> Connection {
        let mut connection = self.connect();
        let answer = connection.identify(info);
        assert!(answer.starts_with('{'), "{answer}");
        connection
    }

    /// One HTTP request with raw text after the request line.
    pub(crate) fn request(&self, line: &str, rest: &str) -> Answer {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{rest}\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path}"), "")
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        self.request(&format!("POST {path}"), "Content-Length: 0\r\n")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        sorted(&self.json("/topics")["topics"])
    }

    pub(crate) fn channels(&self, topic: &str) -> Vec<String> {
        sorted(&self.json(&format!("/channels?topic={topic}"))["channels"])
    }

    /// Broadcast addresses of the producers that `/lookup` shows, sorted.
    pub(crate) fn lookup(&self, topic: &str) -> Vec<String> {
        let found = self.json(&format!("/lookup?topic={topic}"));
        let producers = found["producers"].as_array().unwrap();
        let mut hosts: Vec<_> = producers
            .iter()
            .map(|p| p["broadcast_address"].as_str().unwrap().to_owned())
            .collect();
        hosts.sort();
        hosts
    }

    pub(crate) fn nodes(&self) -> Vec<Value> {
        self.json("/nodes")["producers"].as_array().unwrap().clone()
    }
}

impl Drop for Lookupd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn sorted(list: &Value) -> Vec<String> {
    let mut names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
}

impl Connection {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// One answer.
    pub(crate) fn answer(&mut self) -> String {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Sends a line and yields its answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.answer()
    }

    /// Sends a line that must be answered with OK.
    #[track_caller]
    pub(crate) fn ok(&mut self, line: &str) {
        assert_eq!(self.ask(line), "OK", "{line}");
    }

    pub(crate) fn identify(&mut self, info: &str) -> String {
        self.send(b"IDENTIFY\n");
        self.send(i32::try_from(info.len()).unwrap().to_be_bytes());
        self.send(info);
        self.answer()
    }

    /// Nothing comes any more.
    #[track_caller]
    pub(crate) fn ended(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), ""),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// Sends a line whose answer is the last one.
    #[track_caller]
    pub(crate) fn fatal(mut self, line: &str, expected: &str) {
        assert_eq!(self.ask(line), expected);
        self.ended();
    }

    pub(crate) fn end_input(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A header's value; names are compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Status and body of a V1 error.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, message: &str) {
        assert_eq!(
            (self.status, self.body.as_str()),
            (status, format!("{{\"message\":\"{message}\"}}").as_str())
        );
        assert_eq!(
            self.header("Content-Type"),
            Some("application/json; charset=utf-8")
        );
        assert_eq!(self.header("X-NSQ-Content-Type"), Some("nsq; version=1.0"));
    }

    /// A success without content.
    #[track_caller]
    pub(crate) fn is_empty(&self) {
        assert_eq!((self.status, self.body.as_str()), (200, ""), "{self:?}");
        assert_eq!(self.header("Content-Length"), Some("0"));
        assert_eq!(self.header("Content-Type"), None);
    }
}
