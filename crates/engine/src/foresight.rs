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

mod elements;

#[cfg(test)]
pub(crate) use elements::elements;

use smallvec::SmallVec;

use crate::hot::Entry;
use crate::instance::Instance;
use crate::prefetch::prefetch;
use crate::shard::Shard;

/// How many keys are looked at in one go. More would push each other out of the nearest cache.
pub(crate) const MOST_KEYS: usize = 32;
/// Less than this in memory stays in the processor's caches by itself.
const CACHED: u64 = if cfg!(test) { 1 } else { 1 << 20 };

/// Keys that come to be known one after the other, and are looked ahead at together.
#[derive(Debug, Default)]
pub struct Outlook {
    database: usize,
    places: Places,
}

type Places = SmallVec<[(u64, usize); MOST_KEYS]>;

/// What a request that has not run yet seems to be about.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'k> {
    /// The key.
    pub key: &'k [u8],
    /// The word after it and the last one, if there are others: one of them may name an element.
    pub words: Option<[&'k [u8]; 2]>,
}

impl Outlook {
    /// Whether there is nothing to look at.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

impl Instance {
    /// Takes a key in; says whether that is worth while. The keys before it are looked at when there are many, or when it is
    /// of another database.
    pub fn gather(&self, outlook: &mut Outlook, database: usize, key: &[u8]) -> bool {
        if self.budget.used() < CACHED {
            return false;
        }
        if outlook.places.len() == MOST_KEYS || outlook.database != database {
            self.foresee_gathered(outlook);
        }
        let Some(shard) = self.shard(database) else { return false };
        outlook.database = database;
        let place = shard.place(key);
        prefetch(&shard.stripes[place.1]);
        outlook.places.push(place);
        true
    }

    /// Has the records of the keys that were taken in at hand for the runs that follow.
    pub fn foresee_gathered(&self, outlook: &mut Outlook) {
        if let Some(shard) = self.shard(outlook.database) {
            look(&shard, &outlook.places);
        }
        outlook.places.clear();
    }

    /// Has the records of these requests at hand for the runs that follow, and the rows of the elements they name.
    pub fn foresee_requests<'k>(&self, database: usize, requests: impl Iterator<Item = Glance<'k>>) {
        if self.budget.used() < CACHED {
            return;
        }
        let Some(shard) = self.shard(database) else { return };
        let glances: SmallVec<[Glance<'k>; MOST_KEYS]> = requests.take(MOST_KEYS).collect();
        look(&shard, &places(&shard, glances.iter().map(|glance| glance.key)));
        elements::look(&shard, &glances);
    }

    /// Has the records of these keys at hand for the runs that follow.
    pub fn foresee<'k>(&self, database: usize, keys: impl Iterator<Item = &'k [u8]>) {
        if self.budget.used() < CACHED {
            return;
        }
        let Some(shard) = self.shard(database) else { return };
        look(&shard, &places(&shard, keys));
    }
}

#[inline]
fn look(shard: &Shard, places: &[(u64, usize)]) {
    if places.len() > 1 {
        each_entry(shard, places, prefetch);
        each_entry(shard, places, Entry::prefetch);
    }
}

/// The hashes and stripes of keys; their stripes are asked for.
#[inline]
pub(crate) fn places<'k>(shard: &Shard, keys: impl Iterator<Item = &'k [u8]>) -> Places {
    let mut places = Places::new();
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
            stripe.each(std::iter::once(hash), &mut show);
        }
    }
}
