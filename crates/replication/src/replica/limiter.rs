//! How fast full syncs may fetch, all of them together: [`Limiter`].

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What was not used is saved up for so long.
const BURST: Duration = Duration::from_millis(200);

/// A budget of bytes that grows with time.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<Option<Instant>>);

impl Limiter {
    /// Takes `bytes` at `rate` bytes a second (0: no limit). Answers how long to wait before they are used.
    pub fn take(&self, bytes: u64, rate: u64, now: Instant) -> Duration {
        if rate == 0 {
            return Duration::ZERO;
        }
        let mut free_at = self.0.lock();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = free_at.map_or(earliest, |at| at.max(earliest));
        let took = Duration::from_nanos((u128::from(bytes) * 1_000_000_000 / u128::from(rate)) as u64);
        *free_at = Some(from + took);
        (from + took).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_whoever_takes() {
        let limiter = Limiter::default();
        let start = Instant::now();
        assert_eq!(limiter.take(u64::MAX, 0, start), Duration::ZERO);
        let waits: Vec<u128> = (0..20).map(|_| limiter.take(100_000, 1_000_000, start).as_millis()).collect();
        assert_eq!(waits[..4], [0, 0, 100, 200], "the burst, then a tenth of a second each");
        assert_eq!(waits[19], 1800);
        let later = start + Duration::from_secs(100);
        assert_eq!(limiter.take(100_000, 1_000_000, later), Duration::ZERO, "but no more than the burst is saved up");
        assert_eq!(limiter.take(200_000, 1_000_000, later).as_millis(), 100);
    }
}
