//! What the owner publishes after each step: [`View`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use replication_proto::{
    Db, Level, Millis, NodeStateName, Role, ShardStateName, ShardStatus, Standing, Status, SyncPhase,
};

/// One moment of this node's replication; never half of a transition.
#[derive(Clone, Debug)]
pub struct View {
    /// The state machine's own view.
    pub status: Status,
    /// When the state machine's clock was 0.
    pub began: Instant,
    /// With what right this node speaks about each shard that it knows; about others as `standing` says.
    pub standings: BTreeMap<Db, Standing>,
    /// The same for shards that it does not know.
    pub standing: Standing,
    /// What exactly happened last to each machine, for people.
    pub details: BTreeMap<Level, String>,
    /// How fast files come for each transfer, in bytes a second.
    pub rates: BTreeMap<Db, u64>,
    /// Databases that the primary has made since the link to it is up, and of which nothing has come yet.
    pub fresh: BTreeSet<Db>,
}

impl View {
    /// Whether this is a replica to which everything flows that its primary has, but for databases that an operator has
    /// detached.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let flows = |shard: &ShardStatus| shard.detached || shard.state == ShardStateName::Connected;
        self.is_linked() && self.status.shards.iter().all(flows)
    }

    /// Whether the node's link to its primary is up, whatever becomes of single databases.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.status.role == Role::Replica && self.status.node.state == NodeStateName::Connected
    }

    /// Whether what a database has here is what its primary has, but for what is on the way; or what an operator has
    /// detached.
    #[must_use]
    pub fn is_current(&self, db: Db) -> bool {
        let is_current = |shard: &ShardStatus| {
            shard.detached || shard.state == ShardStateName::Connected || self.fresh.contains(&db)
        };
        // Of one that is not known, the primary has nothing either.
        self.is_linked() && self.status.shards.iter().find(|shard| shard.db == db).is_none_or(is_current)
    }

    /// The databases that are [`View::fresh`] after this view, as `status` shows them.
    pub(super) fn fresh_in(&self, status: &Status) -> BTreeSet<Db> {
        let is_linked = self.is_linked() && status.node.state == NodeStateName::Connected;
        let is_new = |shard: &&ShardStatus| {
            let was_unknown = self.status.shards.iter().all(|known| known.db != shard.db);
            (was_unknown || self.fresh.contains(&shard.db)) && shard.transfer.is_none() && awaits_verdict(shard.state)
        };
        status.shards.iter().filter(|_| is_linked).filter(is_new).map(|shard| shard.db).collect()
    }

    /// For how long not everything flows, in milliseconds; 0 if it does.
    #[must_use]
    pub fn down_ms(&self) -> u64 {
        self.status.node.cut_since.map_or(0, |since| self.age_ms(since))
    }

    /// Bytes that are here and bytes of all files, of the full syncs that are under way together.
    #[must_use]
    pub fn transferred(&self) -> Option<(u64, u64)> {
        let phases = self.status.shards.iter().filter_map(|shard| shard.transfer.map(|transfer| transfer.phase));
        let sizes = phases.map(|phase| match phase {
            SyncPhase::Transferring { bytes, total } => (bytes, total),
            SyncPhase::Interrupted | SyncPhase::Preparing { .. } | SyncPhase::Installing { .. } => (0, 0),
        });
        sizes.reduce(|(bytes, total), (more, of)| (bytes + more, total + of))
    }

    /// Whether the data of a database may be shown and counted on: no full sync has been decided on for it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.status.shards.iter().all(|shard| shard.transfer.is_none())
    }

    /// How long ago a moment of the machine's clock is, in milliseconds.
    #[must_use]
    pub fn age_ms(&self, moment: Millis) -> u64 {
        self.now().since(moment).0
    }

    /// How far away a moment of the machine's clock is; 0 if it has passed.
    #[must_use]
    pub fn until_ms(&self, moment: Millis) -> u64 {
        moment.since(self.now()).0
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Whether nothing has been said about a shard yet, and nothing has gone wrong.
fn awaits_verdict(state: ShardStateName) -> bool {
    match state {
        ShardStateName::NoConnect | ShardStateName::TryConnect | ShardStateName::WaitReply => true,
        ShardStateName::WaitDbSync | ShardStateName::Connected | ShardStateName::Error => false,
    }
}
