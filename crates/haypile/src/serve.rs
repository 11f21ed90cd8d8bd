//! `haypile serve`: recovers the data, serves, and ends in good order.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::store::StoreFactory;
use engine::{Fault, FsyncPolicy, Instance, Options, Recovery, Role};
use replication::replica::Prepared;
use rocks::{Compression, RocksFactory, RocksOptions};
use server::config::{AppendFsync, Compression as Compress, Config, LogLevel, Settings};
use server::following;
use server::host::{Host, Memory, Split};
use server::shared::{clock, limits};
use server::shutdown::Cause;
use server::{Ended, Server, check_listening};

use crate::logging::{self, Level};
use crate::signals::Watch;
use crate::{VERSION, allocator, memory};

/// An orderly end takes at most so long: service managers kill after ten seconds.
const LONGEST_END: Duration = Duration::from_millis(9500);
/// Room on the disk for a start without any: each database's store and log write less than half a MiB when they are opened.
const BALLAST_BYTES: u64 = 8 << 20;

/// Serves until a signal or a client ends it.
pub(crate) fn serve(settings: Settings) -> Result<(), String> {
    let config = &settings.config;
    check_listening(config)?;
    let level = logging::start(config)?;
    abort_on_panic();
    let split = memory::split(config);
    if !memory::is_ample(&split) {
        allocator::avoid_huge_pages();
    }
    allocator::set_up();
    tracing::info!(pid = std::process::id(), "Haypile {VERSION} starts");
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let signals = Watch::start()?;

    let stores: Arc<dyn StoreFactory> = Arc::new(RocksFactory::new(rocks_options(config, &split)));
    let prepared = Prepared::load(Path::new(&config.dir), following::configured(config))?;
    let mut options = options(config, &split, Arc::clone(&stores));
    if let Some(primary) = prepared.primary() {
        tracing::info!("this node is a replica of {primary}");
        options.role = Role::Replica;
    }
    let refused = |fault: Fault| format!("The data cannot be opened: {fault}.");
    let (instance, recoveries) = Instance::open(options, clock()).map_err(refused)?;
    recoveries.iter().for_each(report);
    report_split(&split);

    let host = Arc::new(Binary { stores, level });
    let server = match Server::start(settings, prepared, Arc::clone(&instance), host, |shared| signals.serve(shared)) {
        Ok(server) => server,
        Err(sentence) => {
            close(&instance)?;
            return Err(sentence);
        }
    };
    tracing::info!("ready");

    match server.shared().shutdown.wait() {
        Cause::Signal(name) => tracing::info!("{name}: the server ends"),
        Cause::Command => tracing::info!("SHUTDOWN: the server ends"),
    }
    end_in_time();
    match server.stop() {
        Ended::Quiet => close(&instance)?,
        Ended::Busy => tracing::warn!("a command is still at work; the next start replays what is not settled"),
    }
    tracing::info!("ended");
    // What is left are threads that nobody waits for.
    std::process::exit(0)
}

/// A panic half-way through a change must not go on.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!("a bug in Haypile, which ends to protect the data: {panic}\n{trace}");
        std::process::abort();
    }));
}

/// Ends the process when an orderly end takes too long: everything is in the logs.
fn end_in_time() {
    let deadline = Instant::now() + LONGEST_END;
    std::thread::spawn(move || {
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        tracing::warn!("the end takes too long; the next start replays what is not settled");
        std::process::exit(0);
    });
}

fn close(instance: &Instance) -> Result<(), String> {
    instance.close().map_err(|fault| format!("The data could not be closed cleanly: {fault}."))
}

fn options(config: &Config, split: &Split, stores: Arc<dyn StoreFactory>) -> Options {
    let mut options = Options::new(&config.dir, stores);
    options.databases = config.databases as usize;
    options.fsync = match config.appendfsync {
        AppendFsync::Always => FsyncPolicy::Always,
        AppendFsync::Everysec => FsyncPolicy::EverySec,
        AppendFsync::No => FsyncPolicy::No,
    };
    options.segment_bytes = config.log_segment_bytes;
    options.log_retain_bytes = config.log_retain_bytes;
    options.recovery_log_max = config.recovery_log_max;
    options.settle_interval = Duration::from_millis(config.settle_interval_ms.into());
    options.hot_bytes = split.hot;
    options.limits = limits(config);
    options.ballast_bytes = BALLAST_BYTES;
    options
}

fn rocks_options(config: &Config, split: &Split) -> RocksOptions {
    let mut options = RocksOptions {
        block_cache_bytes: split.block_cache,
        memtable_bytes: split.memtables,
        compression: match config.compression {
            Compress::Lz4 => Compression::Lz4,
            Compress::Zstd => Compression::Zstd,
            Compress::None => Compression::None,
        },
        bloom_bits: f64::from(config.bloom_bits),
        ..RocksOptions::default()
    };
    if config.rocksdb_background_threads != 0 {
        options.background_jobs = config.rocksdb_background_threads as usize;
    }
    options
}

fn report(recovery: &Recovery) {
    let Recovery { database, clean, frames, bytes, took, .. } = recovery;
    let millis = took.as_millis();
    tracing::info!(database, clean, frames, bytes, millis, "recovered");
    if let Some(torn) = &recovery.torn {
        let (file, saved) = (torn.path.display(), torn.saved_to.display());
        tracing::warn!(database, %file, offset = torn.offset, bytes = torn.bytes, %saved, "cut an unsynced tail off the log");
    }
    if recovery.rebuilt {
        tracing::warn!(database, "the store was missing and is built again from the log");
    }
    if let Some(damage) = &recovery.damage {
        tracing::error!(database, "{damage} The database serves reads of what is intact and refuses writes.");
    }
}

fn report_split(split: &Split) {
    let mib = |bytes: u64| bytes >> 20;
    let (total, hot, cache) = (mib(split.total), mib(split.hot), mib(split.block_cache));
    let (memtables, reserve) = (mib(split.memtables), mib(split.reserve));
    tracing::info!("memory in MiB: {total} = {hot} hot + {cache} blocks + {memtables} memtables + {reserve} reserve");
}

/// What the server asks of the binary.
struct Binary {
    stores: Arc<dyn StoreFactory>,
    level: Level,
}

impl Host for Binary {
    fn memory(&self) -> Memory {
        allocator::memory()
    }

    fn allocator(&self) -> String {
        allocator::name()
    }

    fn split(&self, config: &Config) -> Split {
        memory::split(config)
    }

    fn apply_split(&self, split: &Split) {
        self.stores.set_budget(split.block_cache, split.memtables);
    }

    fn set_log_level(&self, level: LogLevel) {
        self.level.set(level);
    }

    fn purge(&self) {
        allocator::purge();
    }
}
