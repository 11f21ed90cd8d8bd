//! Opens and makes stores.
//!
//! A store is *there* when its directory has the file `CURRENT`, which RocksDB writes last. The system entry `FORMAT`
//! says which version of our own families' formats it holds; a store without one was not finished, and is empty.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use engine::fault::{Fault, FaultKind};
use engine::store::{Presence, Store, StoreFactory};
use rust_rocksdb::{ColumnFamilyDescriptor, DB, DEFAULT_COLUMN_FAMILY_NAME};

use crate::budget::Budget;
use crate::database::{Database, Family};
use crate::expired::Expired;
use crate::health::Health;
use crate::options::{self, Patience, RocksOptions};
use crate::refusal::{fault, fault_of_opening};
use crate::store::RocksStore;

/// Name of the system entry that holds the format's version.
pub(crate) const FORMAT_NAME: &str = "FORMAT";
/// The version, u32 little-endian.
const FORMAT: u32 = 1;

/// Opens the stores of an instance's shards, which share a block cache and a memtable budget.
pub struct RocksFactory {
    options: RocksOptions,
    budget: Arc<Budget>,
}

impl RocksFactory {
    /// A factory; `options` hold for every store it opens, its budgets until [`StoreFactory::set_budget`].
    #[must_use]
    pub fn new(options: RocksOptions) -> Self {
        let budget = Arc::new(Budget::new(options.block_cache_bytes, options.memtable_bytes));
        Self { options, budget }
    }

    fn open_database(
        &self,
        dir: &Path,
        missing: Missing,
        health: &Arc<Health>,
        expired: &Arc<Expired>,
    ) -> Result<Database, Fault> {
        let (cache, memtable) = (&self.budget.cache, self.budget.memtable_of_family());
        let mut db = options::of_database(&self.options, &self.budget.memtables, health);
        db.create_if_missing(missing == Missing::Make);
        db.create_missing_column_families(missing == Missing::Make);
        let of = |family| match family {
            Family::Records => options::of_records(&self.options, cache, memtable, expired),
            Family::Rows => options::of_rows(&self.options, cache, memtable),
            Family::System => options::of_system(&self.options, cache),
        };
        let mut families =
            vec![ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, options::of_system(&self.options, cache))];
        families.extend(Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), of(family))));
        let db = DB::open_cf_descriptors(&db, dir, families).map_err(|error| fault_of_opening(&error, dir))?;
        Ok(Database::new(db, dir))
    }
}

impl StoreFactory for RocksFactory {
    fn open(&self, dir: &Path, presence: Presence) -> Result<Arc<dyn Store>, Fault> {
        let missing = match (look(dir)?, presence) {
            (Sight::Store, Presence::Required) => Missing::Refuse,
            // Its making may have been cut short between two families.
            (Sight::Store | Sight::Nothing, Presence::Create) => Missing::Make,
            (Sight::Nothing, Presence::Required) => {
                return Err(Fault::new(FaultKind::Corrupt, "The store that should be here is missing.", dir));
            }
        };
        let (health, expired) = (Arc::<Health>::default(), Arc::<Expired>::default());
        let database = Arc::new(self.open_database(dir, missing, &health, &expired)?);
        check_format(&database, missing)?;
        self.budget.join(&database);
        Ok(Arc::new(RocksStore::new(database, Arc::clone(&self.budget), health, expired)))
    }

    fn set_budget(&self, block_cache_bytes: u64, memtable_bytes: u64) {
        self.budget.set(block_cache_bytes, memtable_bytes);
    }
}

/// What to do about a part of a store that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Make,
    Refuse,
}

/// What is in a directory.
enum Sight {
    Store,
    Nothing,
}

/// Looks before RocksDB does, which takes a directory without `CURRENT` for a new one and deletes the rest.
fn look(dir: &Path) -> Result<Sight, Fault> {
    let unreadable = |error: &io::Error| Fault::io(error, "Cannot look into the store's directory", dir);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sight::Nothing),
        Err(error) => return Err(unreadable(&error)),
    };
    let mut tables = false;
    for entry in entries {
        let name = entry.map_err(|error| unreadable(&error))?.file_name();
        if name == "CURRENT" {
            return Ok(Sight::Store);
        }
        tables |= Path::new(&name).extension().is_some_and(|extension| extension == "sst");
    }
    if tables {
        return Err(Fault::new(FaultKind::Corrupt, "The store has data but lost its file CURRENT.", dir));
    }
    Ok(Sight::Nothing)
}

/// Checks the version of what is in the store; marks a new one.
fn check_format(database: &Database, missing: Missing) -> Result<(), Fault> {
    let dir = &database.dir;
    let system = database.family(Family::System);
    let found = database
        .db
        .get_pinned_cf(system, FORMAT_NAME)
        .map_err(|error| fault(&error, "Cannot read the store's format", dir))?;
    let mine = FORMAT.to_le_bytes();
    match found.as_deref() {
        Some(found) if found == mine => Ok(()),
        Some(found) => {
            let found =
                found.first_chunk().map_or_else(|| "unknown".to_owned(), |v| u32::from_le_bytes(*v).to_string());
            let what = format!("The store has format {found}; this version of the program reads format {FORMAT} only.");
            Err(Fault::new(FaultKind::Format, what, dir))
        }
        None if missing == Missing::Make && is_empty(database)? => {
            database
                .db
                .put_cf_opt(system, FORMAT_NAME, mine, &options::writes())
                .map_err(|error| fault(&error, "Cannot mark the new store", dir))?;
            database.flush(Patience::Wait)?;
            sync_parent(dir)
        }
        None => Err(Fault::new(FaultKind::Format, "The store does not say which format it has.", dir)),
    }
}

fn is_empty(database: &Database) -> Result<bool, Fault> {
    for family in Family::ALL {
        if database.last_key(family)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the name of `dir` itself survive a crash; RocksDB sees to what is inside.
pub(crate) fn sync_parent(dir: &Path) -> Result<(), Fault> {
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(|error| Fault::io(&error, "Cannot sync the directory above the store", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store as other versions would leave it.
    fn with_format(dir: &Path, value: &[u8]) {
        let factory = RocksFactory::new(RocksOptions::default());
        let database = factory.open_database(dir, Missing::Make, &Arc::default(), &Arc::default()).unwrap();
        database.db.put_cf_opt(database.family(Family::System), FORMAT_NAME, value, &options::writes()).unwrap();
        database.flush(Patience::Wait).unwrap();
    }

    fn refusal(dir: &Path, presence: Presence) -> Fault {
        RocksFactory::new(RocksOptions::default()).open(dir, presence).map(|_| ()).unwrap_err()
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        with_format(dir.path(), &[7, 0, 0, 0]);
        let fault = refusal(dir.path(), Presence::Create);
        assert_eq!((fault.kind, fault.path.as_deref()), (FaultKind::Format, Some(dir.path())));
        assert!(fault.what.contains("format 7") && fault.what.contains("format 1"), "{fault}");
        with_format(dir.path(), b"?");
        assert!(refusal(dir.path(), Presence::Required).what.contains("format unknown"));
    }

    #[test]
    fn golden_format() {
        let dir = tempfile::tempdir().unwrap();
        with_format(dir.path(), &[1, 0, 0, 0]);
        assert!(RocksFactory::new(RocksOptions::default()).open(dir.path(), Presence::Required).is_ok());
    }

    #[test]
    fn a_store_whose_making_was_cut_short_is_finished_only_when_it_may_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let factory = RocksFactory::new(RocksOptions::default());
        drop(factory.open_database(dir.path(), Missing::Make, &Arc::default(), &Arc::default()).unwrap());
        assert_eq!(refusal(dir.path(), Presence::Required).kind, FaultKind::Format);
        assert!(factory.open(dir.path(), Presence::Create).is_ok());
        assert!(factory.open(dir.path(), Presence::Required).is_ok());
    }

    #[test]
    fn data_without_a_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let factory = RocksFactory::new(RocksOptions::default());
        let database = factory.open_database(dir.path(), Missing::Make, &Arc::default(), &Arc::default()).unwrap();
        database.db.put_cf_opt(database.family(Family::Records), "k", "v", &options::writes()).unwrap();
        database.flush(Patience::Wait).unwrap();
        drop(database);
        assert_eq!(refusal(dir.path(), Presence::Create).kind, FaultKind::Format);
    }

    #[test]
    fn families_of_another_version_are_a_format_fault() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = rust_rocksdb::Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        drop(DB::open_cf(&options, dir.path(), ["default", "records", "columns"]).unwrap());
        assert_eq!(refusal(dir.path(), Presence::Create).kind, FaultKind::Format);
    }
}
