//! The sections about the data: Persistence, Replication, Keyspace, Haypile.

use std::time::{Duration, Instant};

use engine::{Instance, Shard, ShardRef};
use lineage::Era;
use replication::primary::{Announced, ReplicaState, ShardView};
use replication::replica::Admission;

use super::lines::Lines;
use super::replica;
use crate::saves::Status;
use crate::shared::{Shared, clock};

/// How long INFO waits, for all databases together, until settle lets it count their keys.
const COUNT_PATIENCE: Duration = Duration::from_millis(100);
/// Redis's second replication id when there is none.
const NO_ID: &str = "0000000000000000000000000000000000000000";

/// The sum of the ends of all logs: it grows with every write, as Redis's offset does.
pub(in super::super) fn replication_offset(instance: &Instance) -> u64 {
    instance.shards().map(|shard| shard.log.end().0).sum()
}

/// Bytes of the logs that are not in their files.
pub(in super::super) fn log_buffer_bytes(instance: &Instance) -> u64 {
    instance.shards().map(|shard| shard.log.end().0.saturating_sub(shard.log.written().0)).sum()
}

fn log_bytes(instance: &Instance) -> u64 {
    instance.shards().map(|shard| shard.log.end().0.saturating_sub(shard.log.start().0)).sum()
}

pub(super) fn persistence(shared: &Shared, lines: &mut Lines) {
    let saves = shared.saves.state();
    let now = clock().0 / 1000;
    let running = saves.running_since.map_or(-1, |since| i64::try_from(now.saturating_sub(since)).unwrap_or(i64::MAX));
    let word = |is_ok: bool| if is_ok { "ok" } else { "err" };
    lines.put_zeros(&["loading", "async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    lines.put("current_fork_perc", "0.00");
    lines.put_zeros(&["current_save_keys_processed", "current_save_keys_total"]);
    lines.put("rdb_changes_since_last_save", shared.stats.changed().saturating_sub(saves.covered));
    lines.put("rdb_bgsave_in_progress", u8::from(saves.running_since.is_some()));
    lines.put("rdb_last_save_time", saves.last);
    lines.put("rdb_last_bgsave_status", word(saves.status == Status::Ok));
    lines.put("rdb_last_bgsave_time_sec", -1);
    lines.put("rdb_current_bgsave_time_sec", running);
    lines.put_zeros(&["rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"]);
    lines.put("aof_enabled", 1);
    lines.put_zeros(&["aof_rewrite_in_progress", "aof_rewrite_scheduled"]);
    lines.put("aof_last_rewrite_time_sec", -1);
    lines.put("aof_current_rewrite_time_sec", -1);
    lines.put("aof_last_bgrewrite_status", "ok");
    lines.put("aof_rewrites", 0);
    let writes = shared.instance.shards().all(|shard| shard.trouble().is_none());
    lines.put("aof_last_write_status", word(writes));
    lines.put_zeros(&["aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"]);
    lines.put("aof_current_size", log_bytes(&shared.instance));
    lines.put_zeros(&["aof_base_size", "aof_pending_rewrite"]);
    lines.put("aof_buffer_length", log_buffer_bytes(&shared.instance));
    lines.put_zeros(&["aof_pending_bio_fsync", "aof_delayed_fsync"]);
    for shard in shared.instance.shards() {
        let (log, health) = (&shard.log, health(&shard));
        let (start, end, written, synced) = (log.start().0, log.end().0, log.written().0, log.synced().0);
        let value = format!("start={start},end={end},written={written},synced={synced},health={health}");
        lines.put(&format!("haypile_log_db{}", shard.database), value);
    }
}

/// Why a database cannot be written, in a word; `ok` when it can.
fn health(shard: &Shard) -> &'static str {
    match shard.trouble().map(|fault| fault.kind) {
        None | Some(engine::FaultKind::ReadOnly) => "ok",
        Some(engine::FaultKind::NoSpace) => "no-space",
        Some(engine::FaultKind::Corrupt | engine::FaultKind::Format) => "damaged",
        Some(engine::FaultKind::Io) => "failed",
    }
}

pub(super) fn replication(shared: &Shared, lines: &mut Lines) {
    let instance = &shared.instance;
    let is_primary = shared.replica.admission() == Admission::Primary;
    // Sentinel wants the role before anything about replicas.
    if is_primary {
        lines.put("role", "master");
    } else {
        replica::replication(shared, lines);
    }
    replicas(shared, lines);
    lines.put("master_failover_state", "no-failover");
    history(instance, lines);
    let (end, held) = (replication_offset(instance), log_bytes(instance));
    lines.put("repl_backlog_active", 1);
    lines.put("repl_backlog_size", shared.config.load().log_retain_bytes);
    lines.put("repl_backlog_first_byte_offset", end.saturating_sub(held));
    lines.put("repl_backlog_histlen", held);
    if !is_primary {
        replica::machines(shared, lines);
    }
}

/// Those who follow, as Redis shows them, and what each has of each database.
fn replicas(shared: &Shared, lines: &mut Lines) {
    let (replicas, config) = (shared.primary.replicas(), shared.config.load());
    let fetching = shared.primary.snapshots().fetching();
    lines.put("connected_slaves", replicas.len());
    if config.min_replicas_to_write > 0 && config.min_replicas_max_lag > 0 {
        lines.put("min_slaves_good_slaves", shared.primary.good_replicas());
    }
    for (number, replica) in replicas.iter().enumerate() {
        let state = match replica.state {
            ReplicaState::Online => "online",
            ReplicaState::Syncing if fetching.iter().any(|(node, _)| *node == replica.node) => "send_bulk",
            ReplicaState::Syncing => "wait_bgsave",
        };
        let Announced { address, port } = &replica.announced;
        let (offset, lag) = (replica.offset(), replica.silence.as_secs());
        let value = format!("ip={address},port={port},state={state},offset={offset},lag={lag}");
        lines.put(&format!("slave{number}"), value);
    }
    for (number, replica) in replicas.iter().enumerate() {
        for ShardView { db, ack, end, behind_for } in &replica.shards {
            let (received, applied, synced) = (ack.received, ack.applied, ack.synced);
            let (bytes, millis) = (end.since(applied), behind_for.as_millis());
            let value = format!(
                "received={received},applied={applied},synced={synced},lag_bytes={bytes},lag_ms={millis},node={}",
                replica.node
            );
            lines.put(&format!("haypile_replica{number}_db{db}"), value);
        }
    }
}

/// Redis knows one history, we have one for each database: the ids of database 0 stand for all, and offsets are sums. An epoch
/// begins on all databases at the same time.
fn history(instance: &Instance, lines: &mut Lines) {
    let lineage = instance.shard(0).map(|shard| shard.history()).unwrap_or_default();
    let mut eras = lineage.eras().iter().rev();
    let (present, former) = (eras.next(), eras.next());
    let id = |era: Option<&Era>| era.map_or_else(|| NO_ID.to_owned(), |era| era.id.to_string());
    lines.put("master_replid", id(present));
    lines.put("master_replid2", id(former));
    lines.put("master_repl_offset", replication_offset(instance));
    let began = |shard: ShardRef| shard.history().current().map_or(0, |era| era.first.0);
    let began = former.map(|_| instance.shards().map(began).sum::<u64>().to_string());
    lines.put("second_repl_offset", began.as_deref().unwrap_or("-1"));
}

/// Exact counts, unless settle is busy: then those of the end of its last cycle. Expired keys that are still there
/// count; how many keys have a time to live is not counted.
pub(super) fn keyspace(shared: &Shared, lines: &mut Lines) {
    let until = Instant::now() + COUNT_PATIENCE;
    for shard in shared.instance.shards() {
        let counted = shard.count_within(until.saturating_duration_since(Instant::now()));
        let keys = match counted {
            Ok(Some(keys)) => keys,
            Ok(None) | Err(_) => shard.stored_records(),
        };
        if keys > 0 {
            lines.put(&format!("db{}", shard.database), format!("keys={keys},expires=0,avg_ttl=0"));
        }
    }
}

/// Where each database stands between its log and its store.
pub(super) fn haypile(shared: &Shared, lines: &mut Lines) {
    let budget = shared.instance.budget();
    lines.put("dirty_bytes", budget.dirty());
    lines.put("hot_bytes", budget.used());
    lines.put("hot_limit", budget.limit());
    lines.put("hot_evictions", budget.evicted());
    for shard in shared.instance.shards() {
        let stats = shard.stats();
        let name = |what: &str| format!("db{}_{what}", shard.database);
        let log = format!(
            "start={},settled={},flushed={},synced={},written={},end={}",
            stats.log_start, stats.settled, stats.flushed, stats.log_synced, stats.log_written, stats.log_end
        );
        lines.put(&name("log"), log);
        let settle = format!("cycles={},writes={}", stats.settle_cycles, stats.settle_writes);
        lines.put(&name("settle"), settle);
        lines.put(&name("records"), format!("hot={},stored={}", stats.hot_records, stats.stored_records));
        let store = &stats.store;
        let mut value = format!(
            "disk={},memtables={},block_cache={},table_readers={},jobs={},pending_compaction={},estimated_records={}",
            store.disk_bytes,
            store.memtable_bytes,
            store.block_cache_bytes,
            store.table_reader_bytes,
            store.background_jobs,
            store.pending_compaction_bytes,
            store.estimated_records
        );
        for (detail, number) in &store.details {
            value.push_str(&format!(",{detail}={number}"));
        }
        lines.put(&name("store"), value);
    }
}
