//! One bare V2 connection. One thread owns it, every call blocks, and nothing is allocated per message.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nsq_protocol::message::Message;
use nsq_protocol::v2::{self, FrameType, encode};
use nsq_protocol::{ChannelName, TopicName};
use serde::Serialize;

use super::stream::{Layer, Stream};
use crate::outcome::Outcome;

/// A frame is never larger than a batch or a body of these measurements.
const MAX_FRAME: u32 = 64 << 20;
/// Room to read into; many small frames come with one system call.
const ROOM: usize = 256 << 10;
/// The same for connections that there are thousands of.
const SMALL_ROOM: usize = 4 << 10;
/// Longest wait for an answer: only a daemon that hangs lets it pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a connection asks for with IDENTIFY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Wish {
    pub(crate) layer: Layer,
    /// Off: the daemon writes each message at once. Default: as it buffers for a client that says nothing.
    pub(crate) unbuffered: bool,
    pub(crate) msg_timeout_ms: Option<u64>,
    /// One of thousands.
    pub(crate) small: bool,
}

/// What one read brought.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    Bytes,
    /// The time of [`Conn::wait_at_most`] passed.
    Nothing,
    End,
}

pub(crate) struct Conn {
    stream: Stream,
    room: Vec<u8>,
    start: usize,
    end: usize,
}

impl Conn {
    /// Connects, sends the magic and identifies; what was asked for must be agreed to.
    ///
    /// # Errors
    /// The daemon is not there, or answers otherwise.
    pub(crate) fn open(address: SocketAddr, wish: Wish) -> Outcome<Self> {
        let failed = |why: io::Error| format!("connect to nsqd at {address}: {why}");
        let socket = TcpStream::connect(address).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut conn = Self {
            stream: Stream::Plain(socket),
            room: vec![0; if wish.small { SMALL_ROOM } else { ROOM }],
            start: 0,
            end: 0,
        };
        let mut out = v2::MAGIC.to_vec();
        encode::identify(&mut out, identify(wish).to_string().as_bytes());
        conn.write(&out)?;
        let answer = conn.response()?;
        if answer.first() != Some(&b'{') {
            let answer = String::from_utf8_lossy(&answer);
            return Err(format!("nsqd at {address} answers IDENTIFY with {answer}"));
        }
        if wish.layer != Layer::None {
            let socket = conn.writer()?;
            let ahead = conn.room.get(conn.start..conn.end).unwrap_or_default();
            conn.stream = Stream::layered(socket, wish.layer, ahead).map_err(failed)?;
            conn.start = conn.end;
            conn.expect_ok()?;
        }
        Ok(conn)
    }

    pub(crate) fn subscribe(&mut self, topic: &TopicName, channel: &ChannelName) -> Outcome {
        let mut out = Vec::new();
        encode::subscribe(&mut out, topic, channel);
        self.write(&out)?;
        self.expect_ok()
    }

    pub(crate) fn ready(&mut self, window: u32) -> Outcome {
        let mut out = Vec::new();
        encode::ready(&mut out, window);
        self.write(&out)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.stream
            .write(bytes)
            .map_err(|why| format!("write {} bytes to nsqd: {why}", bytes.len()))
    }

    /// How long a read may last from now on.
    pub(crate) fn wait_at_most(&self, time: Duration) -> Outcome {
        self.stream
            .socket()
            .set_read_timeout(Some(time))
            .map_err(|why| format!("set the time-out of a socket: {why}"))
    }

    /// A second handle, to write on while another thread reads where there is no layer.
    pub(crate) fn writer(&self) -> Outcome<TcpStream> {
        self.stream
            .socket()
            .try_clone()
            .map_err(|why| format!("duplicate a socket: {why}"))
    }

    /// Reads once.
    pub(crate) fn fill(&mut self) -> Outcome<Filled> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > self.room.len() / 2 {
            self.room.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.room.len() {
            if self.room.len() > 2 * MAX_FRAME as usize {
                return Err("nsqd sends a frame larger than any that was asked for".to_owned());
            }
            self.room.resize(self.room.len() * 2, 0);
        }
        match self.stream.read(&mut self.room[self.end..]) {
            Ok(0) => Ok(Filled::End),
            Ok(n) => {
                self.end += n;
                Ok(Filled::Bytes)
            }
            Err(why) => match why.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                    Ok(Filled::Nothing)
                }
                _ => Err(format!("read from nsqd: {why}")),
            },
        }
    }

    /// The next frame that is there already.
    pub(crate) fn next(&mut self) -> Outcome<Option<(FrameType, &[u8])>> {
        let there = self.room.get(self.start..self.end).unwrap_or_default();
        let frame =
            v2::decode_frame(there, MAX_FRAME).map_err(|why| format!("nsqd sends nonsense: {why}"))?;
        let Some((frame, size)) = frame else {
            return Ok(None);
        };
        self.start += size;
        Ok(Some((frame.kind, frame.data)))
    }

    /// The next response that is no heartbeat.
    fn response(&mut self) -> Outcome<Vec<u8>> {
        loop {
            match self.next()? {
                Some((FrameType::Response, v2::HEARTBEAT)) => self.write(b"NOP\n")?,
                Some((FrameType::Response, data)) => return Ok(data.to_vec()),
                Some((FrameType::Error, data)) => return Err(refusal(data)),
                Some((FrameType::Message, _)) => return Err("a message came before an answer".to_owned()),
                None => self.more()?,
            }
        }
    }

    fn more(&mut self) -> Outcome {
        match self.fill()? {
            Filled::Bytes => Ok(()),
            Filled::Nothing => Err(format!("nsqd did not answer within {PATIENCE:?}")),
            Filled::End => Err("nsqd closed the connection".to_owned()),
        }
    }

    fn expect_ok(&mut self) -> Outcome {
        self.oks(1)
    }

    /// Waits for so many `OK`.
    pub(crate) fn oks(&mut self, count: u64) -> Outcome {
        let mut missing = count;
        while missing > 0 {
            match self.next()? {
                Some((FrameType::Response, v2::OK)) => missing -= 1,
                Some((FrameType::Response, v2::HEARTBEAT)) => self.write(b"NOP\n")?,
                Some((FrameType::Error, data)) => return Err(refusal(data)),
                Some((_, data)) => {
                    return Err(format!("wanted OK, there is {}", String::from_utf8_lossy(data)));
                }
                None => self.more()?,
            }
        }
        Ok(())
    }

    /// Takes every message that is there, and answers heartbeats. `take` appends what is to be written to its second argument;
    /// what is there when `at_once` messages were taken is written before the next one is looked at.
    pub(crate) fn messages(
        &mut self,
        out: &mut Vec<u8>,
        at_once: u64,
        mut take: impl FnMut(&Message<'_>, &mut Vec<u8>),
    ) -> Outcome<u64> {
        let mut taken = 0;
        loop {
            let is_message = match self.next()? {
                None => break,
                Some((FrameType::Message, data)) => {
                    let message = Message::decode(data).ok_or("nsqd sends a message without a head")?;
                    take(&message, out);
                    taken += 1;
                    true
                }
                Some((FrameType::Response, v2::HEARTBEAT)) => {
                    out.extend_from_slice(b"NOP\n");
                    false
                }
                Some((FrameType::Response, _)) => false,
                Some((FrameType::Error, data)) => return Err(refusal(data)),
            };
            if is_message && taken % at_once == 0 {
                self.flush(out)?;
            }
        }
        self.flush(out)?;
        Ok(taken)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Outcome {
        if !out.is_empty() {
            self.write(out)?;
            out.clear();
        }
        Ok(())
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.socket().as_fd()
    }
}

fn refusal(data: &[u8]) -> String {
    format!("nsqd refuses: {}", String::from_utf8_lossy(data))
}

fn identify(wish: Wish) -> serde_json::Value {
    let mut document = serde_json::json!({
        "client_id": "nsq-bench",
        "hostname": "localhost",
        "user_agent": concat!("nsq-bench/", env!("CARGO_PKG_VERSION")),
        "feature_negotiation": true,
        "tls_v1": wish.layer == Layer::Tls,
        "snappy": wish.layer == Layer::Snappy,
        "deflate": wish.layer == Layer::Deflate,
    });
    if wish.unbuffered {
        document["output_buffer_size"] = (-1).into();
        document["output_buffer_timeout"] = (-1).into();
    }
    if let Some(time) = wish.msg_timeout_ms {
        document["msg_timeout"] = time.into();
    }
    document
}
