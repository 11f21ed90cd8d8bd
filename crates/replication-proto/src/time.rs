//! Moments and spans of the driver's monotonic clock: [`Millis`].

use core::fmt;
use core::ops::Add;

/// Milliseconds: of a clock that never goes back, counted from anywhere, or between two of its readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// So many whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Millis {
        Millis(seconds * 1000)
    }

    /// The span from `earlier` to here; 0 if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// So many times this span.
    #[must_use]
    pub fn times(self, count: u64) -> Millis {
        Millis(self.0.saturating_mul(count))
    }
}

impl Add for Millis {
    type Output = Millis;

    fn add(self, span: Millis) -> Millis {
        Millis(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
