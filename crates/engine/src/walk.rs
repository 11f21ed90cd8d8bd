//! Questions about a whole shard: walks in key order, the number of records, some key.
//!
//! A walk merges the store with a sorted copy of the dirty entries. The copy is made first: what is clean by then is in
//! the store that is read afterwards, so a record that is there all the time is seen, whatever settles meanwhile.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use keyspace::{Millis, Page, Record, Seek};
use std::collections::HashMap;

use crate::fault::Fault;
use crate::hot::{Entry, InStore, STRIPES, Stripe};
use crate::shard::Shard;
use crate::store::{Found, Reach};

/// What a walk is to visit.
pub struct Asked<'a> {
    /// From where on.
    pub from: Seek<'a>,
    /// Only keys that begin with this.
    pub prefix: &'a [u8],
    /// At most so many.
    pub limit: usize,
    /// For expiry.
    pub now: Millis,
}

impl Asked<'_> {
    fn holds(&self, key: &[u8]) -> bool {
        key.starts_with(self.prefix)
            && match self.from {
                Seek::Start => true,
                Seek::After(after) => key > after,
            }
    }
}

/// The dirty entries a walk may meet, in order: stored bytes, or nothing for a tombstone. Bounded: beyond the smallest
/// `limit` + 1 records it keeps none: the walk will not get there, and the one more tells it that it is not at the end.
pub struct DirtyCopy<'a> {
    asked: &'a Asked<'a>,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    records: usize,
    /// What the absence of records tells of is in frames that begin before this.
    gone_before: u64,
}

impl<'a> DirtyCopy<'a> {
    pub fn new(asked: &'a Asked<'a>) -> Self {
        Self { asked, entries: BTreeMap::new(), records: 0, gone_before: 0 }
    }

    /// What the absence of records tells of is in frames that begin before this.
    pub fn gone_before(&self) -> u64 {
        self.gone_before
    }

    /// Of a shard whose stripes are not locked by this run.
    pub fn of_shard(shard: &Shard, asked: &'a Asked<'a>) -> Self {
        let mut copy = Self::new(asked);
        for stripe in &shard.stripes {
            copy.add_dirty(&stripe.0.lock());
        }
        copy
    }

    /// As [`DirtyCopy::add`], by the lists of what is dirty: cheap where most entries are clean.
    fn add_dirty(&mut self, stripe: &Stripe) {
        for hash in stripe.dirty.iter().chain(&stripe.settling) {
            for entry in stripe.table.iter_hash(*hash) {
                if entry.is_dirty() && self.asked.holds(entry.key()) {
                    self.keep(entry);
                }
            }
        }
    }

    pub fn add(&mut self, stripe: &Stripe) {
        for entry in stripe.table.iter() {
            if (entry.is_dirty() || entry.is_touched()) && self.asked.holds(entry.key()) {
                self.keep(entry);
            }
        }
    }

    fn keep(&mut self, entry: &Entry) {
        let most = self.asked.limit.saturating_add(1);
        if self.records >= most && self.entries.last_key_value().is_some_and(|(last, _)| entry.key() > last.as_slice())
        {
            return;
        }
        if self.entries.contains_key(entry.key()) {
            return; // two hashes led to it
        }
        let gone = entry.is_tombstone() || !is_live(entry, self.asked.now);
        self.records += usize::from(!gone);
        if gone {
            self.gone_before = self.gone_before.max(entry.lsn() + 1);
        }
        let bytes = if gone { Vec::new() } else { entry.stored_bytes().to_vec() };
        self.entries.insert(entry.key().to_vec(), bytes);
        while self.records > most {
            let Some((_, bytes)) = self.entries.pop_last() else { break };
            self.records -= usize::from(!bytes.is_empty());
        }
    }
}

fn is_live(entry: &Entry, now: Millis) -> bool {
    entry.record().ok().flatten().is_some_and(|record| !record.is_expired(now))
}

/// Visits the live records asked for.
pub fn walk(
    shard: &Shard,
    asked: &Asked<'_>,
    dirty: DirtyCopy<'_>,
    store_is_empty: bool,
    seen: &mut dyn FnMut(&[u8], &Record<'_>),
) -> Result<Page, Fault> {
    let mut merge = Merge { asked, dirty: dirty.entries, seen, left: asked.limit, last: Vec::new() };
    if !store_is_empty && !shard.store_is_masked() {
        let from = match asked.from {
            Seek::After(after) if after >= asked.prefix => after,
            Seek::Start | Seek::After(_) => asked.prefix,
        };
        let mut cursor = shard.store.records(from, asked.prefix)?;
        while let Some((key, bytes)) = cursor.entry()? {
            if !key.starts_with(asked.prefix) {
                break;
            }
            if asked.holds(key) && !merge.meet_stored(key, bytes, shard)? {
                return Ok(Page::More(merge.last));
            }
            cursor.advance();
        }
    }
    Ok(if merge.finish() { Page::End } else { Page::More(merge.last) })
}

struct Merge<'a> {
    asked: &'a Asked<'a>,
    dirty: BTreeMap<Vec<u8>, Vec<u8>>,
    seen: &'a mut dyn FnMut(&[u8], &Record<'_>),
    left: usize,
    last: Vec<u8>,
}

impl Merge<'_> {
    /// Visits dirty records before `key`, then the stored one unless a dirty one hides it. `false`: the limit is reached.
    fn meet_stored(&mut self, key: &[u8], bytes: &[u8], shard: &Shard) -> Result<bool, Fault> {
        while let Some(first) = self.dirty.first_entry().filter(|first| first.key().as_slice() < key) {
            let (key, bytes) = first.remove_entry();
            if !self.visit(&key, &bytes) {
                return Ok(false);
            }
        }
        if let Some(bytes) = self.dirty.remove(key) {
            return Ok(self.visit(key, &bytes));
        }
        Record::decode(bytes).map_err(|error| shard.corrupt(&error.to_string()))?;
        Ok(self.visit(key, bytes))
    }

    fn finish(&mut self) -> bool {
        while let Some((key, bytes)) = self.dirty.pop_first() {
            if !self.visit(&key, &bytes) {
                return false;
            }
        }
        true
    }

    fn visit(&mut self, key: &[u8], bytes: &[u8]) -> bool {
        let Ok(record) = Record::decode(bytes) else { return true };
        if record.is_expired(self.asked.now) {
            return true;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        (self.seen)(key, &record);
        self.last.clear();
        self.last.extend_from_slice(key);
        true
    }
}

/// The number of records: what the store has, and what dirty entries will add or take away.
pub fn count(shard: &Shard) -> Result<u64, Fault> {
    // Settle must not move entries between the two sums.
    let _settle = shard.settle_lock();
    count_settled(shard)
}

/// As [`count`], while the caller holds the settle lock.
pub fn count_settled(shard: &Shard) -> Result<u64, Fault> {
    let mut difference = Difference::default();
    for stripe in &shard.stripes {
        difference.add(&stripe.0.lock());
    }
    difference.total(shard, shard.store_is_masked())
}

/// As [`count`], in a run that holds all stripes.
pub fn count_held(shard: &Shard, stripes: &[&Stripe], cleared: bool) -> Result<u64, Fault> {
    let mut difference = Difference::default();
    for stripe in stripes {
        difference.add(stripe);
    }
    difference.total(shard, cleared || shard.store_is_masked())
}

#[derive(Default)]
struct Difference {
    added: u64,
    removed: u64,
    /// Keys whose presence in the store nobody knows, and whether they are records now.
    unknown: Vec<(Vec<u8>, bool)>,
}

impl Difference {
    fn add(&mut self, stripe: &Stripe) {
        for entry in stripe.table.iter().filter(|entry| entry.is_dirty() || entry.is_touched()) {
            let present = !entry.is_tombstone();
            match entry.state().in_store {
                InStore::Yes => self.removed += u64::from(!present),
                InStore::No => self.added += u64::from(present),
                InStore::Unknown => self.unknown.push((entry.key().to_vec(), present)),
            }
        }
    }

    fn total(mut self, shard: &Shard, store_is_empty: bool) -> Result<u64, Fault> {
        let mut bytes = Vec::new();
        for (key, present) in self.unknown {
            let stored = !store_is_empty && shard.store.record(&key, Reach::Disk, &mut bytes)? == Found::Yes;
            match (stored, present) {
                (true, false) => self.removed += 1,
                (false, true) => self.added += 1,
                (true, true) | (false, false) => {}
            }
        }
        let stored = if store_is_empty { 0 } else { shard.stored_records() };
        Ok((stored + self.added).saturating_sub(self.removed))
    }
}

/// Some live key. Of a small shard, or one that is mostly in memory, each is about equally likely; otherwise it is the
/// neighbour of a random point between the first and the last key.
pub fn random_key(
    shard: &Shard,
    held: Option<Vec<&Stripe>>,
    cleared: bool,
    now: Millis,
    random: [u64; 3],
) -> Result<Option<Vec<u8>>, Fault> {
    const TRIES: usize = 8;
    let hot = hot_key(shard, held.as_deref(), now, random[0]);
    let stored = shard.stored_records();
    let hot_records = match &held {
        Some(held) => held.iter().map(|stripe| stripe.table.len() as u64).sum(),
        None => shard.hot_records(),
    };
    let prefers_store = stored > 0 && random[1] % (stored + hot_records).max(1) >= hot_records;
    if cleared || shard.store_is_masked() || (hot.is_some() && !prefers_store) {
        return Ok(hot);
    }
    // A point in the key space: the first bytes of two stored neighbours would be as good, and dearer.
    for attempt in 0..TRIES {
        let point = random[2].rotate_left(attempt as u32 * 8).to_be_bytes();
        let mut cursor = shard.store.records(&point[..1 + attempt], &[])?;
        let mut steps = random[attempt % 3] % 64;
        let mut found = None;
        while let Some((key, bytes)) = cursor.entry()? {
            if Record::decode(bytes).is_ok_and(|record| !record.is_expired(now)) && !is_gone(shard, &held, key, now) {
                found = Some(key.to_vec());
            }
            if steps == 0 && found.is_some() {
                return Ok(found);
            }
            steps = steps.saturating_sub(1);
            cursor.advance();
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    if hot.is_some() {
        return Ok(hot);
    }
    let asked = Asked { from: Seek::Start, prefix: &[], limit: 1, now };
    let mut dirty = DirtyCopy::new(&asked);
    match &held {
        Some(held) => held.iter().for_each(|stripe| dirty.add(stripe)),
        None => dirty = DirtyCopy::of_shard(shard, &asked),
    }
    let mut first = None;
    walk(shard, &asked, dirty, false, &mut |key, _| first = Some(key.to_vec()))?;
    Ok(first)
}

fn is_gone(shard: &Shard, held: &Option<Vec<&Stripe>>, key: &[u8], now: Millis) -> bool {
    let (hash, at) = shard.place(key);
    let check = |stripe: &Stripe| stripe.find(hash, key).is_some_and(|entry| !is_live(entry, now));
    match held {
        Some(held) => check(held[at]),
        None => check(&shard.stripes[at].0.lock()),
    }
}

fn hot_key(shard: &Shard, held: Option<&[&Stripe]>, now: Millis, random: u64) -> Option<Vec<u8>> {
    let start = random as usize % STRIPES;
    (0..STRIPES).find_map(|step| {
        let at = (start + step) % STRIPES;
        match held {
            Some(held) => key_of_stripe(held[at], now, random >> 10),
            None => key_of_stripe(&shard.stripes[at].0.lock(), now, random >> 10),
        }
    })
}

fn key_of_stripe(stripe: &Stripe, now: Millis, random: u64) -> Option<Vec<u8>> {
    let buckets = stripe.table.num_buckets();
    let start = random as usize % buckets.max(1);
    (0..buckets).find_map(|step| {
        let entry = stripe.table.get_bucket((start + step) % buckets)?;
        is_live(entry, now).then(|| entry.key().to_vec())
    })
}

/// The keys that SCAN cursors stand for, the latest used; an old one is forgotten, and a scan that still has it begins
/// anew, which costs time but misses nothing.
#[derive(Debug, Default)]
pub struct Cursors {
    keys: HashMap<u64, Vec<u8>>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl Cursors {
    const MOST: usize = 16_384;
    const MOST_BYTES: usize = 4 << 20;

    /// The number that stands for "after this key".
    pub fn save(&mut self, key: &[u8]) -> u64 {
        // FNV-1a: the same position gives the same number on each run. The top bit is kept clear for clients that read
        // a signed number.
        let hash = key
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let mut cursor = (hash >> 1).max(1);
        while self.keys.get(&cursor).is_some_and(|other| other != key) {
            cursor = (cursor + 1) & (u64::MAX >> 1);
        }
        if !self.keys.contains_key(&cursor) {
            self.bytes += key.len();
            self.keys.insert(cursor, key.to_vec());
            self.order.push_back(cursor);
        }
        while self.order.len() > Self::MOST || (self.bytes > Self::MOST_BYTES && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.keys.remove(&oldest).map_or(0, |key| key.len());
        }
        cursor
    }

    /// The key of a cursor.
    #[must_use]
    pub fn find(&self, cursor: u64) -> Option<Vec<u8>> {
        self.keys.get(&cursor).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_stable_bounded_and_never_zero() {
        let mut cursors = Cursors::default();
        let first = cursors.save(b"key");
        assert_eq!(cursors.save(b"key"), first);
        assert_ne!(cursors.save(b""), 0);
        assert_eq!(cursors.find(first), Some(b"key".to_vec()));
        for n in 0..Cursors::MOST {
            cursors.save(format!("k{n}").as_bytes());
        }
        assert_eq!(cursors.find(first), None, "the oldest is forgotten");
        assert_eq!(cursors.keys.len(), Cursors::MOST);
        cursors.save(&vec![7; Cursors::MOST_BYTES]);
        assert_eq!(cursors.keys.len(), 1, "one long key pushes all others out, and stays");
    }
}
