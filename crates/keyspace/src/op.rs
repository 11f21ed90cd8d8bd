//! Log operations: what a frame of the log says happened. Physical, so applying them needs no clock and no chance.
//!
//! ```text
//! frame payload = [version u8 = 1] op*
//! op = [tag u8] fields         n: LEB128 number, b: n + that many bytes
//!   1 Put        key b, body b                       the whole record
//!   2 Splice     key b, at n, remove n, was n, insert b   payload bytes at..at+remove become insert;
//!                                                    the payload was `was` bytes long
//!   3 Delete     key b
//!   4 Touch      key b                               only rows changed
//!   5 PutRow     key b, rows id n, row key b, value b
//!   6 DeleteRow  key b, rows id n, row key b
//!   7 DeleteRows key b, rows id n, from b, to b      from <= row key < to; empty `to` is the end
//!   8 Clear                                          the shard is empty
//! ```
//!
//! Every frame that changes rows also has an op on the owning record, so that its LSN tells of the change.

use alloc::vec::Vec;
use core::fmt;

use crate::record::RowsId;
use crate::varint;

/// The version in front of the ops of a frame.
pub const OPS_VERSION: u8 = 1;

const PUT: u8 = 1;
const SPLICE: u8 = 2;
const DELETE: u8 = 3;
const TOUCH: u8 = 4;
const PUT_ROW: u8 = 5;
const DELETE_ROW: u8 = 6;
const DELETE_ROWS: u8 = 7;
const CLEAR: u8 = 8;

/// One change, as read from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// The record of `key` is now `body`.
    Put {
        /// The user key.
        key: &'a [u8],
        /// The record without its LSN.
        body: &'a [u8],
    },
    /// Part of the payload of the record of `key` changed.
    Splice {
        /// The user key.
        key: &'a [u8],
        /// Offset in the payload.
        at: usize,
        /// Bytes taken out at the offset.
        remove: usize,
        /// Length of the payload before the change: a wrong base is noticed.
        was: usize,
        /// Bytes put in at the offset.
        insert: &'a [u8],
    },
    /// The record of `key` is gone.
    Delete {
        /// The user key.
        key: &'a [u8],
    },
    /// The record of `key` is the same, its rows are not.
    Touch {
        /// The user key.
        key: &'a [u8],
    },
    /// A row is now `value`.
    PutRow {
        /// The owner's user key.
        key: &'a [u8],
        /// The owner's rows.
        rows: RowsId,
        /// The row's key among them.
        row: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// A row is gone.
    DeleteRow {
        /// The owner's user key.
        key: &'a [u8],
        /// The owner's rows.
        rows: RowsId,
        /// The row's key among them.
        row: &'a [u8],
    },
    /// The rows `from <= row key < to` are gone; an empty `to` is the end.
    DeleteRows {
        /// The owner's user key.
        key: &'a [u8],
        /// The owner's rows.
        rows: RowsId,
        /// First row key that goes.
        from: &'a [u8],
        /// First row key that stays; empty: none.
        to: &'a [u8],
    },
    /// The shard is empty.
    Clear,
}

impl<'a> Op<'a> {
    /// The user key the op is about, but for `Clear`.
    #[must_use]
    pub const fn key(&self) -> Option<&'a [u8]> {
        match *self {
            Op::Put { key, .. }
            | Op::Splice { key, .. }
            | Op::Delete { key }
            | Op::Touch { key }
            | Op::PutRow { key, .. }
            | Op::DeleteRow { key, .. }
            | Op::DeleteRows { key, .. } => Some(key),
            Op::Clear => None,
        }
    }
}

/// Builds the payload of a frame, one op after the other.
#[derive(Debug, Default)]
pub struct OpWriter {
    bytes: Vec<u8>,
}

impl OpWriter {
    /// An empty payload; its memory is reused by [`OpWriter::clear`].
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Forgets the ops; gives memory back when it was a lot.
    pub fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        self.bytes.clear();
        if self.bytes.capacity() > KEEP {
            self.bytes.shrink_to(KEEP);
        }
    }

    /// Forgets what was written after the first `len` bytes, between two ops.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Whether no op was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The payload so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn tag(&mut self, tag: u8) {
        if self.bytes.is_empty() {
            self.bytes.push(OPS_VERSION);
        }
        self.bytes.push(tag);
    }

    fn row(&mut self, tag: u8, key: &[u8], rows: RowsId, row: &[u8]) {
        self.tag(tag);
        varint::put_bytes(&mut self.bytes, key);
        varint::put(&mut self.bytes, rows.0);
        varint::put_bytes(&mut self.bytes, row);
    }

    /// Adds [`Op::Put`] with the body given.
    #[inline]
    pub fn put(&mut self, key: &[u8], body: &[u8]) {
        self.tag(PUT);
        varint::put_bytes(&mut self.bytes, key);
        varint::put_bytes(&mut self.bytes, body);
    }

    /// Adds [`Op::Splice`].
    pub fn splice(&mut self, key: &[u8], at: usize, remove: usize, was: usize, insert: &[u8]) {
        self.tag(SPLICE);
        varint::put_bytes(&mut self.bytes, key);
        varint::put(&mut self.bytes, at as u64);
        varint::put(&mut self.bytes, remove as u64);
        varint::put(&mut self.bytes, was as u64);
        varint::put_bytes(&mut self.bytes, insert);
    }

    /// Adds [`Op::Delete`].
    pub fn delete(&mut self, key: &[u8]) {
        self.tag(DELETE);
        varint::put_bytes(&mut self.bytes, key);
    }

    /// Adds [`Op::Touch`].
    pub fn touch(&mut self, key: &[u8]) {
        self.tag(TOUCH);
        varint::put_bytes(&mut self.bytes, key);
    }

    /// Adds [`Op::PutRow`].
    pub fn put_row(&mut self, key: &[u8], rows: RowsId, row: &[u8], value: &[u8]) {
        self.row(PUT_ROW, key, rows, row);
        varint::put_bytes(&mut self.bytes, value);
    }

    /// Adds [`Op::DeleteRow`].
    pub fn delete_row(&mut self, key: &[u8], rows: RowsId, row: &[u8]) {
        self.row(DELETE_ROW, key, rows, row);
    }

    /// Adds [`Op::DeleteRows`].
    pub fn delete_rows(&mut self, key: &[u8], rows: RowsId, from: &[u8], to: &[u8]) {
        self.row(DELETE_ROWS, key, rows, from);
        varint::put_bytes(&mut self.bytes, to);
    }

    /// Adds [`Op::Clear`].
    pub fn clear_shard(&mut self) {
        self.tag(CLEAR);
    }
}

/// Why the payload of a frame is not a list of ops. `at` is the byte offset of the op that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpDecodeError {
    /// Written by another version of the format.
    Version(u8),
    /// A tag this version does not know.
    Tag {
        /// The tag.
        tag: u8,
        /// Offset in the payload.
        at: usize,
    },
    /// The payload ends inside an op.
    Short {
        /// Offset in the payload.
        at: usize,
    },
}

impl fmt::Display for OpDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "ops of format version {version}, this is {OPS_VERSION}"),
            Self::Tag { tag, at } => write!(f, "unknown op {tag} at byte {at} of the frame"),
            Self::Short { at } => write!(f, "the op at byte {at} of the frame is cut short"),
        }
    }
}

impl core::error::Error for OpDecodeError {}

/// Reads the ops of a frame in order. After an error it ends.
#[derive(Clone, Debug)]
pub struct Ops<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Ops<'a> {
    /// Starts at the first op of a frame's payload.
    ///
    /// # Errors
    /// When the payload is of another format version.
    pub fn new(payload: &'a [u8]) -> Result<Self, OpDecodeError> {
        match payload.split_first() {
            Some((&OPS_VERSION, rest)) => Ok(Self { all: payload, rest }),
            Some((&version, _)) => Err(OpDecodeError::Version(version)),
            None => Err(OpDecodeError::Short { at: 0 }),
        }
    }

    fn read(&mut self) -> Option<Result<Op<'a>, u8>> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        let input = &mut self.rest;
        let op = match tag {
            PUT => Op::Put { key: varint::take_bytes(input)?, body: varint::take_bytes(input)? },
            SPLICE => Op::Splice {
                key: varint::take_bytes(input)?,
                at: usize::try_from(varint::take(input)?).ok()?,
                remove: usize::try_from(varint::take(input)?).ok()?,
                was: usize::try_from(varint::take(input)?).ok()?,
                insert: varint::take_bytes(input)?,
            },
            DELETE => Op::Delete { key: varint::take_bytes(input)? },
            TOUCH => Op::Touch { key: varint::take_bytes(input)? },
            PUT_ROW => {
                let (key, rows, row) = Self::take_row(input)?;
                Op::PutRow { key, rows, row, value: varint::take_bytes(input)? }
            }
            DELETE_ROW => {
                let (key, rows, row) = Self::take_row(input)?;
                Op::DeleteRow { key, rows, row }
            }
            DELETE_ROWS => {
                let (key, rows, from) = Self::take_row(input)?;
                Op::DeleteRows { key, rows, from, to: varint::take_bytes(input)? }
            }
            CLEAR => Op::Clear,
            unknown => return Some(Err(unknown)),
        };
        Some(Ok(op))
    }

    fn take_row(input: &mut &'a [u8]) -> Option<(&'a [u8], RowsId, &'a [u8])> {
        Some((varint::take_bytes(input)?, RowsId(varint::take(input)?), varint::take_bytes(input)?))
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Result<Op<'a>, OpDecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.all.len() - self.rest.len();
        let failure = match self.read() {
            Some(Ok(op)) => return Some(Ok(op)),
            Some(Err(tag)) => OpDecodeError::Tag { tag, at },
            None => OpDecodeError::Short { at },
        };
        self.rest = &[];
        Some(Err(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn all_ops() -> (OpWriter, Vec<Op<'static>>) {
        let mut out = OpWriter::new();
        out.put(b"k", &[0, 0, b'v']);
        out.splice(b"k", 1, 2, 300, b"ab");
        out.delete(b"k");
        out.touch(b"k");
        out.put_row(b"k", RowsId(5), b"r", b"v");
        out.delete_row(b"k", RowsId(5), b"r");
        out.delete_rows(b"k", RowsId(5), b"a", b"");
        out.clear_shard();
        let key = b"k".as_slice();
        let rows = RowsId(5);
        let ops = vec![
            Op::Put { key, body: &[0, 0, b'v'] },
            Op::Splice { key, at: 1, remove: 2, was: 300, insert: b"ab" },
            Op::Delete { key },
            Op::Touch { key },
            Op::PutRow { key, rows, row: b"r", value: b"v" },
            Op::DeleteRow { key, rows, row: b"r" },
            Op::DeleteRows { key, rows, from: b"a", to: b"" },
            Op::Clear,
        ];
        (out, ops)
    }

    #[test]
    fn golden_bytes_of_every_op() {
        let (out, ops) = all_ops();
        let golden: &[u8] = &[
            1, // version
            1, 1, b'k', 3, 0, 0, b'v', // Put
            2, 1, b'k', 1, 2, 0xac, 2, 2, b'a', b'b', // Splice
            3, 1, b'k', // Delete
            4, 1, b'k', // Touch
            5, 1, b'k', 5, 1, b'r', 1, b'v', // PutRow
            6, 1, b'k', 5, 1, b'r', // DeleteRow
            7, 1, b'k', 5, 1, b'a', 0, // DeleteRows
            8, // Clear
        ];
        assert_eq!(out.bytes(), golden);
        let read: Result<Vec<_>, _> = Ops::new(golden).unwrap().collect();
        assert_eq!(read.unwrap(), ops);
    }

    #[test]
    fn a_cut_payload_gives_whole_ops_then_one_error() {
        let (out, ops) = all_ops();
        for end in 1..out.bytes().len() {
            let read: Vec<_> = Ops::new(&out.bytes()[..end]).unwrap().collect();
            let whole = read.iter().filter(|op| op.is_ok()).count();
            assert!(read.iter().take(whole).zip(&ops).all(|(read, op)| read.as_ref() == Ok(op)));
            assert!(read.len() - whole <= 1);
        }
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(Ops::new(&[9, 1]).unwrap_err(), OpDecodeError::Version(9));
        let read: Vec<_> = Ops::new(&[1, 77]).unwrap().collect();
        assert_eq!(read, [Err(OpDecodeError::Tag { tag: 77, at: 1 })]);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            if let Ok(ops) = Ops::new(&bytes) {
                let _ = ops.count();
            }
        }
    }
}
