//! Running a command: locks, attempts, and what is fetched between them.
//!
//! A worker tries once and never waits; whatever would make it wait ends the attempt without a trace, and the same
//! command is run at the desk, which locks, tries, unlocks, fetches what was missing, and tries again.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use keyspace::{Millis, Stop, View};
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use crate::fault::Fault;
use crate::hot::{Entry, STRIPES, Stripe};
use crate::instance::Instance;
use crate::role::Role;
use crate::row_walk::{self, Ended};
use crate::rows::RowKey;
use crate::settle::Settling;
use crate::shard::Shard;
use crate::slot::Pins;
use crate::store::{Found, Reach};
use crate::txn::{Fetched, FetchedRows, Gate, Held, Need, Part, RowsNeed, Scratch, Transaction, Txn};

/// How often a worker looks at a lock that somebody holds before it leaves the command to the desk.
const SPINS: usize = 64;
/// Attempts at the desk that fetch without locks. After them one reads under its locks: it may make others wait, and
/// it ends.
pub(crate) const ATTEMPTS: usize = 16;
/// What a worker may copy in one command, in bytes.
const WORKER_HEAVY: u64 = 64 << 10;

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a thread that must not wait.
    Worker,
    /// On a thread that may.
    Desk,
}

/// A key to lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockKey<'k> {
    /// Its database.
    pub database: usize,
    /// The user key.
    pub key: &'k [u8],
}

/// What a command may touch.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'k> {
    /// These keys. None at all is allowed.
    Keys(&'k [LockKey<'k>]),
    /// The whole of the selected database, to look at; nothing is locked for long.
    Walk,
    /// The whole of the selected database, locked.
    Shard,
    /// All databases, locked.
    AllShards,
}

/// A command to run.
#[derive(Clone, Copy, Debug)]
pub struct Request<'k> {
    /// Where.
    pub place: Place,
    /// What it may touch.
    pub scope: Scope<'k>,
    /// The selected database.
    pub database: usize,
    /// The clock.
    pub clock: Millis,
}

/// Why a command's own code ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// It answered with an error; its changes, if any, are to be undone.
    Undo,
    /// The view stopped it.
    Stop(Stop),
}

impl From<Stop> for Abort {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Ran {
    /// It is done; its reply may leave when the logs have got to the gate.
    Done(Gate),
    /// Nothing happened: run it at the desk.
    Later,
    /// Nothing happened: it touched a key outside its scope; run it with [`Scope::Shard`] at the desk.
    Undeclared,
}

/// A command's code, which may be called several times: each call begins from nothing.
pub type Command<'c> = dyn FnMut(&mut dyn View) -> Result<(), Abort> + 'c;

/// The code of several commands, as [`Command`].
pub type Steps<'c> = dyn FnMut(&mut dyn Transaction) -> Result<(), Abort> + 'c;

impl Instance {
    /// Runs a command.
    ///
    /// # Errors
    /// A fault of the disk, or a shard that takes no writes; nothing of the command has happened then.
    pub fn run(&self, request: &Request<'_>, scratch: &mut Scratch, command: &mut Command<'_>) -> Result<Ran, Fault> {
        self.run_any(request, scratch, |txn| command(txn))
    }

    /// Runs several commands as one: all of their changes are one frame in each database.
    ///
    /// # Errors
    /// As [`Instance::run`].
    pub fn run_steps(&self, request: &Request<'_>, scratch: &mut Scratch, steps: &mut Steps<'_>) -> Result<Ran, Fault> {
        self.run_any(request, scratch, |txn| steps(txn))
    }

    fn run_any(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch,
        mut command: impl FnMut(&mut Txn<'_>) -> Result<(), Abort>,
    ) -> Result<Ran, Fault> {
        match request.place {
            Place::Worker => match self.attempt(request, scratch, None, Reach::Memory, &mut command)? {
                Attempt::Ended(ran) => Ok(ran),
                Attempt::Lacks(_) => Ok(Ran::Later),
            },
            Place::Desk => self.run_at_desk(request, scratch, command),
        }
    }

    fn run_at_desk(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch,
        mut command: impl FnMut(&mut Txn<'_>) -> Result<(), Abort>,
    ) -> Result<Ran, Fault> {
        let mut fetched = Fetched::default();
        // Every attempt throws the same dice, else it would look for other rows than were fetched for it.
        let random = scratch.random();
        for _ in 0..ATTEMPTS {
            scratch.set_random(random);
            match self.attempt(request, scratch, Some(&fetched), Reach::Memory, &mut command)? {
                Attempt::Ended(ran) => return Ok(ran),
                Attempt::Lacks(need) => self.fetch(*need, &mut fetched, request.clock)?,
            }
        }
        loop {
            scratch.set_random(random);
            match self.attempt(request, scratch, Some(&fetched), Reach::Disk, &mut command)? {
                Attempt::Ended(ran) => return Ok(ran),
                // Only databases can still be missing.
                Attempt::Lacks(need) => self.fetch(*need, &mut fetched, request.clock)?,
            }
        }
    }

    fn attempt(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch,
        fetched: Option<&Fetched>,
        reach: Reach,
        command: &mut impl FnMut(&mut Txn<'_>) -> Result<(), Abort>,
    ) -> Result<Attempt, Fault> {
        let pins = Pins::of(self, request);
        // Settle is held off before any stripe is locked, where a whole shard may be emptied.
        let _settling = hold_settle(&pins, request);
        let mut txn = self.begin(request, &pins, scratch, fetched, reach);
        if txn.lock(request).is_none() {
            return Ok(Attempt::Lacks(Box::new(Need::Desk)));
        }
        txn.begin();
        match command(&mut txn) {
            Ok(()) => {
                let is_unchanged = txn.changed_parts() == 0;
                if txn.scratch.tally().stale.get() > 0
                    && let Err(stop) = self.expire_met(&mut txn, request)
                {
                    return self.stopped(txn, stop);
                }
                let changed = txn.changed_parts();
                if changed == 0 {
                    return Ok(Attempt::Ended(Ran::Done(txn.finish())));
                }
                if changed > 1 && request.place == Place::Worker {
                    // Two logs in order means an fsync in between.
                    txn.undo();
                    return Ok(Attempt::Lacks(Box::new(Need::Desk)));
                }
                if let Some(database) = txn.lacks_reign() {
                    txn.undo();
                    return Ok(Attempt::Lacks(Box::new(Need::Reign(database))));
                }
                let gate = txn.commit()?;
                // That expired records are put away is nothing that replicas would have to confirm.
                txn.scratch.tally().committed.set(!is_unchanged);
                self.after_commit();
                Ok(Attempt::Ended(Ran::Done(gate)))
            }
            Err(Abort::Undo) => {
                let gate = txn.gate();
                txn.undo();
                Ok(Attempt::Ended(Ran::Done(gate)))
            }
            Err(Abort::Stop(stop)) => self.stopped(txn, stop),
        }
    }

    /// Deletes the expired records that a run of one database has met, where it could write anyway.
    #[cold]
    fn expire_met(&self, txn: &mut Txn<'_>, request: &Request<'_>) -> Result<(), Stop> {
        let (Scope::Keys(keys), [part]) = (request.scope, &txn.parts[..]) else { return Ok(()) };
        let Some(shard) = part.shard else { return Ok(()) };
        let takes_writes = shard.refuses_writes().is_none() && !shard.rests() && !shard.log.is_full();
        if self.role() == Role::Primary && takes_writes && self.budget.has_room() && !self.holds_expiry(txn.now) {
            let buried = txn.bury_stale(keys)?;
            shard.sweep.count(buried);
        }
        Ok(())
    }

    fn stopped(&self, mut txn: Txn<'_>, stop: Stop) -> Result<Attempt, Fault> {
        let (need, fault) = (txn.need.take(), txn.fault.take());
        let dir = txn.parts.iter().find_map(|part| part.shard).map(|shard| shard.dir.clone()).unwrap_or_default();
        txn.undo();
        match stop {
            Stop::WouldBlock => Ok(Attempt::Lacks(need.unwrap_or_else(|| Box::new(Need::Desk)))),
            Stop::Undeclared => Ok(Attempt::Ended(Ran::Undeclared)),
            Stop::Fault => Err(fault.map_or_else(
                || Fault::new(crate::fault::FaultKind::Corrupt, "a value's parts do not fit together", &dir),
                |fault| *fault,
            )),
        }
    }

    /// A run that has locked nothing yet.
    #[inline]
    pub(crate) fn begin<'r>(
        &'r self,
        request: &Request<'r>,
        pins: &'r Pins,
        scratch: &'r mut Scratch,
        fetched: Option<&'r Fetched>,
        reach: Reach,
    ) -> Txn<'r> {
        let heavy_limit = match request.place {
            Place::Worker => WORKER_HEAVY,
            Place::Desk => u64::MAX,
        };
        Txn {
            instance: self,
            pins,
            now: request.clock,
            reach,
            heavy_limit,
            walks: matches!(request.scope, Scope::Walk),
            parts: SmallVec::new(),
            at: 0,
            held: SmallVec::new(),
            first: None,
            scratch,
            fetched,
            need: None,
            fault: OnceCell::new(),
            step: None,
        }
    }

    /// Fetches what an attempt lacked, without holding any lock of a key.
    pub(crate) fn fetch(&self, need: Need, fetched: &mut Fetched, clock: Millis) -> Result<(), Fault> {
        match need {
            Need::Desk => Ok(()),
            Need::Shard(database) => {
                self.create_shard(database)?;
                self.begin_reign(database, clock)
            }
            Need::Reign(database) => self.begin_reign(database, clock),
            Need::Record { database, key, changes } => {
                let Some(shard) = self.shard(database) else { return Ok(()) };
                let mut bytes = Vec::new();
                match shard.store.record(&key, Reach::Disk, &mut bytes)? {
                    Found::Yes => self.insert_stored(&shard, &key, &bytes, changes, clock),
                    Found::No | Found::WouldBlock => fetched.absent.push((database, key, changes)),
                }
                Ok(())
            }
            Need::Rows(need) => {
                let Some(shard) = self.shard_of(need.shard) else { return Ok(()) };
                fetched.rows.push(fetch_rows(&shard, need)?);
                Ok(())
            }
        }
    }

    /// Puts a record that was read without its lock into the hot table, unless anything has happened to it since.
    pub(crate) fn insert_stored(&self, shard: &Shard, key: &[u8], bytes: &[u8], changes: u64, clock: Millis) {
        let (hash, at) = shard.place(key);
        let mut stripe = shard.stripes[at].0.lock();
        if stripe.changes == changes && stripe.find(hash, key).is_none() && !shard.store_is_masked() {
            // Room is made first: the new entry has no uses yet and would be the first to go.
            self.trim(&mut stripe);
            let entry = Entry::stored(key, bytes, self.seconds(clock));
            if let Ok(Some(record)) = entry.record() {
                shard.sweep.see(&record);
            }
            self.budget.book_used(entry.cost() as i64);
            stripe.insert(&shard.hasher, hash, entry);
        }
    }

    fn trim(&self, stripe: &mut Stripe) {
        if self.budget.excess() > 0 {
            let freed = stripe.evict(1024, 32);
            self.budget.book_eviction(freed);
        }
    }
}

enum Attempt {
    Ended(Ran),
    Lacks(Box<Need>),
}

/// Reads rows without a lock. They are good for a run that finds their owner as it was when they were missed.
fn fetch_rows(shard: &Shard, need: RowsNeed) -> Result<FetchedRows, Fault> {
    let (mut rows, mut bytes) = (BTreeMap::new(), 0);
    let mut last = RowKey::new();
    let ended = row_walk::walk(shard, need.rows, &need.range, need.direction, Reach::Disk, &mut |row, value| {
        bytes += row.len() + value.len();
        rows.insert(row.to_vec(), value.to_vec());
        let goes_on = rows.len() < need.most.rows && bytes < need.most.bytes;
        if !goes_on {
            last = RowKey::from_slice(row);
        }
        goes_on
    })?;
    let covered = match ended {
        Ended::Enough => need.range.clone().before(&need.range.clone().beyond(last, need.direction), need.direction),
        Ended::All | Ended::WouldBlock => need.range.clone(),
    };
    Ok(FetchedRows { need, covered, rows })
}

pub(crate) fn hold_settle<'p>(pins: &'p Pins, request: &Request<'_>) -> SmallVec<[MutexGuard<'p, Settling>; 1]> {
    match (request.place, request.scope) {
        (Place::Desk, Scope::Shard | Scope::AllShards) => pins.shards().map(Shard::settle_lock).collect(),
        (Place::Worker, _) | (Place::Desk, Scope::Keys(_) | Scope::Walk) => SmallVec::new(),
    }
}

impl<'r> Txn<'r> {
    /// Locks what the request may touch. `None`: on a worker, and it would have to wait; or it must begin anew.
    #[inline]
    pub(crate) fn lock(&mut self, request: &Request<'r>) -> Option<()> {
        match request.scope {
            Scope::Keys([one]) if one.database == request.database => self.lock_one(request.place, *one),
            Scope::Keys(keys) => self.lock_keys(request, keys),
            Scope::Walk => {
                self.add_part(request.database);
                Some(())
            }
            Scope::Shard => self.lock_whole(request.place, request.database),
            Scope::AllShards => self.lock_all(request),
        }?;
        for part in &self.parts {
            if let Some(shard) = part.shard {
                if shard.is_retired() {
                    // Another took its place while this run waited.
                    return None;
                }
                self.now = shard.time(self.now);
            }
        }
        Some(())
    }

    /// Locks the stripe of one key: the common case.
    #[inline]
    fn lock_one(&mut self, place: Place, key: LockKey<'r>) -> Option<()> {
        let shard = self.pins.shard(key.database);
        self.parts.push(Part::new(key.database, shard));
        if let Some(shard) = shard {
            let (hash, stripe) = shard.place(key.key);
            let guard = lock_stripe(place, shard, stripe)?;
            self.held.push(Held { part: 0, stripe, guard });
            self.first = Some((key.key, hash));
        }
        Some(())
    }

    /// Locks the stripes of several keys, in order of database and stripe, each once.
    fn lock_keys(&mut self, request: &Request<'r>, keys: &[LockKey<'r>]) -> Option<()> {
        self.add_part(request.database);
        for key in keys {
            self.add_part(key.database);
        }
        let mut stripes: SmallVec<[(usize, usize, usize); 8]> = SmallVec::new();
        for key in keys {
            let part = self.parts.iter().position(|part| part.database == key.database)?;
            if let Some(shard) = self.parts[part].shard {
                stripes.push((key.database, shard.place(key.key).1, part));
            }
        }
        stripes.sort_unstable();
        stripes.dedup();
        for (_, stripe, part) in stripes {
            let Some(shard) = self.parts[part].shard else { continue };
            let guard = lock_stripe(request.place, shard, stripe)?;
            self.held.push(Held { part, stripe, guard });
        }
        Some(())
    }

    fn add_part(&mut self, database: usize) {
        if !self.parts.iter().any(|part| part.database == database) {
            self.parts.push(Part::new(database, self.pins.shard(database)));
        }
    }

    fn lock_whole(&mut self, place: Place, database: usize) -> Option<()> {
        if place == Place::Worker {
            return None;
        }
        self.add_part(database);
        let part = self.parts.len() - 1;
        let Some(shard) = self.parts[part].shard else { return Some(()) };
        self.parts[part].whole = Some(self.held.len());
        for stripe in 0..STRIPES {
            let guard = shard.stripes[stripe].0.lock();
            self.held.push(Held { part, stripe, guard });
        }
        Some(())
    }

    fn lock_all(&mut self, request: &Request<'r>) -> Option<()> {
        for database in 0..self.instance.databases() {
            self.lock_whole(request.place, database)?;
        }
        self.at = self.parts.iter().position(|part| part.database == request.database)?;
        Some(())
    }
}

#[inline]
fn lock_stripe(place: Place, shard: &Shard, stripe: usize) -> Option<MutexGuard<'_, Stripe>> {
    let lock = &shard.stripes[stripe].0;
    match place {
        Place::Desk => Some(lock.lock()),
        Place::Worker => {
            for _ in 0..SPINS {
                if let Some(guard) = lock.try_lock() {
                    return Some(guard);
                }
                std::hint::spin_loop();
            }
            None
        }
    }
}
