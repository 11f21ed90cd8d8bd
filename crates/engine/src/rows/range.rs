//! Ranges of row keys, and what of a range a walk has still before it.

use std::ops::Bound;

use super::RowKey;
use crate::store::Direction;

/// A range of row keys, `from <= row < to`; an empty `to` is the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// First that belongs to it.
    pub from: RowKey,
    /// First that does not; empty: none.
    pub to: RowKey,
}

impl RowRange {
    /// From one row key up to another; up to the end, if that is empty.
    #[inline]
    #[must_use]
    pub fn new(from: &[u8], to: &[u8]) -> Self {
        Self { from: RowKey::from_slice(from), to: RowKey::from_slice(to) }
    }

    /// Nothing.
    fn none() -> Self {
        Self::new(&[0], &[0])
    }

    /// Whether `row` belongs to it.
    #[must_use]
    pub fn holds(&self, row: &[u8]) -> bool {
        self.from.as_slice() <= row && (self.to.is_empty() || row < self.to.as_slice())
    }

    /// As bounds of an ordered map. A range that ends before it begins is empty.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let from = self.from.as_slice();
        let to = if self.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(self.to.as_slice().max(from)) };
        (Bound::Included(from), to)
    }

    /// Whether no row can belong to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.to.is_empty() && self.to <= self.from
    }

    /// Whether all that belongs to `other` belongs to it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.from <= other.from && (self.to.is_empty() || (!other.to.is_empty() && other.to <= self.to))
    }

    /// What a walk has still to visit after `row`.
    #[must_use]
    pub fn beyond(self, mut row: RowKey, direction: Direction) -> Self {
        match direction {
            Direction::Forward => {
                row.push(0);
                Self { from: row, to: self.to }
            }
            // Nothing comes before the empty row key; an empty `to` would be the end.
            Direction::Backward if row.is_empty() => Self::none(),
            Direction::Backward => Self { from: self.from, to: row },
        }
    }

    /// Whether the place where a walk through `other` begins lies in it.
    #[must_use]
    pub fn holds_begin_of(&self, other: &Self, direction: Direction) -> bool {
        match direction {
            Direction::Forward => self.holds(&other.from),
            // The walk begins just below its end.
            Direction::Backward if self.to.is_empty() => other.to.is_empty() || self.from < other.to,
            Direction::Backward => self.from < other.to && other.to <= self.to,
        }
    }

    /// What a walk that began in `covered` has still to visit beyond it.
    #[must_use]
    pub fn without(self, covered: &Self, direction: Direction) -> Self {
        match direction {
            Direction::Forward if covered.to.is_empty() => Self::none(),
            Direction::Forward => Self { from: covered.to.clone(), to: self.to },
            Direction::Backward if covered.from <= self.from => Self::none(),
            Direction::Backward => Self { from: self.from, to: covered.from.clone() },
        }
    }

    /// The part of it that a walk has visited when it comes to the end of `self.beyond(..)`, which is `rest`.
    #[must_use]
    pub fn before(self, rest: &Self, direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self { from: self.from, to: rest.from.clone() },
            Direction::Backward if rest.is_empty() => self,
            Direction::Backward => Self { from: rest.to.clone(), to: self.to },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str) -> RowRange {
        RowRange::new(from.as_bytes(), to.as_bytes())
    }

    #[test]
    fn what_a_walk_has_visited_and_what_is_left_make_the_whole() {
        let all = range("b", "y");
        for (direction, row) in [(Direction::Forward, "m"), (Direction::Backward, "m"), (Direction::Backward, "b")] {
            let rest = all.clone().beyond(RowKey::from_slice(row.as_bytes()), direction);
            let covered = all.clone().before(&rest, direction);
            assert!(covered.holds(row.as_bytes()) && !rest.holds(row.as_bytes()), "{direction:?} {row}");
            assert!(covered.holds_begin_of(&all, direction));
            assert_eq!(all.clone().without(&covered, direction).is_empty(), rest.is_empty());
            for row in ["b", "l", "n", "x"].map(str::as_bytes) {
                assert!(covered.holds(row) != rest.holds(row), "{direction:?} {row:?}");
            }
        }
        let rest = range("", "").beyond(RowKey::new(), Direction::Backward);
        assert!(rest.is_empty() && range("", "").before(&rest, Direction::Backward) == range("", ""));
    }
}
