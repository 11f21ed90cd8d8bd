//! What is true of a node between any two steps: [`Node::invariants`].

use super::shards::slots_taken;
use super::{Lead, Node, NodeState};
use crate::shard::{ShardState, Sync, Wait};
use crate::{Db, Role};

impl Node {
    /// Panics if the node is in a state that cannot be. For tests, after each step.
    pub fn invariants(&self) {
        let follows = self.common.ledger.primary.is_some();
        assert_eq!(follows, self.role() == Role::Replica, "a node follows somebody if and only if it is a replica");
        assert!(!self.common.unsaved && self.common.out == crate::Output::default(), "a step left something behind");
        match &self.state {
            NodeState::NoConnect(Lead::Primary) => {
                assert!(!self.installs(), "a primary's shard is being replaced");
                assert!(self.common.ledger.syncs.is_empty(), "a primary wants a full sync");
            }
            NodeState::NoConnect(Lead::Promoting(_))
            | NodeState::Connect
            | NodeState::Connecting { .. }
            | NodeState::Connected(_) => assert!(self.node_due().is_some(), "a state waits without a deadline"),
            NodeState::Error => assert!(self.node_due().is_some() || self.retry.rests(), "Error without a retry"),
        }
        for (db, memory) in &self.memories {
            let is_unfinished = self.common.ledger.syncs.contains_key(db);
            assert!(memory.install.is_none() || is_unfinished, "db{db}: the ledger does not know of its install");
        }
        if let Some(at) = self.deadline() {
            assert!(at > self.common.now, "something due was not done");
        }
        let NodeState::Connected(connected) = &self.state else {
            return;
        };
        for (db, state) in &connected.shards {
            self.shard_invariants(*db, state);
        }
        let nobody = Db(u32::MAX);
        let taken = slots_taken(&connected.shards, &self.memories, nobody);
        assert!(taken <= self.most_slots, "{taken} full syncs at the same time");
    }

    fn shard_invariants(&self, db: Db, state: &ShardState) {
        let Some(memory) = self.memories.get(&db) else {
            unreachable!("db{db} has a state and no memory");
        };
        let (install, due) = (memory.install.is_some(), state.due(memory, &self.common.config).is_some());
        let is_detached = self.common.ledger.detached.contains(&db);
        let is_unfinished = self.common.ledger.syncs.contains_key(&db);
        assert_eq!(is_detached, *state == ShardState::NoConnect, "db{db}: {state:?}, detached: {is_detached}");
        match state {
            ShardState::NoConnect => {}
            ShardState::Error => assert!(due || memory.retry.rests(), "db{db}: Error without a retry"),
            ShardState::TryConnect(Wait::Install) => assert!(due && install, "db{db}: waits for no install"),
            ShardState::WaitDbSync(Sync::Installing) => {
                assert!(due && install && is_unfinished, "db{db}: installs nothing")
            }
            ShardState::WaitDbSync(Sync::Fetching(_)) => {
                assert!(due && !install && is_unfinished, "db{db}: {memory:?}")
            }
            ShardState::Connected(_) => {
                assert!(due && !install && !is_unfinished, "db{db}: follows and wants a full sync")
            }
            ShardState::TryConnect(Wait::Pause | Wait::Slot(_)) | ShardState::WaitReply(_) => {
                assert!(due && !install, "db{db}: asks while it is replaced");
            }
        }
    }
}
