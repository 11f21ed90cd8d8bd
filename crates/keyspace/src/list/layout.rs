//! The payload of a list's record, taken apart where it lies.
//!
//! ```text
//! packed    [first half u32][elements][second half u32]
//! exploded  [rows id u64][from i64][to i64][bytes u64][head count u32][head bytes u32][head][tail][tail count u32]
//! row 'l' + i64 of its last element, big-endian with the sign bit inverted = [count u32][elements]
//! ```
//!
//! The number of elements of a packed list is the sum of its halves, modulo 2^32: a change of either end touches one
//! place only. Positions are counted so that an element keeps its own while others come and go at the ends: the middle
//! is `from..to`, the head lies before `from`, the tail begins at `to`. `bytes` is about what the nodes take.

use alloc::vec::Vec;

use super::sequence::{self, Elements};
use super::{End, ListError};
use crate::record::{Encoding, Kind, Record, RowsId};
use crate::view::Stop;

/// Bytes of a count in the record.
pub const COUNT: usize = 4;
/// Where the head's count is in an exploded payload.
pub const HEAD_COUNT_AT: usize = 32;
/// Where the head's elements begin.
pub const HEAD_AT: usize = 40;

const ROW_KIND: u8 = b'l';
const ROW_KEY_LEN: usize = 9;

/// Where the elements of a list are.
#[derive(Clone, Copy, Debug)]
pub enum Layout<'a> {
    /// All in the record.
    Packed(Packed<'a>),
    /// The ends in the record, the middle in rows.
    Exploded(Exploded<'a>),
}

impl<'a> Layout<'a> {
    /// Of a record.
    #[inline]
    pub fn of(record: &Record<'a>) -> Result<Self, ListError> {
        if record.head.kind != Kind::List {
            return Err(ListError::WrongType);
        }
        let layout = match record.head.encoding {
            Encoding::Packed => Packed::decode(record.payload).map(Self::Packed),
            Encoding::Exploded => Exploded::decode(record.payload).map(Self::Exploded),
        };
        layout.ok_or(ListError::Stop(Stop::Fault))
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> u64 {
        match self {
            Self::Packed(packed) => u64::from(packed.count()),
            Self::Exploded(exploded) => exploded.len(),
        }
    }
}

/// A packed list.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The number of elements is the sum of both.
    pub halves: [u32; 2],
    /// All of them.
    pub elements: &'a [u8],
}

impl<'a> Packed<'a> {
    #[inline]
    fn decode(payload: &'a [u8]) -> Option<Self> {
        let (first, rest) = payload.split_first_chunk::<COUNT>()?;
        let (elements, second) = rest.split_last_chunk::<COUNT>()?;
        Some(Self { halves: [u32::from_le_bytes(*first), u32::from_le_bytes(*second)], elements })
    }

    /// The number of elements.
    #[inline]
    pub const fn count(&self) -> u32 {
        self.halves[0].wrapping_add(self.halves[1])
    }

    /// The payload of a list of these elements.
    pub fn encode(count: u32, elements: [&[u8]; 2]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(2 * COUNT + elements[0].len() + elements[1].len());
        payload.extend_from_slice(&count.to_le_bytes());
        payload.extend_from_slice(elements[0]);
        payload.extend_from_slice(elements[1]);
        payload.extend_from_slice(&[0; COUNT]);
        payload
    }
}

/// The middle of an exploded list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Middle {
    /// The position of its first element.
    pub from: i64,
    /// The position after its last element.
    pub to: i64,
    /// About the bytes of its nodes: exact until a range of them is deleted unseen.
    pub bytes: u64,
}

impl Middle {
    /// The number of elements.
    pub const fn len(&self) -> u64 {
        self.to.wrapping_sub(self.from) as u64
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// About the bytes of `count` of its elements.
    pub const fn bytes_of(&self, count: u64) -> u64 {
        if self.is_empty() { 0 } else { (self.bytes as u128 * count as u128 / self.len() as u128) as u64 }
    }
}

/// An exploded list.
#[derive(Clone, Copy, Debug)]
pub struct Exploded<'a> {
    /// Its nodes.
    pub rows: RowsId,
    /// What they hold.
    pub middle: Middle,
    /// The elements before the middle.
    pub head: Part<'a>,
    /// The elements after the middle.
    pub tail: Part<'a>,
}

/// Some elements.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// How many.
    pub count: u32,
    /// The elements.
    pub bytes: &'a [u8],
}

impl<'a> Exploded<'a> {
    #[inline]
    fn decode(payload: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = payload.split_first_chunk::<HEAD_AT>()?;
        let (ends, tail_count) = rest.split_last_chunk::<COUNT>()?;
        let word = |at: usize| fixed[at..].first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
        let half = |at: usize| fixed[at..].first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        let (head, tail) = ends.split_at_checked(half(HEAD_COUNT_AT + COUNT)? as usize)?;
        let middle = Middle { from: word(8)? as i64, to: word(16)? as i64, bytes: word(24)? };
        (middle.from <= middle.to).then_some(())?;
        Some(Self {
            rows: RowsId(word(0)?),
            middle,
            head: Part { count: half(HEAD_COUNT_AT)?, bytes: head },
            tail: Part { count: u32::from_le_bytes(*tail_count), bytes: tail },
        })
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(HEAD_AT + self.head.bytes.len() + self.tail.bytes.len() + COUNT);
        payload.extend_from_slice(&self.rows.0.to_le_bytes());
        payload.extend_from_slice(&self.middle.from.to_le_bytes());
        payload.extend_from_slice(&self.middle.to.to_le_bytes());
        payload.extend_from_slice(&self.middle.bytes.to_le_bytes());
        payload.extend_from_slice(&self.head.count.to_le_bytes());
        payload.extend_from_slice(&(self.head.bytes.len() as u32).to_le_bytes());
        payload.extend_from_slice(self.head.bytes);
        payload.extend_from_slice(self.tail.bytes);
        payload.extend_from_slice(&self.tail.count.to_le_bytes());
        payload
    }

    /// The number of elements.
    #[inline]
    pub const fn len(&self) -> u64 {
        (self.head.count as u64 + self.tail.count as u64).saturating_add(self.middle.len())
    }

    /// One of the ends.
    #[inline]
    pub const fn end(&self, end: End) -> Part<'a> {
        match end {
            End::Head => self.head,
            End::Tail => self.tail,
        }
    }
}

/// Some elements of the middle, in a row of their own.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// The position of the last one.
    pub last: i64,
    /// How many.
    pub count: u32,
    /// The elements.
    pub elements: &'a [u8],
}

impl<'a> Node<'a> {
    /// Reads a row.
    pub fn decode(row: &[u8], value: &'a [u8]) -> Result<Self, Stop> {
        let decoded = || {
            let (&[kind], place) = row.split_first_chunk::<1>()?;
            let place = u64::from_be_bytes(place.try_into().ok()?);
            let (count, elements) = value.split_first_chunk::<COUNT>()?;
            let last = (place ^ (1 << 63)) as i64;
            (kind == ROW_KIND).then_some(Self { last, count: u32::from_le_bytes(*count), elements })
        };
        decoded().filter(|node: &Self| node.count > 0).ok_or(Stop::Fault)
    }

    /// The position of the first element.
    pub const fn first(&self) -> i64 {
        self.last.wrapping_sub(self.count as i64 - 1)
    }

    /// The bytes of its value.
    pub const fn value_len(&self) -> u64 {
        (COUNT + self.elements.len()) as u64
    }

    /// Its value.
    pub fn encode(count: u32, elements: &[u8]) -> Vec<u8> {
        let mut value = Vec::with_capacity(COUNT + elements.len());
        value.extend_from_slice(&count.to_le_bytes());
        value.extend_from_slice(elements);
        value
    }

    /// Its elements from position `from` on.
    pub fn elements_from(&self, from: i64) -> Result<Elements<'a>, Stop> {
        let skipped = from.saturating_sub(self.first()).max(0) as u64;
        Ok(Elements(&self.elements[sequence::offset(self.elements, u64::from(self.count), skipped)?..]))
    }
}

/// The row of the node whose last element is at a position. Rows are in the order of positions, so the first row that
/// is not before a position's is the node that holds it.
pub fn row_key(last: i64) -> [u8; ROW_KEY_LEN] {
    let [a, b, c, d, e, f, g, h] = (last as u64 ^ (1 << 63)).to_be_bytes();
    [ROW_KIND, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_packed() {
        let payload = Packed::encode(2, [&[1, b'a', 1], &[0, 0]]);
        assert_eq!(payload, [2, 0, 0, 0, 1, b'a', 1, 0, 0, 0, 0, 0, 0]);
        let packed = Packed::decode(&[0xff, 0xff, 0xff, 0xff, 1, b'a', 1, 0, 0, 3, 0, 0, 0]).unwrap();
        assert_eq!((packed.count(), packed.elements.len()), (2, 5));
    }

    #[test]
    fn golden_exploded() {
        let exploded = Exploded {
            rows: RowsId(7),
            middle: Middle { from: -2, to: 1, bytes: 0x0102 },
            head: Part { count: 1, bytes: &[1, b'a', 1] },
            tail: Part { count: 2, bytes: &[0, 0, 1, b'z', 1] },
        };
        let golden = [
            7, 0, 0, 0, 0, 0, 0, 0, // rows id
            0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // from
            1, 0, 0, 0, 0, 0, 0, 0, // to
            2, 1, 0, 0, 0, 0, 0, 0, // bytes
            1, 0, 0, 0, 3, 0, 0, 0, // head: count, bytes
            1, b'a', 1, // head
            0, 0, 1, b'z', 1, // tail
            2, 0, 0, 0, // tail: count
        ];
        assert_eq!(exploded.encode(), golden);
        let read = Exploded::decode(&golden).unwrap();
        assert_eq!((read.len(), read.encode()), (6, golden.to_vec()));
    }

    #[test]
    fn golden_node() {
        assert_eq!(row_key(-1), [b'l', 0x7f, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(row_key(258), [b'l', 0x80, 0, 0, 0, 0, 0, 1, 2]);
        let value = Node::encode(2, &[1, b'a', 1, 0, 0]);
        assert_eq!(value, [2, 0, 0, 0, 1, b'a', 1, 0, 0]);
        let node = Node::decode(&row_key(-5), &value).unwrap();
        assert_eq!((node.first(), node.last, node.elements), (-6, -5, &value[4..]));
        assert!(Node::decode(b"c12345678", &value).is_err() && Node::decode(&row_key(0), &[0; 4]).is_err());
    }

    proptest! {
        #[test]
        fn rows_are_in_the_order_of_positions(a: i64, b: i64) {
            prop_assert_eq!(row_key(a).cmp(&row_key(b)), a.cmp(&b));
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = Packed::decode(&bytes);
            let _ = Exploded::decode(&bytes);
            let _ = Node::decode(&row_key(1), &bytes);
        }
    }
}
