//! Child processes that never outlive a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually_some;

/// A started program whose lines are collected. Killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    out: Lines,
    err: Lines,
}

/// Lines that a thread collects from a pipe, without their line feed.
struct Lines {
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let add = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                add.lock().unwrap().push(std::mem::take(&mut line));
            }
        });
        Self {
            seen,
            reader: Some(reader),
        }
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Process {
    /// Starts the command with its three streams piped.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("start {name}: {e}"));
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        Self {
            name: name.to_owned(),
            child,
            out,
            err,
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input; the program sees the end when the value is dropped.
    ///
    /// # Panics
    /// It was taken before.
    #[must_use]
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Number of lines on standard output so far.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.out.seen.lock().unwrap().len()
    }

    /// The lines on standard output so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.out.seen.lock().unwrap().clone()
    }

    /// The lines on standard output so far, as text.
    #[must_use]
    pub fn text_lines(&self) -> Vec<String> {
        self.lines()
            .iter()
            .map(|l| String::from_utf8_lossy(l).into_owned())
            .collect()
    }

    /// The last lines on standard error, for the message of a failed test.
    #[must_use]
    pub fn errors(&self) -> String {
        let seen = self.err.seen.lock().unwrap();
        let last: Vec<_> = seen
            .iter()
            .rev()
            .take(20)
            .rev()
            .map(|l| String::from_utf8_lossy(l).into_owned())
            .collect();
        last.join("\n")
    }

    /// All of standard error so far, as text.
    #[must_use]
    pub fn error_lines(&self) -> Vec<String> {
        self.err
            .seen
            .lock()
            .unwrap()
            .iter()
            .map(|l| String::from_utf8_lossy(l).into_owned())
            .collect()
    }

    /// True while it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // One that has ended already needs no signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for the end, and for the last of its output.
    ///
    /// # Panics
    /// It still runs after `bound`.
    pub fn wait(&mut self, bound: Duration) -> ExitStatus {
        let name = self.name.clone();
        let status = eventually_some(bound, &format!("{name} ends"), || self.child.try_wait().unwrap());
        self.out.join();
        self.err.join();
        status
    }

    /// SIGTERM, then [`wait`](Self::wait).
    ///
    /// # Panics
    /// It did not end with 0 within `bound`.
    pub fn terminate(&mut self, bound: Duration) {
        self.signal(Signal::TERM);
        let status = self.wait(bound);
        assert!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name,
            self.errors()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes lines to a program's standard input.
///
/// # Panics
/// The program does not read any more.
pub fn feed(stdin: &mut ChildStdin, lines: &[Vec<u8>]) {
    let mut text = Vec::with_capacity(lines.iter().map(|l| l.len() + 1).sum());
    for line in lines {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    stdin.write_all(&text).unwrap();
}
