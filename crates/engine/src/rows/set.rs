//! One row set in memory.

use std::collections::VecDeque;

use keyspace::RowsId;
use smallvec::SmallVec;

use super::tree::{self, AHEAD, Live, Place, RowTree, Shown, Ways};
use super::{Birth, Growth, Overlaid, RowChange, RowKey, RowPage, RowRange, RowValue, TAKE_BYTES, TAKE_ROWS, Visited};
use crate::store::{Direction, Write};

/// What a row costs beyond its bytes.
const ROW_OVERHEAD: usize = 128;
/// Names of changed rows that nothing is made of.
const NAMES: usize = if cfg!(test) { 8 } else { 1024 };
/// Fewer rows stay in the processor's caches by themselves.
const CACHED: usize = if cfg!(test) { 4 } else { 1024 };
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
    /// Those that are dirty, and those that are known. A row that is gone stays among them until the store has been told.
    rows: RowTree<Row>,
    /// Every row that is dirty is named here at least once, but for those that settle has taken.
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
    /// Nothing if it is gone.
    value: RowValue,
    lsn: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store has it.
    Clean,
    /// The store has not got it, or not this value.
    Dirty,
    /// As [`State::Dirty`], and the store has nothing under its name.
    New,
    /// It is no more; the store may have it still.
    Gone,
    /// It came and went: the store need not know.
    Void,
}

impl Row {
    fn is_dirty(&self) -> bool {
        self.state != State::Clean
    }

    /// Whether the store has nothing under its name, nor is about to.
    fn is_new(&self) -> bool {
        matches!(self.state, State::New | State::Void)
    }
}

impl Live for Row {
    fn is_live(&self) -> bool {
        !matches!(self.state, State::Gone | State::Void)
    }
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

impl RowSet {
    /// An empty one.
    pub fn new(birth: Birth) -> Self {
        let known = match birth {
            Birth::Here => Known::All,
            Birth::Unknown => Known::Nothing,
        };
        Self {
            rows: RowTree::default(),
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
        self.rows.len()
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
        self.known == Known::Nothing && self.rows.is_empty() && self.cleared.is_empty()
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
        match self.rows.get(row) {
            Some(found) if found.is_live() => {
                out.clear();
                out.extend_from_slice(&found.value);
                Overlaid::Is
            }
            Some(_) => Overlaid::Gone,
            None if self.knows(row) || self.is_cleared(row) => Overlaid::Gone,
            None => Overlaid::Unknown,
        }
    }

    fn is_cleared(&self, row: &[u8]) -> bool {
        self.cleared.iter().any(|cleared| cleared.range.holds(row))
    }

    pub fn page(&mut self, range: &RowRange, direction: Direction, most: usize, settled: u64) -> RowPage {
        self.freshness = FRESH;
        let complete = self.knows_all_of(range);
        let mut page = RowPage { rows: VecDeque::new(), more: false, complete, cleared: Vec::new(), settled };
        let shown = if complete { Shown::Live } else { Shown::All };
        for (row, found) in self.rows.walk(range, direction, shown) {
            page.more = page.rows.len() == most;
            if page.more {
                break;
            }
            page.rows.push_back((row.clone(), found.is_live().then(|| found.value.clone())));
        }
        if complete {
            return page;
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
        for (at, (row, found)) in self.rows.walk(range, direction, Shown::Live).enumerate() {
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

    /// Takes in some changes.
    pub fn apply(&mut self, changes: SmallVec<[(RowKey, RowChange); AHEAD]>, lsn: u64) {
        let is_worth_it = changes.len() > 1 && self.rows.len() > CACHED;
        let ways = if is_worth_it { self.rows.ways(changes.iter().map(|(row, _)| row)) } else { Ways::new() };
        for (at, (row, change)) in changes.into_iter().enumerate() {
            let place = match ways.get(at) {
                Some(way) => self.rows.find_by(*way, &row),
                None => self.rows.find(&row),
            };
            let is_new = match place {
                Ok(place) => self.rows.row(place).1.is_new(),
                // What the store has there would be in memory, or is about to be cleared.
                Err(_) => self.knows(&row),
            };
            let state = match change {
                RowChange::Put(_) if is_new => State::New,
                RowChange::Put(_) => State::Dirty,
                // There is none to delete.
                RowChange::Delete if is_new && place.is_err() => continue,
                RowChange::Delete if is_new => State::Void,
                RowChange::Delete => State::Gone,
            };
            let value = match change {
                RowChange::Put(value) => value,
                RowChange::Delete => RowValue::new(),
            };
            self.set(place, row, Row { value, lsn, state });
        }
    }

    /// A row that is dirty now has been found, or not.
    fn set(&mut self, place: Result<Place, Place>, key: RowKey, row: Row) {
        self.size.dirty += cost(&key, &row.value);
        let place = match place {
            Ok(place) => place,
            Err(place) => {
                self.changed.push(key.clone());
                return self.rows.insert_at(place, key, row);
            }
        };
        let old = self.rows.replace_at(place, row);
        let was = cost(&key, &old.value);
        if old.is_dirty() {
            self.size.dirty -= was;
        } else {
            self.size.clean -= was;
            self.changed.push(key);
        }
    }

    pub fn clear(&mut self, range: RowRange) {
        for (row, old) in self.rows.remove_range(&range) {
            let bytes = if old.is_dirty() { &mut self.size.dirty } else { &mut self.size.clean };
            *bytes -= cost(&row, &old.value);
        }
        // What was cleared is still named.
        if self.changed.len() > 2 * self.len() + NAMES {
            let mut changed = std::mem::take(&mut self.changed);
            changed.sort_unstable();
            changed.dedup();
            changed.retain(|key| self.rows.get(key).is_some_and(Row::is_dirty));
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
            let (from, to) = (cleared.range.from.to_vec(), cleared.range.to.to_vec());
            writes.push(Write::DeleteRows { rows, from, to });
        }
        let mut bytes = 0;
        for (at, key) in keys.iter().enumerate() {
            if at == TAKE_ROWS || bytes >= TAKE_BYTES {
                return &keys[at..];
            }
            let Ok(place) = self.rows.find(key) else { continue };
            let found = self.rows.value_mut(place);
            if !found.is_dirty() {
                continue;
            }
            bytes += found.value.len();
            taken.push((key.clone(), found.lsn));
            let row = || key.to_vec();
            match found.state {
                State::Void => {}
                State::Gone => writes.push(Write::DeleteRow { rows, row: row() }),
                State::Clean | State::Dirty | State::New => {
                    // From here on the store may have it.
                    found.state = State::Dirty;
                    writes.push(Write::PutRow { rows, row: row(), value: found.value.to_vec() });
                }
            }
        }
        &[]
    }

    /// The store has these rows as they were at these LSNs.
    pub fn written(&mut self, taken: &[(RowKey, u64)]) {
        for (key, lsn) in taken {
            let Ok(place) = self.rows.find(key) else { continue };
            let knows = self.knows(key);
            let row = self.rows.value_mut(place);
            if !row.is_dirty() {
                continue;
            }
            if row.lsn != *lsn {
                self.changed.push(key.clone());
                continue;
            }
            let cost = cost(key, &row.value);
            self.size.dirty -= cost;
            if knows && row.is_live() {
                row.state = State::Clean;
                self.size.clean += cost;
            } else {
                self.rows.remove_at(place);
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
                && clean.row(place).1.is_dirty()
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
            if self.is_cleared(&row) {
                continue;
            }
            if let Err(place) = self.rows.find(&row) {
                self.size.clean += cost(&row, &value);
                self.rows.insert_at(place, row, Row { value, lsn: 0, state: State::Clean });
            }
        }
        self.known = known;
    }

    #[cfg(test)]
    pub fn check(&self) {
        let mut size = Growth::default();
        for (key, row) in self.rows.iter() {
            assert!(row.is_live() || row.value.is_empty());
            if row.is_dirty() {
                size.dirty += cost(key, &row.value);
                assert!(self.changed.contains(key), "{key:?} is dirty and settle is not told");
            } else {
                size.clean += cost(key, &row.value);
                assert!(self.knows(key), "{key:?} is clean, beyond what is known");
            }
        }
        assert_eq!((self.size, self.booked), (size, size));
        assert!(self.cleared.iter().all(|cleared| !cleared.taken));
    }
}

/// Has rows of several sets at hand.
pub fn look_ahead<'k>(wanted: impl Iterator<Item = (&'k RowSet, &'k RowKey)>) {
    let wanted: SmallVec<[(&RowTree<Row>, &[u8]); AHEAD]> =
        wanted.filter(|(set, _)| !set.rows.is_empty()).map(|(set, row)| (&set.rows, row.as_slice())).collect();
    wanted.iter().for_each(|(tree, _)| tree.prefetch());
    wanted.iter().for_each(|(tree, _)| tree.prefetch_branch());
    drop(tree::ways(wanted.iter().copied()));
}
