//! The clients that are connected: what `CLIENT LIST` shows of each, and how each is closed from outside.
//!
//! A session writes its fields as it goes, everybody may read them at any time; they need not fit together exactly.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use keyspace::Millis;
use parking_lot::Mutex;

use crate::catalog::CommandNumber;

/// How a client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, from this machine.
    Loopback,
    /// TCP, from another machine.
    Remote,
    /// The unix socket.
    Unix,
}

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub struct Ends {
    /// How it came.
    pub transport: Transport,
    /// The client's address as `CLIENT LIST` shows it.
    pub peer: String,
    /// Ours.
    pub local: String,
    /// The socket's number.
    pub fd: i32,
}

/// What is told by words.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// From `CLIENT SETNAME`; empty when it has none.
    pub name: Vec<u8>,
    /// From `CLIENT SETINFO LIB-NAME`.
    pub lib_name: Vec<u8>,
    /// From `CLIENT SETINFO LIB-VER`.
    pub lib_version: Vec<u8>,
}

/// A client, as the others see it.
#[derive(Debug)]
pub struct ClientInfo {
    /// Its number; never reused.
    pub id: u64,
    /// The two ends.
    pub ends: Ends,
    /// Since when.
    pub since: Millis,
    /// When it last sent something, in ms of the clock.
    pub last_active: AtomicU64,
    /// The selected database.
    pub database: AtomicU32,
    /// The last command; `u32::MAX` before the first.
    pub command: AtomicU32,
    /// 2 or 3.
    pub protocol: AtomicU8,
    /// Whether it asked for `CLIENT NO-EVICT`.
    pub no_evict: AtomicBool,
    /// Whether it asked for `CLIENT NO-TOUCH`.
    pub no_touch: AtomicBool,
    /// Whether its connection has become a link of a replica.
    pub is_link: AtomicBool,
    /// Whether it asks for the files of snapshots, as replicas do.
    pub is_fetching: AtomicBool,
    /// Whether its session waits for the desk, for room or for a lock.
    pub is_waiting: AtomicBool,
    /// Whether its output waits for a log or for replicas.
    pub is_gated: AtomicBool,
    /// Bytes received and not yet executed.
    pub input_bytes: AtomicUsize,
    /// Bytes of memory behind them.
    pub input_memory: AtomicUsize,
    /// Bytes of the largest command line of the last turn.
    pub argument_bytes: AtomicUsize,
    /// Bytes of replies that have not been sent.
    pub output_bytes: AtomicUsize,
    /// Since when (ms of the clock) its output has been over the soft limit; 0: it is not.
    pub over_soft_limit: AtomicU64,
    /// Commands queued since MULTI, or [`ClientInfo::NO_QUEUE`].
    pub queued: AtomicUsize,
    /// Bytes they take.
    pub queued_bytes: AtomicUsize,
    /// Keys it watches.
    pub watched: AtomicUsize,
    /// Whether it waits in a blocking command, for replicas, or for the end of a pause.
    pub is_blocked: AtomicBool,
    /// Names.
    pub words: Mutex<Words>,
    end: AtomicU8,
    waker: OnceLock<Waker>,
    link_waker: OnceLock<Waker>,
}

/// Why a client is closed from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kill {
    /// `CLIENT KILL`, or the end of the server: at once.
    Now = 1,
    /// Its own `CLIENT KILL`: once its replies are sent.
    AfterReplies = 2,
}

/// Has the others see that a client waits, until the value is dropped.
pub(crate) struct Waits(Arc<ClientInfo>);

impl Waits {
    pub(crate) fn new(info: &Arc<ClientInfo>) -> Self {
        info.is_blocked.store(true, Ordering::Relaxed);
        Self(Arc::clone(info))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.is_blocked.store(false, Ordering::Relaxed);
    }
}

impl ClientInfo {
    /// There is no transaction.
    pub const NO_QUEUE: usize = usize::MAX;

    pub(crate) fn new(id: u64, ends: Ends, now: Millis) -> Self {
        Self {
            id,
            ends,
            since: now,
            last_active: AtomicU64::new(now.0),
            database: AtomicU32::new(0),
            command: AtomicU32::new(u32::MAX),
            protocol: AtomicU8::new(2),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            is_link: AtomicBool::new(false),
            is_fetching: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            is_gated: AtomicBool::new(false),
            input_bytes: AtomicUsize::new(0),
            input_memory: AtomicUsize::new(0),
            argument_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            over_soft_limit: AtomicU64::new(0),
            queued: AtomicUsize::new(Self::NO_QUEUE),
            queued_bytes: AtomicUsize::new(0),
            watched: AtomicUsize::new(0),
            is_blocked: AtomicBool::new(false),
            words: Mutex::default(),
            end: AtomicU8::new(0),
            waker: OnceLock::new(),
            link_waker: OnceLock::new(),
        }
    }

    /// The last command.
    #[must_use]
    pub fn command(&self) -> Option<CommandNumber> {
        let number = self.command.load(Ordering::Relaxed);
        (number != u32::MAX).then_some(CommandNumber(number))
    }

    /// Closes the client, from any thread.
    pub fn kill(&self, how: Kill) {
        self.end.fetch_or(how as u8, Ordering::AcqRel);
        for waker in [&self.waker, &self.link_waker] {
            if let Some(waker) = waker.get() {
                waker.wake_by_ref();
            }
        }
    }

    /// How it is to be closed, if so.
    #[inline]
    #[must_use]
    pub fn killed(&self) -> Option<Kill> {
        match self.end.load(Ordering::Acquire) {
            0 => None,
            2 => Some(Kill::AfterReplies),
            _ => Some(Kill::Now),
        }
    }

    /// Has `waker`, that of the task of a connection that has become a link, woken by [`ClientInfo::kill`].
    pub(crate) fn watch_link(&self, waker: &Waker) {
        self.link_waker.get_or_init(|| waker.clone());
    }

    /// Whether the connection is a link of a replica.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.is_link.load(Ordering::Relaxed)
    }

    /// Whether it is a replica's: a link, or what fetches a copy.
    #[must_use]
    pub fn is_of_replica(&self) -> bool {
        self.is_link() || self.is_fetching.load(Ordering::Relaxed)
    }

    /// Has `waker`, that of the session's task, woken by [`ClientInfo::kill`].
    pub(crate) fn watch(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }
}

/// All clients.
#[derive(Debug, Default)]
pub struct Clients {
    connected: Mutex<BTreeMap<u64, Arc<ClientInfo>>>,
    count: AtomicUsize,
    last_id: AtomicU64,
}

impl Clients {
    /// Takes a place among at most `most` clients; `None` when there is none.
    pub(crate) fn admit(self: &Arc<Self>, most: usize) -> Option<Place> {
        let taken =
            self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < most).then_some(count + 1));
        taken.is_ok().then(|| Place { clients: Arc::clone(self), id: None })
    }

    /// How many are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in the order of their numbers.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<ClientInfo>> {
        self.connected.lock().values().cloned().collect()
    }

    /// The one with this number.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Arc<ClientInfo>> {
        self.connected.lock().get(&id).cloned()
    }
}

/// A client's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    clients: Arc<Clients>,
    id: Option<u64>,
}

impl Place {
    /// Makes the client visible to the others.
    pub(crate) fn enter(&mut self, ends: Ends, now: Millis) -> Arc<ClientInfo> {
        let id = self.clients.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let info = Arc::new(ClientInfo::new(id, ends, now));
        self.clients.connected.lock().insert(id, Arc::clone(&info));
        self.id = Some(id);
        info
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clients.connected.lock().remove(&id);
        }
        self.clients.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> Ends {
        Ends { transport: Transport::Loopback, peer: "127.0.0.1:1".into(), local: "127.0.0.1:2".into(), fd: 3 }
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let clients = Arc::new(Clients::default());
        let first = clients.admit(1).unwrap();
        assert!(clients.admit(1).is_none());
        drop(first);
        let mut second = clients.admit(1).unwrap();
        let info = second.enter(ends(), Millis(5));
        assert_eq!(clients.list().len(), 1);
        assert_eq!(clients.find(info.id).unwrap().since, Millis(5));
        drop(second);
        assert!(clients.is_empty() && clients.list().is_empty());
    }

    #[test]
    fn the_harder_kill_wins() {
        let info = ClientInfo::new(1, ends(), Millis(0));
        assert_eq!(info.killed(), None);
        info.kill(Kill::AfterReplies);
        assert_eq!(info.killed(), Some(Kill::AfterReplies));
        info.kill(Kill::Now);
        assert_eq!(info.killed(), Some(Kill::Now));
    }
}
