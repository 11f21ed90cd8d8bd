//! Looking ahead: what the next runs will look up is brought into the processor's caches, for all of them at once.
//!
//! ```text
//! hash ──▶ stripe ──▶ the table's tags ──▶ entry ──▶ bytes
//! ```
//!
//! Each of these steps is known only when the one before it has come from memory, so a run alone waits several times.
//! Here every step is taken for all keys before the next one is, and the waits of different keys overlap.
//!
//! It changes nothing and promises nothing: a stripe that somebody holds is passed over.

use smallvec::SmallVec;

use crate::hot::Entry;
use crate::instance::Instance;
use crate::prefetch::prefetch;
use crate::shard::Shard;

/// How many keys are looked at in one go. More would push each other out of the nearest cache.
const MOST_KEYS: usize = 32;
/// Less than this in memory stays in the processor's caches by itself.
const CACHED: u64 = if cfg!(test) { 1 } else { 1 << 20 };

impl Instance {
    /// Has the records of these keys at hand for the runs that follow.
    pub fn foresee<'k>(&self, database: usize, keys: impl Iterator<Item = &'k [u8]>) {
        if self.budget.used() < CACHED {
            return;
        }
        let Some(shard) = self.shard(database) else { return };
        let places = places(&shard, keys);
        if places.len() > 1 {
            each_entry(&shard, &places, prefetch);
            each_entry(&shard, &places, Entry::prefetch);
        }
    }
}

/// The hashes and stripes of keys; their stripes are asked for.
#[inline]
pub(crate) fn places<'k>(shard: &Shard, keys: impl Iterator<Item = &'k [u8]>) -> SmallVec<[(u64, usize); MOST_KEYS]> {
    let mut places = SmallVec::new();
    for key in keys.take(MOST_KEYS) {
        let place = shard.place(key);
        if places.last() != Some(&place) {
            prefetch(&shard.stripes[place.1]);
            places.push(place);
        }
    }
    places
}

/// Shows the entries that the tables' tags lead to for each hash, without a look at them.
#[inline]
pub(crate) fn each_entry(shard: &Shard, places: &[(u64, usize)], mut show: impl FnMut(&Entry)) {
    for &(hash, stripe) in places {
        if let Some(stripe) = shard.stripes[stripe].0.try_lock() {
            let _ = stripe.table.find(hash, |entry| {
                show(entry);
                false
            });
        }
    }
}
