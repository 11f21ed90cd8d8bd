//! A connection to the primary: dialed, authenticated, and read message by message.

use replication_proto::{Address, Cause};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::broken::Broken;
use super::settings::Settings;
use crate::dial::dial;
use crate::wire::{Inbox, Reply, Side};

/// A connection.
pub(super) struct Link {
    pub stream: TcpStream,
    pub inbox: Inbox,
}

impl Link {
    /// Dials and authenticates, within the time for connecting.
    pub async fn open(settings: &Settings, primary: &Address) -> Result<Self, Broken> {
        let patience = settings.connect_timeout();
        let late = |_| Broken::new(Cause::Timeout, "no answer to AUTH in time");
        tokio::time::timeout(patience, async {
            let stream = dial(&primary.host, primary.port, patience).await?;
            let mut link = Self { stream, inbox: Inbox::new(Side::FromPrimary, Vec::new()) };
            link.authenticate(settings).await?;
            Ok(link)
        })
        .await
        .map_err(late)?
    }

    async fn authenticate(&mut self, settings: &Settings) -> Result<(), Broken> {
        if settings.password.is_empty() {
            return Ok(());
        }
        let (user, password) = (settings.user.as_bytes(), settings.password.as_bytes());
        let words: &[&[u8]] = if user.is_empty() { &[b"AUTH", password] } else { &[b"AUTH", user, password] };
        self.send_words(words).await?;
        self.answer(|reply| match reply {
            Reply::Ok => Ok(()),
            // A primary that asks for no password any more takes us without one.
            Reply::Refused(refusal) if refusal.text.contains("without any password configured") => Ok(()),
            Reply::Refused(refusal) => Err(Broken::refused(&refusal, Cause::AuthRefused)),
            _ => Err(Broken::unexpected("AUTH")),
        })
        .await?
    }

    pub async fn send_words(&mut self, words: &[&[u8]]) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        resp::encode_command(words, &mut bytes);
        self.send(&bytes).await
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Waits for the next message and has `take` look at it.
    pub async fn answer<T>(&mut self, take: impl FnOnce(Reply<'_>) -> T) -> Result<T, Broken> {
        loop {
            if let Some(reply) = self.inbox.next_reply()? {
                return Ok(take(reply));
            }
            self.stream.readable().await?;
            self.read()?;
        }
    }

    /// Reads what has arrived, without waiting. Answers how many bytes.
    pub fn read(&mut self) -> Result<usize, Broken> {
        match self.stream.try_read_buf(self.inbox.room()) {
            Ok(0) => Err(Broken::closed()),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
