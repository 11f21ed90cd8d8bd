//! The request parser: incremental, without copying, bug for bug as Redis reads a client.
//!
//! ```text
//!   FirstLine ──"*3\r\n"──▶ Header ──"$5\r\n"──▶ Body ──5 bytes and 2 more──▶ Header ──▶ … ──▶ Complete
//!       └──────"PING\n"─────────────────────────────────────────────────────────────────▶ Complete
//! ```
//!
//! The caller passes the unconsumed bytes from the start of the current request, on every call the same bytes or more
//! of them; offsets count from there, so the buffer may move between calls. What was read once is not read again: a
//! request that arrives in many pieces costs as much as one that arrives whole.
//!
//! As in Redis, and pinned by tests: the two bytes after an argument are skipped unread; the byte after the CR of a
//! length line too; a NUL hides the rest of a line, which therefore never ends and fails once it is too long. Unlike
//! Redis, whose answer depends on how the bytes arrive, a line longer than [`Limits::max_inline`] is refused even if
//! its end is already there.

use alloc::vec::Vec;
use core::mem;

use memchr::memchr2;

use crate::inline;
use crate::integer::parse_i64;
use crate::protocol_error::ProtocolError;
use crate::request::{Request, Span};

/// What Redis allows a client that has not authenticated, in arguments.
const UNAUTHENTICATED_MULTIBULK: usize = 10;

/// What Redis allows a client that has not authenticated, in bytes of one argument.
const UNAUTHENTICATED_BULK: usize = 16384;

/// The bounds on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest argument in bytes (`proto-max-bulk-len`).
    pub max_bulk_len: usize,
    /// The most arguments.
    pub max_multibulk: usize,
    /// The longest inline request, and the longest line that holds a length, in bytes before its end.
    pub max_inline: usize,
    /// Whether the client has authenticated, or need not.
    pub trust: Trust,
}

impl Default for Limits {
    /// Redis 7.2's: 512 MiB, `INT_MAX` arguments, 64 KiB, a client that need not authenticate.
    fn default() -> Self {
        Self {
            max_bulk_len: 512 << 20,
            max_multibulk: i32::MAX as usize,
            max_inline: 64 << 10,
            trust: Trust::Authenticated,
        }
    }
}

/// How far a client is trusted with our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Authenticated, or no password is set: the limits as they stand.
    Authenticated,
    /// A password is due: ten arguments of at most 16 KiB each.
    Unauthenticated,
}

/// How a call of [`Parser::parse`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The request holds a command of at least one argument.
    Complete {
        /// Bytes to drop from the front of the input once the command is done.
        consumed: usize,
    },
    /// A blank line, or a count of zero or less: no command, and no reply is due.
    Empty {
        /// Bytes to drop from the front of the input.
        consumed: usize,
    },
    /// The input ends inside the request.
    Incomplete {
        /// Length of input, from the start of the request, below which another call is useless: the end of the
        /// argument at hand where that is known, else one byte more. The client chose it; do not allocate it on its
        /// word alone.
        wanted: usize,
    },
}

/// How far the current request has been read. One a connection.
///
/// The arguments found so far wait here, not in the caller's [`Request`], so one `Request` may serve many
/// connections. A parser between requests holds no memory.
#[derive(Debug, Default)]
pub struct Parser {
    stage: Stage,
    spans: Vec<Span>,
}

impl Parser {
    /// A parser at the start of a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one request from the front of `input` into `request`.
    ///
    /// After `Complete` and `Empty` the parser stands at the start of the next request, at `input[consumed..]`. After
    /// an error it is at its start too, but the stream has lost its meaning.
    ///
    /// # Panics
    /// If `input` is shorter than in the call that answered `Incomplete`.
    #[inline]
    pub fn parse(&mut self, input: &[u8], limits: &Limits, request: &mut Request) -> Result<Parsed, ProtocolError> {
        request.clear();
        let result = match mem::take(&mut self.stage) {
            Stage::FirstLine { scanned } => match input.first() {
                None => Ok(Parsed::Incomplete { wanted: 1 }),
                Some(b'*') => self.count(input, scanned, limits, request),
                Some(_) => self.inline(input, scanned, limits, request),
            },
            Stage::Arguments { left, next } => {
                request.spans = mem::take(&mut self.spans);
                self.arguments(input, left, next, limits, request)
            }
        };
        if result.is_err() {
            request.clear();
        }
        result
    }

    /// The line that says how many arguments follow.
    fn count(
        &mut self,
        input: &[u8],
        scanned: usize,
        limits: &Limits,
        request: &mut Request,
    ) -> Result<Parsed, ProtocolError> {
        let (count, at) = match short_number(input) {
            Some((count, len)) => (count, len),
            None => match number_line(input, scanned, limits.max_inline).ok_or(ProtocolError::TooBigMultibulkCount)? {
                Line::Partial { scanned } => {
                    self.stage = Stage::FirstLine { scanned };
                    return Ok(Parsed::Incomplete { wanted: input.len() + 1 });
                }
                Line::Whole { number: None, .. } => {
                    return Err(ProtocolError::InvalidMultibulkLength);
                }
                // A negative count is an empty request.
                Line::Whole { number: Some(number), len } => (usize::try_from(number).unwrap_or(0), len),
            },
        };
        if count > limits.max_multibulk {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if count > UNAUTHENTICATED_MULTIBULK && limits.trust == Trust::Unauthenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        if count == 0 {
            return Ok(Parsed::Empty { consumed: at });
        }
        self.arguments(input, count, Next::Header { at, scanned: 0 }, limits, request)
    }

    /// The arguments, of which `left` are missing and the first of these is at `next`.
    #[inline]
    fn arguments(
        &mut self,
        input: &[u8],
        mut left: usize,
        mut next: Next,
        limits: &Limits,
        request: &mut Request,
    ) -> Result<Parsed, ProtocolError> {
        loop {
            let (start, len) = match next {
                Next::Body { at, len } => (at, len),
                Next::Header { at, scanned } => match bulk_header(&input[at..], scanned, limits)? {
                    Header::Whole { len, header_len } => (at + header_len, len),
                    Header::Partial { scanned } => {
                        self.pause(left, Next::Header { at, scanned }, request);
                        return Ok(Parsed::Incomplete { wanted: input.len() + 1 });
                    }
                },
            };
            // The two bytes after an argument are counted but not looked at, as in Redis.
            let consumed = start.saturating_add(len).saturating_add(2);
            if input.len() < consumed {
                self.pause(left, Next::Body { at: start, len }, request);
                return Ok(Parsed::Incomplete { wanted: consumed });
            }
            request.spans.push(Span { start, end: start + len });
            left -= 1;
            if left == 0 {
                return Ok(Parsed::Complete { consumed });
            }
            next = Next::Header { at: consumed, scanned: 0 };
        }
    }

    #[cold]
    fn pause(&mut self, left: usize, next: Next, request: &mut Request) {
        self.spans = mem::take(&mut request.spans);
        self.stage = Stage::Arguments { left, next };
    }

    #[cold]
    fn inline(
        &mut self,
        input: &[u8],
        scanned: usize,
        limits: &Limits,
        request: &mut Request,
    ) -> Result<Parsed, ProtocolError> {
        match line_end(b'\n', input, scanned, limits.max_inline).ok_or(ProtocolError::TooBigInline)? {
            LineEnd::Missing { scanned } => {
                self.stage = Stage::FirstLine { scanned };
                Ok(Parsed::Incomplete { wanted: input.len() + 1 })
            }
            LineEnd::At(at) => {
                let line = &input[..at];
                inline::split(line.strip_suffix(b"\r").unwrap_or(line), request)?;
                let consumed = at + 1;
                if request.is_empty() { Ok(Parsed::Empty { consumed }) } else { Ok(Parsed::Complete { consumed }) }
            }
        }
    }
}

/// Where a request stands between two calls. It waits for the client without a deadline of its own: the server's idle
/// timeout covers it.
#[derive(Debug)]
enum Stage {
    /// At most a part of the first line has come, of which `scanned` bytes hold no line end.
    FirstLine { scanned: usize },
    /// `left` arguments are missing, at least one.
    Arguments { left: usize, next: Next },
}

impl Default for Stage {
    fn default() -> Self {
        Self::FirstLine { scanned: 0 }
    }
}

/// The first missing part of a multibulk request.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The line with an argument's length begins at `at`; `scanned` bytes of it hold no line end.
    Header { at: usize, scanned: usize },
    /// An argument of `len` bytes begins at `at`.
    Body { at: usize, len: usize },
}

enum Header {
    Whole { len: usize, header_len: usize },
    Partial { scanned: usize },
}

/// Reads the length of an argument from `line`, which begins where `$` should stand.
#[inline]
fn bulk_header(line: &[u8], scanned: usize, limits: &Limits) -> Result<Header, ProtocolError> {
    if let (Some(b'$'), Some((len, header_len))) = (line.first(), short_number(line)) {
        check_bulk_len(len, limits)?;
        return Ok(Header::Whole { len, header_len });
    }
    slow_bulk_header(line, scanned, limits)
}

fn slow_bulk_header(line: &[u8], scanned: usize, limits: &Limits) -> Result<Header, ProtocolError> {
    match number_line(line, scanned, limits.max_inline).ok_or(ProtocolError::TooBigBulkCount)? {
        Line::Partial { scanned } => Ok(Header::Partial { scanned }),
        Line::Whole { .. } if line[0] != b'$' => Err(ProtocolError::ExpectedDollar { got: line[0] }),
        Line::Whole { number, len: header_len } => {
            let len = number.and_then(|number| usize::try_from(number).ok()).ok_or(ProtocolError::InvalidBulkLength)?;
            check_bulk_len(len, limits)?;
            Ok(Header::Whole { len, header_len })
        }
    }
}

#[inline]
fn check_bulk_len(len: usize, limits: &Limits) -> Result<(), ProtocolError> {
    if len > limits.max_bulk_len {
        return Err(ProtocolError::InvalidBulkLength);
    }
    if len > UNAUTHENTICATED_BULK && limits.trust == Trust::Unauthenticated {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(())
}

/// A number of one to three digits after the line's first byte, and the line's length with its end. Nearly every line
/// of nearly every request; whatever is not of this form, wrong or only long, goes to [`number_line`].
#[inline]
fn short_number(line: &[u8]) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte - b'0');
    match *line {
        [_, a @ b'0'..=b'9', b'\r', _, ..] => Some((digit(a), 4)),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => Some((digit(a) * 10 + digit(b), 5)),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _, ..] => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), 6))
        }
        _ => None,
    }
}

/// A line that should hold a number after its first byte.
enum Line {
    /// `number` is `None` if the line holds something else; `len` includes the line's end.
    Whole {
        number: Option<i64>,
        len: usize,
    },
    Partial {
        scanned: usize,
    },
}

/// Reads the line at the front of `input`; `None` if it is longer than `max_len`.
fn number_line(input: &[u8], scanned: usize, max_len: usize) -> Option<Line> {
    Some(match line_end(b'\r', input, scanned, max_len)? {
        LineEnd::Missing { scanned } => Line::Partial { scanned },
        LineEnd::At(at) if input.len() < at + 2 => Line::Partial { scanned: at },
        // A line that begins with its end has no first byte to skip; its caller rejects it.
        LineEnd::At(at) => Line::Whole { number: input.get(1..at).and_then(parse_i64), len: at + 2 },
    })
}

enum LineEnd {
    At(usize),
    Missing { scanned: usize },
}

/// Looks for the byte `end` in `input`, of which `scanned` bytes are known not to hold it; `None` if more than
/// `max_len` bytes would come before it.
fn line_end(end: u8, input: &[u8], scanned: usize, max_len: usize) -> Option<LineEnd> {
    let window = &input[..input.len().min(max_len.saturating_add(1))];
    // Redis searches with strchr, for which the text ends at a NUL.
    let found = memchr2(end, 0, &window[scanned..]).map(|at| scanned + at);
    match found {
        Some(at) if window[at] == end => Some(LineEnd::At(at)),
        _ if input.len() > max_len => None,
        Some(nul) => Some(LineEnd::Missing { scanned: nul }),
        None => Some(LineEnd::Missing { scanned: window.len() }),
    }
}

#[cfg(test)]
mod tests;
