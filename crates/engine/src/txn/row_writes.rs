//! What one run has changed of rows, in one database.
//!
//! Most runs change one to six rows of one collection: these lie side by side, in order, in memory that the thread uses
//! again. What changes more goes over to trees.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use keyspace::RowsId;
use smallvec::SmallVec;

use crate::rows::{RowChange, RowKey, RowRange};

/// Changes up to which a list in order is kept: each new one moves those behind it.
const FEW: usize = if cfg!(test) { 3 } else { 8 };

/// Row changes of one run in one database.
#[derive(Debug, Default)]
pub struct RowWrites {
    /// The set that was changed first, if there is one: most runs change no other.
    first: Option<(RowsId, SetWrites)>,
    others: BTreeMap<RowsId, SetWrites>,
}

/// Row changes of one run in one set of rows.
#[derive(Clone, Debug, Default)]
pub struct SetWrites {
    /// Ranges that were emptied before the rows were changed.
    pub cleared: Vec<RowRange>,
    /// The rows.
    pub rows: RowChanges,
}

/// Changed rows in order.
#[derive(Clone, Debug, Default)]
pub struct RowChanges {
    /// All of them, or none.
    few: SmallVec<[(RowKey, RowChange); FEW]>,
    many: BTreeMap<RowKey, RowChange>,
}

impl RowWrites {
    /// What was changed of a set.
    pub fn get(&self, rows: RowsId) -> Option<&SetWrites> {
        match &self.first {
            Some((id, set)) if *id == rows => Some(set),
            Some(_) | None => self.others.get(&rows),
        }
    }

    /// As [`RowWrites::get`], to be added to.
    pub fn of(&mut self, rows: RowsId) -> &mut SetWrites {
        if self.first.is_none() && self.others.is_empty() {
            self.first = Some((rows, SetWrites::default()));
        }
        match &mut self.first {
            Some((id, set)) if *id == rows => set,
            Some(_) | None => self.others.entry(rows).or_default(),
        }
    }

    /// Has a set's changes be these.
    pub fn set(&mut self, rows: RowsId, was: Option<SetWrites>) {
        match was {
            Some(set) => *self.of(rows) = set,
            None if self.first.as_ref().is_some_and(|(id, _)| *id == rows) => self.first = None,
            None => drop(self.others.remove(&rows)),
        }
    }

    /// Shows all sets; none are left.
    pub fn drain(&mut self, mut each: impl FnMut(RowsId, &mut SetWrites)) {
        if let Some((rows, set)) = &mut self.first {
            each(*rows, set);
        }
        for (rows, set) in &mut self.others {
            each(*rows, set);
        }
        self.clear();
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.first = None;
        self.others.clear();
    }
}

impl SetWrites {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.cleared.is_empty() && self.rows.is_empty()
    }
}

impl RowChanges {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }

    fn place(&self, row: &[u8]) -> Result<usize, usize> {
        self.few.binary_search_by(|(other, _)| other.as_slice().cmp(row))
    }

    /// What has become of a row.
    pub fn get(&self, row: &[u8]) -> Option<&RowChange> {
        match self.place(row) {
            Ok(at) => Some(&self.few[at].1),
            Err(_) => self.many.get(row),
        }
    }

    /// Has a change be the last of its row.
    pub fn insert(&mut self, row: &[u8], change: RowChange) {
        if !self.many.is_empty() {
            self.many.insert(RowKey::from_slice(row), change);
            return;
        }
        match self.place(row) {
            Ok(at) => self.few[at].1 = change,
            Err(at) if self.few.len() < FEW => self.few.insert(at, (RowKey::from_slice(row), change)),
            Err(_) => {
                self.many.extend(self.few.drain(..));
                self.many.insert(RowKey::from_slice(row), change);
            }
        }
    }

    /// Takes a change out.
    pub fn remove(&mut self, row: &[u8]) {
        match self.place(row) {
            Ok(at) => drop(self.few.remove(at)),
            Err(_) => drop(self.many.remove(row)),
        }
    }

    /// Takes the changes of a range out. One by one: to split a tree costs as much as all of it.
    pub fn remove_range(&mut self, range: &RowRange) {
        self.few.retain(|(row, _)| !range.holds(row));
        let rows: Vec<RowKey> = self.many.range::<[u8], _>(range.bounds()).map(|(row, _)| row.clone()).collect();
        for row in rows {
            self.many.remove(&row);
        }
    }

    /// The changes of a range, in order.
    pub fn range(&self, range: &RowRange) -> Range<'_> {
        let (from, to) = range.bounds();
        let begin = |bound: Bound<&[u8]>| match bound {
            Bound::Included(bound) | Bound::Excluded(bound) => {
                self.few.partition_point(|(row, _)| row.as_slice() < bound)
            }
            Bound::Unbounded => self.few.len(),
        };
        let few = &self.few[begin(from)..begin(to)];
        // A look into an empty tree is not free either.
        let many = (!self.many.is_empty()).then(|| self.many.range::<[u8], _>((from, to)));
        Range { few: few.iter(), many }
    }

    /// Takes all changes, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = (RowKey, RowChange)> {
        self.few.drain(..).chain(std::mem::take(&mut self.many))
    }
}

/// See [`RowChanges::range`].
pub struct Range<'a> {
    few: std::slice::Iter<'a, (RowKey, RowChange)>,
    many: Option<btree_map::Range<'a, RowKey, RowChange>>,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a RowKey, &'a RowChange);

    fn next(&mut self) -> Option<Self::Item> {
        let few = self.few.next().map(|(row, change)| (row, change));
        few.or_else(|| self.many.as_mut()?.next())
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let few = self.few.next_back().map(|(row, change)| (row, change));
        few.or_else(|| self.many.as_mut()?.next_back())
    }
}
