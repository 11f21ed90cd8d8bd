//! Keeps the process within `maxmemory`, whatever its records cost besides what is booked for them.
//!
//! That depends on the allocator, on the sizes of values, on connections and on the kernel. So what the process takes is
//! looked at once a second: of what is too much, hot records get less; when there is room, they get it back, more slowly.

use crate::host::Split;

/// A share of the total by which the process may be over it before anything is done: one in so many.
const PATIENCE: u64 = 20;
/// One in so many bytes that are too much is taken in one look. It takes some looks until less is taken.
const TAKE: u64 = 4;
/// One in so many bytes of room is given back in one look.
const GIVE_BACK: u64 = 16;
/// Hot records keep a share of their budget, one in so many, and so many bytes if they had them.
const KEEP: u64 = 4;
const KEEP_BYTES: u64 = 4 << 20;

/// What is taken from hot records at present.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    taken: u64,
}

/// What a look leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes for hot records from now on.
    pub hot: u64,
    /// Whether the allocator is to give back what it does not need.
    pub purge: bool,
}

impl Keeper {
    /// Looks at the bytes that the process takes.
    pub(crate) fn look(&mut self, process: u64, split: &Split) -> Step {
        let over = process.saturating_sub(split.total + split.total / PATIENCE);
        let room = split.total.saturating_sub(process);
        let keep = (split.hot / KEEP).max(KEEP_BYTES.min(split.hot));
        self.taken = (self.taken + over / TAKE).saturating_sub(room / GIVE_BACK).min(split.hot - keep);
        Step { hot: split.hot - self.taken, purge: over > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SPLIT: Split =
        Split { total: 200 * MIB, hot: 80 * MIB, block_cache: 50 * MIB, memtables: 20 * MIB, reserve: 50 * MIB };

    #[test]
    fn what_is_too_much_is_taken_from_hot_records_and_given_back_slowly() {
        let mut keeper = Keeper::default();
        assert_eq!(keeper.look(100 * MIB, &SPLIT), Step { hot: 80 * MIB, purge: false });
        assert_eq!(keeper.look(210 * MIB, &SPLIT), Step { hot: 80 * MIB, purge: false }, "a little is borne");
        assert_eq!(keeper.look(230 * MIB, &SPLIT), Step { hot: 75 * MIB, purge: true });
        assert_eq!(keeper.look(230 * MIB, &SPLIT), Step { hot: 70 * MIB, purge: true });
        assert_eq!(keeper.look(205 * MIB, &SPLIT), Step { hot: 70 * MIB, purge: false }, "between the two it stays");
        assert_eq!(keeper.look(184 * MIB, &SPLIT), Step { hot: 71 * MIB, purge: false });
        for _ in 0..20 {
            keeper.look(100 * MIB, &SPLIT);
        }
        assert_eq!(keeper.look(100 * MIB, &SPLIT).hot, 80 * MIB);
    }

    #[test]
    fn hot_records_keep_something() {
        let mut keeper = Keeper::default();
        assert_eq!(keeper.look(u64::MAX, &SPLIT).hot, 20 * MIB);
        let tiny = Split { hot: 3 * MIB, ..SPLIT };
        assert_eq!(keeper.look(u64::MAX / 2, &tiny).hot, 3 * MIB, "a smaller division takes effect at once");
    }

    /// A process that follows its hot limit with some delay and a surplus comes to rest within the bound.
    #[test]
    fn it_comes_to_rest() {
        let (mut keeper, mut hot) = (Keeper::default(), [SPLIT.hot; 4]);
        let process = |hot: u64| 140 * MIB + hot * 3 / 2;
        let mut least = u64::MAX;
        for look in 0..60 {
            hot.rotate_right(1);
            hot[0] = keeper.look(process(hot[3]), &SPLIT).hot;
            least = least.min(hot[0]);
            assert!(look < 30 || process(hot[3]) <= SPLIT.total + SPLIT.total / PATIENCE + MIB, "{hot:?}");
        }
        assert!(least >= 30 * MIB, "it does not take much more than it has to: {least}");
    }
}
