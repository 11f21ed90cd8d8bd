//! Reading rows: the run's own changes over the shard's dirty rows over the store.
//!
//! Ranges are read by the desk without locks; the next attempt finds them among what was fetched, as long as the owner's
//! LSN says that they are still what they were.

use std::collections::BTreeMap;

use keyspace::{Record, RowsId, Stop};

use super::{Need, RowsNeed, SetWrites, Txn};
use crate::rows::{Overlaid, RowChange, RowRange};
use crate::run::fetch_rows;
use crate::store::{Found, Reach};
use crate::walk;

impl<'r> Txn<'r> {
    fn own_writes(&self, rows: RowsId) -> Option<&SetWrites> {
        self.part().rows.as_ref()?.sets.get(&rows)
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
        match shard.rows.look(rows, row) {
            Overlaid::Is(value) => {
                *out = value;
                return Ok(true);
            }
            Overlaid::Gone => return Ok(false),
            Overlaid::Unknown => {}
        }
        match shard.store.row(rows, row, self.reach, out) {
            Ok(Found::Yes) => return Ok(true),
            Ok(Found::No) => return Ok(false),
            Ok(Found::WouldBlock) => {}
            Err(fault) => return Err(self.fail(fault)),
        }
        let mut to = row.to_vec();
        to.push(0);
        let range = RowRange { from: row.to_vec(), to };
        let Some(fetched) = self.fetched_rows(key, rows, &range) else {
            return Err(self.miss_rows(key, rows, &range));
        };
        if let Some(value) = fetched.get(row) {
            out.extend_from_slice(value);
        }
        Ok(fetched.contains_key(row))
    }

    /// As `View::rows`.
    pub(super) fn read_rows(
        &mut self,
        key: &[u8],
        rows: RowsId,
        range: &RowRange,
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let read;
        let stored = if self.part().made.contains(&rows) {
            &BTreeMap::new()
        } else if let Some(fetched) = self.fetched_rows(key, rows, range) {
            fetched
        } else if self.reach == Reach::Memory {
            return Err(self.miss_rows(key, rows, range));
        } else {
            let need = self.rows_need(key, rows, range)?;
            let Some(shard) = self.part().shard else { return Ok(()) };
            read = fetch_rows(shard, &need).map_err(|fault| self.fail(fault))?;
            &read
        };
        let own = self.own_writes(rows);
        walk::merge_rows(stored, own.map(|set| (&set.rows, set.cleared.as_slice())), range, seen);
        Ok(())
    }

    /// Misses rows: the desk is to read them.
    fn miss_rows(&mut self, key: &[u8], rows: RowsId, range: &RowRange) -> Stop {
        match self.rows_need(key, rows, range) {
            Ok(need) => {
                self.need = Some(Need::Rows(need));
                Stop::WouldBlock
            }
            Err(stop) => stop,
        }
    }

    /// What it takes to read a range from the store without locks.
    fn rows_need(&mut self, key: &[u8], rows: RowsId, range: &RowRange) -> Result<RowsNeed, Stop> {
        let part = self.part();
        let Some((shard, lsn)) = part.shard.zip(self.owner_lsn(key, rows)) else {
            return Err(self.corrupt(key, "it does not lead to the rows asked for"));
        };
        let (dirty, cleared) = shard.rows.copy(rows, range);
        Ok(RowsNeed { database: part.database, lsn, rows, range: range.clone(), dirty, cleared })
    }

    /// Rows that the desk fetched, if they are still those of the record.
    fn fetched_rows(&self, key: &[u8], rows: RowsId, range: &RowRange) -> Option<&'r BTreeMap<Vec<u8>, Vec<u8>>> {
        let database = self.part().database;
        let covers = |need: &RowsNeed| {
            need.rows == rows
                && need.database == database
                && need.range.from <= range.from
                && (need.range.to.is_empty() || (!range.to.is_empty() && range.to <= need.range.to))
        };
        let lsn =
            self.fetched?.rows.iter().any(|fetched| covers(&fetched.need)).then(|| self.owner_lsn(key, rows))??;
        let fits = |need: &RowsNeed| need.lsn == lsn && covers(need);
        self.fetched?.rows.iter().find(|fetched| fits(&fetched.need)).map(|fetched| &fetched.rows)
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
        let entry = self.held[at].guard.find(hash, key).filter(|entry| !entry.state.touched)?;
        let record = entry.record().ok()??;
        (record.rows_id() == Some(rows)).then_some(record.lsn)
    }
}
