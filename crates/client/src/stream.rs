//! The stream of a connection: clear or TLS, and on top of it nothing, snappy or deflate (nsqd spec 2.3).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use nsq_http_api::client::Tls;
use nsq_transport::{Codec, Layered};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// What is below the compression.
#[derive(Debug)]
pub(crate) enum Link {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Only while a handshake is going on, and after one that failed.
    Gone,
}

/// A connection's stream with its layers.
pub(crate) type Stream = Layered<Link>;

/// Performs the handshake of a TLS client with the server of this `host:port`.
///
/// # Errors
/// Why there is no TLS; the stream is unusable then.
pub(crate) async fn start_tls(stream: &mut Stream, tls: &Tls, address: &str) -> io::Result<()> {
    let config = tls.config().map_err(io::Error::other)?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let Link::Clear(clear) = std::mem::replace(stream.link_mut(), Link::Gone) else {
        return Err(io::Error::other("TLS is on already"));
    };
    let secured = TlsConnector::from(config).connect(name, clear).await?;
    *stream.link_mut() = Link::Tls(Box::new(secured));
    Ok(())
}

/// Puts compression on the stream; `early` was read already.
pub(crate) fn start_compression(stream: &mut Stream, compression: crate::Compression, early: BytesMut) {
    let codec = match compression {
        crate::Compression::Snappy => Codec::snappy(),
        crate::Compression::Deflate { level } => Codec::deflate(level.clamp(1, 9).into()),
    };
    stream.start_compression(codec, early);
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => gone(),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => gone(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => gone(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => gone(),
        }
    }
}
