//! Hot records: the recent and popular records of a shard, in memory, in stripes.
//!
//! ```text
//! entry = key ++ record (LSN first)          a present record
//!       = key ++ LSN                         a tombstone: the record is gone, the store may not know yet
//! ```
//!
//! A stripe's mutex is the lock of the keys that hash to it. Dirty entries (the store has not got them) stay; clean ones
//! may be evicted at any time.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use keyspace::record::LSN_BYTES;
use keyspace::{Head, Record, RecordError};

use crate::prefetch::prefetch;

/// Stripes of a shard.
pub const STRIPES: usize = 1024;

/// A table that grows asks for so many keys at once: their cache lines are a quarter of a megabyte.
const AT_ONCE: usize = 4096;

/// What an entry costs beyond its bytes: its place in a table, of which 1.6 are there for each that is taken (a table is
/// between seven sixteenths and seven eighths full), and a byte of tag for each place.
pub const ENTRY_OVERHEAD: usize = (size_of::<Entry>() + 1) * 8 / 5;

/// The hash of user keys, seeded anew in each process.
#[derive(Clone, Debug, Default)]
pub struct KeyHasher(RandomState);

impl KeyHasher {
    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.0.hash_one(key)
    }
}

/// The stripe of a hash: bits that the table itself does not use first.
#[inline]
pub const fn stripe_of(hash: u64) -> usize {
    (hash >> 40) as usize % STRIPES
}

/// Whether the store has a record under an entry's key, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InStore {
    /// Nobody looked.
    Unknown,
    /// It has.
    Yes,
    /// It has not.
    No,
}

/// How an entry stands with the store and with the running transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryState {
    /// It holds what the store has not got.
    pub dirty: bool,
    /// The running transaction has changed it.
    pub touched: bool,
    /// Whether the store has its key.
    pub in_store: InStore,
}

impl EntryState {
    /// Of an entry made from what the store has.
    pub const CLEAN: Self = Self { dirty: false, touched: false, in_store: InStore::Yes };
    /// Of an entry that a transaction makes.
    pub const NEW: Self = Self { dirty: false, touched: false, in_store: InStore::Unknown };
}

/// One record or tombstone in memory. There are as many as records fit, so its size counts: three words.
#[derive(Debug)]
pub struct Entry {
    bytes: Box<[u8]>,
    key_len: u32,
    /// From the top: how it stands, recent uses, seconds.
    meta: u32,
}

/// Bits of `meta` that hold the seconds at which it was used last: more than two years.
const SECONDS: u32 = 26;
const MAX_SECONDS: u32 = (1 << SECONDS) - 1;
/// Where `meta` holds the recent uses, 0..=3: the clock hand takes one off at each pass.
const USES: u32 = SECONDS;
/// The most recent uses that are counted.
const MAX_USES: u8 = 3;
const IN_STORE: u32 = USES + 2;
const DIRTY: u32 = 1 << (IN_STORE + 2);
const TOUCHED: u32 = DIRTY << 1;

impl Entry {
    /// An entry for a record as the store holds it.
    #[must_use]
    pub fn stored(key: &[u8], record: &[u8], now: u32) -> Self {
        Self::of(key, record.len(), EntryState::CLEAN, now, |bytes| bytes.extend_from_slice(record))
    }

    /// An entry for a record that is being made; its LSN is 0.
    #[must_use]
    #[inline]
    pub fn fresh(key: &[u8], head: &Head, payload: &[u8], now: u32) -> Self {
        let len = LSN_BYTES + head.encoded_len() + payload.len();
        Self::of(key, len, EntryState::NEW, now, |bytes| {
            bytes.extend_from_slice(&[0; LSN_BYTES]);
            head.encode(bytes);
            bytes.extend_from_slice(payload);
        })
    }

    /// An entry for a record that came whole, without its LSN, which is 0.
    #[must_use]
    pub fn of_body(key: &[u8], body: &[u8], now: u32) -> Self {
        Self::of(key, LSN_BYTES + body.len(), EntryState::NEW, now, |bytes| {
            bytes.extend_from_slice(&[0; LSN_BYTES]);
            bytes.extend_from_slice(body);
        })
    }

    /// A tombstone; its LSN is 0.
    #[must_use]
    pub fn tombstone(key: &[u8], now: u32) -> Self {
        Self::of_body(key, &[], now)
    }

    /// An entry with `len` bytes after the key.
    #[inline]
    fn of(key: &[u8], len: usize, state: EntryState, now: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + len);
        bytes.extend_from_slice(key);
        fill(&mut bytes);
        let mut entry = Self { bytes: bytes.into_boxed_slice(), key_len: key.len() as u32, meta: now.min(MAX_SECONDS) };
        entry.set_state(state);
        entry
    }

    /// How it stands.
    #[inline]
    #[must_use]
    pub fn state(&self) -> EntryState {
        let in_store = match self.meta >> IN_STORE & 3 {
            0 => InStore::Unknown,
            1 => InStore::Yes,
            2.. => InStore::No,
        };
        EntryState { dirty: self.is_dirty(), touched: self.is_touched(), in_store }
    }

    /// Says how it stands.
    #[inline]
    pub fn set_state(&mut self, state: EntryState) {
        let in_store = match state.in_store {
            InStore::Unknown => 0,
            InStore::Yes => 1,
            InStore::No => 2,
        };
        self.meta &= (1 << IN_STORE) - 1;
        self.meta |= in_store << IN_STORE;
        self.meta |= if state.dirty { DIRTY } else { 0 };
        self.meta |= if state.touched { TOUCHED } else { 0 };
    }

    /// Whether it holds what the store has not got.
    #[inline]
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.meta & DIRTY != 0
    }

    /// Whether the running transaction has changed it.
    #[inline]
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.meta & TOUCHED != 0
    }

    /// The running transaction has changed it.
    #[inline]
    pub fn touch(&mut self) {
        self.meta |= TOUCHED;
    }

    /// The transaction that changed it has ended, and the store has not got what it holds now.
    #[inline]
    pub fn committed(&mut self) {
        self.meta = self.meta & !TOUCHED | DIRTY;
    }

    /// The store has what it holds.
    #[inline]
    pub fn settled(&mut self) {
        self.meta &= !DIRTY;
    }

    /// Whether the store has its key.
    #[inline]
    pub fn set_in_store(&mut self, in_store: InStore) {
        self.set_state(EntryState { in_store, ..self.state() });
    }

    /// Its user key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len as usize]
    }

    /// Key and record in one piece, and where the key ends.
    #[must_use]
    pub fn bytes(&self) -> (&[u8], usize) {
        (&self.bytes, self.key_len as usize)
    }

    /// Its record's bytes, LSN included; a tombstone has only the LSN.
    #[inline]
    #[must_use]
    pub fn stored_bytes(&self) -> &[u8] {
        &self.bytes[self.key_len as usize..]
    }

    /// Its record without the LSN; empty for a tombstone.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.key_len as usize + LSN_BYTES..]
    }

    /// Whether the record is gone.
    #[inline]
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.bytes.len() == self.key_len as usize + LSN_BYTES
    }

    /// Its record; `None` for a tombstone.
    ///
    /// # Errors
    /// When the bytes are of no known format.
    #[inline]
    pub fn record(&self) -> Result<Option<Record<'_>>, RecordError> {
        if self.is_tombstone() { Ok(None) } else { Record::decode(self.stored_bytes()).map(Some) }
    }

    /// The LSN of its last change.
    #[must_use]
    pub fn lsn(&self) -> u64 {
        let (lsn, _) = self.stored_bytes().split_first_chunk::<LSN_BYTES>().expect("an entry has an LSN");
        u64::from_le_bytes(*lsn)
    }

    /// Stamps the LSN of a change.
    #[inline]
    pub fn stamp(&mut self, lsn: u64) {
        let at = self.key_len as usize;
        self.bytes[at..at + LSN_BYTES].copy_from_slice(&lsn.to_le_bytes());
    }

    /// Makes its record `head` and `payload`, with LSN 0.
    #[inline]
    pub fn write(&mut self, head: &Head, payload: &[u8]) {
        self.rewrite(LSN_BYTES + head.encoded_len() + payload.len(), |bytes| {
            bytes.extend_from_slice(&[0; LSN_BYTES]);
            head.encode(bytes);
            bytes.extend_from_slice(payload);
        });
    }

    /// Makes its record one that came whole, with LSN 0.
    pub fn write_body(&mut self, body: &[u8]) {
        self.rewrite(LSN_BYTES + body.len(), |bytes| {
            bytes.extend_from_slice(&[0; LSN_BYTES]);
            bytes.extend_from_slice(body);
        });
    }

    /// Makes it a tombstone with LSN 0.
    pub fn bury(&mut self) {
        self.write_body(&[]);
    }

    /// Replaces everything after the key.
    pub fn restore(&mut self, stored_bytes: &[u8]) {
        self.rewrite(stored_bytes.len(), |bytes| bytes.extend_from_slice(stored_bytes));
    }

    /// Replaces what comes after the key by `len` other bytes.
    #[inline]
    fn rewrite(&mut self, len: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        bytes.truncate(self.key_len as usize);
        bytes.reserve_exact(len);
        fill(&mut bytes);
        self.bytes = bytes.into_boxed_slice();
    }

    /// Changes its payload, which begins `payload_at` bytes after the key: `remove` bytes at `at` become `insert`.
    pub fn splice(&mut self, payload_at: usize, at: usize, remove: usize, insert: &[u8]) {
        let from = self.key_len as usize + payload_at + at;
        let to = from + insert.len();
        if insert.len() != remove {
            let mut bytes = std::mem::take(&mut self.bytes).into_vec();
            let (old, new) = (bytes.len(), bytes.len() - remove + insert.len());
            bytes.reserve_exact(new.saturating_sub(old));
            bytes.resize(old.max(new), 0);
            bytes.copy_within(from + remove..old, to);
            bytes.truncate(new);
            self.bytes = bytes.into_boxed_slice();
        }
        self.bytes[from..to].copy_from_slice(insert);
    }

    /// Bytes it takes in memory.
    #[inline]
    #[must_use]
    pub fn cost(&self) -> usize {
        allocated(self.bytes.len()) + ENTRY_OVERHEAD
    }

    /// Asks for its bytes ahead of their use.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(&*self.bytes);
    }

    /// Asks for its key ahead of its use.
    #[inline]
    fn prefetch_key(&self) {
        prefetch(self.key());
    }

    /// Notes a use, so many seconds after the process began.
    #[inline]
    pub fn used(&mut self, now: u32) {
        let uses = u32::from((self.uses() + 1).min(MAX_USES));
        self.meta = self.meta & !(MAX_SECONDS | u32::from(MAX_USES) << USES) | uses << USES | now.min(MAX_SECONDS);
    }

    /// Recent uses, 0..=3.
    #[inline]
    #[must_use]
    pub const fn uses(&self) -> u8 {
        (self.meta >> USES) as u8 & MAX_USES
    }

    /// Takes a recent use off; says whether there was one.
    fn fade(&mut self) -> bool {
        let was_used = self.uses() > 0;
        self.meta -= if was_used { 1 << USES } else { 0 };
        was_used
    }

    /// Seconds since the process began, at its last use.
    #[must_use]
    pub const fn used_at(&self) -> u32 {
        self.meta & MAX_SECONDS
    }
}

/// What an allocation of `bytes` takes: the allocator's size classes are 16 bytes apart up to 128, then four to each
/// power of two.
#[inline]
const fn allocated(bytes: usize) -> usize {
    let step = if bytes <= 128 { 16 } else { 1 << (bytes - 1).ilog2().saturating_sub(2) };
    bytes.next_multiple_of(step)
}

/// What left a stripe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// How many records.
    pub records: u64,
    /// What they took in memory.
    pub bytes: usize,
}

/// One part of the hot table, under one mutex.
#[derive(Debug, Default)]
pub struct Stripe {
    /// The entries.
    pub table: HashTable<Entry>,
    /// Hashes of keys that became dirty since settle last looked.
    pub dirty: Vec<u64>,
    /// Hashes that settle has taken and not yet reported as written.
    pub settling: Vec<u64>,
    /// Bumped by every commit, settle and eviction: who read the store without the lock can tell whether it matters.
    pub changes: u64,
    /// Every frame that removed a record and that no entry here tells of any more begins before this.
    pub forgotten: u64,
    /// The changes of the evicted records are in frames that begin before this.
    evicted: u64,
    hand: usize,
}

impl Stripe {
    /// An empty one that counts its changes from a number on.
    #[must_use]
    pub fn new(changes: u64) -> Self {
        Self { changes, ..Self::default() }
    }

    /// The entry of a key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.table.find(hash, |entry| entry.key() == key)
    }

    /// The entry of a key.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.table.find_mut(hash, |entry| entry.key() == key)
    }

    /// Puts in an entry whose key is not there; answers its bucket.
    #[inline]
    pub fn insert(&mut self, hasher: &KeyHasher, hash: u64, entry: Entry) -> usize {
        if self.table.len() == self.table.capacity() {
            // It grows and hashes all keys anew: the waits for them overlap.
            self.table.iter().take(AT_ONCE).for_each(Entry::prefetch_key);
        }
        self.table.insert_unique(hash, entry, |entry| hasher.hash(entry.key())).bucket_index()
    }

    /// Has the entries of these hashes at hand for the lookups that follow.
    pub fn foresee(&self, hashes: impl Iterator<Item = u64> + Clone) {
        self.each(hashes.clone(), prefetch);
        self.each(hashes, Entry::prefetch);
    }

    /// Shows the entries that the table's tags lead to for each hash, without a look at them.
    #[inline]
    pub fn each(&self, hashes: impl Iterator<Item = u64>, mut show: impl FnMut(&Entry)) {
        for hash in hashes {
            let _ = self.table.find(hash, |entry| {
                show(entry);
                false
            });
        }
    }

    /// The entry of a key that is there and was in `bucket` when it was last looked at.
    #[inline]
    pub fn find_again(&mut self, hash: u64, bucket: usize, key: &[u8]) -> Option<&mut Entry> {
        let stayed = self.table.get_bucket(bucket).is_some_and(|entry| entry.key() == key);
        if stayed { self.table.get_bucket_mut(bucket) } else { self.find_mut(hash, key) }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let (entry, _) = self.table.find_entry(hash, |entry| entry.key() == key).ok()?.remove();
        if entry.is_tombstone() {
            self.forgotten = self.forgotten.max(entry.lsn() + 1);
        }
        Some(entry)
    }

    /// Takes over from a stripe that the frame of LSN `lsn` has emptied.
    pub fn succeed(&mut self, old: &Self, lsn: u64) {
        self.changes = old.changes + 1;
        self.forgotten = old.forgotten.max(old.evicted);
        for entry in &old.table {
            // What the emptying run had changed itself has no LSN yet.
            let last = if entry.is_touched() { lsn } else { entry.lsn() };
            self.forgotten = self.forgotten.max(last + 1);
        }
    }

    /// Evicts clean entries, least used first (CLOCK), until `want` bytes are free or `steps` buckets were seen.
    pub fn evict(&mut self, want: usize, steps: usize) -> Evicted {
        let buckets = self.table.num_buckets();
        let mut evicted = Evicted::default();
        for _ in 0..steps.min(buckets * (usize::from(MAX_USES) + 1)) {
            if evicted.bytes >= want {
                break;
            }
            self.hand = if self.hand + 1 >= buckets { 0 } else { self.hand + 1 };
            let Ok(mut bucket) = self.table.get_bucket_entry(self.hand) else { continue };
            let entry = bucket.get_mut();
            if entry.is_dirty() || entry.is_touched() || entry.fade() {
                continue;
            }
            let entry = bucket.remove().0;
            self.evicted = self.evicted.max(entry.lsn() + 1);
            evicted.bytes += entry.cost();
            evicted.records += 1;
        }
        if evicted.records > 0 {
            self.changes += 1;
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_an_entry_does_not_touch_the_rest() {
        assert_eq!(size_of::<Entry>(), 24);
        let mut entry = Entry::tombstone(b"key", 7);
        for in_store in [InStore::Unknown, InStore::Yes, InStore::No] {
            for (dirty, touched) in [(false, false), (false, true), (true, false), (true, true)] {
                let state = EntryState { dirty, touched, in_store };
                entry.set_state(state);
                assert_eq!((entry.state(), entry.uses(), entry.used_at()), (state, 0, 7));
            }
        }
        entry.committed();
        assert_eq!(entry.state(), EntryState { dirty: true, touched: false, in_store: InStore::No });
        (1..=5).for_each(|now| entry.used(now));
        assert_eq!((entry.uses(), entry.used_at()), (MAX_USES, 5));
        assert_eq!([entry.fade(), entry.fade(), entry.fade(), entry.fade()], [true, true, true, false]);
        entry.used(u32::MAX);
        assert_eq!((entry.uses(), entry.used_at()), (1, MAX_SECONDS));
        entry.settled();
        assert_eq!(entry.state(), EntryState { dirty: false, touched: false, in_store: InStore::No });
        assert_eq!((entry.key(), entry.is_tombstone()), (&b"key"[..], true));
    }

    #[test]
    fn splices_do_what_those_of_a_vector_do() {
        let payload: Vec<u8> = (0..40).collect();
        for (at, remove, insert) in
            [(0, 0, 0), (0, 0, 9), (5, 9, 9), (5, 9, 2), (5, 2, 30), (31, 9, 0), (40, 0, 17), (0, 40, 1)]
        {
            let mut entry = Entry::of_body(b"key", &payload, 0);
            let insert = vec![0xEE; insert];
            entry.splice(LSN_BYTES, at, remove, &insert);
            let mut expected = payload.clone();
            expected.splice(at..at + remove, insert);
            assert_eq!((entry.key(), entry.body()), (&b"key"[..], &expected[..]), "{remove} at {at}");
        }
    }

    #[test]
    fn the_cost_of_an_entry_is_that_of_its_size_class() {
        let classes: Vec<usize> = [0, 1, 16, 17, 128, 129, 160, 161, 256, 257, 1024, 1025].map(allocated).to_vec();
        assert_eq!(classes, [0, 16, 16, 32, 128, 160, 160, 192, 256, 320, 1024, 1280]);
    }
}
