//! One database: its log, its hot records and rows, its store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyspace::{Millis, RowsId};
use lineage::{Epoch, Era, Lineage, ReplId};
use parking_lot::{Mutex, MutexGuard};
use replog::Log;

use crate::apply::Applier;
use crate::budget::Budget;
use crate::expire::Sweep;
use crate::fault::{Fault, FaultKind, read_only};
use crate::hot::{KeyHasher, STRIPES, Stripe, stripe_of};
use crate::instance::Instance;
use crate::role::Role;
use crate::rows::Rows;
use crate::settle::{self, Settling, marks};
use crate::slot::ShardId;
use crate::store::{Store, StoreHealth, StoreStats, Write};
use crate::walk::{self, Cursors};

/// Why a shard takes no writes of clients: something is wrong with it.
const FAULT: u8 = 1;
/// The same: a primary elsewhere writes it.
const REPLICA: u8 = 2;
/// Clients may write, but the first to do so begins a reign.
const RESTS: u8 = 4;

/// A stripe on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct StripeLock(pub Mutex<Stripe>);

/// One database.
pub struct Shard {
    /// Its number.
    pub database: usize,
    /// Which of the database's shards it is.
    pub id: ShardId,
    /// Its folder.
    pub dir: PathBuf,
    /// Its log.
    pub log: Arc<Log>,
    pub(crate) generation: AtomicU64,
    pub(crate) retired: AtomicBool,
    /// Held while frames of a primary are applied.
    pub(crate) applying: Mutex<Applier>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hasher: KeyHasher,
    pub(crate) stripes: Box<[StripeLock]>,
    pub(crate) rows: Rows,
    /// Row sets whose owner is gone.
    pub(crate) dead: Mutex<Vec<RowsId>>,
    pub(crate) cursors: Mutex<Cursors>,
    pub(crate) progress: Progress,
    pub(crate) sweep: Sweep,
    settling: Mutex<Settling>,
    next_rows: AtomicU64,
    last_time: AtomicU64,
    store_masked: AtomicBool,
    /// See [`Shard::refuses_writes`]: bits of [`FAULT`], [`REPLICA`] and [`RESTS`].
    refuses: AtomicU8,
    /// The reign that the next frame begins; there as long as [`RESTS`] is.
    rest: Mutex<Option<Rest>>,
    refusal: Mutex<Option<Fault>>,
}

/// The number of the era that follows a history.
pub(crate) fn next_epoch(lineage: &Lineage) -> Epoch {
    lineage.current().map_or(Epoch(1), |era| era.epoch.next())
}

/// A primary that has not written yet: its history is still that of the primary before, which it can follow if need be.
#[derive(Debug)]
struct Rest {
    /// The reign that its first frame will begin.
    id: ReplId,
    since: Instant,
}

/// How far settle and flush have got.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Every frame that begins before this is in the store.
    pub settled: AtomicU64,
    /// Time of the last frame that is covered by `settled`.
    pub settled_time: AtomicU64,
    /// The same of what survives a crash of the store.
    pub flushed: AtomicU64,
    /// Time of the last frame that is covered by `flushed`.
    pub flushed_time: AtomicU64,
    /// Records in the store.
    pub records: AtomicU64,
    /// Settle cycles that wrote something.
    pub cycles: AtomicU64,
    /// Records and rows that settle has written.
    pub writes: AtomicU64,
}

/// Numbers for INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Records in memory.
    pub hot_records: u64,
    /// End of the log.
    pub log_end: u64,
    /// First LSN that the log still has.
    pub log_start: u64,
    /// How far the log is in its file.
    pub log_written: u64,
    /// How far it is synced.
    pub log_synced: u64,
    /// How far the store has it.
    pub settled: u64,
    /// How far the store's files have it.
    pub flushed: u64,
    /// Records in the store.
    pub stored_records: u64,
    /// Settle cycles that wrote something.
    pub settle_cycles: u64,
    /// Records and rows that settle has written.
    pub settle_writes: u64,
    /// Expired records that were deleted through the log.
    pub expired: u64,
    /// The store's own.
    pub store: StoreStats,
}

/// What a shard is made of when it is opened.
pub(crate) struct Parts {
    pub id: ShardId,
    pub dir: PathBuf,
    pub log: Arc<Log>,
    pub store: Arc<dyn Store>,
    pub settling: Settling,
    pub next_rows: u64,
    pub last_time: u64,
    pub settled: u64,
    pub records: u64,
    pub refusal: Option<Fault>,
}

impl Shard {
    pub(crate) fn new(parts: Parts) -> Self {
        // Numbers of changes of two shards of a database are never the same.
        let changes = u64::from(parts.id.incarnation) << 40;
        let progress = Progress::default();
        progress.settled.store(parts.settled, Ordering::Relaxed);
        progress.flushed.store(parts.settled, Ordering::Relaxed);
        progress.records.store(parts.records, Ordering::Relaxed);
        Self {
            database: parts.id.database as usize,
            id: parts.id,
            dir: parts.dir,
            log: parts.log,
            generation: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            applying: Mutex::default(),
            store: parts.store,
            hasher: KeyHasher::default(),
            stripes: (0..STRIPES).map(|_| StripeLock(Mutex::new(Stripe::new(changes)))).collect(),
            rows: Rows::default(),
            dead: Mutex::default(),
            cursors: Mutex::default(),
            progress,
            sweep: Sweep::default(),
            settling: Mutex::new(parts.settling),
            next_rows: AtomicU64::new(parts.next_rows),
            last_time: AtomicU64::new(parts.last_time),
            store_masked: AtomicBool::new(false),
            refuses: AtomicU8::new(if parts.refusal.is_some() { FAULT } else { 0 }),
            rest: Mutex::default(),
            refusal: Mutex::new(parts.refusal),
        }
    }

    /// The hash of a key, and its stripe.
    pub(crate) fn place(&self, key: &[u8]) -> (u64, usize) {
        let hash = self.hasher.hash(key);
        (hash, stripe_of(hash))
    }

    /// A rows id nobody ever had.
    pub(crate) fn new_rows(&self) -> RowsId {
        RowsId(self.next_rows.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes a rows id met in the log.
    pub(crate) fn saw_rows(&self, rows: RowsId) {
        self.next_rows.fetch_max(rows.0 + 1, Ordering::Relaxed);
    }

    pub(crate) fn next_rows(&self) -> u64 {
        self.next_rows.load(Ordering::Relaxed)
    }

    /// The time of a run that begins at `clock`: never before the last frame's.
    #[inline]
    pub(crate) fn time(&self, clock: Millis) -> Millis {
        Millis(clock.0.max(self.last_time.load(Ordering::Relaxed)))
    }

    #[inline]
    pub(crate) fn note_time(&self, now: Millis) {
        if self.last_time.load(Ordering::Relaxed) < now.0 {
            self.last_time.fetch_max(now.0, Ordering::Relaxed);
        }
    }

    pub(crate) fn last_time(&self) -> Millis {
        Millis(self.last_time.load(Ordering::Relaxed))
    }

    /// From now on nothing of the store is seen, until settle has emptied it. The caller holds the settle lock and all
    /// stripes.
    pub(crate) fn mask_store(&self) {
        self.store_masked.store(true, Ordering::Release);
    }

    pub(crate) fn unmask_store(&self) {
        self.store_masked.store(false, Ordering::Release);
    }

    #[inline]
    pub(crate) fn store_is_masked(&self) -> bool {
        self.store_masked.load(Ordering::Acquire)
    }

    /// Holds settle off; taken before any stripe.
    pub(crate) fn settle_lock(&self) -> MutexGuard<'_, Settling> {
        self.settling.lock()
    }

    /// The number of records, expired ones that are still there included. `None`: settle has been busy for `patience`.
    /// Waits for the disk.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn count_within(&self, patience: Duration) -> Result<Option<u64>, Fault> {
        let Some(_settling) = self.settling.try_lock_for(patience) else { return Ok(None) };
        walk::count_settled(self).map(Some)
    }

    /// Writes what is dirty to the store, and what the store has in memory to its files. Waits for the disk.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn flush(&self, instance: &Instance) -> Result<(), Fault> {
        settle::settle(self, instance)?;
        settle::flush(self, instance)
    }

    /// The number of records in the store at the end of the last settle cycle.
    #[must_use]
    pub fn stored_records(&self) -> u64 {
        self.progress.records.load(Ordering::Relaxed)
    }

    pub(crate) fn hot_records(&self) -> u64 {
        self.stripes.iter().map(|stripe| stripe.0.lock().table.len() as u64).sum()
    }

    pub(crate) fn corrupt(&self, what: &str) -> Fault {
        Fault::new(FaultKind::Corrupt, what, &self.dir)
    }

    /// Why the shard takes no writes of clients at present, if so. Two relaxed loads when it does.
    #[inline]
    #[must_use]
    pub fn refuses_writes(&self) -> Option<Fault> {
        if self.log.health() == replog::Health::Ok && self.refuses.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.refusal_in_full()
    }

    #[cold]
    fn refusal_in_full(&self) -> Option<Fault> {
        let trouble = self.trouble();
        if trouble.is_none() && self.refuses.load(Ordering::Relaxed) & REPLICA != 0 {
            return Some(read_only(&self.dir));
        }
        trouble
    }

    /// What keeps the shard from being written, by whomever, if anything does.
    #[must_use]
    pub fn trouble(&self) -> Option<Fault> {
        if let Some(fault) = self.refusal.lock().as_ref() {
            return Some(fault.clone());
        }
        match self.log.health() {
            replog::Health::Ok => None,
            replog::Health::NoSpace => {
                Some(Fault::new(FaultKind::NoSpace, "No space left on device for the log", &self.dir))
            }
            replog::Health::Failed => Some(Fault::new(FaultKind::Io, "The log failed", &self.dir)),
        }
    }

    /// Settle could not write, or can again. A damaged log's refusal stays.
    pub(crate) fn set_refusal(&self, fault: Option<Fault>) {
        let mut refusal = self.refusal.lock();
        if refusal.as_ref().is_some_and(|old| old.kind == FaultKind::Corrupt) {
            return;
        }
        match &fault {
            Some(_) => self.refuses.fetch_or(FAULT, Ordering::Relaxed),
            None => self.refuses.fetch_and(!FAULT, Ordering::Relaxed),
        };
        *refusal = fault;
    }

    /// Whether clients may write. A replica has no reign to begin.
    pub(crate) fn set_role(&self, role: Role) {
        match role {
            Role::Replica => {
                // In this order: a run never finds the shard with neither, or it would write on without a reign.
                self.refuses.fetch_or(REPLICA, Ordering::Relaxed);
                *self.rest.lock() = None;
                self.refuses.fetch_and(!RESTS, Ordering::Relaxed)
            }
            Role::Primary => self.refuses.fetch_and(!REPLICA, Ordering::Relaxed),
        };
    }

    /// The shard is a primary's, and waits for its first write to begin the reign `id`.
    pub(crate) fn set_rest(&self, id: ReplId) {
        *self.rest.lock() = Some(Rest { id, since: Instant::now() });
        self.refuses.fetch_or(RESTS, Ordering::Relaxed);
    }

    /// The reign has begun.
    pub(crate) fn end_rest(&self) {
        self.refuses.fetch_and(!RESTS, Ordering::Relaxed);
        *self.rest.lock() = None;
    }

    /// Whether the next frame must begin a reign.
    #[inline]
    pub(crate) fn rests(&self) -> bool {
        self.refuses.load(Ordering::Relaxed) & RESTS != 0
    }

    /// The reign that the next frame begins, if it begins one.
    pub(crate) fn next_reign(&self) -> Option<ReplId> {
        self.rest.lock().as_ref().map(|rest| rest.id)
    }

    /// How long it has waited for the first write.
    pub(crate) fn rested(&self) -> Option<Duration> {
        self.rest.lock().as_ref().map(|rest| rest.since.elapsed())
    }

    /// The eras of the history, with the one that the next frame begins.
    #[must_use]
    pub fn history(&self) -> Lineage {
        loop {
            let (mut lineage, next, end) = (self.log.lineage(), self.next_reign(), self.log.end());
            // The reign may begin meanwhile.
            if self.log.lineage() != lineage {
                continue;
            }
            if let Some(id) = next.filter(|id| lineage.current().is_none_or(|era| era.id != *id)) {
                let era = Era { epoch: next_epoch(&lineage), id, first: end };
                lineage.push(era).expect("a random id is new, and an era has its own frame at least");
            }
            return lineage;
        }
    }

    /// Gives back the memory of a shard that nobody uses any more.
    pub(crate) fn release(&self, budget: &Budget) {
        let (mut used, mut dirty) = (0, 0);
        for stripe in &self.stripes {
            for entry in std::mem::take(&mut *stripe.0.lock()).table {
                used += entry.cost() as i64;
                dirty += if entry.is_dirty() { entry.cost() as i64 } else { 0 };
            }
        }
        budget.book_rows(self.rows.forget_all());
        self.rows.free_buried();
        budget.book_used(-used);
        budget.book_dirty(-dirty);
        budget.wake();
    }

    /// Waits for the end of every run that holds a stripe.
    pub(crate) fn pass_stripes(&self) {
        for stripe in &self.stripes {
            drop(stripe.0.lock());
        }
    }

    pub(crate) fn has_refusal(&self) -> bool {
        self.refusal.lock().is_some()
    }

    /// Whether its log is damaged, so that it will never take writes again as it is.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.refusal.lock().as_ref().is_some_and(|fault| fault.kind == FaultKind::Corrupt)
    }

    /// Whether the store works.
    #[must_use]
    pub fn store_health(&self) -> StoreHealth {
        self.store.health()
    }

    /// The system entries that say: the store has every frame before `settled`, and nothing at or after `ahead`.
    pub(crate) fn settled_marks(&self, settled: u64, ahead: u64, time: Millis, records: u64) -> [Write; 4] {
        [
            marks::settled(settled, time),
            marks::ahead(ahead),
            marks::records(records),
            marks::next_rows(self.next_rows()),
        ]
    }

    /// Rewrites the store's files so that removed records give their space back.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn compact(&self) -> Result<(), Fault> {
        self.store.compact()
    }

    /// Numbers for INFO.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        let progress = &self.progress;
        ShardStats {
            hot_records: self.hot_records(),
            log_end: self.log.end().0,
            log_start: self.log.start().0,
            log_written: self.log.written().0,
            log_synced: self.log.synced().0,
            settled: progress.settled.load(Ordering::Relaxed),
            flushed: progress.flushed.load(Ordering::Relaxed),
            stored_records: self.stored_records(),
            settle_cycles: progress.cycles.load(Ordering::Relaxed),
            settle_writes: progress.writes.load(Ordering::Relaxed),
            expired: self.sweep.deleted(),
            store: self.store.stats(),
        }
    }
}
