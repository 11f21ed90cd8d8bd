//! What `INFO` and `REPLICATION STATUS` show of a machine: [`Status`], a plain snapshot taken between two steps.

use alloc::vec::Vec;

use lineage::Lsn;

use crate::{Address, Alarm, Cause, Db, Level, Millis, NodeId, NodeStateName, Path, ShardStateName, SyncReason};

/// One immutable view of a node; never half of a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The moment it was taken.
    pub at: Millis,
    /// What this node is.
    pub role: Role,
    /// Counts this node's changes of role and upstream.
    pub role_generation: u64,
    /// From this node to its root primary, for heartbeats to those who follow it.
    pub path: Path,
    /// The node's machine.
    pub node: NodeStatus,
    /// The shards' machines, by database. Empty on a primary.
    pub shards: Vec<ShardStatus>,
    /// The alarms that are on, and since when.
    pub alarms: Vec<(Level, Alarm, Millis)>,
}

/// What a node is to its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It accepts writes.
    Primary,
    /// It follows another, or tries to.
    Replica,
    /// It follows nobody any more and does not accept writes yet: the promotion is under way.
    Promoting,
}

/// The node's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its state.
    pub state: NodeStateName,
    /// When it entered it.
    pub since: Millis,
    /// Why it entered it.
    pub cause: Cause,
    /// Failures in this episode that are charged to the budget.
    pub attempt: u32,
    /// The limit of them; 0 is none.
    pub limit: u32,
    /// When it acts next by itself; `None` if it only reacts.
    pub next_at: Option<Millis>,
    /// When it tries again; `None` while nothing is to be tried again, or not by itself.
    pub retry_at: Option<Millis>,
    /// Whom it follows.
    pub primary: Option<Address>,
    /// Who that is, while connected.
    pub upstream: Option<NodeId>,
    /// When something last came on the control link.
    pub heard_at: Option<Millis>,
    /// When the control link was last lost; `None` while it is up, or if it never was.
    pub down_since: Option<Millis>,
    /// Since when not everything flows here that the primary has, but for detached databases; `None` while it does, and on
    /// a node that follows nobody.
    pub cut_since: Option<Millis>,
    /// How long the last repair of the link took.
    pub last_heal: Option<Millis>,
}

/// One shard's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Which.
    pub db: Db,
    /// Its state.
    pub state: ShardStateName,
    /// When it entered it.
    pub since: Millis,
    /// Why it entered it.
    pub cause: Cause,
    /// Failures in this episode that are charged to the budget.
    pub attempt: u32,
    /// The limit of them; 0 is none.
    pub limit: u32,
    /// When it acts next by itself; `None` if it only reacts.
    pub next_at: Option<Millis>,
    /// When it asks again; `None` while nothing is to be asked again, or not by itself at a time that is known.
    pub retry_at: Option<Millis>,
    /// Whether an operator detached it.
    pub detached: bool,
    /// The end of the primary's log, as last heard; `None` while it was not heard, or if it is the end of another history.
    pub end: Option<Lsn>,
    /// How old the data here is at most; 0 while the primary says each second that everything announced is applied. While
    /// the data was not complete yet, since when it is to be; `None` while nothing was heard of the primary's.
    pub age: Option<Millis>,
    /// The full sync that is under way, or waits to go on.
    pub transfer: Option<TransferStatus>,
    /// How long the last repair took, from losing Connected to having it again.
    pub last_heal: Option<Millis>,
}

/// A full sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferStatus {
    /// Why.
    pub reason: SyncReason,
    /// What it does now.
    pub phase: SyncPhase,
    /// When this attempt began; for an estimate of its end.
    pub since: Millis,
    /// Attempts so far, this one included, over restarts.
    pub attempt: u32,
}

/// What a full sync does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncPhase {
    /// Nothing: it waits for the link, a slot, or the next try.
    Interrupted,
    /// The primary makes the snapshot.
    Preparing {
        /// Done of it.
        percent: u8,
    },
    /// Files come.
    Transferring {
        /// Bytes here.
        bytes: u64,
        /// Bytes of all files.
        total: u64,
    },
    /// The new shard is made ready and swapped in.
    Installing {
        /// Bytes of log replayed.
        bytes: u64,
        /// Bytes of log to replay.
        total: u64,
    },
}
