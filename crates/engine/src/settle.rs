//! Settle: what is dirty in memory goes to the store, sorted, and only after its frames are durable.
//!
//! ```text
//! cut = end of log
//! each stripe, under its lock:  copy what is dirty        (no commit below the cut is missed)
//! dirty rows, dead row sets:    copy
//! sync the log through all that was copied
//! write, in batches: [clear?] dead rows.. records.. rows.., settled = cut
//!     after each batch, each stripe of its records, under its lock:  what has not changed since is clean
//! ```
//!
//! This is done for one group of stripes after the other; the mark moves, and rows go, with the last. Writers that wait for
//! room go on after each batch: it is how long they wait.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keyspace::{Millis, Record, RowsId};
use lineage::Lsn;
use replog::Background;

use crate::budget::Budget;
use crate::expire;
use crate::fault::{Fault, FaultKind};
use crate::hot::{Entry, InStore, STRIPES, Stripe};
use crate::instance::{Alarm, Instance};
use crate::row_memory;
use crate::rows::{Eviction, TakenRows};
use crate::shard::Shard;
use crate::store::{Found, Reach, StoreHealth, Write};
use crate::txn::Scratch;

/// A batch is written when it has so many bytes.
const BATCH_BYTES: usize = if cfg!(test) { 256 } else { 256 << 10 };
/// A cycle copies about so many bytes of records at a time.
const GROUP_BYTES: usize = if cfg!(test) { 2048 } else { 8 << 20 };
/// So many entries are asked for before the first of them is looked at.
const AHEAD: usize = 16;
/// How long one wait for the log's sync is, before it is looked at again.
const SYNC_WAIT: Duration = Duration::from_millis(200);
/// A record is physically removed when it expired so long before the flushed mark's time, in milliseconds.
const EXPIRY_MARGIN: u64 = 60_000;
/// Expired records that one cycle removes at most.
const EXPIRED_A_CYCLE: usize = 4096;
/// How often the settle thread looks whether a cycle is due.
const TICK: Duration = Duration::from_millis(100);
/// Pause between two looks for expired records.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// How often the ballast is looked after.
const BALLAST_PAUSE: Duration = Duration::from_secs(10);
/// After a failed cycle the next one waits this long, doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What a settle cycle needs to know of the one before; its mutex is the settle lock.
#[derive(Debug, Default)]
pub struct Settling {
    /// The store may hold changes of frames that begin before this.
    pub ahead: u64,
    /// During recovery: how far the log has been replayed, in place of its end.
    pub replayed: Option<u64>,
}

/// Names and values of the system entries.
pub mod marks {
    use keyspace::Millis;

    use crate::fault::Fault;
    use crate::store::{Store, Write};

    /// Every frame that begins before this LSN is in the store; and the time of the last of them.
    pub const SETTLED: &str = "settled";
    /// No frame that begins at or after this LSN has touched the store.
    pub const AHEAD: &str = "ahead";
    /// How many records the store has.
    pub const RECORDS: &str = "records";
    /// The next rows id.
    pub const NEXT_ROWS: &str = "next-rows";

    fn one(name: &'static str, value: u64) -> Write {
        Write::System { name, value: value.to_le_bytes().to_vec() }
    }

    pub fn settled(lsn: u64, time: Millis) -> Write {
        let mut value = lsn.to_le_bytes().to_vec();
        value.extend_from_slice(&time.0.to_le_bytes());
        Write::System { name: SETTLED, value }
    }

    pub fn ahead(lsn: u64) -> Write {
        one(AHEAD, lsn)
    }

    pub fn records(count: u64) -> Write {
        one(RECORDS, count)
    }

    pub fn next_rows(id: u64) -> Write {
        one(NEXT_ROWS, id)
    }

    /// Reads the `index`-th number of an entry.
    pub fn read(store: &dyn Store, name: &str, index: usize) -> Result<Option<u64>, Fault> {
        let value = store.system(name)?;
        Ok(value.as_deref().and_then(|value| value.get(index * 8..)?.first_chunk().map(|n| u64::from_le_bytes(*n))))
    }
}

/// One dirty entry that was copied: where it stands, and its place among the writes.
struct Taken {
    stripe: usize,
    hash: u64,
    lsn: u64,
    /// The store has its key after this cycle.
    stored: bool,
    in_store: InStore,
    write: Write,
}

impl Taken {
    fn of(entry: &Entry, stripe: usize, hash: u64) -> Self {
        let (bytes, key_len) = entry.bytes();
        let write = if entry.is_tombstone() {
            Write::DeleteRecord { key: entry.key().to_vec() }
        } else {
            Write::PutRecord { bytes: bytes.to_vec(), key_len }
        };
        let (lsn, in_store) = (entry.lsn(), entry.state().in_store);
        Self { stripe, hash, lsn, stored: !entry.is_tombstone(), in_store, write }
    }

    fn key(&self) -> &[u8] {
        match &self.write {
            Write::PutRecord { bytes, key_len } => &bytes[..*key_len],
            Write::DeleteRecord { key } => key,
            Write::PutRow { .. }
            | Write::DeleteRow { .. }
            | Write::DeleteRows { .. }
            | Write::Clear
            | Write::System { .. } => &[],
        }
    }

    fn rows_id(&self) -> Option<RowsId> {
        match &self.write {
            Write::PutRecord { bytes, key_len } => Record::decode(&bytes[*key_len..]).ok()?.rows_id(),
            _ => None,
        }
    }
}

/// Where a cycle begins, and where its next group of stripes does.
#[derive(Clone, Copy)]
struct Begin {
    /// When the cycle ends, every frame that begins before this is in the store.
    cut: u64,
    time: Millis,
    replayed: Option<u64>,
    stripe: usize,
}

/// What a cycle took of one group of stripes: a cycle goes in groups, so that it copies only so much at a time. Only
/// after the last group does the settled mark move.
struct Cycle {
    begin: Begin,
    /// The first stripe of the next group.
    next: usize,
    /// Nothing newer than this was taken.
    through: u64,
    records: Vec<Taken>,
    rows: TakenRows,
    /// Row sets without an owner. Of each, the frame that removed the owner is before `through`.
    dead: Vec<RowsId>,
    clears: bool,
}

impl Cycle {
    fn is_last(&self) -> bool {
        self.next == STRIPES
    }
}

/// Writes everything dirty of a shard to its store. Waits for the disk.
///
/// # Errors
/// When the log cannot be synced or the store takes no writes: everything stays dirty, nothing is lost.
pub fn settle(shard: &Shard, instance: &Instance) -> Result<(), Fault> {
    if shard.is_damaged() {
        return Ok(()); // The disk stays as it was found.
    }
    let mut settling = shard.settle_lock();
    if shard.is_retired() {
        return Ok(()); // Nobody will ask it again.
    }
    settle_locked(shard, &instance.budget, &mut settling, &mut || {})
}

/// As [`settle`], by the holder of the settle lock. `progress` is called after each group of stripes.
pub fn settle_locked(
    shard: &Shard,
    budget: &Budget,
    settling: &mut Settling,
    progress: &mut dyn FnMut(),
) -> Result<(), Fault> {
    bury_expired(shard, budget);
    let settled = shard.progress.settled.load(Ordering::Relaxed);
    let mut cycle = take(shard, Begin::of(shard, settling));
    let nothing = cycle.records.is_empty() && cycle.rows.writes.is_empty() && cycle.dead.is_empty() && !cycle.clears;
    if nothing && cycle.is_last() && cycle.begin.cut - settled < 4096 {
        put_back(shard, cycle);
        return Ok(());
    }
    loop {
        let next = Begin { stripe: cycle.next, ..cycle.begin };
        let is_last = cycle.is_last();
        let written = sync_before_write(shard, &cycle, settling);
        match written.and_then(|()| write(shard, budget, &mut cycle, settling)) {
            Ok(()) => finish(shard, budget, cycle),
            Err(fault) => {
                put_back(shard, cycle);
                return Err(fault);
            }
        }
        budget.wake();
        progress();
        if is_last {
            return Ok(());
        }
        cycle = take(shard, next);
    }
}

/// Turns expired records that compactions have met into tombstones, which this cycle then writes.
fn bury_expired(shard: &Shard, budget: &Budget) {
    let flushed_time = shard.progress.flushed_time.load(Ordering::Relaxed);
    let horizon = Millis(flushed_time.saturating_sub(EXPIRY_MARGIN));
    shard.store.set_expiry_horizon(horizon);
    let mut bytes = Vec::new();
    for expired in shard.store.take_expired(EXPIRED_A_CYCLE) {
        // What a masked store has is gone as a whole.
        if shard.store_is_masked()
            || !matches!(shard.store.record(&expired.key, Reach::Disk, &mut bytes), Ok(Found::Yes))
        {
            continue;
        }
        let Ok(record) = Record::decode(&bytes) else { continue };
        if record.lsn != expired.lsn || !record.is_expired(horizon) {
            continue;
        }
        let (hash, at) = shard.place(&expired.key);
        let mut stripe = shard.stripes[at].0.lock();
        match stripe.find(hash, &expired.key) {
            Some(entry) if entry.is_dirty() || entry.lsn() != expired.lsn => continue,
            Some(_) | None => {
                let clean = stripe.remove(hash, &expired.key);
                budget.book_used(-clean.map_or(0, |entry| entry.cost() as i64));
            }
        }
        let mut entry = Entry::tombstone(&expired.key, 0);
        entry.stamp(expired.lsn);
        entry.committed();
        entry.set_in_store(InStore::Yes);
        budget.book_used(entry.cost() as i64);
        budget.book_dirty(entry.cost() as i64);
        stripe.insert(&shard.hasher, hash, entry);
        stripe.dirty.push(hash);
        stripe.changes += 1;
        if let Some(rows) = record.rows_id() {
            shard.dead.lock().push(rows);
        }
    }
}

impl Begin {
    fn of(shard: &Shard, settling: &Settling) -> Self {
        // The time first: it is then that of a frame before the cut.
        let time = shard.last_time();
        let cut = settling.replayed.unwrap_or_else(|| shard.log.end().0);
        Self { cut, time, replayed: settling.replayed, stripe: 0 }
    }
}

/// Takes the dirty records of some stripes, and after the last stripe the rows.
fn take(shard: &Shard, begin: Begin) -> Cycle {
    let clears = shard.store_is_masked();
    let (mut records, mut next) = (Vec::new(), begin.stripe);
    let mut bytes = 0;
    while next < STRIPES && bytes < GROUP_BYTES {
        let taken = records.len();
        take_stripe(shard, &mut shard.stripes[next].0.lock(), next, &mut records);
        bytes += records[taken..].iter().map(|taken: &Taken| taken.write.bytes()).sum::<usize>();
        next += 1;
    }
    let rows = if next == STRIPES { shard.rows.take() } else { TakenRows::default() };
    // Also those of frames after the cut: their owners' tombstones may have been taken, and once these are in the store
    // nothing tells of the rows any more.
    let dead = std::mem::take(&mut *shard.dead.lock());
    let through = begin.replayed.unwrap_or_else(|| shard.log.end().0);
    Cycle { begin, next, through, records, rows, dead, clears }
}

fn take_stripe(shard: &Shard, stripe: &mut Stripe, at: usize, records: &mut Vec<Taken>) {
    // Tells readers without locks apart from those before this visit: see `Stripe::changes`.
    stripe.changes += 1;
    stripe.settling = std::mem::take(&mut stripe.dirty);
    for hashes in stripe.settling.chunks(AHEAD) {
        stripe.foresee(hashes.iter().copied());
        for hash in hashes {
            records.extend(dirty_entries(shard, stripe, *hash).map(|entry| Taken::of(entry, at, *hash)));
        }
    }
}

/// The dirty entries of a hash, of which the table compares some bits only.
fn dirty_entries<'s>(shard: &'s Shard, stripe: &'s Stripe, hash: u64) -> impl Iterator<Item = &'s Entry> {
    stripe.table.iter_hash(hash).filter(move |entry| entry.is_dirty() && shard.hasher.hash(entry.key()) == hash)
}

/// The store never holds what the log might lose. What is replayed is durable already.
fn sync_before_write(shard: &Shard, cycle: &Cycle, settling: &Settling) -> Result<(), Fault> {
    if settling.replayed.is_some() {
        return Ok(());
    }
    sync(shard, cycle.through)?;
    if !cycle.is_last() {
        // What the next group waits for then has little left to do.
        shard.log.request_sync(shard.log.end());
    }
    Ok(())
}

/// Has the log made durable through `lsn`, soon.
pub fn ask_for_sync(shard: &Shard, lsn: Lsn) {
    shard.log.request_sync(lsn);
    if shard.log.background() == Background::Manual {
        // Nobody else will do it.
        shard.log.step_writer();
        shard.log.step_syncer();
    }
}

/// Makes the log durable through `lsn`. Waits.
///
/// # Errors
/// When the disk is full or the log has failed.
pub fn sync(shard: &Shard, lsn: u64) -> Result<(), Fault> {
    let lsn = Lsn(lsn);
    loop {
        let _ = shard.log.write_to_blocking(lsn);
        ask_for_sync(shard, lsn);
        let patience = match shard.log.background() {
            Background::Threads => SYNC_WAIT,
            Background::Manual => Duration::ZERO,
        };
        if shard.log.wait_synced(lsn, patience) {
            return Ok(());
        }
        match shard.log.health() {
            replog::Health::Ok => {}
            replog::Health::NoSpace => {
                return Err(Fault::new(FaultKind::NoSpace, "No space left on device for the log", &shard.dir));
            }
            replog::Health::Failed => return Err(Fault::new(FaultKind::Io, "The log failed", &shard.dir)),
        }
    }
}

/// Writes a cycle to the store, and adds to its dead row sets those that are found on the way.
///
/// Rows of a dead set go before the record that led to them: of what a crash leaves, no rows are without an owner.
fn write(shard: &Shard, budget: &Budget, cycle: &mut Cycle, settling: &mut Settling) -> Result<(), Fault> {
    settling.ahead = settling.ahead.max(cycle.through);
    let mut batch = Batch { shard, writes: vec![marks::ahead(settling.ahead)], bytes: 0 };
    if cycle.clears {
        batch.writes.extend([Write::Clear, marks::records(0)]);
        batch.write()?;
        shard.progress.records.store(0, Ordering::Relaxed);
        shard.unmask_store();
    }
    for rows in &cycle.dead {
        batch.push(delete_all(*rows))?;
    }
    write_records(&mut batch, budget, &mut cycle.records, &mut cycle.dead)?;
    let gone: HashSet<RowsId> = cycle.dead.iter().copied().collect();
    // Given away, and freed as they are written: what could not be written is copied once more by the next cycle.
    let writes = std::mem::take(&mut cycle.rows.writes);
    let changed_rows = writes.len() as u64;
    for write in writes {
        if !write.rows().is_some_and(|rows| gone.contains(&rows)) {
            batch.push(write)?;
        }
    }
    if cycle.is_last() {
        let Begin { cut, time, .. } = cycle.begin;
        batch.writes.extend(shard.settled_marks(cut, settling.ahead, time, shard.stored_records()));
    }
    batch.write()?;
    shard.progress.writes.fetch_add(changed_rows, Ordering::Relaxed);
    Ok(())
}

/// Writes the records in the order of their keys.
fn write_records(
    batch: &mut Batch<'_>,
    budget: &Budget,
    records: &mut [Taken],
    dead: &mut Vec<RowsId>,
) -> Result<(), Fault> {
    let shard = batch.shard;
    let order = in_key_order(records);
    let (mut count, mut stored) = (shard.stored_records(), Vec::new());
    let mut lent = Vec::new();
    for (index, at) in order.iter().enumerate() {
        let taken = &mut records[*at];
        let was_stored = match taken.in_store {
            InStore::Yes => true,
            InStore::No => false,
            InStore::Unknown => {
                let found = shard.store.record(taken.key(), Reach::Disk, &mut stored)? == Found::Yes;
                if found && let Some(rows) = rows_left_behind(taken, &stored) {
                    batch.add(delete_all(rows));
                    dead.push(rows);
                }
                found
            }
        };
        count = (count + u64::from(taken.stored && !was_stored)).saturating_sub(u64::from(!taken.stored && was_stored));
        // Lent to the batch and taken back when it is written: a copy of all that is dirty would cost too much.
        lent.push((batch.writes.len(), *at));
        batch.add(std::mem::replace(&mut taken.write, Write::Clear));
        if batch.is_full() || index + 1 == order.len() {
            batch.writes.push(marks::records(count));
            let outcome = shard.store.write(&batch.writes);
            for (place, at) in &lent {
                records[*at].write = std::mem::replace(&mut batch.writes[*place], Write::Clear);
            }
            batch.clear();
            outcome?;
            shard.progress.records.store(count, Ordering::Relaxed);
            // They were taken in the order of their stripes.
            lent.sort_unstable_by_key(|(_, at)| *at);
            clean(shard, budget, lent.drain(..).map(|(_, at)| &records[at]).collect());
            budget.wake();
        }
    }
    Ok(())
}

/// The places of records in the order of their keys. What all keys begin with is passed over, and the next eight bytes
/// are compared as one number: most comparisons then touch no key.
fn in_key_order(records: &[Taken]) -> Vec<usize> {
    let Some(first) = records.first().map(Taken::key) else { return Vec::new() };
    let common = records
        .iter()
        .fold(first.len(), |common, taken| first[..common].iter().zip(taken.key()).take_while(|(a, b)| a == b).count());
    let number = |key: &[u8]| {
        let mut bytes = [0; 8];
        let rest = &key[common..key.len().min(common + 8)];
        bytes[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(bytes)
    };
    let mut order: Vec<(u64, usize)> = records.iter().map(|taken| number(taken.key())).zip(0..).collect();
    order.sort_unstable_by(|(a, at), (b, bt)| a.cmp(b).then_with(|| records[*at].key().cmp(records[*bt].key())));
    order.into_iter().map(|(_, at)| at).collect()
}

/// The rows of a stored record that was overwritten or deleted unseen: nothing else leads to them.
fn rows_left_behind(taken: &Taken, stored: &[u8]) -> Option<RowsId> {
    let rows = Record::decode(stored).ok()?.rows_id()?;
    (taken.rows_id() != Some(rows)).then_some(rows)
}

fn delete_all(rows: RowsId) -> Write {
    Write::DeleteRows { rows, from: Vec::new(), to: Vec::new() }
}

/// Writes on their way to the store.
struct Batch<'s> {
    shard: &'s Shard,
    writes: Vec<Write>,
    bytes: usize,
}

impl Batch<'_> {
    fn add(&mut self, write: Write) {
        self.bytes += write.bytes();
        self.writes.push(write);
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    fn push(&mut self, write: Write) -> Result<(), Fault> {
        self.add(write);
        if self.is_full() { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Fault> {
        self.shard.store.write(&self.writes)?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.writes.clear();
        self.bytes = 0;
    }
}

/// What was written and has not changed since is clean. The records come in the order of their stripes.
fn clean(shard: &Shard, budget: &Budget, written: Vec<&Taken>) {
    let (mut used, mut dirty) = (0, 0);
    for of_stripe in written.chunk_by(|one, other| one.stripe == other.stripe) {
        let mut stripe = shard.stripes[of_stripe[0].stripe].0.lock();
        stripe.changes += 1;
        for some in of_stripe.chunks(AHEAD) {
            stripe.foresee(some.iter().map(|taken| taken.hash));
            for taken in some {
                let (freed, cleaned) = clean_one(&mut stripe, taken);
                used += freed;
                dirty += cleaned;
            }
        }
    }
    budget.book_used(-used);
    budget.book_dirty(-dirty);
}

/// Answers the bytes that were freed, and those that are no longer dirty.
fn clean_one(stripe: &mut Stripe, taken: &Taken) -> (i64, i64) {
    let key = taken.key();
    let Some(entry) = stripe.find_mut(taken.hash, key) else { return (0, 0) };
    entry.set_in_store(if taken.stored { InStore::Yes } else { InStore::No });
    if entry.lsn() != taken.lsn || entry.is_tombstone() == taken.stored {
        stripe.dirty.push(taken.hash);
        return (0, 0);
    }
    let cost = entry.cost() as i64;
    entry.settled();
    if taken.stored {
        return (0, cost);
    }
    stripe.remove(taken.hash, key);
    (cost, cost)
}

/// All of a group is written.
fn finish(shard: &Shard, budget: &Budget, cycle: Cycle) {
    let progress = &shard.progress;
    if cycle.is_last() {
        progress.settled.store(cycle.begin.cut, Ordering::Release);
        progress.settled_time.store(cycle.begin.time.0, Ordering::Release);
        progress.cycles.fetch_add(1, Ordering::Relaxed);
    }
    progress.writes.fetch_add(cycle.records.len() as u64, Ordering::Relaxed);
    for stripe in &shard.stripes[cycle.begin.stripe..cycle.next] {
        stripe.0.lock().settling = Vec::new();
    }
    let mut rows = shard.rows.written(cycle.rows);
    for id in cycle.dead {
        rows += shard.rows.forget(id);
    }
    shard.rows.free_buried();
    budget.book_rows(rows);
}

/// After a failed cycle: what was not written is still dirty and is taken again.
fn put_back(shard: &Shard, cycle: Cycle) {
    for stripe in &shard.stripes {
        let mut stripe = stripe.0.lock();
        let mut settling = std::mem::take(&mut stripe.settling);
        if settling.is_empty() {
            continue;
        }
        // Nothing is listed twice, or it would be written and counted twice: what was written and has not changed since is
        // listed when it does, and what has changed since is listed already.
        settling.retain(|hash| dirty_entries(shard, &stripe, *hash).next().is_some());
        stripe.dirty.extend(settling);
        stripe.dirty.sort_unstable();
        stripe.dirty.dedup();
    }
    shard.rows.put_back(cycle.rows);
    shard.dead.lock().extend(cycle.dead);
}

/// Makes what is settled survive a crash, and lets go of the log before it.
///
/// # Errors
/// A fault of the disk.
pub fn flush(shard: &Shard, instance: &Instance) -> Result<(), Fault> {
    if shard.is_damaged() {
        return Ok(()); // The disk stays as it was found.
    }
    if shard.is_retired() {
        return Ok(());
    }
    let progress = &shard.progress;
    // The time first: it is then not after that of the settled mark.
    let time = progress.settled_time.load(Ordering::Acquire);
    let settled = progress.settled.load(Ordering::Acquire);
    if settled > shard.progress.flushed.load(Ordering::Relaxed) {
        shard.store.flush()?;
        shard.progress.flushed.store(settled, Ordering::Relaxed);
        shard.progress.flushed_time.store(time, Ordering::Relaxed);
    }
    let keep = shard.log.end().0.saturating_sub(instance.log_retain_bytes()).min(settled);
    shard.log.retain_from(Lsn(keep));
    shard.log.trim().map(drop).map_err(|error| crate::recovery::log_fault(&error))
}

/// Starts the settle thread. It ends when the instance is closed or gone.
pub fn spawn(instance: &Arc<Instance>, alarm: Arc<Alarm>) -> JoinHandle<()> {
    let weak = Arc::downgrade(instance);
    std::thread::Builder::new()
        .name("settle".into())
        .spawn(move || run(&weak, &alarm, TICK))
        .expect("a thread can be started while the process starts")
}

fn run(instance: &Weak<Instance>, alarm: &Alarm, tick: Duration) {
    let mut scratch = Scratch::new(1);
    let (mut settled, mut swept, mut weighed) = (Instant::now(), Instant::now(), Instant::now());
    let mut backoff = None;
    while alarm.wait(tick) {
        let Some(instance) = instance.upgrade() else { return };
        if instance.sweeps() && swept.elapsed() >= SWEEP_PAUSE {
            swept = Instant::now();
            instance.shards().for_each(|shard| expire::sweep(&shard, &instance, &mut scratch));
        }
        if weighed.elapsed() >= BALLAST_PAUSE {
            weighed = Instant::now();
            instance.ballast.renew();
        }
        instance.try_to_retire();
        let pause = backoff.unwrap_or_else(|| instance.settle_interval());
        // After a failure nothing is more urgent than not to fail at once again.
        let urgent = backoff.is_none() && (instance.budget.wants_settle() || is_behind(&instance));
        instance.read_ahead();
        if settled.elapsed() < pause && !urgent {
            row_memory::make_room(&instance, Eviction::Enough);
            make_room(&instance);
            continue;
        }
        let turns: Vec<Turn> = instance.shards().map(|shard| turn(&shard, &instance)).collect();
        if turns.contains(&Turn::Full) {
            instance.give_up_quarantined(1);
        }
        row_memory::make_room(&instance, Eviction::Idle);
        make_room(&instance);
        settled = Instant::now();
        let has_failed = turns.iter().any(|turn| *turn != Turn::Done);
        backoff = has_failed.then(|| backoff.map_or(BACKOFF_MIN, |last| (last * 2).min(BACKOFF_MAX)));
    }
}

/// Whether the log beyond what is settled is half as long as a restart may have to replay.
fn is_behind(instance: &Instance) -> bool {
    instance.shards().any(|shard| {
        let settled = shard.progress.settled.load(Ordering::Relaxed);
        shard.log.end().0.saturating_sub(settled) > instance.recovery_log_max() / 2
    })
}

/// What a turn of the settle thread came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Done,
    /// It is to be tried again.
    Failed,
    /// The disk has no room, and the shard's own log has nothing more to give up.
    Full,
}

/// One shard's turn of the settle thread.
fn turn(shard: &Shard, instance: &Instance) -> Turn {
    if shard.is_damaged() {
        return Turn::Done;
    }
    let outcome = resume(shard).and_then(|()| settle(shard, instance)).and_then(|()| {
        let unflushed = shard.log.end().0.saturating_sub(shard.progress.flushed.load(Ordering::Relaxed));
        if unflushed > instance.recovery_log_max() / 4 * 3 { flush(shard, instance) } else { Ok(()) }
    });
    match outcome {
        Ok(()) => {
            if shard.has_refusal() {
                tracing::info!(database = shard.database, "writes are accepted again");
                shard.set_refusal(None);
            }
            // What waits for room may be a frame with nothing to settle: that of an epoch.
            if shard.log.health() == replog::Health::NoSpace { give_up_retained_log(shard) } else { Turn::Done }
        }
        Err(fault) => {
            let turn = if fault.kind == FaultKind::NoSpace { give_up_retained_log(shard) } else { Turn::Failed };
            if !shard.has_refusal() {
                tracing::error!(database = shard.database, %fault, "writes are refused: settle failed");
            }
            shard.set_refusal(Some(fault));
            turn
        }
    }
}

/// A full disk is worse than a replica that needs a full sync: only what a restart replays is kept of the log, and what
/// somebody has a lease on.
fn give_up_retained_log(shard: &Shard) -> Turn {
    shard.log.retain_from(Lsn(shard.progress.flushed.load(Ordering::Relaxed)));
    match shard.log.trim() {
        Ok(0) => Turn::Full,
        Ok(segments) => {
            tracing::warn!(database = shard.database, segments, "the disk is full: old log was removed");
            Turn::Failed
        }
        Err(error) => {
            tracing::error!(database = shard.database, %error, "the disk is full, and old log cannot be removed");
            Turn::Full
        }
    }
}

/// A store that stopped after a full disk is asked to go on.
fn resume(shard: &Shard) -> Result<(), Fault> {
    match shard.store.health() {
        StoreHealth::Ok => Ok(()),
        StoreHealth::Stopped { .. } => shard.store.resume(),
    }
}

/// Evicts in all stripes while there is too much in memory: what settle has made clean may go.
fn make_room(instance: &Instance) {
    for shard in instance.shards() {
        for stripe in &shard.stripes {
            let excess = instance.budget.excess();
            if excess == 0 {
                return;
            }
            instance.budget.book_eviction(stripe.0.lock().evict(excess / STRIPES + 1024, 4096));
        }
    }
}
