//! Where something is in a shard's history: [`Lsn`] counts bytes, [`Epoch`] counts primaries.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A log sequence number: how many bytes of frames precede this position in the shard's history. The LSN of a frame is
/// the position of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The beginning of every history.
    pub const ZERO: Lsn = Lsn(0);
    /// No position is above this one.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// Bytes from `earlier` to here; 0 if `earlier` is not earlier.
    #[inline]
    #[must_use]
    pub fn since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Lsn {
    type Output = Lsn;

    #[inline]
    fn add(self, bytes: u64) -> Lsn {
        Lsn(self.0 + bytes)
    }
}

impl AddAssign<u64> for Lsn {
    #[inline]
    fn add_assign(&mut self, bytes: u64) {
        self.0 += bytes;
    }
}

/// The bytes between two positions. The right side must not be the later one.
impl Sub for Lsn {
    type Output = u64;

    #[inline]
    fn sub(self, earlier: Lsn) -> u64 {
        assert!(earlier <= self, "LSN {earlier} is later than LSN {self}");
        self.0 - earlier.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an era. It grows along a lineage and is for people to read: two histories may use the same number for
/// different eras, so nothing is ever decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The number of the era after this one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn positions_count_bytes() {
        assert_eq!(Lsn(40) + 2, Lsn(42));
        assert_eq!(Lsn(42) - Lsn(40), 2);
        assert_eq!(Lsn(40).since(Lsn(42)), 0);
        assert_eq!(Lsn(7).to_string(), "7");
        assert_eq!(Epoch(1).next().to_string(), "2");
    }

    #[test]
    #[should_panic(expected = "LSN 2 is later than LSN 1")]
    fn a_negative_distance_is_our_mistake() {
        let _ = Lsn(1) - Lsn(2);
    }
}
