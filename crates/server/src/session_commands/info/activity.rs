//! The sections about what clients do: Clients, Stats, Commandstats, Errorstats.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::lines::Lines;
use crate::catalog::{self, CommandNumber};
use crate::pause::Held;
use crate::recent::Flow;
use crate::shared::Shared;

/// What regular looks have found.
pub(super) struct Look {
    /// Growth per second.
    pub rates: Flow,
    /// The most memory that was seen.
    pub memory_peak: u64,
}

/// Looks at the counters, with so many bytes in use.
pub(super) fn look(shared: &Shared, memory: u64) -> Look {
    let stats = &shared.stats;
    let rates = stats.recent.look(Instant::now(), stats.flow(), memory);
    Look { rates, memory_peak: stats.recent.memory_peak() }
}

/// Bytes that connections use.
pub(in super::super) fn client_bytes(shared: &Shared) -> usize {
    let bytes = |info: &crate::client::ClientInfo| {
        [&info.input_memory, &info.argument_bytes, &info.output_bytes].map(|n| n.load(Ordering::Relaxed)).iter().sum()
    };
    shared.clients.list().iter().map(|info| -> usize { bytes(info) }).sum()
}

pub(super) fn clients(shared: &Shared, lines: &mut Lines) {
    let list = shared.clients.list();
    let largest = |of: fn(&crate::client::ClientInfo) -> usize| list.iter().map(|info| of(info)).max().unwrap_or(0);
    lines.put("connected_clients", list.len());
    lines.put("cluster_connections", 0);
    lines.put("maxclients", shared.config.load().maxclients);
    lines.put("client_recent_max_input_buffer", largest(|info| info.input_memory.load(Ordering::Relaxed)));
    lines.put("client_recent_max_output_buffer", largest(|info| info.output_bytes.load(Ordering::Relaxed)));
    lines.put("blocked_clients", list.iter().filter(|info| info.is_blocked.load(Ordering::Relaxed)).count());
    let watching = list.iter().map(|info| info.watched.load(Ordering::Relaxed)).filter(|watched| *watched > 0);
    lines.put("watching_clients", watching.clone().count());
    lines.put("total_watched_keys", watching.sum::<usize>());
    lines.put_zeros(&["tracking_clients", "clients_in_timeout_table"]);
    lines.put("total_blocking_keys", shared.waiting.keys());
    lines.put("total_blocking_keys_on_nokey", 0);
    let pause = shared.pause.now();
    lines.put("paused_reason", if pause.is_some() { "client_pause" } else { "none" });
    lines.put(
        "paused_actions",
        match pause {
            None => "none",
            Some((Held::Writes, _)) => "write",
            Some((Held::All, _)) => "all",
        },
    );
    lines.put("paused_timeout_milliseconds", pause.map_or(0, |(_, left)| left.as_millis()));
    let waiting = list.iter().filter(|info| info.is_waiting.load(Ordering::Relaxed)).count();
    lines.put("haypile_waiting_clients", waiting);
}

pub(super) fn stats(shared: &Shared, lines: &mut Lines) {
    let stats = &shared.stats;
    let flow = stats.flow();
    let rates = look(shared, 0).rates;
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    lines.put("total_connections_received", stats.connections.get());
    lines.put("total_commands_processed", flow.commands);
    lines.put("instantaneous_ops_per_sec", rates.commands);
    lines.put("total_net_input_bytes", flow.net_in);
    lines.put("total_net_output_bytes", flow.net_out);
    let (repl_out, repl_in) = shared.primary.traffic();
    lines.put("total_net_repl_input_bytes", repl_in);
    lines.put("total_net_repl_output_bytes", repl_out);
    lines.put("instantaneous_input_kbps", kilobytes(rates.net_in));
    lines.put("instantaneous_output_kbps", kilobytes(rates.net_out));
    lines.put("instantaneous_input_repl_kbps", "0.00");
    lines.put("instantaneous_output_repl_kbps", "0.00");
    lines.put("rejected_connections", stats.rejected_connections.get());
    let verdicts = shared.primary.verdicts();
    lines.put("sync_full", shared.primary.snapshots().granted());
    lines.put("sync_partial_ok", verdicts.continued);
    lines.put("sync_partial_err", verdicts.refused);
    let expired: u64 = shared.instance.shards().map(|shard| shard.stats().expired).sum();
    lines.put("expired_keys", expired);
    lines.put("expired_stale_perc", "0.00");
    lines.put("keyspace_hits", stats.sum(|thread| &thread.hits));
    lines.put("keyspace_misses", stats.sum(|thread| &thread.misses));
    // What leaves memory is in the store: no key is ever evicted in Redis's sense.
    lines.put_zeros(&[
        "expired_time_cap_reached_count",
        "expire_cycle_cpu_milliseconds",
        "evicted_keys",
        "evicted_clients",
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
        "pubsub_channels",
        "pubsub_patterns",
        "pubsubshard_channels",
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
        "tracking_total_keys",
        "tracking_total_items",
        "tracking_total_prefixes",
        "unexpected_error_replies",
    ]);
    lines.put("total_error_replies", stats.errors.get());
    lines.put("dump_payload_sanitizations", 0);
    lines.put("total_reads_processed", stats.sum(|thread| &thread.reads));
    lines.put("total_writes_processed", stats.sum(|thread| &thread.writes));
    lines.put_zeros(&["io_threaded_reads_processed", "io_threaded_writes_processed"]);
    own_stats(shared, lines);
}

/// Counters that Redis does not have.
fn own_stats(shared: &Shared, lines: &mut Lines) {
    let stats = &shared.stats;
    lines.put("haypile_turns", stats.sum(|thread| &thread.turns));
    lines.put("haypile_commands_to_desk", stats.sum(|thread| &thread.to_desk));
    lines.put("haypile_gated_outputs", stats.sum(|thread| &thread.gated));
    lines.put("haypile_held_requests", stats.sum(|thread| &thread.held));
    lines.put("haypile_waits_for_room", stats.waits_for_room.get());
    lines.put("haypile_unconfirmed_replies", stats.unconfirmed.get());
    lines.put("haypile_hot_evictions", shared.instance.budget().evicted());
    lines.put("haypile_closed_input_limit", stats.closed_input_limit.get());
    lines.put("haypile_closed_output_limit", stats.closed_output_limit.get());
    lines.put("haypile_closed_idle", stats.closed_idle.get());
    lines.put("haypile_protocol_errors", stats.protocol_errors.get());
}

pub(super) fn commandstats(shared: &Shared, lines: &mut Lines) {
    for (number, listed) in catalog::all().iter().enumerate() {
        let totals = shared.stats.command(CommandNumber(u32::try_from(number).unwrap_or(u32::MAX)));
        let crate::stats::CommandTotals { calls, micros, rejected, failed } = totals;
        if calls + rejected + failed == 0 {
            continue;
        }
        let each = super::lines::ratio(micros, calls);
        let value = format!(
            "calls={calls},usec={micros},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}"
        );
        lines.put(&format!("cmdstat_{}", listed.name), value);
    }
}

pub(super) fn errorstats(shared: &Shared, lines: &mut Lines) {
    for (kind, count) in shared.stats.errors_by_kind() {
        lines.put(&format!("errorstat_{kind}"), format!("count={count}"));
    }
}
