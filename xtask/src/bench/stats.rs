//! Ratios of paired measurements, and numbers for people.

use std::fmt::{self, Display};
use std::time::Duration;

/// The least, the middle and the greatest of some measurements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// `None` when there are none that are numbers (a ratio to zero is not).
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median =
            if values.len().is_multiple_of(2) { f64::midpoint(values[half - 1], values[half]) } else { values[half] };
        Some(Self { min, median, max })
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}..{:.2})", self.median, self.min, self.max)
    }
}

/// The ratios `ours / theirs` of one property over pairs of measurements, as a cell of a table.
pub fn ratio<S>(pairs: &[(S, S)], property: impl Fn(&S) -> f64) -> String {
    cell(Spread::of(pairs.iter().map(|(ours, theirs)| property(ours) / property(theirs))))
}

/// The smallest value that so many of a hundred do not exceed; `None` when there are none.
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

pub fn cell(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string())
}

pub fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / (1024.0 * 1024.0))
}

/// Operations per second, in thousands.
pub fn rate(operations: u64, time: Duration) -> String {
    format!("{:.1} k/s", operations as f64 / time.as_secs_f64() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middles() {
        let odd = Spread { min: 1.0, median: 2.0, max: 9.0 };
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), Some(odd));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of([]), None);
        assert_eq!(odd.to_string(), "2.00 (1.00..9.00)");
    }

    #[test]
    fn ratios_are_taken_per_pair_and_those_to_zero_are_dropped() {
        assert_eq!(ratio(&[(2.0, 1.0), (9.0, 3.0), (1.0, 0.0)], |value| *value), "2.50 (2.00..3.00)");
        assert_eq!(ratio(&[(0.0, 0.0)], |value| *value), "-");
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<u64> = (1..=50).collect();
        assert_eq!([1, 50, 98, 99, 100].map(|percent| percentile(&values, percent)), [1, 25, 49, 50, 50].map(Some));
        assert_eq!(percentile(&[7], 1), Some(7));
        assert_eq!(percentile::<u64>(&[], 50), None);
    }

    #[test]
    fn numbers_carry_their_units() {
        assert_eq!(millis(Duration::from_micros(1500)), "1.500 ms");
        assert_eq!(mib(3 << 20), "3 MiB");
        assert_eq!(rate(30_000, Duration::from_secs(2)), "15.0 k/s");
    }
}
