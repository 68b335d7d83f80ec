//! HTTP/1.1 on one connection that is kept: as cheap a client as there can be.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::outcome::Outcome;

/// Largest answer, in bytes: that is `/stats` of ten thousand topics, and room.
const ANSWER_CAP: usize = 256 << 20;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Http {
    socket: TcpStream,
    /// What is there of the answer.
    read: Vec<u8>,
}

/// Status and body of an answer, and how many bytes it took.
struct Answer {
    status: u16,
    body: Vec<u8>,
    size: usize,
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Self> {
        let failed = |why| format!("connect to http://{address}: {why}");
        let socket = TcpStream::connect(address).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self {
            socket,
            read: Vec::new(),
        })
    }

    /// Body of an answer that must be 200.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let failed = |why| format!("{method} {target}: {why}");
        self.socket
            .write_all(&[head.as_bytes(), body].concat())
            .map_err(failed)?;
        let mut room = vec![0; 64 << 10];
        loop {
            if let Some(answer) = parse(&self.read)? {
                self.read.drain(..answer.size);
                if answer.status == 200 {
                    return Ok(answer.body);
                }
                let text = String::from_utf8_lossy(&answer.body);
                return Err(format!("{method} {target}: {} {text}", answer.status));
            }
            let count = self.socket.read(&mut room).map_err(failed)?;
            if count == 0 || self.read.len() > ANSWER_CAP {
                return Err(format!("{method} {target}: the answer has no end"));
            }
            self.read.extend_from_slice(&room[..count]);
        }
    }
}

/// The answer at the front, if it is all there.
fn parse(bytes: &[u8]) -> Outcome<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| format!("no HTTP answer: {head}"))?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let start = end + 4;
    if let Some(length) = header("content-length:") {
        let length: usize = length.trim().parse().map_err(|_| "a length that is none")?;
        let body = bytes.get(start..start.saturating_add(length));
        return Ok(body.map(|body| Answer {
            status,
            body: body.to_vec(),
            size: start + length,
        }));
    }
    if header("transfer-encoding:").is_some() {
        return Ok(chunks(&bytes[start..]).map(|(body, size)| Answer {
            status,
            body,
            size: start + size,
        }));
    }
    Err(format!("an answer without a length: {head}"))
}

/// The body in its chunks, and how many bytes they take; none while the last is missing.
fn chunks(coded: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = coded.get(at..)?;
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let data = rest.get(line + 2..line + 2 + size)?;
        at += line + 2 + size + 2;
        coded.get(..at)?;
        if size == 0 {
            return Some((body, at));
        }
        body.extend_from_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_whole_or_waited_for() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOKHTTP/1.1";
        for cut in 0..40 {
            assert!(parse(&whole[..cut]).unwrap().is_none(), "{cut}");
        }
        let answer = parse(whole).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice(), answer.size),
            (200, &b"OK"[..], 40)
        );
    }

    #[test]
    fn chunks_are_joined() {
        let whole = b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert!(parse(&whole[..whole.len() - 1]).unwrap().is_none());
        let answer = parse(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (404, &b"abcde"[..]));
        assert_eq!(answer.size, whole.len());
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(parse(b"what\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
