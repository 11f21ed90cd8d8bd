//! Reading rows: the run's own changes over the shard's dirty rows over the store.
//!
//! What the disk has is read by the desk without locks; the next attempt finds it among what was fetched, as long as the
//! owner's LSN says that it is still what it was.

use keyspace::{Record, RowsId, Stop};

use super::row_writes::{Range, SetWrites};
use super::{FetchLimit, FetchedRows, Need, RowsNeed, Txn};
use crate::row_walk::{self, Ended};
use crate::rows::{Overlaid, RowChange, RowKey, RowRange, Visited};
use crate::store::{Direction, Found};

/// Rows that are visited in memory before others get a turn.
const VISIT_ROWS: usize = if cfg!(test) { 4 } else { 256 };

impl<'r> Txn<'r> {
    fn own_writes(&self, rows: RowsId) -> Option<&SetWrites> {
        self.part().rows.as_ref()?.get(rows)
    }

    /// As `View::row`.
    pub(super) fn read_row(&mut self, key: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop> {
        out.clear();
        if let Some(set) = self.own_writes(rows) {
            match set.rows.get(row) {
                Some(RowChange::Put(value)) => {
                    out.extend_from_slice(value);
                    return Ok(true);
                }
                Some(RowChange::Delete) => return Ok(false),
                None if set.cleared.iter().any(|range| range.holds(row)) => return Ok(false),
                None => {}
            }
        }
        let part = self.part();
        let Some(shard) = part.shard.filter(|_| !part.made.contains(&rows)) else { return Ok(false) };
        match shard.rows.look(rows, row, out) {
            Overlaid::Is => return Ok(true),
            Overlaid::Gone => return Ok(false),
            Overlaid::Unknown => {}
        }
        match shard.store.row(rows, row, self.reach, out) {
            Ok(Found::Yes) => return Ok(true),
            Ok(Found::No) => return Ok(false),
            Ok(Found::WouldBlock) => {}
            Err(fault) => return Err(self.fail(fault)),
        }
        let mut range = RowRange::new(row, row);
        range.to.push(0);
        let Some(fetched) = self.fetched_rows(key, rows, &range, Direction::Forward) else {
            return Err(self.miss_rows(key, rows, range, Direction::Forward));
        };
        let found = fetched.rows.get(row);
        out.extend_from_slice(found.map_or(&[], |value| value));
        Ok(found.is_some())
    }

    /// As `View::rows` and `View::rows_back`.
    pub(super) fn read_rows(
        &mut self,
        key: &[u8],
        rows: RowsId,
        range: &RowRange,
        direction: Direction,
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        if range.is_empty() {
            return Ok(());
        }
        let part = self.part();
        let mut merge = Merge::new(self.own_writes(rows), range, direction, seen);
        let Some(shard) = part.shard.filter(|_| !part.made.contains(&rows)) else {
            merge.finish();
            return Ok(());
        };
        let mut rest = range.clone();
        loop {
            match shard.rows.visit(rows, &rest, direction, VISIT_ROWS, &mut |row, value| merge.stored(row, value)) {
                Visited::Unknown => break,
                Visited::Enough => return Ok(()),
                Visited::All => {
                    merge.finish();
                    return Ok(());
                }
                Visited::More(last) => rest = rest.beyond(last, direction),
            }
        }
        loop {
            if let Some(fetched) = self.fetched_rows(key, rows, &rest, direction) {
                if !merge.take(fetched, &rest) {
                    return Ok(());
                }
                rest = rest.without(&fetched.covered, direction);
                if rest.is_empty() {
                    merge.finish();
                    return Ok(());
                }
                continue;
            }
            let mut last = None;
            let walked = row_walk::walk(shard, rows, &rest, direction, self.reach, &mut |row, value| {
                last = Some(RowKey::from_slice(row));
                merge.stored(row, value)
            });
            match walked {
                Ok(Ended::Enough) => return Ok(()),
                Ok(Ended::All) => {
                    merge.finish();
                    return Ok(());
                }
                Ok(Ended::WouldBlock) => {
                    if let Some(last) = last {
                        rest = rest.beyond(last, direction);
                    }
                    if rest.is_empty() || self.fetched_rows(key, rows, &rest, direction).is_none() {
                        return Err(self.miss_rows(key, rows, rest, direction));
                    }
                }
                Err(fault) => return Err(self.fail(fault)),
            }
        }
    }

    /// As `View::count_rows`: only where nothing but the shard's rows is to be counted.
    pub(super) fn count_known(&self, rows: RowsId, range: &RowRange) -> Option<u64> {
        let shard = self.part().shard.filter(|_| self.own_writes(rows).is_none())?;
        shard.rows.count(rows, range).map(|count| count as u64)
    }

    /// As `View::nth_row`: only where nothing but the shard's rows is to be counted.
    pub(super) fn nth_known(
        &self,
        rows: RowsId,
        range: &RowRange,
        number: u64,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Option<bool> {
        let shard = self.part().shard.filter(|_| self.own_writes(rows).is_none())?;
        shard.rows.nth(rows, range, usize::try_from(number).ok()?, seen)
    }

    /// Misses rows: the desk is to read them without locks.
    fn miss_rows(&mut self, key: &[u8], rows: RowsId, range: RowRange, direction: Direction) -> Stop {
        let Some((lsn, shard)) = self.owner_lsn(key, rows).zip(self.part().shard) else {
            return self.corrupt(key, "it does not lead to the rows asked for");
        };
        let most = FetchLimit::after(self.fetched.map_or(0, |fetched| fetched.rows.len()));
        let need = RowsNeed { shard: shard.id, lsn, rows, range, direction, most };
        self.need = Some(Box::new(Need::Rows(need)));
        Stop::WouldBlock
    }

    /// Rows that the desk fetched, if they are still those of the record, and a walk through `range` begins among them.
    fn fetched_rows(
        &self,
        key: &[u8],
        rows: RowsId,
        range: &RowRange,
        direction: Direction,
    ) -> Option<&'r FetchedRows> {
        let shard = self.part().shard?.id;
        let begins = |fetched: &FetchedRows| {
            let need = &fetched.need;
            need.rows == rows && need.shard == shard && fetched.covered.holds_begin_of(range, direction)
        };
        let lsn = self.fetched?.rows.iter().any(begins).then(|| self.owner_lsn(key, rows))??;
        self.fetched?.rows.iter().find(|fetched| fetched.need.lsn == lsn && begins(fetched))
    }

    /// The LSN that the owner of a row set had before the run, which may have changed or renamed it.
    fn owner_lsn(&self, key: &[u8], rows: RowsId) -> Option<u64> {
        let arena = &self.scratch.arena;
        let before = self.scratch.touched.iter().filter(|touched| self.held[touched.held as usize].part == self.at);
        let before = before.filter_map(|touched| {
            let (at, len) = touched.old?;
            Record::decode(&arena[at..at + len]).ok()
        });
        if let Some(record) = before.into_iter().find(|record| record.rows_id() == Some(rows)) {
            return Some(record.lsn);
        }
        let (hash, at) = self.locate(key).ok()??;
        let entry = self.held[at].guard.find(hash, key).filter(|entry| !entry.is_touched())?;
        let record = entry.record().ok()??;
        (record.rows_id() == Some(rows)).then_some(record.lsn)
    }
}

/// The rows of a walk, under what the run itself has changed.
struct Merge<'a> {
    changes: Option<Range<'a>>,
    next: Option<(&'a RowKey, &'a RowChange)>,
    cleared: &'a [RowRange],
    direction: Direction,
    seen: &'a mut dyn FnMut(&[u8], &[u8]) -> bool,
}

impl<'a> Merge<'a> {
    fn new(
        own: Option<&'a SetWrites>,
        range: &RowRange,
        direction: Direction,
        seen: &'a mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Self {
        let changes = own.map(|set| set.rows.range(range));
        let cleared = own.map_or(&[][..], |set| &set.cleared);
        let mut merge = Self { changes, next: None, cleared, direction, seen };
        merge.pull();
        merge
    }

    fn pull(&mut self) {
        self.next = self.changes.as_mut().and_then(|changes| match self.direction {
            Direction::Forward => changes.next(),
            Direction::Backward => changes.next_back(),
        });
    }

    /// Takes the next row that was there before the run; shows it unless the run has changed it. `false`: enough.
    fn stored(&mut self, row: &[u8], value: &[u8]) -> bool {
        while let Some((own, change)) = self.next {
            if own.as_slice() != row && !self.direction.is_before(own, row) {
                break;
            }
            self.pull();
            if let RowChange::Put(value) = change
                && !(self.seen)(own, value)
            {
                return false;
            }
            if own.as_slice() == row {
                return true;
            }
        }
        self.cleared.iter().any(|range| range.holds(row)) || (self.seen)(row, value)
    }

    /// Takes the fetched rows of `range`. `false`: enough.
    fn take(&mut self, fetched: &FetchedRows, range: &RowRange) -> bool {
        let mut rows = fetched.rows.range::<[u8], _>(range.bounds());
        match self.direction {
            Direction::Forward => rows.all(|(row, value)| self.stored(row, value)),
            Direction::Backward => rows.rev().all(|(row, value)| self.stored(row, value)),
        }
    }

    /// There are no more rows from before the run.
    fn finish(&mut self) {
        while let Some((own, change)) = self.next {
            self.pull();
            if let RowChange::Put(value) = change
                && !(self.seen)(own, value)
            {
                return;
            }
        }
    }
}
