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
    /// A packed collection has at most this many bytes, whatever its type allows.
    pub packed_max_bytes: usize,
    /// Up to what a hash stays packed: fields, and bytes of a field or value.
    pub hash: Packing,
    /// Up to what a set stays packed: members, and bytes of a member.
    pub set: Packing,
    /// Members up to which a set of nothing but integers stays packed.
    pub intset_entries: usize,
    /// Up to what a sorted set stays packed: members, and bytes of a member.
    pub zset: Packing,
    /// Up to what a list stays packed.
    pub list: ListPacking,
}

/// Up to what a collection stays packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Elements.
    pub entries: usize,
    /// Bytes of one element.
    pub value: usize,
}

/// Up to what a list stays packed: Redis bounds its nodes either by bytes or by elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPacking {
    /// This many bytes.
    Bytes(usize),
    /// This many elements.
    Entries(usize),
}

impl ListPacking {
    /// The meaning of a value of `list-max-listpack-size`: elements from 0 on (0 is 1), -1 to -5 and below is 4, 8, 16,
    /// 32, 64 KiB.
    #[must_use]
    pub const fn of_parameter(size: i32) -> Self {
        match size {
            0 => Self::Entries(1),
            1.. => Self::Entries(size as usize),
            -4..=-1 => Self::Bytes(2048 << size.unsigned_abs()),
            _ => Self::Bytes(64 << 10),
        }
    }
}

impl Default for Limits {
    /// Redis's.
    fn default() -> Self {
        let packing = Packing { entries: 128, value: 64 };
        Self {
            string_chunk_threshold: 64 << 10,
            packed_max_bytes: 8 << 10,
            hash: packing,
            set: packing,
            intset_entries: 512,
            zset: packing,
            list: ListPacking::of_parameter(-2),
        }
    }
}

/// The key space as one command sees it. Methods are about the selected database.
pub trait View {
    /// The time of this run: the same from its first to its last call.
    fn now(&self) -> Millis;

    /// 64 random bits.
    fn random(&mut self) -> u64;

    /// When a value is exploded: the same from the first to the last call of a run.
    fn limits(&self) -> &Limits;

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

    /// How many rows `from..to` has (empty `to`: to the end), if that is known without a look at each.
    fn count_rows(&mut self, key: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Option<u64> {
        let _ = (key, rows, from, to);
        None
    }

    /// Shows the row of `from..to` before which the range has `number` others, and says whether there is one, if that is
    /// known without a look at each.
    fn nth_row(
        &mut self,
        key: &[u8],
        rows: RowsId,
        range: [&[u8]; 2],
        number: u64,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Option<bool> {
        let _ = (key, rows, range, number, seen);
        None
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_list_reads_as_in_redis() {
        let kib = [(-1, 4), (-2, 8), (-3, 16), (-4, 32), (-5, 64), (-6, 64), (i32::MIN, 64)];
        for (size, kib) in kib {
            assert_eq!(ListPacking::of_parameter(size), ListPacking::Bytes(kib << 10), "{size}");
        }
        for (size, entries) in [(0, 1), (1, 1), (128, 128)] {
            assert_eq!(ListPacking::of_parameter(size), ListPacking::Entries(entries), "{size}");
        }
    }
}
