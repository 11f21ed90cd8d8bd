//! What the machine wants done: [`Output`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use lineage::Lsn;

use crate::{
    Address, Cause, Db, Ledger, LinkId, Millis, Positions, PromotionId, RunId, SnapshotId, SyncReason, TransferId,
};

/// The consequences of one step, to be obeyed in the order of the fields, and each list in its own order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Output {
    /// The ledger's new content. It must be durable before anything else of this output is done; while it cannot be
    /// written, the driver retries and does nothing else.
    pub persist: Option<Ledger>,
    /// Things to begin or to end.
    pub start: Vec<Start>,
    /// Messages to send. One that cannot be sent is dropped.
    pub send: Vec<Transmit>,
    /// What people should know, and programs that watch.
    pub events: Vec<Event>,
}

/// Something to begin or to end. What begins is answered by inputs with its number. What ends is not answered, and ending
/// what is gone already is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Start {
    /// Be a replica, of another primary than before: refuse client writes from now on, and let all log generations grow, so
    /// that those who follow this node negotiate anew. Cannot fail. A promotion that still runs must end first; its answer is then of no
    /// interest.
    Demote,
    /// Begin a fresh epoch on every shard, then accept client writes: [`crate::Input::Promoted`], `PromoteFailed`.
    Promote(PromotionId),
    /// Dial, authenticate, `REPLCONF`, `SYNCMETA`: [`crate::Input::Meta`], `ControlLost`.
    Dial {
        /// The number of the new control link.
        link: LinkId,
        /// Whom to dial.
        primary: Address,
        /// This node's role generation.
        role_generation: u64,
    },
    /// Close a control link, also one that is still being dialled.
    CloseControl {
        /// Which.
        link: LinkId,
    },
    /// Open a shard link and ask `SYNCSHARD`, with the end and the lineage that the shard has at that moment (an empty
    /// lineage and 0 where there is no shard): [`crate::Input::Verdict`], `Preparing`, `ShardLost`.
    OpenShard {
        /// The shard.
        db: Db,
        /// The number of the new link.
        link: LinkId,
        /// The run of the primary that is asked.
        run: RunId,
        /// The primary's role generation.
        role_generation: u64,
        /// Why the shard is replaced whatever the answer is.
        bound: Option<SyncReason>,
    },
    /// Close a shard link, also one that is still being opened. What was received of it may still be applied, but before
    /// anything later of this output is done for the shard.
    CloseShard {
        /// The shard.
        db: Db,
        /// Which link.
        link: LinkId,
    },
    /// Fetch a snapshot: [`crate::Input::Progress`], `Fetched`, `TransferFailed`. Files that are here from an earlier
    /// transfer are used as far as their content fits.
    Fetch {
        /// The shard.
        db: Db,
        /// The number of the new transfer.
        transfer: TransferId,
        /// Why.
        reason: SyncReason,
        /// The snapshot of an interrupted transfer, if there was one.
        resume: Option<SnapshotId>,
    },
    /// Make the fetched shard ready and swap it in: [`crate::Input::Progress`], `Installed`, `TransferFailed`. Cannot be
    /// aborted; it goes on whatever becomes of the links.
    Install {
        /// The shard.
        db: Db,
        /// The transfer that fetched it.
        transfer: TransferId,
    },
    /// Put an empty shard in the place of the present one; nothing is fetched. Answered as [`Start::Install`].
    Reset {
        /// The shard.
        db: Db,
        /// The number of the new transfer.
        transfer: TransferId,
    },
    /// Stop a transfer that fetches, or has fetched and was not told to install. Its files stay: the next transfer begins
    /// with them.
    AbortFetch {
        /// The shard.
        db: Db,
        /// Which transfer.
        transfer: TransferId,
    },
    /// Remove the files of the shard's transfers that ended or were aborted: they will not be needed again.
    DropFiles {
        /// The shard.
        db: Db,
    },
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transmit {
    /// The heartbeat to the primary.
    Heartbeat {
        /// The control link.
        link: LinkId,
        /// The primary's role generation, as known here.
        role_generation: u64,
        /// How far each shard that follows is. The driver may send newer figures.
        positions: Vec<(Db, Positions)>,
    },
}

/// Something that people may want to know afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// When, on the machine's clock.
    pub at: Millis,
    /// Whose.
    pub level: Level,
    /// What.
    pub what: Occurrence,
}

/// Whose state, event or alarm it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The node's.
    Node,
    /// One shard's.
    Shard(Db),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Node => f.write_str("node"),
            Level::Shard(db) => write!(f, "db{db}"),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Occurrence {
    /// A machine went from one state to another.
    Transition {
        /// The state it left.
        from: StateName,
        /// The state it is in now.
        to: StateName,
        /// Why.
        cause: Cause,
        /// Failures in this episode that are charged to the budget.
        attempt: u32,
        /// The limit of them; 0 is none.
        limit: u32,
        /// How far the shard is; `None` for a node, or where it is not known.
        position: Option<Lsn>,
    },
    /// A condition that somebody should look at began.
    Raised(Alarm),
    /// It ended.
    Cleared(Alarm),
    /// A machine is connected again, so long after it last was.
    Healed(Millis),
    /// A full sync was decided on; for some reasons what is here is discarded, into quarantine.
    SyncBegan(SyncReason),
    /// This node is a primary now.
    Promoted,
    /// A promotion waits for the end of an install, or is retried.
    PromotionWaits(Cause),
}

/// A named condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// A shard failed several times, or for a cause that does not pass by itself.
    ShardError,
    /// The budget of retries is spent; the machine rests.
    RetriesExhausted,
    /// A replica's data is older than allowed.
    Lag,
    /// A replica had something that its primary does not have.
    Diverged,
    /// A link is lost again and again soon after it was made.
    LinkFlapping,
    /// A shard needs full sync after full sync.
    FullSyncLoop,
    /// No primary: this node does not reach one, or whom it follows does not.
    NoPrimary,
}

impl Alarm {
    /// Every alarm.
    pub const ALL: [Alarm; 7] = [
        Alarm::ShardError,
        Alarm::RetriesExhausted,
        Alarm::Lag,
        Alarm::Diverged,
        Alarm::LinkFlapping,
        Alarm::FullSyncLoop,
        Alarm::NoPrimary,
    ];

    /// The name that logs, events and `REPLICATION ALARMS` show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Alarm::ShardError => "shard_error",
            Alarm::RetriesExhausted => "retries_exhausted",
            Alarm::Lag => "lag",
            Alarm::Diverged => "diverged",
            Alarm::LinkFlapping => "link_flapping",
            Alarm::FullSyncLoop => "full_sync_loop",
            Alarm::NoPrimary => "no_primary",
        }
    }
}

impl Alarm {
    /// For people: what raises it.
    #[must_use]
    pub const fn raised_when(self) -> &'static str {
        match self {
            Alarm::ShardError => {
                "a shard failed three times in a row, or once for a cause that does not pass by itself"
            }
            Alarm::RetriesExhausted => "`repl-retry-limit` failures in one episode",
            Alarm::Lag => "a replica's data is older than 10 s",
            Alarm::Diverged => {
                "the verdict costs the replica data that the primary does not have, or a frame did not fit"
            }
            Alarm::LinkFlapping => "five losses of an established link within five minutes",
            Alarm::FullSyncLoop => "three full syncs of a shard without a stable time between them",
            Alarm::NoPrimary => {
                "no primary is reached: three failures, one that does not pass, or an upstream without one"
            }
        }
    }

    /// For people: what clears it.
    #[must_use]
    pub const fn cleared_when(self) -> &'static str {
        match self {
            Alarm::ShardError | Alarm::Diverged => {
                "the shard is connected and has applied something, or all that there is"
            }
            Alarm::RetriesExhausted => {
                "as `shard_error`, or the node is connected; an operator resets it, or the limit is raised"
            }
            Alarm::Lag => "everything is applied that was announced 10 s ago",
            Alarm::LinkFlapping => "the fifth last loss is five minutes ago",
            Alarm::FullSyncLoop => "the shard is connected for `repl-stable-after`",
            Alarm::NoPrimary => "the node is connected, and its path ends at a primary",
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The states of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeStateName {
    /// No primary is configured.
    NoConnect,
    /// The next dial is scheduled.
    Connect,
    /// The handshake is under way.
    Connecting,
    /// Heartbeats flow.
    Connected,
    /// The handshake failed; the next one is scheduled.
    Error,
}

/// The states of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShardStateName {
    /// Not following.
    NoConnect,
    /// Wants to ask.
    TryConnect,
    /// Has asked.
    WaitReply,
    /// Is being replaced.
    WaitDbSync,
    /// Frames arrive and are applied.
    Connected,
    /// Something refused or broke; the next question is scheduled.
    Error,
}

/// A state's name, of a node or a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// A node's.
    Node(NodeStateName),
    /// A shard's.
    Shard(ShardStateName),
}

impl NodeStateName {
    /// The states in the order of the tables.
    pub const ALL: [NodeStateName; 5] = [
        NodeStateName::NoConnect,
        NodeStateName::Connect,
        NodeStateName::Connecting,
        NodeStateName::Connected,
        NodeStateName::Error,
    ];

    /// The name in logs and `INFO`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NodeStateName::NoConnect => "NoConnect",
            NodeStateName::Connect => "Connect",
            NodeStateName::Connecting => "Connecting",
            NodeStateName::Connected => "Connected",
            NodeStateName::Error => "Error",
        }
    }
}

impl ShardStateName {
    /// The states in the order of the tables.
    pub const ALL: [ShardStateName; 6] = [
        ShardStateName::NoConnect,
        ShardStateName::TryConnect,
        ShardStateName::WaitReply,
        ShardStateName::WaitDbSync,
        ShardStateName::Connected,
        ShardStateName::Error,
    ];

    /// The name in logs and `INFO`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ShardStateName::NoConnect => "NoConnect",
            ShardStateName::TryConnect => "TryConnect",
            ShardStateName::WaitReply => "WaitReply",
            ShardStateName::WaitDbSync => "WaitDbSync",
            ShardStateName::Connected => "Connected",
            ShardStateName::Error => "Error",
        }
    }
}

impl StateName {
    /// The name in logs and `INFO`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StateName::Node(name) => name.as_str(),
            StateName::Shard(name) => name.as_str(),
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Occurrence::Transition { from, to, cause, attempt, limit, position } => {
                write!(f, "{from} -> {to} ({cause})")?;
                if *attempt > 0 {
                    let of = if *limit == 0 { String::new() } else { alloc::format!("/{limit}") };
                    write!(f, " attempt {attempt}{of}")?;
                }
                position.map_or(Ok(()), |position| write!(f, " at {position}"))
            }
            Occurrence::Raised(alarm) => write!(f, "alarm {alarm} raised"),
            Occurrence::Cleared(alarm) => write!(f, "alarm {alarm} cleared"),
            Occurrence::Healed(after) => write!(f, "healed after {after} ms"),
            Occurrence::SyncBegan(reason) => write!(f, "full sync: {reason}"),
            Occurrence::Promoted => f.write_str("promoted"),
            Occurrence::PromotionWaits(cause) => write!(f, "promotion waits ({cause})"),
        }
    }
}
