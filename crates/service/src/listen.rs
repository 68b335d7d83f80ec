//! Listeners for TCP and Unix sockets, chosen by the address text as the reference does (nsqd spec 11.4).
#![allow(clippy::disallowed_methods, reason = "the one place that binds")]

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Length of the queue of connections that the operating system holds for us, cut to its own limit. Thousands of clients
/// come at once when a daemon starts again, and each that finds it full waits a second or more.
const BACKLOG: u32 = 65_535;

/// A bound listener. A Unix socket's file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds `address`: `host:port` is TCP, anything else the path of a Unix socket. An empty host, `0.0.0.0` and
    /// `[::]` mean all addresses of both families. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The host does not resolve, or the operating system refuses, for example because the address is in use.
    pub async fn bind(address: &str) -> io::Result<Self> {
        let Some((host, port)) = split(address) else {
            let path = PathBuf::from(address);
            return Ok(Self {
                kind: Kind::Unix(UnixListener::bind(&path)?, path),
            });
        };
        let listener = if is_wildcard(host) {
            match bind_all(port) {
                Ok(listener) => listener,
                // a machine without IPv6
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(_) => bind_one((Ipv4Addr::UNSPECIFIED, port).into())?,
            }
        } else {
            bind_host(host, port).await?
        };
        Ok(Self {
            kind: Kind::Tcp(listener),
        })
    }

    /// The port that was really bound; -1 for a Unix socket.
    #[must_use]
    pub fn port(&self) -> i32 {
        match &self.kind {
            Kind::Tcp(listener) => listener
                .local_addr()
                .map_or(0, |address| i32::from(address.port())),
            Kind::Unix(..) => -1,
        }
    }

    /// Waits for the next connection. TCP connections have Nagle's algorithm off. Cancel safe.
    ///
    /// # Errors
    /// See [`is_temporary`]: after a temporary error the next call may succeed.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // best effort: a peer may be gone already, which the first read tells
                let _ = stream.set_nodelay(true);
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                Ok((Stream::Tcp(stream), Peer::Tcp(address)))
            }
            Kind::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(_) => f.write_str("?"),
            },
            Kind::Unix(_, path) => write!(f, "{}", path.display()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix(_, path) = &self.kind {
            remove_socket(path);
        }
    }
}

/// True if a failed accept may work the next time: the peer is gone, or a limit is reached for the moment.
#[must_use]
pub fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, OutOfMemory, WouldBlock};
    // ENFILE and EMFILE have no kind of their own
    matches!(error.raw_os_error(), Some(23 | 24))
        || matches!(
            error.kind(),
            ConnectionAborted | ConnectionReset | Interrupted | OutOfMemory | WouldBlock
        )
}

/// Resolves once, at start, whether `address` is `host:port`.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = if port.is_empty() { 0 } else { port.parse().ok()? };
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') || host.contains('/') => return None,
        None => host,
    };
    Some((host, port))
}

fn is_wildcard(host: &str) -> bool {
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// The first address of a host that can be bound.
async fn bind_host(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut refused = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match bind_one(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any address");
    Err(refused.unwrap_or_else(nothing))
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_all(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG.cast_signed())?;
    TcpListener::from_std(socket.into())
}

fn remove_socket(path: &Path) {
    // only our own socket can be there: bind refuses an existing path
    let _ = std::fs::remove_file(path);
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A TCP peer; an IPv4 address is never written as an IPv6 one.
    Tcp(SocketAddr),
    /// Someone on this machine, shown as `@`.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix => f.write_str("@"),
        }
    }
}

/// An accepted connection.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Waits for the first bytes and copies them without taking them. Over a Unix socket there is nothing to look at: 0.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buf).await,
            Self::Unix(_) => Ok(0),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_is_a_path() {
        assert_eq!(split("127.0.0.1:4150"), Some(("127.0.0.1", 4150)));
        assert_eq!(split(":4150"), Some(("", 4150)));
        assert_eq!(split("[::1]:0"), Some(("::1", 0)));
        assert_eq!(split("/run/nsqd.sock"), None);
        assert_eq!(split("host:http"), None);
        assert_eq!(split("::1:4150"), None);
    }

    #[tokio::test]
    async fn a_wildcard_serves_both_families_and_a_second_bind_fails() {
        let listener = Listener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()))
            .await
            .unwrap();
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, Peer::Tcp(client.local_addr().unwrap()));
        let second = Listener::bind(&format!(":{port}")).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_unix_socket_is_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Listener::bind(path.to_str().unwrap()).await.unwrap();
        assert_eq!(listener.port(), -1);
        assert!(Listener::bind(path.to_str().unwrap()).await.is_err());
        drop(listener);
        assert!(!path.exists());
    }
}
