//! The numbers of a store.

use engine::store::StoreStats;
use rust_rocksdb::properties;

use crate::budget::Budget;
use crate::database::{Database, Family};
use crate::expired::Expired;
use crate::health::Health;

/// Collects them. Each is a look at a counter that RocksDB keeps.
pub(crate) fn collect(database: &Database, budget: &Budget, health: &Health, expired: &Expired) -> StoreStats {
    let sum = |property| Family::ALL.iter().map(|&family| database.number(family, property)).sum::<u64>();
    // Of the database, whichever family is asked.
    let of_all = |property| database.number(Family::Records, property);
    let level_0 = properties::num_files_at_level(0);
    let (expired_waiting, expired_dropped) = expired.counts();
    let details = [
        ("rocksdb_level0_files", sum(&level_0)),
        ("rocksdb_running_flushes", of_all(properties::NUM_RUNNING_FLUSHES)),
        ("rocksdb_running_compactions", of_all(properties::NUM_RUNNING_COMPACTIONS)),
        ("rocksdb_background_errors", health.errors()),
        ("rocksdb_delayed_write_rate", of_all(properties::ACTUAL_DELAYED_WRITE_RATE)),
        ("rocksdb_write_stopped", of_all(properties::IS_WRITE_STOPPED)),
        ("rocksdb_live_versions", sum(properties::NUM_LIVE_VERSIONS)),
        ("rocksdb_block_cache_capacity", budget.cache.get_capacity() as u64),
        ("rocksdb_block_cache_pinned", budget.cache.get_pinned_usage() as u64),
        ("rocksdb_memtable_budget", budget.memtables.get_buffer_size() as u64),
        ("rocksdb_memtables_of_all", budget.memtables.get_usage() as u64),
        ("expired_waiting", expired_waiting),
        ("expired_dropped", expired_dropped),
    ];
    StoreStats {
        disk_bytes: sum(properties::TOTAL_SST_FILES_SIZE),
        memtable_bytes: sum(properties::SIZE_ALL_MEM_TABLES),
        block_cache_bytes: budget.cache.get_usage() as u64,
        table_reader_bytes: sum(properties::ESTIMATE_TABLE_READERS_MEM),
        background_jobs: of_all(properties::NUM_RUNNING_FLUSHES) + of_all(properties::NUM_RUNNING_COMPACTIONS),
        pending_compaction_bytes: sum(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
        estimated_records: of_all(properties::ESTIMATE_NUM_KEYS),
        details: details.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    }
}
