//! What is done once a second: idle clients, clients that do not read, syncs, and a look at counters and memory; and, more
//! rarely, what lies in quarantine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::Role;
use replication::events::{Record, Subject, What};
use tokio::task::JoinHandle;

use crate::client::{ClientInfo, Kill};
use crate::config::{AppendFsync, Config, OutputLimit};
use crate::keeper::Keeper;
use crate::shared::{Shared, clock};
use crate::waiting::NO_LONGER_PRIMARY;

const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether something has been in quarantine long enough.
const QUARANTINE_PAUSE: Duration = Duration::from_secs(5);

/// Does it until the server ends.
pub(crate) async fn keep_house(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut role = shared.instance.role();
    let mut quarantine: Option<(Instant, JoinHandle<()>)> = None;
    let mut keeper = Keeper::default();
    loop {
        ticks.tick().await;
        let config = shared.config.load_full();
        sync(&shared, &config);
        let before = std::mem::replace(&mut role, shared.instance.role());
        if (before, role) == (Role::Primary, Role::Replica) {
            // What they wait for comes from the primary now, and they may not take it here.
            shared.waiting.unblock_all(NO_LONGER_PRIMARY);
        }
        if quarantine.as_ref().is_none_or(|(at, look)| at.elapsed() >= QUARANTINE_PAUSE && look.is_finished()) {
            let (shared, keep) = (Arc::clone(&shared), Duration::from_secs(config.quarantine_keep));
            let look = tokio::task::spawn_blocking(move || look_after_quarantine(&shared, keep));
            quarantine = Some((Instant::now(), look));
        }
        let memory = shared.host.memory();
        shared.stats.recent.look(Instant::now(), shared.stats.flow(), memory.allocated);
        keep_within(&shared, &mut keeper, memory.process);
        if config.timeout == 0 && config.client_output_buffer_limit.normal.soft == 0 {
            continue;
        }
        let now = clock().0;
        // Links have deadlines of their own.
        for info in shared.clients.list().iter().filter(|info| !info.is_of_replica()) {
            inspect(&shared, &config, info, now);
        }
    }
}

/// Sees to it that the process does not take more than it may.
fn keep_within(shared: &Arc<Shared>, keeper: &mut Keeper, process: u64) {
    let step = keeper.look(process, &shared.split.load());
    if step.hot != shared.instance.budget().limit() {
        shared.instance.set_hot_bytes(step.hot);
    }
    if step.purge {
        let shared = Arc::clone(shared);
        tokio::task::spawn_blocking(move || shared.host.purge());
    }
}

/// Removes what was kept long enough, and tells of what was not.
fn look_after_quarantine(shared: &Shared, keep: Duration) {
    if let Err(fault) = shared.instance.clean_quarantine(clock(), keep) {
        tracing::warn!(%fault, "what has been in quarantine long enough stays there");
    }
    for kept in shared.instance.take_given_up() {
        let text = format!("the disk is full: {} was removed from quarantine before its time", kept.name());
        let subject = Subject::Shard(u32::try_from(kept.database).unwrap_or(u32::MAX));
        shared.replica.journal().note(Record::now(subject, What::Note { text }));
    }
}

/// Logs were opened with the policy that held at the start; the present one may be another.
fn sync(shared: &Shared, config: &Config) {
    if config.appendfsync == AppendFsync::Everysec {
        for shard in shared.instance.shards() {
            shard.log.request_sync(shard.log.end());
        }
    }
}

fn inspect(shared: &Shared, config: &Config, info: &ClientInfo, now: u64) {
    let peer = &info.ends.peer;
    if is_idle(config.timeout, info, now) {
        shared.stats.closed_idle.add(1);
        tracing::debug!(peer, "closing a client: idle");
        info.kill(Kill::Now);
    }
    if stays_over(config.client_output_buffer_limit.normal, info, now) {
        shared.stats.closed_output_limit.add(1);
        tracing::warn!(peer, "closing a client: too much unread output for too long");
        info.kill(Kill::Now);
    }
}

fn is_idle(timeout: u32, info: &ClientInfo, now: u64) -> bool {
    let silence = now.saturating_sub(info.last_active.load(Ordering::Relaxed));
    // Who waits for a reply is not idle.
    let waits = info.is_waiting.load(Ordering::Relaxed) || info.is_gated.load(Ordering::Relaxed);
    timeout > 0 && silence > u64::from(timeout) * 1000 && !waits
}

/// Whether a client has been over the soft limit of output for its time. Notes since when it is.
fn stays_over(limit: OutputLimit, info: &ClientInfo, now: u64) -> bool {
    let bytes = info.output_bytes.load(Ordering::Relaxed) as u64;
    if limit.soft == 0 || bytes <= limit.soft {
        info.over_soft_limit.store(0, Ordering::Relaxed);
        return false;
    }
    let since = info.over_soft_limit.load(Ordering::Relaxed);
    if since == 0 {
        info.over_soft_limit.store(now, Ordering::Relaxed);
        return false;
    }
    now.saturating_sub(since) > limit.soft_seconds * 1000
}

#[cfg(test)]
mod tests {
    use keyspace::Millis;

    use super::*;
    use crate::client::{Ends, Transport};

    fn info() -> ClientInfo {
        let ends = Ends { transport: Transport::Unix, peer: String::new(), local: String::new(), fd: 0 };
        ClientInfo::new(1, ends, Millis(1000))
    }

    #[test]
    fn silence_is_idle_only_while_nothing_is_done_for_the_client() {
        let info = info();
        assert!(!is_idle(0, &info, u64::MAX));
        assert!(!is_idle(2, &info, 3000));
        assert!(is_idle(2, &info, 3001));
        info.is_waiting.store(true, Ordering::Relaxed);
        assert!(!is_idle(2, &info, 3001));
        info.is_waiting.store(false, Ordering::Relaxed);
        info.is_gated.store(true, Ordering::Relaxed);
        assert!(!is_idle(2, &info, 3001));
    }

    #[test]
    fn the_soft_limit_counts_time_over_it_without_a_break() {
        let (info, limit) = (info(), OutputLimit { hard: 0, soft: 10, soft_seconds: 2 });
        let over = |bytes, now| {
            info.output_bytes.store(bytes, Ordering::Relaxed);
            stays_over(limit, &info, now)
        };
        assert!(!over(11, 1000) && !over(11, 3000) && !over(10, 3500));
        assert!(!over(11, 4000) && !over(11, 6000) && over(11, 6001));
    }
}
