//! Changes of one map by one command.
//!
//! ```text
//! no key ───────► new ──finish──► put
//! packed, one change ─► each change is one splice
//! packed, many ───────► changed in a copy ──finish──► one splice of what differs; put, where elements can expire
//! exploded ───────────► rows at once ──finish──► the count in the header, or a touch
//! ```
//!
//! A packed map that outgrows its limits explodes in the middle of it. A map without elements is no key.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::packed::{self, ENTRIES_AT, EXPIRING, Entries, INTEGERS, Layout};
use super::rows::{self, COUNT_AT, HEADER_LEN, Header, Value, below};
use super::{Body, MapError};
use crate::record::{Encoding, Head, Kind, Millis};
use crate::view::{Limits, Stop, View};

/// How many changes an editor is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// A single one: a packed map is changed in place.
    One,
    /// Several. The number is that of elements that may be added; with more of them than a packed map has room for, it
    /// is exploded from the start, as in Redis.
    Many(usize),
}

/// What becomes of the time when an element expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It stays as it is.
    Keep,
    /// The element expires then, or never.
    Set(Option<Millis>),
}

/// The map at a key, about to be changed. Nothing is certain until [`Editor::finish`].
pub struct Editor<'v> {
    view: &'v mut dyn View,
    key: &'v [u8],
    kind: Kind,
    now: Millis,
    expire_at: Option<Millis>,
    state: State,
    /// Elements that may still be added, for all that was said at first.
    expected: usize,
    /// Whether anything was done that a reader or a watcher must learn of.
    changed: bool,
    /// Rows are read into this.
    buffer: Vec<u8>,
}

enum State {
    /// Packed: the record itself is changed.
    Direct,
    /// Packed: a copy is changed. `stored`: there is a record.
    Copy { payload: Vec<u8>, stored: bool },
    /// The header as it should be, and as the record has it.
    Exploded { header: Header, stored: Header },
}

/// A change of a packed sequence.
struct Plan {
    at: usize,
    remove: usize,
    insert: SmallVec<[u8; 128]>,
    /// The flags before and after it.
    flags: [u8; 2],
    added: bool,
}

/// What a packed sequence makes of a change.
enum Verdict {
    Nothing,
    Change(Plan),
    Explode,
}

impl<'v> Editor<'v> {
    /// Opens the map at `key`, which need not be there.
    ///
    /// # Errors
    /// When the key holds something else, or the view stops the run.
    pub fn open(view: &'v mut dyn View, key: &'v [u8], kind: Kind, batch: Batch) -> Result<Self, MapError> {
        let now = view.now();
        let (expire_at, state) = match view.record(key)? {
            None => (None, State::Copy { payload: Vec::new(), stored: false }),
            Some(record) => {
                let state = match Body::of(&record, kind)? {
                    Body::Packed(entries) if batch == Batch::One && entries.flags & EXPIRING == 0 => State::Direct,
                    Body::Packed(_) => State::Copy { payload: record.payload.to_vec(), stored: true },
                    Body::Exploded(header) => State::Exploded { header, stored: header },
                };
                (record.head.expire_at, state)
            }
        };
        let expected = match batch {
            Batch::One => 1,
            Batch::Many(expected) => expected,
        };
        Ok(Self { view, key, kind, now, expire_at, state, expected, changed: false, buffer: Vec::new() })
    }

    /// Elements, those that have expired and are still there included.
    ///
    /// # Errors
    /// When the view stops the run.
    pub fn len(&mut self) -> Result<u64, MapError> {
        Ok(match &self.state {
            State::Direct => super::len(self.view, self.key, self.kind)?,
            State::Copy { payload, .. } if payload.is_empty() => 0,
            State::Copy { payload, .. } => Entries::of(self.kind, payload)?.count()? as u64,
            State::Exploded { header, .. } => header.count,
        })
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// When the view stops the run.
    pub fn is_empty(&mut self) -> Result<bool, MapError> {
        Ok(self.len()? == 0)
    }

    /// Whether there is a record.
    #[must_use]
    pub const fn exists(&self) -> bool {
        !matches!(self.state, State::Copy { stored: false, .. })
    }

    /// Reads the value of an element into `out`, which is cleared first. The outer `None`: there is no such element;
    /// else when it expires.
    ///
    /// # Errors
    /// When the view stops the run.
    pub fn get(&mut self, element: &[u8], out: &mut Vec<u8>) -> Result<Option<Option<Millis>>, MapError> {
        out.clear();
        let now = self.now;
        match &self.state {
            State::Direct => super::get(self.view, self.key, self.kind, element, |found| {
                found.map(|found| {
                    out.extend_from_slice(found.value);
                    found.expire_at
                })
            }),
            State::Copy { payload, .. } if payload.is_empty() => Ok(None),
            State::Copy { payload, .. } => {
                let (found, _) = Entries::of(self.kind, payload)?.find(element)?;
                Ok(found.filter(|found| !found.is_expired(now)).map(|found| {
                    out.extend_from_slice(found.value);
                    found.expire_at
                }))
            }
            State::Exploded { header, .. } => {
                let found = rows::get(self.view, self.key, header.rows, element, &mut self.buffer)?;
                Ok(found.filter(|found| !found.is_expired(now)).map(|found| {
                    out.extend_from_slice(found.bytes);
                    found.expire_at
                }))
            }
        }
    }

    /// Adds an element or changes its value. Answers whether it is new.
    ///
    /// # Errors
    /// When the view stops the run.
    #[inline]
    pub fn put(&mut self, element: &[u8], value: &[u8], deadline: Deadline) -> Result<bool, MapError> {
        if let Deadline::Set(Some(_)) = deadline {
            self.let_entries_expire()?;
        }
        self.make_room(element)?;
        let change = Change { kind: self.kind, now: self.now, element, value, deadline };
        let verdict = match &self.state {
            State::Direct => {
                let limits = *self.view.limits();
                let record = self.view.record(self.key)?.ok_or(Stop::Fault)?;
                change.verdict(&limits, record.payload)?
            }
            State::Copy { payload, .. } => change.verdict(self.view.limits(), payload)?,
            State::Exploded { .. } => return self.put_row(element, value, deadline),
        };
        match verdict {
            Verdict::Nothing => Ok(false),
            Verdict::Change(plan) => {
                self.apply(&plan)?;
                Ok(plan.added)
            }
            Verdict::Explode => {
                self.explode()?;
                self.put_row(element, value, deadline)
            }
        }
    }

    /// Removes an element; answers whether there was one.
    ///
    /// # Errors
    /// When the view stops the run.
    pub fn remove(&mut self, element: &[u8]) -> Result<bool, MapError> {
        let now = self.now;
        let (found, live) = match &self.state {
            State::Exploded { .. } => return self.remove_row(element),
            State::Copy { payload, .. } if payload.is_empty() => return Ok(false),
            State::Copy { payload, .. } => place_of(Entries::of(self.kind, payload)?, element, now)?,
            State::Direct => {
                let record = self.view.record(self.key)?.ok_or(Stop::Fault)?;
                place_of(Entries::of(self.kind, record.payload)?, element, now)?
            }
        };
        if let Some((begin, end)) = found {
            self.cut(begin, end)?;
        }
        Ok(live)
    }

    /// Removes a random element and leaves its name in `name`. `false`: there is none.
    ///
    /// # Errors
    /// When the view stops the run.
    pub fn pop(&mut self, name: &mut Vec<u8>) -> Result<bool, MapError> {
        let random = self.view.random();
        let place = match &self.state {
            State::Exploded { header, .. } => {
                let header = *header;
                if !rows::pick(self.view, self.key, header.rows, header.count, name, &mut self.buffer)? {
                    return Ok(false);
                }
                let name: &[u8] = name;
                return self.remove_row(name);
            }
            State::Copy { payload, .. } if payload.is_empty() => None,
            State::Copy { payload, .. } => nth_of(Entries::of(self.kind, payload)?, random, name)?,
            State::Direct => {
                let record = self.view.record(self.key)?.ok_or(Stop::Fault)?;
                nth_of(Entries::of(self.kind, record.payload)?, random, name)?
            }
        };
        if let Some((begin, end)) = place {
            self.cut(begin, end)?;
        }
        Ok(place.is_some())
    }

    /// Makes the header of a map say when its first element expires; until then it may say too early a time.
    pub(super) fn find_soonest(&mut self) -> Result<(), MapError> {
        if let State::Exploded { header, .. } = &mut self.state
            && header.soonest.is_some_and(|at| at <= self.now)
        {
            header.soonest = rows::first_deadline(self.view, self.key, header.rows)?;
            self.changed = true;
        }
        Ok(())
    }

    /// Writes what has not been written yet.
    ///
    /// # Errors
    /// When the view stops the run.
    pub fn finish(mut self) -> Result<(), MapError> {
        if !self.changed {
            return Ok(());
        }
        match core::mem::replace(&mut self.state, State::Direct) {
            State::Direct => Ok(()),
            State::Copy { payload, stored } => self.write_copy(&payload, stored),
            State::Exploded { header, .. } if header.count == 0 => {
                self.view.delete(self.key)?;
                Ok(())
            }
            State::Exploded { header, stored } if header == stored => Ok(self.view.touch(self.key)?),
            State::Exploded { header, .. } => {
                let bytes = header.encode();
                Ok(self.view.splice(self.key, COUNT_AT, HEADER_LEN - COUNT_AT, &bytes[COUNT_AT..])?)
            }
        }
    }

    fn write_copy(self, payload: &[u8], stored: bool) -> Result<(), MapError> {
        let head = Head::new(self.kind, Encoding::Packed, self.expire_at);
        if payload.len() <= ENTRIES_AT {
            if stored {
                self.view.delete(self.key)?;
            }
            return Ok(());
        }
        // What can expire is logged whole, and so is what could until now.
        let old = if stored { self.view.record(self.key)?.map(|record| record.payload) } else { None };
        let Some(old) = old.filter(|old| (old[0] | payload[0]) & EXPIRING == 0) else {
            if payload[0] & EXPIRING != 0 && !any_expires(self.kind, payload)? {
                return Ok(self.view.put(self.key, &head, &packed::convert(payload, Layout::Pairs)?)?);
            }
            return Ok(self.view.put(self.key, &head, payload)?);
        };
        let same = |(a, b): &(&u8, &u8)| a == b;
        let front = old.iter().zip(payload).take_while(same).count();
        let back = old[front..].iter().rev().zip(payload[front..].iter().rev()).take_while(same).count();
        let remove = old.len() - front - back;
        let insert = &payload[front..payload.len() - back];
        if remove == 0 && insert.is_empty() {
            return Ok(self.view.touch(self.key)?);
        }
        Ok(self.view.splice(self.key, front, remove, insert)?)
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), MapError> {
        self.changed = true;
        match &mut self.state {
            State::Direct => {
                self.view.splice(self.key, plan.at, plan.remove, &plan.insert)?;
                let [before, after] = plan.flags;
                if before != after {
                    self.view.splice(self.key, 0, 1, &[after])?;
                }
            }
            State::Copy { payload, .. } => {
                if payload.is_empty() {
                    payload.reserve(plan.insert.len() + ENTRIES_AT);
                    payload.push(0);
                }
                payload[0] = plan.flags[1];
                splice(payload, plan.at, plan.remove, &plan.insert);
            }
            State::Exploded { .. } => {}
        }
        Ok(())
    }

    /// Takes an entry out of a packed map.
    fn cut(&mut self, begin: usize, end: usize) -> Result<(), MapError> {
        self.changed = true;
        match &mut self.state {
            State::Copy { payload, .. } => splice(payload, begin, end - begin, b""),
            State::Direct => {
                let record = self.view.record(self.key)?.ok_or(Stop::Fault)?;
                if begin == ENTRIES_AT && end == record.payload.len() {
                    self.view.delete(self.key)?;
                    self.state = State::Copy { payload: Vec::new(), stored: false };
                } else {
                    self.view.splice(self.key, begin, end - begin, b"")?;
                }
            }
            State::Exploded { .. } => {}
        }
        Ok(())
    }

    /// Explodes a map that more elements are about to be added to than it has room for; `first` is the first of them.
    #[inline]
    fn make_room(&mut self, first: &[u8]) -> Result<(), MapError> {
        let expected = core::mem::replace(&mut self.expected, 0);
        let State::Copy { payload, .. } = &self.state else { return Ok(()) };
        let limits = self.view.limits();
        let room = match (self.kind, payload.first()) {
            (Kind::Set, None) if packed::is_integer(first) => limits.intset_entries.max(limits.set.entries),
            (Kind::Set, Some(&INTEGERS)) => limits.intset_entries,
            (Kind::Set, _) => limits.set.entries,
            (Kind::String | Kind::List | Kind::Zset | Kind::Hash | Kind::Stream, _) => limits.hash.entries,
        };
        if expected > room { self.explode() } else { Ok(()) }
    }

    /// Makes room in every entry for the time when it expires.
    fn let_entries_expire(&mut self) -> Result<(), MapError> {
        if let State::Direct = self.state {
            let payload = self.view.record(self.key)?.ok_or(Stop::Fault)?.payload.to_vec();
            self.state = State::Copy { payload, stored: true };
        }
        if let State::Copy { payload, .. } = &mut self.state {
            match payload.first() {
                Some(flags) if flags & EXPIRING != 0 => {}
                Some(_) => *payload = packed::convert(payload, Layout::PairsThatExpire)?,
                None => payload.push(EXPIRING),
            }
        }
        Ok(())
    }

    /// Moves the entries of a packed map into rows.
    fn explode(&mut self) -> Result<(), MapError> {
        let payload = match core::mem::replace(&mut self.state, State::Direct) {
            State::Direct => self.view.record(self.key)?.ok_or(Stop::Fault)?.payload.to_vec(),
            State::Copy { payload, .. } => payload,
            State::Exploded { header, stored } => {
                self.state = State::Exploded { header, stored };
                return Ok(());
            }
        };
        self.view.heavy(payload.len() as u64)?;
        let mut header = Header { rows: self.view.new_rows(), count: 0, soonest: None };
        let head = Head::new(self.kind, Encoding::Exploded, self.expire_at);
        self.view.put(self.key, &head, &header.encode())?;
        let stored = header;
        if !payload.is_empty() {
            let mut entries = Entries::of(self.kind, &payload)?;
            while let Some(entry) = entries.next()? {
                let value = Value { bytes: entry.value, expire_at: entry.expire_at };
                rows::put(self.view, self.key, header.rows, entry.element, value, None)?;
                header.count += 1;
                header.soonest = sooner(header.soonest, entry.expire_at);
            }
        }
        self.changed = true;
        self.state = State::Exploded { header, stored };
        Ok(())
    }

    fn put_row(&mut self, element: &[u8], value: &[u8], deadline: Deadline) -> Result<bool, MapError> {
        let State::Exploded { header, .. } = &mut self.state else { return Err(Stop::Fault.into()) };
        let found = rows::get(self.view, self.key, header.rows, element, &mut self.buffer)?;
        let was = found.and_then(|found| found.expire_at);
        let live = found.is_some_and(|found| !found.is_expired(self.now));
        if live && self.kind == Kind::Set {
            return Ok(false);
        }
        let expire_at = match deadline {
            Deadline::Set(expire_at) => expire_at,
            Deadline::Keep => was.filter(|_| live),
        };
        header.count += u64::from(found.is_none());
        header.soonest = sooner(header.soonest, expire_at);
        rows::put(self.view, self.key, header.rows, element, Value { bytes: value, expire_at }, was)?;
        self.changed = true;
        Ok(!live)
    }

    fn remove_row(&mut self, element: &[u8]) -> Result<bool, MapError> {
        let State::Exploded { header, .. } = &mut self.state else { return Err(Stop::Fault.into()) };
        let Some(found) = rows::get(self.view, self.key, header.rows, element, &mut self.buffer)? else {
            return Ok(false);
        };
        let (was, live) = (found.expire_at, !found.is_expired(self.now));
        rows::delete(self.view, self.key, header.rows, element, was)?;
        header.count = header.count.saturating_sub(1);
        self.changed = true;
        Ok(live)
    }
}

/// What is to become of one element.
struct Change<'a> {
    kind: Kind,
    now: Millis,
    element: &'a [u8],
    value: &'a [u8],
    deadline: Deadline,
}

impl Change<'_> {
    /// What a packed sequence, perhaps an empty one, makes of it.
    #[inline]
    fn verdict(&self, limits: &Limits, payload: &[u8]) -> Result<Verdict, Stop> {
        let fresh = if self.kind == Kind::Set && packed::is_integer(self.element) { INTEGERS } else { 0 };
        let (flags, layout, (found, count)) = if payload.is_empty() {
            let flags = if limits.intset_entries == 0 { 0 } else { fresh };
            (flags, Layout::of(self.kind, flags)?, (None, 0))
        } else {
            let entries = Entries::of(self.kind, payload)?;
            (entries.flags, entries.layout, entries.find(self.element)?)
        };
        if found.is_some() && layout == Layout::Members {
            return Ok(Verdict::Nothing);
        }
        let live = found.is_some_and(|found| !found.is_expired(self.now));
        let expire_at = match self.deadline {
            Deadline::Set(expire_at) => expire_at,
            Deadline::Keep => found.filter(|_| live).and_then(|found| found.expire_at),
        };
        let mut insert = SmallVec::new();
        let (at, remove) = match found {
            Some(found) => (found.value_at, found.end - found.value_at),
            None => {
                packed::encode_bytes(&mut insert, self.element);
                (payload.len().max(ENTRIES_AT), 0)
            }
        };
        packed::encode_value(&mut insert, layout, self.value, expire_at);
        let plan = Plan { at, remove, insert, flags: [flags; 2], added: !live };
        let bytes = payload.len().max(ENTRIES_AT) - remove + plan.insert.len();
        if bytes > limits.packed_max_bytes {
            return Ok(Verdict::Explode);
        }
        Ok(match self.kind {
            Kind::Set => self.fit_set(limits, payload, plan, count, fresh)?,
            Kind::String | Kind::List | Kind::Zset | Kind::Hash | Kind::Stream => {
                let longest = self.element.len().max(self.value.len());
                let count = if found.is_some() { 0 } else { count + 1 };
                let fits = longest <= limits.hash.value && count <= limits.hash.entries;
                if fits { Verdict::Change(plan) } else { Verdict::Explode }
            }
        })
    }

    /// Redis's rules for sets: integers up to one limit, anything up to another.
    fn fit_set(&self, limits: &Limits, payload: &[u8], plan: Plan, count: usize, fresh: u8) -> Result<Verdict, Stop> {
        let [before, _] = plan.flags;
        let fits = match (before, fresh) {
            (INTEGERS, INTEGERS) => count < limits.intset_entries,
            (INTEGERS, _) => {
                let mut entries = Entries::of(Kind::Set, payload)?;
                let mut longest = self.element.len();
                while let Some(entry) = entries.next()? {
                    longest = longest.max(entry.element.len());
                }
                count < limits.set.entries && longest <= limits.set.value
            }
            _ => count < limits.set.entries && self.element.len() <= limits.set.value,
        };
        let flags = [before, before & fresh];
        Ok(if fits { Verdict::Change(Plan { flags, ..plan }) } else { Verdict::Explode })
    }
}

fn splice(payload: &mut Vec<u8>, at: usize, remove: usize, insert: &[u8]) {
    if at + remove == payload.len() {
        payload.truncate(at);
        payload.extend_from_slice(insert);
    } else {
        payload.splice(at..at + remove, insert.iter().copied());
    }
}

fn sooner(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

fn any_expires(kind: Kind, payload: &[u8]) -> Result<bool, Stop> {
    let mut entries = Entries::of(kind, payload)?;
    while let Some(entry) = entries.next()? {
        if entry.expire_at.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where an entry begins and ends, and whether readers see it.
#[inline]
fn place_of(entries: Entries<'_>, element: &[u8], now: Millis) -> Result<(Option<(usize, usize)>, bool), Stop> {
    let (found, _) = entries.find(element)?;
    Ok((found.map(|found| (found.begin, found.end)), found.is_some_and(|found| !found.is_expired(now))))
}

/// Where a random entry begins and ends.
fn nth_of(mut entries: Entries<'_>, random: u64, name: &mut Vec<u8>) -> Result<Option<(usize, usize)>, Stop> {
    let count = entries.clone().count()?;
    for _ in 0..below(random, count as u64) {
        entries.next()?;
    }
    Ok(entries.next()?.map(|entry| {
        name.clear();
        name.extend_from_slice(entry.element);
        (entry.begin, entry.end)
    }))
}
