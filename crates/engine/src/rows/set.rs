//! One row set in memory.

use std::collections::{BTreeMap, VecDeque};

use keyspace::RowsId;

use super::tree::RowTree;
use super::{Birth, Growth, Overlaid, RowKey, RowPage, RowRange, RowValue, TAKE_BYTES, TAKE_ROWS, Visited};
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
    rows: RowTree<Row>,
    /// Rows that are gone, by the LSN since when; the store may have them still.
    gone: RowTree<u64>,
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
            rows: RowTree::default(),
            gone: RowTree::default(),
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
        if self.knows(row) || self.gone.find(row).is_ok() || self.is_cleared(row) {
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
        let mut rows = self.rows.walk(range, direction);
        let mut take = |row: &RowKey, value: Option<&RowValue>| {
            page.more = page.rows.len() == most;
            if !page.more {
                page.rows.push_back((row.clone(), value.cloned()));
            }
            !page.more
        };
        if complete {
            let _ = rows.all(|(row, found)| take(row, Some(&found.value)));
            return page;
        }
        let mut gone = self.gone.walk(range, direction);
        let (mut row, mut absent) = (rows.next(), gone.next());
        loop {
            let taken = match (row, absent) {
                (None, None) => break,
                (Some((key, found)), other) if other.is_none_or(|(other, _)| direction.is_before(key, other)) => {
                    row = rows.next();
                    take(key, Some(&found.value))
                }
                (_, Some((key, _))) => {
                    absent = gone.next();
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

    /// Visits the rows of a range, at most so many, if all of them are known.
    pub fn visit(
        &mut self,
        range: &RowRange,
        direction: Direction,
        most: usize,
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Visited {
        self.freshness = FRESH;
        if !self.knows_all_of(range) {
            return Visited::Unknown;
        }
        for (at, (row, found)) in self.rows.walk(range, direction).enumerate() {
            if !seen(row, &found.value) {
                return Visited::Enough;
            }
            if at + 1 == most {
                return Visited::More(row.clone());
            }
        }
        Visited::All
    }

    /// How many rows a range has, if all of them are known.
    pub fn count(&mut self, range: &RowRange) -> Option<usize> {
        self.freshness = FRESH;
        self.knows_all_of(range).then(|| self.rows.count(range))
    }

    /// Shows the row before which a range has so many others, if all of them are known; says whether there is one.
    pub fn nth(&mut self, range: &RowRange, number: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Option<bool> {
        self.freshness = FRESH;
        if !self.knows_all_of(range) {
            return None;
        }
        let found = self.rows.nth(range, number);
        if let Some((row, found)) = found {
            seen(row, &found.value);
        }
        Some(found.is_some())
    }

    pub fn put(&mut self, row: RowKey, value: RowValue, lsn: u64) {
        let was_gone = !self.gone.is_empty() && self.gone.remove(&row).is_some();
        if was_gone {
            self.size.dirty -= cost_of_gone(&row);
        }
        self.size.dirty += cost(&row, &value);
        match self.rows.find(&row) {
            Err(place) => {
                if !was_gone {
                    self.changed.push(row.clone());
                }
                self.rows.insert_at(place, row, Row { value, lsn, dirty: true });
            }
            Ok(place) => {
                let old = self.rows.value_mut(place);
                let was = cost(&row, &old.value);
                if old.dirty {
                    self.size.dirty -= was;
                } else {
                    self.size.clean -= was;
                    self.changed.push(row);
                }
                *old = Row { value, lsn, dirty: true };
            }
        }
    }

    pub fn delete(&mut self, row: RowKey, lsn: u64) {
        let was_dirty = match self.rows.remove(&row) {
            Some((_, old)) if old.dirty => {
                self.size.dirty -= cost(&row, &old.value);
                true
            }
            Some((_, old)) => {
                self.size.clean -= cost(&row, &old.value);
                false
            }
            // There is none to delete.
            None if self.knows(&row) => return,
            None => false,
        };
        match self.gone.find(&row) {
            Ok(place) => *self.gone.value_mut(place) = lsn,
            Err(place) => {
                if !was_dirty {
                    self.changed.push(row.clone());
                }
                self.size.dirty += cost_of_gone(&row);
                self.gone.insert_at(place, row, lsn);
            }
        }
    }

    pub fn clear(&mut self, range: RowRange) {
        for (row, old) in self.rows.remove_range(&range) {
            let bytes = if old.dirty { &mut self.size.dirty } else { &mut self.size.clean };
            *bytes -= cost(&row, &old.value);
        }
        for (row, _) in self.gone.remove_range(&range) {
            self.size.dirty -= cost_of_gone(&row);
        }
        // What was cleared is still named.
        if self.changed.len() > 2 * self.len() + NAMES {
            let mut changed = std::mem::take(&mut self.changed);
            changed.sort_unstable();
            changed.dedup();
            changed.retain(|key| self.gone.find(key).is_ok() || self.rows.get(key).is_some_and(|row| row.dirty));
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
            if let Ok(place) = self.rows.find(key) {
                let knows = self.knows(key);
                let row = self.rows.value_mut(place);
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
                if knows {
                    self.size.clean += cost;
                } else {
                    self.rows.remove_at(place);
                }
            } else if let Ok(place) = self.gone.find(key) {
                if self.gone.row(place).1 == *lsn {
                    self.gone.remove_at(place);
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
            if let Ok(place) = clean.find(key)
                && clean.row(place).1.dirty
            {
                let (key, row) = clean.remove_at(place);
                self.rows.insert(key, row);
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
            if self.gone.find(&row).is_ok() || self.is_cleared(&row) {
                continue;
            }
            if let Err(place) = self.rows.find(&row) {
                self.size.clean += cost(&row, &value);
                self.rows.insert_at(place, row, Row { value, lsn: 0, dirty: false });
            }
        }
        self.known = known;
    }

    #[cfg(test)]
    pub fn check(&self) {
        let mut size = Growth::default();
        for (key, row) in self.rows.iter() {
            assert!(self.gone.find(key).is_err(), "{key:?} is there and gone");
            if row.dirty {
                size.dirty += cost(key, &row.value);
                assert!(self.changed.contains(key), "{key:?} is dirty and settle is not told");
            } else {
                size.clean += cost(key, &row.value);
                assert!(self.knows(key), "{key:?} is clean, beyond what is known");
            }
        }
        for (key, _) in self.gone.iter() {
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
