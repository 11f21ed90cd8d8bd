//! Dirty rows: what commits changed in exploded values and the store has not got yet, laid over reads of the store.
//!
//! Row sets are found by rows id. Who changes or reads one holds the stripe lock of its owner's key, so the mutexes here
//! are only held for the look-up and never contended for long; settle takes them after it has passed every stripe.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use keyspace::RowsId;
use parking_lot::Mutex;
use std::collections::HashMap;

use crate::store::Write;

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
}

/// What the overlay has of a range: rows in order (`None`: gone), and ranges of which the store's rows are gone.
pub type RowsCopy = (BTreeMap<Vec<u8>, Option<Vec<u8>>>, Vec<RowRange>);

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
    parts: Vec<Mutex<HashMap<RowsId, RowSet>>>,
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
    fn part(&self, rows: RowsId) -> &Mutex<HashMap<RowsId, RowSet>> {
        &self.parts[rows.0 as usize % PARTS]
    }

    /// What is known about a row.
    #[must_use]
    pub fn look(&self, rows: RowsId, row: &[u8]) -> Overlaid {
        let part = self.part(rows).lock();
        let Some(set) = part.get(&rows) else { return Overlaid::Unknown };
        match set.rows.get(row) {
            Some(DirtyRow { value: Some(value), .. }) => Overlaid::Is(value.clone()),
            Some(DirtyRow { value: None, .. }) => Overlaid::Gone,
            None if set.cleared.iter().any(|(range, _)| range.holds(row)) => Overlaid::Gone,
            None => Overlaid::Unknown,
        }
    }

    /// A copy of what is known about a range: rows in order (`None`: gone), and ranges of which the store's rows are gone.
    #[must_use]
    pub fn copy(&self, rows: RowsId, range: &RowRange) -> RowsCopy {
        let part = self.part(rows).lock();
        let Some(set) = part.get(&rows) else { return (BTreeMap::new(), Vec::new()) };
        let copied =
            set.rows.range::<[u8], _>(range.bounds()).map(|(row, dirty)| (row.clone(), dirty.value.clone())).collect();
        (copied, set.cleared.iter().map(|(range, _)| range.clone()).collect())
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
        let set = part.entry(rows).or_default();
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
        let set = self.part(rows).lock().remove(&rows);
        set.map_or(0, |set| set.cost())
    }

    /// Drops everything; answers the bytes that freed.
    pub fn forget_all(&self) -> i64 {
        self.parts.iter().flat_map(|part| std::mem::take(&mut *part.lock())).map(|(_, set)| set.cost()).sum()
    }

    /// Bytes of all sets.
    #[cfg(test)]
    pub fn total_cost(&self) -> i64 {
        self.parts.iter().map(|part| part.lock().values().map(RowSet::cost).sum::<i64>()).sum()
    }

    /// The sets there are.
    #[cfg(test)]
    pub fn ids(&self) -> Vec<RowsId> {
        self.parts.iter().flat_map(|part| part.lock().keys().copied().collect::<Vec<_>>()).collect()
    }

    /// Copies what is dirty, for settle. It stays here until [`DirtyRows::written`].
    #[must_use]
    pub fn take(&self) -> TakenRows {
        let mut taken = TakenRows::default();
        for part in &self.parts {
            for (rows, set) in part.lock().iter() {
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
            let Some(set) = part.get_mut(&mark.rows) else { continue };
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
                part.remove(&mark.rows);
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
        self.rows.retain(|row, dirty| {
            let stays = !range.holds(row);
            freed += if stays { 0 } else { dirty.cost(row) };
            stays
        });
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
