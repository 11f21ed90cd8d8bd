//! The memory that the stores of an instance share.
//!
//! RocksDB flushes the database that is being *written* when the memtables of all together get too large, however
//! little that one holds: with many databases, a few idle ones that sit on full memtables would make a busy one flush
//! crumbs. So the store that holds most is flushed here, a little before RocksDB would act.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rust_rocksdb::{Cache, WriteBufferManager};

use crate::database::{Database, Family};
use crate::options::{Patience, memtable_of_family};

/// Share of the memtable budget at which the store that holds most is flushed. RocksDB acts at seven eighths.
const FLUSH_AT: (u64, u64) = (3, 4);

/// The block cache, the memtable budget, and who shares them.
pub(crate) struct Budget {
    pub(crate) cache: Cache,
    pub(crate) memtables: WriteBufferManager,
    memtable_bytes: AtomicU64,
    /// The open databases. What is in here is owned by a store as well, and leaves with it.
    databases: Mutex<Vec<Arc<Database>>>,
}

impl Budget {
    pub(crate) fn new(block_cache_bytes: u64, memtable_bytes: u64) -> Self {
        Self {
            // Not the clock cache: its table is laid out for the capacity it is made with, and ours changes.
            cache: Cache::new_lru_cache(size(block_cache_bytes)),
            memtables: WriteBufferManager::new_write_buffer_manager(size(memtable_bytes), false),
            memtable_bytes: AtomicU64::new(memtable_bytes),
            databases: Mutex::default(),
        }
    }

    /// Changes both budgets, for the open databases, too.
    pub(crate) fn set(&self, block_cache_bytes: u64, memtable_bytes: u64) {
        self.cache.clone().set_capacity(size(block_cache_bytes));
        self.memtables.set_buffer_size(size(memtable_bytes));
        self.memtable_bytes.store(memtable_bytes, Ordering::Relaxed);
        let memtable = self.memtable_of_family().to_string();
        for database in self.databases().iter() {
            for family in [Family::Records, Family::Rows] {
                // If it fails, memtables keep their old size, and the budget still bounds their sum.
                let _ = database.db.set_options_cf(database.family(family), &[("write_buffer_size", &memtable)]);
            }
        }
    }

    /// Bytes at which the memtable of a family is flushed.
    pub(crate) fn memtable_of_family(&self) -> u64 {
        memtable_of_family(self.memtable_bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn join(&self, database: &Arc<Database>) {
        self.databases().push(Arc::clone(database));
    }

    /// After this, `database` is owned by its store alone: nobody here delays its closing.
    pub(crate) fn leave(&self, database: &Arc<Database>) {
        self.databases().retain(|other| !Arc::ptr_eq(other, database));
    }

    /// Begins to flush the store that holds most, if together they hold too much. Waits for no disk.
    pub(crate) fn relieve(&self) {
        let held = self.memtables.get_mutable_memtable_memory_usage() as u64;
        if held * FLUSH_AT.1 < self.memtable_bytes.load(Ordering::Relaxed) * FLUSH_AT.0 {
            return;
        }
        let databases = self.databases();
        if let Some(largest) = databases.iter().max_by_key(|database| database.flushable_bytes()) {
            // A store that cannot flush says so by its health.
            let _ = largest.flush(Patience::Begin);
        }
    }

    fn databases(&self) -> MutexGuard<'_, Vec<Arc<Database>>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
