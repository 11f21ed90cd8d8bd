//! What a command sees of the key space while it runs: records, rows, the time, chance. Nothing else.
//!
//! A command reads everything it needs, then writes. Any call may [`Stop`] it: the command is then dropped without a
//! trace and, but for a fault, run again from its start where waiting is allowed. So a command passes every `Stop` on
//! untouched and keeps no state of its own outside the view.

use alloc::vec::Vec;

use crate::record::{Head, Millis, Record, RowsId};

/// Why a command cannot go on here. The view remembers the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It needs the disk, a lock or a long time, and this thread must not wait.
    WouldBlock,
    /// It asked for a key that is not locked; it must be run with the whole shard locked.
    Undeclared,
    /// The world failed; the view knows the fault.
    Fault,
}

/// From which record on a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek<'a> {
    /// The first one.
    Start,
    /// The first one whose key is greater than this.
    After(&'a [u8]),
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// There is more; go on after this key.
    More(Vec<u8>),
    /// All of it was seen.
    End,
}

/// How long a record has not been used, and how often it was of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Seconds since it was last read or written; for a record not in memory, since the server knows of it.
    pub idle_seconds: u64,
    /// A small counter of recent uses, 0 for a record not in memory.
    pub frequency: u8,
    /// Bytes the record takes in memory, its key and bookkeeping included.
    pub memory_bytes: usize,
}

/// Limits that decide when a value is exploded. They never change a stored record by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A string longer than this many bytes is kept in chunks.
    pub string_chunk_threshold: usize,
    /// A packed collection has at most this many bytes.
    pub packed_max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { string_chunk_threshold: 64 << 10, packed_max_bytes: 8 << 10 }
    }
}

/// The key space as one command sees it. Methods are about the selected database.
pub trait View {
    /// The time of this run: the same from its first to its last call.
    fn now(&self) -> Millis;

    /// 64 random bits.
    fn random(&mut self) -> u64;

    /// When a value is exploded.
    fn limits(&self) -> Limits;

    /// Turns to another database for the calls that follow.
    ///
    /// # Errors
    /// [`Stop::Undeclared`] when this run did not ask for that database.
    fn select(&mut self, database: usize) -> Result<(), Stop>;

    /// How many databases there are, used or not.
    fn databases(&self) -> usize;

    /// The live record of `key`; an expired one is `None`.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn record(&mut self, key: &[u8]) -> Result<Option<Record<'_>>, Stop>;

    /// Makes `head` and `payload` the record of `key`. Rows that only the old record led to are dropped.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn put(&mut self, key: &[u8], head: &Head, payload: &[u8]) -> Result<(), Stop>;

    /// Changes part of the payload of a live record: `remove` bytes at `at` become `insert`.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn splice(&mut self, key: &[u8], at: usize, remove: usize, insert: &[u8]) -> Result<(), Stop>;

    /// Changes when a live record expires.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn set_expiry(&mut self, key: &[u8], expire_at: Option<Millis>) -> Result<(), Stop>;

    /// Removes the record of `key` and its rows; says whether a live one was there.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn delete(&mut self, key: &[u8]) -> Result<bool, Stop>;

    /// Moves the live record of `from` over whatever `to` has. The rows stay where they are. `from` must be there.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Stop>;

    /// A rows id nobody ever had.
    fn new_rows(&mut self) -> RowsId;

    /// Reads one row into `out`, which is cleared first; says whether there is one.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn row(&mut self, key: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop>;

    /// Visits the rows `from <= row key < to` in order (empty `to`: to the end) until `seen` answers `false`.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn rows(
        &mut self,
        key: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop>;

    /// As [`View::rows`], from the last row of the range to the first.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn rows_back(
        &mut self,
        key: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop>;

    /// Writes one row. The frame must also change the owner's record ([`View::touch`] at least).
    ///
    /// # Errors
    /// Any [`Stop`].
    fn put_row(&mut self, key: &[u8], rows: RowsId, row: &[u8], value: &[u8]) -> Result<(), Stop>;

    /// Removes one row.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn delete_row(&mut self, key: &[u8], rows: RowsId, row: &[u8]) -> Result<(), Stop>;

    /// Removes the rows `from <= row key < to` (empty `to`: to the end). Made for many of them: until it has been settled,
    /// each look at the rows of `key` passes it.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn delete_rows(&mut self, key: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Result<(), Stop>;

    /// Says that rows of `key` changed while its record did not.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn touch(&mut self, key: &[u8]) -> Result<(), Stop>;

    /// Announces that about `bytes` bytes will be read or copied: too much for a thread that serves others, too.
    ///
    /// # Errors
    /// [`Stop::WouldBlock`] there.
    fn heavy(&mut self, bytes: u64) -> Result<(), Stop>;

    /// Visits live records whose keys begin with `prefix`, in key order, at most `limit` of them.
    ///
    /// # Errors
    /// Any [`Stop`]; [`Stop::Undeclared`] unless the run has the whole shard.
    fn walk(
        &mut self,
        from: Seek<'_>,
        prefix: &[u8],
        limit: usize,
        seen: &mut dyn FnMut(&[u8], &Record<'_>),
    ) -> Result<Page, Stop>;

    /// A number that stands for "after this key" in a later [`View::cursor_key`]; never 0.
    fn cursor(&mut self, key: &[u8]) -> u64;

    /// The key of a cursor; `None` when it is not (or no longer) known: begin anew.
    fn cursor_key(&mut self, cursor: u64) -> Option<Vec<u8>>;

    /// Some live key, each about equally likely.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn random_key(&mut self) -> Result<Option<Vec<u8>>, Stop>;

    /// Number of records, expired ones that are still there included.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn count(&mut self) -> Result<u64, Stop>;

    /// Removes every record and row.
    ///
    /// # Errors
    /// Any [`Stop`]; [`Stop::Undeclared`] unless the run has the whole shard.
    fn clear(&mut self) -> Result<(), Stop>;

    /// How a record has been used; asking does not count as a use. `None`: there is no live record.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn usage(&mut self, key: &[u8]) -> Result<Option<Usage>, Stop>;
}
