//! How RocksDB is set up: what may be chosen, and what is fixed for a reason.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use rust_rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BottommostLevelCompaction, Cache, CompactOptions, DBCompressionType,
    DataBlockIndexType, FlushOptions, Options, ReadOptions, ReadTier, WriteBufferManager, WriteOptions,
};

use crate::expired::{Expired, ReporterFactory};
use crate::health::Health;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Smallest and largest memtable of a family. Below, files get tiny; above, a flush takes long.
const MEMTABLE_BOUNDS: (u64, u64) = (MIB as u64, 64 * MIB as u64);
/// How many full memtables of one family fit the budget of all.
const MEMTABLES_IN_BUDGET: u64 = 4;
/// Memtables of a family that may exist at once. With two, every flush would hold up the writer.
const MEMTABLES_MOST: i32 = 4;
/// First allocation of a memtable beyond its inline 2 KiB: small, because most of many databases are idle.
const ARENA_BLOCK: usize = 64 * KIB;
/// Range deletions in a memtable slow its readers down; at so many it is flushed.
const RANGE_DELETIONS_MOST: u32 = 4096;
/// Point reads dominate: a small block wastes less cache and less decompression on the neighbours of a key.
const BLOCK: usize = 4 * KIB;
/// Size of a part of an index or filter; as small as a block, so that a cold lookup never loads a megabyte of filter
/// into a small cache.
const INDEX_BLOCK: usize = 4 * KIB;
/// Table files open at once in a shard: 32 GiB of data at 64 MiB a file. Unbounded would let a large database exhaust
/// file descriptors that clients need.
const OPEN_FILES: i32 = 512;
const FILE_BYTES: u64 = 64 * MIB as u64;
/// RocksDB's chatter on disk: this much a file, so many files.
const INFO_LOG: (usize, usize) = (MIB, 2);
/// Data is handed to the disk in such steps, instead of in one burst at the end of a file.
const SYNC_STEP: u64 = MIB as u64;
/// Lists of files grow to this size before they are rewritten.
const MANIFEST_BYTES: usize = 4 * MIB;
/// RocksDB's own preallocation (4 MiB) would cost every idle database that much disk.
const MANIFEST_STEP: usize = 64 * KIB;
/// Version of RocksDB's table files.
const TABLE_FORMAT: i32 = 7;

/// How blocks on disk are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast, and good enough for most.
    Lz4,
    /// Smaller, at a few times the work for each block read.
    Zstd,
}

impl Compression {
    const fn of_rocks(self) -> DBCompressionType {
        match self {
            Self::None => DBCompressionType::None,
            Self::Lz4 => DBCompressionType::Lz4,
            Self::Zstd => DBCompressionType::Zstd,
        }
    }
}

/// What may be chosen about the stores of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct RocksOptions {
    /// Bytes of blocks, indexes and filters in memory, for all stores together.
    pub block_cache_bytes: u64,
    /// Bytes of memtables, for all stores together.
    pub memtable_bytes: u64,
    /// How blocks on disk are compressed.
    pub compression: Compression,
    /// Bits of bloom filter a key; 10 lets one lookup in a hundred of an absent key read a block.
    pub bloom_bits: f64,
    /// Flushes and compactions at once. All stores of the process share the threads, so it is a bound for all.
    pub background_jobs: usize,
    /// Every record is looked at by a compaction at least this often, which bounds how long an expired record of a
    /// quiet part of the key space takes up room. It also is how often all records are rewritten.
    pub revisit: Duration,
}

impl Default for RocksOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get);
        Self {
            block_cache_bytes: 64 * MIB as u64,
            memtable_bytes: 64 * MIB as u64,
            compression: Compression::Lz4,
            bloom_bits: 10.0,
            background_jobs: cores.clamp(2, 8),
            revisit: Duration::from_hours(24),
        }
    }
}

/// Bytes at which a family's memtable is flushed, so that a few busy ones fit `memtable_bytes`.
pub(crate) fn memtable_of_family(memtable_bytes: u64) -> u64 {
    (memtable_bytes / MEMTABLES_IN_BUDGET).clamp(MEMTABLE_BOUNDS.0, MEMTABLE_BOUNDS.1)
}

/// What the database of one shard is told, not its families.
pub(crate) fn of_database(options: &RocksOptions, memtables: &WriteBufferManager, health: &Arc<Health>) -> Options {
    let mut db = Options::default();
    db.set_atomic_flush(true);
    db.set_enable_pipelined_write(false);
    db.set_recycle_log_file_num(0);
    db.set_paranoid_checks(true);
    db.set_avoid_flush_during_shutdown(true);
    db.set_write_buffer_manager(memtables);
    db.set_max_background_jobs(i32::try_from(options.background_jobs).unwrap_or(i32::MAX));
    db.set_max_open_files(OPEN_FILES);
    db.set_bytes_per_sync(SYNC_STEP);
    // A cursor is dropped by whoever serves a client; the files it kept alive are deleted elsewhere.
    db.set_avoid_unnecessary_blocking_io(true);
    db.set_max_manifest_file_size(MANIFEST_BYTES);
    db.set_manifest_preallocation_size(MANIFEST_STEP);
    db.set_max_log_file_size(INFO_LOG.0);
    db.set_keep_log_file_num(INFO_LOG.1);
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    db.add_event_listener(health.listener());
    db
}

/// What the family of records is told.
pub(crate) fn of_records(options: &RocksOptions, cache: &Cache, memtable: u64, expired: &Arc<Expired>) -> Options {
    let mut family = of_rows(options, cache, memtable);
    family.set_compaction_filter_factory(ReporterFactory::new(expired));
    family.set_periodic_compaction_seconds(options.revisit.as_secs());
    family
}

/// What the family of rows is told.
pub(crate) fn of_rows(options: &RocksOptions, cache: &Cache, memtable: u64) -> Options {
    let mut family = Options::default();
    let memtable_size = usize::try_from(memtable).unwrap_or(usize::MAX);
    family.set_write_buffer_size(memtable_size);
    family.set_max_write_buffer_number(MEMTABLES_MOST);
    family.set_arena_block_size(ARENA_BLOCK);
    family.set_memtable_max_range_deletions(RANGE_DELETIONS_MOST);
    family.set_compression_type(options.compression.of_rocks());
    family.set_level_compaction_dynamic_level_bytes(true);
    // As much as the files of level 0 hold when their compaction begins: then both levels cost the same to rewrite.
    family.set_max_bytes_for_level_base((4 * memtable).max(FILE_BYTES));
    family.set_target_file_size_base(FILE_BYTES);
    family.set_block_based_table_factory(&tables(options, cache));
    family
}

/// What the family of system entries is told: it is tiny, and shares its cache and its blocks' shape with the rest.
pub(crate) fn of_system(options: &RocksOptions, cache: &Cache) -> Options {
    let mut family = of_rows(options, cache, MEMTABLE_BOUNDS.0);
    family.set_arena_block_size(4 * KIB);
    family
}

fn tables(options: &RocksOptions, cache: &Cache) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_format_version(TABLE_FORMAT);
    tables.set_block_cache(cache);
    tables.set_block_size(BLOCK);
    tables.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    // Indexes and filters live in the cache, in front of data blocks, so that the budget bounds them, too.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    tables.set_pin_top_level_index_and_filter(true);
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_metadata_block_size(INDEX_BLOCK);
    // Bloom, not ribbon: a ribbon is a third smaller, and several times slower to ask and to build.
    tables.set_bloom_filter(options.bloom_bits, false);
    tables.set_whole_key_filtering(true);
    tables.set_optimize_filters_for_memory(true);
    tables
}

/// Writes that leave RocksDB's own log alone.
pub(crate) fn writes() -> WriteOptions {
    let mut writes = WriteOptions::new();
    writes.disable_wal(true);
    writes
}

/// Reads that end where the disk begins.
pub(crate) fn reads_of_memory() -> ReadOptions {
    let mut reads = ReadOptions::default();
    stay_in_memory(&mut reads);
    reads
}

/// Has reads end where the disk begins.
pub(crate) fn stay_in_memory(reads: &mut ReadOptions) {
    reads.set_read_tier(ReadTier::BlockCache);
}

/// Whether a walk leaves its blocks in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// They are of one value, which may be walked again soon.
    Blocks,
    /// They are of the whole key space, and would push out what is in use.
    Nothing,
}

/// A walk that ends before `end`.
pub(crate) fn reads_of_walk(leave: Leave, end: Option<Vec<u8>>) -> ReadOptions {
    let mut reads = ReadOptions::default();
    reads.fill_cache(leave == Leave::Blocks);
    reads.set_adaptive_readahead(true);
    if let Some(end) = end {
        reads.set_iterate_upper_bound(end);
    }
    reads
}

/// Whether a flush is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until all is on disk.
    Wait,
    /// It is only begun.
    Begin,
}

/// A flush that begins at once, even if writers then have to wait a little.
pub(crate) fn flushes(patience: Patience) -> FlushOptions {
    let mut flush = FlushOptions::new();
    flush.set_wait(patience == Patience::Wait);
    flush.set_allow_write_stall(true);
    flush
}

/// A compaction that rewrites everything, the lowest level too, and nothing twice.
pub(crate) fn compactions() -> CompactOptions {
    let mut compact = CompactOptions::default();
    compact.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
    compact.set_exclusive_manual_compaction(false);
    compact
}
