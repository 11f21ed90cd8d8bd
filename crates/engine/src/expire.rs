//! Active expiry: what has expired in memory is deleted through the log, a share of the stripes at a time.
//!
//! Readers never see an expired record or field, and a command that meets an expired record in memory deletes it
//! (`Instance::expire_met`); so this only keeps DBSIZE and HLEN near what a user expects and gives
//! memory back. A record that is not in memory is met by a compaction later, see `settle::bury_expired`; the fields of a
//! hash that is not in memory wait until somebody reads it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use keyspace::map::{self, MapError};
use keyspace::{Kind, Millis, Record, View};

use crate::hot::STRIPES;
use crate::instance::Instance;
use crate::run::{Abort, LockKey, Place, Request, Scope};
use crate::shard::Shard;
use crate::txn::Scratch;

/// Stripes that one sweep looks at in any case: all of them in sixteen sweeps.
const STRIPES_A_SWEEP: usize = STRIPES / 16;
/// It looks at further ones, at most at all of them, until it has seen so many records: where there are few, expired
/// ones leave within a second.
const RECORDS_A_SWEEP: usize = 50_000;
/// Records that one sweep deletes at most.
const DELETES_A_SWEEP: usize = 10_000;
/// Fields that one sweep removes, about: the last run may remove some more.
const FIELDS_A_SWEEP: usize = 10_000;
/// Fields of an exploded hash that one run removes at most: its lock is not held for long, its frame is not large.
const FIELDS_A_RUN: usize = 128;

/// A primary that nobody has written to since it was opened, or promoted, deletes nothing for so long.
const REST: Duration = Duration::from_mins(1);

/// Where the sweeps of a shard are.
#[derive(Debug, Default)]
pub struct Sweep {
    /// A record that can expire, or has fields that can, was written or read since the process began.
    worthwhile: AtomicBool,
    next: AtomicUsize,
    deleted: AtomicU64,
}

impl Sweep {
    /// Notes a record of the shard: if there is something about it that can expire, sweeps are worthwhile.
    #[inline]
    pub fn see(&self, record: &Record<'_>) {
        if record.head.expire_at.is_some() || map::can_expire(record) {
            self.note();
        }
    }

    /// Notes that the shard has something that can expire.
    #[inline]
    pub fn note(&self) {
        if !self.worthwhile.load(Ordering::Relaxed) {
            self.worthwhile.store(true, Ordering::Relaxed);
        }
    }

    /// Counts deleted records.
    pub fn count(&self, records: u64) {
        self.deleted.fetch_add(records, Ordering::Relaxed);
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
    // A primary that has just been started may yet have to follow another one: it does not part from it for this.
    if shard.rested().is_some_and(|rested| rested < REST) {
        return;
    }
    let clock = (instance.options.clock)();
    if instance.holds_expiry(clock) {
        return;
    }
    let first = sweep.next.load(Ordering::Relaxed);
    let (mut stripes, mut records) = (0, 0);
    let (mut expired, mut hashes) = (Vec::new(), Vec::new());
    while stripes < STRIPES_A_SWEEP || (stripes < STRIPES && records < RECORDS_A_SWEEP) {
        let stripe = shard.stripes[(first + stripes) % STRIPES].0.lock();
        stripes += 1;
        for entry in stripe.table.iter() {
            records += 1;
            let Ok(Some(record)) = entry.record() else { continue };
            if record.is_expired(clock) {
                if expired.len() < DELETES_A_SWEEP {
                    expired.push(entry.key().to_vec());
                }
            } else if hashes.len() < FIELDS_A_SWEEP && map::may_have_expired(&record, clock) {
                hashes.push(entry.key().to_vec());
            }
        }
    }
    sweep.next.store((first + stripes) % STRIPES, Ordering::Relaxed);
    for key in expired {
        if delete(shard, instance, &key, clock, scratch) {
            sweep.count(1);
        }
    }
    let mut left = FIELDS_A_SWEEP;
    for key in hashes {
        left = left.saturating_sub(purge(shard, instance, &key, clock, left, scratch));
        if left == 0 {
            break;
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

/// Removes expired fields of one hash, about `limit` of them at most, and the hash with its last field; answers how many
/// went. In several runs, so that others get at the hash in between.
fn purge(shard: &Shard, instance: &Instance, key: &[u8], clock: Millis, limit: usize, scratch: &mut Scratch) -> usize {
    let keys = [LockKey { database: shard.database, key }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: shard.database, clock };
    let (mut removed, mut most) = (0, FIELDS_A_RUN.min(limit));
    while removed < limit {
        let mut now_removed = 0;
        let ran = instance.run(&request, scratch, &mut |view| {
            now_removed = purge_some(view, key, most)?;
            Ok(())
        });
        match ran {
            Ok(_) => removed += now_removed,
            // Names can be so long that a frame has room for a few of them only.
            Err(_) if most > 1 => {
                most = 1;
                continue;
            }
            Err(_) => break,
        }
        if now_removed < most {
            break;
        }
    }
    removed
}

fn purge_some(view: &mut dyn View, key: &[u8], most: usize) -> Result<usize, Abort> {
    match map::purge(view, key, Kind::Hash, most) {
        Ok(removed) => Ok(removed),
        // It was replaced by something else since it was met.
        Err(MapError::WrongType) => Ok(0),
        Err(MapError::Stop(stop)) => Err(Abort::Stop(stop)),
    }
}
