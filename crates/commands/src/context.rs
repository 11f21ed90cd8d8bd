//! What a command gets besides its arguments.

use keyspace::View;
use resp::Reply;

/// How the server chooses records to drop from memory; what OBJECT may answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// One of the `-lfu` policies: uses are counted.
    Lfu,
    /// Any other: idle time is what is known.
    Other,
}

/// The parameters of the server that commands obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest a string may grow, in bytes (`proto-max-bulk-len`).
    pub proto_max_bulk_len: u64,
    /// From `maxmemory-policy`.
    pub eviction: Eviction,
}

impl Default for Settings {
    /// Redis's.
    fn default() -> Self {
        Self { proto_max_bulk_len: 512 << 20, eviction: Eviction::Other }
    }
}

/// Whether a command that finds nothing may have its session wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It may.
    Allowed,
    /// It answers that there is nothing: it is part of a transaction.
    Refused,
}

/// One run of a command.
pub struct Context<'a> {
    /// The key space.
    pub view: &'a mut dyn View,
    /// Where the reply goes; what a stopped run wrote is truncated by the caller.
    pub reply: &'a mut Reply,
    /// The database the session has selected; the view has, too.
    pub database: usize,
    /// The server's parameters.
    pub settings: &'a Settings,
    /// What blocking commands do when there is nothing.
    pub waiting: Waiting,
}
