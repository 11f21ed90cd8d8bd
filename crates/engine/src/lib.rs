//! The one write path of a shard: hot records, commit, settle, recovery, snapshots.
#![forbid(unsafe_code)]

pub mod fault;
pub mod store;
