//! A store in memory, for tests and simulation: what was flushed survives its crash, what was only written does not.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyspace::{Millis, RowsId};
use parking_lot::Mutex;

use crate::fault::{Fault, FaultKind};
use crate::store::{
    Cursor, Direction, ExpiredRecord, Found, Presence, Reach, Store, StoreFactory, StoreHealth, StoreStats, Write,
};

/// All that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// User key to record.
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Rows id and row key to value.
    pub rows: BTreeMap<(RowsId, Vec<u8>), Vec<u8>>,
    /// System entries.
    pub system: BTreeMap<String, Vec<u8>>,
}

/// How the store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// Every read is answered from memory.
    Warm,
    /// Reads that may not go to the disk are never answered.
    Cold,
    /// As `Warm` for points, but walks that may not go to the disk see so many rows and no more.
    Tepid(usize),
    /// As `Warm`, and writes fail for want of space.
    Full,
}

/// A moment in which a test may have something else happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before a batch is written; so many others are written first.
    Write(usize),
    /// After something was read from the disk, before the reader gets it.
    Read,
}

/// What happens then, once.
struct Meanwhile {
    moment: Moment,
    action: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meanwhile").field(&self.moment).finish()
    }
}

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    live: Contents,
    flushed: Contents,
    /// What was written since the last flush, batch by batch.
    unflushed: Vec<Vec<Write>>,
    temper: Temper,
    /// So many more batches are taken before the store is full.
    room: Option<usize>,
    meanwhile: Option<Meanwhile>,
    expired: Vec<ExpiredRecord>,
}

impl State {
    /// That of a store that holds something, none of it flushed.
    fn of(live: Contents) -> Self {
        Self {
            live,
            flushed: Contents::default(),
            unflushed: Vec::new(),
            temper: Temper::Warm,
            room: None,
            meanwhile: None,
            expired: Vec::new(),
        }
    }
}

impl MemoryStore {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), state: Mutex::new(State::of(Contents::default())) }
    }

    /// Changes how it behaves.
    pub fn set_temper(&self, temper: Temper) {
        self.state.lock().temper = temper;
    }

    /// Takes so many more batches, and is full then; `None`: takes all.
    pub fn set_room(&self, batches: Option<usize>) {
        self.state.lock().room = batches;
    }

    /// Has `action` happen at a moment to come, without a lock of the store.
    pub fn meanwhile(&self, moment: Moment, action: impl FnOnce() + Send + 'static) {
        self.state.lock().meanwhile = Some(Meanwhile { moment, action: Box::new(action) });
    }

    /// Forgets what was to happen meanwhile; says whether it had not happened yet.
    pub fn forget_meanwhile(&self) -> bool {
        self.state.lock().meanwhile.take().is_some()
    }

    fn is_now(&self, moment: Moment) {
        let due = {
            let mut state = self.state.lock();
            match (&mut state.meanwhile, moment) {
                (Some(Meanwhile { moment: Moment::Write(more), .. }), Moment::Write(_)) if *more > 0 => {
                    *more -= 1;
                    None
                }
                (Some(Meanwhile { moment: Moment::Write(_), .. }), Moment::Write(_))
                | (Some(Meanwhile { moment: Moment::Read, .. }), Moment::Read) => state.meanwhile.take(),
                (Some(_) | None, _) => None,
            }
        };
        if let Some(due) = due {
            (due.action)();
        }
    }

    /// Batches that were written and not flushed.
    #[must_use]
    pub fn unflushed(&self) -> usize {
        self.state.lock().unflushed.len()
    }

    /// Loses what was not flushed.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Loses what was not flushed but for the first batches of it: a store flushes by itself now and then.
    pub fn crash_keeping(&self, batches: usize) {
        let mut state = self.state.lock();
        let State { flushed, unflushed, .. } = &mut *state;
        unflushed.drain(..).take(batches).flatten().for_each(|write| flushed.apply(&write));
        state.live = state.flushed.clone();
        state.temper = Temper::Warm;
        state.room = None;
        state.meanwhile = None;
        state.expired.clear();
    }

    /// Changes a system entry behind the engine's back, as if flushed.
    #[cfg(test)]
    pub(crate) fn write_mark(&self, mark: Write) {
        let mut state = self.state.lock();
        state.live.apply(&mark);
        state.flushed.apply(&mark);
    }

    /// A copy of what it holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.state.lock().live.clone()
    }

    /// As if a compaction had met an expired record.
    pub fn report_expired(&self, expired: ExpiredRecord) {
        self.state.lock().expired.push(expired);
    }

    fn check_reach(&self, reach: Reach) -> Found {
        match (self.state.lock().temper, reach) {
            (Temper::Cold, Reach::Memory) => Found::WouldBlock,
            _ => Found::Yes,
        }
    }
}

/// The file of a copy, in its folder.
const CONTENTS: &str = "contents";
/// Marks a folder whose store has been opened.
const OPENED: &str = "opened";

impl Contents {
    /// As bytes: each entry is its family, its parts, and their lengths before them.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |family: u8, parts: [&[u8]; 3]| {
            bytes.push(family);
            for part in parts {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        };
        self.records.iter().for_each(|(key, record)| put(0, [key, record, &[]]));
        self.rows.iter().for_each(|((rows, row), value)| put(1, [&rows.0.to_le_bytes(), row, value]));
        self.system.iter().for_each(|(name, value)| put(2, [name.as_bytes(), value, &[]]));
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut contents = Self::default();
        while let Some((family, rest)) = bytes.split_first() {
            bytes = rest;
            let mut part = || {
                let (len, rest) = bytes.split_first_chunk()?;
                let (part, rest) = rest.split_at_checked(u64::from_le_bytes(*len) as usize)?;
                bytes = rest;
                Some(part.to_vec())
            };
            let (one, two, three) = (part()?, part()?, part()?);
            match family {
                0 => drop(contents.records.insert(one, two)),
                1 => {
                    let rows = RowsId(u64::from_le_bytes(*one.first_chunk()?));
                    drop(contents.rows.insert((rows, two), three));
                }
                2 => drop(contents.system.insert(String::from_utf8(one).ok()?, two)),
                _ => return None,
            }
        }
        Some(contents)
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::PutRecord { bytes, key_len } => {
                self.records.insert(bytes[..*key_len].to_vec(), bytes[*key_len..].to_vec());
            }
            Write::DeleteRecord { key } => drop(self.records.remove(key)),
            Write::PutRow { rows, row, value } => drop(self.rows.insert((*rows, row.clone()), value.clone())),
            Write::DeleteRow { rows, row } => drop(self.rows.remove(&(*rows, row.clone()))),
            Write::DeleteRows { rows, from, to } => {
                self.rows.retain(|(id, row), _| id != rows || row < from || (!to.is_empty() && row >= to));
            }
            Write::Clear => {
                self.records.clear();
                self.rows.clear();
            }
            Write::System { name, value } => drop(self.system.insert((*name).to_owned(), value.clone())),
        }
    }
}

impl Store for MemoryStore {
    fn record(&self, key: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault> {
        out.clear();
        if self.check_reach(reach) == Found::WouldBlock {
            return Ok(Found::WouldBlock);
        }
        let found = match self.state.lock().live.records.get(key) {
            Some(record) => {
                out.extend_from_slice(record);
                Found::Yes
            }
            None => Found::No,
        };
        if reach == Reach::Disk {
            self.is_now(Moment::Read);
        }
        Ok(found)
    }

    fn row(&self, rows: RowsId, row: &[u8], reach: Reach, out: &mut Vec<u8>) -> Result<Found, Fault> {
        out.clear();
        if self.check_reach(reach) == Found::WouldBlock {
            return Ok(Found::WouldBlock);
        }
        Ok(match self.state.lock().live.rows.get(&(rows, row.to_vec())) {
            Some(value) => {
                out.extend_from_slice(value);
                Found::Yes
            }
            None => Found::No,
        })
    }

    fn system(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.state.lock().live.system.get(name).cloned())
    }

    fn records<'s>(&'s self, from: &[u8], _prefix: &[u8]) -> Result<Box<dyn Cursor + 's>, Fault> {
        let state = self.state.lock();
        let range = state.live.records.range(from.to_vec()..);
        Ok(Box::new(Copied::new(range.map(|(key, record)| (key.clone(), record.clone())))))
    }

    fn row_range<'s>(
        &'s self,
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        reach: Reach,
    ) -> Result<Box<dyn Cursor + 's>, Fault> {
        let copied = {
            let state = self.state.lock();
            let range = state.live.rows.range((rows, from.to_vec())..);
            let range = range.take_while(|((id, row), _)| *id == rows && (to.is_empty() || row.as_slice() < to));
            let mut entries: Vec<_> = range.map(|((_, row), value)| (row.clone(), value.clone())).collect();
            if direction == Direction::Backward {
                entries.reverse();
            }
            let seen = match (state.temper, reach) {
                (Temper::Cold, Reach::Memory) => Some(0),
                (Temper::Tepid(seen), Reach::Memory) => Some(seen),
                (Temper::Warm | Temper::Full, Reach::Memory) | (_, Reach::Disk) => None,
            };
            let cut = seen.is_some_and(|seen| seen < entries.len() || seen == 0);
            entries.truncate(seen.unwrap_or(usize::MAX));
            Copied { cut, ..Copied::new(entries.into_iter()) }
        };
        if reach == Reach::Disk {
            self.is_now(Moment::Read);
        }
        Ok(Box::new(copied))
    }

    fn write(&self, batch: &[Write]) -> Result<(), Fault> {
        self.is_now(Moment::Write(0));
        let mut state = self.state.lock();
        if state.temper == Temper::Full || state.room == Some(0) {
            return Err(Fault::new(FaultKind::NoSpace, "No space left on device", &self.dir));
        }
        state.room = state.room.map(|room| room - 1);
        batch.iter().for_each(|write| state.live.apply(write));
        state.unflushed.push(batch.to_vec());
        Ok(())
    }

    fn flush(&self) -> Result<(), Fault> {
        let mut state = self.state.lock();
        state.flushed = state.live.clone();
        state.unflushed.clear();
        Ok(())
    }

    fn checkpoint(&self, dir: &Path) -> Result<(), Fault> {
        let write = || {
            std::fs::create_dir(dir)?;
            std::fs::write(dir.join(CONTENTS), self.state.lock().live.encode())
        };
        write().map_err(|error| Fault::io(&error, "The store cannot be copied", dir))
    }

    fn compact(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn set_expiry_horizon(&self, _horizon: Millis) {}

    fn take_expired(&self, most: usize) -> Vec<ExpiredRecord> {
        let mut state = self.state.lock();
        let most = most.min(state.expired.len());
        state.expired.drain(..most).collect()
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::Ok
    }

    fn resume(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        StoreStats { estimated_records: self.state.lock().live.records.len() as u64, ..StoreStats::default() }
    }
}

struct Copied {
    entries: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    present: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether there are more that may not be seen.
    cut: bool,
}

impl Copied {
    fn new(entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let mut entries = entries.collect::<Vec<_>>().into_iter();
        let present = entries.next();
        Self { entries, present, cut: false }
    }
}

impl Cursor for Copied {
    fn entry(&self) -> Result<Option<(&[u8], &[u8])>, Fault> {
        Ok(self.present.as_ref().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }

    fn advance(&mut self) {
        self.present = self.entries.next();
    }

    fn would_block(&self) -> bool {
        self.present.is_none() && self.cut
    }
}

/// Stores in memory by folder; a store that is opened again is the same.
#[derive(Debug, Default)]
pub struct MemoryStores {
    stores: Mutex<HashMap<PathBuf, Arc<MemoryStore>>>,
}

impl MemoryStores {
    /// The store of a folder.
    #[must_use]
    pub fn store(&self, dir: &Path) -> Arc<MemoryStore> {
        let mut stores = self.stores.lock();
        stores.entry(dir.to_path_buf()).or_insert_with(|| Arc::new(MemoryStore::new(dir))).clone()
    }
}

impl StoreFactory for MemoryStores {
    fn open(&self, dir: &Path, _presence: Presence) -> Result<Arc<dyn Store>, Fault> {
        let fault = |error: std::io::Error| Fault::io(&error, "The folder cannot be made", dir);
        // The folder stands for the store's presence; a folder that was never opened is not the one we know.
        std::fs::create_dir_all(dir).map_err(fault)?;
        if !dir.join(OPENED).exists() {
            let store = MemoryStore::new(dir);
            if let Ok(bytes) = std::fs::read(dir.join(CONTENTS)) {
                let damaged = || Fault::new(FaultKind::Corrupt, "The copy of a store cannot be read", dir);
                let contents = Contents::decode(&bytes).ok_or_else(damaged)?;
                *store.state.lock() = State { flushed: contents.clone(), ..State::of(contents) };
            }
            self.stores.lock().insert(dir.to_path_buf(), Arc::new(store));
            std::fs::write(dir.join(OPENED), []).map_err(fault)?;
        }
        Ok(self.store(dir))
    }

    fn set_budget(&self, _block_cache_bytes: u64, _memtable_bytes: u64) {}
}
