//! When to try again: [`Retry`] counts failures and measures pauses, [`Jitter`] spreads them.
//!
//! A pause is a ninth longer than the one before it. So after an outage of any length the next try comes within about a
//! ninth of that length (and at most `repl-backoff-max`): what is repaired quickly is noticed quickly.

use crate::{Cause, Class, Config, Millis};

/// The retries of one machine in one episode, which ends when it stays connected for `repl-stable-after`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Retry {
    /// Failures of the episode; they make pauses longer.
    pub attempt: u32,
    /// Those of them that are charged to the budget.
    charged: u32,
    /// What the machine waits for before the next try.
    pause: Pause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pause {
    /// The back-off.
    Until(Millis),
    /// The budget is spent; the cool-down began then.
    Rest(Millis),
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another try.
    Retry,
    /// Rest: the budget is spent.
    Spent,
}

impl Retry {
    /// A new episode; the first try is due at `now`.
    pub fn new(now: Millis) -> Retry {
        Retry { attempt: 0, charged: 0, pause: Pause::Until(now) }
    }

    /// Counts a failure and chooses the pause.
    pub fn fail(&mut self, now: Millis, cause: Cause, config: &Config, jitter: &mut Jitter) -> Next {
        self.attempt = self.attempt.saturating_add(1);
        if cause.is_charged() {
            self.charged = self.charged.saturating_add(1);
        }
        if self.is_spent(config) {
            self.pause = Pause::Rest(now);
            return Next::Spent;
        }
        let pause = jitter.spread(pause(self.attempt, cause.class(), config), config.jitter_percent);
        self.pause = Pause::Until(now + pause);
        Next::Retry
    }

    /// When the next try is due; `None` while it rests until an operator resets.
    pub fn due(&self, config: &Config) -> Option<Millis> {
        match self.pause {
            Pause::Until(at) => Some(at),
            Pause::Rest(_) if config.retry_cooldown == Millis(0) => None,
            Pause::Rest(since) => Some(since + config.retry_cooldown),
        }
    }

    /// The pause is over and a try begins; after a rest with a new budget.
    pub fn begin(&mut self, now: Millis) {
        match self.pause {
            Pause::Until(_) => self.pause = Pause::Until(now),
            Pause::Rest(_) => *self = Retry::new(now),
        }
    }

    /// A link to the primary came up, which is reason enough for one try, but not for a new budget, where a rest would
    /// otherwise last until an operator resets.
    pub fn wake(&mut self, now: Millis, config: &Config) {
        if self.due(config).is_none() {
            self.pause = Pause::Until(now);
        }
    }

    /// How much of the budget is spent.
    pub fn charged(&self) -> u32 {
        self.charged
    }

    /// Whether the budget is spent.
    pub fn rests(&self) -> bool {
        match self.pause {
            Pause::Rest(_) => true,
            Pause::Until(_) => false,
        }
    }

    /// Whether nothing failed since the episode began.
    pub fn is_fresh(&self) -> bool {
        self.attempt == 0
    }

    /// Moves each time in here with `shift`, which moves the present to `origin`. A pause that is over is over, however
    /// long ago.
    pub fn shift(&mut self, shift: &mut impl FnMut(&mut Millis), origin: Millis) {
        match &mut self.pause {
            Pause::Until(at) => {
                shift(at);
                *at = (*at).max(origin);
            }
            Pause::Rest(since) => shift(since),
        }
    }

    /// No pause is longer than the parameters now allow, and a rest ends if they allow more failures than there were.
    pub fn reconfigure(&mut self, now: Millis, config: &Config) {
        match self.pause {
            Pause::Until(at) => {
                let longest = cap(Class::SelfInflicted, config);
                self.pause = Pause::Until(at.min(now + longest + longest));
            }
            Pause::Rest(_) if self.is_spent(config) => {}
            Pause::Rest(_) => self.pause = Pause::Until(now),
        }
    }

    fn is_spent(&self, config: &Config) -> bool {
        config.retry_limit > 0 && self.charged >= config.retry_limit
    }
}

/// Class `Waiting` starts here.
const WAITING: Millis = Millis::seconds(5);
/// Class `SelfInflicted` always waits so long.
const SELF_INFLICTED: Millis = Millis::seconds(30);

fn floor(class: Class, config: &Config) -> Millis {
    match class {
        Class::Transient | Class::Wanted => config.backoff_min,
        Class::Waiting => config.backoff_min.max(WAITING),
        Class::SelfInflicted => config.backoff_min.max(SELF_INFLICTED),
    }
}

fn cap(class: Class, config: &Config) -> Millis {
    config.backoff_max.max(floor(class, config))
}

/// The pause after so many failures, the last of them of this class.
fn pause(attempt: u32, class: Class, config: &Config) -> Millis {
    let cap = cap(class, config);
    let mut pause = floor(class, config);
    for _ in 1..attempt {
        if pause >= cap {
            return cap;
        }
        pause = pause + Millis((pause.0 / 9).max(1));
    }
    pause.min(cap)
}

/// A small generator of chance (SplitMix64, Steele et al. 2014), so that machines which failed together do not retry
/// together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Jitter(pub u64);

impl Jitter {
    /// The span, longer or shorter by up to `percent`, and at least 1 ms.
    fn spread(&mut self, span: Millis, percent: u8) -> Millis {
        let percent = u64::from(percent);
        if percent == 0 {
            return span.max(Millis(1));
        }
        let share = 100 - percent + self.draw() % (2 * percent + 1);
        Millis((span.0.saturating_mul(share) / 100).max(1))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses_grow_by_a_ninth_up_to_the_longest() {
        let config = Config::default();
        let of = |attempt, class| pause(attempt, class, &config).0;
        assert_eq!([1, 2, 3, 4].map(|n| of(n, Class::Transient)), [100, 111, 123, 136]);
        assert_eq!(of(100, Class::Transient), 30_000);
        assert_eq!([1, 2, 100].map(|n| of(n, Class::Waiting)), [5_000, 5_555, 30_000]);
        assert_eq!([1, 2, 100].map(|n| of(n, Class::SelfInflicted)), [30_000; 3]);
        assert_eq!(of(u32::MAX, Class::Transient), 30_000);
    }

    /// What the choice of a ninth is for: whenever the primary comes back, the next dial is near.
    #[test]
    fn after_any_outage_the_next_try_is_within_a_ninth_of_it() {
        let config = Config::default();
        let mut elapsed = 0;
        for attempt in 1..200 {
            let next = pause(attempt, Class::Transient, &config).0;
            assert!(next <= 100 + elapsed / 9, "{next} ms after {elapsed} ms");
            elapsed += next;
        }
    }

    #[test]
    fn a_spent_budget_rests_for_the_cooldown_and_begins_anew() {
        let config = Config { retry_limit: 3, ..Config::default() };
        let (mut retry, mut jitter) = (Retry::new(Millis(0)), Jitter(1));
        let mut fail = |retry: &mut Retry, cause| retry.fail(Millis(1_000), cause, &config, &mut jitter);
        assert_eq!(fail(&mut retry, Cause::Timeout), Next::Retry);
        assert_eq!(fail(&mut retry, Cause::Busy), Next::Retry, "not charged");
        assert_eq!(fail(&mut retry, Cause::Timeout), Next::Retry);
        assert_eq!(fail(&mut retry, Cause::Timeout), Next::Spent);
        assert_eq!(retry.due(&config), Some(Millis(301_000)));
        let for_ever = Config { retry_cooldown: Millis(0), ..config.clone() };
        assert_eq!(retry.due(&for_ever), None);
        let mut woken = retry.clone();
        woken.wake(Millis(2_000), &for_ever);
        assert_eq!(woken.due(&for_ever), Some(Millis(2_000)));
        assert_eq!(fail(&mut woken, Cause::Timeout), Next::Spent, "one try, no new budget");
        retry.begin(Millis(301_000));
        assert_eq!(retry, Retry::new(Millis(301_000)));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_share(seed: u64, span in 1..100_000_u64, percent in 0..50_u8) {
            let spread = Jitter(seed).spread(Millis(span), percent).0;
            let part = span * u64::from(percent) / 100 + 1;
            prop_assert!(spread >= 1 && (span.saturating_sub(part)..=span + part).contains(&spread));
        }
    }
}
