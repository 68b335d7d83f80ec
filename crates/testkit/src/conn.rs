//! A raw client of the TCP protocol: it sends what the test says, byte for byte, and reads frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nsq_protocol::message::Message;
use rustls::ClientConfig;

use crate::BOUND;
use crate::layers::{Compression, Layers};

/// Largest frame that is read, in bytes. Nothing in a test is larger; a bad size must not fill the memory.
const FRAME_CAP: usize = 64 << 20;

/// Longest single wait for bytes. The timers behind a socket's time limit get coarser with their length, to seconds for half a
/// minute, so a long wait is made of short ones.
const SLICE: Duration = Duration::from_millis(100);

/// One frame, as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// 0 response, 1 error, 2 message.
    pub kind: i32,
    /// Everything after the type.
    pub data: Vec<u8>,
}

impl Frame {
    /// Its data as text, for comparing with the texts of the specification.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// Whether this is the response frame `_heartbeat_`.
    pub fn is_heartbeat(&self) -> bool {
        self.kind == 0 && self.data == b"_heartbeat_"
    }

    /// The message in its data.
    ///
    /// # Panics
    ///
    /// When the data are too short for one.
    #[track_caller]
    pub fn delivery(&self) -> Delivery {
        let message = Message::decode(&self.data).expect("a message of at least 26 bytes");
        Delivery {
            timestamp: message.timestamp,
            attempts: message.attempts,
            id: String::from_utf8_lossy(&message.id.0).into_owned(),
            body: message.body.to_vec(),
        }
    }
}

/// What the server did next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It sent a whole frame.
    Frame(Frame),
    /// It closed or reset the connection.
    Closed,
    /// It did nothing.
    Silence,
}

/// A message that was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Nanoseconds since the Unix epoch.
    pub timestamp: i64,
    /// Deliveries of this channel's copy so far, this one included.
    pub attempts: u16,
    /// The 16 bytes of the id, as text.
    pub id: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A length and these bytes: the body of a command.
pub fn body(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a body of a test");
    [&length.to_be_bytes(), bytes].concat()
}

/// The body of an MPUB: the count, then each message behind its length.
pub fn batch(messages: &[&[u8]]) -> Vec<u8> {
    let count = u32::try_from(messages.len()).expect("a batch of a test");
    let mut bytes = count.to_be_bytes().to_vec();
    messages.iter().for_each(|message| bytes.extend(body(message)));
    bytes
}

/// One connection.
pub struct Conn {
    stream: TcpStream,
    layers: Layers,
    /// Bytes received and not yet taken as a frame.
    received: Vec<u8>,
}

impl Conn {
    /// Connects and sends nothing.
    ///
    /// # Panics
    ///
    /// When the server does not accept within [`BOUND`].
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the server accepts")
    }

    /// The same; none if the server does not accept within [`BOUND`].
    pub fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
        stream.set_nodelay(true).expect("a socket option");
        stream.set_write_timeout(Some(BOUND)).expect("a socket option");
        Some(Self {
            stream,
            layers: Layers::default(),
            received: Vec::new(),
        })
    }

    /// Performs a TLS handshake; everything after it goes through TLS. The error is why there was none, whatever the
    /// server sent in clear after its alert included.
    ///
    /// # Errors
    ///
    /// There is no TLS: what is wrong with what the server sent, or that it closed.
    pub fn start_tls(&mut self, config: &Arc<ClientConfig>) -> Result<(), String> {
        self.layers.begin_tls(config);
        let end = Instant::now() + BOUND;
        loop {
            let wire = self.layers.handshake_bytes();
            let sent = wire.is_empty() || self.stream.write_all(&wire).is_ok();
            if !self.layers.is_handshaking() {
                return Ok(());
            }
            match self.fill(end) {
                Fill::Some if sent => {}
                Fill::Broken(why) => return Err(why),
                Fill::Some | Fill::Closed | Fill::Nothing => return Err("closed".to_owned()),
            }
        }
    }

    /// From here on everything goes through this compression.
    pub fn start_compression(&mut self, compression: Compression) {
        self.layers.begin_compression(compression);
        let early = std::mem::take(&mut self.received);
        self.layers
            .receive(&early, &mut self.received, true)
            .expect("a stream of the agreed compression");
    }

    /// Sends these bytes as they are, past all layers.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes the bytes");
    }

    /// As [`Self::send_raw`] to a server that may close meanwhile.
    pub fn try_send_raw(&mut self, bytes: &[u8]) {
        // Nothing is expected of it.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends these bytes, which are compressed already where that was agreed: past the compression, through TLS.
    #[track_caller]
    pub fn send_packed(&mut self, bytes: &[u8]) {
        assert!(self.try_send_packed(bytes), "the server takes the bytes");
    }

    /// As [`Self::send_packed`] to a server that may close meanwhile; says whether all went out.
    pub fn try_send_packed(&mut self, bytes: &[u8]) -> bool {
        let wire = self.layers.secure(bytes);
        self.stream.write_all(wire.as_deref().unwrap_or(bytes)).is_ok()
    }

    /// Sends these bytes through all layers, and then the bytes of the wire one by one.
    #[track_caller]
    pub fn send_slowly(&mut self, bytes: &[u8]) {
        let wire = self.layers.send(bytes);
        for byte in wire.as_deref().unwrap_or(bytes) {
            self.stream
                .write_all(&[*byte])
                .expect("the server takes the bytes");
        }
    }

    /// What came in clear although TLS was begun, as text: a server says so when it gives a handshake up.
    pub fn clear_text(&self) -> String {
        String::from_utf8_lossy(self.layers.clear_text()).into_owned()
    }

    /// The address of this end, as the server sees it.
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket")
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes), "the server takes the bytes");
    }

    /// Sends these bytes to a server that may close meanwhile; says whether all went out.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        match self.layers.send(bytes) {
            None => self.stream.write_all(bytes).is_ok(),
            Some(wire) => self.stream.write_all(&wire).is_ok(),
        }
    }

    /// Sends a command line; the line end is added.
    #[track_caller]
    pub fn command(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Sends a command line, the length of the body and the body.
    #[track_caller]
    pub fn command_with(&mut self, line: &str, bytes: &[u8]) {
        self.send(&[line.as_bytes(), b"\n", &body(bytes)].concat());
    }

    /// Publishes one message and waits for its `OK`.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, bytes: &[u8]) {
        self.command_with(&format!("PUB {topic}"), bytes);
        self.expect_ok();
    }

    /// Publishes these messages with one MPUB and waits for its `OK`.
    #[track_caller]
    pub fn publish_many(&mut self, topic: &str, messages: &[&[u8]]) {
        self.command_with(&format!("MPUB {topic}"), &batch(messages));
        self.expect_ok();
    }

    /// Sends IDENTIFY with this JSON text.
    #[track_caller]
    pub fn identify(&mut self, json: &str) {
        self.command_with("IDENTIFY", json.as_bytes());
    }

    /// Subscribes and waits for the `OK`.
    #[track_caller]
    pub fn subscribe(&mut self, topic: &str, channel: &str) {
        self.command(&format!("SUB {topic} {channel}"));
        self.expect_ok();
    }

    /// Ends the writing side; reading goes on.
    #[track_caller]
    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("an open socket");
    }

    /// As [`Self::half_close`] for a server that may close meanwhile.
    pub fn try_half_close(&mut self) {
        // A socket that the server has reset is closed already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads whatever comes until the server closes; says whether it did within [`BOUND`].
    pub fn drain(&mut self) -> bool {
        let end = Instant::now() + BOUND;
        loop {
            match self.fill(end) {
                Fill::Some => self.received.clear(),
                Fill::Closed | Fill::Broken(_) => return true,
                Fill::Nothing => return false,
            }
        }
    }

    /// What the server does next, within `bound`. A frame of which only a part has come within it is silence.
    #[track_caller]
    pub fn next(&mut self, bound: Duration) -> Next {
        let end = Instant::now() + bound;
        loop {
            if let Some(frame) = self.take_frame() {
                return Next::Frame(frame);
            }
            match self.fill(end) {
                Fill::Some => {}
                Fill::Closed | Fill::Broken(_) => return Next::Closed,
                Fill::Nothing => return Next::Silence,
            }
        }
    }

    /// The next frame, whatever it is.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        match self.next(BOUND) {
            Next::Frame(frame) => frame,
            other => panic!(
                "a frame was due, there is {other:?} ({} bytes of one)",
                self.received.len()
            ),
        }
    }

    /// The next bytes as they are, without a look at frames.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let end = Instant::now() + BOUND;
        while self.received.len() < count {
            let fill = self.fill(end);
            assert!(
                fill == Fill::Some,
                "{count} bytes were due, there are only {:?}",
                self.received
            );
        }
        self.received.drain(..count).collect()
    }

    /// Whatever comes next; none at the end of the connection.
    #[track_caller]
    pub fn next_bytes(&mut self, bound: Duration) -> Option<Vec<u8>> {
        if self.received.is_empty() && self.fill(Instant::now() + bound) != Fill::Some {
            return None;
        }
        Some(std::mem::take(&mut self.received))
    }

    /// The certificate the server showed, as DER; none without TLS.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.layers.peer_certificate()
    }

    /// The next frame must be a response with this text.
    #[track_caller]
    pub fn expect_response(&mut self, text: &str) {
        let frame = self.frame();
        assert_eq!((frame.kind, frame.text().as_str()), (0, text));
    }

    /// The next frame must be `OK`.
    #[track_caller]
    pub fn expect_ok(&mut self) {
        let frame = self.frame();
        assert!(
            frame.kind == 0 && frame.data == b"OK",
            "OK was due, there is {} {:?}",
            frame.kind,
            frame.text()
        );
    }

    /// The next frame must be an error with exactly this text.
    #[track_caller]
    pub fn expect_error(&mut self, text: &str) {
        let frame = self.frame();
        assert_eq!((frame.kind, frame.text().as_str()), (1, text));
    }

    /// The next frame must be an error with exactly this text, and the server must close after it.
    #[track_caller]
    pub fn expect_fatal(&mut self, text: &str) {
        self.expect_error(text);
        self.expect_eof();
    }

    /// The next frame must be a heartbeat.
    #[track_caller]
    pub fn expect_heartbeat(&mut self) {
        let frame = self.frame();
        assert!(
            frame.is_heartbeat(),
            "a heartbeat was due, there is {} {:?}",
            frame.kind,
            frame.text()
        );
    }

    /// The next frame must be a message.
    #[track_caller]
    pub fn message(&mut self) -> Delivery {
        let frame = self.frame();
        assert_eq!(frame.kind, 2, "a message was due, there is {:?}", frame.text());
        frame.delivery()
    }

    /// The next frame must be a message with this body.
    #[track_caller]
    pub fn expect_message(&mut self, bytes: &[u8]) -> Delivery {
        let delivery = self.message();
        assert!(
            delivery.body == bytes,
            "wanted {:?}, there is {delivery:?}",
            String::from_utf8_lossy(bytes)
        );
        delivery
    }

    /// Answers a message with this command.
    #[track_caller]
    pub fn answer(&mut self, command: &str, delivery: &Delivery) {
        self.command(&format!("{command} {}", delivery.id));
    }

    /// Finishes a message.
    #[track_caller]
    pub fn finish(&mut self, delivery: &Delivery) {
        self.answer("FIN", delivery);
    }

    /// Puts a message back for this many milliseconds.
    #[track_caller]
    pub fn requeue(&mut self, delivery: &Delivery, ms: u64) {
        self.command(&format!("REQ {} {ms}", delivery.id));
    }

    /// The server must close, and send nothing before it. A reset counts as closed: bytes that it had not read cause one.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        let next = self.next(BOUND);
        assert_eq!(next, Next::Closed, "the server must close");
        assert!(
            self.received.is_empty(),
            "bytes before the end: {:?}",
            self.received
        );
    }

    /// Nothing may come for this long, no part of a frame either, and the connection must stay.
    #[track_caller]
    pub fn expect_silence(&mut self, time: Duration) {
        let next = self.next(time);
        assert_eq!(next, Next::Silence, "nothing may come within {time:?}");
        assert!(self.received.is_empty(), "bytes of a frame: {:?}", self.received);
    }

    /// Takes one whole frame out of what was received.
    #[track_caller]
    fn take_frame(&mut self) -> Option<Frame> {
        let size = u32::from_be_bytes(self.received.get(..4)?.try_into().expect("four bytes"));
        let size = usize::try_from(size).expect("a size");
        assert!(
            (4..=FRAME_CAP).contains(&size),
            "no frame has the size {size}: {:?}",
            self.received
        );
        let frame = self.received.get(4..4 + size)?;
        let (kind, data) = frame.split_at(4);
        let kind = i32::from_be_bytes(kind.try_into().expect("four bytes"));
        let frame = Frame {
            kind,
            data: data.to_vec(),
        };
        self.received.drain(..4 + size);
        Some(frame)
    }

    /// Receives more bytes until `end`.
    fn fill(&mut self, end: Instant) -> Fill {
        let mut chunk = [0; 64 << 10];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Fill::Nothing;
            }
            self.stream
                .set_read_timeout(Some(left.min(SLICE)))
                .expect("a socket option");
            match self.stream.read(&mut chunk) {
                Ok(0) => return Fill::Closed,
                Ok(count) => {
                    return match self.layers.receive(&chunk[..count], &mut self.received, false) {
                        Ok(()) => Fill::Some,
                        Err(why) => Fill::Broken(why),
                    };
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Fill::Closed,
                },
            }
        }
    }
}

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
enum Fill {
    Some,
    Closed,
    Nothing,
    /// Bytes that a layer does not understand.
    Broken(String),
}
