//! Sorted sets: packed in the record while they are small; beyond that a row a member, and a counted order.
//!
//! ```text
//! packed    payload = ([score][member])*              in order
//! exploded  payload = [rows id][layout] groups        how many members lie where
//!           a row a member, as in a map  -> score f64 LE
//!           row "o" + score + member     -> nothing   the order        (index.rs)
//!           row "b" + boundary           -> members   counts of parts of it
//! ```
//!
//! No score is "not a number": the caller sees to it. There is one zero. A sorted set without members does not exist:
//! its key goes with the last one.

mod header;
mod index;
mod order;
mod packed;

use alloc::vec::Vec;
use core::ops::Bound;

pub use index::Direction;
use index::Index;
pub use order::normal;
use packed::{Entry, Look};

use crate::map::rows::{self, Value};
use crate::record::{Encoding, Head, Kind, Millis, Record, RowsId};
use crate::view::{Limits, Stop, View};

/// Members that are rather skipped one by one than found by their rank.
const SKIP: u64 = 256;
/// What a member costs that is copied to rows, in the bytes of [`View::heavy`].
const MEMBER_COST: u64 = 256;

/// Why a sorted set could not be read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZsetError {
    /// The key holds something else.
    WrongType,
    /// The run must stop.
    Stop(Stop),
}

impl From<Stop> for ZsetError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Some members, by their place in the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range<'a> {
    /// From one rank up to and without another.
    Rank(u64, u64),
    /// By score.
    Score(Bound<f64>, Bound<f64>),
    /// By member, in a set where all have one score.
    Lex(Bound<&'a [u8]>, Bound<&'a [u8]>),
}

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Updated {
    /// Its score before, if it was there.
    pub old: Option<f64>,
    /// The score that was decided on, if any.
    pub new: Option<f64>,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Members before it.
    pub rank: u64,
    /// Its score.
    pub score: f64,
    /// Members of the set.
    pub len: u64,
}

#[derive(Clone, Copy)]
enum Shape {
    Packed,
    Exploded(RowsId),
}

fn shape(record: &Record<'_>) -> Result<Shape, ZsetError> {
    match (record.head.kind, record.head.encoding) {
        (Kind::Zset, Encoding::Packed) => Ok(Shape::Packed),
        (Kind::Zset, Encoding::Exploded) => Ok(Shape::Exploded(record.rows_id().ok_or(Stop::Fault)?)),
        (Kind::String | Kind::List | Kind::Set | Kind::Hash | Kind::Stream, _) => Err(ZsetError::WrongType),
    }
}

fn look(view: &mut dyn View, key: &[u8]) -> Result<Option<Shape>, ZsetError> {
    view.record(key)?.map(|record| shape(&record)).transpose()
}

/// The payload of a packed record that was there a moment ago.
fn payload<'v>(view: &'v mut dyn View, key: &[u8]) -> Result<&'v [u8], Stop> {
    Ok(view.record(key)?.ok_or(Stop::Fault)?.payload)
}

fn score_of(value: &[u8]) -> Result<f64, Stop> {
    value.try_into().map(f64::from_le_bytes).map_err(|_| Stop::Fault)
}

fn stored_score(view: &mut dyn View, key: &[u8], id: RowsId, member: &[u8]) -> Result<Option<f64>, Stop> {
    let mut value = Vec::new();
    rows::get(view, key, id, member, &mut value)?.map(|value| score_of(value.bytes)).transpose()
}

fn put_score(view: &mut dyn View, key: &[u8], id: RowsId, member: &[u8], score: f64) -> Result<(), Stop> {
    rows::put(view, key, id, member, Value { bytes: &normal(score).to_le_bytes(), expire_at: None }, None)
}

/// Number of members; 0 when there is no key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn len(view: &mut dyn View, key: &[u8]) -> Result<u64, ZsetError> {
    let Some(record) = view.record(key)? else { return Ok(0) };
    match shape(&record)? {
        Shape::Packed => {
            let (mut entries, mut len) = (packed::Entries::new(record.payload), 0);
            while entries.next()?.is_some() {
                len += 1;
            }
            Ok(len)
        }
        Shape::Exploded(_) => Ok(header::members(record.payload)?),
    }
}

/// The score of a member.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn score(view: &mut dyn View, key: &[u8], member: &[u8]) -> Result<Option<f64>, ZsetError> {
    let Some(record) = view.record(key)? else { return Ok(None) };
    match shape(&record)? {
        Shape::Packed => Ok(packed::find(record.payload, member)?.map(|entry| entry.score)),
        Shape::Exploded(rows) => Ok(stored_score(view, key, rows, member)?),
    }
}

/// Gives a member the score that `decide` makes of the one it has; none: it is left as it is.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn update(
    view: &mut dyn View,
    key: &[u8],
    member: &[u8],
    decide: &mut dyn FnMut(Option<f64>) -> Option<f64>,
) -> Result<Updated, ZsetError> {
    let packing = Packing::of(view.limits());
    let Some(record) = view.record(key)? else {
        let new = decide(None);
        if let Some(score) = new {
            let mut entry = Vec::with_capacity(16 + member.len());
            packed::write(&mut entry, score, member);
            view.put(key, &Head::new(Kind::Zset, Encoding::Packed, None), &entry)?;
            if !packing.fits(1, member.len(), entry.len()) {
                explode(view, key)?;
            }
        }
        return Ok(Updated { old: None, new });
    };
    match shape(&record)? {
        Shape::Packed => update_packed(view, key, member, &packing, decide),
        Shape::Exploded(rows) => update_exploded(view, key, rows, member, decide),
    }
}

fn update_packed(
    view: &mut dyn View,
    key: &[u8],
    member: &[u8],
    packing: &Packing,
    decide: &mut dyn FnMut(Option<f64>) -> Option<f64>,
) -> Result<Updated, ZsetError> {
    let payload = payload(view, key)?;
    let looked = packed::look(payload, member)?;
    let old = match looked {
        Look::There(entry) => Some(entry.score),
        Look::NotAmong(_) => None,
    };
    let Some(new) = decide(old) else { return Ok(Updated { old, new: None }) };
    let updated = Updated { old, new: Some(new) };
    let score = normal(new);
    if old == Some(score) {
        return Ok(updated);
    }
    let mut entry = Vec::with_capacity(16 + member.len());
    packed::write(&mut entry, score, member);
    match looked {
        Look::There(Entry { at: from, end: to, score: old, .. }) => {
            // With a greater score it belongs after its old place.
            let at = packed::place(payload, if old < score { from } else { 0 }, score, member)?;
            if at == from || at == to {
                view.splice(key, from, order::SCORE_BYTES, &score.to_le_bytes())?;
            } else {
                view.splice(key, from, to - from, b"")?;
                view.splice(key, if at > from { at - (to - from) } else { at }, 0, &entry)?;
            }
        }
        Look::NotAmong(others) if packing.fits(others + 1, member.len(), payload.len() + entry.len()) => {
            let at = packed::place(payload, 0, score, member)?;
            view.splice(key, at, 0, &entry)?;
        }
        Look::NotAmong(_) => {
            let rows = explode(view, key)?;
            add(view, key, rows, score, member)?;
        }
    }
    Ok(updated)
}

fn update_exploded(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    member: &[u8],
    decide: &mut dyn FnMut(Option<f64>) -> Option<f64>,
) -> Result<Updated, ZsetError> {
    let old = stored_score(view, key, rows, member)?;
    let new = decide(old);
    let Some(score) = new.map(normal).filter(|score| old != Some(*score)) else { return Ok(Updated { old, new }) };
    // Added before the old place is taken away: the set is never without members.
    add(view, key, rows, score, member)?;
    if let Some(old) = old {
        Index { view, key, rows }.remove(&order::index_key(old, member))?;
    }
    Ok(Updated { old, new })
}

/// Adds a member, or a second place in the order of one that is there.
fn add(view: &mut dyn View, key: &[u8], rows: RowsId, score: f64, member: &[u8]) -> Result<(), Stop> {
    put_score(view, key, rows, member, score)?;
    Index { view, key, rows }.insert(&order::index_key(score, member))
}

/// Up to what a sorted set is packed.
struct Packing {
    members: usize,
    member_bytes: usize,
    bytes: usize,
}

impl Packing {
    fn of(limits: &Limits) -> Self {
        Self { members: limits.zset.entries, member_bytes: limits.zset.value, bytes: limits.packed_max_bytes }
    }

    /// Whether a set of so many members, the longest of them this long, is packed.
    const fn fits(&self, members: usize, longest: usize, bytes: usize) -> bool {
        members <= self.members && longest <= self.member_bytes && bytes <= self.bytes
    }
}

/// Moves the members of a packed set to rows.
fn explode(view: &mut dyn View, key: &[u8]) -> Result<RowsId, Stop> {
    let record = view.record(key)?.ok_or(Stop::Fault)?;
    let expire_at = record.head.expire_at;
    let members: Vec<(f64, Vec<u8>)> =
        packed::all(record.payload)?.iter().map(|entry| (entry.score, entry.member.to_vec())).collect();
    put_exploded(view, key, &members, expire_at)
}

/// Makes `members`, in order, the set at `key`.
fn put_exploded(
    view: &mut dyn View,
    key: &[u8],
    members: &[(f64, Vec<u8>)],
    expire_at: Option<Millis>,
) -> Result<RowsId, Stop> {
    let rows = view.new_rows();
    let mut keys = Vec::with_capacity(members.len());
    for (score, member) in members {
        put_score(view, key, rows, member, *score)?;
        keys.push(order::index_key(*score, member));
    }
    let payload = Index { view, key, rows }.build(&keys)?;
    view.put(key, &Head::new(Kind::Zset, Encoding::Exploded, expire_at), &payload)?;
    Ok(rows)
}

/// Makes `members` the sorted set at `key`, whatever was there; without members there is no key. They are distinct; their
/// order does not matter. The set does not expire.
///
/// # Errors
/// When the view stops the run.
pub fn replace(view: &mut dyn View, key: &[u8], mut members: Vec<(f64, Vec<u8>)>) -> Result<(), Stop> {
    if members.is_empty() {
        view.delete(key)?;
        return Ok(());
    }
    for (score, _) in &mut members {
        *score = normal(*score);
    }
    members.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let longest = members.iter().map(|(_, member)| member.len()).max().unwrap_or(0);
    let packing = Packing::of(view.limits());
    if packing.fits(members.len(), longest, 0) {
        let mut payload = Vec::new();
        members.iter().for_each(|(score, member)| packed::write(&mut payload, *score, member));
        if payload.len() <= packing.bytes {
            return view.put(key, &Head::new(Kind::Zset, Encoding::Packed, None), &payload);
        }
    }
    view.heavy(members.len() as u64 * MEMBER_COST)?;
    put_exploded(view, key, &members, None).map(drop)
}

/// Removes a member; answers its score if it was there.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn remove(view: &mut dyn View, key: &[u8], member: &[u8]) -> Result<Option<f64>, ZsetError> {
    let Some(record) = view.record(key)? else { return Ok(None) };
    match shape(&record)? {
        Shape::Packed => {
            let Some(Entry { at, end, score, .. }) = packed::find(record.payload, member)? else { return Ok(None) };
            if at == 0 && end == record.payload.len() {
                view.delete(key)?;
            } else {
                view.splice(key, at, end - at, b"")?;
            }
            Ok(Some(score))
        }
        Shape::Exploded(rows) => {
            let members = header::members(record.payload)?;
            let Some(score) = stored_score(view, key, rows, member)? else { return Ok(None) };
            if members == 1 {
                view.delete(key)?;
            } else {
                rows::delete(view, key, rows, member, None)?;
                Index { view, key, rows }.remove(&order::index_key(score, member))?;
            }
            Ok(Some(score))
        }
    }
}

/// Where a member stands; `None`: it is not there.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn standing(view: &mut dyn View, key: &[u8], member: &[u8]) -> Result<Option<Standing>, ZsetError> {
    let Some(record) = view.record(key)? else { return Ok(None) };
    match shape(&record)? {
        Shape::Packed => {
            let mut entries = packed::Entries::new(record.payload);
            let (mut len, mut found) = (0, None);
            while let Some(entry) = entries.next()? {
                if entry.member == member {
                    found = Some((len, entry.score));
                }
                len += 1;
            }
            Ok(found.map(|(rank, score)| Standing { rank, score, len }))
        }
        Shape::Exploded(rows) => {
            let len = header::members(record.payload)?;
            let Some(score) = stored_score(view, key, rows, member)? else { return Ok(None) };
            let rank = Index { view, key, rows }.rank(&order::index_key(score, member))?;
            Ok(Some(Standing { rank, score, len }))
        }
    }
}

/// How many members a range has.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn count(view: &mut dyn View, key: &[u8], range: Range<'_>) -> Result<u64, ZsetError> {
    match look(view, key)? {
        None => Ok(0),
        Some(Shape::Packed) => {
            let entries = packed::all(payload(view, key)?)?;
            let (from, to) = span(&entries, range);
            Ok((to - from) as u64)
        }
        Some(Shape::Exploded(rows)) => {
            let (from, to) = ranks(&mut Index { view, key, rows }, range)?;
            Ok(to - from)
        }
    }
}

/// Visits the members of a range one way or the other: without the first `offset` it comes to, at most `limit`.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn visit(
    view: &mut dyn View,
    key: &[u8],
    range: Range<'_>,
    direction: Direction,
    (offset, limit): (u64, u64),
    seen: &mut dyn FnMut(&[u8], f64),
) -> Result<(), ZsetError> {
    match look(view, key)? {
        None => Ok(()),
        Some(Shape::Packed) => {
            let entries = packed::all(payload(view, key)?)?;
            let (from, to) = span(&entries, range);
            let skip = usize::try_from(offset).unwrap_or(usize::MAX);
            let take = usize::try_from(limit).unwrap_or(usize::MAX);
            let see = |entry: &Entry<'_>| seen(entry.member, entry.score);
            match direction {
                Direction::Up => entries[from..to].iter().skip(skip).take(take).for_each(see),
                Direction::Down => entries[from..to].iter().rev().skip(skip).take(take).for_each(see),
            }
            Ok(())
        }
        Some(Shape::Exploded(rows)) => {
            let mut fault = false;
            let mut see = |key: &[u8]| match order::split(key) {
                Some((score, member)) => seen(member, score),
                None => fault = true,
            };
            walk(&mut Index { view, key, rows }, range, direction, (offset, limit), &mut see)?;
            if fault { Err(Stop::Fault.into()) } else { Ok(()) }
        }
    }
}

/// Takes the first members of an order away, at most `count`; answers them.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn pop(
    view: &mut dyn View,
    key: &[u8],
    direction: Direction,
    count: u64,
) -> Result<Vec<(Vec<u8>, f64)>, ZsetError> {
    match look(view, key)? {
        None => Ok(Vec::new()),
        Some(Shape::Packed) => {
            let payload = payload(view, key)?;
            let whole = payload.len();
            let entries = packed::all(payload)?;
            let most = usize::try_from(count).unwrap_or(usize::MAX).min(entries.len());
            let (at, end, taken) = match direction {
                Direction::Up => (0, entries[..most].last().map_or(0, |entry| entry.end), &entries[..most]),
                Direction::Down => {
                    let from = entries.len() - most;
                    (entries.get(from).map_or(whole, |entry| entry.at), whole, &entries[from..])
                }
            };
            let mut popped: Vec<_> = taken.iter().map(|entry| (entry.member.to_vec(), entry.score)).collect();
            remove_bytes(view, key, at, end, whole)?;
            if direction == Direction::Down {
                popped.reverse();
            }
            Ok(popped)
        }
        Some(Shape::Exploded(rows)) => {
            let mut keys = Vec::new();
            let mut index = Index { view, key, rows };
            index.walk(b"", None, direction, count, &mut |key| keys.push(key.to_vec()))?;
            if direction == Direction::Down {
                keys.reverse();
            }
            remove_keys(view, key, rows, &keys)?;
            if direction == Direction::Down {
                keys.reverse();
            }
            keys.into_iter().map(order::into_member).map(|popped| popped.ok_or(Stop::Fault.into())).collect()
        }
    }
}

/// Removes the members of a range; answers how many.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn remove_range(view: &mut dyn View, key: &[u8], range: Range<'_>) -> Result<u64, ZsetError> {
    match look(view, key)? {
        None => Ok(0),
        Some(Shape::Packed) => {
            let payload = payload(view, key)?;
            let whole = payload.len();
            let entries = packed::all(payload)?;
            let (from, to) = span(&entries, range);
            if let ([first, ..], [.., last]) = (&entries[from..to], &entries[from..to]) {
                let (at, end) = (first.at, last.end);
                remove_bytes(view, key, at, end, whole)?;
            }
            Ok((to - from) as u64)
        }
        Some(Shape::Exploded(rows)) => {
            let mut keys = Vec::new();
            let mut index = Index { view, key, rows };
            walk(&mut index, range, Direction::Up, (0, u64::MAX), &mut |key| keys.push(key.to_vec()))?;
            remove_keys(view, key, rows, &keys)?;
            Ok(keys.len() as u64)
        }
    }
}

/// Removes the bytes `at..end` of a payload of `whole` bytes.
fn remove_bytes(view: &mut dyn View, key: &[u8], at: usize, end: usize, whole: usize) -> Result<(), Stop> {
    if at == end {
        return Ok(());
    }
    if at == 0 && end == whole {
        view.delete(key)?;
        return Ok(());
    }
    view.splice(key, at, end - at, b"")
}

/// Removes members that are there, by their index keys, which are in order with none left between them.
fn remove_keys(view: &mut dyn View, key: &[u8], rows: RowsId, keys: &[Vec<u8>]) -> Result<(), Stop> {
    let members = header::members(payload(view, key)?)?;
    if keys.is_empty() {
        return Ok(());
    }
    if keys.len() as u64 == members {
        view.delete(key)?;
        return Ok(());
    }
    view.heavy(keys.len() as u64 * MEMBER_COST)?;
    for index_key in keys {
        let (_, member) = order::split(index_key).ok_or(Stop::Fault)?;
        rows::delete(view, key, rows, member, None)?;
    }
    let mut index = Index { view, key, rows };
    match keys {
        [one] => index.remove(one),
        many => index.remove_range(many),
    }
}

/// One step of a SCAN from `cursor` on: visits about `most` members and answers the next cursor, 0 at the end. A packed
/// set is visited at once. Members that are there from the first step to the last are visited, whatever their scores do.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn scan(
    view: &mut dyn View,
    key: &[u8],
    cursor: u64,
    most: usize,
    seen: &mut dyn FnMut(&[u8], f64),
) -> Result<u64, ZsetError> {
    match look(view, key)? {
        None => Ok(0),
        Some(Shape::Packed) => {
            for entry in packed::all(payload(view, key)?)? {
                seen(entry.member, entry.score);
            }
            Ok(0)
        }
        Some(Shape::Exploded(id)) => {
            let mut fault = false;
            view.heavy((most as u64).saturating_mul(index::ROW_COST))?;
            let next = rows::scan(view, key, id, cursor, most, &mut |member, value| match score_of(value.bytes) {
                Ok(score) => seen(member, score),
                Err(_) => fault = true,
            })?;
            if fault { Err(Stop::Fault.into()) } else { Ok(next) }
        }
    }
}

/// A member, each equally likely; `None`: there is no key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn pick(view: &mut dyn View, key: &[u8]) -> Result<Option<(Vec<u8>, f64)>, ZsetError> {
    let random = view.random();
    match look(view, key)? {
        None => Ok(None),
        Some(Shape::Packed) => {
            let entries = packed::all(payload(view, key)?)?;
            let entry = entries[rows::below(random, entries.len() as u64) as usize];
            Ok(Some((entry.member.to_vec(), entry.score)))
        }
        Some(Shape::Exploded(id)) => {
            let members = header::members(payload(view, key)?)?;
            let (mut member, mut value) = (Vec::new(), Vec::new());
            if !rows::pick(view, key, id, members, &mut member, &mut value)? {
                return Err(Stop::Fault.into());
            }
            Ok(Some((member, score_of(&value)?)))
        }
    }
}

/// The part of a packed set that a range means.
fn span(entries: &[Entry<'_>], range: Range<'_>) -> (usize, usize) {
    let (from, to) = match range {
        Range::Rank(from, to) => {
            let clip = |rank: u64| usize::try_from(rank).unwrap_or(usize::MAX).min(entries.len());
            (clip(from), clip(to))
        }
        Range::Score(min, max) => {
            (place_of(entries, min, |entry| entry.score), end_of(entries, max, |entry| entry.score))
        }
        Range::Lex(min, max) => {
            (place_of(entries, min, |entry| entry.member), end_of(entries, max, |entry| entry.member))
        }
    };
    (from.min(to), to)
}

fn place_of<'a, T: PartialOrd>(entries: &[Entry<'a>], min: Bound<T>, of: impl Fn(&Entry<'a>) -> T) -> usize {
    match min {
        Bound::Unbounded => 0,
        Bound::Included(min) => entries.partition_point(|entry| of(entry) < min),
        Bound::Excluded(min) => entries.partition_point(|entry| of(entry) <= min),
    }
}

fn end_of<'a, T: PartialOrd>(entries: &[Entry<'a>], max: Bound<T>, of: impl Fn(&Entry<'a>) -> T) -> usize {
    match max {
        Bound::Unbounded => entries.len(),
        Bound::Included(max) => entries.partition_point(|entry| of(entry) <= max),
        Bound::Excluded(max) => entries.partition_point(|entry| of(entry) < max),
    }
}

/// The first index key of a range, and the first one beyond it; `None`: there is none.
type KeyRange = (Vec<u8>, Option<Vec<u8>>);

/// The index keys that a range by score or member means; `None`: it is one of ranks.
fn keys_of(index: &mut Index<'_, '_>, range: Range<'_>) -> Result<Option<KeyRange>, Stop> {
    match range {
        Range::Rank(..) => Ok(None),
        Range::Score(min, max) => Ok(Some((order::first_of_scores(min), order::end_of_scores(max)))),
        Range::Lex(min, max) => {
            let (mut first, mut last) = (None, None);
            index.walk(b"", None, Direction::Up, 1, &mut |key| first = order::split(key).map(|(score, _)| score))?;
            index.walk(b"", None, Direction::Down, 1, &mut |key| last = order::split(key).map(|(score, _)| score))?;
            let (first, last) = first.zip(last).ok_or(Stop::Fault)?;
            Ok(Some((order::first_of_members(first, min), Some(order::end_of_members(last, max)))))
        }
    }
}

/// The ranks that a range means.
fn ranks(index: &mut Index<'_, '_>, range: Range<'_>) -> Result<(u64, u64), Stop> {
    let len = header::members(payload(index.view, index.key)?)?;
    let (from, to) = match (range, keys_of(index, range)?) {
        (Range::Rank(from, to), _) => (from.min(len), to.min(len)),
        (Range::Score(..) | Range::Lex(..), None) => (0, 0),
        (Range::Score(..) | Range::Lex(..), Some((from, to))) => {
            let to = to.map_or(Ok(len), |to| index.rank(&to))?;
            (if from.is_empty() { 0 } else { index.rank(&from)? }, to)
        }
    };
    Ok((from.min(to), to))
}

/// Visits the index keys of a range.
fn walk(
    index: &mut Index<'_, '_>,
    range: Range<'_>,
    direction: Direction,
    (offset, limit): (u64, u64),
    seen: &mut dyn FnMut(&[u8]),
) -> Result<(), Stop> {
    if offset <= SKIP
        && let Some((from, to)) = keys_of(index, range)?
    {
        let mut skip = offset;
        return index.walk(&from, to.as_deref(), direction, limit.saturating_add(offset), &mut |key| {
            if skip == 0 {
                seen(key);
            }
            skip = skip.saturating_sub(1);
        });
    }
    let len = header::members(payload(index.view, index.key)?)?;
    let (from, to) = ranks(index, range)?;
    let most = limit.min((to - from).saturating_sub(offset));
    if most == 0 {
        return Ok(());
    }
    match direction {
        Direction::Up => {
            let from = from + offset;
            let first = if from == 0 { Vec::new() } else { index.at(from)?.ok_or(Stop::Fault)? };
            index.walk(&first, None, direction, most, seen)
        }
        Direction::Down => {
            let to = to - offset;
            let end = if to == len { None } else { Some(index.at(to)?.ok_or(Stop::Fault)?) };
            index.walk(b"", end.as_deref(), direction, most, seen)
        }
    }
}

#[cfg(test)]
mod tests;
