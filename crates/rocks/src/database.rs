//! One open RocksDB directory and its families.

use std::path::{Path, PathBuf};

use engine::fault::Fault;
use rust_rocksdb::{ColumnFamily, DB, properties};

use crate::options::{self, Patience};
use crate::refusal::fault;

/// A family; the order is that of their making, the same in every store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// User key -> record.
    Records,
    /// Rows id, row key -> value.
    Rows,
    /// Name -> value.
    System,
}

impl Family {
    /// All of them, in order. RocksDB's own family `default` comes first and stays empty.
    pub(crate) const ALL: [Self; 3] = [Self::Records, Self::Rows, Self::System];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Rows => "rows",
            Self::System => "system",
        }
    }
}

/// The database and where it is.
pub(crate) struct Database {
    pub(crate) db: DB,
    pub(crate) dir: PathBuf,
}

impl Database {
    pub(crate) fn new(db: DB, dir: &Path) -> Self {
        Self { db, dir: dir.to_path_buf() }
    }

    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("a store is opened with all its families")
    }

    /// Flushes all families as one.
    pub(crate) fn flush(&self, patience: Patience) -> Result<(), Fault> {
        let families = Family::ALL.map(|family| self.family(family));
        self.db
            .flush_cfs_opt(&families, &options::flushes(patience))
            .map_err(|error| fault(&error, "Cannot flush the store", &self.dir))
    }

    /// The last key of `family`; `None` when it is empty.
    pub(crate) fn last_key(&self, family: Family) -> Result<Option<Vec<u8>>, Fault> {
        let reads = options::reads_of_walk(options::Leave::Nothing, None);
        let mut walk = self.db.raw_iterator_cf_opt(&self.family(family), reads);
        walk.seek_to_last();
        match walk.key() {
            Some(key) => Ok(Some(key.to_vec())),
            None => walk
                .status()
                .map(|()| None)
                .map_err(|error| fault(&error, "Cannot find the end of a family", &self.dir)),
        }
    }

    /// Bytes that a flush would take out of memory.
    pub(crate) fn flushable_bytes(&self) -> u64 {
        Family::ALL.iter().map(|&family| self.number(family, properties::CUR_SIZE_ACTIVE_MEM_TABLE)).sum()
    }

    /// A property of a family. One that RocksDB does not know is 0: it is for display only.
    pub(crate) fn number(&self, family: Family, property: &rust_rocksdb::properties::PropName) -> u64 {
        self.db.property_int_value_cf(self.family(family), property).ok().flatten().unwrap_or(0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Closing waits for what is under way; a compaction of gigabytes is better cut short, for it left no trace.
        self.db.cancel_all_background_work(true);
    }
}
