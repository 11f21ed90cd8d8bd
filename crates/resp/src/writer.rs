//! The reply writer: appends replies in the protocol the client has chosen.
//!
//! Where RESP2 lacks a type, the writer sends what Redis sends in its stead: a map becomes a flat array, a double a
//! bulk string, a boolean 1 or 0. Commands therefore state what they mean and never ask for the protocol.

use alloc::vec::Vec;
use core::mem;

use memchr::memchr2;

use crate::command::put_header;
use crate::float::format_f64;

/// The protocol a client speaks, chosen by `HELLO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The protocol of every client that has not said otherwise.
    Resp2,
    /// The protocol with maps, sets, doubles, booleans and pushes.
    Resp3,
}

/// Replies in the making: an owned buffer and the protocol to write in.
///
/// The buffer is unbounded; the server drains it and closes clients that do not read.
#[derive(Debug)]
pub struct Reply {
    buf: Vec<u8>,
    protocol: Protocol,
}

impl Reply {
    /// An empty buffer.
    pub fn new(protocol: Protocol) -> Self {
        Self::with_buffer(Vec::new(), protocol)
    }

    /// Appends to `buf`, keeping what it holds.
    pub fn with_buffer(buf: Vec<u8>, protocol: Protocol) -> Self {
        Self { buf, protocol }
    }

    /// The protocol of what is written next.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the protocol of what is written next.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Bytes in the buffer.
    #[inline]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether the buffer is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Drops everything after the first `len` bytes: a reply that turned out wrong.
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(len);
    }

    /// What has been written.
    #[inline]
    pub fn buffer(&self) -> &[u8] {
        &self.buf
    }

    /// Takes what has been written and leaves an empty buffer without capacity.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.buf)
    }

    /// Gives the buffer up.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buf
    }

    /// Appends bytes that are replies already.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.buf.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string. A CR or LF in `text` becomes a space.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error; `text` begins with its code, as in `ERR no such key`. A CR or LF in it becomes a space.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// An error whose text repeats bytes of the client's, which need not be UTF-8.
    pub fn error_bytes(&mut self, text: &[u8]) {
        self.line(b'-', text);
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match usize::try_from(value) {
            Ok(value) => put_header(b':', value, &mut self.buf),
            Err(_) => self.line(b':', itoa::Buffer::new().format(value).as_bytes()),
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        put_header(b'$', bytes.len(), &mut self.buf);
        self.buf.reserve(bytes.len() + 2);
        self.buf.extend_from_slice(bytes);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// The bulk string of length zero.
    pub fn empty_bulk(&mut self) {
        self.buf.extend_from_slice(b"$0\r\n\r\n");
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A double as a bulk string in either protocol, spelled as by [`format_f64`].
    pub fn bulk_double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(32);
        format_f64(value, &mut text);
        self.bulk(&text);
    }

    /// The absence of a value (RESP2: the null bulk string).
    #[inline]
    pub fn null(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.buf.extend_from_slice(b"$-1\r\n"),
            Protocol::Resp3 => self.buf.extend_from_slice(b"_\r\n"),
        }
    }

    /// The absence of an array (RESP2: the null array).
    #[inline]
    pub fn null_array(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.buf.extend_from_slice(b"*-1\r\n"),
            Protocol::Resp3 => self.buf.extend_from_slice(b"_\r\n"),
        }
    }

    /// Opens an array of `n` values, which follow.
    #[inline]
    pub fn array(&mut self, n: usize) {
        put_header(b'*', n, &mut self.buf);
    }

    /// Opens a map of `n` pairs: `2 n` values follow (RESP2: an array of them).
    pub fn map(&mut self, n: usize) {
        self.aggregate(Aggregate::Map, n);
    }

    /// Opens a set of `n` values (RESP2: an array).
    pub fn set(&mut self, n: usize) {
        self.aggregate(Aggregate::Set, n);
    }

    /// Opens a message of `n` values outside the order of replies (RESP2: an array).
    pub fn push(&mut self, n: usize) {
        self.aggregate(Aggregate::Push, n);
    }

    /// Opens `n` pairs that describe the value after them.
    ///
    /// # Panics
    /// In RESP2, which has no place for them: the caller asks [`Reply::protocol`] first, and leaves out the pairs
    /// too.
    pub fn attribute(&mut self, n: usize) {
        assert!(self.protocol == Protocol::Resp3, "an attribute in RESP2");
        put_header(b'|', n, &mut self.buf);
    }

    /// Opens an aggregate of `n` values, or of `n` pairs in a map.
    #[inline]
    pub fn aggregate(&mut self, kind: Aggregate, n: usize) {
        let (marker, count) = kind.header(self.protocol, n);
        put_header(marker, count, &mut self.buf);
    }

    /// Opens an aggregate whose length is known only at its end; the values follow, then [`Reply::end`].
    ///
    /// Nested ones end in the reverse order of their beginning, and the buffer is not taken in between.
    pub fn begin(&mut self, kind: Aggregate) -> Deferred {
        let at = self.buf.len();
        self.buf.extend_from_slice(&[0; DEFERRED_HEADER]);
        Deferred { at, kind }
    }

    /// Writes the header of an aggregate that turned out to have `n` values, or `n` pairs in a map.
    ///
    /// A header of more than one digit moves the values, which costs a copy of them.
    ///
    /// # Panics
    /// If the buffer no longer holds the place of the header.
    pub fn end(&mut self, deferred: Deferred, n: usize) {
        let (marker, count) = deferred.kind.header(self.protocol, n);
        let body = deferred.at + DEFERRED_HEADER;
        assert!(self.buf.len() >= body, "the buffer was taken or truncated under a deferred header");
        let mut header = Vec::with_capacity(24);
        put_header(marker, count, &mut header);
        let old_len = self.buf.len();
        self.buf.resize(old_len + header.len() - DEFERRED_HEADER, 0);
        self.buf.copy_within(body..old_len, deferred.at + header.len());
        self.buf[deferred.at..deferred.at + header.len()].copy_from_slice(&header);
    }

    /// A double (RESP2: a bulk string), spelled as by [`format_f64`].
    pub fn double(&mut self, value: f64) {
        match self.protocol {
            Protocol::Resp2 => self.bulk_double(value),
            Protocol::Resp3 => {
                self.buf.push(b',');
                format_f64(value, &mut self.buf);
                self.buf.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A truth value (RESP2: the integers 1 and 0).
    pub fn boolean(&mut self, value: bool) {
        let bytes = match (self.protocol, value) {
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
        };
        self.buf.extend_from_slice(bytes);
    }

    /// An integer of any size, given by its decimal digits (RESP2: a bulk string). A CR or LF becomes a space.
    pub fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_bytes()),
            Protocol::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Text that says how to show it, such as `*b"txt"` (RESP2: a bulk string without that hint).
    pub fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                put_header(b'=', text.len() + 4, &mut self.buf);
                self.buf.extend_from_slice(format);
                self.buf.push(b':');
                self.buf.extend_from_slice(text);
                self.buf.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Opens a bulk string of `len` bytes that comes in pieces. The buffer may be taken between the pieces.
    pub fn bulk_begin(&mut self, len: usize) -> OpenBulk {
        put_header(b'$', len, &mut self.buf);
        OpenBulk { left: len }
    }

    /// Appends a piece of an open bulk string.
    ///
    /// # Panics
    /// If the pieces exceed the length announced: the client would take the rest for another reply.
    pub fn bulk_append(&mut self, bulk: &mut OpenBulk, piece: &[u8]) {
        assert!(piece.len() <= bulk.left, "a bulk string longer than announced");
        bulk.left -= piece.len();
        self.buf.extend_from_slice(piece);
    }

    /// Closes an open bulk string.
    ///
    /// # Panics
    /// If bytes of the length announced are missing.
    pub fn bulk_end(&mut self, bulk: OpenBulk) {
        assert!(bulk.left == 0, "a bulk string shorter than announced");
        self.buf.extend_from_slice(b"\r\n");
    }

    /// A marker, one line of text, and its end. A line end inside the text would begin another reply.
    #[inline]
    fn line(&mut self, marker: u8, text: &[u8]) {
        self.buf.reserve(text.len() + 3);
        self.buf.push(marker);
        if memchr2(b'\r', b'\n', text).is_none() {
            self.buf.extend_from_slice(text);
        } else {
            self.buf.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        }
        self.buf.extend_from_slice(b"\r\n");
    }
}

/// The kinds of value that hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Values in order.
    Array,
    /// Pairs of key and value.
    Map,
    /// Values without order.
    Set,
    /// A message outside the order of replies.
    Push,
}

impl Aggregate {
    /// The marker and the count that open an aggregate of `n` values, or pairs in a map.
    #[inline]
    fn header(self, protocol: Protocol, n: usize) -> (u8, usize) {
        match (protocol, self) {
            (Protocol::Resp2, Self::Map) => (b'*', 2 * n),
            (Protocol::Resp2, Self::Array | Self::Set | Self::Push) | (Protocol::Resp3, Self::Array) => (b'*', n),
            (Protocol::Resp3, Self::Map) => (b'%', n),
            (Protocol::Resp3, Self::Set) => (b'~', n),
            (Protocol::Resp3, Self::Push) => (b'>', n),
        }
    }
}

/// The shortest header, which is the place kept for one.
const DEFERRED_HEADER: usize = 4;

/// An aggregate that has begun and lacks its header; give it to [`Reply::end`].
#[derive(Debug)]
#[must_use = "without Reply::end the header is missing from the reply"]
pub struct Deferred {
    at: usize,
    kind: Aggregate,
}

/// A bulk string that has begun and lacks bytes; give it to [`Reply::bulk_end`].
#[derive(Debug)]
#[must_use = "without Reply::bulk_end the reply lacks its end"]
pub struct OpenBulk {
    left: usize,
}

impl OpenBulk {
    /// Bytes still to be appended.
    pub fn left(&self) -> usize {
        self.left
    }
}

#[cfg(test)]
mod tests;
