//! The bytes of one connection: plain, or through the layer that IDENTIFY agreed on.

use std::io::{self, Chain, Cursor, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::Serialize;

/// What lies between a connection and its socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) enum Layer {
    #[default]
    None,
    Tls,
    Snappy,
    Deflate,
}

/// Level of deflate that Go's clients ask for by default.
const DEFLATE_LEVEL: u32 = 6;

/// What was read ahead of the layer, then the socket.
type Source = Chain<Cursor<Vec<u8>>, TcpStream>;

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Snappy(
        Box<snap::read::FrameDecoder<Source>>,
        Box<snap::write::FrameEncoder<TcpStream>>,
    ),
    Deflate(
        Box<flate2::read::DeflateDecoder<Source>>,
        Box<flate2::write::DeflateEncoder<TcpStream>>,
    ),
}

impl Stream {
    /// What the socket carries from now on; `ahead` was read from it already.
    pub(crate) fn layered(socket: TcpStream, layer: Layer, ahead: &[u8]) -> io::Result<Self> {
        let source = Cursor::new(ahead.to_vec()).chain(socket.try_clone()?);
        Ok(match layer {
            Layer::None => Self::Plain(socket),
            Layer::Tls => {
                let config: Arc<ClientConfig> = nsq_testkit::tls::client();
                let name = ServerName::from(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST));
                let client = ClientConnection::new(config, name).map_err(io::Error::other)?;
                Self::Tls(Box::new(StreamOwned::new(client, socket)))
            }
            Layer::Snappy => {
                let reader = snap::read::FrameDecoder::new(source);
                let writer = snap::write::FrameEncoder::new(socket);
                Self::Snappy(Box::new(reader), Box::new(writer))
            }
            Layer::Deflate => {
                let room = vec![0; 64 << 10];
                let reader = flate2::read::DeflateDecoder::new_with_buf(source, room);
                let level = flate2::Compression::new(DEFLATE_LEVEL);
                let writer = flate2::write::DeflateEncoder::new(socket, level);
                Self::Deflate(Box::new(reader), Box::new(writer))
            }
        })
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref(),
            Self::Snappy(_, writer) => writer.get_ref(),
            Self::Deflate(_, writer) => writer.get_ref(),
        }
    }

    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Tls(stream) => stream.read(room),
            Self::Snappy(reader, _) => reader.read(room),
            Self::Deflate(reader, _) => reader.read(room),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let out: &mut dyn Write = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.as_mut(),
            Self::Snappy(_, writer) => writer.as_mut(),
            Self::Deflate(_, writer) => writer.as_mut(),
        };
        out.write_all(bytes)?;
        out.flush()
    }
}
