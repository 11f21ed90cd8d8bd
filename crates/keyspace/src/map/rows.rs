//! The exploded form of a map: a header in the record, a row for each element.
//!
//! ```text
//! header  [rows id u64 LE][count u64 LE][soonest ms u64 LE]
//!         count: element rows, those of expired elements included; soonest: no element expires before, 0: none ever does
//! row     "e" [hash of the element u64 BE][element]    -> [flags u8][expire-at ms u64 LE, if flags & 1][value]
//! row     "x" [expire-at ms u64 BE][element]           -> nothing; for each element that can expire
//! ```
//!
//! The hash is XXH3-64 with seed 0. It is part of the format: the order of the rows is the order of a SCAN, so a cursor
//! is nothing but the hash to go on from, and a random hash leads to a random element. Elements whose hashes collide
//! lie next to each other and cost nothing but that a SCAN returns them together.

use alloc::vec::Vec;
use core::cell::Cell;

use smallvec::SmallVec;
use twox_hash::XxHash3_64;

use crate::record::{Millis, RowsId};
use crate::view::{Stop, View};

/// Bytes of a header.
pub const HEADER_LEN: usize = 24;
/// Where the count begins in a header: what changes begins here.
pub(super) const COUNT_AT: usize = 8;
/// The first byte of an element's row key.
pub const ELEMENT: u8 = b'e';
const DEADLINE: u8 = b'x';
const FLAG_EXPIRES: u8 = 1;
/// Bytes of a row key in front of the element.
const KEY_PREFIX: usize = 9;

/// The key of a row; short ones take no memory of their own.
pub type RowKey = SmallVec<[u8; 96]>;

/// What the record of an exploded map says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose rows.
    pub rows: RowsId,
    /// Elements, those that have expired and are still there included.
    pub count: u64,
    /// No element expires before; `None`: none can.
    pub soonest: Option<Millis>,
}

impl Header {
    /// Reads the header at the front of a payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let word = |at: usize| payload.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let soonest = Some(word(16)?).filter(|at| *at != 0).map(Millis);
        Some(Self { rows: RowsId(word(0)?), count: word(COUNT_AT)?, soonest })
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&self.rows.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..].copy_from_slice(&self.soonest.map_or(0, |at| at.0).to_le_bytes());
        bytes
    }
}

/// What a row says of its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The value; empty where elements have none.
    pub bytes: &'a [u8],
    /// When the element expires.
    pub expire_at: Option<Millis>,
}

impl Value<'_> {
    /// Whether readers at `now` no longer see the element.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expire_at.is_some_and(|at| at <= now)
    }
}

/// The hash that orders the elements.
#[inline]
#[must_use]
pub fn hash(element: &[u8]) -> u64 {
    XxHash3_64::oneshot(element)
}

/// The key of an element's row.
#[inline]
#[must_use]
pub fn row_key(element: &[u8]) -> RowKey {
    let mut row = begin_of(hash(element));
    row.extend_from_slice(element);
    row
}

/// The row of an element, read into `buffer`.
///
/// # Errors
/// When the view stops the run, or the row makes no sense.
#[inline]
pub fn get<'b>(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    element: &[u8],
    buffer: &'b mut Vec<u8>,
) -> Result<Option<Value<'b>>, Stop> {
    if !view.row(key, rows, &row_key(element), buffer)? {
        return Ok(None);
    }
    decode(buffer).map(Some)
}

/// Writes the row of an element whose row said `was` until now. The caller counts, and has the record change too.
///
/// # Errors
/// When the view stops the run.
pub fn put(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    element: &[u8],
    value: Value<'_>,
    was: Option<Millis>,
) -> Result<(), Stop> {
    let mut bytes: SmallVec<[u8; 128]> = SmallVec::new();
    match value.expire_at {
        None => bytes.push(0),
        Some(Millis(at)) => {
            bytes.push(FLAG_EXPIRES);
            bytes.extend_from_slice(&at.to_le_bytes());
        }
    }
    bytes.extend_from_slice(value.bytes);
    if was != value.expire_at {
        if let Some(was) = was {
            view.delete_row(key, rows, &deadline_key(was, element))?;
        }
        if let Some(at) = value.expire_at {
            view.put_row(key, rows, &deadline_key(at, element), b"")?;
        }
    }
    view.put_row(key, rows, &row_key(element), &bytes)
}

/// Removes the row of an element that expires at `was`. The caller counts, and has the record change too.
///
/// # Errors
/// When the view stops the run.
pub fn delete(view: &mut dyn View, key: &[u8], rows: RowsId, element: &[u8], was: Option<Millis>) -> Result<(), Stop> {
    if let Some(was) = was {
        view.delete_row(key, rows, &deadline_key(was, element))?;
    }
    view.delete_row(key, rows, &row_key(element))
}

/// Visits all elements, expired ones too, until `seen` answers `false`.
///
/// # Errors
/// When the view stops the run, or a row makes no sense.
pub fn walk(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    seen: &mut dyn FnMut(&[u8], Value<'_>) -> bool,
) -> Result<(), Stop> {
    walk_between(view, key, rows, [0, 0], &mut |_, element, value| seen(element, value))
}

/// One step of a SCAN: visits at least `most` elements from `cursor` on, if there are so many, and those whose hashes
/// are next to that of the last one. Answers the next cursor; 0 is the beginning and the end.
///
/// # Errors
/// When the view stops the run, or a row makes no sense.
pub fn scan(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    cursor: u64,
    most: usize,
    seen: &mut dyn FnMut(&[u8], Value<'_>),
) -> Result<u64, Stop> {
    // A cursor has 63 bits, for clients that read a signed number: hashes come in pairs.
    let (mut count, mut last, mut next) = (0, 0, 0);
    walk_between(view, key, rows, [cursor << 1, 0], &mut |hash, element, value| {
        if count >= most && hash >> 1 != last {
            next = hash >> 1;
            return false;
        }
        (count, last) = (count + 1, hash >> 1);
        seen(element, value);
        true
    })?;
    Ok(next)
}

/// Picks one of `count` elements, each equally likely, and leaves it in `element` and its row in `buffer`. `false`: all
/// have expired, or there is none.
///
/// A view that knows how many rows lie where is asked for the one at a random place. One that does not:
/// looks into a random window of hashes that holds [`WINDOW`] elements on average, at a random place below
/// [`MOST_IN_WINDOW`], until there is an element: so all have the same chance, wherever their hashes lie. The few that
/// could not be seen, since more than that are in the window, do not matter.
///
/// # Errors
/// When the view stops the run, or a row makes no sense.
pub fn pick(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    count: u64,
    element: &mut Vec<u8>,
    buffer: &mut Vec<u8>,
) -> Result<bool, Stop> {
    let now = view.now();
    if pick_known(view, key, rows, count, now, [element, buffer])? {
        return Ok(true);
    }
    if count > SMALL {
        let width = ((u128::from(WINDOW) << 64) / u128::from(count)) as u64;
        for _ in 0..TRIES {
            let (from, place) = (view.random(), below(view.random(), MOST_IN_WINDOW));
            if pick_in_window(view, key, rows, [from, from.wrapping_add(width)], place, now, [element, buffer])? {
                return Ok(true);
            }
        }
    }
    // A small one, or nearly all have expired.
    let mut live = 0;
    walk(view, key, rows, &mut |_, value| {
        live += u64::from(!value.is_expired(now));
        true
    })?;
    if live == 0 {
        return Ok(false);
    }
    let place = below(view.random(), live);
    pick_in_window(view, key, rows, [0, 0], place, now, [element, buffer])
}

/// As [`pick`]; `false` also where the view does not know which row is at a place.
fn pick_known(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    count: u64,
    now: Millis,
    [element, buffer]: [&mut Vec<u8>; 2],
) -> Result<bool, Stop> {
    for _ in 0..TRIES {
        let place = below(view.random(), count);
        let mut found = Ok(false);
        let shown = view.nth_row(key, rows, [&[ELEMENT], &[ELEMENT + 1]], place, &mut |row, value| {
            found = decode(value).and_then(|value| {
                let name = row.get(KEY_PREFIX..).ok_or(Stop::Fault)?;
                if !value.is_expired(now) {
                    element.clear();
                    element.extend_from_slice(name);
                    buffer.clear();
                    buffer.extend_from_slice(value.bytes);
                }
                Ok(!value.is_expired(now))
            });
        });
        if shown != Some(true) || found? {
            return Ok(found == Ok(true));
        }
    }
    Ok(false)
}

/// Elements that a window holds on average: few, since each is read; and not too few, since each try is a search.
pub const WINDOW: u64 = 6;
/// Places of a window that are looked at. One window in a hundred thousand holds more.
pub const MOST_IN_WINDOW: u64 = 18;
/// Rows that a pick reads, about.
pub const PICK_ROWS: u64 = 3 * WINDOW;
/// A map with at most so many elements is read as a whole.
const SMALL: u64 = 2 * MOST_IN_WINDOW;
/// Windows that are tried: when nothing has expired, one of three has an element at the place.
const TRIES: usize = 64;

/// A number below `bound` out of 64 random bits.
#[inline]
#[must_use]
pub fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// The live element at a place of a window, if there is one.
fn pick_in_window(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    [from, to]: [u64; 2],
    place: u64,
    now: Millis,
    [element_out, buffer]: [&mut Vec<u8>; 2],
) -> Result<bool, Stop> {
    let mut at = 0;
    let found = Cell::new(false);
    let mut look = |_: u64, element: &[u8], value: Value<'_>| {
        if value.is_expired(now) {
            return true;
        }
        if at < place {
            at += 1;
            return true;
        }
        element_out.clear();
        element_out.extend_from_slice(element);
        buffer.clear();
        buffer.extend_from_slice(value.bytes);
        found.set(true);
        false
    };
    if from <= to || to == 0 {
        walk_between(view, key, rows, [from, to], &mut look)?;
    } else {
        walk_between(view, key, rows, [from, 0], &mut look)?;
        if !found.get() {
            walk_between(view, key, rows, [0, to], &mut look)?;
        }
    }
    Ok(found.get())
}

/// Visits the elements with `from <= hash < to` (`to` 0: all from there on), in the order of their hashes.
fn walk_between(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    [from, to]: [u64; 2],
    seen: &mut dyn FnMut(u64, &[u8], Value<'_>) -> bool,
) -> Result<(), Stop> {
    let mut broken = false;
    let end = if to == 0 { RowKey::from_slice(&[ELEMENT + 1]) } else { begin_of(to) };
    view.rows(key, rows, &begin_of(from), &end, &mut |row, value| {
        let hash = row.get(1..KEY_PREFIX).and_then(|hash| hash.try_into().ok()).map(u64::from_be_bytes);
        let (Some(hash), Ok(value)) = (hash, decode(value)) else {
            broken = true;
            return false;
        };
        seen(hash, &row[KEY_PREFIX..], value)
    })?;
    if broken { Err(Stop::Fault) } else { Ok(()) }
}

/// Visits the elements that expire at `until` or before, the first one first, at most `limit` of them.
///
/// # Errors
/// When the view stops the run, or a row makes no sense.
pub(super) fn due(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    until: Millis,
    limit: usize,
) -> Result<Vec<(Millis, Vec<u8>)>, Stop> {
    let mut due = Vec::new();
    let mut broken = false;
    view.rows(key, rows, &[DEADLINE], &deadline_key(Millis(until.0.saturating_add(1)), b""), &mut |row, _| {
        match row.get(1..KEY_PREFIX).and_then(|at| at.try_into().ok()).map(u64::from_be_bytes) {
            Some(at) => due.push((Millis(at), row[KEY_PREFIX..].to_vec())),
            None => broken = true,
        }
        !broken && due.len() < limit
    })?;
    if broken { Err(Stop::Fault) } else { Ok(due) }
}

/// When the first element expires.
///
/// # Errors
/// When the view stops the run, or a row makes no sense.
pub(super) fn first_deadline(view: &mut dyn View, key: &[u8], rows: RowsId) -> Result<Option<Millis>, Stop> {
    let first = due(view, key, rows, Millis(u64::MAX - 1), 1)?;
    Ok(first.first().map(|(at, _)| *at))
}

fn begin_of(hash: u64) -> RowKey {
    let mut row = RowKey::new();
    row.push(ELEMENT);
    row.extend_from_slice(&hash.to_be_bytes());
    row
}

fn deadline_key(at: Millis, element: &[u8]) -> RowKey {
    let mut row = RowKey::new();
    row.push(DEADLINE);
    row.extend_from_slice(&at.0.to_be_bytes());
    row.extend_from_slice(element);
    row
}

#[inline]
fn decode(bytes: &[u8]) -> Result<Value<'_>, Stop> {
    match bytes.split_first() {
        Some((0, rest)) => Ok(Value { bytes: rest, expire_at: None }),
        Some((&FLAG_EXPIRES, rest)) => {
            let (at, rest) = rest.split_first_chunk::<8>().ok_or(Stop::Fault)?;
            Ok(Value { bytes: rest, expire_at: Some(Millis(u64::from_le_bytes(*at))) })
        }
        Some(_) | None => Err(Stop::Fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_header() {
        let header = Header { rows: RowsId(0x0102), count: 3, soonest: Some(Millis(0x0a0b)) };
        let bytes = header.encode();
        let golden = [2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, golden);
        assert_eq!(Header::decode(&bytes), Some(header));
        assert_eq!(Header::decode(&bytes[..23]), None);
    }

    #[test]
    fn golden_hashes_and_row_keys() {
        const HAY: u64 = 0xe8c8_7cf8_ff60_00d8;
        assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(hash(b"hay"), HAY);
        let mut golden = alloc::vec![b'e'];
        golden.extend_from_slice(&HAY.to_be_bytes());
        golden.extend_from_slice(b"hay");
        assert_eq!(row_key(b"hay")[..], golden);
        assert_eq!(deadline_key(Millis(0x0102), b"f")[..], [b'x', 0, 0, 0, 0, 0, 0, 1, 2, b'f']);
    }

    #[test]
    fn golden_values() {
        let plain = Value { bytes: b"v", expire_at: None };
        let expiring = Value { bytes: b"v", expire_at: Some(Millis(0x0102)) };
        assert_eq!(decode(&[0, b'v']), Ok(plain));
        assert_eq!(decode(&[1, 2, 1, 0, 0, 0, 0, 0, 0, b'v']), Ok(expiring));
        for broken in [&[][..], &[2, b'v'], &[1, 0]] {
            assert_eq!(decode(broken), Err(Stop::Fault));
        }
    }

    #[test]
    fn below_is_below() {
        assert_eq!((below(0, 10), below(u64::MAX, 10), below(u64::MAX, 1), below(1 << 63, 10)), (0, 9, 0, 5));
    }
}
