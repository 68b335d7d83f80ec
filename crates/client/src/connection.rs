//! One TCP connection to an nsqd: frames in, commands out.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use nsq_protocol::MessageId;
use nsq_protocol::message::Message as Layout;
use nsq_protocol::v2::{FrameType, HEARTBEAT, MAGIC, decode_frame, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use crate::stream::{self, Link, Stream};
use crate::{Compression, Config, Error};

/// First size of the read buffer; it grows to one frame, which `max_frame_bytes` bounds.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// What an nsqd sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To be answered with [`Connection::nop`].
    Heartbeat,
    /// `OK`, `CLOSE_WAIT` or a JSON document.
    Response(Bytes),
    /// `CODE description`.
    Error(String),
    /// A delivery.
    Message(Message),
}

/// One delivered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When the daemon accepted it, nanoseconds since 1970.
    pub timestamp: i64,
    /// Deliveries so far, this one included.
    pub attempts: u16,
    /// Names it in `FIN`, `REQ` and `TOUCH` on the connection that delivered it.
    pub id: MessageId,
    /// What was published.
    pub body: Bytes,
}

/// What the daemon agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Largest RDY count.
    pub max_rdy_count: u32,
    /// Version of the daemon, for example `1.3.0`.
    pub version: String,
    /// Longest time that a message can be kept in flight by touching it.
    pub max_msg_timeout: Duration,
    /// When an unanswered message is delivered again.
    pub msg_timeout: Duration,
}

fn millis(value: &serde_json::Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap_or(0))
}

/// Less room in the buffer than this, and there is a new one: a message holds the one that it is in.
const LEAST_READ: usize = 4 << 10;

/// Connects, from the configured address if there is one.
#[allow(
    clippy::disallowed_methods,
    reason = "the dialer of clients; its caller sets a time limit"
)]
async fn dial(address: &str, config: &Config) -> std::io::Result<TcpStream> {
    let Some(local) = config.local_addr else {
        return TcpStream::connect(address).await;
    };
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for remote in lookup_host(address)
        .await?
        .filter(|a| a.is_ipv4() == local.is_ipv4())
    {
        let socket = if local.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.bind(local)?;
        match socket.connect(remote).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A connection after its `IDENTIFY`. It has no task: whoever owns it reads it, and answers heartbeats.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: Stream,
    buffer: BytesMut,
    max_frame_bytes: u32,
    write_timeout: Duration,
    negotiated: Negotiated,
}

impl Connection {
    /// Connects to `host:port`, sends the magic and `IDENTIFY`, and waits for the answer.
    ///
    /// # Errors
    /// No connection or no answer within the limits of `config`, or the daemon refused the introduction.
    pub async fn connect(address: &str, config: &Config) -> Result<Self, Error> {
        let failed = |source| Error::Connect {
            address: address.to_owned(),
            source,
        };
        let stream = timeout(config.connect_timeout, dial(address, config))
            .await
            .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        // Commands are small and each waits for an answer: Nagle's delay would be added to every one.
        stream.set_nodelay(true).map_err(failed)?;
        let mut connection = Self {
            address: address.to_owned(),
            stream: Stream::new(Link::Clear(stream)),
            buffer: BytesMut::with_capacity(READ_BUFFER_BYTES),
            max_frame_bytes: config.max_frame_bytes,
            write_timeout: config.write_timeout,
            negotiated: Negotiated {
                max_rdy_count: 0,
                version: String::new(),
                max_msg_timeout: Duration::ZERO,
                msg_timeout: Duration::ZERO,
            },
        };
        timeout(config.command_timeout, connection.introduce(config))
            .await
            .map_err(|_| Error::TimedOut {
                address: address.to_owned(),
                asked: "IDENTIFY",
                limit: config.command_timeout,
            })??;
        Ok(connection)
    }

    async fn introduce(&mut self, config: &Config) -> Result<(), Error> {
        let json = serde_json::to_vec(&config.identify()).unwrap_or_default();
        let mut out = MAGIC.to_vec();
        encode::identify(&mut out, &json);
        self.send(&out).await?;
        let answer = self.response("IDENTIFY").await?;
        let document: serde_json::Value = serde_json::from_slice(&answer)
            .map_err(|_| self.refused("IDENTIFY", String::from_utf8_lossy(&answer).into_owned()))?;
        self.negotiated = Negotiated {
            max_rdy_count: document["max_rdy_count"]
                .as_u64()
                .and_then(|n| n.try_into().ok())
                .unwrap_or(1),
            version: document["version"].as_str().unwrap_or_default().to_owned(),
            max_msg_timeout: millis(&document["max_msg_timeout"]),
            msg_timeout: millis(&document["msg_timeout"]),
        };
        let agreed = |layer: &str| document[layer] == true;
        self.secure(config, agreed("tls_v1")).await?;
        self.compress(config, agreed("snappy"), agreed("deflate")).await?;
        if agreed("auth_required") {
            self.authenticate(config).await?;
        }
        Ok(())
    }

    async fn secure(&mut self, config: &Config, agreed: bool) -> Result<(), Error> {
        let Some(tls) = &config.tls else { return Ok(()) };
        if !agreed {
            return Err(self.disagreed("has no TLS: give it a certificate and a key, or do not ask for TLS"));
        }
        if !self.buffer.is_empty() {
            return Err(self.disagreed("sent bytes before the TLS handshake"));
        }
        let secured = stream::start_tls(&mut self.stream, tls, &self.address).await;
        secured.map_err(|source| Error::Tls {
            address: self.address.clone(),
            source,
        })?;
        self.response("TLS").await.map(drop)
    }

    async fn compress(&mut self, config: &Config, snappy: bool, deflate: bool) -> Result<(), Error> {
        let Some(compression) = config.compression else {
            return Ok(());
        };
        let agreed = match compression {
            Compression::Snappy => snappy,
            Compression::Deflate { .. } => deflate,
        };
        if !agreed {
            return Err(self.disagreed("does not offer that compression: it is switched off there"));
        }
        let early = std::mem::take(&mut self.buffer);
        stream::start_compression(&mut self.stream, compression, early);
        self.response("compression").await.map(drop)
    }

    async fn authenticate(&mut self, config: &Config) -> Result<(), Error> {
        let Some(secret) = &config.auth_secret else {
            return Err(self.disagreed("wants clients to authenticate: give an auth secret"));
        };
        let mut out = Vec::new();
        encode::authenticate(&mut out, secret.reveal().as_bytes());
        self.send(&out).await?;
        self.response("AUTH").await.map(drop)
    }

    fn disagreed(&self, text: &'static str) -> Error {
        Error::Disagreed {
            address: self.address.clone(),
            text,
        }
    }

    /// The `host:port` that was dialled.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the daemon agreed to.
    #[must_use]
    pub const fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// Writes encoded commands ([`nsq_protocol::v2::encode`] makes them).
    ///
    /// Not cancel safe: a dropped call may have written a part.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn send(&mut self, commands: &[u8]) -> Result<(), Error> {
        let sent = async {
            self.stream.write_all(commands).await?;
            self.stream.flush().await
        };
        let sent = timeout(self.write_timeout, sent).await;
        sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|source| self.broken(source))
    }

    /// Answers a heartbeat.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn nop(&mut self) -> Result<(), Error> {
        let mut out = Vec::new();
        encode::nop(&mut out);
        self.send(&out).await
    }

    /// The next frame. Cancel safe: what was read stays in the buffer.
    ///
    /// # Errors
    /// The connection ended or its bytes are no frame.
    pub async fn read(&mut self) -> Result<Reply, Error> {
        loop {
            if let Some(reply) = self.read_buffered()? {
                return Ok(reply);
            }
            // Without room the buffer would grow by a few bytes at a time.
            if self.buffer.capacity() - self.buffer.len() < LEAST_READ {
                self.buffer.reserve(READ_BUFFER_BYTES);
            }
            let count = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .map_err(|source| self.broken(source))?;
            if count == 0 {
                return Err(Error::Lost {
                    address: self.address.clone(),
                    why: "closed by the daemon".to_owned(),
                });
            }
        }
    }

    /// The next response that is not a heartbeat; heartbeats are answered.
    ///
    /// # Errors
    /// [`Error::Refused`] for an error frame or a message, or the errors of [`read`](Self::read).
    pub async fn response(&mut self, asked: &'static str) -> Result<Bytes, Error> {
        loop {
            match self.read().await? {
                Reply::Heartbeat => self.nop().await?,
                Reply::Response(data) => return Ok(data),
                Reply::Error(text) => return Err(self.refused(asked, text)),
                Reply::Message(_) => {
                    return Err(self.refused(asked, "a message where an answer belongs".to_owned()));
                }
            }
        }
    }

    /// The next frame, if all of it was read already.
    ///
    /// # Errors
    /// The bytes are no frame.
    pub fn read_buffered(&mut self) -> Result<Option<Reply>, Error> {
        let decoded = decode_frame(&self.buffer, self.max_frame_bytes).map_err(|source| Error::Frame {
            address: self.address.clone(),
            source,
        })?;
        let Some((frame, taken)) = decoded else {
            return Ok(None);
        };
        let kind = frame.kind;
        let head = taken - frame.data.len();
        let mut data = self.buffer.split_to(taken).freeze();
        data.advance(head);
        Ok(Some(match kind {
            FrameType::Response if data == HEARTBEAT => Reply::Heartbeat,
            FrameType::Response => Reply::Response(data),
            FrameType::Error => Reply::Error(String::from_utf8_lossy(&data).into_owned()),
            FrameType::Message => Reply::Message(self.message(&data)?),
        }))
    }

    fn message(&self, data: &Bytes) -> Result<Message, Error> {
        let Some(layout) = Layout::decode(data) else {
            return Err(Error::Lost {
                address: self.address.clone(),
                why: "a message shorter than its header".to_owned(),
            });
        };
        let Layout {
            timestamp,
            attempts,
            id,
            body,
        } = layout;
        Ok(Message {
            timestamp,
            attempts,
            id,
            body: data.slice_ref(body),
        })
    }

    fn broken(&self, source: std::io::Error) -> Error {
        Error::Io {
            address: self.address.clone(),
            source,
        }
    }

    fn refused(&self, asked: &'static str, text: String) -> Error {
        Error::Refused {
            address: self.address.clone(),
            asked,
            text,
        }
    }
}
