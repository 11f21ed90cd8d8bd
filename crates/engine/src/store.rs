//! What the engine needs of the ordered store under a shard.
//!
//! Three families: *records* (user key -> record), *rows* (rows id big-endian ++ row key -> value) and *system* (name
//! -> value, few and small). The store has no log of its own: what was written but not flushed is gone after a crash,
//! and what is left is a state between two whole batches, the same for all families.

use std::path::Path;
use std::sync::Arc;

use keyspace::{Millis, RowsId};

use crate::fault::Fault;

/// How far a read may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only what is in memory; [`Found::WouldBlock`] otherwise.
    Memory,
    /// The disk, too.
    Disk,
}

/// Answer of a point read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there; its bytes are in the output buffer.
    Yes,
    /// It is not there.
    No,
    /// Not known without reading the disk.
    WouldBlock,
}

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first key to the last.
    Forward,
    /// From the last key to the first.
    Backward,
}

impl Direction {
    /// Whether a walk this way comes to `one` before it comes to `other`.
    #[must_use]
    pub fn is_before(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Forward => one < other,
            Self::Backward => one > other,
        }
    }
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Puts a whole record (LSN included). `bytes` is the user key followed by the record.
    PutRecord {
        /// Key and record in one piece.
        bytes: Vec<u8>,
        /// Where the key ends.
        key_len: usize,
    },
    /// Removes a record.
    DeleteRecord {
        /// The user key.
        key: Vec<u8>,
    },
    /// Puts a row.
    PutRow {
        /// Whose.
        rows: RowsId,
        /// Its key.
        row: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// Removes a row.
    DeleteRow {
        /// Whose.
        rows: RowsId,
        /// Its key.
        row: Vec<u8>,
    },
    /// Removes the rows `from <= row key < to`; an empty `to` is the end.
    DeleteRows {
        /// Whose.
        rows: RowsId,
        /// First that goes.
        from: Vec<u8>,
        /// First that stays; empty: none.
        to: Vec<u8>,
    },
    /// Removes all records and rows (not the system entries).
    Clear,
    /// Puts a system entry.
    System {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: Vec<u8>,
    },
}

impl Write {
    /// The row set it changes.
    #[must_use]
    pub const fn rows(&self) -> Option<RowsId> {
        match self {
            Self::PutRow { rows, .. } | Self::DeleteRow { rows, .. } | Self::DeleteRows { rows, .. } => Some(*rows),
            Self::PutRecord { .. } | Self::DeleteRecord { .. } | Self::Clear | Self::System { .. } => None,
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        let own = match self {
            Self::PutRecord { bytes, .. } => bytes.len(),
            Self::DeleteRecord { key } => key.len(),
            Self::PutRow { row, value, .. } => row.len() + value.len(),
            Self::DeleteRow { row, .. } => row.len(),
            Self::DeleteRows { from, to, .. } => from.len() + to.len(),
            Self::Clear => 0,
            Self::System { value, .. } => value.len(),
        };
        own + size_of::<Self>()
    }
}

/// Key and value of an entry.
pub type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// Walks one family in key order, either way. The walk sees the store as it was when it began.
pub trait Cursor {
    /// The present entry: key and value; `None` at the end.
    ///
    /// # Errors
    /// A fault of the disk.
    fn entry(&self) -> Result<Option<KeyValue<'_>>, Fault>;

    /// Goes to the next entry.
    fn advance(&mut self);

    /// Whether it has no entry only because the next one is on the disk, where it may not go.
    fn would_block(&self) -> bool {
        false
    }
}

/// A record that a compaction found expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRecord {
    /// The user key.
    pub key: Vec<u8>,
    /// Its LSN then: only this version may be removed.
    pub lsn: u64,
}

/// Whether the store takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreHealth {
    /// It does.
    Ok,
    /// It stopped after a failure of its own background work; [`Store::resume`] may help.
    Stopped {
        /// What it said.
        reason: String,
        /// Whether the disk was full.
        no_space: bool,
    },
}

/// Numbers for INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes of its files.
    pub disk_bytes: u64,
    /// Bytes of its memtables.
    pub memtable_bytes: u64,
    /// Bytes in the block cache (which shards share).
    pub block_cache_bytes: u64,
    /// Bytes of indexes and filters outside the cache.
    pub table_reader_bytes: u64,
    /// Compactions and flushes under way.
    pub background_jobs: u64,
    /// Bytes that compactions have yet to rewrite.
    pub pending_compaction_bytes: u64,
    /// An estimate of the number of records.
    pub estimated_records: u64,
    /// Names and values only this store has, for INFO.
    pub details: Vec<(String, u64)>,
}

/// The store of one shard.
pub trait Store: Send + Sync {
    /// Reads a record into `out`, which is cleared first.
    ///
    /// # Errors
    /// A fault of the disk.
    fn record(&self, key: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault>;

    /// Reads a row into `out`, which is cleared first.
    ///
    /// # Errors
    /// A fault of the disk.
    fn row(&self, rows: RowsId, row: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault>;

    /// Reads a system entry.
    ///
    /// # Errors
    /// A fault of the disk.
    fn system(&self, name: &str) -> Result<Option<Vec<u8>>, Fault>;

    /// Walks the records from the first key that is >= `from`, up to the end or past the last key with `prefix`
    /// (whichever the store finds cheaper: the caller checks the prefix).
    ///
    /// # Errors
    /// A fault of the disk.
    fn records<'s>(&'s self, from: &[u8], prefix: &[u8]) -> Result<Box<dyn Cursor + 's>, Fault>;

    /// Walks the rows `from <= row key < to` of `rows` (empty `to`: to the end); keys are row keys, without the rows id.
    /// A walk that may not go to the disk ends before what is there, and says so: [`Cursor::would_block`].
    ///
    /// # Errors
    /// A fault of the disk.
    fn row_range<'s>(
        &'s self,
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        reach: Reach,
    ) -> Result<Box<dyn Cursor + 's>, Fault>;

    /// Applies `batch` in order and atomically.
    ///
    /// # Errors
    /// A fault; then nothing of the batch is visible.
    fn write(&self, batch: &[Write]) -> Result<(), Fault>;

    /// Makes all that was written before the call survive a crash. Long; runs at a thread that may wait.
    ///
    /// # Errors
    /// A fault of the disk.
    fn flush(&self) -> Result<(), Fault>;

    /// Makes a copy of the store in `dir`, which must not exist, in the state of its last write, sharing files where
    /// the file system can.
    ///
    /// # Errors
    /// A fault of the disk.
    fn checkpoint(&self, dir: &Path) -> Result<(), Fault>;

    /// Rewrites all files, so that what was removed gives its space back.
    ///
    /// # Errors
    /// A fault of the disk.
    fn compact(&self) -> Result<(), Fault>;

    /// Records whose expire-at is before `horizon` may be reported by [`Store::take_expired`] from now on.
    fn set_expiry_horizon(&self, horizon: Millis);

    /// Takes up to `most` of the expired records that compactions met. The list is bounded: what does not fit is met
    /// again by a later compaction.
    fn take_expired(&self, most: usize) -> Vec<ExpiredRecord>;

    /// Whether it takes writes.
    fn health(&self) -> StoreHealth;

    /// Tries to take writes again after [`StoreHealth::Stopped`].
    ///
    /// # Errors
    /// When it still cannot.
    fn resume(&self) -> Result<(), Fault>;

    /// Numbers for INFO.
    fn stats(&self) -> StoreStats;
}

/// Whether a store that is not there may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Make it when missing.
    Create,
    /// It must be there.
    Required,
}

/// Opens the stores of an instance's shards, which share memory budgets.
pub trait StoreFactory: Send + Sync {
    /// Opens the store in `dir`.
    ///
    /// # Errors
    /// A fault, of kind `Corrupt` or `Format` when the files are not usable.
    fn open(&self, dir: &Path, presence: Presence) -> Result<Arc<dyn Store>, Fault>;

    /// Changes the memory all stores together may use for blocks and for memtables, in bytes.
    fn set_budget(&self, block_cache_bytes: u64, memtable_bytes: u64);
}
