//! The record: everything stored directly under a user key.
//!
//! ```text
//! [lsn u64 LE][kind | encoding << 4 u8][flags u8][expire-at ms u64 LE, if flags & 1][payload]
//! '--- 8 ---' '------------------------ body -----------------------------------------------'
//! ```
//!
//! The *body* is what the log carries; the LSN in front of it is that of the frame that last changed the record, and
//! is what makes replay idempotent.

use alloc::vec::Vec;
use core::fmt;

/// Bytes of the LSN in front of a body.
pub const LSN_BYTES: usize = 8;
const FLAG_EXPIRES: u8 = 1;
const FLAG_EDITED: u8 = 2;
const KNOWN_FLAGS: u8 = FLAG_EXPIRES | FLAG_EDITED;

/// A point in time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

/// The number of a set of rows; never used twice in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowsId(pub u64);

/// The type a user sees (`TYPE key`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A string, also a bitmap.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    Zset = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 5,
}

impl Kind {
    /// The word of the TYPE command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::String,
            1 => Self::List,
            2 => Self::Set,
            3 => Self::Zset,
            4 => Self::Hash,
            5 => Self::Stream,
            _ => return None,
        })
    }
}

/// Where the elements lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// All of the value is in the payload.
    Packed = 0,
    /// The payload is a header, the elements are rows.
    Exploded = 1,
}

/// All of a record but its LSN and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The type.
    pub kind: Kind,
    /// Where the elements lie.
    pub encoding: Encoding,
    /// When the record stops to exist, if ever.
    pub expire_at: Option<Millis>,
    /// A short string was changed in place since it was set, which OBJECT ENCODING shows.
    pub is_edited: bool,
}

impl Head {
    /// The head of a packed string.
    #[must_use]
    pub const fn string(expire_at: Option<Millis>) -> Self {
        Self::new(Kind::String, Encoding::Packed, expire_at)
    }

    /// The head of a value as it is made.
    #[must_use]
    pub const fn new(kind: Kind, encoding: Encoding, expire_at: Option<Millis>) -> Self {
        Self { kind, encoding, expire_at, is_edited: false }
    }

    /// Appends the bytes in front of the payload of a body.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tag = self.kind as u8 | (self.encoding as u8) << 4;
        let edited = if self.is_edited { FLAG_EDITED } else { 0 };
        match self.expire_at {
            None => out.extend_from_slice(&[tag, edited]),
            Some(Millis(at)) => {
                out.extend_from_slice(&[tag, FLAG_EXPIRES | edited]);
                out.extend_from_slice(&at.to_le_bytes());
            }
        }
    }

    /// Bytes that [`Head::encode`] appends.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        if self.expire_at.is_some() { 10 } else { 2 }
    }
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Shorter than its own head.
    Short,
    /// A type this version does not know.
    Kind(u8),
    /// An encoding this version does not know.
    Encoding(u8),
    /// Flags this version does not know.
    Flags(u8),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "the record is cut short"),
            Self::Kind(bits) => write!(f, "the record has the unknown type {bits}"),
            Self::Encoding(bits) => write!(f, "the record has the unknown encoding {bits}"),
            Self::Flags(bits) => write!(f, "the record has unknown flags {bits:#x}"),
        }
    }
}

impl core::error::Error for RecordError {}

/// A record as read: its head, and a loan of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// LSN of the frame that last changed it; 0 while that frame is being made.
    pub lsn: u64,
    /// Type, encoding, expiry.
    pub head: Head,
    /// The value, or the header of an exploded one.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a stored record.
    ///
    /// # Errors
    /// When the bytes were not written by this version of the format.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (lsn, body) = bytes.split_first_chunk::<LSN_BYTES>().ok_or(RecordError::Short)?;
        let mut record = Self::decode_body(body)?;
        record.lsn = u64::from_le_bytes(*lsn);
        Ok(record)
    }

    /// Reads a body, the part of a record that is in the log.
    ///
    /// # Errors
    /// When the bytes were not written by this version of the format.
    #[inline]
    pub fn decode_body(body: &'a [u8]) -> Result<Self, RecordError> {
        let (&[tag, flags], rest) = body.split_first_chunk::<2>().ok_or(RecordError::Short)?;
        let kind = Kind::from_bits(tag & 0x0f).ok_or(RecordError::Kind(tag & 0x0f))?;
        let encoding = match tag >> 4 {
            0 => Encoding::Packed,
            1 => Encoding::Exploded,
            bits => return Err(RecordError::Encoding(bits)),
        };
        if flags & !KNOWN_FLAGS != 0 {
            return Err(RecordError::Flags(flags));
        }
        let (expire_at, payload) = if flags & FLAG_EXPIRES == 0 {
            (None, rest)
        } else {
            let (at, payload) = rest.split_first_chunk::<8>().ok_or(RecordError::Short)?;
            (Some(Millis(u64::from_le_bytes(*at))), payload)
        };
        let is_edited = flags & FLAG_EDITED != 0;
        Ok(Self { lsn: 0, head: Head { kind, encoding, expire_at, is_edited }, payload })
    }

    /// Whether readers at `now` no longer see it.
    #[inline]
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.head.expire_at.is_some_and(|at| at <= now)
    }

    /// The rows id of an exploded record. Every header of an exploded type begins with it.
    #[must_use]
    pub fn rows_id(&self) -> Option<RowsId> {
        if self.head.encoding == Encoding::Packed {
            return None;
        }
        let id = self.payload.first_chunk::<8>()?;
        Some(RowsId(u64::from_le_bytes(*id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn golden_string() {
        let mut bytes = 0x0102_0304u64.to_le_bytes().to_vec();
        Head::string(None).encode(&mut bytes);
        bytes.extend_from_slice(b"hay");
        assert_eq!(bytes, [4, 3, 2, 1, 0, 0, 0, 0, 0x00, 0x00, b'h', b'a', b'y']);
    }

    #[test]
    fn golden_edited_string() {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0];
        let head = Head { is_edited: true, ..Head::string(None) };
        head.encode(&mut bytes);
        bytes.push(b'7');
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x02, b'7']);
        assert_eq!(Record::decode(&bytes).unwrap().head, head);
        let head = Head { is_edited: true, ..Head::string(Some(Millis(5))) };
        bytes.clear();
        head.encode(&mut bytes);
        assert_eq!((bytes[1], Record::decode_body(&bytes).unwrap().head), (3, head));
    }

    #[test]
    fn golden_exploded_hash_that_expires() {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0];
        let head = Head::new(Kind::Hash, Encoding::Exploded, Some(Millis(0x0a0b)));
        head.encode(&mut bytes);
        bytes.extend_from_slice(&7u64.to_le_bytes());
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0, 0x14, 0x01, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        let record = Record::decode(&bytes).unwrap();
        assert_eq!((record.lsn, record.head, record.rows_id()), (1, head, Some(RowsId(7))));
        assert!(record.is_expired(Millis(0x0a0b)) && !record.is_expired(Millis(0x0a0a)));
    }

    #[test]
    fn strange_bytes_are_refused_with_the_reason() {
        let with = |tag: u8, flags: u8| Record::decode(&[0, 0, 0, 0, 0, 0, 0, 0, tag, flags, 1]).unwrap_err();
        assert_eq!(with(0x0f, 0), RecordError::Kind(15));
        assert_eq!(with(0x20, 0), RecordError::Encoding(2));
        assert_eq!(with(0, 4), RecordError::Flags(4));
        assert_eq!(with(0, 1), RecordError::Short);
        assert_eq!(Record::decode(&[0; 9]).unwrap_err(), RecordError::Short);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            if let Ok(record) = Record::decode(&bytes) {
                let _ = record.rows_id();
            }
        }
    }
}
