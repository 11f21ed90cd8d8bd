//! Active expiry: what has expired in memory is deleted through the log, a share of the stripes at a time.
//!
//! Readers never see an expired record, so this only keeps DBSIZE near what a user expects and gives memory back. What
//! is not in memory is met by a compaction later, see `settle::bury_expired`.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use keyspace::Millis;

use crate::hot::STRIPES;
use crate::instance::Instance;
use crate::run::{LockKey, Place, Request, Scope};
use crate::shard::Shard;
use crate::txn::Scratch;

/// Stripes that one sweep looks at: all of them in sixteen sweeps.
const STRIPES_A_SWEEP: usize = STRIPES / 16;
/// Records that one sweep deletes at most.
const DELETES_A_SWEEP: usize = 10_000;

/// Where the sweeps of a shard are.
#[derive(Debug, Default)]
pub struct Sweep {
    /// A record that can expire was written or read since the process began.
    worthwhile: AtomicBool,
    next: AtomicUsize,
    deleted: AtomicU64,
}

impl Sweep {
    /// Notes that the shard has records that can expire.
    #[inline]
    pub fn note(&self) {
        if !self.worthwhile.load(Ordering::Relaxed) {
            self.worthwhile.store(true, Ordering::Relaxed);
        }
    }

    /// Records deleted so far.
    pub fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::Relaxed)
    }
}

/// Deletes some of what has expired. Runs at a thread that may wait.
pub fn sweep(shard: &Shard, instance: &Instance, scratch: &mut Scratch) {
    let sweep = &shard.sweep;
    if !sweep.worthwhile.load(Ordering::Relaxed) || shard.refuses_writes().is_some() {
        return;
    }
    let clock = (instance.options.clock)();
    let first = sweep.next.fetch_add(STRIPES_A_SWEEP, Ordering::Relaxed);
    let mut expired = Vec::new();
    for at in first..first + STRIPES_A_SWEEP {
        let stripe = shard.stripes[at % STRIPES].0.lock();
        for entry in stripe.table.iter() {
            if expired.len() < DELETES_A_SWEEP
                && entry.record().ok().flatten().is_some_and(|record| record.is_expired(clock))
            {
                expired.push(entry.key().to_vec());
            }
        }
    }
    for key in expired {
        if delete(shard, instance, &key, clock, scratch) {
            sweep.deleted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Deletes one key if it is still expired; `true` when it was.
fn delete(shard: &Shard, instance: &Instance, key: &[u8], clock: Millis, scratch: &mut Scratch) -> bool {
    let keys = [LockKey { database: shard.database, key }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: shard.database, clock };
    let mut was_expired = false;
    let ran = instance.run(&request, scratch, &mut |view| {
        // A live record stays; an expired one reads as none, and deleting it removes what is left.
        was_expired = view.record(key)?.is_none();
        if was_expired {
            view.delete(key)?;
        }
        Ok(())
    });
    was_expired && ran.is_ok()
}
