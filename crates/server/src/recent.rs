//! What is known only by looking again and again: how fast counters grow, and the most memory that was in use.
//!
//! Whoever looks (the control thread now and then, INFO each time) leaves a sample; a rate is what came since an older one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Samples closer to each other are one.
const PAUSE: Duration = Duration::from_millis(100);
/// A rate is about this long a time, if there are samples so close.
const WINDOW: Duration = Duration::from_secs(2);
/// More samples than fit into a window are not kept.
const MAX_SAMPLES: usize = 20;

/// Counters, or what they grow by in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Commands executed.
    pub commands: u64,
    /// Bytes read from clients.
    pub net_in: u64,
    /// Bytes sent to clients.
    pub net_out: u64,
}

/// Samples, and the peak.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    samples: VecDeque<(Instant, Flow)>,
    memory_peak: u64,
}

impl Recent {
    /// Notes what the counters and the memory are at `now`; answers the rates per second.
    pub fn look(&self, now: Instant, counters: Flow, memory: u64) -> Flow {
        let mut looks = self.0.lock();
        looks.memory_peak = looks.memory_peak.max(memory);
        let is_new = looks.samples.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= PAUSE);
        if is_new {
            looks.samples.push_back((now, counters));
        }
        while looks.samples.len() > MAX_SAMPLES || (looks.samples.len() > 2 && is_old(looks.samples[0].0, now)) {
            looks.samples.pop_front();
        }
        match (looks.samples.front(), looks.samples.back()) {
            (Some(first), Some(last)) => rate(*first, *last),
            (None, _) | (_, None) => Flow::default(),
        }
    }

    /// The most memory that was seen, in bytes.
    #[must_use]
    pub fn memory_peak(&self) -> u64 {
        self.0.lock().memory_peak
    }
}

fn is_old(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > WINDOW
}

/// Counters that were reset in between count as standing still.
fn rate((from, first): (Instant, Flow), (to, last): (Instant, Flow)) -> Flow {
    let millis = u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = |first: u64, last: u64| last.saturating_sub(first).saturating_mul(1000) / millis;
    Flow {
        commands: per_second(first.commands, last.commands),
        net_in: per_second(first.net_in, last.net_in),
        net_out: per_second(first.net_out, last.net_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(n: u64) -> Flow {
        Flow { commands: n, net_in: 2 * n, net_out: 3 * n }
    }

    #[test]
    fn a_rate_is_about_the_last_two_seconds() {
        let recent = Recent::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(recent.look(at(0), flow(0), 5), Flow::default());
        assert_eq!(recent.look(at(50), flow(900), 7), Flow::default(), "too close to the first");
        assert_eq!(recent.look(at(1000), flow(100), 6), flow(100));
        assert_eq!(recent.look(at(9000), flow(900), 6), flow(100), "nothing closer is known");
        assert_eq!(recent.look(at(10_000), flow(1900), 6), flow(1000));
        assert_eq!(recent.look(at(11_000), flow(0), 6), flow(0), "the counters were reset");
        assert_eq!(recent.memory_peak(), 7);
    }

    #[test]
    fn samples_are_bounded() {
        let recent = Recent::default();
        let start = Instant::now();
        for n in 0..1000 {
            recent.look(start + PAUSE * n, flow(u64::from(n)), 0);
        }
        assert!(recent.0.lock().samples.len() <= MAX_SAMPLES);
    }
}
