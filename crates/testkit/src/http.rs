//! A raw HTTP client: one request on one connection, and the answer exactly as it came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use crate::BOUND;

/// Largest answer that is read, in bytes.
const REPLY_CAP: u64 = 64 << 20;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header lines in their order, names as they were sent.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Reply {
    /// Value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// Status and body must be these.
    #[track_caller]
    pub fn expect(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text().as_str()), (status, body));
    }
}

/// Sends one request with a Content-Length and reads the answer.
#[track_caller]
pub fn request(address: SocketAddr, method: &str, target: &str, body: &[u8]) -> Reply {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, &[head.as_bytes(), body].concat())
}

/// Sends these bytes and reads to the end of the connection. The server may answer and close before it has read all of
/// them, so a failed write does not count.
#[track_caller]
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect_timeout(&address, BOUND).expect("the server accepts");
    stream.set_read_timeout(Some(BOUND)).expect("a socket option");
    stream.set_write_timeout(Some(BOUND)).expect("a socket option");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let end = stream.take(REPLY_CAP).read_to_end(&mut answer);
    parse(&answer).unwrap_or_else(|| {
        panic!(
            "no whole answer ({end:?}): {:?}",
            String::from_utf8_lossy(&answer)
        )
    })
}

/// The same over TLS. The error is why there was no handshake, or no answer.
///
/// # Errors
///
/// The server did not let this client in.
pub fn request_tls(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    method: &str,
    target: &str,
) -> Result<Reply, String> {
    request_tls_with(address, config, method, target, "")
}

/// The same with more lines in its head, each with its line end.
///
/// # Errors
///
/// The server did not let this client in.
pub fn request_tls_with(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    method: &str,
    target: &str,
    lines: &str,
) -> Result<Reply, String> {
    let name = ServerName::from(address.ip());
    let client = ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect_timeout(&address, BOUND).expect("the server accepts");
    stream.set_read_timeout(Some(BOUND)).expect("a socket option");
    let mut stream = StreamOwned::new(client, stream);
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{lines}Connection: close\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let end = stream.take(REPLY_CAP).read_to_end(&mut answer);
    parse(&answer).ok_or_else(|| format!("no whole answer: {end:?}"))
}

/// Takes an answer apart; none if it is not whole.
fn parse(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    let headers = lines.map(|line| {
        line.split_once(':')
            .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
    });
    let headers = headers.collect::<Option<Vec<_>>>()?;
    let mut reply = Reply {
        status,
        headers,
        body: answer[end + 4..].to_vec(),
    };
    if reply
        .header("Transfer-Encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        reply.body = join_chunks(&reply.body)?;
    } else if let Some(length) = reply.header("Content-Length") {
        // A HEAD or 304 has a length and no body.
        let length: usize = length.parse().ok()?;
        if reply.body.len() != length && !reply.body.is_empty() {
            return None;
        }
    }
    Some(reply)
}

/// The body behind the chunked coding.
fn join_chunks(mut coded: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = coded.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(&coded[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        coded = &coded[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(coded.get(..size)?);
        coded = coded.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nOK").unwrap();
        assert_eq!(
            (plain.status, plain.text(), plain.header("x-a")),
            (200, "OK".to_owned(), Some("b"))
        );
        let chunked =
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().text(), "abcde");
    }

    #[test]
    fn half_an_answer_is_none() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Le").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab").is_none());
    }
}
