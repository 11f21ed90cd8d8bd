//! The messages between two nodes, as bytes: [`Request`]s of a replica, [`Reply`]s of its primary, [`Manifest`]s.
//!
//! Every message is an array of bulk strings, in both directions, and its first string is its name; only refusals (`-ERR`)
//! and `+OK` are lines. Integers are decimal, ids are 40 hexadecimal digits, lineages and manifests have byte forms of
//! their own. All of it is drawn in `docs/formats/replication.md`.
//!
//! A decoder never trusts a length: each has its bound here, and memory grows with the bytes that arrived, not with those
//! that were promised. It keeps no socket and no clock.

mod fields;
mod inbox;
mod manifest;
mod refusal;
mod reply;
mod request;

#[cfg(test)]
mod tests;

use core::fmt;

pub use inbox::{Inbox, Side};
pub use manifest::{Checksum, FileEntry, MAX_FILE_PATH, MAX_FILES, MAX_MANIFEST, Manifest, is_safe_path};
pub use refusal::{Class, Refusal};
pub use reply::{PrimaryHeartbeat, PrimaryMeta, Reply, ShardBeat, ShardMeta};
pub use request::{Ack, ReplicaHeartbeat, Request, ShardAck, SnapshotRequest, SyncMeta, SyncShard};

/// The version of the protocol. The two ends of a link speak the same one.
pub const VERSION: u64 = replication_proto::PROTOCOL_VERSION as u64;
/// A `FRAMES` message carries at most so many bytes, unless a single frame is longer.
pub const MAX_FRAMES: usize = 256 << 10;
/// The longest piece of a file that may be asked for.
pub const MAX_CHUNK: usize = 4 << 20;
/// The most databases that a node has.
pub const MAX_DATABASES: usize = 1024;
/// The longest text of a reason or a refusal, in bytes; a sender cuts it.
pub const MAX_TEXT: usize = 1024;

/// Bytes that are no message. The link has lost its meaning and is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes are no array of bulk strings, or break a bound.
    Framing(String),
    /// A message of a name that is not known here.
    Unknown(String),
    /// A field of this message is missing, superfluous or malformed.
    Field {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framing(what) => write!(f, "not a message: {what}"),
            Self::Unknown(name) => write!(f, "unknown message '{name}'"),
            Self::Field { message, field } => write!(f, "{message} with a wrong {field}"),
        }
    }
}

impl std::error::Error for WireError {}
