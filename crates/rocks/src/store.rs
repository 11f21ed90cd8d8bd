//! The store of one shard.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::fault::{Fault, FaultKind};
use engine::store::{Cursor, Direction, ExpiredRecord, Found, Reach, Store, StoreHealth, StoreStats, Write};
use keyspace::{Millis, RowsId};
use rust_rocksdb::checkpoint::Checkpoint;
use rust_rocksdb::{ErrorKind, ReadOptions, WriteBatch, WriteOptions};

use crate::budget::Budget;
use crate::cursor::Walk;
use crate::database::{Database, Family};
use crate::expired::Expired;
use crate::factory::{FORMAT_NAME, sync_parent};
use crate::health::Health;
use crate::options::{self, Leave, Patience};
use crate::refusal::fault;
use crate::stats;

/// Bytes of the rows id in front of a row's key.
const ROWS_ID_BYTES: usize = 8;
/// A batch buffer that grew beyond this is not kept for the next batch.
const KEPT_BATCH_BYTES: usize = 4 << 20;

/// A [`Database`] as the engine wants it.
pub(crate) struct RocksStore {
    database: Arc<Database>,
    budget: Arc<Budget>,
    health: Arc<Health>,
    expired: Arc<Expired>,
    memory: ReadOptions,
    disk: ReadOptions,
    writes: WriteOptions,
    /// The buffer of batches; held while one is made and written, so that what a `Clear` sees is what it removes.
    batch: Mutex<WriteBatch>,
    /// A `Clear` was written and not yet flushed.
    cleared: AtomicBool,
}

impl RocksStore {
    pub(crate) fn new(
        database: Arc<Database>,
        budget: Arc<Budget>,
        health: Arc<Health>,
        expired: Arc<Expired>,
    ) -> Self {
        Self {
            database,
            budget,
            health,
            expired,
            memory: options::reads_of_memory(),
            disk: ReadOptions::default(),
            writes: options::writes(),
            batch: Mutex::default(),
            cleared: AtomicBool::new(false),
        }
    }

    fn dir(&self) -> &Path {
        &self.database.dir
    }

    fn get(&self, family: Family, key: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault> {
        out.clear();
        let reads = match reach {
            Reach::Memory => &self.memory,
            Reach::Disk => &self.disk,
        };
        match self.database.db.get_pinned_cf_opt(self.database.family(family), key, reads) {
            Ok(Some(value)) => {
                out.extend_from_slice(&value);
                Ok(Found::Yes)
            }
            Ok(None) => Ok(Found::No),
            Err(error) if reach == Reach::Memory && error.kind() == ErrorKind::Incomplete => Ok(Found::WouldBlock),
            Err(error) => Err(fault(&error, "Cannot read a key", self.dir())),
        }
    }

    /// Appends to `batch` what the writes from `at` on, up to and without the next, ask for.
    fn append(&self, batch: &mut WriteBatch, writes: &[Write], at: usize) -> Result<(), Fault> {
        let family = |family| self.database.family(family);
        match &writes[at] {
            Write::PutRecord { bytes, key_len } => {
                let (key, record) = bytes.split_at(*key_len);
                batch.put_cf(family(Family::Records), key, record);
            }
            Write::DeleteRecord { key } => batch.delete_cf(family(Family::Records), key),
            Write::PutRow { rows, row, value } => batch.put_cf(family(Family::Rows), row_key(*rows, row), value),
            Write::DeleteRow { rows, row } => batch.delete_cf(family(Family::Rows), row_key(*rows, row)),
            Write::DeleteRows { rows, from, to } => {
                let (from, to) = (row_key(*rows, from), rows_end(*rows, to));
                if from < to {
                    batch.delete_range_cf(family(Family::Rows), from, to);
                }
            }
            Write::Clear => self.append_clear(batch, &writes[..at])?,
            Write::System { name, value } => {
                assert_ne!(*name, FORMAT_NAME, "the store's format is not the engine's to write");
                batch.put_cf(family(Family::System), name, value);
            }
        }
        Ok(())
    }

    /// Appends the removal of all that is in the store, and of all that `before`, the same batch, would put there.
    ///
    /// A range needs an end beyond the last key, and no key is beyond all keys: so the end is the last one there is.
    fn append_clear(&self, batch: &mut WriteBatch, before: &[Write]) -> Result<(), Fault> {
        for family in [Family::Records, Family::Rows] {
            let put = before.iter().filter_map(|write| match (write, family) {
                (Write::PutRecord { bytes, key_len }, Family::Records) => Some(bytes[..*key_len].to_vec()),
                (Write::PutRow { rows, row, .. }, Family::Rows) => Some(row_key(*rows, row)),
                _ => None,
            });
            let last = put.max().max(self.database.last_key(family)?);
            if let Some(mut end) = last {
                end.push(0);
                batch.delete_range_cf(self.database.family(family), Vec::new(), end);
            }
        }
        Ok(())
    }

    /// Asks RocksDB to meet soon what a `Clear` removed, now that the `Clear` itself is in a file.
    fn compact_cleared(&self) {
        for family in [Family::Records, Family::Rows] {
            // Only a wish: without it the space comes back later.
            let _ =
                self.database.db.suggest_compact_range_cf(self.database.family(family), None::<&[u8]>, None::<&[u8]>);
        }
    }
}

impl Store for RocksStore {
    fn record(&self, key: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault> {
        self.get(Family::Records, key, reach, out)
    }

    fn row(&self, rows: RowsId, row: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault> {
        self.get(Family::Rows, &row_key(rows, row), reach, out)
    }

    fn system(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let mut value = Vec::new();
        let found = self.get(Family::System, name.as_bytes(), Reach::Disk, &mut value)?;
        Ok((found == Found::Yes).then_some(value))
    }

    fn records<'s>(&'s self, from: &[u8], prefix: &[u8]) -> Result<Box<dyn Cursor + 's>, Fault> {
        let reads = options::reads_of_walk(Leave::Nothing, end_of_prefix(prefix));
        let iterator = self.database.db.raw_iterator_cf_opt(&self.database.family(Family::Records), reads);
        Ok(Box::new(Walk::new(iterator, from, 0, self.dir())))
    }

    fn row_range<'s>(
        &'s self,
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        reach: Reach,
    ) -> Result<Box<dyn Cursor + 's>, Fault> {
        let (from, to) = (row_key(rows, from), rows_end(rows, to));
        let mut reads = options::reads_of_walk(Leave::Blocks, Some(to));
        if reach == Reach::Memory {
            options::stay_in_memory(&mut reads);
        }
        if direction == Direction::Backward {
            reads.set_iterate_lower_bound(from.as_slice());
        }
        let iterator = self.database.db.raw_iterator_cf_opt(&self.database.family(Family::Rows), reads);
        Ok(Box::new(match direction {
            Direction::Forward => Walk::new(iterator, &from, ROWS_ID_BYTES, self.dir()),
            Direction::Backward => Walk::back(iterator, ROWS_ID_BYTES, self.dir()),
        }))
    }

    fn write(&self, batch: &[Write]) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        let clears = batch.contains(&Write::Clear);
        let mut buffer = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.clear();
        for at in 0..batch.len() {
            self.append(&mut buffer, batch, at)?;
        }
        let written = self.database.db.write_opt(&buffer, &self.writes);
        if buffer.size_in_bytes() > KEPT_BATCH_BYTES {
            *buffer = WriteBatch::new();
        }
        drop(buffer);
        written.map_err(|error| {
            self.health.failed(error.as_ref());
            fault(&error, "Cannot write to the store", self.dir())
        })?;
        if clears {
            self.cleared.store(true, Ordering::Release);
        }
        self.budget.relieve();
        Ok(())
    }

    fn flush(&self) -> Result<(), Fault> {
        let cleared = self.cleared.swap(false, Ordering::AcqRel);
        let flushed = self.database.flush(Patience::Wait);
        match (&flushed, cleared) {
            (Ok(()), true) => self.compact_cleared(),
            (Err(_), true) => self.cleared.store(true, Ordering::Release),
            (_, false) => {}
        }
        flushed
    }

    fn checkpoint(&self, dir: &Path) -> Result<(), Fault> {
        // RocksDB flushes first, all families as one; there is no log of its own it could copy instead.
        Checkpoint::new(&self.database.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(dir))
            .map_err(|error| fault(&error, "Cannot make a checkpoint of the store", dir))?;
        sync_parent(dir)
    }

    fn compact(&self) -> Result<(), Fault> {
        let options = options::compactions();
        let errors = self.health.errors();
        for family in Family::ALL {
            let family = self.database.family(family);
            self.database.db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        }
        // The call itself says nothing of how it went.
        match self.health() {
            StoreHealth::Ok if self.health.errors() == errors => Ok(()),
            StoreHealth::Ok => Err(Fault::new(FaultKind::Io, "A compaction failed; it will be retried.", self.dir())),
            StoreHealth::Stopped { reason, no_space } => Err(stopped(&reason, no_space, self.dir())),
        }
    }

    fn set_expiry_horizon(&self, horizon: Millis) {
        self.expired.set_horizon(horizon);
    }

    fn take_expired(&self, most: usize) -> Vec<ExpiredRecord> {
        self.expired.take(most)
    }

    fn health(&self) -> StoreHealth {
        self.health.present()
    }

    fn resume(&self) -> Result<(), Fault> {
        if self.health() == StoreHealth::Ok {
            return Ok(());
        }
        let errors = self.health.errors();
        self.database.db.resume().map_err(|error| fault(&error, "The store cannot go on yet", self.dir()))?;
        self.health.recovered_from(errors);
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        stats::collect(&self.database, &self.budget, &self.health, &self.expired)
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        self.budget.leave(&self.database);
    }
}

fn stopped(reason: &str, no_space: bool, dir: &Path) -> Fault {
    let kind = if no_space { FaultKind::NoSpace } else { FaultKind::Io };
    Fault::new(kind, format!("The store stopped: {reason}"), dir)
}

fn row_key(rows: RowsId, row: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(ROWS_ID_BYTES + row.len());
    key.extend_from_slice(&rows.0.to_be_bytes());
    key.extend_from_slice(row);
    key
}

/// The first key after the rows of `rows` before `to`; an empty `to` is the end.
fn rows_end(rows: RowsId, to: &[u8]) -> Vec<u8> {
    if to.is_empty() {
        let next = rows.0.checked_add(1).expect("rows ids are counted up from 0 and never reach the last u64");
        return row_key(RowsId(next), &[]);
    }
    row_key(rows, to)
}

/// The first key after all keys with `prefix`, if there is one.
fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_row_key() {
        assert_eq!(row_key(RowsId(0x0102), b"ab"), [0, 0, 0, 0, 0, 0, 1, 2, b'a', b'b']);
    }

    #[test]
    fn rows_end_at_the_next_id() {
        assert_eq!(rows_end(RowsId(0xff), b""), [0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(rows_end(RowsId(1), b"z"), [0, 0, 0, 0, 0, 0, 0, 1, b'z']);
    }

    #[test]
    fn a_prefix_ends_at_its_successor() {
        assert_eq!(end_of_prefix(b"user:"), Some(b"user;".to_vec()));
        assert_eq!(end_of_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of_prefix(b"\xff\xff"), None);
        assert_eq!(end_of_prefix(b""), None);
    }
}
