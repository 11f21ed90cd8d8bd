//! What the logs must hold before bytes may leave: a reply never shows what the log file does not hold.

use std::task::Waker;

use engine::{Instance, ShardId};
use smallvec::SmallVec;

/// What counts as held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is in the file: it survives the end of the process.
    Written,
    /// It is synced: it survives a power cut (`appendfsync always`).
    Synced,
}

/// For each shard that was looked at or changed, the largest LSN that its log must hold; few, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(SmallVec<[(ShardId, u64); 2]>);

impl Marks {
    /// Adds what another run saw or did.
    #[inline]
    pub(crate) fn raise(&mut self, gate: &[(ShardId, u64)]) {
        for &(shard, lsn) in gate {
            match self.0.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, mark)) => *mark = lsn.max(*mark),
                None => self.0.push((shard, lsn)),
            }
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets the shards that `instance` has no more.
    pub(crate) fn forget_gone(&mut self, instance: &Instance) {
        self.0.retain(|(shard, _)| instance.shard_of(*shard).is_some());
    }

    #[inline]
    pub(crate) fn as_gate(&self) -> &[(ShardId, u64)] {
        &self.0
    }

    /// Whether all of it is held, as far as `held` says for each shard.
    #[inline]
    pub(crate) fn passed(&self, mut held: impl FnMut(ShardId) -> u64) -> bool {
        self.0.iter().all(|&(shard, lsn)| held(shard) >= lsn)
    }
}

/// How far the log of a shard is held. One that has been replaced was made durable first, and nobody waits for it.
#[inline]
pub(crate) fn held(instance: &Instance, durability: Durability, id: ShardId) -> u64 {
    instance.shard_of(id).map_or(u64::MAX, |shard| match durability {
        Durability::Written => shard.log.written().0,
        Durability::Synced => shard.log.synced().0,
    })
}

/// Asks the logs for all of `marks`: writes here if that does not block, and asks for a sync if that is needed.
pub(crate) fn ask(instance: &Instance, durability: Durability, marks: &Marks) {
    for &(id, lsn) in marks.as_gate() {
        let Some(shard) = instance.shard_of(id) else { continue };
        if shard.log.written().0 < lsn {
            // Written or not: the gates look for themselves.
            let _ = shard.log.write_to(lineage::Lsn(lsn));
        }
        if durability == Durability::Synced {
            shard.log.request_sync(lineage::Lsn(lsn));
        }
    }
}

/// Has `waker` woken when the log of a shard holds `lsn`. `false`: it does already.
pub(crate) fn wake_when_held(
    instance: &Instance,
    durability: Durability,
    id: ShardId,
    lsn: u64,
    waker: &Waker,
) -> bool {
    instance.shard_of(id).is_some_and(|shard| {
        let lsn = lineage::Lsn(lsn);
        match durability {
            Durability::Written => shard.log.poll_written(lsn, waker).is_pending(),
            Durability::Synced => shard.log.poll_synced(lsn, waker).is_pending(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shard of a database.
    fn of(database: u32) -> ShardId {
        ShardId { database, incarnation: database + 1 }
    }

    #[test]
    fn marks_keep_the_largest_of_each_shard() {
        let mut marks = Marks::default();
        marks.raise(&[(of(0), 10)]);
        marks.raise(&[(of(3), 5), (of(0), 7)]);
        marks.raise(&[(of(3), 9)]);
        assert_eq!(marks.as_gate(), [(of(0), 10), (of(3), 9)]);
    }

    #[test]
    fn all_shards_must_hold_theirs() {
        let mut marks = Marks::default();
        assert!(marks.passed(|_| 0), "who saw nothing waits for nothing");
        marks.raise(&[(of(0), 10), (of(1), 20)]);
        assert!(!marks.passed(|id| [10, 19][id.database as usize]));
        assert!(!marks.passed(|id| [9, 20][id.database as usize]));
        assert!(marks.passed(|id| [10, 20][id.database as usize]));
    }
}
