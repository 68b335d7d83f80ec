//! The smallest HTTP client: one request, the whole answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Status and body of `GET http://address{target}`; `None` if nobody answers.
#[must_use]
pub fn get(address: &str, target: &str) -> Option<(u16, String)> {
    request(
        address,
        &format!("GET {target} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
    )
}

/// Status and body of a POST; `None` if nobody answers.
#[must_use]
pub fn post(address: &str, target: &str, body: &str) -> Option<(u16, String)> {
    let length = body.len();
    request(
        address,
        &format!("POST {target} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"),
    )
}

/// Status and body of a DELETE; `None` if nobody answers.
#[must_use]
pub fn delete(address: &str, target: &str) -> Option<(u16, String)> {
    request(
        address,
        &format!("DELETE {target} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
    )
}

/// The JSON of a GET that was answered with 200.
#[must_use]
pub fn json(address: &str, target: &str) -> Option<serde_json::Value> {
    let (status, body) = get(address, target)?;
    if status == 200 {
        serde_json::from_str(&body).ok()
    } else {
        None
    }
}

fn request(address: &str, text: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
