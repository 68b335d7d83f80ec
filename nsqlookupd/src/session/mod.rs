//! One TCP connection of an nsqd, protocol V1 (nsqlookupd spec 5): read, let [`commands`] answer, write.

mod commands;

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use commands::{Connection, Step};
use nsq_protocol::v1;
use nsq_service::listen::Peer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::Shared;

/// Answers are written when they reach this many bytes, or when all that arrived is answered.
const FLUSH_BYTES: usize = 16 * 1024;

/// Serves one connection until it ends. Dropping the future ends it too; either way the producer is removed from
/// every registration.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, peer: Peer, shared: &Shared) {
    let mut connection = Connection::new(shared, peer);
    match talk(&mut stream, &mut connection, shared.idle_limit).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::error!("client({peer}) - EOF");
        }
        Err(error) => tracing::error!("client({peer}) - {error}"),
    }
    tracing::info!("PROTOCOL(V1): [{peer}] exiting ioloop");
    // lets the last answer arrive even if input is left unread; who does not read it has his own fault
    let _ = stream.shutdown().await;
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    connection: &mut Connection<'_>,
    idle_limit: Duration,
) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(1024);
    let mut output = Vec::new();
    let mut ended = false;
    loop {
        let mut fatal = false;
        loop {
            match connection.step(&mut input, ended) {
                Step::More => break,
                Step::Answer(body) => v1::encode_response(&mut output, &body),
                Step::Fatal(body) => {
                    v1::encode_response(&mut output, &body);
                    fatal = true;
                    break;
                }
            }
            if output.len() >= FLUSH_BYTES {
                flush(stream, &mut output, idle_limit).await?;
            }
        }
        flush(stream, &mut output, idle_limit).await?;
        if fatal {
            return Ok(());
        }
        if ended {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        ended = within(idle_limit, stream.read_buf(&mut input)).await? == 0;
    }
}

async fn flush<S: AsyncWrite + Unpin>(
    stream: &mut S,
    output: &mut Vec<u8>,
    limit: Duration,
) -> io::Result<()> {
    if !output.is_empty() {
        within(limit, stream.write_all(output)).await?;
        output.clear();
    }
    Ok(())
}

async fn within<T>(limit: Duration, io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, io)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests;
