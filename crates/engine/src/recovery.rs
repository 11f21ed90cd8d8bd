//! Opening a shard: the store as its last flush left it, then the log from the store's settled mark on.
//!
//! A record whose LSN is that of a frame or newer already has the frame's changes. The store can only be newer than its
//! settled mark up to its ahead mark, so only frames before that are compared; the rest apply as they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyspace::record::LSN_BYTES;
use keyspace::{Millis, Op, Ops, Record, RowsId};
use lineage::{Lsn, ReplId};
use replog::{Damage, Kind, Log, LogOptions, OpenError, ReadError, TornTail};
use smallvec::SmallVec;

use crate::budget::Budget;
use crate::entropy;
use crate::fault::{Fault, FaultKind};
use crate::hot::{Entry, InStore};
use crate::instance::Options;
use crate::rows::{Birth, RowChange, RowKey, RowRange};
use crate::settle::{self, Settling, marks};
use crate::shard::{Parts, Shard, next_epoch};
use crate::slot::ShardId;
use crate::store::{Found, Presence, Reach, Store};

/// A replay tells how far it is whenever it has read so much more of the log.
const PROGRESS_BYTES: u64 = 1 << 20;

const LOG_MISSING: &str = "There is a store but the log is missing: restore the log or a backup";

/// What opening a shard found and did.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The database.
    pub database: usize,
    /// Whether the last stop was clean.
    pub clean: bool,
    /// Frames that were replayed.
    pub frames: u64,
    /// Bytes of log that were replayed.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// An unsynced tail that was cut off.
    pub torn: Option<TornTail>,
    /// Damage that makes the shard read-only.
    pub damage: Option<Damage>,
    /// Whether the store was missing and is rebuilt from the log.
    pub rebuilt: bool,
}

/// Opens the shard in `dir`, which is made when missing. Nobody's reign begins: see [`rest`].
///
/// `progress` is told how many bytes of log have been replayed, and how many there are to replay: after each step, so that
/// whoever waits knows that it gets on.
pub fn open(
    options: &Options,
    budget: &Budget,
    id: ShardId,
    dir: PathBuf,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Shard, Recovery), Fault> {
    let began = Instant::now();
    let log_dir = dir.join("log");
    let store_dir = dir.join("store");
    // The log's folder is made first: a store without it has lost it, even where nothing was settled.
    if store_dir.exists() && !log_dir.exists() {
        return Err(Fault::new(FaultKind::Corrupt, LOG_MISSING, &log_dir));
    }
    std::fs::create_dir_all(&log_dir).map_err(|error| Fault::io(&error, "The folder cannot be made", &log_dir))?;
    let rebuilt = !store_dir.exists() && has_segments(&log_dir)?;
    if rebuilt {
        check_complete(&log_dir, &dir)?;
    }
    let store = options.stores.open(&store_dir, Presence::Create)?;
    progress(0, 0);
    let settled = marks::read(&*store, marks::SETTLED, 0)?;
    if settled.is_some() && !has_segments(&log_dir)? {
        return Err(Fault::new(FaultKind::Corrupt, LOG_MISSING, &log_dir));
    }
    let settled = settled.unwrap_or(0);
    let mut log_options = LogOptions::new(&log_dir);
    log_options.quarantine = dir.join("quarantine");
    log_options.segment_bytes = options.segment_bytes;
    log_options.fsync = options.fsync;
    log_options.disk = Arc::clone(&options.disk);
    log_options.background = options.background;
    log_options.replay_from = Some(Lsn(settled));
    let (log, recovered) = Log::open(log_options).map_err(|error| open_fault(&error, &log_dir))?;
    progress(0, recovered.end.0.saturating_sub(settled));
    let ahead = marks::read(&*store, marks::AHEAD, 0)?.unwrap_or(settled).max(settled);
    if ahead > recovered.end.0 && recovered.damage.is_none() {
        let what = format!(
            "The store is ahead of its log (it may have changes up to LSN {ahead}, the log ends at LSN {}): the log's \
             end is missing, restore it or a backup",
            recovered.end.0
        );
        return Err(Fault::new(FaultKind::Corrupt, what, &log_dir));
    }
    let shard = assemble(id, dir, Arc::new(log), store, settled, recovered.time_ms)?;
    let mut recovery = Recovery {
        database: shard.database,
        clean: recovered.clean,
        frames: 0,
        bytes: 0,
        took: Duration::ZERO,
        torn: recovered.torn,
        damage: recovered.damage,
        rebuilt,
    };
    if let Err(fault) = replay(&shard, budget, settled, &mut recovery, progress) {
        shard.release(budget);
        return Err(fault);
    }
    if let Some(damage) = &recovery.damage {
        shard.set_refusal(Some(damage_fault(damage)));
    }
    recovery.took = began.elapsed();
    Ok((shard, recovery))
}

fn assemble(
    id: ShardId,
    dir: PathBuf,
    log: Arc<Log>,
    store: Arc<dyn Store>,
    settled: u64,
    last_time: u64,
) -> Result<Shard, Fault> {
    let ahead = marks::read(&*store, marks::AHEAD, 0)?.unwrap_or(settled);
    Ok(Shard::new(Parts {
        id,
        dir,
        log,
        settling: Settling { ahead, replayed: Some(settled) },
        next_rows: marks::read(&*store, marks::NEXT_ROWS, 0)?.unwrap_or(1),
        last_time,
        settled,
        records: marks::read(&*store, marks::RECORDS, 0)?.unwrap_or(0),
        refusal: None,
        store,
    }))
}

/// Applies every frame from `settled` on.
fn replay(
    shard: &Shard,
    budget: &Budget,
    settled: u64,
    recovery: &mut Recovery,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Fault> {
    let mut told = 0;
    let ahead = shard.settle_lock().ahead;
    if recovery.damage.as_ref().is_some_and(|damage| damage.lsn.0 < settled) {
        // The store has all that can be read of the log, and more. It is looked at, and written no more.
        return Ok(());
    }
    let mut reader = shard.log.reader(Lsn(settled)).map_err(|error| read_fault(&error, shard))?;
    let mut replay = Replay { shard, budget, ahead, touched: SmallVec::new(), owners: HashMap::new() };
    loop {
        let frame = match reader.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(ReadError::Damage(_)) if recovery.damage.is_some() => break,
            Err(error) => return Err(read_fault(&error, shard)),
        };
        let end = frame.end().0;
        recovery.bytes += end - frame.lsn.0;
        if recovery.bytes - told >= PROGRESS_BYTES {
            told = recovery.bytes;
            progress(told, shard.log.end().0 - settled);
        }
        let is_past = frame.lsn.0 >= ahead;
        if is_past {
            replay.bury_ownerless()?;
        }
        if frame.kind == Kind::Ops {
            recovery.frames += 1;
            replay.frame(frame.lsn.0, frame.payload)?;
        }
        if !is_past {
            // Who owns which rows is known at the end of what the store may be ahead of. A settle before that could not
            // remove the rows that nobody owns, and a second recovery would not meet them again.
            continue;
        }
        replay.bury_ownerless()?;
        if budget.wants_settle() || budget.excess() > 0 {
            let mut settling = shard.settle_lock();
            settling.replayed = Some(end);
            let (done, all) = (recovery.bytes, shard.log.end().0 - settled);
            settle::settle_locked(shard, budget, &mut settling, &mut || progress(done, all))?;
            drop(settling);
            replay.make_room();
        }
    }
    shard.settle_lock().replayed = None;
    replay.bury_ownerless()?;
    progress(recovery.bytes, recovery.bytes);
    Ok(())
}

struct Replay<'r> {
    shard: &'r Shard,
    budget: &'r Budget,
    ahead: u64,
    /// Keys of the present frame, and whether its ops on them are left out.
    touched: SmallVec<[(Vec<u8>, bool); 4]>,
    /// Row sets that may have lost their owner, or never had one, and the keys that may own them: of the present frame,
    /// or of all frames that the store may be ahead of.
    owners: HashMap<RowsId, Vec<Vec<u8>>>,
}

impl Replay<'_> {
    fn frame(&mut self, lsn: u64, payload: &[u8]) -> Result<(), Fault> {
        self.touched.clear();
        let ops = Ops::new(payload).map_err(|error| self.bad(lsn, &error.to_string()))?;
        for op in ops {
            let op = op.map_err(|error| self.bad(lsn, &error.to_string()))?;
            self.op(lsn, &op)?;
        }
        Ok(())
    }

    fn bad(&self, lsn: u64, what: &str) -> Fault {
        self.shard.corrupt(&format!("the frame at LSN {lsn} cannot be replayed: {what}"))
    }

    fn op(&mut self, lsn: u64, op: &Op<'_>) -> Result<(), Fault> {
        match *op {
            Op::Clear => self.clear(lsn),
            Op::PutRow { key, rows, row, value } => {
                if lsn < self.ahead {
                    self.note_owner(rows, key);
                }
                let change = (row.into(), RowChange::Put(value.into()));
                self.rows(rows, Vec::new(), Some(change), lsn);
                Ok(())
            }
            Op::DeleteRow { rows, row, .. } => {
                self.rows(rows, Vec::new(), Some((row.into(), RowChange::Delete)), lsn);
                Ok(())
            }
            Op::DeleteRows { rows, from, to, .. } => {
                self.rows(rows, vec![RowRange::new(from, to)], None, lsn);
                Ok(())
            }
            Op::Put { key, .. } | Op::Splice { key, .. } | Op::Delete { key } | Op::Touch { key } => {
                if let Op::Put { body, .. } = *op
                    && let Some(rows) = leads_to(body)
                {
                    // Also of a record that the store already has: nothing else may tell of the id.
                    self.shard.saw_rows(rows);
                    self.note_owner(rows, key);
                }
                if self.leaves_out(key, lsn, op)? { Ok(()) } else { self.record(lsn, key, op) }
            }
        }
    }

    fn note_owner(&mut self, rows: RowsId, key: &[u8]) {
        let keys = self.owners.entry(rows).or_default();
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_vec());
        }
    }

    /// Row sets to which none of the keys leads that were said to: they go.
    fn bury_ownerless(&mut self) -> Result<(), Fault> {
        for (rows, keys) in std::mem::take(&mut self.owners) {
            let mut owned = false;
            for key in keys {
                self.load(&key)?;
                let (hash, at) = self.shard.place(&key);
                let stripe = self.shard.stripes[at].0.lock();
                let record = stripe.find(hash, &key).and_then(|entry| entry.record().ok().flatten());
                owned |= record.and_then(|record| record.rows_id()) == Some(rows);
            }
            if !owned {
                self.budget.book_rows(self.shard.rows.forget(rows));
                self.shard.dead.lock().push(rows);
            }
        }
        Ok(())
    }

    fn rows(&self, rows: RowsId, cleared: Vec<RowRange>, change: Option<(RowKey, RowChange)>, lsn: u64) {
        self.shard.saw_rows(rows);
        self.budget.book_rows(self.shard.rows.apply(rows, Birth::Unknown, cleared, change.into_iter(), lsn));
    }

    /// Decided once per frame and key: whether the store already has the frame's changes of the key.
    ///
    /// A whole record needs no look at the store: what the store has of later frames comes again with them, on top of it.
    fn leaves_out(&mut self, key: &[u8], lsn: u64, op: &Op<'_>) -> Result<bool, Fault> {
        if lsn >= self.ahead {
            return Ok(false);
        }
        if let Some((_, out)) = self.touched.iter().find(|(touched, _)| touched == key) {
            return Ok(*out);
        }
        if !is_blind(op) {
            self.load(key)?;
        }
        let (hash, at) = self.shard.place(key);
        let out = self.shard.stripes[at].0.lock().find(hash, key).is_some_and(|entry| entry.lsn() >= lsn);
        self.touched.push((key.to_vec(), out));
        Ok(out)
    }

    /// Brings the record of a key into memory, if there is one.
    fn load(&self, key: &[u8]) -> Result<(), Fault> {
        let (hash, at) = self.shard.place(key);
        let mut stripe = self.shard.stripes[at].0.lock();
        if stripe.find(hash, key).is_some() || self.shard.store_is_masked() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        if self.shard.store.record(key, Reach::Disk, &mut bytes)? == Found::Yes {
            let entry = Entry::stored(key, &bytes, 0);
            self.budget.book_used(entry.cost() as i64);
            stripe.insert(&self.shard.hasher, hash, entry);
        }
        Ok(())
    }

    /// Finds out what the store has of a key that was put unseen. It may be of a later frame, and lead to rows that have
    /// moved on to another key by the end: settle must not take them for left behind by this one.
    fn ask_store(&mut self, key: &[u8]) -> Result<(), Fault> {
        let (hash, at) = self.shard.place(key);
        let mut stripe = self.shard.stripes[at].0.lock();
        let Some(entry) = stripe.find_mut(hash, key).filter(|entry| entry.state().in_store == InStore::Unknown) else {
            return Ok(());
        };
        if self.shard.store_is_masked() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        entry.set_in_store(match self.shard.store.record(key, Reach::Disk, &mut bytes)? {
            Found::Yes => InStore::Yes,
            Found::No | Found::WouldBlock => InStore::No,
        });
        drop(stripe);
        if let Some(rows) = Record::decode(&bytes).ok().and_then(|record| record.rows_id()) {
            self.note_owner(rows, key);
        }
        Ok(())
    }

    fn record(&mut self, lsn: u64, key: &[u8], op: &Op<'_>) -> Result<(), Fault> {
        if !is_blind(op) {
            self.load(key)?;
            if lsn < self.ahead {
                self.ask_store(key)?;
            }
        }
        let (hash, at) = self.shard.place(key);
        let mut stripe = self.shard.stripes[at].0.lock();
        let (mut before, mut was_dirty) = (0, false);
        match stripe.find(hash, key) {
            Some(entry) => {
                (before, was_dirty) = (entry.cost() as i64, entry.is_dirty());
                if let Some(rows) = entry.record().ok().flatten().and_then(|record| record.rows_id()) {
                    let keys = self.owners.entry(rows).or_default();
                    keys.push(key.to_vec());
                }
            }
            None if matches!(op, Op::Put { .. }) => {
                stripe.insert(&self.shard.hasher, hash, Entry::tombstone(key, 0));
            }
            // The record was removed by a later frame that the store already has.
            None if lsn < self.ahead || matches!(op, Op::Delete { .. }) => return Ok(()),
            None => return Err(self.bad(lsn, "a change of a record that is not there")),
        }
        let entry = stripe.find_mut(hash, key).expect("the entry was just found or made");
        apply(entry, op).map_err(|what| self.bad(lsn, what))?;
        entry.stamp(lsn);
        entry.committed();
        let after = entry.cost() as i64;
        if let Ok(Some(record)) = entry.record() {
            self.shard.sweep.see(&record);
            if let Some(rows) = record.rows_id() {
                self.shard.saw_rows(rows);
            }
        }
        if !was_dirty {
            stripe.dirty.push(hash);
        }
        self.budget.book_used(after - before);
        self.budget.book_dirty(if was_dirty { after - before } else { after });
        Ok(())
    }

    fn clear(&mut self, lsn: u64) -> Result<(), Fault> {
        if lsn < self.ahead {
            // The store may hold records of later frames: they stay, since replaying those frames would leave them out.
            return self.clear_older(lsn);
        }
        let _settling = self.shard.settle_lock();
        let (mut used, mut dirty) = (0, 0);
        for stripe in &self.shard.stripes {
            let mut stripe = stripe.0.lock();
            for entry in stripe.table.drain() {
                used += entry.cost() as i64;
                dirty += if entry.is_dirty() { entry.cost() as i64 } else { 0 };
            }
            stripe.dirty.clear();
            stripe.settling.clear();
        }
        self.budget.book_rows(self.shard.rows.forget_all());
        self.shard.dead.lock().clear();
        self.owners.clear();
        self.budget.book_used(-used);
        self.budget.book_dirty(-dirty);
        self.shard.mask_store();
        Ok(())
    }

    /// A Clear that the store may already have: removes, one by one, what is older than it.
    fn clear_older(&mut self, lsn: u64) -> Result<(), Fault> {
        let mut keys = Vec::new();
        if !self.shard.store_is_masked() {
            let mut cursor = self.shard.store.records(&[], &[])?;
            while let Some((key, bytes)) = cursor.entry()? {
                if Record::decode(bytes).is_ok_and(|record| record.lsn < lsn) {
                    keys.push(key.to_vec());
                }
                cursor.advance();
            }
        }
        for stripe in &self.shard.stripes {
            let stripe = stripe.0.lock();
            keys.extend(stripe.table.iter().filter(|entry| entry.lsn() < lsn).map(|entry| entry.key().to_vec()));
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            // As if in a frame just before this one: ops that follow the Clear in its frame are to apply.
            self.record(lsn.saturating_sub(1), &key, &Op::Delete { key: &key })?;
        }
        Ok(())
    }

    fn make_room(&self) {
        for stripe in &self.shard.stripes {
            if self.budget.excess() == 0 {
                return;
            }
            self.budget.book_eviction(stripe.0.lock().evict(self.budget.excess(), usize::MAX));
        }
    }
}

/// The rows of a record.
fn leads_to(body: &[u8]) -> Option<RowsId> {
    Record::decode_body(body).ok()?.rows_id()
}

/// Whether an op says all there is to say about its key, so that nothing that was there before matters.
fn is_blind(op: &Op<'_>) -> bool {
    matches!(op, Op::Put { body, .. } if leads_to(body).is_none())
}

/// Changes one record as an op says.
fn apply(entry: &mut Entry, op: &Op<'_>) -> Result<(), &'static str> {
    match *op {
        Op::Put { body, .. } => {
            Record::decode_body(body).map_err(|_| "the record is of no known format")?;
            let mut stored = vec![0; LSN_BYTES];
            stored.extend_from_slice(body);
            entry.restore(&stored);
        }
        Op::Splice { at, remove, was, insert, .. } => {
            let record = entry.record().ok().flatten().ok_or("a change of a record that is not there")?;
            let (head, len) = (record.head.encoded_len(), record.payload.len());
            if len != was || at.checked_add(remove).is_none_or(|end| end > len) {
                return Err("a change of a record that is not the one it was made for");
            }
            entry.splice(LSN_BYTES + head, at, remove, insert);
        }
        Op::Delete { .. } => entry.bury(),
        Op::Touch { .. } => {
            entry.record().ok().flatten().ok_or("a change of a record that is not there")?;
        }
        Op::PutRow { .. } | Op::DeleteRow { .. } | Op::DeleteRows { .. } | Op::Clear => {}
    }
    Ok(())
}

/// Has the shard of a primary begin a reign before its next frame: see [`begin_reign`]. Until then nothing is written.
pub fn rest(shard: &Shard) -> Result<(), Fault> {
    shard.set_rest(random_id(&shard.dir)?);
    Ok(())
}

/// Begins the reign that the shard has put off, if it has: nobody can take what follows for the continuation of what this
/// node may have lost. Only one thread may be in here.
pub fn begin_reign(shard: &Shard, clock: Millis) -> Result<(), Fault> {
    let Some(id) = shard.next_reign() else { return Ok(()) };
    append_epoch(shard, clock, id)?;
    shard.end_rest();
    Ok(())
}

fn append_epoch(shard: &Shard, clock: Millis, id: ReplId) -> Result<(), Fault> {
    let appended = shard.log.append_epoch(clock.0, next_epoch(&shard.log.lineage()), id);
    let end = appended.map_err(|error| shard.corrupt(&error.to_string()))?.end;
    shard.note_time(Millis(shard.log.time_ms()));
    for _ in 0..100 {
        let _ = shard.log.write_to_blocking(end);
        settle::ask_for_sync(shard, end);
        if shard.log.wait_synced(end, Duration::from_millis(100)) {
            return Ok(());
        }
        if shard.log.health() == replog::Health::NoSpace {
            // The server starts read-only; the log writes the frame when there is room, and nothing before it.
            return Ok(());
        }
    }
    Err(Fault::new(FaultKind::Io, "The log could not be synced within 10 seconds", &shard.dir))
}

fn random_id(dir: &Path) -> Result<ReplId, Fault> {
    let id = entropy::bytes().map_err(|error| Fault::io(&error, "No random numbers for a replication id", dir))?;
    Ok(ReplId(id))
}

fn has_segments(log_dir: &Path) -> Result<bool, Fault> {
    Ok(first_segment(log_dir)?.is_some())
}

/// The first LSN of the oldest segment, by the files' names.
fn first_segment(log_dir: &Path) -> Result<Option<u64>, Fault> {
    let unreadable = |error: std::io::Error| Fault::io(&error, "The folder cannot be read", log_dir);
    let mut first = None;
    for entry in std::fs::read_dir(log_dir).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let lsn = name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|lsn| lsn.parse::<u64>().ok());
        first = [first, lsn].into_iter().flatten().min();
    }
    Ok(first)
}

/// A lost store can be rebuilt only from a log that has everything.
fn check_complete(log_dir: &Path, dir: &Path) -> Result<(), Fault> {
    match first_segment(log_dir)? {
        None | Some(0) => Ok(()),
        Some(first) => {
            let what = format!(
                "The store is missing and the log begins at LSN {first}, so the data before it cannot be rebuilt: restore \
                 the folder 'store' or a backup"
            );
            Err(Fault::new(FaultKind::Corrupt, what, dir))
        }
    }
}

/// A log's fault as ours.
pub fn log_fault(fault: &replog::Fault) -> Fault {
    let mut own = Fault::io(&fault.source, &format!("Cannot {}", fault.doing), &fault.path);
    own.offset = Some(fault.offset);
    own
}

fn open_fault(error: &OpenError, log_dir: &Path) -> Fault {
    match error {
        OpenError::Disk(fault) => log_fault(fault),
        OpenError::Version { .. } => Fault::new(FaultKind::Format, error.to_string(), log_dir),
        OpenError::Header { .. } | OpenError::Gap { .. } | OpenError::Lost { .. } => {
            Fault::new(FaultKind::Corrupt, error.to_string(), log_dir)
        }
    }
}

fn read_fault(error: &ReadError, shard: &Shard) -> Fault {
    match error {
        ReadError::Disk(fault) => log_fault(fault),
        other => shard.corrupt(&other.to_string()),
    }
}

fn damage_fault(damage: &Damage) -> Fault {
    let what = format!("The log is damaged at LSN {}: {}", damage.lsn.0, damage.what);
    let mut fault = Fault::new(FaultKind::Corrupt, what, &damage.path);
    fault.offset = Some(damage.offset);
    fault
}
