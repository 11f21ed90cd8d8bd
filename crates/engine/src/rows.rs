//! Rows in memory: what commits changed in exploded values and the store has not got yet, and whole values besides.
//!
//! ```text
//! made by a commit ──► known whole: reads never ask the store ──evicted──► only what is dirty is kept
//!                              ▲                                              │ reads go to the store,
//!                              └── filled from its front, as much as is asked ┘ dirty rows laid over it
//! ```
//!
//! Row sets are found by rows id. Who changes or reads one holds the stripe lock of its owner's key, so the mutexes here
//! are held for a look-up or a page and never contended for long. The store's rows are changed only under the settle
//! lock, whose holder also fills and evicts: that is why what was read from the store may be put beside what is dirty.

mod range;
mod set;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{HashMap, VecDeque};
use std::ops::{Add, AddAssign, Neg};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use keyspace::RowsId;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::store::{Direction, Write};
pub use range::RowRange;
pub use set::Known;
use set::RowSet;
pub use tree::AHEAD;

const PARTS: usize = 64;
/// Settle holds a mutex for so many rows at a time, and for about so many bytes that it copies.
const TAKE_ROWS: usize = if cfg!(test) { 4 } else { 1024 };
const TAKE_BYTES: usize = if cfg!(test) { 64 } else { 64 << 10 };
/// Sets per part of which reads of the store are counted.
const DEMANDS: usize = 32;
/// So many reads of the store make a set wanted.
const WANTED: u32 = if cfg!(test) { 2 } else { 8 };
/// Rows that are filled in for each read of the store.
const FILL_PER_READ: usize = if cfg!(test) { 2 } else { 256 };
/// A set with more rows is not freed by the thread that drops it.
const SLOW_TO_FREE: usize = 256;

/// The key of a row; short ones take no memory of their own.
pub type RowKey = SmallVec<[u8; 36]>;
/// The value of a row; short ones take no memory of their own.
pub type RowValue = SmallVec<[u8; 20]>;

/// A change of one row set, as a transaction collected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// The row is now this.
    Put(RowValue),
    /// The row is gone.
    Delete,
}

/// Some rows of a range that are in memory, in the order of a walk.
#[derive(Debug)]
pub struct RowPage {
    /// The rows; `None`: gone, whatever the store says.
    pub rows: VecDeque<(RowKey, Option<RowValue>)>,
    /// Whether there are more beyond the last of them.
    pub more: bool,
    /// Whether the store has nothing to add: all rows of the range are in memory.
    pub complete: bool,
    /// Ranges of which the store's rows are gone.
    pub cleared: Vec<RowRange>,
    /// Differs from that of an earlier page when rows may have moved to the store since.
    pub settled: u64,
}

/// How a visit of rows in memory ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visited {
    /// It did not begin: the store may have others.
    Unknown,
    /// Who looked had seen enough.
    Enough,
    /// There are no more rows.
    All,
    /// There may be more after this one.
    More(RowKey),
}

/// What the memory knows about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlaid {
    /// It is what was written to the caller's buffer.
    Is,
    /// It is gone, or has never been.
    Gone,
    /// Nothing: ask the store.
    Unknown,
}

/// Whether the store can have rows of a set that nothing is known of yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// It cannot: the set's id was given out by the run that changes it.
    Here,
    /// It can.
    Unknown,
}

/// By how many bytes memory grew, or shrank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Of rows that the store has not got.
    pub dirty: i64,
    /// Of rows that it has.
    pub clean: i64,
}

/// All rows of a shard that are in memory.
#[derive(Debug)]
pub struct Rows {
    parts: Vec<Mutex<Part>>,
    /// Whether there have ever been any.
    any: AtomicBool,
    /// The part at which the next eviction begins.
    hand: AtomicUsize,
    /// Sets that nobody can reach any more and that take long to free.
    buried: Mutex<Vec<RowSet>>,
}

#[derive(Debug, Default)]
struct Part {
    by_id: HashMap<RowsId, RowSet, RandomState>,
    /// Reads that had to ask the store, by set.
    demands: HashMap<RowsId, u32, RandomState>,
    /// How often rows have left for the store.
    settled: u64,
}

/// What settle took, to be written and then reported by [`Rows::written`] or [`Rows::put_back`].
#[derive(Debug, Default)]
pub struct TakenRows {
    /// The writes, range deletes of a set before the rows that came after them.
    pub writes: Vec<Write>,
    sets: Vec<TakenSet>,
}

#[derive(Debug)]
struct TakenSet {
    rows: RowsId,
    /// What was taken, and the LSN of the change.
    keys: Vec<(RowKey, u64)>,
}

/// How thoroughly is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Sets that have not been used for some rounds.
    Idle,
    /// As many as it takes.
    Enough,
}

impl Default for Rows {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        Self { parts, any: AtomicBool::new(false), hand: AtomicUsize::new(0), buried: Mutex::default() }
    }
}

impl Rows {
    fn part(&self, rows: RowsId) -> &Mutex<Part> {
        &self.parts[rows.0 as usize % PARTS]
    }

    fn first(&self, birth: Birth) -> RowSet {
        self.any.store(true, Ordering::Relaxed);
        RowSet::new(birth)
    }

    /// Whether rows have ever been in memory.
    pub fn are_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Has rows at hand for the runs that follow, as far as they are in memory and nobody looks at others near them.
    pub fn look_ahead(&self, wanted: &[(RowsId, RowKey)]) {
        let mut held: SmallVec<[(usize, MutexGuard<'_, Part>); tree::AHEAD]> = SmallVec::new();
        for (rows, _) in wanted {
            let at = rows.0 as usize % PARTS;
            if !held.iter().any(|(other, _)| *other == at) {
                held.extend(self.parts[at].try_lock().map(|part| (at, part)));
            }
        }
        let set = |rows: RowsId| {
            let (_, part) = held.iter().find(|(at, _)| *at == rows.0 as usize % PARTS)?;
            part.by_id.get(&rows)
        };
        set::look_ahead(wanted.iter().filter_map(|(rows, row)| Some((set(*rows)?, row))));
    }

    /// What is known about a row; its value goes to `out`.
    #[must_use]
    pub fn look(&self, rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Overlaid {
        let mut part = self.part(rows).lock();
        let overlaid = part.by_id.get_mut(&rows).map_or(Overlaid::Unknown, |set| set.look(row, out));
        if overlaid == Overlaid::Unknown {
            part.note_demand(rows);
        }
        overlaid
    }

    /// The first rows, at most so many, that a walk through a range comes to.
    #[must_use]
    pub fn page(&self, rows: RowsId, range: &RowRange, direction: Direction, most: usize) -> RowPage {
        let mut part = self.part(rows).lock();
        let settled = part.settled;
        let page = match part.by_id.get_mut(&rows) {
            Some(set) => set.page(range, direction, most, settled),
            None => RowPage { rows: VecDeque::new(), more: false, complete: false, cleared: Vec::new(), settled },
        };
        if !page.complete {
            part.note_demand(rows);
        }
        page
    }

    /// Visits the rows of a range, at most so many, if all of them are in memory. `seen` runs under a mutex that others
    /// wait for: it copies or counts, no more.
    pub fn visit(
        &self,
        rows: RowsId,
        range: &RowRange,
        direction: Direction,
        most: usize,
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Visited {
        let mut part = self.part(rows).lock();
        part.by_id.get_mut(&rows).map_or(Visited::Unknown, |set| set.visit(range, direction, most, seen))
    }

    /// How many rows a range has, if all of them are in memory.
    #[must_use]
    pub fn count(&self, rows: RowsId, range: &RowRange) -> Option<usize> {
        self.part(rows).lock().by_id.get_mut(&rows)?.count(range)
    }

    /// Shows the row before which a range has so many others, if all of them are in memory; says whether there is one.
    pub fn nth(
        &self,
        rows: RowsId,
        range: &RowRange,
        number: usize,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Option<bool> {
        self.part(rows).lock().by_id.get_mut(&rows)?.nth(range, number, seen)
    }

    /// Takes in the changes of a commit.
    pub fn apply(
        &self,
        rows: RowsId,
        birth: Birth,
        cleared: Vec<RowRange>,
        mut changes: impl Iterator<Item = (RowKey, RowChange)>,
        lsn: u64,
    ) -> Growth {
        let mut part = self.part(rows).lock();
        let set = part.by_id.entry(rows).or_insert_with(|| self.first(birth));
        for range in cleared {
            set.clear(range);
        }
        loop {
            let some: SmallVec<_> = changes.by_ref().take(tree::AHEAD).collect();
            if some.is_empty() {
                return set.growth();
            }
            set.apply(some, lsn);
        }
    }

    /// Drops a set whose owner is gone.
    pub fn forget(&self, rows: RowsId) -> Growth {
        let mut part = self.part(rows).lock();
        part.demands.remove(&rows);
        let set = part.by_id.remove(&rows);
        drop(part);
        set.map_or_else(Growth::default, |set| self.bury(set))
    }

    /// Drops everything.
    pub fn forget_all(&self) -> Growth {
        let mut growth = Growth::default();
        for part in &self.parts {
            let mut part = part.lock();
            part.demands.clear();
            let sets = std::mem::take(&mut part.by_id);
            drop(part);
            for (_, set) in sets {
                growth += self.bury(set);
            }
        }
        growth
    }

    fn bury(&self, set: RowSet) -> Growth {
        let growth = -set.booked();
        if set.len() > SLOW_TO_FREE {
            self.buried.lock().push(set);
        }
        growth
    }

    /// Frees the memory of large sets that were dropped. Takes its time.
    pub fn free_buried(&self) {
        drop(std::mem::take(&mut *self.buried.lock()));
    }

    /// Copies what is dirty, for settle. It stays here until [`Rows::written`].
    #[must_use]
    pub fn take(&self) -> TakenRows {
        let mut taken = TakenRows::default();
        for part in &self.parts {
            let changed = part.lock().changed();
            for (rows, mut keys) in changed {
                // Without the mutex: there may be a million.
                keys.sort_unstable();
                keys.dedup();
                let mut mark = TakenSet { rows, keys: Vec::with_capacity(keys.len()) };
                taken.writes.reserve(keys.len());
                let mut rest = &keys[..];
                // At least once, for the sake of the ranges.
                while let Some(set) = part.lock().by_id.get_mut(&rows) {
                    rest = set.take(rows, rest, &mut mark.keys, &mut taken.writes);
                    if rest.is_empty() {
                        break;
                    }
                }
                taken.sets.push(mark);
            }
        }
        taken
    }

    /// What was taken is in the store: what has not changed since is clean, and leaves unless the set is known.
    pub fn written(&self, taken: TakenRows) -> Growth {
        let mut growth = Growth::default();
        for mark in taken.sets {
            let part = self.part(mark.rows);
            for chunk in mark.keys.chunks(TAKE_ROWS) {
                let mut part = part.lock();
                part.settled += 1;
                if let Some(set) = part.by_id.get_mut(&mark.rows) {
                    set.written(chunk);
                    growth += set.growth();
                }
            }
            let mut part = part.lock();
            part.settled += 1;
            if let Some(set) = part.by_id.get_mut(&mark.rows) {
                set.forget_taken_ranges();
                if set.is_blank() {
                    part.by_id.remove(&mark.rows);
                }
            }
        }
        growth
    }

    /// What was taken could not be written: it is taken again.
    pub fn put_back(&self, taken: TakenRows) {
        for mark in taken.sets {
            if let Some(set) = self.part(mark.rows).lock().by_id.get_mut(&mark.rows) {
                set.put_back(mark.keys);
            }
        }
    }

    /// Lets go of clean rows, of whole sets at a time, until about `want` bytes are free. By the holder of the settle lock.
    pub fn evict(&self, want: i64, eviction: Eviction) -> Growth {
        let rounds = match eviction {
            Eviction::Idle => 1,
            Eviction::Enough => usize::from(set::FRESH) + 1,
        };
        let mut growth = Growth::default();
        for _ in 0..rounds * PARTS {
            if -growth.clean >= want {
                break;
            }
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % PARTS;
            let mut part = self.parts[at].lock();
            let mut freed = Vec::new();
            part.by_id.retain(|_, set| {
                if -growth.clean < want && set.grow_old() {
                    freed.push(set.let_go());
                    growth += set.growth();
                }
                !set.is_blank()
            });
            drop(part);
            drop(freed);
        }
        growth
    }

    /// Sets that reads have asked the store for again and again, and how many rows each may be given.
    #[must_use]
    pub fn wanted(&self) -> Vec<(RowsId, usize)> {
        let mut wanted = Vec::new();
        for part in &self.parts {
            let Part { by_id, demands, .. } = &mut *part.lock();
            demands.retain(|rows, reads| {
                if *reads < WANTED {
                    return true;
                }
                // From here on a set that is there is told from one that was dropped.
                by_id.entry(*rows).or_insert_with(|| self.first(Birth::Unknown));
                wanted.push((*rows, *reads as usize * FILL_PER_READ));
                false
            });
        }
        wanted
    }

    /// Where the rows begin that are to be filled in next; `None`: all are known, or the set is gone.
    #[must_use]
    pub fn unknown_from(&self, rows: RowsId) -> Option<RowKey> {
        self.part(rows).lock().by_id.get(&rows)?.unknown_from()
    }

    /// Takes in rows of the store: all that it has from [`Rows::unknown_from`] up to what is known then. By the holder of
    /// the settle lock, so that they are what the store has now.
    pub fn fill(&self, rows: RowsId, stored: Vec<(RowKey, RowValue)>, known: Known) -> Growth {
        let mut part = self.part(rows).lock();
        let Some(set) = part.by_id.get_mut(&rows) else { return Growth::default() };
        set.fill(stored, known);
        set.growth()
    }

    /// Bytes of all sets.
    #[cfg(test)]
    pub fn total_size(&self) -> Growth {
        let size =
            |part: &Mutex<Part>| part.lock().by_id.values().map(RowSet::booked).fold(Growth::default(), Add::add);
        self.parts.iter().map(size).fold(Growth::default(), Add::add)
    }

    /// Everything that must hold of every set.
    #[cfg(test)]
    pub fn check(&self) {
        self.parts.iter().for_each(|part| part.lock().by_id.values().for_each(RowSet::check));
    }
}

impl Part {
    /// Bounded: beyond that, sets that are seldom read make way.
    fn note_demand(&mut self, rows: RowsId) {
        if self.demands.len() >= DEMANDS && !self.demands.contains_key(&rows) {
            self.demands.retain(|_, reads| {
                *reads /= 2;
                *reads > 0
            });
            if self.demands.len() >= DEMANDS {
                return;
            }
        }
        let reads = self.demands.entry(rows).or_default();
        *reads = reads.saturating_add(1);
    }

    /// The sets that have changed, and the names of their rows that have.
    fn changed(&mut self) -> Vec<(RowsId, Vec<RowKey>)> {
        self.by_id.iter_mut().filter_map(|(rows, set)| Some((*rows, set.changed()?))).collect()
    }
}

impl Growth {
    /// Bytes, dirty or not.
    #[must_use]
    pub const fn used(self) -> i64 {
        self.dirty + self.clean
    }
}

impl Add for Growth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { dirty: self.dirty + other.dirty, clean: self.clean + other.clean }
    }
}

impl AddAssign for Growth {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Neg for Growth {
    type Output = Self;

    fn neg(self) -> Self {
        Self { dirty: -self.dirty, clean: -self.clean }
    }
}
