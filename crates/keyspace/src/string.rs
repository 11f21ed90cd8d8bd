//! Strings: packed in the record up to a limit, in chunks beyond it, so that a change of a long one costs what it
//! touches.
//!
//! ```text
//! packed    payload = the bytes
//! exploded  payload = [rows id u64 LE][length u64 LE][tail: the last length % CHUNK bytes]
//!           row "c" + index u32 BE = bytes index*CHUNK..(index+1)*CHUNK; a missing row is all zeros
//! ```
//!
//! The tail lives in the record, so appending logs the appended bytes, not a chunk; and a gap costs nothing.

use alloc::vec;
use alloc::vec::Vec;

use crate::record::{Encoding, Head, Kind, Millis, Record, RowsId};
use crate::view::{Stop, View};

/// Bytes of a chunk.
pub const CHUNK: usize = 4096;
/// The longest a string can be, whatever the protocol's limit: row indexes are 32 bits wide.
pub const MAX_LEN: u64 = CHUNK as u64 * u32::MAX as u64;

/// Redis keeps strings that are no longer than this inside their object, until they are changed in place. Longer ones look
/// the same before and after.
pub const EMBEDDED_MAX: usize = 44;

const HEADER_LEN: usize = 16;
const LEN_AT: usize = 8;
const ROW_KIND: u8 = b'c';
const ROW_KEY_LEN: usize = 5;
/// Copying more than this is announced to the view first.
const HEAVY: u64 = 64 << 10;

/// Why a string could not be read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringError {
    /// The key holds something else.
    WrongType,
    /// The run must stop.
    Stop(Stop),
}

impl From<Stop> for StringError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Where a string lies and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its length in bytes.
    pub len: u64,
    /// When it expires.
    pub expire_at: Option<Millis>,
    /// Its rows, if it is exploded.
    pub rows: Option<RowsId>,
}

/// The shape of the string of a record.
///
/// # Errors
/// When the record is no string.
#[inline]
pub fn shape(record: &Record<'_>) -> Result<Shape, StringError> {
    if record.head.kind != Kind::String {
        return Err(StringError::WrongType);
    }
    let expire_at = record.head.expire_at;
    match record.head.encoding {
        Encoding::Packed => Ok(Shape { len: record.payload.len() as u64, expire_at, rows: None }),
        Encoding::Exploded => {
            let header = Header::decode(record.payload).ok_or(StringError::Stop(Stop::Fault))?;
            Ok(Shape { len: header.len, expire_at, rows: Some(header.rows) })
        }
    }
}

/// The shape of the string at `key`; `None` when there is no key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
#[inline]
pub fn look(view: &mut dyn View, key: &[u8]) -> Result<Option<Shape>, StringError> {
    match view.record(key)? {
        None => Ok(None),
        Some(record) => shape(&record).map(Some),
    }
}

/// Hands the bytes `from..to` of the string at `key` to `sink`, piece by piece. What lies beyond its end is left out.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn read(
    view: &mut dyn View,
    key: &[u8],
    from: u64,
    to: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), StringError> {
    let Some(record) = view.record(key)? else { return Ok(()) };
    let shape = shape(&record)?;
    let to = to.min(shape.len);
    if from >= to {
        return Ok(());
    }
    let Some(rows) = shape.rows else {
        sink(&record.payload[from as usize..to as usize]);
        return Ok(());
    };
    if to - from > HEAVY {
        view.heavy(to - from)?;
    }
    let chunks_end = shape.len - shape.len % CHUNK as u64;
    if from < chunks_end {
        read_chunks(view, key, rows, from, to.min(chunks_end), sink)?;
    }
    if to > chunks_end {
        let record = view.record(key)?.ok_or(Stop::Fault)?;
        let tail = record.payload.get(HEADER_LEN..).ok_or(Stop::Fault)?;
        let begin = from.saturating_sub(chunks_end) as usize;
        sink(tail.get(begin..(to - chunks_end) as usize).ok_or(Stop::Fault)?);
    }
    Ok(())
}

/// The whole string at `key`; `None` when there is no key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn read_all(view: &mut dyn View, key: &[u8]) -> Result<Option<Vec<u8>>, StringError> {
    let Some(shape) = look(view, key)? else { return Ok(None) };
    let mut bytes = Vec::with_capacity(shape.len as usize);
    read(view, key, 0, shape.len, &mut |piece| bytes.extend_from_slice(piece))?;
    Ok(Some(bytes))
}

/// Makes `value` the string at `key`, whatever was there.
///
/// # Errors
/// When the view stops the run.
#[inline]
pub fn set(view: &mut dyn View, key: &[u8], value: &[u8], expire_at: Option<Millis>) -> Result<(), StringError> {
    if value.len() <= view.limits().string_chunk_threshold {
        return Ok(view.put(key, &Head::string(expire_at), value)?);
    }
    explode(view, key, value, expire_at)
}

/// Writes `bytes` at `offset` of the string at `key`, which grows with zeros as needed; answers its new length.
/// A new string does not expire, an old one keeps its expiry.
///
/// # Errors
/// When the key holds something else, or the view stops the run. The caller checks the length limit.
pub fn write(view: &mut dyn View, key: &[u8], offset: u64, bytes: &[u8]) -> Result<u64, StringError> {
    let threshold = view.limits().string_chunk_threshold as u64;
    let shape = look(view, key)?.unwrap_or(Shape { len: 0, expire_at: None, rows: None });
    let end = offset + bytes.len() as u64;
    let len = shape.len.max(end);
    assert!(len <= MAX_LEN, "the caller bounds the length of a string");
    if let Some(rows) = shape.rows {
        write_exploded(view, key, rows, shape, offset, bytes)?;
    } else if len <= threshold {
        write_packed(view, key, shape.len as usize, offset as usize, bytes)?;
    } else {
        // Room for what is there; the gap up to a far offset is left to missing rows.
        let old = read_all(view, key)?.unwrap_or_default();
        explode(view, key, &old, shape.expire_at)?;
        let exploded = look(view, key)?.ok_or(Stop::Fault)?;
        let rows = exploded.rows.ok_or(Stop::Fault)?;
        write_exploded(view, key, rows, exploded, offset, bytes)?;
    }
    Ok(len)
}

struct Header {
    rows: RowsId,
    len: u64,
}

impl Header {
    fn decode(payload: &[u8]) -> Option<Self> {
        let rows = u64::from_le_bytes(*payload.first_chunk::<8>()?);
        let len = u64::from_le_bytes(*payload.get(LEN_AT..)?.first_chunk::<8>()?);
        let tail = payload.len().checked_sub(HEADER_LEN)?;
        (tail as u64 == len % CHUNK as u64).then_some(Self { rows: RowsId(rows), len })
    }

    fn encode(&self, tail: &[u8]) -> Vec<u8> {
        assert_eq!(tail.len() as u64, self.len % CHUNK as u64, "the tail is what no full chunk holds");
        let mut payload = Vec::with_capacity(HEADER_LEN + tail.len());
        payload.extend_from_slice(&self.rows.0.to_le_bytes());
        payload.extend_from_slice(&self.len.to_le_bytes());
        payload.extend_from_slice(tail);
        payload
    }
}

const fn head(expire_at: Option<Millis>) -> Head {
    Head::new(Kind::String, Encoding::Exploded, expire_at)
}

fn row_key(chunk: u64) -> [u8; ROW_KEY_LEN] {
    let [a, b, c, d] = (chunk as u32).to_be_bytes();
    [ROW_KIND, a, b, c, d]
}

fn row_index(row: &[u8]) -> Option<u64> {
    let (&[kind], index) = row.split_first_chunk::<1>()?;
    let index: [u8; 4] = index.try_into().ok()?;
    (kind == ROW_KIND).then(|| u64::from(u32::from_be_bytes(index)))
}

/// Writes all of `value` under fresh rows.
fn explode(view: &mut dyn View, key: &[u8], value: &[u8], expire_at: Option<Millis>) -> Result<(), StringError> {
    if value.len() as u64 > HEAVY {
        view.heavy(value.len() as u64)?;
    }
    let header = Header { rows: view.new_rows(), len: value.len() as u64 };
    let chunks = value.chunks_exact(CHUNK);
    view.put(key, &head(expire_at), &header.encode(chunks.remainder()))?;
    for (index, chunk) in chunks.enumerate() {
        if !is_zero(chunk) {
            view.put_row(key, header.rows, &row_key(index as u64), chunk)?;
        }
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn write_packed(view: &mut dyn View, key: &[u8], len: usize, offset: usize, bytes: &[u8]) -> Result<(), StringError> {
    let record = view.record(key)?;
    let is_new = record.is_none();
    let head = record.map_or(Head::string(None), |record| record.head);
    let short = len.max(offset + bytes.len()) <= EMBEDDED_MAX;
    if is_new || (short && !head.is_edited) {
        let mut value = record.map_or_else(Vec::new, |record| record.payload.to_vec());
        value.resize(len.max(offset + bytes.len()), 0);
        value[offset..offset + bytes.len()].copy_from_slice(bytes);
        view.put(key, &Head { is_edited: short, ..head }, &value)?;
    } else if offset <= len {
        let remove = bytes.len().min(len - offset);
        view.splice(key, offset, remove, bytes)?;
    } else {
        let mut value = vec![0; offset - len];
        value.extend_from_slice(bytes);
        view.splice(key, len, 0, &value)?;
    }
    Ok(())
}

/// Overwrites or extends an exploded string.
fn write_exploded(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    shape: Shape,
    offset: u64,
    bytes: &[u8],
) -> Result<(), StringError> {
    let chunk = CHUNK as u64;
    let end = offset + bytes.len() as u64;
    let len = shape.len.max(end);
    if bytes.len() as u64 > HEAVY {
        view.heavy(bytes.len() as u64)?;
    }
    let (old_tail_chunk, tail_chunk) = (shape.len / chunk, len / chunk);
    if tail_chunk == old_tail_chunk && offset >= tail_chunk * chunk {
        return write_tail(view, key, shape.len, offset, bytes);
    }
    let record = view.record(key)?.ok_or(Stop::Fault)?;
    let old_tail = record.payload.get(HEADER_LEN..).ok_or(Stop::Fault)?.to_vec();
    let mut buffer = Vec::with_capacity(CHUNK);
    // The chunk that the old tail fills up when the string outgrows it, and those that the write touches.
    let outgrown = (old_tail_chunk < tail_chunk && old_tail_chunk < offset / chunk).then_some(old_tail_chunk);
    let touched = offset / chunk..tail_chunk.min(end.div_ceil(chunk));
    for index in outgrown.into_iter().chain(touched) {
        let begin = index * chunk;
        if index == old_tail_chunk {
            buffer.clear();
            buffer.extend_from_slice(&old_tail);
        } else if index > old_tail_chunk || (offset <= begin && begin + chunk <= end) {
            buffer.clear();
        } else {
            view.row(key, rows, &row_key(index), &mut buffer)?;
        }
        buffer.resize(CHUNK, 0);
        overlay(&mut buffer, begin, offset, bytes);
        let is_new = index >= old_tail_chunk;
        if !(is_new && is_zero(&buffer)) {
            view.put_row(key, rows, &row_key(index), &buffer)?;
        }
    }
    if tail_chunk == old_tail_chunk && len == shape.len {
        let tail_at = tail_chunk * chunk;
        if end > tail_at {
            let part = &bytes[(tail_at - offset) as usize..];
            view.splice(key, HEADER_LEN, part.len(), part)?;
        } else {
            view.touch(key)?;
        }
        return Ok(());
    }
    let mut tail = if tail_chunk == old_tail_chunk { old_tail } else { Vec::new() };
    tail.resize((len % chunk) as usize, 0);
    overlay(&mut tail, tail_chunk * chunk, offset, bytes);
    view.put(key, &head(shape.expire_at), &Header { rows, len }.encode(&tail))?;
    Ok(())
}

/// Writes inside the tail, or appends to it without filling a chunk.
fn write_tail(view: &mut dyn View, key: &[u8], len: u64, offset: u64, bytes: &[u8]) -> Result<(), StringError> {
    let tail_len = (len % CHUNK as u64) as usize;
    let at = (offset % CHUNK as u64) as usize;
    if at <= tail_len {
        let remove = bytes.len().min(tail_len - at);
        view.splice(key, HEADER_LEN + at, remove, bytes)?;
    } else {
        let mut gap = vec![0; at - tail_len];
        gap.extend_from_slice(bytes);
        view.splice(key, HEADER_LEN + tail_len, 0, &gap)?;
    }
    let new_len = len.max(offset + bytes.len() as u64);
    if new_len != len {
        view.splice(key, LEN_AT, 8, &new_len.to_le_bytes())?;
    }
    Ok(())
}

/// Lays the part of `bytes` (which begin at `offset` of the string) that falls into `target` (which begins at `begin`)
/// over it.
fn overlay(target: &mut [u8], begin: u64, offset: u64, bytes: &[u8]) {
    let from = offset.max(begin);
    let to = (offset + bytes.len() as u64).min(begin + target.len() as u64);
    if from < to {
        let source = &bytes[(from - offset) as usize..(to - offset) as usize];
        target[(from - begin) as usize..(to - begin) as usize].copy_from_slice(source);
    }
}

/// Reads `from..to`, which lies in full chunks; a missing row reads as zeros.
fn read_chunks(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    from: u64,
    to: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), StringError> {
    const ZEROS: [u8; CHUNK] = [0; CHUNK];
    let chunk = CHUNK as u64;
    let mut at = from;
    let zeros_until = |at: &mut u64, until: u64, sink: &mut dyn FnMut(&[u8])| {
        while *at < until {
            let piece = (until - *at).min(chunk);
            sink(&ZEROS[..piece as usize]);
            *at += piece;
        }
    };
    let mut bad = false;
    let last = row_key((to - 1) / chunk + 1);
    view.rows(key, rows, &row_key(from / chunk), &last, &mut |row, value| {
        let Some(begin) = row_index(row).map(|index| index * chunk).filter(|_| value.len() == CHUNK) else {
            bad = true;
            return false;
        };
        zeros_until(&mut at, begin, sink);
        let end = to.min(begin + chunk);
        sink(&value[(at - begin) as usize..(end - begin) as usize]);
        at = end;
        true
    })?;
    if bad {
        return Err(StringError::Stop(Stop::Fault));
    }
    zeros_until(&mut at, to, sink);
    Ok(())
}

#[cfg(test)]
mod tests;
