//! Maps: elements, each with a value or without. Hashes and sets are nothing else; a sorted set finds its scores in one.
//!
//! ```text
//! packed    all entries in the record, see `packed`     while the limits of the type allow it
//! exploded  a header in the record, see `rows`          from then on
//! ```
//!
//! An element that has expired does not exist for readers, but counts until somebody removes it: [`Editor`] does when it
//! meets it, [`purge`] does for all. Packing follows what is done to a map, never a limit alone, and nothing is packed
//! again, so that nodes with other limits stay identical.

mod editor;
mod packed;
mod pick;
pub mod rows;

use alloc::vec::Vec;

pub use editor::{Batch, Deadline, Editor};
pub use packed::is_integer;
pub use pick::{Picks, pick};

use crate::record::{Encoding, Kind, Millis, Record};
use crate::view::{Stop, View};
use packed::Entries;
use rows::Header;

/// Why a map could not be read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The key holds something else.
    WrongType,
    /// The run must stop.
    Stop(Stop),
}

impl From<Stop> for MapError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// An element as readers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its name: a member, a field.
    pub name: &'a [u8],
    /// Its value; empty in a set.
    pub value: &'a [u8],
    /// When it expires.
    pub expire_at: Option<Millis>,
}

/// How a map is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the record, and all elements are integers.
    Integers,
    /// In the record.
    Packed,
    /// In the record, and elements can expire.
    PackedExpiring,
    /// In rows.
    Exploded,
}

/// How the map of a record is kept.
#[must_use]
pub fn form(record: &Record<'_>) -> Form {
    match (record.head.encoding, record.payload.first()) {
        (Encoding::Exploded, _) => Form::Exploded,
        (Encoding::Packed, Some(flags)) if flags & packed::INTEGERS != 0 => Form::Integers,
        (Encoding::Packed, Some(flags)) if flags & packed::EXPIRING != 0 => Form::PackedExpiring,
        (Encoding::Packed, _) => Form::Packed,
    }
}

/// How many elements the map at `key` has, those that have expired and are still there included; 0: there is no key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn len(view: &mut dyn View, key: &[u8], kind: Kind) -> Result<u64, MapError> {
    match view.record(key)? {
        None => Ok(0),
        Some(record) => match Body::of(&record, kind)? {
            Body::Packed(entries) => Ok(entries.count()? as u64),
            Body::Exploded(header) => Ok(header.count),
        },
    }
}

/// Looks one element up and hands it to `seen`.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
#[inline]
pub fn get<R>(
    view: &mut dyn View,
    key: &[u8],
    kind: Kind,
    element: &[u8],
    seen: impl FnOnce(Option<Element<'_>>) -> R,
) -> Result<R, MapError> {
    let now = view.now();
    let Some(record) = view.record(key)? else { return Ok(seen(None)) };
    match Body::of(&record, kind)? {
        Body::Packed(entries) => Ok(seen(live(&entries, element, now)?)),
        Body::Exploded(header) => {
            let mut buffer = Vec::new();
            let value = rows::get(view, key, header.rows, element, &mut buffer)?;
            let value = value.filter(|value| !value.is_expired(now));
            Ok(seen(value.map(|value| Element { name: element, value: value.bytes, expire_at: value.expire_at })))
        }
    }
}

/// Looks elements up and hands each to `seen`, in their order. Answers whether there is such a key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn get_each(
    view: &mut dyn View,
    key: &[u8],
    kind: Kind,
    elements: &[&[u8]],
    seen: &mut dyn FnMut(Option<Element<'_>>),
) -> Result<bool, MapError> {
    let now = view.now();
    let Some(record) = view.record(key)? else {
        elements.iter().for_each(|_| seen(None));
        return Ok(false);
    };
    match Body::of(&record, kind)? {
        Body::Packed(entries) => {
            for element in elements {
                seen(live(&entries, element, now)?);
            }
        }
        Body::Exploded(header) => {
            let mut buffer = Vec::new();
            for element in elements {
                let value = rows::get(view, key, header.rows, element, &mut buffer)?;
                let value = value.filter(|value| !value.is_expired(now));
                seen(value.map(|value| Element { name: element, value: value.bytes, expire_at: value.expire_at }));
            }
        }
    }
    Ok(true)
}

/// Visits all elements that have not expired.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn walk(view: &mut dyn View, key: &[u8], kind: Kind, seen: &mut dyn FnMut(Element<'_>)) -> Result<(), MapError> {
    let now = view.now();
    let Some(record) = view.record(key)? else { return Ok(()) };
    match Body::of(&record, kind)? {
        Body::Packed(entries) => walk_packed(entries, now, seen),
        Body::Exploded(header) => {
            view.heavy(header.count.saturating_mul(ROW_BYTES))?;
            rows::walk(view, key, header.rows, &mut |name, value| {
                if !value.is_expired(now) {
                    seen(Element { name, value: value.bytes, expire_at: value.expire_at });
                }
                true
            })?;
            Ok(())
        }
    }
}

/// One step of a SCAN from `cursor` on: visits about `most` elements that have not expired and answers the next cursor,
/// 0 at the end. A packed map is visited at once. Elements that are there from the first step to the last are visited,
/// whatever else happens to the map.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn scan(
    view: &mut dyn View,
    key: &[u8],
    kind: Kind,
    cursor: u64,
    most: usize,
    seen: &mut dyn FnMut(Element<'_>),
) -> Result<u64, MapError> {
    let now = view.now();
    let Some(record) = view.record(key)? else { return Ok(0) };
    match Body::of(&record, kind)? {
        Body::Packed(entries) => walk_packed(entries, now, seen).map(|()| 0),
        Body::Exploded(header) => {
            view.heavy(header.count.min(most as u64).saturating_mul(ROW_BYTES))?;
            let next = rows::scan(view, key, header.rows, cursor, most, &mut |name, value| {
                if !value.is_expired(now) {
                    seen(Element { name, value: value.bytes, expire_at: value.expire_at });
                }
            })?;
            Ok(next)
        }
    }
}

/// Removes elements that have expired, at most about `limit` of them, and the key with the last one. Answers how many.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn purge(view: &mut dyn View, key: &[u8], kind: Kind, limit: usize) -> Result<usize, MapError> {
    let now = view.now();
    let due: Vec<Vec<u8>> = match view.record(key)? {
        None => return Ok(0),
        Some(record) => match Body::of(&record, kind)? {
            Body::Packed(mut entries) => {
                let mut due = Vec::new();
                while let Some(entry) = entries.next()? {
                    if entry.is_expired(now) {
                        due.push(entry.element.to_vec());
                    }
                }
                due
            }
            Body::Exploded(header) if header.soonest.is_none_or(|at| at > now) => Vec::new(),
            Body::Exploded(header) => {
                let due = rows::due(view, key, header.rows, now, limit)?;
                due.into_iter().map(|(_, element)| element).collect()
            }
        },
    };
    let mut editor = Editor::open(view, key, kind, Batch::Many(0))?;
    for element in &due {
        editor.remove(element)?;
    }
    editor.find_soonest()?;
    editor.finish()?;
    Ok(due.len())
}

/// Whether elements of a record's map can expire at some time.
#[inline]
#[must_use]
pub fn can_expire(record: &Record<'_>) -> bool {
    if record.head.kind != Kind::Hash {
        return false;
    }
    match Body::of(record, Kind::Hash) {
        Ok(Body::Exploded(header)) => header.soonest.is_some(),
        Ok(Body::Packed(entries)) => entries.flags & packed::EXPIRING != 0,
        Err(_) => false,
    }
}

/// Whether elements of a record's map may have expired by now: then [`purge`] is worth its while.
#[must_use]
pub fn may_have_expired(record: &Record<'_>, now: Millis) -> bool {
    if record.head.kind != Kind::Hash {
        return false;
    }
    match Body::of(record, Kind::Hash) {
        Ok(Body::Exploded(header)) => header.soonest.is_some_and(|at| at <= now),
        Ok(Body::Packed(mut entries)) if entries.flags & packed::EXPIRING != 0 => {
            while let Ok(Some(entry)) = entries.next() {
                if entry.is_expired(now) {
                    return true;
                }
            }
            false
        }
        Ok(Body::Packed(_)) | Err(_) => false,
    }
}

/// What a row costs to read, about, in bytes.
const ROW_BYTES: u64 = 64;

/// A map's record, understood.
enum Body<'a> {
    Packed(Entries<'a>),
    Exploded(Header),
}

impl<'a> Body<'a> {
    #[inline]
    fn of(record: &Record<'a>, kind: Kind) -> Result<Self, MapError> {
        if record.head.kind != kind {
            return Err(MapError::WrongType);
        }
        Ok(match record.head.encoding {
            Encoding::Packed => Self::Packed(Entries::of(kind, record.payload)?),
            Encoding::Exploded => Self::Exploded(Header::decode(record.payload).ok_or(Stop::Fault)?),
        })
    }
}

/// An element of a packed map, if it has not expired.
#[inline]
fn live<'a>(entries: &Entries<'a>, element: &[u8], now: Millis) -> Result<Option<Element<'a>>, MapError> {
    let (found, _) = entries.clone().find(element)?;
    let found = found.filter(|entry| !entry.is_expired(now));
    Ok(found.map(|entry| Element { name: entry.element, value: entry.value, expire_at: entry.expire_at }))
}

fn walk_packed(mut entries: Entries<'_>, now: Millis, seen: &mut dyn FnMut(Element<'_>)) -> Result<(), MapError> {
    while let Some(entry) = entries.next()? {
        if !entry.is_expired(now) {
            seen(Element { name: entry.element, value: entry.value, expire_at: entry.expire_at });
        }
    }
    Ok(())
}
