//! Tells others that something about the instance as a whole has changed: a database was made, a log's generation or the
//! role changed. It does not tell what: who waits looks at the instance again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The most tasks that may wait; more are let through at once, and look more often than they need.
const MAX_WAITERS: usize = 4096;

/// Counts changes and wakes who waits for the next one.
#[derive(Debug, Default)]
pub struct Changes {
    count: AtomicU64,
    waiters: Mutex<Vec<Waker>>,
    bell: Condvar,
}

impl Changes {
    /// How many changes there have been: to be taken before the instance is looked at.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Ready when there have been more changes than `seen`; else wakes `waker` then.
    pub fn poll(&self, seen: u64, waker: &Waker) -> Poll<()> {
        if self.count() > seen {
            return Poll::Ready(());
        }
        let mut waiters = self.waiters.lock();
        if self.count() > seen || waiters.len() >= MAX_WAITERS {
            return Poll::Ready(());
        }
        if !waiters.iter().any(|waiter| waiter.will_wake(waker)) {
            waiters.push(waker.clone());
        }
        Poll::Pending
    }

    /// Blocks until there have been more changes than `seen`, and says whether that happened in time.
    #[must_use]
    pub fn wait(&self, seen: u64, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut waiters = self.waiters.lock();
        while self.count() <= seen {
            if self.bell.wait_until(&mut waiters, until).timed_out() {
                return self.count() > seen;
            }
        }
        true
    }

    /// Something has changed, and can be seen.
    pub(crate) fn note(&self) {
        let waiters = {
            let mut waiters = self.waiters.lock();
            self.count.fetch_add(1, Ordering::AcqRel);
            self.bell.notify_all();
            std::mem::take(&mut *waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Rung(AtomicUsize);

    impl Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_change_wakes_who_waits_and_is_seen_by_who_comes_later() {
        let (changes, rung) = (Changes::default(), Arc::new(Rung::default()));
        let waker = Waker::from(rung.clone());
        let seen = changes.count();
        assert!(changes.poll(seen, &waker).is_pending() && changes.poll(seen, &waker).is_pending());
        assert!(!changes.wait(seen, Duration::ZERO));
        changes.note();
        assert_eq!(rung.0.load(Ordering::Relaxed), 1, "one task is woken once");
        assert!(changes.poll(seen, &waker).is_ready() && changes.wait(seen, Duration::ZERO));
        assert!(changes.poll(changes.count(), &waker).is_pending());
    }

    #[test]
    fn a_thread_that_waits_is_woken() {
        let changes = Arc::new(Changes::default());
        let seen = changes.count();
        let waiting = std::thread::spawn({
            let changes = changes.clone();
            move || changes.wait(seen, Duration::from_secs(60))
        });
        changes.note();
        assert!(waiting.join().unwrap());
    }
}
