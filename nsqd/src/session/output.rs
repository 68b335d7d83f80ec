//! What waits to be sent on one connection.

use nsq_protocol::v2::{FrameType, encode_frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Kept between turns: what a turn takes, its last take included. What a burst needed beyond that is given back.
const KEPT_BYTES: usize = 144 * 1024;

/// The output buffer: all frames of a turn, sent in one write.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// The stream took bytes and may hold some of them back: layers do.
    flushing: bool,
}

impl Output {
    /// Bytes not sent yet; what a layer still holds counts as one.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.sent + usize::from(self.flushing)
    }

    /// Appends a frame.
    pub fn frame(&mut self, kind: FrameType, data: &[u8]) {
        encode_frame(&mut self.bytes, kind, data);
    }

    /// The buffer, to append to.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes as much as the stream takes. Ready when everything was written. `progress` is set when anything was.
    pub fn poll_send(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n;
                    self.flushing = true;
                    *progress = true;
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.bytes.clear();
        self.sent = 0;
        self.bytes.shrink_to(KEPT_BYTES);
        if self.flushing {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the memory back while there is nothing to send.
    pub fn release(&mut self) {
        if self.pending() == 0 {
            *self = Self::default();
        }
    }
}
