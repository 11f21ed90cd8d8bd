//! What the logs must hold before bytes may leave: a reply never shows what the log file does not hold.

use std::task::Waker;

use engine::Instance;
use smallvec::SmallVec;

/// What counts as held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is in the file: it survives the end of the process.
    Written,
    /// It is synced: it survives a power cut (`appendfsync always`).
    Synced,
}

/// For each database that was looked at or changed, the largest LSN that the log must hold; few, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(SmallVec<[(usize, u64); 2]>);

impl Marks {
    /// Adds what another run saw or did.
    #[inline]
    pub(crate) fn raise(&mut self, gate: &[(usize, u64)]) {
        for &(database, lsn) in gate {
            match self.0.iter_mut().find(|(known, _)| *known == database) {
                Some((_, mark)) => *mark = lsn.max(*mark),
                None => self.0.push((database, lsn)),
            }
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(crate) fn as_gate(&self) -> &[(usize, u64)] {
        &self.0
    }

    /// Whether all of it is held, as far as `held` says for each database.
    #[inline]
    pub(crate) fn passed(&self, mut held: impl FnMut(usize) -> u64) -> bool {
        self.0.iter().all(|&(database, lsn)| held(database) >= lsn)
    }
}

/// How far the log of a database is held. A database that does not exist holds nothing, and nobody waits for it.
#[inline]
pub(crate) fn held(instance: &Instance, durability: Durability, database: usize) -> u64 {
    instance.shard(database).map_or(u64::MAX, |shard| match durability {
        Durability::Written => shard.log.written().0,
        Durability::Synced => shard.log.synced().0,
    })
}

/// Asks the logs for all of `marks`: writes here if that does not block, and asks for a sync if that is needed.
pub(crate) fn ask(instance: &Instance, durability: Durability, marks: &Marks) {
    for &(database, lsn) in marks.as_gate() {
        let Some(shard) = instance.shard(database) else { continue };
        if shard.log.written().0 < lsn {
            // Written or not: the gates look for themselves.
            let _ = shard.log.write_to(lineage::Lsn(lsn));
        }
        if durability == Durability::Synced {
            shard.log.request_sync(lineage::Lsn(lsn));
        }
    }
}

/// Has `waker` woken when the log of `database` holds `lsn`. `false`: it does already.
pub(crate) fn wake_when_held(
    instance: &Instance,
    durability: Durability,
    database: usize,
    lsn: u64,
    waker: &Waker,
) -> bool {
    instance.shard(database).is_some_and(|shard| {
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

    #[test]
    fn marks_keep_the_largest_of_each_database() {
        let mut marks = Marks::default();
        marks.raise(&[(0, 10)]);
        marks.raise(&[(3, 5), (0, 7)]);
        marks.raise(&[(3, 9)]);
        assert_eq!(marks.as_gate(), [(0, 10), (3, 9)]);
    }

    #[test]
    fn all_databases_must_hold_theirs() {
        let mut marks = Marks::default();
        assert!(marks.passed(|_| 0), "who saw nothing waits for nothing");
        marks.raise(&[(0, 10), (1, 20)]);
        assert!(!marks.passed(|database| [10, 19][database]));
        assert!(!marks.passed(|database| [9, 20][database]));
        assert!(marks.passed(|database| [10, 20][database]));
    }
}
