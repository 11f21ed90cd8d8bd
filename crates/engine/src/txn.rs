//! One run of one command (or of several that belong together): the keys it has locked, what it changed, how to undo
//! that, and the ops that will be its frame.
//!
//! Records change in place, with an undo list; rows are collected and reach the shard only at commit. A run that must
//! stop leaves no trace but [`Need`]: what it lacked, for the desk to fetch.

use std::collections::BTreeMap;

use keyspace::record::LSN_BYTES;
use keyspace::view::{Limits, Usage};
use keyspace::{Encoding, Head, Millis, OpWriter, Page, Record, RowsId, Seek, Stop, View};
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use crate::fault::{Fault, FaultKind};
use crate::hot::{Entry, EntryState, STRIPES, Stripe, stripe_of};
use crate::instance::Instance;
use crate::rows::{Overlaid, RowChange, RowRange};
use crate::shard::Shard;
use crate::store::{Found, Reach};
use crate::walk;

/// What a stopped run lacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The record of a key, from the disk. `changes` is the stripe's counter when it was missed.
    Record {
        /// The database.
        database: usize,
        /// The user key.
        key: Vec<u8>,
        /// The stripe's change counter then.
        changes: u64,
    },
    /// Rows of a record, from the disk.
    Rows(RowsNeed),
    /// The shard of a database that has none yet.
    Shard(usize),
    /// A thread that may take its time.
    Desk,
}

/// Rows that were missed, with what the overlay had of them at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsNeed {
    /// The database.
    pub database: usize,
    /// The owner's key.
    pub key: Vec<u8>,
    /// The owner's LSN: as long as it is the same, so are the rows.
    pub lsn: u64,
    /// The row set.
    pub rows: RowsId,
    /// The range.
    pub range: RowRange,
    /// Dirty rows of the range; `None`: gone.
    pub dirty: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Ranges whose rows in the store are gone.
    pub cleared: Vec<RowRange>,
}

/// What the desk fetched for the next attempt.
#[derive(Debug, Default)]
pub struct Fetched {
    /// A key that is not in the store, while its stripe's counter is this.
    pub absent: Option<(usize, Vec<u8>, u64)>,
    /// The rows of a range as they were at the owner's LSN.
    pub rows: Option<FetchedRows>,
}

/// The whole content of a range of rows.
#[derive(Debug)]
pub struct FetchedRows {
    /// Which were asked for.
    pub need: RowsNeed,
    /// All of them.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Memory that runs of one thread reuse.
#[derive(Debug)]
pub struct Scratch {
    ops: OpWriter,
    touched: Vec<Touched>,
    arena: Vec<u8>,
    read: Vec<u8>,
    random: u64,
}

impl Scratch {
    /// Empty memory; `seed` starts the thread's random numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            ops: OpWriter::new(),
            touched: Vec::new(),
            arena: Vec::new(),
            read: Vec::new(),
            random: seed | 1,
        }
    }
}

/// A locked stripe.
pub(crate) struct Held<'r> {
    pub part: usize,
    pub stripe: usize,
    pub guard: MutexGuard<'r, Stripe>,
}

/// One database of a run.
pub(crate) struct Part<'r> {
    pub database: usize,
    /// `None`: nothing was ever written there.
    pub shard: Option<&'r Shard>,
    /// Whether all its stripes are locked, and from which place in the list on.
    pub whole: Option<usize>,
    ops: OpWriter,
    rows: Option<Box<RowWrites>>,
    lost: SmallVec<[RowsId; 2]>,
    gained: SmallVec<[RowsId; 2]>,
    deletes: bool,
    cleared: Option<Vec<Stripe>>,
}

impl<'r> Part<'r> {
    pub(crate) fn new(database: usize, shard: Option<&'r Shard>) -> Self {
        Self {
            database,
            shard,
            whole: None,
            ops: OpWriter::new(),
            rows: None,
            lost: SmallVec::new(),
            gained: SmallVec::new(),
            deletes: false,
            cleared: None,
        }
    }
}

/// Row changes of one run in one database.
#[derive(Default)]
struct RowWrites {
    sets: BTreeMap<RowsId, SetWrites>,
}

#[derive(Default)]
struct SetWrites {
    cleared: Vec<RowRange>,
    rows: BTreeMap<Vec<u8>, RowChange>,
}

/// A record that the run changed, and what it was.
#[derive(Debug)]
struct Touched {
    hash: u64,
    held: u32,
    /// Where its key, then its old stored bytes lie in the arena.
    key: (usize, usize),
    old: Option<(usize, usize)>,
    state: EntryState,
    /// What it cost before.
    cost: usize,
}

/// The run.
pub(crate) struct Txn<'r> {
    pub instance: &'r Instance,
    pub now: Millis,
    pub reach: Reach,
    pub heavy_limit: u64,
    pub walks: bool,
    pub parts: SmallVec<[Part<'r>; 1]>,
    pub at: usize,
    pub held: SmallVec<[Held<'r>; 2]>,
    /// The one key of a one-key run, with its hash: most look-ups are for it.
    pub first: Option<(&'r [u8], u64)>,
    pub scratch: &'r mut Scratch,
    pub fetched: Option<&'r Fetched>,
    pub need: Option<Need>,
    pub fault: Option<Fault>,
}

/// How far each part's log must be written before what the run saw or did may be told.
pub type Gate = SmallVec<[(usize, u64); 1]>;

impl<'r> Txn<'r> {
    /// Makes the scratch ready; called once the locks are held.
    pub fn begin(&mut self) {
        self.scratch.touched.clear();
        self.scratch.arena.clear();
        if let Some(part) = self.parts.first_mut() {
            part.ops = std::mem::take(&mut self.scratch.ops);
            part.ops.clear();
        }
    }

    #[inline]
    fn part(&self) -> &Part<'r> {
        &self.parts[self.at]
    }

    /// The hash of a key and the locked stripe it belongs to; `None`: the database has nothing at all.
    #[inline]
    fn locate(&self, key: &[u8]) -> Result<Option<(u64, usize)>, Stop> {
        let part = self.part();
        let Some(shard) = part.shard else { return Ok(None) };
        if let Some((first, hash)) = self.first
            && std::ptr::eq(first, key)
        {
            return Ok(Some((hash, 0)));
        }
        let hash = shard.hasher.hash(key);
        let stripe = stripe_of(hash);
        if let Some(base) = part.whole {
            return Ok(Some((hash, base + stripe)));
        }
        self.held
            .iter()
            .position(|held| held.part == self.at && held.stripe == stripe)
            .map(|at| Some((hash, at)))
            .ok_or(Stop::Undeclared)
    }

    /// As [`Txn::locate`], for a change: the database must exist.
    #[inline]
    fn locate_to_write(&mut self, key: &[u8]) -> Result<(&'r Shard, u64, usize), Stop> {
        let Some(shard) = self.part().shard else {
            self.need = Some(Need::Shard(self.part().database));
            return Err(Stop::WouldBlock);
        };
        let (hash, at) = self.locate(key)?.ok_or(Stop::Undeclared)?;
        Ok((shard, hash, at))
    }

    /// The bucket of a key's entry, which is read from the store if need be. `None`: there is no record.
    #[inline]
    fn bucket(&mut self, key: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
        let Some((hash, at)) = self.locate(key)? else { return Ok(None) };
        if let Some(bucket) = self.held[at].guard.table.find_bucket_index(hash, |entry| entry.key() == key) {
            return Ok(Some((at, bucket)));
        }
        self.load(hash, at, key)
    }

    /// Reads a record from the store into the hot table.
    fn load(&mut self, hash: u64, at: usize, key: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(None) };
        if part.cleared.is_some() {
            return Ok(None);
        }
        let changes = self.held[at].guard.changes;
        let known_absent = self.fetched.and_then(|fetched| fetched.absent.as_ref());
        if known_absent.is_some_and(|(db, absent, then)| *db == part.database && *then == changes && absent == key) {
            return Ok(None);
        }
        match shard.store.record(key, self.reach, &mut self.scratch.read) {
            Ok(Found::No) => Ok(None),
            Ok(Found::WouldBlock) => {
                self.need = Some(Need::Record { database: part.database, key: key.to_vec(), changes });
                Err(Stop::WouldBlock)
            }
            Ok(Found::Yes) => {
                let entry = Entry::stored(key, &self.scratch.read, self.instance.seconds(self.now));
                self.instance.budget.book_used(entry.cost() as i64);
                let guard = &mut self.held[at].guard;
                guard.insert(&shard.hasher, hash, entry);
                let bucket = guard.table.find_bucket_index(hash, |entry| entry.key() == key);
                Ok(bucket.map(|bucket| (at, bucket)))
            }
            Err(fault) => Err(self.fail(fault)),
        }
    }

    fn fail(&mut self, fault: Fault) -> Stop {
        self.fault = Some(fault);
        Stop::Fault
    }

    /// The store or the hot table holds bytes that are no record.
    fn corrupt(&mut self, key: &[u8], what: &str) -> Stop {
        let name = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
        let path = self.part().shard.map_or_else(Default::default, |shard| shard.dir.clone());
        self.fail(Fault::new(FaultKind::Corrupt, format!("the record of key '{name}' cannot be read: {what}"), &path))
    }

    /// Notes what an entry was, before its first change in this run. Answers whether it was the first.
    fn touch_entry(&mut self, hash: u64, at: usize, bucket: usize, key: &[u8]) {
        let scratch = &mut *self.scratch;
        let entry = self.held[at].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        if entry.state.touched {
            return;
        }
        let key_at = (scratch.arena.len(), key.len());
        scratch.arena.extend_from_slice(key);
        let old_at = (scratch.arena.len(), entry.stored_bytes().len());
        scratch.arena.extend_from_slice(entry.stored_bytes());
        scratch.touched.push(Touched {
            hash,
            held: at as u32,
            key: key_at,
            old: Some(old_at),
            state: entry.state,
            cost: entry.cost(),
        });
        entry.state.touched = true;
    }

    fn insert_touched(&mut self, shard: &Shard, hash: u64, at: usize, mut entry: Entry) {
        let scratch = &mut *self.scratch;
        let key_at = (scratch.arena.len(), entry.key().len());
        scratch.arena.extend_from_slice(entry.key());
        scratch.touched.push(Touched {
            hash,
            held: at as u32,
            key: key_at,
            old: None,
            state: entry.state,
            cost: 0,
        });
        entry.state.touched = true;
        self.held[at].guard.insert(&shard.hasher, hash, entry);
    }

    /// Remembers that a record's rows are about to lose their owner.
    fn note_lost(&mut self, at: usize, bucket: usize) {
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        if let Ok(Some(record)) = entry.record()
            && let Some(rows) = record.rows_id()
        {
            self.parts[self.at].lost.push(rows);
        }
    }

    fn note_gained(&mut self, head: &Head, payload: &[u8]) {
        if head.encoding == Encoding::Exploded
            && let Some(rows) = (Record { lsn: 0, head: *head, payload }).rows_id()
        {
            self.parts[self.at].gained.push(rows);
        }
    }

    /// Makes a record out of head and payload; the op that says so is written by the caller.
    fn write_record(&mut self, key: &[u8], head: &Head, payload: &[u8]) -> Result<(usize, usize), Stop> {
        let (shard, hash, at) = self.locate_to_write(key)?;
        self.note_gained(head, payload);
        let bucket = self.held[at].guard.table.find_bucket_index(hash, |entry| entry.key() == key);
        let bucket = match bucket {
            Some(bucket) => {
                self.note_lost(at, bucket);
                self.touch_entry(hash, at, bucket, key);
                let entry = self.held[at].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
                entry.write(head, payload);
                bucket
            }
            None => {
                let entry = Entry::fresh(key, head, payload, self.instance.seconds(self.now));
                self.insert_touched(shard, hash, at, entry);
                let found = self.held[at].guard.table.find_bucket_index(hash, |entry| entry.key() == key);
                found.expect("the entry was just inserted")
            }
        };
        Ok((at, bucket))
    }

    fn log_put(&mut self, at: usize, bucket: usize) {
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        self.parts[self.at].ops.put(entry.key(), entry.body());
    }

    /// Makes the record of a key, which is there, a tombstone.
    fn bury(&mut self, key: &[u8], at: usize, bucket: usize) -> Result<(), Stop> {
        let (_, hash, _) = self.locate_to_write(key)?;
        self.note_lost(at, bucket);
        self.touch_entry(hash, at, bucket, key);
        self.held[at].guard.table.get_bucket_mut(bucket).expect("the bucket was just found").bury();
        let part = &mut self.parts[self.at];
        part.ops.delete(key);
        part.deletes = true;
        Ok(())
    }

    /// The live record of a key that must be there, as (place, head, payload offset, payload length).
    fn live(&mut self, key: &[u8]) -> Result<(usize, usize, Head, usize), Stop> {
        let now = self.now;
        let Some((at, bucket)) = self.bucket(key)? else { return Err(self.corrupt(key, "it is not there")) };
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        match entry.record() {
            Ok(Some(record)) if !record.is_expired(now) => Ok((at, bucket, record.head, record.payload.len())),
            Ok(_) => Err(self.corrupt(key, "it is not there")),
            Err(error) => Err(self.corrupt(key, &error.to_string())),
        }
    }

    fn set_writes(&mut self, rows: RowsId) -> &mut SetWrites {
        self.parts[self.at].rows.get_or_insert_default().sets.entry(rows).or_default()
    }

    /// Misses rows: takes a copy of what the overlay has, so that the desk can read the store without locks.
    fn miss_rows(&mut self, key: &[u8], rows: RowsId, range: RowRange) -> Stop {
        let lsn = match self.live(key) {
            Ok((at, bucket, ..)) => self.held[at].guard.table.get_bucket(bucket).map_or(0, Entry::lsn),
            Err(stop) => return stop,
        };
        let part = self.part();
        let Some(shard) = part.shard else { return Stop::Fault };
        let (dirty, cleared) = shard.rows.copy(rows, &range);
        let database = part.database;
        self.need = Some(Need::Rows(RowsNeed { database, key: key.to_vec(), lsn, rows, range, dirty, cleared }));
        Stop::WouldBlock
    }

    /// Rows that the desk fetched, if they are still those of the record.
    fn fetched_rows(&mut self, key: &[u8], rows: RowsId, range: &RowRange) -> Option<&'r BTreeMap<Vec<u8>, Vec<u8>>> {
        let fetched = self.fetched?.rows.as_ref()?;
        let need = &fetched.need;
        let covers = need.rows == rows
            && need.range.from <= range.from
            && (need.range.to.is_empty() || (!range.to.is_empty() && range.to <= need.range.to));
        if !covers || need.database != self.part().database {
            return None;
        }
        // The LSN in the record, or the one it had before this run changed it.
        let lsn = self.lsn_before_run(key)?;
        (lsn == need.lsn).then_some(&fetched.rows)
    }

    fn lsn_before_run(&mut self, key: &[u8]) -> Option<u64> {
        let (hash, at) = self.locate(key).ok()??;
        let entry = self.held[at].guard.find(hash, key)?;
        if !entry.state.touched {
            return Some(entry.lsn());
        }
        let arena = &self.scratch.arena;
        let touched = self.scratch.touched.iter().find(|touched| {
            touched.held as usize == at && touched.hash == hash && &arena[touched.key.0..][..touched.key.1] == key
        })?;
        let (old_at, _) = touched.old?;
        let lsn = arena[old_at..].first_chunk::<LSN_BYTES>()?;
        Some(u64::from_le_bytes(*lsn))
    }
}

impl View for Txn<'_> {
    fn now(&self) -> Millis {
        self.now
    }

    fn random(&mut self) -> u64 {
        // xorshift64*: fast, and good enough to pick elements with; nothing secret is made of it.
        let mut x = self.scratch.random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.scratch.random = x;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn limits(&self) -> Limits {
        self.instance.limits()
    }

    fn select(&mut self, database: usize) -> Result<(), Stop> {
        self.at = self.parts.iter().position(|part| part.database == database).ok_or(Stop::Undeclared)?;
        Ok(())
    }

    fn databases(&self) -> usize {
        self.instance.databases()
    }

    #[inline]
    fn record(&mut self, key: &[u8]) -> Result<Option<Record<'_>>, Stop> {
        let Some((at, bucket)) = self.bucket(key)? else { return Ok(None) };
        let now = self.now;
        let seconds = self.instance.seconds(now);
        let entry = self.held[at].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        if let Err(error) = entry.record() {
            return Err(self.corrupt(key, &error.to_string()));
        }
        entry.used(seconds);
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        Ok(entry.record().ok().flatten().filter(|record| !record.is_expired(now)))
    }

    #[inline]
    fn put(&mut self, key: &[u8], head: &Head, payload: &[u8]) -> Result<(), Stop> {
        let (at, bucket) = self.write_record(key, head, payload)?;
        self.log_put(at, bucket);
        Ok(())
    }

    fn splice(&mut self, key: &[u8], at: usize, remove: usize, insert: &[u8]) -> Result<(), Stop> {
        let (held, bucket, head, was) = self.live(key)?;
        assert!(at.checked_add(remove).is_some_and(|end| end <= was), "a splice is inside the payload");
        let (_, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        let entry = self.held[held].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        entry.splice(LSN_BYTES + head.encoded_len(), at, remove, insert);
        if head.expire_at.is_some() {
            // Physical removal follows the log: what can expire is always logged whole.
            self.log_put(held, bucket);
        } else {
            self.parts[self.at].ops.splice(key, at, remove, was, insert);
        }
        Ok(())
    }

    fn set_expiry(&mut self, key: &[u8], expire_at: Option<Millis>) -> Result<(), Stop> {
        let (held, bucket, head, _) = self.live(key)?;
        let (_, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        let entry = self.held[held].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        let payload = entry.body()[head.encoded_len()..].to_vec();
        entry.write(&Head { expire_at, ..head }, &payload);
        self.log_put(held, bucket);
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Stop> {
        let Some((at, bucket)) = self.bucket(key)? else { return Ok(false) };
        let now = self.now;
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let live = match entry.record() {
            Ok(None) => return Ok(false),
            Ok(Some(record)) => !record.is_expired(now),
            Err(_) => true,
        };
        self.bury(key, at, bucket)?;
        Ok(live)
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Stop> {
        let (at, bucket, head, _) = self.live(from)?;
        if from == to {
            return Ok(());
        }
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let payload = entry.body()[head.encoded_len()..].to_vec();
        let (to_at, to_bucket) = self.write_record(to, &head, &payload)?;
        self.log_put(to_at, to_bucket);
        let (at, bucket) = self.bucket(from)?.ok_or(Stop::Fault)?;
        self.bury(from, at, bucket)
    }

    fn new_rows(&mut self) -> RowsId {
        self.part().shard.map_or(RowsId(0), Shard::new_rows)
    }

    fn row(&mut self, key: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop> {
        out.clear();
        if let Some(set) = self.part().rows.as_ref().and_then(|writes| writes.sets.get(&rows)) {
            match set.rows.get(row) {
                Some(RowChange::Put(value)) => {
                    out.extend_from_slice(value);
                    return Ok(true);
                }
                Some(RowChange::Delete) => return Ok(false),
                None if set.cleared.iter().any(|range| range.holds(row)) => return Ok(false),
                None => {}
            }
        }
        let Some(shard) = self.part().shard else { return Ok(false) };
        match shard.rows.look(rows, row) {
            Overlaid::Is(value) => {
                *out = value;
                return Ok(true);
            }
            Overlaid::Gone => return Ok(false),
            Overlaid::Unknown => {}
        }
        match shard.store.row(rows, row, self.reach, out) {
            Ok(Found::Yes) => return Ok(true),
            Ok(Found::No) => return Ok(false),
            Ok(Found::WouldBlock) => {}
            Err(fault) => return Err(self.fail(fault)),
        }
        let mut to = row.to_vec();
        to.push(0);
        let range = RowRange { from: row.to_vec(), to };
        let Some(fetched) = self.fetched_rows(key, rows, &range) else {
            return Err(self.miss_rows(key, rows, range));
        };
        if let Some(value) = fetched.get(row) {
            out.extend_from_slice(value);
        }
        Ok(fetched.contains_key(row))
    }

    fn rows(
        &mut self,
        key: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let range = RowRange { from: from.to_vec(), to: to.to_vec() };
        let Some(fetched) = self.fetched_rows(key, rows, &range) else {
            return Err(self.miss_rows(key, rows, range));
        };
        let own = self.part().rows.as_ref().and_then(|writes| writes.sets.get(&rows));
        walk::merge_rows(fetched, own.map(|set| (&set.rows, set.cleared.as_slice())), &range, seen);
        Ok(())
    }

    fn put_row(&mut self, key: &[u8], rows: RowsId, row: &[u8], value: &[u8]) -> Result<(), Stop> {
        self.locate_to_write(key)?;
        self.parts[self.at].ops.put_row(key, rows, row, value);
        self.set_writes(rows).rows.insert(row.to_vec(), RowChange::Put(value.to_vec()));
        Ok(())
    }

    fn delete_row(&mut self, key: &[u8], rows: RowsId, row: &[u8]) -> Result<(), Stop> {
        self.locate_to_write(key)?;
        self.parts[self.at].ops.delete_row(key, rows, row);
        self.set_writes(rows).rows.insert(row.to_vec(), RowChange::Delete);
        Ok(())
    }

    fn touch(&mut self, key: &[u8]) -> Result<(), Stop> {
        let (held, bucket, head, _) = self.live(key)?;
        let (_, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        if head.expire_at.is_some() {
            self.log_put(held, bucket);
        } else {
            self.parts[self.at].ops.touch(key);
        }
        Ok(())
    }

    fn heavy(&mut self, bytes: u64) -> Result<(), Stop> {
        if bytes <= self.heavy_limit {
            return Ok(());
        }
        self.need = Some(Need::Desk);
        Err(Stop::WouldBlock)
    }

    fn walk(
        &mut self,
        from: Seek<'_>,
        prefix: &[u8],
        limit: usize,
        seen: &mut dyn FnMut(&[u8], &Record<'_>),
    ) -> Result<Page, Stop> {
        self.whole_or_walk()?;
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(Page::End) };
        let asked = walk::Asked { from, prefix, limit, now: self.now };
        let dirty = match part.whole {
            Some(base) => {
                let mut dirty = walk::DirtyCopy::new(&asked);
                for held in &self.held[base..base + STRIPES] {
                    dirty.add(&held.guard);
                }
                dirty
            }
            None => walk::DirtyCopy::of_shard(shard, &asked),
        };
        let store_is_empty = part.cleared.is_some();
        walk::walk(shard, &asked, dirty, store_is_empty, seen).map_err(|fault| self.fail(fault))
    }

    fn cursor(&mut self, key: &[u8]) -> u64 {
        self.part().shard.map_or(0, |shard| shard.cursors.lock().save(key))
    }

    fn cursor_key(&mut self, cursor: u64) -> Option<Vec<u8>> {
        self.part().shard?.cursors.lock().find(cursor)
    }

    fn random_key(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        self.whole_or_walk()?;
        let random = [self.random(), self.random(), self.random()];
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(None) };
        let held = part.whole.map(|base| &self.held[base..base + STRIPES]);
        let stripes = held.map(|held| held.iter().map(|held| &*held.guard).collect::<Vec<_>>());
        walk::random_key(shard, stripes, part.cleared.is_some(), self.now, random).map_err(|fault| self.fail(fault))
    }

    fn count(&mut self) -> Result<u64, Stop> {
        self.whole_or_walk()?;
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(0) };
        let held = part.whole.map(|base| &self.held[base..base + STRIPES]);
        let counted = match held {
            Some(held) => {
                let stripes: Vec<_> = held.iter().map(|held| &*held.guard).collect();
                walk::count_held(shard, &stripes, part.cleared.is_some())
            }
            None => walk::count(shard),
        };
        counted.map_err(|fault| self.fail(fault))
    }

    fn clear(&mut self) -> Result<(), Stop> {
        let part = &mut self.parts[self.at];
        if part.shard.is_none() {
            return Ok(());
        }
        let Some(base) = part.whole else { return Err(Stop::Undeclared) };
        part.ops.clear_shard();
        part.rows = None;
        part.deletes = true;
        let held = &mut self.held[base..base + STRIPES];
        let taken: Vec<Stripe> = held.iter_mut().map(|held| std::mem::take(&mut *held.guard)).collect();
        if part.cleared.is_none() {
            part.cleared = Some(taken);
        }
        Ok(())
    }

    fn usage(&mut self, key: &[u8]) -> Result<Option<Usage>, Stop> {
        let now = self.now;
        let was_hot = match self.locate(key)? {
            Some((hash, at)) => self.held[at].guard.find(hash, key).is_some(),
            None => return Ok(None),
        };
        let Some((at, bucket)) = self.bucket(key)? else { return Ok(None) };
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let live = entry.record().ok().flatten().is_some_and(|record| !record.is_expired(now));
        let idle = if was_hot { self.instance.seconds(now).saturating_sub(entry.used_at) } else { 0 };
        Ok(live.then(|| Usage {
            idle_seconds: u64::from(idle),
            frequency: entry.uses,
            memory_bytes: entry.cost(),
        }))
    }
}

impl Txn<'_> {
    /// Whole-shard questions are for threads that may wait, in runs that asked for them.
    fn whole_or_walk(&mut self) -> Result<(), Stop> {
        if self.reach == Reach::Memory && self.heavy_limit < u64::MAX {
            self.need = Some(Need::Desk);
            return Err(Stop::WouldBlock);
        }
        if self.walks || self.part().whole.is_some() || self.part().shard.is_none() {
            Ok(())
        } else {
            Err(Stop::Undeclared)
        }
    }

    /// Puts everything back as it was and gives the scratch back.
    pub fn undo(mut self) {
        let touched = std::mem::take(&mut self.scratch.touched);
        // Records first, newest change first; then whole tables that a Clear took out.
        for touched in touched.iter().rev() {
            let (key_at, key_len) = touched.key;
            let key = &self.scratch.arena[key_at..key_at + key_len];
            let guard = &mut self.held[touched.held as usize].guard;
            match touched.old {
                None => drop(guard.remove(touched.hash, key)),
                Some((old_at, old_len)) => {
                    // A Clear may have taken the entry out; it then lies in the tables put back below.
                    if let Some(entry) = guard.find_mut(touched.hash, key) {
                        entry.restore(&self.scratch.arena[old_at..old_at + old_len]);
                        entry.state = touched.state;
                    }
                }
            }
        }
        for part in &mut self.parts {
            let (Some(base), Some(cleared)) = (part.whole, part.cleared.take()) else { continue };
            for (held, stripe) in self.held[base..base + STRIPES].iter_mut().zip(cleared) {
                *held.guard = stripe;
            }
        }
        self.scratch.touched = touched;
        self.give_back();
    }

    /// Ends a run that changed nothing.
    pub fn finish(mut self) -> Gate {
        self.evict();
        self.give_back();
        self.gate()
    }

    fn give_back(&mut self) {
        if let Some(part) = self.parts.first_mut() {
            self.scratch.ops = std::mem::take(&mut part.ops);
        }
        const KEEP: usize = 1 << 20;
        if self.scratch.arena.capacity() > KEEP {
            self.scratch.arena = Vec::new();
        }
    }

    /// Where the logs must have got to before the outcome of a run that changed nothing may be told.
    pub fn gate(&self) -> Gate {
        self.parts
            .iter()
            .filter_map(|part| part.shard.map(|shard| (part.database, shard.log.end().0)))
            .collect()
    }

    /// How many databases the run changed.
    pub fn changed_parts(&self) -> usize {
        self.parts.iter().filter(|part| !part.ops.is_empty()).count()
    }
}

mod commit;
