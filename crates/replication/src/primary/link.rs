//! A link as both sorts have it: messages in, bytes out, and why it ends.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::time::Duration;

use replog::ReadError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::connection::{Announced, Client};
use crate::wire::{Inbox, Refusal, Reply, Request, WireError};

/// A link that was taken over.
pub(super) struct Link {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub inbox: Inbox,
    pub announced: Announced,
    pub client: Box<dyn Client>,
}

/// Why a link ended.
#[derive(Debug)]
pub(super) enum End {
    /// The other side closed it.
    Closed,
    /// It broke.
    Broken(io::Error),
    /// Nothing came for so long.
    Silent(Duration),
    /// What came is no message.
    Garbled(WireError),
    /// What came is no message for this link, or contradicts what was sent.
    Unexpected(&'static str),
    /// `CLIENT KILL`, or the end of the server.
    Killed,
    /// This node's role, or the log that feeds the link, is not what it was.
    Superseded,
    /// The log cannot be read.
    Log(ReadError),
    /// The replica was told that it cannot continue, or cannot follow.
    Answered(String),
}

impl End {
    /// Whether somebody should look at it.
    pub(super) fn is_trouble(&self) -> bool {
        match self {
            Self::Log(ReadError::Disk(_) | ReadError::Damage(_)) | Self::Garbled(_) | Self::Unexpected(_) => true,
            Self::Log(ReadError::Trimmed { .. } | ReadError::Beyond { .. }) => false,
            Self::Closed | Self::Broken(_) | Self::Silent(_) | Self::Killed | Self::Superseded | Self::Answered(_) => {
                false
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the replica closed it"),
            Self::Broken(error) => write!(f, "{error}"),
            Self::Silent(time) => write!(f, "nothing came for {} s", time.as_secs()),
            Self::Garbled(error) => write!(f, "{error}"),
            Self::Unexpected(what) => f.write_str(what),
            Self::Killed => f.write_str("it was told to end"),
            Self::Superseded => f.write_str("the role or the log has changed"),
            Self::Log(error) => write!(f, "{error}"),
            Self::Answered(text) => f.write_str(text),
        }
    }
}

/// The half of a link that listens.
pub(super) struct Listener<'a> {
    pub reader: &'a mut (dyn AsyncRead + Send + Unpin),
    pub inbox: &'a mut Inbox,
    pub client: &'a dyn Client,
}

impl Listener<'_> {
    /// The next message; waits at most `patience` for bytes. `heard` is told how many came.
    pub(super) async fn next(&mut self, patience: Duration, heard: impl Fn(usize)) -> Result<Request, End> {
        loop {
            if let Some(request) = self.inbox.next_request().map_err(End::Garbled)? {
                return Ok(request);
            }
            let read = self.reader.read_buf(self.inbox.room());
            match tokio::time::timeout(patience, read).await {
                Err(_) => return Err(End::Silent(patience)),
                Ok(Err(error)) => return Err(End::Broken(error)),
                Ok(Ok(0)) => return Err(End::Closed),
                Ok(Ok(bytes)) => {
                    self.client.heard();
                    heard(bytes);
                }
            }
        }
    }
}

/// Ends when the client is killed.
pub(super) async fn killed(client: &dyn Client) -> End {
    poll_fn(|cx| client.poll_killed(cx.waker())).await;
    End::Killed
}

/// Sends one message; gives up when the socket takes longer than `patience`.
pub(super) async fn say(
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    reply: &Reply<'_>,
    patience: Duration,
) -> Result<usize, End> {
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    match tokio::time::timeout(patience, writer.write_all(&bytes)).await {
        Err(_) => Err(End::Silent(patience)),
        Ok(Err(error)) => Err(End::Broken(error)),
        Ok(Ok(())) => Ok(bytes.len()),
    }
}

/// Refuses, which ends the link.
pub(super) async fn refuse(writer: &mut (dyn AsyncWrite + Send + Unpin), text: String, patience: Duration) -> End {
    match say(writer, &Reply::Refused(Refusal::new(&text)), patience).await {
        Ok(_) => End::Answered(text),
        Err(end) => end,
    }
}
