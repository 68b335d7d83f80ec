//! What the bytes of a connection go through: clear or TLS, and on top of it nothing, snappy or deflate (nsqd spec 2.3).
//!
//! [`Transport`] is itself a stream, so the session reads and writes it the same way whatever was agreed. A connection
//! without layers pays one branch per read and write.
//!
//! Compression is that of nsq-transport.
//!
//! | module | what |
//! |---|---|
//! | [`counted`] | the socket: how many bytes went through it |
//! | [`clear`] | the bare stream under TLS: bytes read too early, and the deadline of the handshake |

mod clear;
mod counted;

use bytes::BytesMut;
use clear::Clear;
pub(super) use counted::Counted;
use nsq_service::tls::{Agreed, ServerTls};
use nsq_transport::{Codec, Layered};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// A connection's stream with its layers.
#[derive(Debug)]
pub struct Transport<S>(Layered<Link<S>>);

#[derive(Debug)]
enum Link<S> {
    Clear(S),
    Tls(Box<TlsStream<Clear<S>>>),
    /// Only while a handshake is going on, and after one that took the stream with it.
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// A stream without layers.
    pub fn new(stream: S) -> Self {
        Self(Layered::new(Link::Clear(stream)))
    }

    /// Performs the handshake of a TLS server; `early` are bytes of it that were read already.
    ///
    /// # Errors
    /// Why there is no TLS. The stream is clear again then, to say so on it.
    pub async fn start_tls(&mut self, tls: &ServerTls, early: BytesMut) -> io::Result<Agreed> {
        let link = self.0.link_mut();
        let stream = match std::mem::replace(link, Link::Gone) {
            Link::Clear(stream) => stream,
            other => {
                *link = other;
                return Err(io::Error::other("TLS is on already"));
            }
        };
        match tls
            .acceptor()
            .accept(Clear::new(stream, early))
            .into_fallible()
            .await
        {
            Ok(mut stream) => {
                stream.get_mut().0.established();
                let agreed = Agreed::of(stream.get_ref().1);
                *link = Link::Tls(Box::new(stream));
                Ok(agreed)
            }
            Err((error, clear)) => {
                *link = Link::Clear(clear.into_inner());
                Err(error)
            }
        }
    }

    /// Compresses from here on; `early` are compressed bytes that were read already.
    pub fn start_compression(&mut self, codec: Codec, early: BytesMut) {
        self.0.start_compression(codec, early);
    }

    /// Whether TLS lies on the stream.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.0.link(), Link::Tls(_))
    }

    /// Gives back what an idle connection does not need.
    pub fn release(&mut self) {
        self.0.release();
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Link<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
