//! One row set in memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use keyspace::RowsId;

use super::{Birth, Growth, Overlaid, RowKey, RowPage, RowRange, RowValue, TAKE_BYTES, TAKE_ROWS};
use crate::store::{Direction, Write};

/// What a row costs beyond its bytes.
const ROW_OVERHEAD: usize = 128;
/// Names of changed rows that nothing is made of.
const NAMES: usize = if cfg!(test) { 8 } else { 1024 };
/// Rounds of eviction that a set outlives without being used.
pub const FRESH: u8 = 3;

/// Up to where memory has all rows of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The store may have others, anywhere.
    Nothing,
    /// All that come before this.
    Before(RowKey),
    /// All.
    All,
}

/// The rows of one exploded value.
#[derive(Debug)]
pub struct RowSet {
    /// Rows that there are: the dirty ones, and those that are known.
    rows: BTreeMap<RowKey, Row>,
    /// Rows that are gone, by the LSN since when; the store may have them still.
    gone: BTreeMap<RowKey, u64>,
    /// Every row that is dirty or gone is named here at least once, but for those that settle has taken.
    changed: Vec<RowKey>,
    cleared: Vec<Cleared>,
    known: Known,
    /// Counts down with each round of eviction.
    freshness: u8,
    size: Growth,
    /// The size that was last reported.
    booked: Growth,
}

#[derive(Debug)]
struct Row {
    value: RowValue,
    lsn: u64,
    dirty: bool,
}

/// A range of which the store's rows are gone.
#[derive(Debug)]
struct Cleared {
    range: RowRange,
    /// Settle is about to tell the store.
    taken: bool,
}

fn cost(row: &RowKey, value: &RowValue) -> i64 {
    (row.len() + value.len() + ROW_OVERHEAD) as i64
}

fn cost_of_gone(row: &RowKey) -> i64 {
    (row.len() + ROW_OVERHEAD) as i64
}

impl RowSet {
    /// An empty one.
    pub fn new(birth: Birth) -> Self {
        let known = match birth {
            Birth::Here => Known::All,
            Birth::Unknown => Known::Nothing,
        };
        Self {
            rows: BTreeMap::new(),
            gone: BTreeMap::new(),
            changed: Vec::new(),
            cleared: Vec::new(),
            known,
            freshness: FRESH,
            size: Growth::default(),
            booked: Growth::default(),
        }
    }

    /// Rows in memory.
    pub fn len(&self) -> usize {
        self.rows.len() + self.gone.len()
    }

    /// Bytes as they were reported.
    pub const fn booked(&self) -> Growth {
        self.booked
    }

    /// By how much it grew since it was asked last.
    pub fn growth(&mut self) -> Growth {
        let growth = self.size + -self.booked;
        self.booked = self.size;
        growth
    }

    /// Whether it says nothing that the store does not say.
    pub fn is_blank(&self) -> bool {
        self.known == Known::Nothing && self.rows.is_empty() && self.gone.is_empty() && self.cleared.is_empty()
    }

    fn knows(&self, row: &[u8]) -> bool {
        match &self.known {
            Known::Nothing => false,
            Known::Before(end) => row < end.as_slice(),
            Known::All => true,
        }
    }

    fn knows_all_of(&self, range: &RowRange) -> bool {
        match &self.known {
            Known::Nothing => false,
            Known::Before(end) => !range.to.is_empty() && range.to.as_slice() <= end.as_slice(),
            Known::All => true,
        }
    }

    pub fn look(&mut self, row: &[u8], out: &mut Vec<u8>) -> Overlaid {
        self.freshness = FRESH;
        if let Some(found) = self.rows.get(row) {
            out.clear();
            out.extend_from_slice(&found.value);
            return Overlaid::Is;
        }
        if self.knows(row) || self.gone.contains_key(row) || self.is_cleared(row) {
            Overlaid::Gone
        } else {
            Overlaid::Unknown
        }
    }

    fn is_cleared(&self, row: &[u8]) -> bool {
        self.cleared.iter().any(|cleared| cleared.range.holds(row))
    }

    pub fn page(&mut self, range: &RowRange, direction: Direction, most: usize, settled: u64) -> RowPage {
        self.freshness = FRESH;
        let complete = self.knows_all_of(range);
        let mut page = RowPage { rows: VecDeque::new(), more: false, complete, cleared: Vec::new(), settled };
        let mut rows = self.rows.range::<[u8], _>(range.bound_of_begin(direction));
        let mut next_row = || {
            let next = match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            next.filter(|(row, _)| range.holds(row))
        };
        let mut take = |row: &RowKey, value: Option<&RowValue>| {
            page.more = page.rows.len() == most;
            if !page.more {
                page.rows.push_back((row.clone(), value.cloned()));
            }
            !page.more
        };
        if complete {
            while let Some((row, found)) = next_row() {
                if !take(row, Some(&found.value)) {
                    break;
                }
            }
            return page;
        }
        let mut gone = self.gone.range::<[u8], _>(range.bound_of_begin(direction));
        let mut next_gone = || {
            let next = match direction {
                Direction::Forward => gone.next(),
                Direction::Backward => gone.next_back(),
            };
            next.filter(|(row, _)| range.holds(row))
        };
        let (mut row, mut absent) = (next_row(), next_gone());
        loop {
            let taken = match (row, absent) {
                (None, None) => break,
                (Some((key, found)), other) if other.is_none_or(|(other, _)| direction.is_before(key, other)) => {
                    row = next_row();
                    take(key, Some(&found.value))
                }
                (_, Some((key, _))) => {
                    absent = next_gone();
                    take(key, None)
                }
                (Some(_), None) => break,
            };
            if !taken {
                break;
            }
        }
        page.cleared = self.cleared.iter().map(|cleared| cleared.range.clone()).collect();
        page
    }

    pub fn put(&mut self, row: RowKey, value: RowValue, lsn: u64) {
        let was_gone = self.gone.remove(&row).is_some();
        if was_gone {
            self.size.dirty -= cost_of_gone(&row);
        }
        let new = cost(&row, &value);
        match self.rows.entry(row) {
            Entry::Vacant(vacant) => {
                if !was_gone {
                    self.changed.push(vacant.key().clone());
                }
                vacant.insert(Row { value, lsn, dirty: true });
            }
            Entry::Occupied(mut occupied) => {
                let was = cost(occupied.key(), &occupied.get().value);
                if occupied.get().dirty {
                    self.size.dirty -= was;
                } else {
                    self.size.clean -= was;
                    self.changed.push(occupied.key().clone());
                }
                occupied.insert(Row { value, lsn, dirty: true });
            }
        }
        self.size.dirty += new;
    }

    pub fn delete(&mut self, row: RowKey, lsn: u64) {
        let was_dirty = match self.rows.remove(&row) {
            Some(old) if old.dirty => {
                self.size.dirty -= cost(&row, &old.value);
                true
            }
            Some(old) => {
                self.size.clean -= cost(&row, &old.value);
                false
            }
            // There is none to delete.
            None if self.knows(&row) => return,
            None => false,
        };
        match self.gone.entry(row) {
            Entry::Occupied(mut gone) => drop(gone.insert(lsn)),
            Entry::Vacant(vacant) => {
                if !was_dirty {
                    self.changed.push(vacant.key().clone());
                }
                self.size.dirty += cost_of_gone(vacant.key());
                vacant.insert(lsn);
            }
        }
    }

    pub fn clear(&mut self, range: RowRange) {
        for (row, old) in remove_range(&mut self.rows, &range) {
            let bytes = if old.dirty { &mut self.size.dirty } else { &mut self.size.clean };
            *bytes -= cost(&row, &old.value);
        }
        for (row, _) in remove_range(&mut self.gone, &range) {
            self.size.dirty -= cost_of_gone(&row);
        }
        // What was cleared is still named.
        if self.changed.len() > 2 * self.len() + NAMES {
            let mut changed = std::mem::take(&mut self.changed);
            changed.sort_unstable();
            changed.dedup();
            changed.retain(|key| self.gone.contains_key(key) || self.rows.get(key).is_some_and(|row| row.dirty));
            self.changed = changed;
        }
        // Ranges that grow from one end, as those of a list that is trimmed, do not pile up.
        self.cleared.retain(|other| !range.covers(&other.range));
        self.cleared.push(Cleared { range, taken: false });
    }

    /// The names of what has changed, some perhaps more than once; `None`: nothing has.
    pub fn changed(&mut self) -> Option<Vec<RowKey>> {
        if self.changed.is_empty() && self.cleared.iter().all(|cleared| cleared.taken) {
            return None;
        }
        Some(std::mem::take(&mut self.changed))
    }

    /// Copies what has become of some rows; answers those that are left for another call. Ranges come before all that was
    /// put into them later: a range that is cleared between two calls comes before the rows of the second.
    pub fn take<'k>(
        &mut self,
        rows: RowsId,
        keys: &'k [RowKey],
        taken: &mut Vec<(RowKey, u64)>,
        writes: &mut Vec<Write>,
    ) -> &'k [RowKey] {
        for cleared in self.cleared.iter_mut().filter(|cleared| !cleared.taken) {
            cleared.taken = true;
            let (from, to) = (cleared.range.from.clone(), cleared.range.to.clone());
            writes.push(Write::DeleteRows { rows, from, to });
        }
        let mut bytes = 0;
        for (at, key) in keys.iter().enumerate() {
            if at == TAKE_ROWS || bytes >= TAKE_BYTES {
                return &keys[at..];
            }
            let row = key.to_vec();
            if let Some(found) = self.rows.get(key).filter(|found| found.dirty) {
                bytes += found.value.len();
                taken.push((key.clone(), found.lsn));
                writes.push(Write::PutRow { rows, row, value: found.value.to_vec() });
            } else if let Some(lsn) = self.gone.get(key) {
                taken.push((key.clone(), *lsn));
                writes.push(Write::DeleteRow { rows, row });
            }
        }
        &[]
    }

    /// The store has these rows as they were at these LSNs.
    pub fn written(&mut self, taken: &[(RowKey, u64)]) {
        for (key, lsn) in taken {
            if let Some(row) = self.rows.get_mut(key) {
                if !row.dirty {
                    continue;
                }
                if row.lsn != *lsn {
                    self.changed.push(key.clone());
                    continue;
                }
                row.dirty = false;
                let cost = cost(key, &row.value);
                self.size.dirty -= cost;
                if self.knows(key) {
                    self.size.clean += cost;
                } else {
                    self.rows.remove(key);
                }
            } else if let Some(since) = self.gone.get(key) {
                if since == lsn {
                    self.gone.remove(key);
                    self.size.dirty -= cost_of_gone(key);
                } else {
                    self.changed.push(key.clone());
                }
            }
        }
    }

    pub fn forget_taken_ranges(&mut self) {
        self.cleared.retain(|cleared| !cleared.taken);
    }

    pub fn put_back(&mut self, taken: Vec<(RowKey, u64)>) {
        self.changed.extend(taken.into_iter().map(|(key, _)| key));
        self.cleared.iter_mut().for_each(|cleared| cleared.taken = false);
    }

    /// A round of eviction has come by; says whether there is something to let go of.
    pub fn grow_old(&mut self) -> bool {
        self.freshness = self.freshness.saturating_sub(1);
        self.freshness == 0 && self.known != Known::Nothing
    }

    /// Lets go of what the store has; answers it, for whoever can take the time to free it. Nothing is taken by settle.
    pub fn let_go(&mut self) -> impl Sized + use<> {
        let mut clean = std::mem::take(&mut self.rows);
        for key in &self.changed {
            if let Some((key, row)) = clean.remove_entry(key) {
                if row.dirty {
                    self.rows.insert(key, row);
                } else {
                    clean.insert(key, row);
                }
            }
        }
        self.known = Known::Nothing;
        self.size.clean = 0;
        clean
    }

    pub fn unknown_from(&self) -> Option<RowKey> {
        match &self.known {
            Known::Nothing => Some(RowKey::new()),
            Known::Before(end) => Some(end.clone()),
            Known::All => None,
        }
    }

    /// Takes in rows that the store has now, from [`RowSet::unknown_from`] up to where all is known then.
    pub fn fill(&mut self, stored: Vec<(RowKey, RowValue)>, known: Known) {
        for (row, value) in stored {
            if self.gone.contains_key(&row) || self.is_cleared(&row) {
                continue;
            }
            if let Entry::Vacant(vacant) = self.rows.entry(row) {
                self.size.clean += cost(vacant.key(), &value);
                vacant.insert(Row { value, lsn: 0, dirty: false });
            }
        }
        self.known = known;
    }

    #[cfg(test)]
    pub fn check(&self) {
        let mut size = Growth::default();
        for (key, row) in &self.rows {
            assert!(!self.gone.contains_key(key), "{key:?} is there and gone");
            if row.dirty {
                size.dirty += cost(key, &row.value);
                assert!(self.changed.contains(key), "{key:?} is dirty and settle is not told");
            } else {
                size.clean += cost(key, &row.value);
                assert!(self.knows(key), "{key:?} is clean, beyond what is known");
            }
        }
        for key in self.gone.keys() {
            size.dirty += cost_of_gone(key);
            assert!(self.changed.contains(key), "{key:?} is gone and settle is not told");
        }
        assert_eq!((self.size, self.booked), (size, size));
        assert!(self.cleared.iter().all(|cleared| !cleared.taken));
    }
}

/// Takes the entries of a range out of a map. One by one: to split a map costs as much as all of it.
pub fn remove_range<V>(map: &mut BTreeMap<RowKey, V>, range: &RowRange) -> Vec<(RowKey, V)> {
    let rows: Vec<RowKey> = map.range::<[u8], _>(range.bounds()).map(|(row, _)| row.clone()).collect();
    rows.into_iter().filter_map(|row| map.remove_entry(&row)).collect()
}
