//! Keys that somebody waits for: a commit that makes one of them present says so.
//!
//! A commit looks at one number of its shard; only while somebody waits does it look at its stripes. Who waits counts
//! itself in here first and looks at the key under its lock afterwards: a commit that comes later than that look sees
//! the count, since it takes the same lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::hot::STRIPES;
use crate::shard::Shard;

/// How many wait in a shard, and at which stripes.
#[derive(Debug)]
pub(crate) struct Awaited {
    all: AtomicU32,
    stripes: Box<[AtomicU32]>,
}

impl Default for Awaited {
    fn default() -> Self {
        Self { all: AtomicU32::new(0), stripes: (0..STRIPES).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Awaited {
    /// Whether anybody waits for anything.
    #[inline]
    pub fn any(&self) -> bool {
        self.all.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody waits for a key of this stripe. The caller has the stripe locked.
    pub fn at(&self, stripe: usize) -> bool {
        self.stripes[stripe].load(Ordering::Relaxed) > 0
    }
}

/// Somebody waits for a key, until this is dropped.
pub struct Expectation {
    shard: Arc<Shard>,
    stripe: usize,
}

impl Expectation {
    /// From the next run on, runs that make `key` present tell so.
    #[must_use]
    pub fn new(shard: &Arc<Shard>, key: &[u8]) -> Self {
        let (_, stripe) = shard.place(key);
        shard.awaited.all.fetch_add(1, Ordering::Relaxed);
        shard.awaited.stripes[stripe].fetch_add(1, Ordering::Relaxed);
        Self { shard: Arc::clone(shard), stripe }
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.shard.awaited.stripes[self.stripe].fetch_sub(1, Ordering::Relaxed);
        self.shard.awaited.all.fetch_sub(1, Ordering::Relaxed);
    }
}
