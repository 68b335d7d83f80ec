//! A daemon as a process of its own, with a private data folder and ports that the system chose.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{BOUND, Conn, Reply, Scrape, eventually, http};

/// How an nsqd is to be started. Flags are given as they stand on the command line.
pub struct Launch {
    binary: PathBuf,
    flags: Vec<String>,
    data: Option<PathBuf>,
}

impl Launch {
    /// An nsqd of this program file with default options, except that it listens on free ports of 127.0.0.1.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            flags: Vec::new(),
            data: None,
        }
    }

    /// Adds one flag, such as `--max-msg-size=100`. An address flag given here takes the place of the free port.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Uses this data folder, which the caller owns, instead of a private one that vanishes with the daemon.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Starts the daemon and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not start, or does not say where it listens within [`BOUND`]; the text holds its log.
    #[track_caller]
    pub fn start(self) -> Daemon {
        let private = self
            .data
            .is_none()
            .then(|| tempfile::tempdir().expect("a private data folder"));
        let data = match (&self.data, &private) {
            (Some(data), _) => data.clone(),
            (None, Some(private)) => private.path().to_path_buf(),
            (None, None) => unreachable!("a folder is given or private"),
        };
        let process = Process::start(&self.binary, &self.flags, &data);
        Daemon {
            process,
            launch: self,
            data,
            _private: private,
        }
    }
}

/// A running nsqd. Dropping it kills the process and removes its private data folder.
pub struct Daemon {
    process: Process,
    launch: Launch,
    data: PathBuf,
    _private: Option<TempDir>,
}

impl Daemon {
    /// Where it listens for the TCP protocol.
    #[track_caller]
    pub fn tcp(&self) -> SocketAddr {
        self.process.tcp.expect("the daemon has a TCP port")
    }

    /// Where it listens for HTTP.
    #[track_caller]
    pub fn http(&self) -> SocketAddr {
        self.process.http.expect("the daemon has an HTTP port")
    }

    /// Where it listens for HTTPS, as its log says.
    ///
    /// # Panics
    ///
    /// When it does not say so within [`BOUND`].
    #[track_caller]
    pub fn https(&self) -> SocketAddr {
        const MARK: &str = "HTTPS: listening on ";
        self.expect_log(MARK);
        let log = self.log();
        let (_, rest) = log.split_once(MARK).expect("the line that was waited for");
        let address = rest.split_whitespace().next().unwrap_or_default();
        address.parse().expect("an address")
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Names of the files in its data folder, sorted.
    #[track_caller]
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.data).expect("its data folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// What its `nsqd.dat` says.
    #[track_caller]
    pub fn metadata(&self) -> Value {
        let bytes = std::fs::read(self.data.join("nsqd.dat")).expect("its metadata file");
        serde_json::from_slice(&bytes).expect("JSON in its metadata file")
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until it has logged this text.
    #[track_caller]
    pub fn expect_log(&self, text: &str) {
        eventually(BOUND, || self.log().contains(text));
    }

    /// A new connection that has sent the magic.
    #[track_caller]
    pub fn connect(&self) -> Conn {
        let mut conn = self.connect_raw();
        conn.send(b"  V2");
        conn
    }

    /// A new connection that has sent nothing.
    #[track_caller]
    pub fn connect_raw(&self) -> Conn {
        Conn::connect(self.tcp())
    }

    /// A new connection subscribed to this channel, with no ready window yet.
    #[track_caller]
    pub fn subscribe(&self, topic: &str, channel: &str) -> Conn {
        let mut conn = self.connect();
        conn.subscribe(topic, channel);
        conn
    }

    /// Answer to a GET of this target, such as `/stats?format=json`.
    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        http::request(self.http(), "GET", target, b"")
    }

    /// Answer to a POST of this body.
    #[track_caller]
    pub fn post(&self, target: &str, body: &[u8]) -> Reply {
        http::request(self.http(), "POST", target, body)
    }

    /// Answer to a request of any method.
    #[track_caller]
    pub fn request(&self, method: &str, target: &str, body: &[u8]) -> Reply {
        http::request(self.http(), method, target, body)
    }

    /// Answer to these bytes, sent as they are and read to the end of the connection.
    #[track_caller]
    pub fn request_raw(&self, bytes: &[u8]) -> Reply {
        http::exchange(self.http(), bytes)
    }

    /// A POST that must answer 200, such as `/topic/pause?topic=t`.
    #[track_caller]
    pub fn act(&self, target: &str) {
        let reply = self.post(target, b"");
        assert_eq!(reply.status, 200, "POST {target}: {}", reply.text());
    }

    /// The whole of `/stats?format=json`.
    #[track_caller]
    pub fn stats(&self) -> Value {
        self.get("/stats?format=json&include_mem=false").json()
    }

    /// This topic of `/stats`, or null when there is none.
    #[track_caller]
    pub fn topic(&self, topic: &str) -> Value {
        find(&self.stats()["topics"], "topic_name", topic)
    }

    /// This channel of `/stats`, or null when there is none.
    #[track_caller]
    pub fn channel(&self, topic: &str, channel: &str) -> Value {
        find(&self.topic(topic)["channels"], "channel_name", channel)
    }

    /// `/metrics` as it is now.
    #[track_caller]
    pub fn metrics(&self) -> Scrape {
        let reply = self.get("/metrics");
        assert_eq!(reply.status, 200, "{}", reply.text());
        Scrape::of(reply.text())
    }

    /// Waits until this sample of `/metrics` has this value.
    #[track_caller]
    pub fn expect_metric(&self, sample: &str, value: f64) {
        let mut last = None;
        eventually(BOUND, || {
            last = self.metrics().get(sample);
            last == Some(value)
        });
    }

    /// Where the ops listener is, as the log says.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn ops(&self) -> SocketAddr {
        let address = self.process.address("OPS: listening on ");
        address.unwrap_or_else(|| panic!("no ops listener in {}", self.log()))
    }

    /// Answer of the ops listener to a request.
    #[track_caller]
    pub fn ask_ops(&self, method: &str, target: &str) -> Reply {
        http::request(self.ops(), method, target, b"")
    }

    /// Waits until `/stats` shows these numbers of a topic.
    #[track_caller]
    pub fn expect_topic(&self, topic: &str, counts: &[(&str, u64)]) {
        expect_counts(|| self.topic(topic), counts);
    }

    /// Waits until `/stats` shows these numbers of a channel.
    #[track_caller]
    pub fn expect_channel(&self, topic: &str, channel: &str, counts: &[(&str, u64)]) {
        expect_counts(|| self.channel(topic, channel), counts);
    }

    /// Asks it to end (SIGTERM), waits until it has, and returns its exit code; none if a signal ended it.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.process.signal(rustix::process::Signal::TERM);
        self.process.wait()
    }

    /// How many files, sockets included, it has open. Only Linux tells.
    #[track_caller]
    pub fn open_files(&self) -> usize {
        self.process.open_files()
    }

    /// Memory it has in use, in KiB. Only Linux tells.
    #[track_caller]
    pub fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }

    /// Time it has computed so far, to a hundredth of a second. Only Linux tells.
    #[track_caller]
    pub fn cpu_time(&self) -> Duration {
        self.process.cpu_time()
    }

    /// Sends it this signal.
    #[track_caller]
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// Waits until it has ended and returns its exit code; none if a signal ended it.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        self.process.wait()
    }

    /// Ends it without warning (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops it if it still runs, and starts it again in the same data folder with the same flags.
    #[track_caller]
    pub fn restart(&mut self) {
        if self.process.is_running() {
            self.stop();
        }
        self.process = Process::start(&self.launch.binary, &self.launch.flags, &self.data);
    }
}

/// The entry of `list` whose `key` is `name`.
fn find(list: &Value, key: &str, name: &str) -> Value {
    list.as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry[key] == name)
        .cloned()
        .unwrap_or_default()
}

/// Waits until all numbers of an object are as wanted.
#[track_caller]
fn expect_counts(mut look: impl FnMut() -> Value, counts: &[(&str, u64)]) {
    let end = Instant::now() + BOUND;
    loop {
        let seen = look();
        if counts.iter().all(|(key, count)| seen[*key] == *count) {
            return;
        }
        assert!(Instant::now() < end, "wanted {counts:?}, there is {seen}");
        thread::sleep(Duration::from_millis(10));
    }
}
