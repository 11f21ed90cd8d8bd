//! The replication state machine of a node and its shards, without time, files or sockets.
//!
//! ```text
//!  operator, links, transfers, time          persist  the ledger, fsynced before anything else
//!        │ Input                             start    dial, open a shard link, fetch, promote, ..
//!        ▼                                   send     heartbeats
//!  Node::step(now, input) ──► Output ──────► events   transitions, alarms: for the log and for people
//!        ▲
//!  Node::deadline(): when to step with `Input::Tick`
//! ```
//!
//! Whoever drives a node obeys each [`Output`] in the order of its fields, and reports what came of it in later inputs.
//! Every link, transfer and promotion gets a number from the machine; reports that carry an old number are ignored, so
//! the driver needs no care about late answers.
//!
//! The other side of a link, a primary that is asked, is here as plain functions and tables: [`judge`], [`Leases`].
//!
//! This crate does not know what a socket, a clock, a file or a frame is.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
mod cause;
mod common;
mod config;
mod input;
mod judge;
mod leases;
mod ledger;
mod node;
mod output;
mod retry;
mod shard;
mod states;
mod status;
mod time;

pub use address::{Address, Db, LinkId, NodeId, Path, PathError, PromotionId, Root, RunId, TransferId};
pub use cause::{Cause, Class};
pub use config::Config;
pub use input::{Beat, DbOrder, Input, Meta, Positions, Progress, Scope, ShardBeat, SnapshotId, SyncReason, Verdict};
pub use judge::{Ask, Judgement, Origin, Standing, judge};
pub use leases::{Lease, LeaseError, LeaseId, Leases, retention_floor};
pub use ledger::{Decided, Ledger, LedgerError, UnfinishedSync};
pub use node::Node;
pub use output::{Alarm, Event, Level, NodeStateName, Occurrence, Output, ShardStateName, Start, StateName, Transmit};
pub use states::{TRANSITIONS, Transition};
pub use status::{NodeStatus, Role, ShardStatus, Status, SyncPhase, TransferStatus};
pub use time::Millis;

/// The version of the replication protocol that this build speaks.
pub const PROTOCOL_VERSION: u16 = 1;
