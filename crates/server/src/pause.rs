//! CLIENT PAUSE: which commands are held back, and until when.
//!
//! A session whose next command is held back waits with it, unread; replicas are fed as ever. What expires meanwhile is not
//! read, and is deleted when the pause is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A longer pause ends after this: clocks have an end.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What is held back, in the order in which a pause can only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Commands that may write.
    Writes,
    /// All commands.
    All,
}

/// What a command is to a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// It writes nothing.
    Reads,
    /// It may write.
    Writes,
}

/// A pause that was asked for.
#[derive(Clone, Copy, Debug)]
struct Spell {
    held: Held,
    until: Instant,
}

/// The pause of a server, if there is one.
#[derive(Debug, Default)]
pub struct Pause {
    /// Whether there was one a moment ago: who reads `false` need not ask further.
    is_on: AtomicBool,
    spell: Mutex<Option<Spell>>,
    ended: Notify,
}

impl Pause {
    /// Holds commands back for `time` from now. One that is under way is not made shorter, and does not hold back less.
    /// Answers how long it will take.
    pub fn begin(&self, held: Held, time: Duration) -> Duration {
        let now = Instant::now();
        let mut spell = self.spell.lock();
        let before = spell.filter(|spell| spell.until > now);
        let fresh = Spell { held, until: now + time.min(LONGEST) };
        let merged = before
            .map_or(fresh, |before| Spell { held: before.held.max(fresh.held), until: before.until.max(fresh.until) });
        *spell = Some(merged);
        self.is_on.store(true, Ordering::Relaxed);
        merged.until - now
    }

    /// Lets all commands go on.
    pub fn end(&self) {
        *self.spell.lock() = None;
        self.is_on.store(false, Ordering::Relaxed);
        self.ended.notify_waiters();
    }

    /// What is held back now, and how long still.
    pub fn now(&self) -> Option<(Held, Duration)> {
        if !self.is_on.load(Ordering::Relaxed) {
            return None;
        }
        let now = Instant::now();
        let mut spell = self.spell.lock();
        *spell = spell.filter(|spell| spell.until > now);
        if spell.is_none() {
            self.is_on.store(false, Ordering::Relaxed);
        }
        spell.map(|spell| (spell.held, spell.until - now))
    }

    /// How long a command is held back, if it is.
    #[inline]
    pub fn holds(&self, nature: impl FnOnce() -> Nature) -> Option<Duration> {
        if !self.is_on.load(Ordering::Relaxed) {
            return None;
        }
        self.now().filter(|(held, _)| *held == Held::All || nature() == Nature::Writes).map(|(_, left)| left)
    }

    /// Waits until a command is no longer held back. Its deadline is the pause's.
    pub(crate) async fn over(&self, nature: Nature) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Before the look, so that an end after it is not missed.
            ended.as_mut().enable();
            let Some(left) = self.holds(|| nature) else { return };
            // The outcome does not matter: either way there is a new look.
            let _ = tokio::time::timeout(left, ended).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[test]
    fn a_pause_only_grows_until_it_ends() {
        let pause = Pause::default();
        assert_eq!((pause.now(), pause.holds(|| Nature::Writes)), (None, None));
        pause.begin(Held::Writes, LONG);
        assert!(pause.holds(|| Nature::Writes).is_some() && pause.holds(|| Nature::Reads).is_none());
        assert!(pause.begin(Held::All, Duration::ZERO) > LONG / 2, "it is not made shorter");
        assert!(pause.holds(|| Nature::Reads).is_some());
        assert!(pause.begin(Held::Writes, 2 * LONG) > LONG, "but longer");
        assert!(pause.now().is_some_and(|(held, left)| held == Held::All && left > LONG));
        pause.end();
        assert_eq!(pause.now(), None);
        pause.begin(Held::Writes, Duration::ZERO);
        assert_eq!(pause.now(), None, "it is over at once");
        assert!(pause.begin(Held::Writes, Duration::MAX) <= LONGEST);
    }

    #[test]
    fn its_end_wakes_those_who_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let pause = Pause::default();
            pause.begin(Held::Writes, LONG);
            pause.over(Nature::Reads).await;
            let waits = pause.over(Nature::Writes);
            let ends = async { pause.end() };
            tokio::join!(waits, ends);
            pause.begin(Held::All, Duration::from_millis(1));
            pause.over(Nature::Reads).await;
            assert_eq!(pause.now(), None);
        });
    }
}
