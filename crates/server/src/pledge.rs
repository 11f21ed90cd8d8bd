//! What replies of writes wait for while `repl-sync-replicas` is set: [`Pledge`].
//!
//! ```text
//!   a write has run ──▶ Waits ──▶ Confirmed: durable here and on enough replicas; the reply leaves
//!                         ├─────▶ Unconfirmed: `repl-sync-timeout` is over; -NOREPLICAS takes the reply's place
//!                         └─────▶ Deposed: another role or epoch; -UNBLOCKED takes its place
//! ```
//!
//! How many replicas are enough, and how long it may take, is what the configuration says when it is looked at: a change of
//! it goes for who waits already. A reply that was made while no replicas were asked for waits for none later.

use std::cell::{OnceCell, RefCell};
use std::time::{Duration, Instant};

use engine::{Instance, Role, ShardId};
use lineage::Lsn;
use replication::primary::{Measure, Need, Primary};
use replication_proto::Db;
use smallvec::SmallVec;

const UNCONFIRMED: &str = "NOREPLICAS The write is applied here, but repl-sync-replicas did not confirm it within \
                           repl-sync-timeout. It may be lost in a failover.";
const DEPOSED: &str = "UNBLOCKED The write was applied here, but replicas had not confirmed it when this instance's role \
                       changed. It may be lost.";

/// Changes that are told only when replicas have them.
#[derive(Clone, Debug)]
pub(crate) struct Pledge {
    targets: SmallVec<[Target; 1]>,
    since: Instant,
}

/// A position in the history that a shard had then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    shard: ShardId,
    /// Of the log: it is another one after each change of role, and with each epoch.
    generation: u64,
    lsn: Lsn,
}

/// How it stands with a pledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Waits,
    Confirmed,
    /// It took too long.
    Unconfirmed,
    /// Nobody can say any more whether the changes stay.
    Deposed,
}

impl Standing {
    /// What takes the place of the reply.
    pub(crate) fn error(self) -> Option<&'static str> {
        match self {
            Self::Waits | Self::Confirmed => None,
            Self::Unconfirmed => Some(UNCONFIRMED),
            Self::Deposed => Some(DEPOSED),
        }
    }
}

impl Pledge {
    /// That of a run which has changed something, and whose gate this is.
    pub(crate) fn new(instance: &Instance, gate: &[(ShardId, u64)]) -> Self {
        let target = |&(shard, lsn): &(ShardId, u64)| Target {
            shard,
            // Of a shard that is gone already it is none, and never confirmed.
            generation: instance.shard_of(shard).map_or(0, |shard| shard.generation()),
            lsn: Lsn(lsn),
        };
        Self { targets: gate.iter().map(target).collect(), since: Instant::now() }
    }

    /// One for a test that judges it itself.
    #[cfg(test)]
    pub(crate) fn at(shard: ShardId, lsn: u64) -> Self {
        let target = Target { shard, generation: 1, lsn: Lsn(lsn) };
        Self { targets: SmallVec::from_elem(target, 1), since: Instant::now() }
    }

    #[cfg(test)]
    pub(crate) fn is_at(&self, shard: ShardId, lsn: u64) -> bool {
        self.targets.as_slice() == [Target { shard, generation: 1, lsn: Lsn(lsn) }]
    }

    /// Adds what a later run has changed, for the same reply.
    pub(crate) fn add(&mut self, later: Self) {
        self.targets.extend(later.targets);
    }
}

/// Looks at pledges, with what replicas have acknowledged by now.
pub(crate) struct Judge<'a> {
    instance: &'a Instance,
    primary: &'a Primary,
    /// How many are enough.
    replicas: usize,
    patience: Duration,
    now: OnceCell<Instant>,
    /// What enough replicas have, as far as that was asked for.
    held: RefCell<SmallVec<[Target; 2]>>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        (instance, primary): (&'a Instance, &'a Primary),
        (replicas, patience): (usize, Duration),
    ) -> Self {
        Self { instance, primary, replicas, patience, now: OnceCell::new(), held: RefCell::default() }
    }

    pub(crate) fn standing(&self, pledge: &Pledge) -> Standing {
        let is_confirmed = self.replicas == 0 || (self.unsynced(pledge).next().is_none() && self.is_held(pledge));
        // Looked at last: what was acknowledged before was acknowledged to this primary.
        let is_ours = |target: &Target| {
            self.instance.shard_of(target.shard).is_some_and(|shard| shard.generation() == target.generation)
        };
        if self.instance.role() != Role::Primary || !pledge.targets.iter().all(is_ours) {
            Standing::Deposed
        } else if is_confirmed {
            Standing::Confirmed
        } else if *self.now.get_or_init(Instant::now) >= self.deadline(pledge) {
            Standing::Unconfirmed
        } else {
            Standing::Waits
        }
    }

    /// Until when it may wait.
    pub(crate) fn deadline(&self, pledge: &Pledge) -> Instant {
        pledge.since + self.patience
    }

    /// What of it this node's logs have not made durable.
    pub(crate) fn unsynced(&self, pledge: &Pledge) -> impl Iterator<Item = (ShardId, Lsn)> {
        let unsynced = |target: &&Target| {
            self.instance.shard_of(target.shard).is_some_and(|shard| shard.log.synced() < target.lsn)
        };
        pledge.targets.iter().filter(unsynced).map(|target| (target.shard, target.lsn))
    }

    /// Whether enough replicas have made all of it durable.
    fn is_held(&self, pledge: &Pledge) -> bool {
        if let [target] = pledge.targets.as_slice() {
            return target.lsn <= self.held_by_enough(*target);
        }
        let need =
            |target: &Target| Need { db: Db(target.shard.database), generation: target.generation, lsn: target.lsn };
        let needs: SmallVec<[Need; 4]> = pledge.targets.iter().map(need).collect();
        self.primary.count(&needs, Measure::Synced) >= self.replicas
    }

    fn held_by_enough(&self, target: Target) -> Lsn {
        let mut known = self.held.borrow_mut();
        let same = |held: &&Target| held.shard == target.shard && held.generation == target.generation;
        if let Some(held) = known.iter().find(same) {
            return held.lsn;
        }
        let log = (Db(target.shard.database), target.generation);
        let lsn = self.primary.held_by(log, self.replicas, Measure::Synced);
        known.push(Target { lsn, ..target });
        lsn
    }
}
