//! All databases of one server: opens them, runs commands on them, settles them, closes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyspace::Millis;
use keyspace::view::Limits;
use parking_lot::{Condvar, Mutex};
use replog::{Background, Disk, FsyncPolicy, OsDisk};

use crate::awaited::{Awaited, Expectation};
use crate::ballast::Ballast;
use crate::budget::Budget;
use crate::changes::Changes;
use crate::fault::{Fault, FaultKind, read_only};
use crate::files::{Files, OsFiles};
use crate::folder::Folder;
use crate::quarantine::Kept;
use crate::recovery::{self, Recovery};
use crate::replace::Retired;
use crate::role::{Role, RoleState};
use crate::row_memory;
use crate::rows::Eviction;
use crate::settle;
use crate::slot::{ShardId, ShardRef, Slot};
use crate::store::StoreFactory;

/// What an instance is told when it is opened.
#[derive(Clone)]
pub struct Options {
    /// The data folder; made when missing.
    pub dir: PathBuf,
    /// How many databases there are.
    pub databases: usize,
    /// When the logs are synced without being asked.
    pub fsync: FsyncPolicy,
    /// Size of a log segment in bytes.
    pub segment_bytes: u64,
    /// The log is kept for replicas until it is longer than this, in bytes.
    pub log_retain_bytes: u64,
    /// The store is flushed when a restart would have to replay more than this, in bytes.
    pub recovery_log_max: u64,
    /// Pause between two settle cycles.
    pub settle_interval: Duration,
    /// Memory for hot records and rows, in bytes.
    pub hot_bytes: u64,
    /// When values explode.
    pub limits: Limits,
    /// Who writes, to begin with.
    pub role: Role,
    /// The file system under what replaces shards.
    pub files: Arc<dyn Files>,
    /// The clock, for work of the instance's own.
    pub clock: fn() -> Millis,
    /// Opens the stores.
    pub stores: Arc<dyn StoreFactory>,
    /// The file system under the logs.
    pub disk: Arc<dyn Disk>,
    /// Who writes and syncs the logs, and settles: threads of the instance, or whoever runs a simulation.
    pub background: Background,
    /// Room on the disk that is kept for a start without any, in bytes.
    pub ballast_bytes: u64,
}

impl Options {
    /// The defaults for a data folder.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, stores: Arc<dyn StoreFactory>) -> Self {
        Self {
            dir: dir.into(),
            databases: 16,
            fsync: FsyncPolicy::EverySec,
            segment_bytes: 64 << 20,
            log_retain_bytes: 1 << 30,
            recovery_log_max: 256 << 20,
            settle_interval: Duration::from_secs(3),
            hot_bytes: 256 << 20,
            limits: Limits::default(),
            role: Role::Primary,
            files: Arc::new(OsFiles),
            clock: system_clock,
            stores,
            disk: Arc::new(OsDisk),
            background: Background::Threads,
            ballast_bytes: 0,
        }
    }
}

/// Whether expired records in memory are deleted without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActiveExpiry {
    /// They are.
    On,
    /// They wait for a write or a compaction.
    Off,
}

/// The operating system's clock.
#[must_use]
pub fn system_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// All databases of one server.
pub struct Instance {
    pub(crate) options: Options,
    pub(crate) budget: Budget,
    pub(crate) awaited: Arc<Awaited>,
    pub(crate) folder: Folder,
    pub(crate) ballast: Ballast,
    pub(crate) slots: Box<[Slot]>,
    pub(crate) retired: Mutex<Vec<Retired>>,
    /// What was given up of the quarantine; held while anything is removed from there.
    pub(crate) given_up: Mutex<Vec<Kept>>,
    /// Held while a database is made or replaced, or the role changes.
    pub(crate) changing: Mutex<()>,
    pub(crate) role: RoleState,
    pub(crate) changes: Changes,
    incarnations: AtomicU32,
    limits: Mutex<Limits>,
    limits_version: AtomicU64,
    settle_millis: AtomicU64,
    recovery_log_max: AtomicU64,
    log_retain_bytes: AtomicU64,
    sweeps: AtomicBool,
    /// What expires is not deleted before this time.
    expiry_held_until: AtomicU64,
    start: Millis,
    alarm: Arc<Alarm>,
    settler: Mutex<Option<JoinHandle<()>>>,
}

/// A thread's copy of the limits, which no lock guards.
#[derive(Debug, Default)]
pub(crate) struct LimitsCopy {
    /// 0: never filled.
    version: u64,
    pub limits: Limits,
}

/// Versions are never used twice in a process: a thread may work for one instance after another.
fn next_limits_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Wakes the settle thread before its time.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: AtomicBool,
    stop: AtomicBool,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Alarm {
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let _lock = self.lock.lock();
            self.bell.notify_one();
        }
    }

    /// Waits for the bell, at most `pause`. `false`: the thread is to end.
    pub(crate) fn wait(&self, pause: Duration) -> bool {
        let mut lock = self.lock.lock();
        if !self.stop.load(Ordering::Acquire) && !self.rung.load(Ordering::Acquire) {
            self.bell.wait_for(&mut lock, pause);
        }
        self.rung.store(false, Ordering::Release);
        !self.stop.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Release);
        let _lock = self.lock.lock();
        self.bell.notify_one();
    }
}

impl Instance {
    /// Opens every database that the data folder has, database 0 in any case, and starts the settle thread.
    /// `clock` is the time now.
    ///
    /// # Errors
    /// When the folder is in use, is of another format, or a database cannot be opened without losing something.
    pub fn open(options: Options, clock: Millis) -> Result<(Arc<Self>, Vec<Recovery>), Fault> {
        let (instance, recoveries) = Self::open_still(options, clock)?;
        if instance.options.background == Background::Threads {
            let settler = settle::spawn(&instance, instance.alarm.clone());
            *instance.settler.lock() = Some(settler);
        }
        Ok((instance, recoveries))
    }

    /// As [`Instance::open`], without a settle thread: tests settle when they want to.
    pub(crate) fn open_still(options: Options, clock: Millis) -> Result<(Arc<Self>, Vec<Recovery>), Fault> {
        let folder = Folder::open(&options.dir, Arc::clone(&options.files))?;
        let ballast = Ballast::new(&options.dir, options.ballast_bytes);
        let instance = Arc::new(Self {
            budget: Budget::new(options.hot_bytes),
            awaited: Arc::default(),
            folder,
            ballast,
            retired: Mutex::default(),
            given_up: Mutex::default(),
            slots: (0..options.databases).map(|_| Slot::default()).collect(),
            changing: Mutex::default(),
            role: RoleState::new(options.role),
            changes: Changes::default(),
            incarnations: AtomicU32::new(0),
            limits: Mutex::new(options.limits),
            limits_version: AtomicU64::new(next_limits_version()),
            settle_millis: AtomicU64::new(options.settle_interval.as_millis() as u64),
            recovery_log_max: AtomicU64::new(options.recovery_log_max),
            log_retain_bytes: AtomicU64::new(options.log_retain_bytes),
            sweeps: AtomicBool::new(true),
            expiry_held_until: AtomicU64::new(0),
            start: clock,
            alarm: Arc::default(),
            settler: Mutex::default(),
            options,
        });
        for database in 0..instance.slots.len() {
            instance.steady(|| instance.folder.tidy(database))?;
        }
        let mut found = instance.folder.databases(instance.slots.len())?;
        if !found.contains(&0) {
            found.insert(0, 0);
        }
        let mut recoveries = Vec::new();
        for database in found {
            recoveries.push(instance.steady(|| instance.open_shard(database))?);
        }
        instance.ballast.take();
        Ok((instance, recoveries))
    }

    /// Does what a start must do; a full disk is tried again with the room that is kept for that, and then with what is in
    /// quarantine given up.
    fn steady<T>(&self, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
        loop {
            match self.ballast.steady(&mut attempt) {
                Err(fault) if fault.kind == FaultKind::NoSpace && self.give_up_quarantined(1) => {}
                outcome => return outcome,
            }
        }
    }

    /// Opens a database as one of the present role.
    pub(crate) fn open_shard(&self, database: usize) -> Result<Recovery, Fault> {
        let dir = self.folder.database(database)?;
        let id = self.new_id(database);
        let (shard, recovery) = recovery::open(&self.options, &self.budget, id, dir, &mut |_, _| {})?;
        shard.set_role(self.role());
        if self.role() == Role::Primary && !shard.is_damaged() {
            recovery::rest(&shard)?;
        }
        self.renew(&shard);
        assert!(self.slots[database].put(Arc::new(shard)).is_none(), "a database is opened once");
        self.changes.note();
        Ok(recovery)
    }

    pub(crate) fn new_id(&self, database: usize) -> ShardId {
        let incarnation = self.incarnations.fetch_add(1, Ordering::Relaxed);
        ShardId { database: database as u32, incarnation }
    }

    /// How many databases there may be.
    #[must_use]
    pub fn databases(&self) -> usize {
        self.slots.len()
    }

    /// A database, if anything was ever written to it.
    #[inline]
    #[must_use]
    pub fn shard(&self, database: usize) -> Option<ShardRef> {
        self.slots.get(database)?.get()
    }

    /// The shard that a gate means; `None`: it has been replaced, after all that its log held had become durable.
    #[inline]
    #[must_use]
    pub fn shard_of(&self, id: ShardId) -> Option<ShardRef> {
        self.shard(id.database as usize).filter(|shard| shard.id == id)
    }

    /// The databases that exist, in order.
    pub fn shards(&self) -> impl Iterator<Item = ShardRef> {
        self.slots.iter().filter_map(Slot::get)
    }

    /// Begins the reign of a primary that has not written to a database yet, and makes that durable. Otherwise does nothing.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn begin_reign(&self, database: usize, clock: Millis) -> Result<(), Fault> {
        let _changing = self.changing.lock();
        self.shard(database).map_or(Ok(()), |shard| recovery::begin_reign(&shard, clock))
    }

    /// Whether a database's history is still what it was when this primary opened or took it.
    #[must_use]
    pub fn rests(&self, database: usize) -> bool {
        self.shard(database).is_some_and(|shard| shard.rests())
    }

    /// A database to write to, made if need be. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be made; `ReadOnly` when it is missing on a replica.
    pub fn create_shard(&self, database: usize) -> Result<ShardRef, Fault> {
        let _changing = self.changing.lock();
        if self.shard(database).is_none() {
            if self.role() == Role::Replica {
                return Err(read_only(self.dir()));
            }
            self.open_shard(database)?;
        }
        Ok(self.shard(database).expect("the database was just opened"))
    }

    /// From the next run on, and until the answer is dropped, runs that make `key` present tell so:
    /// [`crate::Scratch::take_woken`].
    #[must_use]
    pub fn expect(&self, database: usize, key: &[u8]) -> Expectation {
        Expectation::new(&self.awaited, database, key)
    }

    /// Whether somebody waits for `key`, or for one that hashes alike.
    #[must_use]
    pub fn is_expected(&self, database: usize, key: &[u8]) -> bool {
        self.awaited.any() && self.awaited.has(database, key)
    }

    /// The memory of hot records.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The data folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// Brings a thread's copy of the limits up to date: one load, as long as they have not changed.
    #[inline]
    pub(crate) fn refresh_limits(&self, copy: &mut LimitsCopy) {
        let version = self.limits_version.load(Ordering::Acquire);
        if copy.version != version {
            *copy = LimitsCopy { version, limits: *self.limits.lock() };
        }
    }

    /// Changes when values explode; what is stored stays as it is. Runs that have begun keep the old limits.
    pub fn set_limits(&self, limits: Limits) {
        let mut current = self.limits.lock();
        *current = limits;
        self.limits_version.store(next_limits_version(), Ordering::Release);
    }

    /// Changes the pause between settle cycles.
    pub fn set_settle_interval(&self, pause: Duration) {
        self.settle_millis.store(pause.as_millis() as u64, Ordering::Relaxed);
        self.alarm.ring();
    }

    pub(crate) fn settle_interval(&self) -> Duration {
        Duration::from_millis(self.settle_millis.load(Ordering::Relaxed).max(1))
    }

    /// Changes how much a restart may have to replay, in bytes.
    pub fn set_recovery_log_max(&self, bytes: u64) {
        self.recovery_log_max.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn recovery_log_max(&self) -> u64 {
        self.recovery_log_max.load(Ordering::Relaxed)
    }

    /// Changes how long a log is kept for replicas, in bytes.
    pub fn set_log_retain_bytes(&self, bytes: u64) {
        self.log_retain_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn log_retain_bytes(&self) -> u64 {
        self.log_retain_bytes.load(Ordering::Relaxed)
    }

    /// Switches active expiry on or off.
    pub fn set_active_expiry(&self, active: ActiveExpiry) {
        self.sweeps.store(active == ActiveExpiry::On, Ordering::Relaxed);
    }

    pub(crate) fn sweeps(&self) -> bool {
        self.sweeps.load(Ordering::Relaxed)
    }

    /// Has nothing deleted for being expired before `until`. It is not read meanwhile.
    pub fn hold_expiry(&self, until: Millis) {
        self.expiry_held_until.store(until.0, Ordering::Relaxed);
    }

    pub(crate) fn holds_expiry(&self, now: Millis) -> bool {
        now.0 < self.expiry_held_until.load(Ordering::Relaxed)
    }

    /// Changes the memory for hot records, in bytes.
    pub fn set_hot_bytes(&self, bytes: u64) {
        self.budget.set_limit(bytes);
        self.alarm.ring();
    }

    /// Seconds since the instance was opened, for idle times.
    #[inline]
    pub(crate) fn seconds(&self, now: Millis) -> u32 {
        (now.0.saturating_sub(self.start.0) / 1000) as u32
    }

    /// Whether a thread of the instance settles.
    pub(crate) fn settles_by_itself(&self) -> bool {
        self.settler.lock().is_some()
    }

    /// Called after commits: settle need not wait for its interval when much is dirty.
    #[inline]
    pub(crate) fn after_commit(&self) {
        if self.budget.wants_settle() {
            self.alarm.ring();
        }
    }

    /// Writes what is dirty to the stores, in every database.
    ///
    /// # Errors
    /// The first fault; the other databases were tried all the same.
    pub fn settle(&self) -> Result<(), Fault> {
        let results: Vec<_> = self.shards().map(|shard| settle::settle(&shard, self)).collect();
        results.into_iter().collect()
    }

    /// Takes into memory what reads have asked the stores for again and again. The settle thread does it between cycles.
    pub fn read_ahead(&self) {
        row_memory::fill(self);
    }

    /// Settles, flushes and drops what is in memory, so that everything is read from the stores' files again.
    ///
    /// # Errors
    /// A fault of a disk.
    pub fn reload(&self) -> Result<(), Fault> {
        for shard in self.shards() {
            settle::settle(&shard, self)?;
            settle::flush(&shard, self)?;
            for stripe in &shard.stripes {
                let freed = stripe.0.lock().evict(usize::MAX, usize::MAX);
                self.budget.book_eviction(freed);
            }
            let _settling = shard.settle_lock();
            self.budget.book_rows(shard.rows.evict(i64::MAX, Eviction::Enough));
        }
        Ok(())
    }

    /// Ends the settle thread, settles and flushes everything, and closes the logs cleanly. No run may be under way.
    ///
    /// # Errors
    /// The first fault; what is not in a store by then is in the log.
    pub fn close(&self) -> Result<(), Fault> {
        self.alarm.end();
        if let Some(settler) = self.settler.lock().take() {
            // A settle thread that panicked has said so; what it did not do is done here.
            let _ = settler.join();
        }
        let mut outcome = Ok(());
        for shard in self.shards() {
            let closed = settle::settle(&shard, self).and_then(|()| settle::flush(&shard, self));
            let closed = closed.and(shard.log.close().map_err(|error| recovery::log_fault(&error)));
            outcome = outcome.and(closed);
        }
        self.try_to_retire();
        outcome
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.alarm.end();
    }
}
