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

/// What an entry costs beyond its bytes: the entry itself, its share of the table, the allocation's rounding.
pub const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 24;

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

/// One record or tombstone in memory.
#[derive(Debug)]
pub struct Entry {
    bytes: Vec<u8>,
    key_len: u32,
    /// Seconds since the process began, at its last use.
    pub used_at: u32,
    /// Recent uses, 0..=3: the clock hand takes one off at each pass.
    pub uses: u8,
    /// How it stands.
    pub state: EntryState,
}

/// The most `uses` counts to.
const MAX_USES: u8 = 3;

impl Entry {
    /// An entry for a record as the store holds it.
    #[must_use]
    pub fn stored(key: &[u8], record: &[u8], now: u32) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + record.len());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(record);
        Self { bytes, key_len: key.len() as u32, used_at: now, uses: 0, state: EntryState::CLEAN }
    }

    /// An entry for a record that is being made; its LSN is 0.
    #[must_use]
    #[inline]
    pub fn fresh(key: &[u8], head: &Head, payload: &[u8], now: u32) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + LSN_BYTES + head.encoded_len() + payload.len());
        bytes.extend_from_slice(key);
        let mut entry = Self { bytes, key_len: key.len() as u32, used_at: now, uses: 0, state: EntryState::NEW };
        entry.write(head, payload);
        entry
    }

    /// An entry for a record that came whole, without its LSN, which is 0.
    #[must_use]
    pub fn of_body(key: &[u8], body: &[u8], now: u32) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + LSN_BYTES + body.len());
        bytes.extend_from_slice(key);
        let mut entry = Self { bytes, key_len: key.len() as u32, used_at: now, uses: 0, state: EntryState::NEW };
        entry.write_body(body);
        entry
    }

    /// A tombstone; its LSN is 0.
    #[must_use]
    pub fn tombstone(key: &[u8], now: u32) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + LSN_BYTES);
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&[0; LSN_BYTES]);
        Self { bytes, key_len: key.len() as u32, used_at: now, uses: 0, state: EntryState::NEW }
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
        self.bytes.truncate(self.key_len as usize);
        self.bytes.extend_from_slice(&[0; LSN_BYTES]);
        head.encode(&mut self.bytes);
        self.bytes.extend_from_slice(payload);
        self.tighten();
    }

    /// Makes its record one that came whole, with LSN 0.
    pub fn write_body(&mut self, body: &[u8]) {
        self.bytes.truncate(self.key_len as usize);
        self.bytes.extend_from_slice(&[0; LSN_BYTES]);
        self.bytes.extend_from_slice(body);
        self.tighten();
    }

    /// Replaces everything after the key.
    pub fn restore(&mut self, stored_bytes: &[u8]) {
        self.bytes.truncate(self.key_len as usize);
        self.bytes.extend_from_slice(stored_bytes);
        self.tighten();
    }

    /// Makes it a tombstone with LSN 0.
    pub fn bury(&mut self) {
        self.bytes.truncate(self.key_len as usize);
        self.bytes.extend_from_slice(&[0; LSN_BYTES]);
        self.tighten();
    }

    /// Changes its payload, which begins `payload_at` bytes after the key: `remove` bytes at `at` become `insert`.
    pub fn splice(&mut self, payload_at: usize, at: usize, remove: usize, insert: &[u8]) {
        let from = self.key_len as usize + payload_at + at;
        let (to, len) = (from + insert.len(), self.bytes.len());
        if insert.len() > remove {
            self.bytes.resize(len + insert.len() - remove, 0);
        }
        if insert.len() != remove {
            self.bytes.copy_within(from + remove..len, to);
            self.bytes.truncate(len - remove + insert.len());
        }
        self.bytes[from..to].copy_from_slice(insert);
        if insert.len() < remove {
            self.tighten();
        }
    }

    /// Bytes it takes in memory.
    #[inline]
    #[must_use]
    pub fn cost(&self) -> usize {
        allocated(self.bytes.capacity()) + ENTRY_OVERHEAD
    }

    /// Asks for its bytes ahead of their use.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self.bytes.as_slice());
    }

    /// Notes a use.
    #[inline]
    pub fn used(&mut self, now: u32) {
        self.used_at = now;
        if self.uses < MAX_USES {
            self.uses += 1;
        }
    }

    /// Gives memory back when the record has become much shorter.
    fn tighten(&mut self) {
        const SLACK: usize = 64;
        if self.bytes.capacity() > 2 * self.bytes.len() + SLACK {
            self.bytes.shrink_to_fit();
        }
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
        self.table.insert_unique(hash, entry, |entry| hasher.hash(entry.key())).bucket_index()
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
            let last = if entry.state.touched { lsn } else { entry.lsn() };
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
            if entry.state.dirty || entry.state.touched {
                continue;
            }
            if entry.uses > 0 {
                entry.uses -= 1;
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
    fn the_cost_of_an_entry_is_that_of_its_size_class() {
        let classes: Vec<usize> = [0, 1, 16, 17, 128, 129, 160, 161, 256, 257, 1024, 1025].map(allocated).to_vec();
        assert_eq!(classes, [0, 16, 16, 32, 128, 160, 160, 192, 256, 320, 1024, 1280]);
    }
}
