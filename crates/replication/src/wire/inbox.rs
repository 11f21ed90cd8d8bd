//! Finds the messages in the bytes of a link: [`Inbox`].
//!
//! ```text
//!   socket ──room()──▶ | consumed | message | message | part of one |
//!                                  next_reply, next_request
//! ```
//!
//! What was read once is not read again, and memory grows with what has arrived: a message that claims 600 MiB costs
//! them only once they are there.

use std::ops::Range;

use resp::{Limits, Parsed, Parser, Trust};

use super::{MAX_DATABASES, MAX_TEXT, Refusal, Reply, Request, WireError};

/// Room for a read, at least.
const READ_BYTES: usize = 64 << 10;
/// Memory that is kept while nothing is in it.
const KEPT_BYTES: usize = 1 << 20;
/// The longest line, in bytes: a refusal of another server may be longer than ours are.
const MAX_LINE: usize = 16 << 10;
/// The longest string in a message of a replica, in bytes: a lineage.
const MAX_REQUEST_BULK: usize = 16 << 10;
/// The most strings in a message: a control message with every database, five for each.
const MAX_STRINGS: usize = 16 + 5 * MAX_DATABASES;

/// Whose messages come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those of a primary: [`Inbox::next_reply`].
    FromPrimary,
    /// Those of a replica: [`Inbox::next_request`].
    FromReplica,
}

/// The bytes of a link that have arrived, and how far they were read.
#[derive(Debug)]
pub struct Inbox {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the present message begins.
    start: usize,
    /// Bytes of the message that was given out last; it is dropped by the next call.
    given: usize,
    /// Bytes of the present message that are needed before it is worth another look.
    wanted: usize,
    /// Bytes of the present line in which there is no end.
    scanned: usize,
    parser: Parser,
    request: resp::Request,
}

/// What lies at the front.
enum Item {
    /// A line, its marker included, its end not.
    Line(Range<usize>),
    /// An array; its strings are in `request`, counted from the position.
    Array(usize),
}

impl Inbox {
    /// An inbox in which `arrived` lies already.
    #[must_use]
    pub fn new(side: Side, arrived: Vec<u8>) -> Self {
        let max_bulk_len = match side {
            Side::FromPrimary => replog::MAX_FRAME,
            Side::FromReplica => MAX_REQUEST_BULK,
        };
        let limits =
            Limits { max_bulk_len, max_multibulk: MAX_STRINGS, max_inline: MAX_TEXT, trust: Trust::Authenticated };
        Self {
            limits,
            buffer: arrived,
            start: 0,
            given: 0,
            wanted: 1,
            scanned: 0,
            parser: Parser::new(),
            request: resp::Request::new(),
        }
    }

    /// Where bytes that arrive are to be appended. It has room for as many as are worth a read.
    pub fn room(&mut self) -> &mut Vec<u8> {
        self.drop_given();
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let len = self.buffer.len();
        if len == 0 && self.buffer.capacity() > KEPT_BYTES {
            self.buffer.shrink_to(READ_BYTES);
        }
        // At most twice what is there: a length that was only promised gets no memory.
        let missing = self.wanted.saturating_sub(len);
        self.buffer.reserve(missing.min(len).max(READ_BYTES));
        &mut self.buffer
    }

    /// Bytes that have arrived and were not given out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start - self.given
    }

    /// Whether everything that arrived was given out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next message of a primary; `None` if it is not all there.
    ///
    /// # Errors
    /// When the bytes are no such message. The link is of no use any more.
    pub fn next_reply(&mut self) -> Result<Option<Reply<'_>>, WireError> {
        match self.next_item()? {
            None => Ok(None),
            Some(Item::Line(line)) => read_line(&self.buffer[line]).map(Some),
            Some(Item::Array(at)) => {
                let strings: Vec<&[u8]> = self.request.args(&self.buffer[at..]).collect();
                Reply::decode(&strings).map(Some)
            }
        }
    }

    /// The next message of a replica; `None` if it is not all there.
    ///
    /// # Errors
    /// When the bytes are no such message. The link is of no use any more.
    pub fn next_request(&mut self) -> Result<Option<Request>, WireError> {
        match self.next_item()? {
            None => Ok(None),
            Some(Item::Line(_)) => Err(WireError::Framing("a line from a replica".to_owned())),
            Some(Item::Array(at)) => {
                let strings: Vec<&[u8]> = self.request.args(&self.buffer[at..]).collect();
                Request::decode(&strings).map(Some)
            }
        }
    }

    fn next_item(&mut self) -> Result<Option<Item>, WireError> {
        self.drop_given();
        loop {
            let input = &self.buffer[self.start..];
            match input.first() {
                Some(b'*') => {}
                Some(b'+' | b'-') => return self.line(),
                Some(other) => return Err(WireError::Framing(format!("it begins with byte {other}"))),
                None => return Ok(None),
            }
            if input.len() < self.wanted {
                return Ok(None);
            }
            match self.parser.parse(input, &self.limits, &mut self.request) {
                Ok(Parsed::Complete { consumed }) => {
                    (self.given, self.wanted) = (consumed, 1);
                    return Ok(Some(Item::Array(self.start)));
                }
                Ok(Parsed::Empty { consumed }) => {
                    self.start += consumed;
                    self.wanted = 1;
                }
                Ok(Parsed::Incomplete { wanted }) => {
                    self.wanted = wanted;
                    return Ok(None);
                }
                Err(error) => return Err(WireError::Framing(error.to_string())),
            }
        }
    }

    fn line(&mut self) -> Result<Option<Item>, WireError> {
        let input = &self.buffer[self.start..];
        match input[self.scanned..].iter().position(|&byte| byte == b'\n') {
            Some(at) => {
                let len = self.scanned + at + 1;
                (self.given, self.scanned) = (len, 0);
                Ok(Some(Item::Line(self.start..self.start + len - 1)))
            }
            None if input.len() > MAX_LINE => Err(WireError::Framing("a line without an end".to_owned())),
            None => {
                self.scanned = input.len();
                Ok(None)
            }
        }
    }

    fn drop_given(&mut self) {
        self.start += self.given;
        self.given = 0;
    }
}

fn read_line(line: &[u8]) -> Result<Reply<'static>, WireError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.split_first() {
        Some((b'+', b"OK")) => Ok(Reply::Ok),
        Some((b'-', text)) => Ok(Reply::Refused(Refusal::new(&String::from_utf8_lossy(text)))),
        _ => Err(unknown(line)),
    }
}

/// The error for a name that nobody knows.
pub(super) fn unknown(name: &[u8]) -> WireError {
    const SHOWN: usize = 32;
    WireError::Unknown(name[..name.len().min(SHOWN)].escape_ascii().to_string())
}
