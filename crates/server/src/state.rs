//! What a session knows of its client between two commands.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use replication::primary::Announced;
use resp::{Protocol, Trust};

use crate::client::ClientInfo;
use crate::config::Config;
use crate::gate::Marks;
use crate::transaction::{Assembly, Queue, Watched};

/// Which replies are sent (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// All.
    On,
    /// None.
    Off,
    /// Not that of the next command; this one's neither, for it is `CLIENT REPLY SKIP` itself.
    SkipNext,
    /// Not that of this command.
    Skip,
}

/// The state of a session.
#[derive(Debug)]
pub struct SessionState {
    /// What the others see of the client.
    pub info: Arc<ClientInfo>,
    /// The selected database.
    pub database: usize,
    /// What the client speaks. The session's [`resp::Reply`] is told by [`SessionState::set_protocol`]'s caller.
    pub protocol: Protocol,
    /// Whether it has authenticated, or need not.
    pub trust: Trust,
    /// Which replies are sent.
    pub replies: Replies,
    /// Commands queued since MULTI.
    pub queue: Option<Box<Queue>>,
    /// What WATCH has noted.
    pub watched: Vec<Watched>,
    /// A reply of EXEC that is not complete: its rest comes before anything else.
    pub assembly: Option<Box<Assembly>>,
    /// What the session has seen and done: what WAIT waits for.
    pub(crate) seen: Marks,
    /// What a replica said of itself (`REPLCONF`).
    pub announced: Option<Box<Announced>>,
}

impl SessionState {
    pub(crate) fn new(info: Arc<ClientInfo>, config: &Config) -> Self {
        Self {
            info,
            database: 0,
            protocol: Protocol::Resp2,
            trust: first_trust(config),
            replies: Replies::On,
            queue: None,
            watched: Vec::new(),
            assembly: None,
            seen: Marks::default(),
            announced: None,
        }
    }

    /// Selects a database, which must be below the number of databases.
    pub fn select(&mut self, database: usize) {
        self.database = database;
        self.info.database.store(u32::try_from(database).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Changes the protocol; the caller changes that of the reply, too, when it wants this reply in the new one.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        let number = match protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        self.info.protocol.store(number, Ordering::Relaxed);
    }

    /// Has EXEC look at more keys.
    pub(crate) fn watch(&mut self, watched: Vec<Watched>) {
        self.watched.extend(watched);
        self.note_transaction();
    }

    /// Forgets what is queued and what is watched.
    pub fn end_transaction(&mut self) {
        self.queue = None;
        self.watched = Vec::new();
        self.note_transaction();
    }

    /// Has the others see how the transaction stands.
    pub fn note_transaction(&self) {
        let none = (ClientInfo::NO_QUEUE, 0);
        let (count, bytes) = self.queue.as_ref().map_or(none, |queue| (queue.len(), queue.memory()));
        self.info.queued.store(count, Ordering::Relaxed);
        self.info.queued_bytes.store(bytes, Ordering::Relaxed);
        self.info.watched.store(self.watched.len(), Ordering::Relaxed);
    }

    /// Puts everything back as it was when the client connected (`RESET`).
    pub fn reset(&mut self, config: &Config) {
        self.end_transaction();
        self.select(0);
        self.set_protocol(Protocol::Resp2);
        self.trust = first_trust(config);
        self.replies = Replies::On;
        self.announced = None;
        self.info.no_evict.store(false, Ordering::Relaxed);
        self.info.no_touch.store(false, Ordering::Relaxed);
        self.info.words.lock().name.clear();
    }
}

/// How far a client is trusted before it has said anything.
pub(crate) fn first_trust(config: &Config) -> Trust {
    if config.requirepass.is_empty() { Trust::Authenticated } else { Trust::Unauthenticated }
}
