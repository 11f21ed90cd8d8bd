//! A position that only grows, and those who wait for it to pass theirs.
//!
//! Advancing it costs one atomic operation while nobody waits. Between "I wait" and "it moved" stand two sequentially
//! consistent operations on each side, so either the waiter sees the move or the mover sees the waiter.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use lineage::Lsn;
use parking_lot::{Condvar, Mutex};

/// At most so many wakers are kept. At the bound the oldest is woken early; it will look again and come back.
const MAX_WAKERS: usize = 16 << 10;
/// A waker that comes again is looked for among so many of the newest.
const LOOK_BACK: usize = 32;
/// Nobody waits longer than this, so that a deadline can always be computed.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Default)]
pub(crate) struct Watermark {
    value: AtomicU64,
    /// How many wait, so that nobody takes the lock while nobody does.
    waiting: AtomicUsize,
    waiters: Mutex<Waiters>,
    moved: Condvar,
}

#[derive(Default)]
struct Waiters {
    wakers: VecDeque<(Lsn, Waker)>,
    threads: usize,
}

impl Watermark {
    pub(crate) fn new(at: Lsn) -> Watermark {
        Watermark { value: AtomicU64::new(at.0), ..Watermark::default() }
    }

    pub(crate) fn get(&self) -> Lsn {
        Lsn(self.value.load(Ordering::Acquire))
    }

    /// Moves the mark up to `lsn`, if it is not there yet, and wakes who waited for that.
    pub(crate) fn advance(&self, lsn: Lsn) {
        self.value.fetch_max(lsn.0, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut waiters = self.waiters.lock();
        let reached = self.get();
        let (due, later) = mem::take(&mut waiters.wakers).into_iter().partition(|(lsn, _)| *lsn <= reached);
        waiters.wakers = later;
        self.count(&waiters);
        self.moved.notify_all();
        drop(waiters);
        let due: VecDeque<(Lsn, Waker)> = due;
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Ready when the mark has reached `lsn`; else `waker` is woken when it does, or before.
    pub(crate) fn poll(&self, lsn: Lsn, waker: &Waker) -> Poll<()> {
        if self.get() >= lsn {
            return Poll::Ready(());
        }
        let mut waiters = self.waiters.lock();
        let mut newest = waiters.wakers.iter_mut().rev().take(LOOK_BACK);
        let mut crowded_out = None;
        match newest.find(|(_, known)| known.will_wake(waker)) {
            Some((known, _)) => *known = lsn.min(*known),
            None => {
                if waiters.wakers.len() == MAX_WAKERS {
                    crowded_out = waiters.wakers.pop_front();
                }
                waiters.wakers.push_back((lsn, waker.clone()));
            }
        }
        self.count(&waiters);
        let reached = self.value.load(Ordering::SeqCst) >= lsn.0;
        drop(waiters);
        if let Some((_, oldest)) = crowded_out {
            oldest.wake();
        }
        if reached { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Blocks until the mark has reached `lsn` or the time is over, and says whether it has.
    pub(crate) fn wait(&self, lsn: Lsn, timeout: Duration) -> bool {
        if self.get() >= lsn {
            return true;
        }
        let deadline = Instant::now() + timeout.min(MAX_WAIT);
        let mut waiters = self.waiters.lock();
        waiters.threads += 1;
        self.count(&waiters);
        while self.value.load(Ordering::SeqCst) < lsn.0 {
            if self.moved.wait_until(&mut waiters, deadline).timed_out() {
                break;
            }
        }
        waiters.threads -= 1;
        self.count(&waiters);
        self.get() >= lsn
    }

    fn count(&self, waiters: &Waiters) {
        self.waiting.store(waiters.wakers.len() + waiters.threads, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    #[test]
    fn a_waker_is_woken_once_when_its_position_is_reached() {
        let mark = Watermark::new(Lsn(10));
        let (count, waker) = waker();
        assert_eq!(mark.poll(Lsn(10), &waker), Poll::Ready(()));
        assert_eq!(mark.poll(Lsn(20), &waker), Poll::Pending);
        assert_eq!(mark.poll(Lsn(20), &waker), Poll::Pending);
        mark.advance(Lsn(19));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        mark.advance(Lsn(20));
        mark.advance(Lsn(30));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(mark.waiting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn it_never_goes_back() {
        let mark = Watermark::new(Lsn(10));
        mark.advance(Lsn(5));
        assert_eq!(mark.get(), Lsn(10));
    }

    #[test]
    fn at_the_bound_the_oldest_waker_is_woken_early() {
        let mark = Watermark::new(Lsn(0));
        let (oldest, first) = waker();
        assert_eq!(mark.poll(Lsn(1), &first), Poll::Pending);
        let others: Vec<Waker> = (0..MAX_WAKERS).map(|_| waker().1).collect();
        for other in &others {
            assert_eq!(mark.poll(Lsn(1), other), Poll::Pending);
        }
        assert_eq!(oldest.0.load(Ordering::SeqCst), 1);
        assert_eq!(mark.waiters.lock().wakers.len(), MAX_WAKERS);
    }

    #[test]
    fn a_thread_waits_until_the_mark_moves_or_its_time_is_over() {
        let mark = Watermark::new(Lsn(0));
        assert!(!mark.wait(Lsn(1), Duration::ZERO));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mark.wait(Lsn(5), Duration::from_secs(60)));
            mark.advance(Lsn(5));
            assert!(waiting.join().unwrap());
        });
        assert_eq!(mark.waiting.load(Ordering::SeqCst), 0);
    }
}
