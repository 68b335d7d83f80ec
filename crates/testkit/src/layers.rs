//! The client's side of what was agreed with IDENTIFY: TLS, and compression on top of it. Bytes in, bytes out.

use std::io::{Cursor, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// How a test compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Snappy framing.
    Snappy,
    /// Raw deflate.
    Deflate,
}

/// The layers of one connection; none at first.
#[derive(Default)]
pub(crate) struct Layers {
    tls: Option<Box<ClientConnection>>,
    codec: Option<Codec>,
    /// What was no TLS although it should have been.
    clear: Vec<u8>,
}

enum Codec {
    Snappy {
        encoder: Box<snap::write::FrameEncoder<Vec<u8>>>,
        /// Compressed bytes of an unfinished chunk.
        rest: Vec<u8>,
    },
    Deflate {
        compress: Box<Compress>,
        decompress: Box<Decompress>,
    },
}

impl Layers {
    pub(crate) fn begin_tls(&mut self, config: &Arc<ClientConfig>) {
        let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let client = ClientConnection::new(Arc::clone(config), name).expect("a client configuration");
        self.tls = Some(Box::new(client));
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// What the handshake has to send now.
    pub(crate) fn handshake_bytes(&mut self) -> Vec<u8> {
        self.tls.as_mut().map(|tls| pending(tls)).unwrap_or_default()
    }

    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        let chain = self.tls.as_ref()?.peer_certificates()?;
        chain.first().map(|leaf| leaf.to_vec())
    }

    pub(crate) fn clear_text(&self) -> &[u8] {
        &self.clear
    }

    pub(crate) fn begin_compression(&mut self, compression: Compression) {
        self.codec = Some(match compression {
            Compression::Snappy => Codec::Snappy {
                encoder: Box::new(snap::write::FrameEncoder::new(Vec::new())),
                rest: Vec::new(),
            },
            Compression::Deflate => Codec::Deflate {
                compress: Box::new(Compress::new(flate2::Compression::new(6), false)),
                decompress: Box::new(Decompress::new(false)),
            },
        });
    }

    /// What goes over the wire for these bytes; none without layers.
    pub(crate) fn send(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        match &mut self.codec {
            None => self.secure(plain),
            Some(codec) => {
                let packed = codec.encode(plain);
                Some(self.secure(&packed).unwrap_or(packed))
            }
        }
    }

    /// These bytes in TLS; none without it.
    pub(crate) fn secure(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let tls = self.tls.as_mut()?;
        let mut wire = Vec::new();
        for piece in bytes.chunks(16 * 1024) {
            tls.writer().write_all(piece).expect("a buffer takes it");
            wire.extend(pending(tls));
        }
        Some(wire)
    }

    /// Appends to `plain` what these bytes of the wire mean. `decrypted`: they came out of TLS already.
    pub(crate) fn receive(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        decrypted: bool,
    ) -> Result<(), String> {
        let mut bytes = wire.to_vec();
        if let Some(tls) = self.tls.as_mut().filter(|_| !decrypted) {
            match decrypt(tls, wire) {
                Ok(opened) => bytes = opened,
                Err(why) => {
                    self.clear.extend_from_slice(wire);
                    return Err(why);
                }
            }
        }
        match &mut self.codec {
            None => plain.extend_from_slice(&bytes),
            Some(codec) => codec.decode(&bytes, plain)?,
        }
        Ok(())
    }
}

fn pending(tls: &mut ClientConnection) -> Vec<u8> {
    let mut wire = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut wire).expect("a buffer takes it");
    }
    wire
}

fn decrypt(tls: &mut ClientConnection, wire: &[u8]) -> Result<Vec<u8>, String> {
    let mut rest = Cursor::new(wire);
    let mut plain = Vec::new();
    while rest.position() < wire.len() as u64 {
        tls.read_tls(&mut rest).map_err(|error| error.to_string())?;
        tls.process_new_packets().map_err(|error| error.to_string())?;
        // Nothing more at the moment is no error here.
        let _ = tls.reader().read_to_end(&mut plain);
    }
    Ok(plain)
}

impl Codec {
    fn encode(&mut self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Snappy { encoder, .. } => {
                encoder.write_all(plain).expect("a buffer takes it");
                encoder.flush().expect("a buffer takes it");
                std::mem::take(encoder.get_mut())
            }
            Self::Deflate { compress, .. } => {
                let mut wire = Vec::with_capacity(plain.len() + 1024);
                compress
                    .compress_vec(plain, &mut wire, FlushCompress::Sync)
                    .expect("deflate takes any bytes");
                wire
            }
        }
    }

    fn decode(&mut self, wire: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Snappy { rest, .. } => {
                rest.extend_from_slice(wire);
                while let Some(end) = chunk_end(rest) {
                    let chunk: Vec<u8> = rest.drain(..end).collect();
                    plain.extend(open_chunk(&chunk)?);
                }
            }
            Self::Deflate { decompress, .. } => {
                let mut left = wire;
                let mut room = [0; 16 * 1024];
                loop {
                    let (read, written) = (decompress.total_in(), decompress.total_out());
                    decompress
                        .decompress(left, &mut room, FlushDecompress::None)
                        .map_err(|error| error.to_string())?;
                    let read = usize::try_from(decompress.total_in() - read).expect("a length");
                    let written = usize::try_from(decompress.total_out() - written).expect("a length");
                    left = &left[read..];
                    plain.extend_from_slice(&room[..written]);
                    if read == 0 && written == 0 {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

fn chunk_end(bytes: &[u8]) -> Option<usize> {
    let &[_, a, b, c] = bytes.first_chunk()?;
    let end = 4 + (usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16);
    (bytes.len() >= end).then_some(end)
}

/// The data of one chunk. Checksums are the server's own business here: the product's decoder is tested for them.
fn open_chunk(chunk: &[u8]) -> Result<Vec<u8>, String> {
    match chunk[0] {
        0x00 => snap::raw::Decoder::new()
            .decompress_vec(&chunk[8..])
            .map_err(|error| error.to_string()),
        0x01 => Ok(chunk[8..].to_vec()),
        0xff => Ok(Vec::new()),
        other => Err(format!("a chunk of type {other}")),
    }
}
