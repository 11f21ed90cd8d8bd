//! The client's side: reads one reply, of either protocol, into an owned value. For tools, tests and links to other
//! servers; the server itself reads requests with [`crate::Parser`].
//!
//! A reply that is not yet whole is read again from its start on the next call. Streamed strings and aggregates,
//! which RESP3 describes and Redis never sends, are refused.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use memchr::memchr;

use crate::float::parse_f64;
use crate::integer::parse_i64;

/// The longest line outside a bulk string: a simple string, an error, a big number.
const MAX_LINE: usize = 64 << 10;

/// Values allocated on the word of an aggregate's header alone; more come as the values themselves do.
const MAX_RESERVED: usize = 64;

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+text`.
    Simple(Vec<u8>),
    /// `-CODE text`, or its RESP3 form with a length.
    Error(Vec<u8>),
    /// `:1`.
    Integer(i64),
    /// `$3`, and the bytes.
    Bulk(Vec<u8>),
    /// `$-1`, the absence of a string in RESP2.
    NullBulk,
    /// `*-1`, the absence of an array in RESP2.
    NullArray,
    /// `_`, the absence of anything in RESP3.
    Null,
    /// `*2`, and the values.
    Array(Vec<Value>),
    /// `%2`, and the pairs in the order they came.
    Map(Vec<(Value, Value)>),
    /// `~2`, and the values in the order they came.
    Set(Vec<Value>),
    /// `>2`, and the values: not the reply to a command.
    Push(Vec<Value>),
    /// `,1.5`.
    Double(f64),
    /// `#t` or `#f`.
    Boolean(bool),
    /// `(123`: decimal digits, perhaps after a minus sign.
    BigNumber(Vec<u8>),
    /// `=7`, three letters that say how to show the text, `:`, and the text.
    Verbatim {
        /// Such as `txt` or `mkd`.
        format: [u8; 3],
        /// The text without that prefix.
        text: Vec<u8>,
    },
    /// `|1`, the pairs, and the value they describe.
    Attributed {
        /// The pairs in the order they came.
        attributes: Vec<(Value, Value)>,
        /// What they describe.
        value: Box<Value>,
    },
}

/// The bounds on one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// The longest string in bytes.
    pub max_bulk_len: usize,
    /// The most values, or pairs, in one aggregate.
    pub max_elements: usize,
    /// How many aggregates may lie in each other.
    pub max_depth: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self { max_bulk_len: 512 << 20, max_elements: 1 << 20, max_depth: 32 }
    }
}

/// Bytes that are no reply. The stream cannot be resynchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A value begins with a byte that marks no type.
    UnknownType(u8),
    /// A line that is too long, lacks its CR LF, or does not hold what its type calls for.
    MalformedLine,
    /// A string longer than [`ReplyLimits::max_bulk_len`].
    TooLong,
    /// An aggregate longer than [`ReplyLimits::max_elements`].
    TooManyElements,
    /// Aggregates nested deeper than [`ReplyLimits::max_depth`].
    TooDeep,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => write!(f, "no reply begins with {:?}", char::from(*byte)),
            Self::MalformedLine => f.write_str("malformed line in a reply"),
            Self::TooLong => f.write_str("string in a reply too long"),
            Self::TooManyElements => f.write_str("too many elements in a reply"),
            Self::TooDeep => f.write_str("reply nested too deeply"),
        }
    }
}

impl core::error::Error for ReplyError {}

/// Reads the reply at the front of `input` and says how many bytes it took; `None` if it is not whole yet.
pub fn parse_reply(input: &[u8], limits: &ReplyLimits) -> Result<Option<(Value, usize)>, ReplyError> {
    let mut cursor = Cursor { input, at: 0, limits };
    match cursor.value(0) {
        Ok(value) => Ok(Some((value, cursor.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Wrong(error)) => Err(error),
    }
}

/// Why no value came: the input ended first, or it is wrong.
enum Stop {
    Incomplete,
    Wrong(ReplyError),
}

impl From<ReplyError> for Stop {
    fn from(error: ReplyError) -> Self {
        Self::Wrong(error)
    }
}

struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
    limits: &'a ReplyLimits,
}

impl<'a> Cursor<'a> {
    /// The value at the cursor, inside `depth` aggregates.
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        let &marker = self.input.get(self.at).ok_or(Stop::Incomplete)?;
        if !b"+-:$*_%~>,#(=|!".contains(&marker) {
            return Err(ReplyError::UnknownType(marker).into());
        }
        self.at += 1;
        let line = self.line()?;
        Ok(match (marker, line) {
            (b'$', b"-1") => Value::NullBulk,
            (b'*', b"-1") => Value::NullArray,
            (b'$', _) => Value::Bulk(self.bulk(line)?.to_vec()),
            (b'!', _) => Value::Error(self.bulk(line)?.to_vec()),
            (b'=', _) => verbatim(self.bulk(line)?)?,
            (b'*', _) => Value::Array(self.values(line, depth)?),
            (b'~', _) => Value::Set(self.values(line, depth)?),
            (b'>', _) => Value::Push(self.values(line, depth)?),
            (b'%', _) => Value::Map(self.pairs(line, depth)?),
            (b'|', _) => {
                let attributes = self.pairs(line, depth)?;
                Value::Attributed { attributes, value: Box::new(self.value(depth + 1)?) }
            }
            _ => one_line(marker, line).ok_or(ReplyError::MalformedLine)?,
        })
    }

    /// The rest of the line at the cursor, without its end.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.input[self.at..];
        let window = &rest[..rest.len().min(MAX_LINE + 1)];
        let Some(end) = memchr(b'\r', window) else {
            return Err(if rest.len() > MAX_LINE { ReplyError::MalformedLine.into() } else { Stop::Incomplete });
        };
        self.line_end(self.at + end)?;
        Ok(&rest[..end])
    }

    /// Moves the cursor behind the line end that must be at `at`.
    fn line_end(&mut self, at: usize) -> Result<(), Stop> {
        match self.input.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {
                self.at = at + 2;
                Ok(())
            }
            [] | [b'\r'] => Err(Stop::Incomplete),
            _ => Err(ReplyError::MalformedLine.into()),
        }
    }

    /// The bytes of a string whose length is `line`.
    fn bulk(&mut self, line: &[u8]) -> Result<&'a [u8], Stop> {
        let len = length(line)?;
        if len > self.limits.max_bulk_len {
            return Err(ReplyError::TooLong.into());
        }
        let start = self.at;
        let bytes = self.input.get(start..start.saturating_add(len)).ok_or(Stop::Incomplete)?;
        self.line_end(start + len)?;
        Ok(bytes)
    }

    fn values(&mut self, line: &[u8], depth: usize) -> Result<Vec<Value>, Stop> {
        let count = self.count(line, depth)?;
        let mut values = Vec::with_capacity(count.min(MAX_RESERVED));
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(values)
    }

    fn pairs(&mut self, line: &[u8], depth: usize) -> Result<Vec<(Value, Value)>, Stop> {
        let count = self.count(line, depth)?;
        let mut pairs = Vec::with_capacity(count.min(MAX_RESERVED));
        for _ in 0..count {
            pairs.push((self.value(depth + 1)?, self.value(depth + 1)?));
        }
        Ok(pairs)
    }

    /// The length of an aggregate that lies in `depth` others.
    fn count(&self, line: &[u8], depth: usize) -> Result<usize, ReplyError> {
        let count = length(line)?;
        if count > self.limits.max_elements {
            return Err(ReplyError::TooManyElements);
        }
        if depth >= self.limits.max_depth {
            return Err(ReplyError::TooDeep);
        }
        Ok(count)
    }
}

fn length(line: &[u8]) -> Result<usize, ReplyError> {
    parse_i64(line).and_then(|length| usize::try_from(length).ok()).ok_or(ReplyError::MalformedLine)
}

fn verbatim(bytes: &[u8]) -> Result<Value, ReplyError> {
    match bytes {
        [a, b, c, b':', text @ ..] => Ok(Value::Verbatim { format: [*a, *b, *c], text: text.to_vec() }),
        _ => Err(ReplyError::MalformedLine),
    }
}

/// A value that is one line; `None` if the line does not fit the marker.
fn one_line(marker: u8, line: &[u8]) -> Option<Value> {
    match (marker, line) {
        (b'+', _) => Some(Value::Simple(line.to_vec())),
        (b'-', _) => Some(Value::Error(line.to_vec())),
        (b':', _) => parse_i64(line).map(Value::Integer),
        (b'_', b"") => Some(Value::Null),
        (b'#', b"t") => Some(Value::Boolean(true)),
        (b'#', b"f") => Some(Value::Boolean(false)),
        (b',', b"nan") => Some(Value::Double(f64::NAN)),
        (b',', _) => parse_f64(line).map(Value::Double),
        (b'(', _) => {
            let digits = line.strip_prefix(b"-").unwrap_or(line);
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            is_number.then(|| Value::BigNumber(line.to_vec()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
