//! A view of a key space in memory, written to be obviously right.
//!
//! Everything is in sorted maps, nothing is locked, nothing waits. It also remembers the ops a real view would log, and
//! can stop a run at any of its calls. It is no transaction: clone it before a run that may stop, and go back to the
//! clone if it does.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

use keyspace::record::LSN_BYTES;
use keyspace::{Head, Limits, Millis, OpWriter, Page, Record, RowsId, Seek, Stop, Usage, View};

/// What [`MemoryView::usage`] answers for every live record.
const USAGE: Usage = Usage { idle_seconds: 7, frequency: 5, memory_bytes: 64 };

/// The key space of an instance, in memory.
#[derive(Clone, Debug)]
pub struct MemoryView {
    databases: Vec<Database>,
    selected: usize,
    now: Millis,
    seed: u64,
    limits: Limits,
    next_rows: u64,
    cursors: Vec<Vec<u8>>,
    ops: Vec<LoggedOp>,
    calls: Cell<u64>,
    stop_at: Option<u64>,
    numbers_rows: bool,
}

/// A change as a real view would log it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOp {
    /// The database it is in.
    pub database: usize,
    /// A frame with this change alone, as [`OpWriter`] writes it.
    pub frame: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Database {
    /// Stored records, as [`Record::decode`] reads them.
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    rows: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
}

impl MemoryView {
    /// Empty databases, with the first selected; the clock stands at `now`, chance follows from `seed`.
    #[must_use]
    pub fn new(databases: usize, now: Millis, seed: u64) -> Self {
        Self {
            databases: vec![Database::default(); databases],
            selected: 0,
            now,
            seed,
            limits: Limits::default(),
            next_rows: 1,
            cursors: Vec::new(),
            ops: Vec::new(),
            calls: Cell::new(0),
            stop_at: None,
            numbers_rows: false,
        }
    }

    /// Sets the clock.
    pub fn set_now(&mut self, now: Millis) {
        self.now = now;
    }

    /// Sets when values are exploded.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// From here on it knows which row is at a place, as a view that has all rows in memory does.
    pub fn number_rows(&mut self) {
        self.numbers_rows = true;
    }

    /// Has call number `call` from here on, 0 being the next, stop the run. Calls that cannot stop do not count.
    pub fn stop_at(&mut self, call: Option<u64>) {
        self.calls.set(0);
        self.stop_at = call;
    }

    /// Calls that could have stopped the run since [`MemoryView::stop_at`].
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// The ops since the last time they were taken.
    pub fn take_ops(&mut self) -> Vec<LoggedOp> {
        std::mem::take(&mut self.ops)
    }

    /// Whether two key spaces hold the same records and rows.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.databases == other.databases
    }

    /// Makes one database what it is in `other`.
    pub fn copy_database(&mut self, other: &Self, database: usize) {
        self.databases[database] = other.databases[database].clone();
    }

    /// Checks that every row belongs to a record.
    ///
    /// # Panics
    /// When one does not.
    pub fn check(&self) {
        for (number, database) in self.databases.iter().enumerate() {
            let owned: Vec<u64> =
                database.records.values().filter_map(|stored| read(stored).rows_id()).map(|rows| rows.0).collect();
            for (rows, row) in database.rows.keys() {
                assert!(owned.contains(rows), "row {row:?} of rows {rows} in database {number} belongs to no record");
            }
        }
    }

    fn call(&self) -> Result<(), Stop> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        if self.stop_at == Some(call) { Err(Stop::WouldBlock) } else { Ok(()) }
    }

    fn database(&mut self) -> &mut Database {
        &mut self.databases[self.selected]
    }

    fn live(&self, key: &[u8]) -> Option<Record<'_>> {
        let record = read(self.databases[self.selected].records.get(key)?);
        (!record.is_expired(self.now)).then_some(record)
    }

    fn log(&mut self, write: impl FnOnce(&mut OpWriter)) {
        let mut writer = OpWriter::new();
        write(&mut writer);
        self.ops.push(LoggedOp { database: self.selected, frame: writer.bytes().to_vec() });
    }

    /// Replaces a stored record, and drops the rows that the old one alone led to.
    fn store(&mut self, key: &[u8], stored: Option<Vec<u8>>) {
        let kept = stored.as_deref().and_then(|stored| read(stored).rows_id());
        let database = self.database();
        let old = match stored {
            Some(stored) => database.records.insert(key.to_vec(), stored),
            None => database.records.remove(key),
        };
        let dropped = old.as_deref().and_then(|old| read(old).rows_id()).filter(|rows| Some(*rows) != kept);
        if let Some(rows) = dropped {
            database.rows.retain(|(id, _), _| *id != rows.0);
            self.log(|ops| ops.delete_rows(key, rows, b"", b""));
        }
    }

    /// Changes the body of a live record.
    fn rewrite(&mut self, key: &[u8], change: impl FnOnce(Head, &mut Vec<u8>) -> Head) {
        let Some(record) = self.live(key) else { panic!("no live record at {key:?}") };
        let (head, mut payload) = (record.head, record.payload.to_vec());
        let head = change(head, &mut payload);
        self.store(key, Some(stored(&head, &payload)));
    }
}

fn read(stored: &[u8]) -> Record<'_> {
    match Record::decode(stored) {
        Ok(record) => record,
        Err(error) => panic!("{error}"),
    }
}

fn stored(head: &Head, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; LSN_BYTES];
    head.encode(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

impl View for MemoryView {
    fn now(&self) -> Millis {
        self.now
    }

    fn random(&mut self) -> u64 {
        // SplitMix64, by Sebastiano Vigna.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ self.seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn select(&mut self, database: usize) -> Result<(), Stop> {
        self.call()?;
        assert!(database < self.databases.len(), "no database {database}");
        self.selected = database;
        Ok(())
    }

    fn databases(&self) -> usize {
        self.databases.len()
    }

    fn record(&mut self, key: &[u8]) -> Result<Option<Record<'_>>, Stop> {
        self.call()?;
        Ok(self.live(key))
    }

    fn put(&mut self, key: &[u8], head: &Head, payload: &[u8]) -> Result<(), Stop> {
        self.call()?;
        let stored = stored(head, payload);
        self.log(|ops| ops.put(key, &stored[LSN_BYTES..]));
        self.store(key, Some(stored));
        Ok(())
    }

    fn splice(&mut self, key: &[u8], at: usize, remove: usize, insert: &[u8]) -> Result<(), Stop> {
        self.call()?;
        let was = self.live(key).map_or(0, |record| record.payload.len());
        self.log(|ops| ops.splice(key, at, remove, was, insert));
        self.rewrite(key, |head, payload| {
            payload.splice(at..at + remove, insert.iter().copied());
            head
        });
        Ok(())
    }

    fn set_expiry(&mut self, key: &[u8], expire_at: Option<Millis>) -> Result<(), Stop> {
        self.call()?;
        self.rewrite(key, |head, _| Head { expire_at, ..head });
        let body = self.databases[self.selected].records[key][LSN_BYTES..].to_vec();
        self.log(|ops| ops.put(key, &body));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Stop> {
        self.call()?;
        let live = self.live(key).is_some();
        if self.databases[self.selected].records.contains_key(key) {
            self.log(|ops| ops.delete(key));
        }
        self.store(key, None);
        Ok(live)
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Stop> {
        self.call()?;
        assert!(self.live(from).is_some(), "no live record at {from:?}");
        let Some(moved) = self.database().records.remove(from) else { return Ok(()) };
        self.log(|ops| {
            ops.put(to, &moved[LSN_BYTES..]);
            ops.delete(from);
        });
        self.store(to, Some(moved));
        Ok(())
    }

    fn new_rows(&mut self) -> RowsId {
        self.next_rows += 1;
        RowsId(self.next_rows - 1)
    }

    fn row(&mut self, _: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop> {
        self.call()?;
        out.clear();
        let found = self.database().rows.get(&(rows.0, row.to_vec()));
        Ok(found.map(|value| out.extend_from_slice(value)).is_some())
    }

    fn rows(
        &mut self,
        _: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        self.call()?;
        for ((id, row), value) in self.database().rows.range((rows.0, from.to_vec())..) {
            let inside = *id == rows.0 && (to.is_empty() || row.as_slice() < to);
            if !inside || !seen(row, value) {
                break;
            }
        }
        Ok(())
    }

    fn rows_back(
        &mut self,
        _: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        self.call()?;
        let database = self.database();
        let inside = |row: &[u8]| row >= from && (to.is_empty() || row < to);
        let of_value = database.rows.range((rows.0, Vec::new())..(rows.0 + 1, Vec::new()));
        for ((_, row), value) in of_value.rev().filter(|((_, row), _)| inside(row)) {
            if !seen(row, value) {
                break;
            }
        }
        Ok(())
    }

    fn nth_row(
        &mut self,
        _: &[u8],
        rows: RowsId,
        [from, to]: [&[u8]; 2],
        number: u64,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Option<bool> {
        let numbered = self.numbers_rows;
        let in_range = |row: &[u8]| row >= from && (to.is_empty() || row < to);
        let mut of_value = self.database().rows.range((rows.0, Vec::new())..(rows.0 + 1, Vec::new()));
        let found = || of_value.by_ref().filter(|((_, row), _)| in_range(row)).nth(number as usize);
        numbered.then(found).map(|found| found.map(|((_, row), value)| seen(row, value)).is_some())
    }

    fn put_row(&mut self, key: &[u8], rows: RowsId, row: &[u8], value: &[u8]) -> Result<(), Stop> {
        self.call()?;
        self.log(|ops| ops.put_row(key, rows, row, value));
        self.database().rows.insert((rows.0, row.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete_row(&mut self, key: &[u8], rows: RowsId, row: &[u8]) -> Result<(), Stop> {
        self.call()?;
        self.log(|ops| ops.delete_row(key, rows, row));
        self.database().rows.remove(&(rows.0, row.to_vec()));
        Ok(())
    }

    fn delete_rows(&mut self, key: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Result<(), Stop> {
        self.call()?;
        self.log(|ops| ops.delete_rows(key, rows, from, to));
        let inside = |row: &[u8]| row >= from && (to.is_empty() || row < to);
        self.database().rows.retain(|(id, row), _| *id != rows.0 || !inside(row));
        Ok(())
    }

    fn touch(&mut self, key: &[u8]) -> Result<(), Stop> {
        self.call()?;
        self.log(|ops| ops.touch(key));
        Ok(())
    }

    fn heavy(&mut self, _: u64) -> Result<(), Stop> {
        self.call()
    }

    fn walk(
        &mut self,
        from: Seek<'_>,
        prefix: &[u8],
        limit: usize,
        seen: &mut dyn FnMut(&[u8], &Record<'_>),
    ) -> Result<Page, Stop> {
        self.call()?;
        let begin = match from {
            Seek::Start => Bound::Unbounded,
            Seek::After(key) => Bound::Excluded(key),
        };
        let mut last: Option<&[u8]> = None;
        let mut count = 0;
        for (key, stored) in self.databases[self.selected].records.range::<[u8], _>((begin, Bound::Unbounded)) {
            let record = read(stored);
            if !key.starts_with(prefix) || record.is_expired(self.now) {
                continue;
            }
            if let Some(last) = last.filter(|_| count == limit) {
                return Ok(Page::More(last.to_vec()));
            }
            seen(key, &record);
            last = Some(key);
            count += 1;
        }
        Ok(Page::End)
    }

    fn cursor(&mut self, key: &[u8]) -> u64 {
        self.cursors.push(key.to_vec());
        self.cursors.len() as u64
    }

    fn cursor_key(&mut self, cursor: u64) -> Option<Vec<u8>> {
        self.cursors.get(usize::try_from(cursor).ok()?.checked_sub(1)?).cloned()
    }

    fn random_key(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        self.call()?;
        let database = &self.databases[self.selected];
        let live: Vec<_> = database.records.iter().filter(|(_, stored)| !read(stored).is_expired(self.now)).collect();
        if live.is_empty() {
            return Ok(None);
        }
        let key = live[(self.seed % live.len() as u64) as usize].0.clone();
        self.random();
        Ok(Some(key))
    }

    fn count(&mut self) -> Result<u64, Stop> {
        self.call()?;
        Ok(self.database().records.len() as u64)
    }

    fn clear(&mut self) -> Result<(), Stop> {
        self.call()?;
        self.log(OpWriter::clear_shard);
        *self.database() = Database::default();
        Ok(())
    }

    fn usage(&mut self, key: &[u8]) -> Result<Option<Usage>, Stop> {
        self.call()?;
        Ok(self.live(key).map(|_| USAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyspace::{Encoding, Kind, Op, Ops};

    fn view() -> MemoryView {
        MemoryView::new(2, Millis(1000), 1)
    }

    #[test]
    fn expired_records_are_not_seen_but_counted() {
        let mut view = view();
        view.put(b"k", &Head::string(Some(Millis(1500))), b"v").unwrap();
        assert_eq!(view.record(b"k").unwrap().unwrap().payload, b"v");
        view.set_now(Millis(1500));
        assert_eq!(view.record(b"k").unwrap(), None);
        assert_eq!(view.count().unwrap(), 1);
        assert!(!view.delete(b"k").unwrap());
        assert_eq!(view.count().unwrap(), 0);
    }

    #[test]
    fn rows_go_with_the_last_record_that_leads_to_them() {
        let mut view = view();
        let rows = view.new_rows();
        let head = Head::new(Kind::Hash, Encoding::Exploded, None);
        view.put(b"a", &head, &rows.0.to_le_bytes()).unwrap();
        view.put_row(b"a", rows, b"f", b"v").unwrap();
        view.rename(b"a", b"b").unwrap();
        let mut out = Vec::new();
        assert!(view.row(b"b", rows, b"f", &mut out).unwrap());
        view.check();
        view.put(b"b", &Head::string(None), b"plain").unwrap();
        assert!(!view.row(b"b", rows, b"f", &mut out).unwrap());
        view.check();
    }

    #[test]
    fn a_run_stops_at_the_call_named_and_ops_are_kept() {
        let mut view = view();
        view.stop_at(Some(1));
        assert!(view.put(b"k", &Head::string(None), b"v").is_ok());
        assert_eq!(view.delete(b"k"), Err(Stop::WouldBlock));
        assert_eq!(view.calls(), 2);
        let ops = view.take_ops();
        assert_eq!(ops.len(), 1);
        let op = Ops::new(&ops[0].frame).unwrap().next().unwrap().unwrap();
        assert!(matches!(op, Op::Put { key: b"k", .. }));
    }
}
