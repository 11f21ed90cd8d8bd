//! The memory of all shards' hot records, and how writers are slowed down when too much of it is dirty.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::hot::Evicted;
use crate::rows::Growth;

/// The most sessions that may wait for room; more are let through, which only means that they add a command each.
const MAX_WAITERS: usize = 65_536;

/// Bytes in use, bytes dirty, and the limit.
#[derive(Debug)]
pub struct Budget {
    used: AtomicI64,
    dirty: AtomicI64,
    /// Of the used bytes, those of rows that the stores have.
    clean_rows: AtomicI64,
    limit: AtomicI64,
    evicted: AtomicU64,
    waiters: Mutex<Vec<Waker>>,
}

impl Budget {
    /// A budget of `limit` bytes for hot records and rows.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            used: AtomicI64::new(0),
            dirty: AtomicI64::new(0),
            clean_rows: AtomicI64::new(0),
            limit: AtomicI64::new(limit as i64),
            evicted: AtomicU64::new(0),
            waiters: Mutex::default(),
        }
    }

    /// Changes the limit.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit as i64, Ordering::Relaxed);
        self.wake();
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed) as u64
    }

    /// Bytes in use, dirty ones included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed).max(0) as u64
    }

    /// Bytes that the stores have not got.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed).max(0) as u64
    }

    /// Bytes in use and dirty as they are booked, below zero too.
    #[cfg(test)]
    pub(crate) fn exact(&self) -> (i64, i64) {
        (self.used.load(Ordering::Relaxed), self.dirty.load(Ordering::Relaxed))
    }

    /// Records evicted since the start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Books a change of the bytes in use.
    #[inline]
    pub fn book_used(&self, delta: i64) {
        if delta != 0 {
            self.used.fetch_add(delta, Ordering::Relaxed);
        }
    }

    /// Books a change of the dirty bytes.
    #[inline]
    pub fn book_dirty(&self, delta: i64) {
        if delta != 0 {
            self.dirty.fetch_add(delta, Ordering::Relaxed);
        }
    }

    /// Books a change of the rows in memory.
    #[inline]
    pub fn book_rows(&self, growth: Growth) {
        self.book_used(growth.used());
        self.book_dirty(growth.dirty);
        if growth.clean != 0 {
            self.clean_rows.fetch_add(growth.clean, Ordering::Relaxed);
        }
    }

    /// Bytes by which clean rows take more than half of the budget; below zero, what they may still take.
    #[must_use]
    pub fn row_excess(&self) -> i64 {
        self.clean_rows.load(Ordering::Relaxed) - self.limit.load(Ordering::Relaxed) / 2
    }

    /// Books an eviction.
    pub fn book_eviction(&self, evicted: Evicted) {
        if evicted.records > 0 {
            self.used.fetch_sub(evicted.bytes as i64, Ordering::Relaxed);
            self.evicted.fetch_add(evicted.records, Ordering::Relaxed);
        }
    }

    /// Bytes over the limit; 0 when under it.
    #[inline]
    #[must_use]
    pub fn excess(&self) -> usize {
        (self.used.load(Ordering::Relaxed) - self.limit.load(Ordering::Relaxed)).max(0) as usize
    }

    /// Whether settle should not wait for its interval.
    #[must_use]
    pub fn wants_settle(&self) -> bool {
        self.dirty() > self.limit() / 8
    }

    /// Whether writers may go on: at most half of the budget is dirty.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.dirty.load(Ordering::Relaxed) <= self.limit.load(Ordering::Relaxed) / 2
    }

    /// Ready when writers may go on; otherwise the waker is called when they may.
    pub fn poll_room(&self, waker: &Waker) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiters = self.waiters.lock();
        if self.has_room() || waiters.len() >= MAX_WAITERS {
            return Poll::Ready(());
        }
        if !waiters.iter().any(|waiter| waiter.will_wake(waker)) {
            waiters.push(waker.clone());
        }
        Poll::Pending
    }

    /// Blocks until writers may go on, and says whether that happened in time.
    #[must_use]
    pub fn wait_room(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while self.poll_room(&waker).is_pending() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
        true
    }

    /// Called by settle when dirty bytes have become fewer.
    pub fn wake(&self) {
        if !self.has_room() {
            return;
        }
        let waiters = std::mem::take(&mut *self.waiters.lock());
        for waiter in waiters {
            waiter.wake();
        }
    }
}

/// Wakes a thread that waits for room.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_wait_while_more_than_half_is_dirty() {
        let budget = Budget::new(100);
        budget.book_dirty(50);
        assert!(budget.poll_room(Waker::noop()).is_ready());
        budget.book_dirty(1);
        assert!(budget.poll_room(Waker::noop()).is_pending());
        budget.wake();
        assert_eq!(budget.waiters.lock().len(), 1, "nobody is woken while there is no room");
        budget.book_dirty(-1);
        budget.wake();
        assert!(budget.waiters.lock().is_empty());
        assert!(budget.has_room());
    }

    #[test]
    fn excess_is_what_is_over_the_limit() {
        let budget = Budget::new(100);
        budget.book_used(90);
        assert_eq!(budget.excess(), 0);
        budget.book_used(30);
        assert_eq!(budget.excess(), 20);
        budget.book_eviction(Evicted { records: 2, bytes: 30 });
        budget.book_eviction(Evicted::default());
        assert_eq!((budget.excess(), budget.used(), budget.evicted()), (0, 90, 2));
    }
}
