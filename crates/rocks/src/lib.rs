//! The store of a shard on RocksDB: everything the project knows about that library is in this crate.
//!
//! ```text
//! RocksFactory -- one block cache, one memtable budget for all shards
//!      |  opens
//!      v
//! RocksStore  --  Database: one directory, three families (records, rows, system), no log of its own
//!      |             |-- health:  background errors, told by RocksDB
//!      |             `-- expired: records past the horizon, met by compactions
//!      `-- Walk: a cursor
//! ```
//!
//! Invariants: every write goes around RocksDB's own log (ours is the engine's), and every flush is atomic over the
//! families; so what is on disk is always a state between two whole batches. Nothing here knows what a record means
//! but for its LSN and its expire-at, which the compaction filter looks at and never acts on.
#![forbid(unsafe_code)]

mod budget;
mod cursor;
mod database;
mod expired;
mod factory;
mod health;
mod options;
mod refusal;
mod stats;
mod store;

pub use factory::RocksFactory;
pub use options::{Compression, RocksOptions};
