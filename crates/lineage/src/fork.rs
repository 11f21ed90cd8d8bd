//! Where two histories part: [`Fork`], found by comparing replication ids.
//!
//! ```text
//! mine    |--- a ---|------ b ------|- c -|
//! theirs  |--- a ---|------ b ----------------|--- d ---|
//!                                   ^ fork: both hold era b up to here
//! ```
//!
//! An id names one writer's run, and a log that holds any byte of an era holds everything before it as that writer saw it.
//! So the newest era that both hold decides, and the fork is where it ends first. Epoch numbers say nothing.

use crate::{Lineage, Lsn};

/// The last position up to which two histories are the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The histories agree below this LSN, and at it one of them ends or they differ.
    At(Lsn),
    /// The histories share no era.
    Disjoint,
}

impl Lineage {
    /// The last point common to this history, whose log ends at `own_end`, and another one.
    #[must_use]
    pub fn fork_point(&self, own_end: Lsn, other: &Lineage, other_end: Lsn) -> Fork {
        let theirs = other.stretches(other_end);
        let newest_common = self.stretches(own_end).rev().find_map(|mine| {
            let their = theirs.clone().rev().find(|their| their.id == mine.id && their.first == mine.first)?;
            Some(mine.end.min(their.end))
        });
        newest_common.map_or(Fork::Disjoint, Fork::At)
    }

    /// The eras that a log ending at `end` holds any byte of.
    fn stretches(&self, end: Lsn) -> impl DoubleEndedIterator<Item = Stretch> + Clone {
        let eras = self.eras();
        eras.iter().enumerate().filter(move |(_, era)| era.first < end).map(move |(i, era)| Stretch {
            id: era.id,
            first: era.first,
            end: eras.get(i + 1).map_or(end, |next| next.first.min(end)),
        })
    }
}

/// An era with its end filled in.
struct Stretch {
    id: crate::ReplId,
    first: Lsn,
    end: Lsn,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Epoch, Era, ReplId};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// A lineage of eras `(id, first)`; epochs count from 1.
    fn lineage(eras: &[(u8, u64)]) -> Lineage {
        let mut lineage = Lineage::new();
        for (n, &(id, first)) in eras.iter().enumerate() {
            let epoch = Epoch(n as u64 + 1);
            lineage.push(Era { epoch, id: ReplId([id; 20]), first: Lsn(first) }).unwrap();
        }
        lineage
    }

    #[test]
    fn a_shorter_log_of_the_same_history_parts_at_its_end() {
        let one = lineage(&[(1, 0), (2, 100)]);
        assert_eq!(one.fork_point(Lsn(150), &one, Lsn(400)), Fork::At(Lsn(150)));
        assert_eq!(one.fork_point(Lsn(90), &one, Lsn(400)), Fork::At(Lsn(90)));
    }

    #[test]
    fn a_primary_that_lost_its_tail_cannot_continue_its_replica() {
        let replica = lineage(&[(1, 0)]);
        let restarted = lineage(&[(1, 0), (2, 600)]);
        assert_eq!(restarted.fork_point(Lsn(800), &replica, Lsn(700)), Fork::At(Lsn(600)));
    }

    #[test]
    fn equal_epochs_with_other_ids_part() {
        let one = lineage(&[(1, 0), (2, 100)]);
        let other = lineage(&[(1, 0), (3, 100)]);
        assert_eq!(one.fork_point(Lsn(150), &other, Lsn(150)), Fork::At(Lsn(100)));
    }

    #[test]
    fn strangers_are_disjoint() {
        let one = lineage(&[(1, 0)]);
        assert_eq!(one.fork_point(Lsn(10), &lineage(&[(2, 0)]), Lsn(10)), Fork::Disjoint);
        assert_eq!(one.fork_point(Lsn(10), &Lineage::new(), Lsn(0)), Fork::Disjoint);
        assert_eq!(one.fork_point(Lsn(0), &one, Lsn(10)), Fork::Disjoint);
        let moved = lineage(&[(1, 5)]);
        assert_eq!(one.fork_point(Lsn(10), &moved, Lsn(10)), Fork::Disjoint, "an id cannot begin at two places");
    }

    /// Two histories as a generator sees them: a common prefix, then each its own eras, then the two ends.
    #[derive(Debug, Clone)]
    struct Grown {
        one: Vec<(u8, u64)>,
        other: Vec<(u8, u64)>,
        ends: (u64, u64),
    }

    fn grown() -> impl Strategy<Value = Grown> {
        let lengths = || prop::collection::vec(1..30_u64, 0..5);
        (prop::collection::vec(1..30_u64, 1..5), lengths(), lengths(), 0..30_u64, 0..30_u64, 0..30_u64, 0..30_u64)
            .prop_map(|(common, one, other, gap_one, gap_other, more_one, more_other)| {
                let mut prefix = Vec::new();
                let mut at = 0;
                for (n, length) in common.iter().enumerate() {
                    prefix.push((n as u8, at));
                    at += length;
                }
                let extend = |ids: u8, gap: u64, lengths: &[u64], more: u64| {
                    let (mut eras, mut at) = (prefix.clone(), at + gap);
                    for (n, length) in lengths.iter().enumerate() {
                        eras.push((ids + n as u8, at));
                        at += length;
                    }
                    (eras, at + more)
                };
                let (one, one_end) = extend(100, gap_one, &one, more_one);
                let (other, other_end) = extend(200, gap_other, &other, more_other);
                Grown { one, other, ends: (one_end, other_end) }
            })
    }

    /// The slow truth: the first byte whose writer differs, or that only one history has.
    fn brute_force(one: &Lineage, one_end: u64, other: &Lineage, other_end: u64) -> Fork {
        let id_at = |lineage: &Lineage, lsn| lineage.era_at(Lsn(lsn)).map(|era| era.id);
        let same = (0..one_end.min(other_end)).take_while(|&lsn| id_at(one, lsn) == id_at(other, lsn)).count();
        if same == 0 { Fork::Disjoint } else { Fork::At(Lsn(same as u64)) }
    }

    proptest! {
        #[test]
        fn the_fork_is_the_first_byte_that_differs(histories in grown(), short_one in 0..200_u64, short_other in 0..200_u64) {
            let (one, other) = (lineage(&histories.one), lineage(&histories.other));
            let one_end = histories.ends.0.saturating_sub(short_one);
            let other_end = histories.ends.1.saturating_sub(short_other);
            let fork = one.fork_point(Lsn(one_end), &other, Lsn(other_end));
            prop_assert_eq!(fork, brute_force(&one, one_end, &other, other_end));
            prop_assert_eq!(fork, other.fork_point(Lsn(other_end), &one, Lsn(one_end)));
        }

        #[test]
        fn forgetting_eras_older_than_the_last_common_one_changes_nothing(histories in grown(), forget in 0..5_usize) {
            let (one, other) = (lineage(&histories.one), lineage(&histories.other));
            let (one_end, other_end) = (Lsn(histories.ends.0), Lsn(histories.ends.1));
            let common = histories.one.iter().zip(&histories.other).take_while(|(a, b)| a == b).count();
            let kept = lineage(&histories.one[forget.min(common - 1)..]);
            prop_assert_eq!(kept.fork_point(one_end, &other, other_end), one.fork_point(one_end, &other, other_end));
        }
    }
}
