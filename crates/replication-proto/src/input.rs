//! What the driver tells the machine: [`Input`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use lineage::Lsn;

use crate::{Address, Cause, Config, Db, LinkId, NodeId, Path, PromotionId, RunId, TransferId};

/// Something that happened. Inputs of a link, a transfer or a promotion carry its number; those with an old number change
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// `REPLICAOF host port`, also with the address that is followed already: that restarts the link.
    ReplicaOf(Address),
    /// `REPLICAOF NO ONE`: stop following; a replica becomes a primary.
    NoOne,
    /// `DBSLAVEOF db ..`. Without effect on a node that follows nobody: the driver refuses it there.
    DbSlaveOf(Db, DbOrder),
    /// `REPLICATION RESET [db]`: retry now, with a new budget.
    Reset(Scope),
    /// The parameters changed.
    Configure(Config),
    /// The `replicaof` line of the configuration file was rewritten and says this now.
    FileSays(Option<Address>),
    /// A shard exists here: each one at start, and later each one created. Harmless to repeat.
    Local(Db),

    /// The handshake of a control link ended well: the primary's answer to `SYNCMETA`.
    Meta {
        /// The link of [`crate::Start::Dial`].
        link: LinkId,
        /// The answer.
        meta: Meta,
    },
    /// The primary's heartbeat on the control link.
    Beat {
        /// The control link.
        link: LinkId,
        /// The heartbeat.
        beat: Beat,
    },
    /// A dial or a handshake failed, or the control link broke.
    ControlLost {
        /// The control link.
        link: LinkId,
        /// Why.
        cause: Cause,
    },

    /// The primary's answer to `SYNCSHARD`.
    Verdict {
        /// The shard.
        db: Db,
        /// The link of [`crate::Start::OpenShard`].
        link: LinkId,
        /// The answer.
        verdict: Verdict,
    },
    /// `PREPARING` instead of an answer: more will come on this link.
    Preparing {
        /// The shard.
        db: Db,
        /// The shard link.
        link: LinkId,
        /// How far the primary is.
        percent: u8,
    },
    /// Bytes came on a shard link that continues: frames, applied by now, or `ALIVE`. The driver may gather what happens
    /// within a tenth of a second, but must not be silent for longer while bytes come.
    Position {
        /// The shard.
        db: Db,
        /// The shard link.
        link: LinkId,
        /// How far this node is. While a long frame comes, `received` counts what is here of it: a link over which nothing
        /// more is received though the primary has more is given up after `repl-progress-timeout`.
        positions: Positions,
        /// The end of the primary's log, as last heard.
        end: Lsn,
    },
    /// The shard link could not be opened, was refused, broke, or brought what cannot be applied.
    ShardLost {
        /// The shard.
        db: Db,
        /// The shard link.
        link: LinkId,
        /// Why.
        cause: Cause,
    },

    /// A full sync got somewhere. The driver may gather reports, at least one a second.
    Progress {
        /// The shard.
        db: Db,
        /// The transfer of [`crate::Start::Fetch`] or [`crate::Start::Reset`].
        transfer: TransferId,
        /// Where.
        progress: Progress,
    },
    /// Everything of [`crate::Start::Fetch`] is here, verified and durable. The machine answers with
    /// [`crate::Start::Install`], or, if it no longer wants the transfer, not at all.
    Fetched {
        /// The shard.
        db: Db,
        /// The transfer.
        transfer: TransferId,
    },
    /// The new shard is in its place, durably; the old one is not served any more.
    Installed {
        /// The shard.
        db: Db,
        /// The transfer.
        transfer: TransferId,
        /// Where the new shard ends.
        end: Lsn,
    },
    /// A transfer ended without success, fetching or installing, and will do nothing more. Its files are kept. Also when
    /// the primary lost the snapshot: the next transfer asks for another one.
    TransferFailed {
        /// The shard.
        db: Db,
        /// The transfer.
        transfer: TransferId,
        /// Why.
        cause: Cause,
    },

    /// This node accepts writes now: each shard has its fresh epoch.
    Promoted(PromotionId),
    /// It does not: an epoch could not be written.
    PromoteFailed(PromotionId, Cause),
    /// Nothing but time: a deadline is due.
    Tick,
}

/// What `DBSLAVEOF db` wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbOrder {
    /// `NO ONE`: stop following with this database, until `SYNC` or `FORCE`.
    NoOne,
    /// `SYNC`: follow again, or retry now.
    Sync,
    /// `FORCE`: follow again, with a full copy whatever the positions are.
    Force,
}

/// What `REPLICATION RESET` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The node and all of its shards.
    Everything,
    /// One shard.
    Shard(Db),
}

/// What a primary says in answer to `SYNCMETA`, as far as the machine needs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Of the protocol.
    pub version: u16,
    /// Who it is.
    pub node: NodeId,
    /// Which run of it.
    pub run: RunId,
    /// Its role generation.
    pub role_generation: u64,
    /// How many databases it may have.
    pub databases: u32,
    /// From it to its root.
    pub path: Path,
    /// One for each of its shards.
    pub shards: Vec<ShardBeat>,
}

/// A primary's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Beat {
    /// Which run of it. Another than at the handshake is a fault of the protocol.
    pub run: RunId,
    /// Its role generation. Beats with an older one than known are ignored.
    pub role_generation: u64,
    /// From it to its root.
    pub path: Path,
    /// One for each of its shards.
    pub shards: Vec<ShardBeat>,
}

/// What a primary says of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardBeat {
    /// Which.
    pub db: Db,
    /// Grows at each cut, swap and change of role or upstream.
    pub log_generation: u64,
    /// The end of its log.
    pub end: Lsn,
}

/// A primary's answer to `SYNCSHARD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Frames from `from` on follow on this link. The driver has checked that the shard here ends there.
    Continue {
        /// The generation of the log that feeds this link.
        log_generation: u64,
        /// Where the frames begin.
        from: Lsn,
    },
    /// The shard here must be replaced.
    FullSync(SyncReason),
    /// Reserved: undo down to this position. Taken as a full sync because histories parted there.
    Rewind(Lsn),
    /// The primary cannot judge yet (`-BUSYSYNC`): it is itself behind, or cut off from who could.
    NotYet,
}

/// Why a shard must be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncReason {
    /// The replica has nothing, and the primary's log no longer reaches back to the beginning.
    Empty,
    /// The replica's end is on the primary's history, but the primary's log begins later.
    Trimmed,
    /// The histories part here; what the replica has above it is in nobody's history.
    Diverged(Lsn),
    /// The replica has all that the primary has, and more: the primary lost some.
    Ahead,
    /// The histories have nothing in common.
    Disjoint,
    /// The primary has no such database: an empty shard takes its place, nothing is fetched.
    Absent,
    /// An operator asked for it. Never a verdict.
    Forced,
    /// The data here turned out not to fit the log. Never a verdict.
    Damaged,
    /// What follows on the log here could not be had from this primary, several times in a row. Never a verdict.
    Stuck,
}

impl SyncReason {
    /// Whether the replica loses something that the primary never had.
    #[must_use]
    pub const fn discards(self) -> bool {
        match self {
            SyncReason::Diverged(_) | SyncReason::Ahead | SyncReason::Disjoint | SyncReason::Absent => true,
            SyncReason::Empty | SyncReason::Trimmed | SyncReason::Forced | SyncReason::Damaged | SyncReason::Stuck => {
                false
            }
        }
    }

    /// Whether the shard is replaced even if the primary would continue it.
    #[must_use]
    pub const fn binds(self) -> bool {
        match self {
            SyncReason::Forced | SyncReason::Damaged | SyncReason::Stuck => true,
            SyncReason::Empty
            | SyncReason::Trimmed
            | SyncReason::Diverged(_)
            | SyncReason::Ahead
            | SyncReason::Disjoint
            | SyncReason::Absent => false,
        }
    }

    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<SyncReason> {
        match text {
            "empty" => Some(SyncReason::Empty),
            "trimmed" => Some(SyncReason::Trimmed),
            "ahead" => Some(SyncReason::Ahead),
            "disjoint" => Some(SyncReason::Disjoint),
            "absent" => Some(SyncReason::Absent),
            "forced" => Some(SyncReason::Forced),
            "damaged" => Some(SyncReason::Damaged),
            "stuck" => Some(SyncReason::Stuck),
            other => {
                let at = other.strip_prefix("diverged@")?;
                let plain = at == "0" || at.starts_with(|c: char| ('1'..='9').contains(&c));
                plain.then(|| at.parse().ok()).flatten().map(|at| SyncReason::Diverged(Lsn(at)))
            }
        }
    }
}

/// On the wire and in the ledger: `empty`, `diverged@4100`, ..
impl fmt::Display for SyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncReason::Empty => f.write_str("empty"),
            SyncReason::Trimmed => f.write_str("trimmed"),
            SyncReason::Diverged(at) => write!(f, "diverged@{at}"),
            SyncReason::Ahead => f.write_str("ahead"),
            SyncReason::Disjoint => f.write_str("disjoint"),
            SyncReason::Absent => f.write_str("absent"),
            SyncReason::Forced => f.write_str("forced"),
            SyncReason::Damaged => f.write_str("damaged"),
            SyncReason::Stuck => f.write_str("stuck"),
        }
    }
}

/// How far a replica's shard is. Each is at most the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Positions {
    /// The end of what is in its log's file.
    pub received: Lsn,
    /// What readers see.
    pub applied: Lsn,
    /// What would survive a power loss.
    pub synced: Lsn,
}

/// The name that a primary gave to a snapshot: at most [`SnapshotId::MAX`] printable ASCII characters, none of them blank,
/// and not just `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Characters of the longest name.
    pub const MAX: usize = 64;

    /// `None` if this is no such name.
    #[must_use]
    pub fn new(name: &str) -> Option<SnapshotId> {
        let fits =
            (1..=SnapshotId::MAX).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic()) && name != "-";
        fits.then(|| SnapshotId(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a full sync is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The primary makes the snapshot.
    Preparing {
        /// Done of it.
        percent: u8,
    },
    /// The manifest is here.
    Chosen {
        /// The snapshot that it describes.
        snapshot: SnapshotId,
        /// Bytes of all files.
        total: u64,
    },
    /// Files come, or are found to be here already.
    Fetched {
        /// Bytes here, verified.
        bytes: u64,
        /// Bytes of all files.
        total: u64,
    },
    /// The new shard is put together, opened, replayed and swapped in. No peer is needed any more. It is reported when a
    /// step is done, and only then.
    Installing {
        /// Bytes of files put together; later, of log replayed.
        bytes: u64,
        /// Bytes of all files; later, of the log to replay.
        total: u64,
    },
}
