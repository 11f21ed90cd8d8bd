//! The table of transitions: [`TRANSITIONS`]. The machine asserts that it makes no other, and `docs/replication.md` draws it.

use crate::{NodeStateName, ShardStateName, StateName};

/// One transition that a machine may make.
#[derive(Debug, Clone, Copy)]
pub struct Transition {
    /// The state it leaves.
    pub from: StateName,
    /// The state it enters.
    pub to: StateName,
    /// On what.
    pub on: &'static str,
}

const fn node(from: NodeStateName, to: NodeStateName, on: &'static str) -> Transition {
    Transition { from: StateName::Node(from), to: StateName::Node(to), on }
}

const fn shard(from: ShardStateName, to: ShardStateName, on: &'static str) -> Transition {
    Transition { from: StateName::Shard(from), to: StateName::Shard(to), on }
}

use NodeStateName as N;
use ShardStateName as S;

/// Every transition there is.
pub const TRANSITIONS: &[Transition] = &[
    node(N::NoConnect, N::Connect, "`REPLICAOF host port`"),
    node(N::Connect, N::Connecting, "the back-off is over; dial"),
    node(N::Connect, N::NoConnect, "`REPLICAOF NO ONE`"),
    node(N::Connecting, N::Connected, "the handshake ended well"),
    node(N::Connecting, N::Error, "`repl-connect-timeout`; refused, incompatible, unreadable"),
    node(N::Connecting, N::Connect, "`REPLICAOF host port`"),
    node(N::Connecting, N::NoConnect, "`REPLICAOF NO ONE`"),
    node(N::Connected, N::Connect, "`repl-timeout` without a byte; link closed; `REPLICAOF host port`"),
    node(N::Connected, N::Error, "a cycle; the retry budget is spent"),
    node(N::Connected, N::NoConnect, "`REPLICAOF NO ONE`"),
    node(N::Error, N::Connect, "the back-off or the cool-down is over; `REPLICATION RESET`; `REPLICAOF host port`"),
    node(N::Error, N::NoConnect, "`REPLICAOF NO ONE`"),
    shard(S::NoConnect, S::TryConnect, "the node is connected and the database is not detached"),
    shard(S::TryConnect, S::WaitReply, "the back-off is over, and there is a slot if one is needed; ask"),
    shard(S::TryConnect, S::Error, "an install that it waits for makes no progress"),
    shard(S::TryConnect, S::NoConnect, "the node left Connected; detached"),
    shard(S::WaitReply, S::Connected, "`CONTINUE`"),
    shard(S::WaitReply, S::WaitDbSync, "`FULLSYNC`, `REWIND`"),
    shard(S::WaitReply, S::TryConnect, "`FULLSYNC`, but every slot is taken"),
    shard(S::WaitReply, S::Error, "`repl-reply-timeout`; refused; link closed"),
    shard(S::WaitReply, S::NoConnect, "the node left Connected; detached"),
    shard(S::WaitDbSync, S::TryConnect, "installed; negotiate again"),
    shard(S::WaitDbSync, S::Error, "`repl-progress-timeout` without progress; a fault"),
    shard(S::WaitDbSync, S::NoConnect, "the node left Connected; detached"),
    shard(
        S::Connected,
        S::NoConnect,
        "`repl-timeout` without a byte, `repl-progress-timeout` without a frame though there are some; gap, bad checksum, link closed; node left; detached",
    ),
    shard(S::Connected, S::Error, "the retry budget is spent"),
    shard(S::Error, S::NoConnect, "the back-off or the cool-down is over; `REPLICATION RESET`, `DBSLAVEOF`; node left"),
];

/// Whether the table has it.
pub(crate) fn is_allowed(from: StateName, to: StateName) -> bool {
    TRANSITIONS.iter().any(|row| row.from == from && row.to == to)
}
