//! Processes: one that is to end by itself, and a daemon that tells on standard error where it listens.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::{BOUND, eventually, on_reference, request};

/// Text kept of one process, in bytes; what comes later is dropped.
const LOG_CAP: usize = 16 << 20;

/// What a program left behind that ran to its end.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs a program that is expected to end by itself: `--version`, a wrong flag, a failing start. `folder` is its working
/// directory.
///
/// # Panics
///
/// When it does not start or still runs after [`BOUND`].
#[track_caller]
pub fn run_to_end(binary: &Path, flags: &[&str], folder: &Path) -> Ended {
    let mut child = Command::new(binary)
        .args(flags)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = collect(child.stdout.take().expect("its standard output"));
    let stderr = collect(child.stderr.take().expect("its standard error"));
    let code = wait(&mut child);
    Ended {
        code,
        stdout: stdout.join().expect("its output is read"),
        stderr: stderr.join().expect("its errors are read"),
    }
}

/// Reads a stream to its end on a thread of its own.
fn collect(stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    let read = move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends the text; what came before counts.
        let _ = stream.take(LOG_CAP as u64).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    thread::Builder::new()
        .name("output".into())
        .spawn(read)
        .expect("a thread")
}

/// Waits for the end of a process within the bound; kills it and fails the test otherwise.
#[track_caller]
fn wait(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(status) = child.try_wait().expect("its state") {
            return status.code();
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the process did not end within {BOUND:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The process and what its log told.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
    /// Where it listens for the TCP protocol; none if that is no IP address.
    pub(crate) tcp: Option<SocketAddr>,
    /// Where it listens for HTTP; none if it does not, or if that is no IP address.
    pub(crate) http: Option<SocketAddr>,
}

impl Process {
    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(binary: &Path, flags: &[String], data: &Path) -> Self {
        let given = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name));
        let mut command = Command::new(binary);
        command
            .arg("--data-path")
            .arg(data)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for name in ["--tcp-address=", "--http-address="] {
            if given(name).is_none() {
                command.arg(format!("{name}127.0.0.1:0"));
            }
        }
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the daemon starts");
        let stderr = child.stderr.take().expect("its standard error");
        let log = Arc::new(Mutex::new(String::new()));
        let reader = Some(follow(stderr, Arc::clone(&log)));
        let mut process = Self {
            child,
            log,
            reader,
            tcp: None,
            http: None,
        };
        let no_http = given("--http-address=") == Some("");
        process.await_line("TCP: listening on ");
        process.tcp = process.address("TCP: listening on ");
        if !no_http {
            process.await_line("HTTP: listening on ");
            process.http = process.address("HTTP: listening on ");
        }
        process
    }

    /// Waits until the log holds this text.
    #[track_caller]
    fn await_line(&mut self, text: &str) {
        let end = Instant::now() + BOUND;
        while !self.log().contains(text) {
            if self.child.try_wait().expect("its state").is_some() || Instant::now() > end {
                // The rest of its words, then the end.
                self.kill();
                panic!("the daemon does not say \"{text}\":\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The address after this text in the log; none if it is no IP address (a Unix socket).
    pub(crate) fn address(&self, text: &str) -> Option<SocketAddr> {
        let log = self.log();
        // A quote ends it in a line that is JSON.
        let ends = |c: char| c.is_whitespace() || c == '"';
        log.split(text).nth(1)?.split(ends).next()?.parse().ok()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether it has not ended yet.
    #[track_caller]
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// How many files, sockets included, it has open.
    #[track_caller]
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("a Linux with /proc")
            .count()
    }

    /// Memory it has in use, in KiB.
    #[track_caller]
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a Linux with /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix("kB"));
        number
            .and_then(|number| number.trim().parse().ok())
            .expect("its size")
    }

    /// See [`cpu_time`].
    #[track_caller]
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time(self.child.id())
    }

    /// Sends it this signal, as soon as it waits for signals.
    #[track_caller]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.await_handlers();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the daemon takes signals");
    }

    /// The reference listens before it catches signals: one that comes in between ends it at once. What its main goroutine
    /// does tells when it is ready.
    #[track_caller]
    fn await_handlers(&self) {
        if !on_reference() {
            return;
        }
        let Some(http) = self.http else { return };
        eventually(BOUND, || {
            let goroutines = request(http, "GET", "/debug/pprof/goroutine?debug=2", b"");
            // Where plain HTTP is refused nothing can be told.
            goroutines.status != 200 || goroutines.text().contains("svc.Run(")
        });
    }

    /// Waits for the end and for the last word of the log; the exit code, or none if a signal ended it.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let code = wait(&mut self.child);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log is read");
        }
        code
    }

    /// Ends it without warning, if it has not ended, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself; the wait tells either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Copies the lines of a daemon's standard error into `log` until it ends.
fn follow(stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    let read = move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            if log.len() < LOG_CAP {
                let _ = writeln!(log, "{}", String::from_utf8_lossy(&line));
            }
        }
    };
    thread::Builder::new()
        .name("log".into())
        .spawn(read)
        .expect("a thread")
}

/// Time that a process has computed so far, in user and system mode, to a hundredth of a second.
#[track_caller]
pub fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a Linux with /proc");
    // The name in brackets may hold spaces; both times are the 14th and 15th field, in ticks of 10 ms.
    let (_, fields) = stat.rsplit_once(')').expect("its name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| Duration::from_millis(10 * ticks.parse::<u64>().expect("ticks")))
        .sum()
}

/// Lets this process have `count` files open, sockets included, as far as its hard limit goes.
///
/// # Panics
/// The hard limit is lower.
#[track_caller]
pub fn allow_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        let more = Rlimit {
            current: Some(count),
            maximum,
        };
        let raised = setrlimit(Resource::Nofile, more);
        raised.unwrap_or_else(|e| panic!("{count} open files are needed, the limit is {maximum:?}: {e}"));
    }
}
