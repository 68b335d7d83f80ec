//! An nsqlookupd whose answers the test writes, and which remembers what it was told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::{BOUND, eventually};

/// Largest body that is read, in bytes.
const BODY_CAP: usize = 1 << 20;

/// How the fake answers a command of the TCP protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// With this data, in the frame of the protocol (a length, then the data).
    Data(Vec<u8>),
    /// Not at all; the connection stays.
    Silence,
    /// By closing the connection.
    Close,
}

/// One thing that an nsqd did, in the order it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It connected and sent these first four bytes.
    Magic([u8; 4]),
    /// It sent IDENTIFY with this body.
    Identify(String),
    /// It sent this line, without the line end.
    Line(String),
    /// Its connection ended.
    Closed,
    /// It asked this over HTTP (method and target).
    Http(String),
}

/// Chooses the answer to a command line.
type Script = Box<dyn Fn(&str) -> Answer + Send>;

struct Shared {
    seen: Mutex<Vec<Seen>>,
    script: Mutex<Script>,
    channels: Mutex<(u16, String)>,
    open: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
}

/// A running fake. It serves until it is dropped.
pub struct FakeLookupd {
    shared: Arc<Shared>,
    tcp: SocketAddr,
    http: SocketAddr,
}

impl FakeLookupd {
    /// Starts one that answers as a healthy nsqlookupd that knows no channels.
    #[track_caller]
    pub fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let http = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (tcp_address, http_address) = (tcp.local_addr().unwrap(), http.local_addr().unwrap());
        let identity = identity(tcp_address, http_address);
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            script: Mutex::new(Box::new(move |line| {
                Answer::Data(if line == "IDENTIFY" {
                    identity.clone()
                } else {
                    b"OK".to_vec()
                })
            })),
            channels: Mutex::new((200, r#"{"channels":[]}"#.to_owned())),
            open: Mutex::default(),
            over: AtomicBool::new(false),
        });
        listen(tcp, &shared, serve_tcp);
        listen(http, &shared, serve_http);
        Self {
            shared,
            tcp: tcp_address,
            http: http_address,
        }
    }

    /// Where it takes registrations: the value of `--lookupd-tcp-address`.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// What a healthy nsqlookupd at this place answers to IDENTIFY.
    pub fn identity(&self) -> Vec<u8> {
        identity(self.tcp, self.http)
    }

    /// Chooses the answer to each further command line; `IDENTIFY` is asked about like any other.
    pub fn answer_with(&self, script: impl Fn(&str) -> Answer + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// What GET `/channels` answers from now on.
    pub fn set_channels(&self, status: u16, body: &str) {
        *self.shared.channels.lock().unwrap() = (status, body.to_owned());
    }

    /// Everything seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The command lines seen so far, IDENTIFY left out.
    pub fn lines(&self) -> Vec<String> {
        let line = |seen| {
            if let Seen::Line(line) = seen {
                Some(line)
            } else {
                None
            }
        };
        self.seen().into_iter().filter_map(line).collect()
    }

    /// Waits until this command line has come.
    #[track_caller]
    pub fn expect_line(&self, line: &str) {
        eventually(BOUND, || self.lines().iter().any(|seen| seen == line));
    }

    /// Waits until this has been seen `count` times in all.
    #[track_caller]
    pub fn expect_count(&self, count: usize, mut wanted: impl FnMut(&Seen) -> bool) {
        eventually(BOUND, || {
            self.seen().iter().filter(|seen| wanted(seen)).count() >= count
        });
    }

    /// Closes all connections; new ones are still accepted.
    pub fn drop_connections(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for FakeLookupd {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.drop_connections();
        // Wakes the two accepting threads, which then see that it is over.
        for address in [self.tcp, self.http] {
            let _ = TcpStream::connect_timeout(&address, BOUND);
        }
    }
}

/// The answer to IDENTIFY.
fn identity(tcp: SocketAddr, http: SocketAddr) -> Vec<u8> {
    let (tcp, http) = (tcp.port(), http.port());
    let name = r#""broadcast_address":"127.0.0.1","hostname":"fake","version":"1.3.0""#;
    format!(r#"{{{name},"tcp_port":{tcp},"http_port":{http}}}"#).into_bytes()
}

/// Serves each connection of a listener on a thread of its own.
fn listen(listener: TcpListener, shared: &Arc<Shared>, serve: fn(TcpStream, &Shared)) {
    let shared = Arc::clone(shared);
    let accept = move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if shared.over.load(Ordering::SeqCst) {
                return;
            }
            shared.open.lock().unwrap().extend(stream.try_clone());
            let shared = Arc::clone(&shared);
            let one = thread::Builder::new().name("fake nsqlookupd".into());
            one.spawn(move || serve(stream, &shared)).expect("a thread");
        }
    };
    thread::Builder::new()
        .name("fake nsqlookupd".into())
        .spawn(accept)
        .expect("a thread");
}

/// One nsqd, until it or the script closes.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the connection ends with its serving"
)]
fn serve_tcp(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(&stream);
    let mut magic = [0; 4];
    if reader.read_exact(&mut magic).is_ok() {
        shared.seen.lock().unwrap().push(Seen::Magic(magic));
        while serve_command(&mut reader, &stream, shared).is_some() {}
    }
    let _ = stream.shutdown(Shutdown::Both);
    shared.seen.lock().unwrap().push(Seen::Closed);
}

/// Reads, remembers and answers one command; none at the end of the connection.
fn serve_command(reader: &mut BufReader<&TcpStream>, mut stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut line = String::new();
    if reader.take(BODY_CAP as u64).read_line(&mut line).ok()? == 0 {
        return None;
    }
    let line = line.trim_end_matches('\n');
    let seen = if line == "IDENTIFY" {
        let mut length = [0; 4];
        reader.read_exact(&mut length).ok()?;
        let length = usize::try_from(u32::from_be_bytes(length))
            .ok()
            .filter(|length| *length <= BODY_CAP)?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Seen::Identify(String::from_utf8_lossy(&body).into_owned())
    } else {
        Seen::Line(line.to_owned())
    };
    shared.seen.lock().unwrap().push(seen);
    let answer = (*shared.script.lock().unwrap())(line);
    match answer {
        Answer::Data(data) => stream.write_all(&crate::body(&data)).ok(),
        Answer::Silence => Some(()),
        Answer::Close => None,
    }
}

/// One HTTP request.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the connection ends with its serving"
)]
fn serve_http(stream: TcpStream, shared: &Shared) {
    let mut lines = BufReader::new(&stream)
        .take(BODY_CAP as u64)
        .lines()
        .map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    // The headers say nothing that matters here, but must be read before the connection may close.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let asked = request
        .rsplit_once(' ')
        .map_or(request.as_str(), |(asked, _)| asked);
    shared.seen.lock().unwrap().push(Seen::Http(asked.to_owned()));
    let (status, body) = shared.channels.lock().unwrap().clone();
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // An nsqd that went away needs no answer.
    let _ = (&stream).write_all(&[head.as_bytes(), body.as_bytes()].concat());
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Conn;

    #[test]
    fn it_answers_and_remembers() {
        let fake = FakeLookupd::start();
        let mut conn = Conn::connect(fake.tcp());
        conn.send(b"  V1");
        conn.identify("{}");
        let identity = fake.identity();
        assert_eq!(conn.bytes(4 + identity.len()), crate::body(&identity));
        conn.command("REGISTER t c");
        assert_eq!(conn.bytes(6), crate::body(b"OK"));
        fake.answer_with(|_| Answer::Close);
        conn.command("PING");
        conn.expect_eof();
        fake.expect_count(1, |seen| *seen == Seen::Closed);
        let said = [
            Seen::Identify("{}".into()),
            Seen::Line("REGISTER t c".into()),
            Seen::Line("PING".into()),
        ];
        assert_eq!(fake.seen()[1..4], said);
    }

    #[test]
    fn it_answers_http() {
        let fake = FakeLookupd::start();
        fake.set_channels(500, "no");
        crate::http::request(fake.http, "GET", "/channels?topic=t", b"").expect(500, "no");
        assert_eq!(fake.seen(), [Seen::Http("GET /channels?topic=t".into())]);
    }
}
