//! The shards of a node: meeting them, slots, and the transfers that outlive links.

use lineage::Lsn;

use super::{Node, NodeState};
use crate::shard::{Install, Memory, Shard, ShardState};
use crate::{Cause, Db, Positions, Progress, Role, Start, TransferId};

impl Node {
    /// A shard exists here.
    pub(super) fn meet(&mut self, db: Db) {
        if db.0 >= self.common.config.databases || self.memories.contains_key(&db) {
            return;
        }
        self.memories.insert(db, Memory::new(self.common.now));
        self.adopt(db);
    }

    /// Begins to follow a shard on the link that is there, if there is one.
    pub(super) fn adopt(&mut self, db: Db) {
        let is_detached = self.common.ledger.detached.contains(&db);
        let NodeState::Connected(connected) = &mut self.state else {
            return;
        };
        if connected.shards.contains_key(&db) {
            return;
        }
        connected.shards.insert(db, ShardState::NoConnect);
        if !is_detached {
            self.with(db, |mut shard| shard.follow(Cause::Agreed));
        }
    }

    /// Calls `act` on the shard, if the node is connected and has it.
    pub(super) fn with(&mut self, db: Db, act: impl FnOnce(Shard<'_>)) {
        let NodeState::Connected(connected) = &mut self.state else {
            return;
        };
        let taken = slots_taken(&connected.shards, &self.memories, db);
        let slot_free = taken < self.common.config.max_parallel_syncs as usize;
        let Some((state, memory)) = connected.shards.get_mut(&db).zip(self.memories.get_mut(&db)) else {
            return;
        };
        act(Shard { common: &mut self.common, db, memory, state, upstream: &connected.upstream, slot_free });
    }

    /// The memory's install, if it has this number.
    fn install(&mut self, db: Db, transfer: TransferId) -> Option<(&mut Memory, Install)> {
        let memory = self.memories.get_mut(&db)?;
        let install = memory.install.filter(|install| install.transfer == transfer)?;
        Some((memory, install))
    }

    pub(super) fn on_progress(&mut self, db: Db, transfer: TransferId, progress: &Progress) {
        let now = self.common.now;
        match (self.install(db, transfer), progress) {
            (Some((memory, install)), Progress::Installing { bytes, total }) => {
                // Also one with the same bytes: not every step of an install has any.
                memory.install = Some(Install { bytes: *bytes, total: *total, moved_at: now, ..install });
            }
            // Reports of the fetch that were still under way.
            (Some(_), Progress::Preparing { .. } | Progress::Chosen { .. } | Progress::Fetched { .. }) => {}
            (None, _) => self.with(db, |mut shard| shard.on_progress(transfer, progress)),
        }
    }

    pub(super) fn on_installed(&mut self, db: Db, transfer: TransferId, end: Lsn) {
        let Some((memory, _)) = self.install(db, transfer) else {
            return;
        };
        memory.install = None;
        memory.positions = Some(Positions { received: end, applied: end, synced: end });
        self.common.write(|ledger| drop(ledger.syncs.remove(&db)));
        self.with(db, |mut shard| shard.on_install_over(None));
    }

    pub(super) fn on_transfer_failed(&mut self, db: Db, transfer: TransferId, cause: Cause) {
        match self.install(db, transfer) {
            Some((memory, _)) => {
                memory.install = None;
                if self.role() == Role::Replica {
                    self.with(db, |mut shard| shard.on_install_over(Some(cause)));
                } else {
                    // The promotion waited for this install and goes on with the old shard.
                    self.common.write(|ledger| drop(ledger.syncs.remove(&db)));
                    self.common.start(Start::DropFiles { db });
                }
            }
            None => self.with(db, |mut shard| shard.on_transfer_failed(transfer, cause)),
        }
    }

    /// The shard that has waited longest for a slot, if one is free.
    pub(super) fn next_for_slot(&self) -> Option<Db> {
        let NodeState::Connected(connected) = &self.state else {
            return None;
        };
        let waits = |state: &ShardState| matches!(state, ShardState::TryConnect(crate::shard::Wait::Slot(_)));
        let waiting = connected.shards.iter().filter(|(_, state)| waits(state));
        let first =
            waiting.map(|(db, _)| *db).min_by_key(|db| (self.memories.get(db).map(|memory| memory.entered_at), *db))?;
        let taken = slots_taken(&connected.shards, &self.memories, first);
        (taken < self.common.config.max_parallel_syncs as usize).then_some(first)
    }

    /// Whether an install runs.
    pub(super) fn installs(&self) -> bool {
        self.memories.values().any(|memory| memory.install.is_some())
    }
}

use alloc::collections::BTreeMap;

/// Slots taken by shards other than `but`.
pub(super) fn slots_taken(shards: &BTreeMap<Db, ShardState>, memories: &BTreeMap<Db, Memory>, but: Db) -> usize {
    let holds = |(db, state): &(&Db, &ShardState)| memories.get(db).is_some_and(|memory| state.holds_slot(memory));
    shards.iter().filter(|(db, _)| **db != but).filter(holds).count()
}
