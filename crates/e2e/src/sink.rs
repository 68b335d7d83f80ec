//! An HTTP server that takes whatever comes and remembers it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

/// Answers every request with the same status.
pub struct Sink {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    status: AtomicU16,
    seen: Mutex<Vec<Seen>>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Method and target.
    pub line: String,
    /// Header lines, names in small letters.
    pub headers: Vec<(String, String)>,
    /// What it carried.
    pub body: Vec<u8>,
}

impl Sink {
    /// Starts to listen; it does until the process ends.
    ///
    /// # Panics
    /// No port is free.
    #[must_use]
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            status: AtomicU16::new(status),
            seen: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// A URL of it with this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with this status from here on.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Relaxed);
    }

    /// All requests so far.
    ///
    /// # Panics
    /// A thread of it did.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Seen {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Answers on one connection until it ends.
fn serve(stream: &TcpStream, shared: &Shared) {
    let mut input = BufReader::new(stream);
    while let Some(seen) = request(&mut input) {
        shared.seen.lock().unwrap().push(seen);
        let status = shared.status.load(Relaxed);
        let length = if status == 204 {
            ""
        } else {
            "Content-Length: 2\r\n\r\nok"
        };
        let end = if status == 204 { "\r\n" } else { "" };
        let answer = format!("HTTP/1.1 {status} X\r\n{length}{end}");
        if (&*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(input: &mut impl BufRead) -> Option<Seen> {
    let mut seen = Seen {
        line: line(input)?,
        ..Seen::default()
    };
    loop {
        let header = line(input)?;
        let Some((name, value)) = header.split_once(": ") else {
            break;
        };
        seen.headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = seen
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    seen.body.resize(length, 0);
    input.read_exact(&mut seen.body).ok()?;
    Some(seen)
}

fn line(input: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    let read = input.read_line(&mut text).ok()?;
    (read > 0).then(|| text.trim_end().to_owned())
}
