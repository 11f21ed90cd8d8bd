//! The two halves of a client's socket, TCP or unix.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use socket2::Socket;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use crate::client::Transport;

/// The half that a session reads.
#[derive(Debug)]
pub(crate) enum Reader {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

/// The half that a turn writes.
#[derive(Debug)]
pub(crate) enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

/// Gives a socket, which does not block, to the runtime of this thread.
pub(crate) fn split(socket: Socket, transport: Transport) -> io::Result<(Reader, Writer)> {
    match transport {
        Transport::Loopback | Transport::Remote => {
            let (reader, writer) = TcpStream::from_std(socket.into())?.into_split();
            Ok((Reader::Tcp(reader), Writer::Tcp(writer)))
        }
        Transport::Unix => {
            let (reader, writer) = UnixStream::from_std(socket.into())?.into_split();
            Ok((Reader::Unix(reader), Writer::Unix(writer)))
        }
    }
}

/// Puts the halves of a socket together again, free of this thread's runtime.
pub(crate) fn rejoin(reader: Reader, writer: Writer) -> io::Result<replication::primary::Socket> {
    use replication::primary::Socket;
    match (reader, writer) {
        (Reader::Tcp(reader), Writer::Tcp(writer)) => {
            let stream = reader.reunite(writer).map_err(io::Error::other)?;
            stream.into_std().map(Socket::Tcp)
        }
        (Reader::Unix(reader), Writer::Unix(writer)) => {
            let stream = reader.reunite(writer).map_err(io::Error::other)?;
            stream.into_std().map(Socket::Unix)
        }
        (Reader::Tcp(_), Writer::Unix(_)) | (Reader::Unix(_), Writer::Tcp(_)) => {
            unreachable!("both halves come from one socket")
        }
    }
}

impl Reader {
    /// Reads once, at most what `into` has capacity for, which must be something. 0: the client has closed its end.
    ///
    /// This goes through the runtime's own read, which knows from a short read that nothing is left: so it costs one
    /// system call, not two.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => pin!(half.read_buf(into)).poll(cx),
            Self::Unix(half) => pin!(half.read_buf(into)).poll(cx),
        }
    }
}

impl Writer {
    /// Writes what the socket takes now.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write(bytes),
            Self::Unix(half) => half.try_write(bytes),
        }
    }

    /// Waits until the socket takes something. Without a deadline of its own: limits of output and the server's end
    /// close the session around it.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
            Self::Unix(half) => half.writable().await,
        }
    }
}
