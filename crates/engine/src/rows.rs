//! Dirty rows: what commits changed in exploded values and the store has not got yet, laid over reads of the store.
//!
//! Row sets are found by rows id. Who changes or reads one holds the stripe lock of its owner's key, so the mutexes here
//! are only held for the look-up and never contended for long; settle takes them after it has passed every stripe.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

use keyspace::RowsId;
use parking_lot::Mutex;

use crate::store::{Direction, Write};

const PARTS: usize = 64;
/// What a dirty row costs beyond its bytes.
const ROW_OVERHEAD: usize = 96;

/// A change of one row set, as a transaction collected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// The row is now this.
    Put(Vec<u8>),
    /// The row is gone.
    Delete,
}

/// A range of row keys, `from <= row < to`; an empty `to` is the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// First that belongs to it.
    pub from: Vec<u8>,
    /// First that does not; empty: none.
    pub to: Vec<u8>,
}

impl RowRange {
    /// Whether `row` belongs to it.
    #[must_use]
    pub fn holds(&self, row: &[u8]) -> bool {
        self.from.as_slice() <= row && (self.to.is_empty() || row < self.to.as_slice())
    }

    /// As bounds of an ordered map. A range that ends before it begins is empty.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let from = self.from.as_slice();
        let to = if self.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(self.to.as_slice().max(from)) };
        (Bound::Included(from), to)
    }

    /// Whether no row can belong to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.to.is_empty() && self.to <= self.from
    }

    /// Whether all that belongs to `other` belongs to it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.from <= other.from && (self.to.is_empty() || (!other.to.is_empty() && other.to <= self.to))
    }

    /// What a walk has still to visit after `row`.
    #[must_use]
    pub fn beyond(self, mut row: Vec<u8>, direction: Direction) -> Self {
        match direction {
            Direction::Forward => {
                row.push(0);
                Self { from: row, to: self.to }
            }
            // Nothing comes before the empty row key; an empty `to` would be the end.
            Direction::Backward if row.is_empty() => Self { from: vec![0], to: vec![0] },
            Direction::Backward => Self { from: self.from, to: row },
        }
    }

    /// Whether the place where a walk through `other` begins lies in it.
    #[must_use]
    pub fn holds_begin_of(&self, other: &Self, direction: Direction) -> bool {
        match direction {
            Direction::Forward => self.holds(&other.from),
            // The walk begins just below its end.
            Direction::Backward if self.to.is_empty() => other.to.is_empty() || self.from < other.to,
            Direction::Backward => self.from < other.to && other.to <= self.to,
        }
    }

    /// What a walk that began in `covered` has still to visit beyond it.
    #[must_use]
    pub fn without(self, covered: &Self, direction: Direction) -> Self {
        match direction {
            Direction::Forward if covered.to.is_empty() => Self { from: vec![0], to: vec![0] },
            Direction::Forward => Self { from: covered.to.clone(), to: self.to },
            Direction::Backward if covered.from <= self.from => Self { from: vec![0], to: vec![0] },
            Direction::Backward => Self { from: self.from, to: covered.from.clone() },
        }
    }

    /// The part of it that a walk has visited when it comes to the end of `self.beyond(..)`, which is `rest`.
    #[must_use]
    pub fn before(self, rest: &Self, direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self { from: self.from, to: rest.from.clone() },
            Direction::Backward if rest.is_empty() => self,
            Direction::Backward => Self { from: rest.to.clone(), to: self.to },
        }
    }
}

/// Some dirty rows of a range, in the order of a walk.
#[derive(Debug)]
pub struct DirtyPage {
    /// The rows; `None`: gone.
    pub rows: VecDeque<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether there are more beyond the last of them.
    pub more: bool,
    /// Ranges of which the store's rows are gone.
    pub cleared: Vec<RowRange>,
    /// Differs from that of an earlier page when rows may have moved to the store since.
    pub settled: u64,
}

/// What the overlay knows about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlaid {
    /// It is this.
    Is(Vec<u8>),
    /// It is gone.
    Gone,
    /// Nothing: ask the store.
    Unknown,
}

/// All dirty rows of a shard.
#[derive(Debug)]
pub struct DirtyRows {
    parts: Vec<Mutex<Sets>>,
}

#[derive(Debug, Default)]
struct Sets {
    by_id: HashMap<RowsId, RowSet>,
    /// How often rows have left for the store.
    settled: u64,
}

/// What settle took, to be written and then reported by [`DirtyRows::written`].
#[derive(Debug, Default)]
pub struct TakenRows {
    /// The writes, range deletes of a set before its rows.
    pub writes: Vec<Write>,
    /// The largest LSN among them.
    pub newest: u64,
    marks: Vec<TakenSet>,
}

#[derive(Debug)]
struct TakenSet {
    rows: RowsId,
    /// Everything up to this LSN was taken.
    through: u64,
    keys: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct RowSet {
    rows: BTreeMap<Vec<u8>, DirtyRow>,
    cleared: Vec<(RowRange, u64)>,
    newest: u64,
}

#[derive(Debug)]
struct DirtyRow {
    value: Option<Vec<u8>>,
    lsn: u64,
}

impl Default for DirtyRows {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }
}

impl DirtyRows {
    fn part(&self, rows: RowsId) -> &Mutex<Sets> {
        &self.parts[rows.0 as usize % PARTS]
    }

    /// What is known about a row.
    #[must_use]
    pub fn look(&self, rows: RowsId, row: &[u8]) -> Overlaid {
        let part = self.part(rows).lock();
        let Some(set) = part.by_id.get(&rows) else { return Overlaid::Unknown };
        match set.rows.get(row) {
            Some(DirtyRow { value: Some(value), .. }) => Overlaid::Is(value.clone()),
            Some(DirtyRow { value: None, .. }) => Overlaid::Gone,
            None if set.cleared.iter().any(|(range, _)| range.holds(row)) => Overlaid::Gone,
            None => Overlaid::Unknown,
        }
    }

    /// The first rows, at most so many, that a walk through a range comes to.
    #[must_use]
    pub fn page(&self, rows: RowsId, range: &RowRange, direction: Direction, most: usize) -> DirtyPage {
        let part = self.part(rows).lock();
        let mut page = DirtyPage { rows: VecDeque::new(), more: false, cleared: Vec::new(), settled: part.settled };
        let Some(set) = part.by_id.get(&rows) else { return page };
        let mut dirty = set.rows.range::<[u8], _>(range.bounds());
        loop {
            let next = match direction {
                Direction::Forward => dirty.next(),
                Direction::Backward => dirty.next_back(),
            };
            let Some((row, dirty)) = next else { break };
            if page.rows.len() == most {
                page.more = true;
                break;
            }
            page.rows.push_back((row.clone(), dirty.value.clone()));
        }
        page.cleared = set.cleared.iter().map(|(range, _)| range.clone()).collect();
        page
    }

    /// Takes in the changes of a commit; answers by how many bytes the dirty rows grew (or shrank).
    pub fn apply(
        &self,
        rows: RowsId,
        cleared: Vec<RowRange>,
        changes: impl Iterator<Item = (Vec<u8>, RowChange)>,
        lsn: u64,
    ) -> i64 {
        let mut part = self.part(rows).lock();
        let set = part.by_id.entry(rows).or_default();
        let mut grown = 0;
        for range in cleared {
            grown += set.clear(range, lsn);
        }
        for (row, change) in changes {
            let value = match change {
                RowChange::Put(value) => Some(value),
                RowChange::Delete => None,
            };
            grown += set.put(row, DirtyRow { value, lsn });
        }
        set.newest = set.newest.max(lsn);
        grown
    }

    /// Drops a set whose owner is gone; answers the bytes that freed.
    pub fn forget(&self, rows: RowsId) -> i64 {
        let set = self.part(rows).lock().by_id.remove(&rows);
        set.map_or(0, |set| set.cost())
    }

    /// Drops everything; answers the bytes that freed.
    pub fn forget_all(&self) -> i64 {
        self.parts.iter().flat_map(|part| std::mem::take(&mut part.lock().by_id)).map(|(_, set)| set.cost()).sum()
    }

    /// Bytes of all sets.
    #[cfg(test)]
    pub fn total_cost(&self) -> i64 {
        self.parts.iter().map(|part| part.lock().by_id.values().map(RowSet::cost).sum::<i64>()).sum()
    }

    /// The sets there are.
    #[cfg(test)]
    pub fn ids(&self) -> Vec<RowsId> {
        self.parts.iter().flat_map(|part| part.lock().by_id.keys().copied().collect::<Vec<_>>()).collect()
    }

    /// Copies what is dirty, for settle. It stays here until [`DirtyRows::written`].
    #[must_use]
    pub fn take(&self) -> TakenRows {
        let mut taken = TakenRows::default();
        for part in &self.parts {
            for (rows, set) in &part.lock().by_id {
                set.take(*rows, &mut taken);
            }
        }
        taken
    }

    /// What was taken is in the store: what has not changed since leaves. Answers the bytes that freed.
    pub fn written(&self, taken: TakenRows) -> i64 {
        let mut freed = 0;
        for mark in taken.marks {
            let mut part = self.part(mark.rows).lock();
            part.settled += 1;
            let Some(set) = part.by_id.get_mut(&mark.rows) else { continue };
            set.cleared.retain(|(_, lsn)| *lsn > mark.through);
            for row in mark.keys {
                if let Entry::Occupied(dirty) = set.rows.entry(row)
                    && dirty.get().lsn <= mark.through
                {
                    freed += dirty.get().cost(dirty.key());
                    dirty.remove();
                }
            }
            if set.rows.is_empty() && set.cleared.is_empty() {
                part.by_id.remove(&mark.rows);
            }
        }
        freed
    }
}

impl RowSet {
    fn cost(&self) -> i64 {
        self.rows.iter().map(|(row, dirty)| dirty.cost(row)).sum()
    }

    fn put(&mut self, row: Vec<u8>, dirty: DirtyRow) -> i64 {
        let cost = dirty.cost(&row);
        match self.rows.entry(row) {
            Entry::Vacant(vacant) => {
                vacant.insert(dirty);
                cost
            }
            Entry::Occupied(mut occupied) => {
                let was = occupied.get().cost(occupied.key());
                occupied.insert(dirty);
                cost - was
            }
        }
    }

    fn clear(&mut self, range: RowRange, lsn: u64) -> i64 {
        let mut freed = 0;
        for (row, dirty) in remove_range(&mut self.rows, &range) {
            freed += dirty.cost(&row);
        }
        // Ranges that grow from one end, as those of a list that is trimmed, do not pile up.
        self.cleared.retain(|(other, _)| !range.covers(other));
        self.cleared.push((range, lsn));
        -freed
    }

    fn take(&self, rows: RowsId, taken: &mut TakenRows) {
        for (range, _) in &self.cleared {
            taken.writes.push(Write::DeleteRows { rows, from: range.from.clone(), to: range.to.clone() });
        }
        for (row, dirty) in &self.rows {
            let row = row.clone();
            taken.writes.push(match &dirty.value {
                Some(value) => Write::PutRow { rows, row, value: value.clone() },
                None => Write::DeleteRow { rows, row },
            });
        }
        taken.newest = taken.newest.max(self.newest);
        taken.marks.push(TakenSet { rows, through: self.newest, keys: self.rows.keys().cloned().collect() });
    }
}

/// Takes the entries of a range out of a map. One by one: to split a map costs as much as all of it.
pub fn remove_range<V>(map: &mut BTreeMap<Vec<u8>, V>, range: &RowRange) -> Vec<(Vec<u8>, V)> {
    let rows: Vec<Vec<u8>> = map.range::<[u8], _>(range.bounds()).map(|(row, _)| row.clone()).collect();
    rows.into_iter().filter_map(|row| map.remove_entry(&row)).collect()
}

impl DirtyRow {
    fn cost(&self, row: &[u8]) -> i64 {
        (self.value.as_ref().map_or(0, Vec::len) + row.len() + ROW_OVERHEAD) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RowsId = RowsId(9);

    fn put(rows: &DirtyRows, row: &str, value: &str, lsn: u64) -> i64 {
        rows.apply(ID, Vec::new(), [(row.into(), RowChange::Put(value.into()))].into_iter(), lsn)
    }

    fn range(from: &str, to: &str) -> RowRange {
        RowRange { from: from.into(), to: to.into() }
    }

    #[test]
    fn a_row_changed_while_settle_writes_stays() {
        let rows = DirtyRows::default();
        put(&rows, "a", "1", 10);
        put(&rows, "b", "1", 11);
        let taken = rows.take();
        put(&rows, "a", "2", 12);
        rows.written(taken);
        assert_eq!(rows.look(ID, b"a"), Overlaid::Is(b"2".to_vec()));
        assert_eq!(rows.look(ID, b"b"), Overlaid::Unknown);
        let taken = rows.take();
        assert_eq!(taken.newest, 12);
        rows.written(taken);
        assert!(rows.ids().is_empty());
    }

    #[test]
    fn a_cleared_range_hides_the_store_until_it_is_written() {
        let rows = DirtyRows::default();
        put(&rows, "a", "1", 1);
        rows.apply(ID, vec![range("a", "c")], [("b".into(), RowChange::Put(b"new".to_vec()))].into_iter(), 2);
        assert_eq!(rows.look(ID, b"a"), Overlaid::Gone);
        assert_eq!(rows.look(ID, b"b"), Overlaid::Is(b"new".to_vec()));
        assert_eq!(rows.look(ID, b"c"), Overlaid::Unknown);
        let taken = rows.take();
        assert_eq!(
            taken.writes,
            [
                Write::DeleteRows { rows: ID, from: b"a".to_vec(), to: b"c".to_vec() },
                Write::PutRow { rows: ID, row: b"b".to_vec(), value: b"new".to_vec() },
            ]
        );
        rows.apply(ID, vec![range("", "")], std::iter::empty(), 3);
        rows.written(taken);
        assert_eq!(rows.look(ID, b"z"), Overlaid::Gone, "the later range stays");
    }

    #[test]
    fn ranges_that_grow_do_not_pile_up() {
        let rows = DirtyRows::default();
        for to in ["b", "c", "d"] {
            rows.apply(ID, vec![range("a", to)], std::iter::empty(), 1);
        }
        let page = rows.page(ID, &range("", ""), Direction::Forward, 1);
        assert_eq!(page.cleared, [range("a", "d")]);
    }

    #[test]
    fn what_a_walk_has_visited_and_what_is_left_make_the_whole() {
        let all = range("b", "y");
        for (direction, row) in [(Direction::Forward, "m"), (Direction::Backward, "m"), (Direction::Backward, "b")] {
            let rest = all.clone().beyond(row.into(), direction);
            let covered = all.clone().before(&rest, direction);
            assert!(covered.holds(row.as_bytes()) && !rest.holds(row.as_bytes()), "{direction:?} {row}");
            assert!(covered.holds_begin_of(&all, direction));
            assert_eq!(all.clone().without(&covered, direction).is_empty(), rest.is_empty());
            for row in ["b", "l", "n", "x"].map(str::as_bytes) {
                assert!(covered.holds(row) != rest.holds(row), "{direction:?} {row:?}");
            }
        }
        let rest = range("", "").beyond(Vec::new(), Direction::Backward);
        assert!(rest.is_empty() && range("", "").before(&rest, Direction::Backward) == range("", ""));
    }

    #[test]
    fn bytes_add_up_to_nothing_when_all_is_written() {
        let rows = DirtyRows::default();
        let mut dirty = 0;
        dirty += put(&rows, "a", "12345", 1);
        dirty += put(&rows, "a", "1", 2);
        dirty += rows.apply(ID, vec![range("", "")], [("q".into(), RowChange::Delete)].into_iter(), 3);
        let taken = rows.take();
        dirty -= rows.written(taken);
        assert_eq!(dirty, 0);
    }
}
