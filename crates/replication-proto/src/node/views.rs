//! What others may see of a node: [`Node::status`].

use alloc::vec::Vec;

use super::{Node, NodeState};
use crate::shard::{Memory, Shard, ShardState, Sync};
use crate::{Db, Millis, NodeStatus, ShardStateName, ShardStatus, Status, SyncReason, TransferStatus};

impl Node {
    /// One immutable view of everything, taken between two steps.
    #[must_use]
    pub fn status(&self) -> Status {
        let is_replica = self.common.ledger.primary.is_some();
        let shards: Vec<_> =
            self.memories.iter().filter(|_| is_replica).map(|(db, memory)| self.shard_status(*db, memory)).collect();
        Status {
            at: self.common.now,
            role: self.role(),
            role_generation: self.role_generation,
            path: self.path(),
            node: self.node_status(),
            shards,
            alarms: self.common.alarms.iter().map(|((level, alarm), since)| (*level, *alarm, *since)).collect(),
        }
    }

    fn node_status(&self) -> NodeStatus {
        let connected = match &self.state {
            NodeState::Connected(connected) => Some(connected),
            NodeState::NoConnect(_) | NodeState::Connect | NodeState::Connecting { .. } | NodeState::Error => None,
        };
        NodeStatus {
            state: self.state.name(),
            since: self.entered_at,
            cause: self.entered_for,
            attempt: self.retry.charged(),
            limit: self.common.config.retry_limit,
            next_at: self.node_due(),
            retry_at: self.retry_due(),
            primary: self.common.ledger.primary.clone(),
            upstream: connected.map(|connected| connected.upstream.node),
            heard_at: connected.map(|connected| connected.heard_at),
            down_since: self.down_since,
            cut_since: self.cut_since,
            last_heal: self.last_heal,
        }
    }

    fn shard_status(&self, db: Db, memory: &Memory) -> ShardStatus {
        let state = match &self.state {
            NodeState::Connected(connected) => connected.shards.get(&db),
            NodeState::NoConnect(_) | NodeState::Connect | NodeState::Connecting { .. } | NodeState::Error => None,
        };
        // What is to be discarded has no place in the primary's log.
        let is_comparable = !self.common.ledger.syncs.get(&db).is_some_and(|sync| sync.reason.discards());
        ShardStatus {
            db,
            state: state.map_or(ShardStateName::NoConnect, ShardState::name),
            since: memory.entered_at,
            cause: memory.entered_for,
            attempt: memory.retry.charged(),
            limit: self.common.config.retry_limit,
            next_at: state.and_then(|state| state.due(memory, &self.common.config)),
            retry_at: state.and_then(|state| state.retry_due(memory, &self.common.config)),
            detached: self.common.ledger.detached.contains(&db),
            end: memory.end.filter(|_| is_comparable),
            age: self.age(memory, state),
            transfer: self.transfer_status(db, memory, state),
            last_heal: memory.last_heal,
        }
    }

    fn transfer_status(&self, db: Db, memory: &Memory, state: Option<&ShardState>) -> Option<TransferStatus> {
        let unfinished = self.common.ledger.syncs.get(&db);
        let fetching = match state {
            Some(ShardState::WaitDbSync(Sync::Fetching(fetch))) => Some(fetch.since),
            Some(
                ShardState::WaitDbSync(Sync::Installing)
                | ShardState::NoConnect
                | ShardState::TryConnect(_)
                | ShardState::WaitReply(_)
                | ShardState::Connected(_)
                | ShardState::Error,
            )
            | None => None,
        };
        let installing = memory.install.map(|install| install.since);
        unfinished?;
        Some(TransferStatus {
            reason: unfinished.map_or(SyncReason::Empty, |sync| sync.reason),
            phase: Shard::phase(memory, state),
            since: installing.or(fetching).unwrap_or(memory.entered_at),
            attempt: unfinished.map_or(0, |sync| sync.attempts),
        })
    }

    /// How old the data is, as far as it was proven.
    fn age(&self, memory: &Memory, state: Option<&ShardState>) -> Option<Millis> {
        let now = self.common.now;
        let Some(current_at) = memory.current_at else {
            return memory.end.map(|_| now.since(memory.wanted_since));
        };
        let age = now.since(current_at);
        let is_proven = matches!(state, Some(ShardState::Connected(_))) && memory.behind.is_none();
        let usual = self.common.config.heartbeat_every.times(HEARTBEATS);
        Some(if is_proven && age <= usual { Millis(0) } else { age })
    }
}

/// Data is current for as long as the next but one heartbeat may still come.
const HEARTBEATS: u64 = 2;
