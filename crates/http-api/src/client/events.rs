//! A stream of server-sent events, which lasts as long as somebody tells something.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Cause, Client, Error, Target};

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub name: String,
    /// What it says.
    pub data: Bytes,
}

impl Client {
    /// Hands on the events at `path` until the stream ends, nobody takes them any more, or nothing came for `silence`, not even a
    /// comment; then says why. An event is as long as an answer may be. Cancel safe: dropping the future closes the connection.
    pub async fn events(
        &self,
        authority: &str,
        path: &str,
        silence: Duration,
        taker: &mpsc::Sender<Event>,
    ) -> Error {
        let target = Target::http(authority, path);
        let mut cause = self.follow_events(&target, silence, taker).await;
        let wanted = match &cause {
            Cause::Status { status, body, .. } if self.tls.is_some() => {
                super::exchange::https_port(*status, body.as_bytes())
            }
            _ => None,
        };
        if let Some(secured) = wanted.and_then(|port| target.over_https(port)) {
            cause = self.follow_events(&secured, silence, taker).await;
        }
        Error {
            request: format!("{} http://{authority}{path}", Method::GET),
            cause,
        }
    }

    async fn follow_events(&self, target: &Target, silence: Duration, taker: &mpsc::Sender<Event>) -> Cause {
        let following = async {
            let stream = self.connect(target).await?;
            if target.https {
                let stream = self.secure(target, stream).await?;
                Box::pin(self.listen(stream, target, silence, taker)).await
            } else {
                self.listen(stream, target, silence, taker).await
            }
        };
        let ended: Result<(), Cause> = following.await;
        ended.err().unwrap_or(Cause::Ended)
    }

    async fn listen<S>(
        &self,
        stream: S,
        target: &Target,
        silence: Duration,
        taker: &mpsc::Sender<Event>,
    ) -> Result<(), Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = Request::builder()
            .uri(&target.path)
            .header(HOST, &target.authority)
            .header(ACCEPT, "text/event-stream")
            .body(Full::new(Bytes::new()))
            .map_err(|error| Cause::Address(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let hearing = async {
            let response = timeout(self.request_timeout, sender.send_request(request)).await;
            let response = response.map_err(|_| Cause::Timeout(self.request_timeout))??;
            let kind = response
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok());
            let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
            if response.status() != hyper::StatusCode::OK || !is_stream {
                let answer = timeout(self.request_timeout, self.read(response)).await;
                let answer = answer.map_err(|_| Cause::Timeout(self.request_timeout))??;
                return answer.success().map(drop);
            }
            self.hand_on(response.into_body(), silence, taker).await
        };
        let mut hearing = std::pin::pin!(hearing);
        tokio::select! {
            ended = &mut hearing => ended,
            ended = connection => match ended {
                Ok(()) => hearing.await,
                Err(error) => Err(error.into()),
            },
        }
    }

    async fn hand_on(
        &self,
        mut body: Incoming,
        silence: Duration,
        taker: &mpsc::Sender<Event>,
    ) -> Result<(), Cause> {
        let mut parser = Parser::default();
        loop {
            let Ok(frame) = timeout(silence, body.frame()).await else {
                return Err(Cause::Timeout(silence));
            };
            let Some(frame) = frame else { return Ok(()) };
            let Ok(data) = frame?.into_data() else { continue };
            parser.add(&data);
            while let Some(event) = parser.next() {
                if taker.send(event).await.is_err() {
                    return Ok(());
                }
            }
            if parser.held() > self.max_body {
                return Err(Cause::TooLarge(self.max_body));
            }
        }
    }
}

/// Events out of pieces. Pure.
#[derive(Default)]
struct Parser {
    bytes: BytesMut,
    name: String,
    data: BytesMut,
    has_data: bool,
}

impl Parser {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of what is not whole yet.
    fn held(&self) -> usize {
        self.bytes.len() + self.data.len()
    }

    /// The next whole event.
    fn next(&mut self) -> Option<Event> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let mut line = self.bytes.split_to(end);
            self.bytes.advance(1);
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if line.is_empty() {
                let name = std::mem::take(&mut self.name);
                let data = self.data.split().freeze();
                if std::mem::take(&mut self.has_data) {
                    return Some(Event { name, data });
                }
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (field, value) = line.split_at(colon);
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match field {
                b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
                b"data" => {
                    if self.has_data {
                        self.data.extend_from_slice(b"\n");
                    }
                    self.data.extend_from_slice(value);
                    self.has_data = true;
                }
                // comments, ids and what is not known
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_in_whatever_pieces_they_were() {
        let text = ": hello\n\nevent: snapshot\nid: 1\ndata: {\"a\":1}\n\nevent:update\r\ndata:x\r\ndata: y\r\n\r\nevent: lost\n\n";
        let wanted = [("snapshot", "{\"a\":1}"), ("update", "x\ny")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut came = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                parser.add(piece);
                while let Some(event) = parser.next() {
                    came.push(event);
                }
            }
            let shown: Vec<(&str, &[u8])> = came
                .iter()
                .map(|event| (event.name.as_str(), &event.data[..]))
                .collect();
            let expected = wanted.map(|(name, data)| (name, data.as_bytes()));
            assert_eq!(shown, expected, "{size}");
            assert_eq!(parser.held(), 0);
        }
    }
}
