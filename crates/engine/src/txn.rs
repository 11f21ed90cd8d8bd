//! One run of one command (or of several that belong together): the keys it has locked, what it changed, how to undo
//! that, and the ops that will be its frame.
//!
//! Records change in place, with an undo list; rows are collected and reach the shard only at commit. A run that must
//! stop leaves no trace but [`Need`]: what it lacked, for the desk to fetch.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;

use keyspace::{Head, Millis, OpWriter, RowsId, Stop, View};
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use crate::fault::{Fault, FaultKind};
use crate::hot::{Entry, EntryState, Stripe, stripe_of};
use crate::instance::{Instance, LimitsCopy};
use crate::rows::RowRange;
use crate::run::LockKey;
use crate::shard::Shard;
use crate::slot::{Pins, ShardId};
use crate::store::{Direction, Found, Reach};
use row_writes::{RowWrites, SetWrites};

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
    /// The reign of a database that has not been written to since it was opened, or taken.
    Reign(usize),
    /// A thread that may take its time.
    Desk,
}

/// Rows that were missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsNeed {
    /// The shard.
    pub shard: ShardId,
    /// The owner's LSN: as long as it is the same, so are the rows.
    pub lsn: u64,
    /// The row set.
    pub rows: RowsId,
    /// The range.
    pub range: RowRange,
    /// From which of its ends on they are wanted.
    pub direction: Direction,
    /// How much of it is fetched, unless it has less.
    pub most: FetchLimit,
}

/// How much is fetched at a time. A run that comes back for more gets more: most want a few rows of a long range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimit {
    /// Rows.
    pub rows: usize,
    /// Bytes of rows.
    pub bytes: usize,
}

impl FetchLimit {
    const FIRST: Self = Self { rows: if cfg!(test) { 4 } else { 512 }, bytes: 1 << 20 };

    /// After so many other fetches for the same run.
    #[must_use]
    pub fn after(fetches: usize) -> Self {
        let times = 1 << fetches.min(20);
        Self { rows: Self::FIRST.rows * times, bytes: Self::FIRST.bytes * times }
    }
}

/// What the desk fetched for the next attempt.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Keys that are not in the store, while their stripe's counter is this.
    pub absent: Vec<(usize, Vec<u8>, u64)>,
    /// Rows of ranges as they were at the owner's LSN.
    pub rows: Vec<FetchedRows>,
}

/// The content of a range of rows.
#[derive(Debug)]
pub struct FetchedRows {
    /// Which were asked for.
    pub need: RowsNeed,
    /// How far that was followed.
    pub covered: RowRange,
    /// All that `covered` holds.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Memory that runs of one thread reuse.
#[derive(Debug)]
pub struct Scratch {
    ops: OpWriter,
    touched: Vec<Touched>,
    arena: Vec<u8>,
    /// Empty.
    rows: Option<Box<RowWrites>>,
    read: Vec<u8>,
    random: u64,
    woken: Vec<(usize, Vec<u8>)>,
    tally: Tally,
    limits: LimitsCopy,
}

impl Scratch {
    /// Empty memory; `seed` starts the thread's random numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            ops: OpWriter::new(),
            touched: Vec::new(),
            arena: Vec::new(),
            rows: None,
            read: Vec::new(),
            random: seed | 1,
            limits: LimitsCopy::default(),
            woken: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Whether runs of this thread made keys present that somebody waits for: see [`Scratch::take_woken`].
    #[inline]
    #[must_use]
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// The keys, with their databases, that were made present since this was last asked, in the order in which they
    /// were, of those that somebody waits for: of all that hash alike.
    pub fn take_woken(&mut self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut self.woken)
    }

    /// What the last run did. Of a run that was stopped this means nothing.
    #[inline]
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// What a run did, for statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Look-ups that found a live record.
    pub hits: Cell<u32>,
    /// Look-ups that found none.
    pub misses: Cell<u32>,
    /// Those of them that found an expired record.
    pub stale: Cell<u32>,
    /// Records that were changed.
    pub changed: Cell<u32>,
    /// Whether the run has a frame in a log: it changed something, other than by deleting expired records that it met.
    pub committed: Cell<bool>,
}

impl Scratch {
    /// From where the random numbers go on.
    pub(crate) const fn random(&self) -> u64 {
        self.random
    }

    /// Has the random numbers go on from there.
    pub(crate) const fn set_random(&mut self, random: u64) {
        self.random = random;
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
    /// Row sets that a record led to before one of the run's changes. Another may lead to them after it.
    lost: Vec<RowsId>,
    /// Row sets that the run itself has made: the store has nothing of them.
    made: Vec<RowsId>,
    /// What the run has seen of the database is told by frames that begin before this.
    seen: u64,
    deletes: bool,
    cleared: Option<Box<Cleared>>,
    /// How many records had been changed when the part was last cleared: those are gone.
    cleared_at: usize,
}

impl<'r> Part<'r> {
    pub(crate) fn new(database: usize, shard: Option<&'r Shard>) -> Self {
        Self {
            database,
            shard,
            whole: None,
            ops: OpWriter::new(),
            rows: None,
            lost: Vec::new(),
            made: Vec::new(),
            seen: 0,
            deletes: false,
            cleared: None,
            cleared_at: 0,
        }
    }
}

/// What a Clear took out of the hot table.
struct Cleared {
    stripes: Vec<Stripe>,
    /// How many records the run had changed by then; later changes are not in these stripes.
    touched: usize,
}

/// A record that the run changed, and what it was.
#[derive(Debug)]
struct Touched {
    hash: u64,
    held: u32,
    /// Where its entry was in the table; a later insertion may have moved it.
    bucket: usize,
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
    pub pins: &'r Pins,
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
    pub need: Option<Box<Need>>,
    pub fault: OnceCell<Box<Fault>>,
    pub step: Option<Box<steps::Step>>,
}

/// How far each part's log must be written before what the run saw or did may be told.
pub type Gate = SmallVec<[(ShardId, u64); 1]>;

impl<'r> Txn<'r> {
    /// Makes the scratch ready; called once the locks are held.
    pub fn begin(&mut self) {
        self.instance.refresh_limits(&mut self.scratch.limits);
        self.scratch.touched.clear();
        self.scratch.arena.clear();
        self.scratch.tally = Tally::default();
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
            self.need = Some(Box::new(Need::Shard(self.part().database)));
            return Err(Stop::WouldBlock);
        };
        let (hash, at) = self.locate(key)?.ok_or(Stop::Undeclared)?;
        Ok((shard, hash, at))
    }

    /// The bucket of a key's entry, which is read from the store if need be. `None`: there is no record.
    #[inline]
    fn bucket(&mut self, key: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
        let Some((hash, at)) = self.locate(key)? else { return Ok(None) };
        let table = &self.held[at].guard.table;
        if let Some(bucket) = table.find_bucket_index(hash, |entry| entry.key() == key) {
            // What this run has made itself has LSN 0.
            let lsn = table.get_bucket(bucket).map_or(0, Entry::lsn);
            let part = &mut self.parts[self.at];
            part.seen = part.seen.max(lsn + 1);
            return Ok(Some((at, bucket)));
        }
        self.load(hash, at, key)
    }

    /// Reads a record from the store into the hot table.
    fn load(&mut self, hash: u64, at: usize, key: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(None) };
        if part.cleared.is_some() || shard.store_is_masked() {
            // The absence of a record tells of the Clear.
            self.parts[self.at].seen = shard.log.end().0;
            return Ok(None);
        }
        let changes = self.held[at].guard.changes;
        let known_absent = |fetched: &Fetched| {
            fetched.absent.iter().any(|(db, absent, then)| *db == part.database && *then == changes && absent == key)
        };
        if self.fetched.is_some_and(known_absent) {
            return Ok(None);
        }
        match shard.store.record(key, self.reach, &mut self.scratch.read) {
            Ok(Found::No) => Ok(None),
            Ok(Found::WouldBlock) => {
                let need = Need::Record { database: part.database, key: key.to_vec(), changes };
                self.need = Some(Box::new(need));
                Err(Stop::WouldBlock)
            }
            Ok(Found::Yes) => {
                let entry = Entry::stored(key, &self.scratch.read, self.instance.seconds(self.now));
                if let Ok(Some(record)) = entry.record() {
                    shard.sweep.see(&record);
                }
                self.instance.budget.book_used(entry.cost() as i64);
                let bucket = self.held[at].guard.insert(&shard.hasher, hash, entry);
                Ok(Some((at, bucket)))
            }
            Err(fault) => Err(self.fail(fault)),
        }
    }

    /// Remembers the first thing that failed.
    fn fail(&self, fault: Fault) -> Stop {
        let _ = self.fault.set(Box::new(fault));
        Stop::Fault
    }

    /// The store or the hot table holds bytes that are no record.
    #[cold]
    fn corrupt(&self, key: &[u8], what: &str) -> Stop {
        let name = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
        let path = self.part().shard.map_or_else(Default::default, |shard| shard.dir.clone());
        self.fail(Fault::new(FaultKind::Corrupt, format!("the record of key '{name}' cannot be read: {what}"), &path))
    }

    /// Notes what an entry was, before its first change in this run. Answers whether it was the first.
    fn touch_entry(&mut self, hash: u64, at: usize, bucket: usize, key: &[u8]) {
        let scratch = &mut *self.scratch;
        let entry = self.held[at].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        if entry.is_touched() {
            if self.step.is_some() {
                self.touch_again(hash, at, bucket, key);
            }
            return;
        }
        let key_at = (scratch.arena.len(), key.len());
        scratch.arena.extend_from_slice(key);
        let old_at = (scratch.arena.len(), entry.stored_bytes().len());
        scratch.arena.extend_from_slice(entry.stored_bytes());
        scratch.touched.push(Touched {
            hash,
            held: at as u32,
            bucket,
            key: key_at,
            old: Some(old_at),
            state: entry.state(),
            cost: entry.cost(),
        });
        entry.touch();
        if self.step.is_some() {
            self.know_touched(at);
        }
    }

    /// Puts in the entry of a key that has none; answers its bucket.
    fn insert_touched(&mut self, shard: &Shard, hash: u64, at: usize, mut entry: Entry) -> usize {
        let scratch = &mut *self.scratch;
        let key = (scratch.arena.len(), entry.key().len());
        scratch.arena.extend_from_slice(entry.key());
        let state = entry.state();
        entry.touch();
        let bucket = self.held[at].guard.insert(&shard.hasher, hash, entry);
        scratch.touched.push(Touched { hash, held: at as u32, bucket, key, old: None, state, cost: 0 });
        if self.step.is_some() {
            self.know_touched(at);
        }
        bucket
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

    /// Makes a record out of head and payload; the op that says so is written by the caller.
    fn write_record(&mut self, key: &[u8], head: &Head, payload: &[u8]) -> Result<(usize, usize), Stop> {
        let (shard, hash, at) = self.locate_to_write(key)?;
        shard.sweep.see(&keyspace::Record { lsn: 0, head: *head, payload });
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
                self.insert_touched(shard, hash, at, entry)
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
        let spare = &mut self.scratch.rows;
        self.parts[self.at].rows.get_or_insert_with(|| spare.take().unwrap_or_default()).of(rows)
    }
}

impl Txn<'_> {
    /// Deletes the expired ones of these keys, as far as they are in the databases that the run has; answers how many.
    pub fn bury_stale(&mut self, keys: &[LockKey<'_>]) -> Result<u64, Stop> {
        let now = self.now;
        let mut buried = 0;
        for lock in keys {
            self.select(lock.database)?;
            let Some((at, bucket)) = self.bucket(lock.key)? else { continue };
            let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
            if entry.record().ok().flatten().is_some_and(|record| record.is_expired(now)) {
                self.bury(lock.key, at, bucket)?;
                buried += 1;
            }
        }
        Ok(buried)
    }

    /// Ends a run that changed nothing.
    #[inline]
    pub fn finish(&mut self) -> Gate {
        self.evict();
        self.give_back();
        self.gate()
    }

    fn give_back(&mut self) {
        if let Some(part) = self.parts.first_mut() {
            self.scratch.ops = std::mem::take(&mut part.ops);
            if let Some(mut rows) = part.rows.take() {
                rows.clear();
                self.scratch.rows = Some(rows);
            }
        }
        const KEEP: usize = 1 << 20;
        if self.scratch.arena.capacity() > KEEP {
            self.scratch.arena = Vec::new();
        }
    }

    /// Where the logs must have got to before the outcome of a run that changed nothing may be told.
    #[inline]
    pub fn gate(&self) -> Gate {
        let mut gate = Gate::new();
        for part in self.parts.iter().filter(|part| part.seen > 0) {
            gate.extend(part.shard.map(|shard| (shard.id, part.seen)));
        }
        gate
    }

    /// How many databases the run changed.
    pub fn changed_parts(&self) -> usize {
        self.parts.iter().filter(|part| !part.ops.is_empty()).count()
    }
}

mod commit;
mod foreign;
#[cfg(test)]
pub(crate) use commit::MAX_OPS_BYTES;
mod reading;
mod row_writes;
mod steps;
pub use steps::{Trace, Transaction};
mod undo;
mod view;
