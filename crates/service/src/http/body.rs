//! Request bodies: always read with a cap and with a limit on standing still.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use parking_lot::Mutex;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// Capacity that is reserved on a client's word alone; beyond it memory grows with what really arrives.
const MAX_RESERVE: u64 = 64 * 1024;

/// The body of a request.
pub struct Body {
    /// Never locked: only there so that a request can be looked at from anywhere while it is answered.
    chunks: Mutex<Chunks>,
    length: Option<u64>,
    progress: Duration,
    /// False until the end of the body was seen. The router closes the connection behind an unread body.
    finished: Arc<AtomicBool>,
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the cap; nothing, or at most the cap, was read.
    #[error("body is longer than {0} bytes")]
    TooLarge(u64),
    /// The peer sent nothing for too long.
    #[error("body made no progress for {0:?}")]
    Stalled(Duration),
    /// The connection or the framing broke.
    #[error("body cannot be read: {0}")]
    Broken(String),
}

impl Body {
    pub(super) fn new(chunks: Chunks, length: Option<u64>, is_empty: bool, progress: Duration) -> Self {
        Self {
            chunks: Mutex::new(chunks),
            length,
            progress,
            finished: Arc::new(AtomicBool::new(is_empty)),
        }
    }

    /// The announced length in bytes; none when the body is chunked or absent.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece of the body, none at its end.
    ///
    /// # Errors
    /// [`BodyError::Stalled`] or [`BodyError::Broken`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.finished.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match tokio::time::timeout(self.progress, self.chunks.get_mut().next()).await {
            Err(_) => Err(BodyError::Stalled(self.progress)),
            Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
            Ok(Some(Err(error))) => Err(BodyError::Broken(error)),
            Ok(None) => {
                self.finished.store(true, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    /// The whole body, at most `cap` bytes. A body that is announced longer is refused before it is read.
    ///
    /// # Errors
    /// Any [`BodyError`].
    pub async fn read(&mut self, cap: u64) -> Result<Bytes, BodyError> {
        if self.length.is_some_and(|length| length > cap) {
            return Err(BodyError::TooLarge(cap));
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() as u64 > cap {
            return Err(BodyError::TooLarge(cap));
        }
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let reserve = self.length.unwrap_or(0).min(MAX_RESERVE);
        let mut whole = BytesMut::with_capacity(usize::try_from(reserve).unwrap_or_default());
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(bytes) = next {
            if (whole.len() + bytes.len()) as u64 > cap {
                return Err(BodyError::TooLarge(cap));
            }
            whole.extend_from_slice(&bytes);
            next = self.next().await?;
        }
        Ok(whole.freeze())
    }

    /// Reads and forgets the body, at most `cap` bytes of it; what is wrong with it does not matter.
    pub(super) async fn discard(&mut self, cap: u64) {
        let mut seen = 0;
        while let Ok(Some(bytes)) = self.next().await {
            seen += bytes.len() as u64;
            if seen > cap {
                return;
            }
        }
    }

    pub(super) fn finished(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.finished)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
