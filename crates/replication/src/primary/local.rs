//! What this node has, as its replicas are told.

use std::sync::Arc;
use std::task::{Poll, Waker};

use engine::Instance;
use lineage::Lsn;
use replication_proto::{Db, Origin};
use replog::Log;

use super::Node;
use crate::wire::{PrimaryHeartbeat, PrimaryMeta, ShardBeat, ShardMeta, VERSION};

/// The log that feeds a link, and which it is.
#[derive(Clone)]
pub(super) struct Source {
    pub log: Arc<Log>,
    pub generation: u64,
}

impl Source {
    /// The log of a database; `None` if there is no such database yet.
    pub(super) fn of(instance: &Instance, db: Db) -> Option<Self> {
        let shard = instance.shard(db.0 as usize)?;
        Some(Self { log: Arc::clone(&shard.log), generation: shard.generation() })
    }

    /// Whether this is still what `instance` has.
    pub(super) fn is_current(&self, instance: &Instance, db: Db) -> bool {
        Self::of(instance, db).is_some_and(|now| now.generation == self.generation && Arc::ptr_eq(&now.log, &self.log))
    }

    /// For a verdict.
    pub(super) fn origin(&self) -> Origin {
        loop {
            let lineage = self.log.lineage();
            let (start, end) = (self.log.start(), self.log.written());
            // An era that began meanwhile would make the end one of another lineage.
            if lineage == self.log.lineage() {
                return Origin { lineage: lineage.cut(end), start, end, log_generation: self.generation };
            }
        }
    }
}

/// Where each database ends.
pub(super) fn ends(instance: &Instance) -> Vec<(Db, Lsn)> {
    instance.shards().map(|shard| (Db(shard.database as u32), shard.log.end())).collect()
}

/// The answer to `SYNCMETA`.
pub(super) fn meta(instance: &Instance, node: &dyn Node) -> PrimaryMeta {
    PrimaryMeta {
        version: VERSION,
        node: node.id(),
        run: node.run(),
        role_generation: node.role_generation(),
        databases: instance.databases() as u32,
        now_ms: node.now_ms(),
        path: node.path(),
        shards: sources(instance)
            .map(|(db, source)| {
                let Origin { lineage, start, end, log_generation } = source.origin();
                ShardMeta { db, generation: log_generation, start, end, lineage }
            })
            .collect(),
    }
}

/// What is said each second.
pub(super) fn heartbeat(instance: &Instance, node: &dyn Node) -> PrimaryHeartbeat {
    PrimaryHeartbeat {
        run: node.run(),
        role_generation: node.role_generation(),
        now_ms: node.now_ms(),
        path: node.path(),
        shards: sources(instance)
            .map(|(db, Source { log, generation })| {
                // In this order no mark is above the one before it.
                let (synced, end, start) = (log.synced(), log.end(), log.start());
                ShardBeat { db, generation, start, end, synced }
            })
            .collect(),
    }
}

/// Ready when something about the instance as a whole has changed since `seen` was counted: a role, a database, a log.
pub(super) fn poll_change(instance: &Instance, seen: u64, waker: &Waker) -> Poll<()> {
    let changes = instance.changes();
    // It may say so early when very many wait.
    match changes.poll(seen, waker) {
        Poll::Ready(()) if changes.count() > seen => Poll::Ready(()),
        Poll::Ready(()) | Poll::Pending => Poll::Pending,
    }
}

fn sources(instance: &Instance) -> impl Iterator<Item = (Db, Source)> {
    let databases = 0..instance.databases() as u32;
    databases.filter_map(|db| Some((Db(db), Source::of(instance, Db(db))?)))
}
