//! Keys that somebody waits for: a commit that makes one of them present says so.
//!
//! A commit looks at one number; only while somebody waits does it look further. Who waits counts itself in here first
//! and looks at the key under its lock afterwards: a commit that comes later than that look sees the count, since it
//! takes the same lock. Counts belong to keys, not to shards, which may be made or replaced meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::hot::KeyHasher;

/// Keys that hash alike share a counter.
const COUNTERS: usize = 4096;

/// How many wait, in all and for keys of each hash.
pub(crate) struct Awaited {
    all: AtomicU32,
    counters: Box<[AtomicU32]>,
    hasher: KeyHasher,
}

impl Default for Awaited {
    fn default() -> Self {
        let counters = (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self { all: AtomicU32::new(0), counters, hasher: KeyHasher::default() }
    }
}

impl Awaited {
    /// Whether anybody waits for anything.
    #[inline]
    pub fn any(&self) -> bool {
        self.all.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody waits for this key, or for one that hashes alike. A caller that has it locked misses nobody.
    pub fn has(&self, database: usize, key: &[u8]) -> bool {
        self.counters[self.place(database, key)].load(Ordering::Relaxed) > 0
    }

    fn place(&self, database: usize, key: &[u8]) -> usize {
        (self.hasher.hash(key) as usize).wrapping_add(database) % COUNTERS
    }
}

/// Somebody waits for a key, until this is dropped.
pub struct Expectation {
    awaited: Arc<Awaited>,
    place: usize,
}

impl Expectation {
    pub(crate) fn new(awaited: &Arc<Awaited>, database: usize, key: &[u8]) -> Self {
        let place = awaited.place(database, key);
        awaited.all.fetch_add(1, Ordering::Relaxed);
        awaited.counters[place].fetch_add(1, Ordering::Relaxed);
        Self { awaited: Arc::clone(awaited), place }
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.awaited.counters[self.place].fetch_sub(1, Ordering::Relaxed);
        self.awaited.all.fetch_sub(1, Ordering::Relaxed);
    }
}
