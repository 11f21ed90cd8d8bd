//! How long things took, in nanoseconds, with about 3 % of precision.
//!
//! ```text
//! bucket = 32 per power of two:   0..64 exact | 64,66,..126 | 128,132,..252 | ..
//! ```

use std::time::Duration;

/// Bits of a number that are kept below its highest one.
const PRECISION: u32 = 5;
const PER_POWER: usize = 1 << PRECISION;
const BUCKETS: usize = (64 - PRECISION as usize + 1) * PER_POWER;

#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub fn record(&mut self, took: Duration) {
        self.counts[bucket(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
    }

    pub fn merge(&mut self, other: &Histogram) {
        for (ours, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *ours += theirs;
        }
        self.total += other.total;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// The time that `percent` of the records did not exceed, rounded down to its bucket. Zero when nothing was
    /// recorded.
    pub fn percentile(&self, percent: f64) -> Duration {
        let rank = ((self.total as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(lowest_of(bucket));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let power = nanos.max(1).ilog2().saturating_sub(PRECISION);
    // For numbers of at most PRECISION + 1 bits the power is 0 and the bucket is the number.
    power as usize * PER_POWER + (nanos >> power) as usize
}

fn lowest_of(bucket: usize) -> u64 {
    let power = (bucket / PER_POWER).saturating_sub(1);
    ((bucket - power * PER_POWER) as u64) << power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_lowest_number_and_is_at_most_a_32nd_wide() {
        for nanos in (0..200_000).chain([u64::MAX / 3, u64::MAX - 1, u64::MAX]) {
            let lowest = lowest_of(bucket(nanos));
            assert!(lowest <= nanos, "{nanos}");
            assert!(nanos - lowest <= nanos / 32, "{nanos} fell to {lowest}");
            assert_eq!(bucket(lowest), bucket(nanos));
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles_count_from_the_lowest() {
        let mut histogram = Histogram::new();
        for nanos in 1..=50 {
            histogram.record(Duration::from_nanos(nanos));
        }
        let mut slow = Histogram::new();
        slow.record(Duration::from_secs(1));
        assert_eq!(histogram.percentile(50.0), Duration::from_nanos(25));
        assert_eq!(histogram.percentile(99.0), Duration::from_nanos(50));
        histogram.merge(&slow);
        assert_eq!(histogram.total(), 51);
        assert!(histogram.percentile(99.0) > Duration::from_millis(960));
        assert_eq!(Histogram::new().percentile(99.0), Duration::ZERO);
    }
}
