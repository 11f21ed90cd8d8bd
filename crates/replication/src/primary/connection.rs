//! A connection that stops being a client's session and becomes a link: [`Arrival`].

use std::fmt;
use std::io;
use std::task::{Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite};

use super::link::Link;
use crate::wire::{Inbox, Side, SyncMeta, SyncShard};

/// A connection on its way from a session to the links thread.
pub struct Arrival {
    /// The socket, which does not block and belongs to no runtime.
    pub socket: Socket,
    /// What the client sent after its question.
    pub input: Vec<u8>,
    /// The question.
    pub opening: Opening,
    /// What the replica told the session before.
    pub announced: Announced,
    /// The client, as the server knows it.
    pub client: Box<dyn Client>,
}

/// A socket of either sort.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// What the client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// To be a replica.
    Meta(SyncMeta),
    /// To continue a database.
    Shard(SyncShard),
}

/// How a replica wants to be shown to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Its address: announced, or else the one that it comes from.
    pub address: String,
    /// The port on which it serves clients; 0 if it did not say.
    pub port: u16,
}

/// The server's view of a connection. Dropping it gives the client's place back.
pub trait Client: Send + Sync {
    /// Its number.
    fn id(&self) -> u64;
    /// Ready when the connection is to be closed; else `waker` is woken then. Only the waker of the first call is.
    fn poll_killed(&self, waker: &Waker) -> Poll<()>;
    /// Something came from the other side.
    fn heard(&self);
}

impl Arrival {
    /// Gives the socket to this thread's runtime.
    pub(super) fn settle(self) -> io::Result<(Link, Opening)> {
        let (reader, writer): (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>) =
            match self.socket {
                Socket::Tcp(socket) => {
                    let (reader, writer) = tokio::net::TcpStream::from_std(socket)?.into_split();
                    (Box::new(reader), Box::new(writer))
                }
                Socket::Unix(socket) => {
                    let (reader, writer) = tokio::net::UnixStream::from_std(socket)?.into_split();
                    (Box::new(reader), Box::new(writer))
                }
            };
        let inbox = Inbox::new(Side::FromReplica, self.input);
        let link = Link { reader, writer, inbox, announced: self.announced, client: self.client };
        Ok((link, self.opening))
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("opening", &self.opening).field("announced", &self.announced).finish()
    }
}
