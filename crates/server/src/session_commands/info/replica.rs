//! What a replica tells of itself: in INFO, in ROLE, and for people in REPLICATION STATUS.
//!
//! All of it comes from one published view, so no answer shows half of a transition.

use std::fmt::Write as _;

use replication::replica::View;
use replication_proto::{Level, NodeStateName, Positions, ShardStatus, SyncPhase};

use super::data::replication_offset;
use super::lines::{Lines, human};
use crate::shared::Shared;

/// The lines of a replica, from `role` on; those about its own replicas follow.
pub(super) fn replication(shared: &Shared, lines: &mut Lines) {
    let (view, config) = (shared.replica.view(), shared.config.load());
    let (host, port) = primary(&view);
    // Sentinel wants the role before anything about replicas.
    lines.put("role", "slave");
    lines.put("master_host", host);
    lines.put("master_port", port);
    lines.put("master_link_status", if view.is_up() { "up" } else { "down" });
    lines.put("master_last_io_seconds_ago", heard_seconds(&view));
    lines.put("master_sync_in_progress", u8::from(view.transferred().is_some()));
    let offset = offset(shared, &view);
    lines.put("slave_read_repl_offset", offset);
    lines.put("slave_repl_offset", offset);
    if let Some((read, total)) = view.transferred() {
        let percent = if total == 0 { 0.0 } else { read as f64 * 100.0 / total as f64 };
        lines.put("master_sync_total_bytes", total);
        lines.put("master_sync_read_bytes", read);
        lines.put("master_sync_left_bytes", total.saturating_sub(read));
        lines.put("master_sync_perc", format!("{percent:.2}"));
        lines.put("master_sync_last_io_seconds_ago", heard_seconds(&view).max(0));
    }
    if !view.is_up() {
        lines.put("master_link_down_since_seconds", view.down_ms() / 1000);
    }
    // Who has less than it may show must not become a primary.
    let priority = if offset == 0 { 0 } else { config.replica_priority };
    lines.put("slave_priority", priority);
    lines.put("slave_read_only", 1);
    lines.put("replica_announced", u8::from(config.replica_announced));
}

/// The state machines, of the instance and of each database.
pub(super) fn machines(shared: &Shared, lines: &mut Lines) {
    let view = shared.replica.view();
    let node = &view.status.node;
    lines.put("repl_state", node.state.as_str());
    lines.put("repl_state_since_ms", view.age_ms(node.since));
    lines.put("repl_cause", node.cause.as_str());
    lines.put("repl_attempt", format!("{}/{}", node.attempt, node.limit));
    lines.put("repl_next_retry_ms", signed(node.retry_at.map(|at| view.until_ms(at))));
    lines.put("repl_last_heal_ms", node.last_heal.map_or(0, |heal| heal.0));
    lines.put("repl_alarms", view.status.alarms.len());
    for shard in &view.status.shards {
        lines.put(&format!("repl_db{}", shard.db), machine(shared, &view, shard));
    }
}

fn machine(shared: &Shared, view: &View, shard: &ShardStatus) -> String {
    let applied = positions(shared, shard).applied;
    let mut text = format!(
        "state={},since_ms={},cause={},attempt={}/{},next_retry_ms={},detached={},offset={},lag_bytes={},lag_ms={},last_heal_ms={}",
        shard.state.as_str(),
        view.age_ms(shard.since),
        shard.cause,
        shard.attempt,
        shard.limit,
        signed(shard.retry_at.map(|at| view.until_ms(at))),
        u8::from(shard.detached),
        applied,
        signed(shard.end.map(|end| end.since(applied))),
        signed(shard.age.map(|age| age.0)),
        shard.last_heal.map_or(0, |heal| heal.0),
    );
    if let Some(transfer) = &shard.transfer {
        let (phase, done, total) = phase(transfer.phase);
        // Writing to a text does not fail.
        let _ = write!(text, ",sync={phase},sync_reason={},sync_attempt={}", transfer.reason, transfer.attempt);
        let _ = write!(text, ",sync_done={done},sync_total={total}");
        if let Some(rate) = view.rates.get(&shard.db).filter(|rate| **rate > 0) {
            let _ =
                write!(text, ",sync_bytes_per_second={rate},sync_eta_seconds={}", total.saturating_sub(done) / rate);
        }
    }
    text
}

/// A figure as INFO shows it: -1 where there is none.
fn signed(figure: Option<u64>) -> i64 {
    figure.map_or(-1, |figure| i64::try_from(figure).unwrap_or(i64::MAX))
}

/// What a transfer does, how far it is, and of how much: percent or bytes.
fn phase(phase: SyncPhase) -> (&'static str, u64, u64) {
    match phase {
        SyncPhase::Interrupted => ("interrupted", 0, 0),
        SyncPhase::Preparing { percent } => ("preparing", percent.into(), 100),
        SyncPhase::Transferring { bytes, total } => ("transferring", bytes, total),
        SyncPhase::Installing { bytes, total } => ("installing", bytes, total),
    }
}

fn primary(view: &View) -> (&str, u16) {
    view.status.node.primary.as_ref().map_or(("", 0), |primary| (primary.host.as_str(), primary.port))
}

fn heard_seconds(view: &View) -> i64 {
    let seconds = |at| i64::try_from(view.age_ms(at) / 1000).unwrap_or(i64::MAX);
    view.status.node.heard_at.map_or(-1, seconds)
}

/// What Sentinel compares to find the replica that has most: 0 while a full sync is to be done.
fn offset(shared: &Shared, view: &View) -> u64 {
    if view.is_whole() { replication_offset(&shared.instance) } else { 0 }
}

/// How far a database is. Its log knows that better than the state machine, which is told some time later, and not of what
/// came last on a link that is cut.
fn positions(shared: &Shared, shard: &ShardStatus) -> Positions {
    let Some(shard) = shared.instance.shard(shard.db.0 as usize) else { return Positions::default() };
    // In this order, so that none is larger than the one before.
    let synced = shard.log.synced();
    let written = shard.log.written();
    Positions { received: written, applied: written, synced: synced.min(written) }
}

/// ROLE's answer of a replica: host, port, state in Redis's words, offset.
pub(in super::super) fn role(shared: &Shared) -> (String, u16, &'static str, u64) {
    let view = shared.replica.view();
    let (host, port) = primary(&view);
    let state = match view.status.node.state {
        _ if view.is_up() => "connected",
        NodeStateName::Connected => "sync",
        NodeStateName::Connecting => "connecting",
        NodeStateName::NoConnect | NodeStateName::Connect | NodeStateName::Error => "connect",
    };
    (host.to_owned(), port, state, offset(shared, &view))
}

/// Everything, for people.
pub(in super::super) fn text(shared: &Shared) -> String {
    let view = shared.replica.view();
    let node = &view.status.node;
    let mut out = format!("node {}\n", shared.replica.node());
    let _ = writeln!(out, "role {:?}, generation {}", view.status.role, view.status.role_generation);
    if let Some(primary) = &node.primary {
        let _ = writeln!(out, "follows {primary}");
    }
    let _ = writeln!(out, "path {}", view.status.path);
    let attempt = attempts(node.attempt, node.limit, node.next_at.map(|at| view.until_ms(at)));
    let detail = detail(&view, Level::Node);
    let since = seconds(view.age_ms(node.since));
    let _ = writeln!(out, "instance: {} for {since} ({}{detail}){attempt}", node.state.as_str(), node.cause);
    for shard in &view.status.shards {
        let attempt = attempts(shard.attempt, shard.limit, shard.next_at.map(|at| view.until_ms(at)));
        let (detail, since) = (self::detail(&view, Level::Shard(shard.db)), seconds(view.age_ms(shard.since)));
        let detached = if shard.detached { ", detached" } else { "" };
        let state = shard.state.as_str();
        let _ = writeln!(out, "db{}: {state} for {since} ({}{detail}){attempt}{detached}", shard.db, shard.cause);
        let at = positions(shared, shard);
        let _ = writeln!(out, "  received {} applied {} synced {}", at.received, at.applied, at.synced);
        let bytes = shard.end.map_or_else(|| "an unknown amount".to_owned(), |end| human(end.since(at.applied)));
        let age = shard.age.map_or_else(|| "an unknown time".to_owned(), |age| seconds(age.0));
        let _ = writeln!(out, "  behind by {bytes} and {age}");
        if let Some(transfer) = &shard.transfer {
            let (phase, done, total) = phase(transfer.phase);
            let _ = write!(out, "  full sync ({}), attempt {}: {phase}", transfer.reason, transfer.attempt);
            let _ = writeln!(out, ", {done} of {total}");
        }
        if let Some(heal) = shard.last_heal {
            let _ = writeln!(out, "  last healed within {}", seconds(heal.0));
        }
    }
    for (alarm, raised) in shared.replica.alarms().list() {
        let _ = writeln!(out, "alarm {} ({}): {}", alarm.name, alarm.subject, raised.detail);
    }
    out
}

fn attempts(attempt: u32, limit: u32, next_ms: Option<u64>) -> String {
    let next = next_ms.map_or(String::new(), |ms| format!(", acts in {}", seconds(ms)));
    match (attempt, limit) {
        (0, _) => next,
        (attempt, 0) => format!(", attempt {attempt}{next}"),
        (attempt, limit) => format!(", attempt {attempt} of {limit}{next}"),
    }
}

fn detail(view: &View, level: Level) -> String {
    view.details.get(&level).map_or(String::new(), |detail| format!(": {detail}"))
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}
