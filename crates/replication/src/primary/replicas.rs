//! Who follows this node, and what each has: [`Replicas`].
//!
//! A replica is here while it has a link. Its control link says that it lives and where it is; its shard links say what it
//! has. Only what came over a link that is up counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lineage::Lsn;
use replication_proto::{Db, NodeId};

use super::connection::Announced;
use crate::wire::Ack;

/// What counts as having.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// It can be read there.
    Applied,
    /// It is durable there.
    Synced,
}

/// Something that a replica must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Of this database ..
    pub db: Db,
    /// .. while its log has this generation: what was acknowledged of another is about another history ..
    pub generation: u64,
    /// .. everything below.
    pub lsn: Lsn,
}

/// Where a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// It lacks a database.
    Syncing,
    /// It follows with every database but those that were detached there.
    Online,
}

/// A replica, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its name.
    pub node: NodeId,
    /// Where it serves clients.
    pub announced: Announced,
    /// Where it is.
    pub state: ReplicaState,
    /// How long ago it was last heard.
    pub silence: Duration,
    /// Of each database of this node that it follows with.
    pub shards: Vec<ShardView>,
}

/// What a replica has of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// The database.
    pub db: Db,
    /// What it has.
    pub ack: Ack,
    /// Where the log ends here.
    pub end: Lsn,
    /// For how long it has not had all of it; 0 if it does.
    pub behind_for: Duration,
}

impl ReplicaView {
    /// The sum of what it has applied.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.shards.iter().map(|shard| shard.ack.applied.0).sum()
    }
}

/// Who follows.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    of: BTreeMap<NodeId, Replica>,
    last_link: u64,
}

#[derive(Debug, Default)]
struct Replica {
    control: Option<Control>,
    shards: BTreeMap<Db, Following>,
}

#[derive(Debug)]
struct Control {
    link: LinkNumber,
    announced: Announced,
    heard: Instant,
    /// The databases that it said it takes part in; none before the first word.
    parts: BTreeSet<Db>,
}

#[derive(Debug)]
struct Following {
    link: LinkNumber,
    /// Of the log that the link brings.
    generation: u64,
    ack: Ack,
    heard: Instant,
    /// Since when it has not had everything, and up to where it must get to be up to date for a moment.
    behind: Option<(Instant, Lsn)>,
}

/// A link of this run; a later one of the same replica takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkNumber(u64);

impl Replicas {
    fn next_link(&mut self) -> LinkNumber {
        self.last_link += 1;
        LinkNumber(self.last_link)
    }

    /// A control link is up.
    pub(super) fn enter(&mut self, node: NodeId, announced: Announced, now: Instant) -> LinkNumber {
        let link = self.next_link();
        self.of.entry(node).or_default().control =
            Some(Control { link, announced, heard: now, parts: BTreeSet::new() });
        link
    }

    /// A shard link of a log of this generation is up, and its replica has everything below `from`.
    pub(super) fn follow(&mut self, node: NodeId, (db, generation): (Db, u64), from: Lsn, now: Instant) -> LinkNumber {
        let link = self.next_link();
        let ack = Ack { received: from, applied: from, synced: Lsn::ZERO };
        let following = Following { link, generation, ack, heard: now, behind: None };
        self.of.entry(node).or_default().shards.insert(db, following);
        link
    }

    /// The control link was heard, and said with which databases the replica takes part. `false`: a later one has taken its
    /// place.
    pub(super) fn heard(&mut self, node: NodeId, link: LinkNumber, parts: BTreeSet<Db>, now: Instant) -> bool {
        let control = self.of.get_mut(&node).and_then(|replica| replica.control.as_mut());
        let Some(control) = control.filter(|control| control.link == link) else { return false };
        (control.heard, control.parts) = (now, parts);
        true
    }

    /// A shard link brought an acknowledgement, while the log ends at `end`. `false`: a later link has taken its place.
    pub(super) fn acknowledge(
        &mut self,
        (node, db, link): (NodeId, Db, LinkNumber),
        ack: Ack,
        end: Lsn,
        now: Instant,
    ) -> bool {
        let shard = self.of.get_mut(&node).and_then(|replica| replica.shards.get_mut(&db));
        let Some(shard) = shard.filter(|shard| shard.link == link) else { return false };
        // Nothing that was acknowledged is taken back on the same link.
        shard.ack.received = shard.ack.received.max(ack.received);
        shard.ack.applied = shard.ack.applied.max(ack.applied);
        shard.ack.synced = shard.ack.synced.max(ack.synced);
        shard.heard = now;
        shard.behind = match shard.behind {
            Some((since, target)) if shard.ack.applied < target => Some((since, target)),
            Some(_) | None => (shard.ack.applied < end).then_some((now, end)),
        };
        true
    }

    /// A control link is gone.
    pub(super) fn leave(&mut self, node: NodeId, link: LinkNumber) {
        if let Some(replica) = self.of.get_mut(&node)
            && replica.control.as_ref().is_some_and(|control| control.link == link)
        {
            replica.control = None;
        }
        self.forget(node);
    }

    /// A shard link is gone.
    pub(super) fn unfollow(&mut self, node: NodeId, db: Db, link: LinkNumber) {
        if let Some(replica) = self.of.get_mut(&node)
            && replica.shards.get(&db).is_some_and(|shard| shard.link == link)
        {
            replica.shards.remove(&db);
        }
        self.forget(node);
    }

    fn forget(&mut self, node: NodeId) {
        if self.of.get(&node).is_some_and(|replica| replica.control.is_none() && replica.shards.is_empty()) {
            self.of.remove(&node);
        }
    }

    /// How many replicas are online.
    pub(super) fn online(&self, shards: &[(Db, Lsn)]) -> usize {
        self.of.values().filter(|replica| replica.state(shards) == Some(ReplicaState::Online)).count()
    }

    /// How many replicas have everything that is needed.
    pub(super) fn count(&self, needs: &[Need], measure: Measure) -> usize {
        let has = |replica: &Replica, need: &Need| {
            let shard = replica.shards.get(&need.db).filter(|shard| shard.generation == need.generation);
            shard.is_some_and(|shard| shard.has(measure) >= need.lsn)
        };
        let has_all = |replica: &&Replica| needs.iter().all(|need| has(replica, need));
        self.of.values().filter(has_all).count()
    }

    /// The position below which at least `count` replicas have everything of a database's log of this generation.
    pub(super) fn held_by(&self, (db, generation): (Db, u64), count: usize, measure: Measure) -> Lsn {
        let shards = self.of.values().filter_map(|replica| replica.shards.get(&db));
        let current = shards.filter(|shard| shard.generation == generation);
        let mut marks: Vec<Lsn> = current.map(|shard| shard.has(measure)).collect();
        marks.sort_unstable_by(|one, other| other.cmp(one));
        count.checked_sub(1).map_or(Lsn::MAX, |nth| marks.get(nth).copied().unwrap_or(Lsn::ZERO))
    }

    /// How many replicas are online and were heard within `max_lag`, 0 meaning any time.
    pub(super) fn good(&self, shards: &[(Db, Lsn)], max_lag: Duration, now: Instant) -> usize {
        let is_good = |replica: &&Replica| {
            replica.state(shards) == Some(ReplicaState::Online)
                && (max_lag.is_zero() || replica.silence(now).is_some_and(|silence| silence <= max_lag))
        };
        self.of.values().filter(is_good).count()
    }

    /// The replicas with a control link.
    pub(super) fn view(&self, shards: &[(Db, Lsn)], now: Instant) -> Vec<ReplicaView> {
        let view = |(node, replica): (&NodeId, &Replica)| {
            let follows = |&(db, end): &(Db, Lsn)| {
                let shard = replica.shards.get(&db)?;
                let behind_for = match shard.behind {
                    Some((since, _)) if shard.ack.applied < end => now.saturating_duration_since(since),
                    Some(_) | None => Duration::ZERO,
                };
                Some(ShardView { db, ack: shard.ack, end, behind_for })
            };
            Some(ReplicaView {
                node: *node,
                announced: replica.control.as_ref()?.announced.clone(),
                state: replica.state(shards)?,
                silence: replica.silence(now)?,
                shards: shards.iter().filter_map(follows).collect(),
            })
        };
        self.of.iter().filter_map(view).collect()
    }
}

impl Replica {
    fn state(&self, shards: &[(Db, Lsn)]) -> Option<ReplicaState> {
        let parts = &self.control.as_ref()?.parts;
        // Who takes part in nothing keeps up with nothing.
        let lacks = |db: &Db| !self.shards.contains_key(db) && (parts.is_empty() || parts.contains(db));
        let lacks_any = shards.iter().any(|(db, _)| lacks(db));
        Some(if lacks_any { ReplicaState::Syncing } else { ReplicaState::Online })
    }

    /// How long ago it was heard, on whatever link.
    fn silence(&self, now: Instant) -> Option<Duration> {
        let links = self.shards.values().map(|shard| shard.heard);
        let last = links.chain([self.control.as_ref()?.heard]).max()?;
        Some(now.saturating_duration_since(last))
    }
}

impl Following {
    fn has(&self, measure: Measure) -> Lsn {
        match measure {
            Measure::Applied => self.ack.applied,
            Measure::Synced => self.ack.synced,
        }
    }
}
