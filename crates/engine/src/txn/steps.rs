//! Several commands in one run: each is a step, and a step that fails is taken back alone.
//!
//! ```text
//!   begin_step ── changes ── begin_step ── changes ── undo_step      the first step's changes stay
//!                              mark             noted ◀──┘           the second's are gone
//! ```
//!
//! The undo list of the run holds what records were before the run. A step that changes a record once more notes what
//! it was before the step; rows likewise.

use hashbrown::HashTable;
use keyspace::record::LSN_BYTES;
use keyspace::{Record, RowsId, Stop, View};
use smallvec::SmallVec;

use super::Txn;
use super::row_writes::SetWrites;
use crate::rows::{RowChange, RowKey};

/// A run of several commands.
pub trait Transaction: View {
    /// A command begins.
    fn begin_step(&mut self);

    /// Takes back what was changed since the last [`Transaction::begin_step`]. A step that has emptied a database
    /// cannot be taken back.
    fn undo_step(&mut self);

    /// What has become of `key` of late.
    ///
    /// # Errors
    /// Any [`Stop`].
    fn trace(&mut self, key: &[u8]) -> Result<Trace, Stop>;
}

/// What is known of a key, and when.
///
/// Removals that are in the store are no longer remembered one by one, only up to where they reach in each stripe. So a key
/// that was absent and still is may count as changed because a neighbour was; that it was changed is never missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// It has a record, last changed by the frame of this LSN.
    Live(u64),
    /// Its record has expired.
    Stale,
    /// It has no record.
    Absent {
        /// If there was one, a frame that begins before this removed it.
        removed: u64,
        /// The end of the log when it was looked for.
        at: u64,
    },
}

impl Trace {
    /// Whether a key that was `self` and is `now` has been changed. That an expired record is put away is no change.
    #[must_use]
    pub fn differs(self, now: Self) -> bool {
        match (self, now) {
            (Self::Stale, Self::Stale | Self::Absent { .. }) => false,
            (Self::Absent { at, .. }, Self::Absent { removed, .. }) => removed > at,
            (Self::Live(before), Self::Live(now)) => before != now,
            (Self::Live(_), Self::Stale | Self::Absent { .. }) | (Self::Stale | Self::Absent { .. }, Self::Live(_)) => {
                true
            }
            (Self::Absent { .. }, Self::Stale) => true,
        }
    }
}

/// Entries kept for the next step.
const KEPT_INDEX: usize = 1024;

/// The step that is under way.
#[derive(Default)]
pub(crate) struct Step {
    touched: usize,
    arena: usize,
    parts: SmallVec<[PartMark; 1]>,
    /// What records were when the step began that an earlier step had changed.
    again: Vec<Again>,
    /// The records that the step has changed, as keys in the arena.
    known: HashTable<Known>,
    rows: Vec<RowsBefore>,
}

/// How far a part was when the step began.
struct PartMark {
    ops: usize,
    lost: usize,
    made: usize,
    deletes: bool,
    cleared_at: usize,
}

struct Again {
    hash: u64,
    held: usize,
    key: (usize, usize),
    bytes: (usize, usize),
}

struct Known {
    hash: u64,
    held: usize,
    key: (usize, usize),
}

/// What the run had changed in rows when the step began.
enum RowsBefore {
    Row { part: usize, rows: RowsId, row: RowKey, was: Option<RowChange> },
    Set { part: usize, rows: RowsId, was: Option<Box<SetWrites>> },
}

impl Transaction for Txn<'_> {
    fn begin_step(&mut self) {
        let mut step = self.step.take().unwrap_or_default();
        step.touched = self.scratch.touched.len();
        step.arena = self.scratch.arena.len();
        step.parts.clear();
        step.parts.extend(self.parts.iter().map(|part| PartMark {
            ops: part.ops.bytes().len(),
            lost: part.lost.len(),
            made: part.made.len(),
            deletes: part.deletes,
            cleared_at: part.cleared_at,
        }));
        step.again.clear();
        step.rows.clear();
        if step.known.capacity() > KEPT_INDEX {
            step.known = HashTable::new();
        } else {
            step.known.clear();
        }
        self.step = Some(step);
    }

    fn undo_step(&mut self) {
        let Some(mut step) = self.step.take() else { return };
        for (part, mark) in self.parts.iter_mut().zip(&step.parts) {
            assert_eq!(part.cleared_at, mark.cleared_at, "no command fails after it has emptied a database");
            part.ops.truncate(mark.ops);
            part.lost.truncate(mark.lost);
            part.made.truncate(mark.made);
            part.deletes = mark.deletes;
        }
        self.undo_records(&step);
        self.undo_rows(&mut step);
        self.scratch.touched.truncate(step.touched);
        self.scratch.arena.truncate(step.arena);
        self.step = Some(step);
    }

    fn trace(&mut self, key: &[u8]) -> Result<Trace, Stop> {
        let now = self.now;
        let end = self.part().shard.map_or(0, |shard| shard.log.end().0);
        let Some((at, bucket)) = self.bucket(key)? else {
            let removed = self.locate(key)?.map_or(0, |(_, at)| self.held[at].guard.forgotten);
            return Ok(Trace::Absent { removed, at: end });
        };
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        match entry.record() {
            Ok(None) => Ok(Trace::Absent { removed: entry.lsn() + 1, at: end }),
            Ok(Some(record)) if record.is_expired(now) => Ok(Trace::Stale),
            Ok(Some(Record { lsn, .. })) => Ok(Trace::Live(lsn)),
            Err(error) => Err(self.corrupt(key, &error.to_string())),
        }
    }
}

impl Txn<'_> {
    /// Notes that the step changes a record which the run has changed before, by this step or an earlier one.
    #[cold]
    pub(super) fn touch_again(&mut self, hash: u64, at: usize, bucket: usize, key: &[u8]) {
        let Some(key_at) = self.know(hash, at, key) else { return };
        let Some(step) = &mut self.step else { return };
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let arena = &mut self.scratch.arena;
        let bytes = (arena.len(), entry.stored_bytes().len());
        assert!(bytes.1 >= LSN_BYTES, "an entry has an LSN");
        arena.extend_from_slice(entry.stored_bytes());
        step.again.push(Again { hash, held: at, key: key_at, bytes });
    }

    /// Notes that the step changes a record; answers where its key lies in the arena. `None`: that was known.
    fn know(&mut self, hash: u64, at: usize, key: &[u8]) -> Option<(usize, usize)> {
        let step = self.step.as_mut()?;
        let arena = &mut self.scratch.arena;
        let same = |known: &Known| {
            known.hash == hash && known.held == at && &arena[known.key.0..known.key.0 + known.key.1] == key
        };
        if step.known.find(hash, same).is_some() {
            return None;
        }
        let key_at = (arena.len(), key.len());
        arena.extend_from_slice(key);
        step.known.insert_unique(hash, Known { hash, held: at, key: key_at }, |known| known.hash);
        Some(key_at)
    }

    /// As [`Txn::know`], of the record that was put on the undo list last.
    #[cold]
    pub(super) fn know_touched(&mut self, at: usize) {
        let Some((step, touched)) = self.step.as_mut().zip(self.scratch.touched.last()) else { return };
        let known = Known { hash: touched.hash, held: at, key: touched.key };
        step.known.insert_unique(touched.hash, known, |known| known.hash);
    }

    /// Notes what the run had changed of a row, before it is changed once more.
    #[cold]
    pub(super) fn note_row(&mut self, rows: RowsId, row: &[u8]) {
        let part = self.at;
        let set = self.parts[part].rows.as_ref().and_then(|writes| writes.get(rows));
        let was = set.and_then(|set| set.rows.get(row)).cloned();
        if let Some(step) = &mut self.step {
            step.rows.push(RowsBefore::Row { part, rows, row: RowKey::from_slice(row), was });
        }
    }

    /// As [`Txn::note_row`], of a whole set.
    #[cold]
    pub(super) fn note_set(&mut self, rows: RowsId) {
        let part = self.at;
        let was = self.parts[part].rows.as_ref().and_then(|writes| writes.get(rows)).cloned().map(Box::new);
        if let Some(step) = &mut self.step {
            step.rows.push(RowsBefore::Set { part, rows, was });
        }
    }

    fn undo_records(&mut self, step: &Step) {
        let arena = &self.scratch.arena;
        let (mut used, mut dirty) = (0, 0);
        for again in &step.again {
            let key = &arena[again.key.0..again.key.0 + again.key.1];
            let guard = &mut self.held[again.held].guard;
            let entry = guard.find_mut(again.hash, key).expect("what a run has changed stays in its stripe");
            entry.restore(&arena[again.bytes.0..again.bytes.0 + again.bytes.1]);
        }
        for touched in &self.scratch.touched[step.touched..] {
            let key = &arena[touched.key.0..touched.key.0 + touched.key.1];
            let guard = &mut self.held[touched.held as usize].guard;
            let Some((old_at, old_len)) = touched.old else {
                drop(guard.remove(touched.hash, key));
                continue;
            };
            let entry = guard.find_mut(touched.hash, key).expect("what a run has changed stays in its stripe");
            entry.restore(&arena[old_at..old_at + old_len]);
            entry.set_state(touched.state);
            // As when a whole run is undone: the memory behind the bytes may have grown.
            let grown = entry.cost() as i64 - touched.cost as i64;
            used += grown;
            dirty += if touched.state.dirty { grown } else { 0 };
        }
        self.instance.budget.book_used(used);
        self.instance.budget.book_dirty(dirty);
    }

    fn undo_rows(&mut self, step: &mut Step) {
        while let Some(before) = step.rows.pop() {
            match before {
                RowsBefore::Row { part, rows, row, was } => {
                    let writes = self.parts[part].rows.get_or_insert_default();
                    let set = writes.of(rows);
                    match was {
                        Some(change) => set.rows.insert(&row, change),
                        None => set.rows.remove(&row),
                    }
                    if set.is_empty() {
                        writes.set(rows, None);
                    }
                }
                RowsBefore::Set { part, rows, was } => {
                    self.parts[part].rows.get_or_insert_default().set(rows, was.map(|was| *was));
                }
            }
        }
    }
}
