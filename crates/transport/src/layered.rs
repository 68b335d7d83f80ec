//! A stream on which compression may lie.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::Codec;

/// Compressed bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Plain bytes made of them at once: what a chunk of snappy holds at most.
const READ_BYTES_PLAIN: usize = 64 * 1024;
/// Plain bytes that are compressed, and flushed, at once.
const WRITE_BYTES: usize = 64 * 1024;

/// `L` with compression on it once that was agreed. Without, it costs one branch per read and write.
#[derive(Debug)]
pub struct Layered<L> {
    link: L,
    compressed: Option<Box<Compressed>>,
}

/// The state of a compressed connection.
#[derive(Debug)]
struct Compressed {
    codec: Codec,
    /// As it came, not decompressed yet.
    incoming: BytesMut,
    /// Compressed, not sent yet.
    outgoing: BytesMut,
    at_end: bool,
}

impl<L> Layered<L> {
    /// Nothing lies on it yet.
    pub const fn new(link: L) -> Self {
        Self {
            link,
            compressed: None,
        }
    }

    /// What is below.
    pub const fn link(&self) -> &L {
        &self.link
    }

    /// What is below, to be read or written only while nothing lies on it.
    pub const fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    /// Compresses from here on; `early` are compressed bytes that were read already.
    pub fn start_compression(&mut self, codec: Codec, early: BytesMut) {
        self.compressed = Some(Box::new(Compressed {
            codec,
            incoming: early,
            outgoing: BytesMut::new(),
            at_end: false,
        }));
    }

    /// Gives back what an idle connection does not need.
    pub fn release(&mut self) {
        if let Some(compressed) = &mut self.compressed
            && compressed.incoming.is_empty()
            && compressed.outgoing.is_empty()
        {
            compressed.incoming = BytesMut::new();
            compressed.outgoing = BytesMut::new();
        }
    }
}

impl Compressed {
    /// Decompresses into `buf` what has come, reading more as long as that gives nothing. What is decompressed at once is
    /// bounded by the room in `buf` and [`READ_BYTES_PLAIN`], however small its compressed form is.
    fn poll_read<L: AsyncRead + Unpin>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // What is handed out has to be set to zero before: no more than one step can fill.
            let room = buf.remaining().min(READ_BYTES_PLAIN);
            let written = self
                .codec
                .decode(&mut self.incoming, buf.initialize_unfilled_to(room))?;
            if written > 0 {
                buf.advance(written);
                return Poll::Ready(Ok(()));
            }
            if self.at_end {
                return Poll::Ready(Ok(()));
            }
            self.incoming.reserve(READ_BYTES);
            let read = std::pin::pin!(link.read_buf(&mut self.incoming));
            self.at_end = ready!(read.poll(cx))? == 0;
        }
    }

    /// Sends what was compressed.
    fn poll_send<L: AsyncWrite + Unpin>(
        &mut self,
        link: &mut L,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut *link).poll_write(cx, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> AsyncRead for Layered<L> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { link, compressed } = self.get_mut();
        match compressed {
            None => Pin::new(link).poll_read(cx, buf),
            Some(compressed) => compressed.poll_read(link, cx, buf),
        }
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Layered<L> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { link, compressed } = self.get_mut();
        let Some(compressed) = compressed else {
            return Pin::new(link).poll_write(cx, buf);
        };
        ready!(compressed.poll_send(link, cx))?;
        let piece = &buf[..buf.len().min(WRITE_BYTES)];
        compressed.codec.encode(piece, &mut compressed.outgoing)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { link, compressed } = self.get_mut();
        if let Some(compressed) = compressed {
            ready!(compressed.poll_send(link, cx))?;
        }
        Pin::new(link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().link).poll_shutdown(cx)
    }
}
