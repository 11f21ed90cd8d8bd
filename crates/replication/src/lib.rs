//! Replication between nodes: the messages, the primary's side and the replica's side of every link.
//!
//! ```text
//!   replica                                  primary
//!   control link   ── HEARTBEAT ──▶          knows its replicas, and what each has
//!                  ◀── HEARTBEAT ──          its shards, its role
//!   shard links    ◀── FRAMES, ALIVE ──      feeds: one for each database, from the log's files
//!                  ── ACK ──▶
//!   snapshot links ── SNAPSHOT READ ──▶      leases on files made for those who cannot continue
//! ```
//!
//! The decisions are made elsewhere, without sockets and clocks; this crate has the bytes and the waiting.
#![forbid(unsafe_code)]

pub mod alarms;
pub mod dial;
pub mod events;
pub mod ledger;
pub mod primary;
pub mod replica;
pub mod report;
pub mod wire;
