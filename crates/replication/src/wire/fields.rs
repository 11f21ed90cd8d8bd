//! The fields of a message one by one: [`Builder`] puts them together, [`Fields`] takes them apart.

use std::io::Write as _;

use std::fmt::Display;
use std::str::FromStr;

use lineage::{Lineage, Lsn};
use replication_proto::{Db, SyncReason};

use super::{MAX_DATABASES, MAX_TEXT, WireError};

/// Collects the fields of a message.
#[derive(Debug, Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let mut builder = Self::default();
        builder.bytes(name.as_bytes());
        builder
    }

    pub(super) fn bytes(&mut self, field: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(field);
        self.end()
    }

    pub(super) fn number(&mut self, field: u64) -> &mut Self {
        // Writing to a vector does not fail.
        let _ = write!(self.bytes, "{field}");
        self.end()
    }

    pub(super) fn lsn(&mut self, field: Lsn) -> &mut Self {
        self.number(field.0)
    }

    pub(super) fn db(&mut self, field: Db) -> &mut Self {
        self.number(field.0.into())
    }

    /// An id or a path.
    pub(super) fn name(&mut self, field: &impl Display) -> &mut Self {
        let _ = write!(self.bytes, "{field}");
        self.end()
    }

    pub(super) fn lineage(&mut self, field: &Lineage) -> &mut Self {
        field.encode(&mut self.bytes);
        self.end()
    }

    /// A text for people, cut where it is too long.
    pub(super) fn text(&mut self, field: &str) -> &mut Self {
        self.bytes(cut(field).as_bytes())
    }

    /// Appends the message to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let fields: Vec<&[u8]> = starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end]).collect();
        resp::encode_command(&fields, out);
    }

    fn end(&mut self) -> &mut Self {
        self.ends.push(self.bytes.len());
        self
    }
}

/// At most [`MAX_TEXT`] bytes of a text.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Takes the fields of a message in order.
#[derive(Debug)]
pub(super) struct Fields<'a, 'b> {
    message: &'static str,
    left: &'b [&'a [u8]],
}

impl<'a, 'b> Fields<'a, 'b> {
    /// The fields behind the name of the message.
    pub(super) fn of(message: &'static str, left: &'b [&'a [u8]]) -> Self {
        Self { message, left }
    }

    pub(super) fn wrong(&self, field: &'static str) -> WireError {
        WireError::Field { message: self.message, field }
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let (first, rest) = self.left.split_first().ok_or(self.wrong(field))?;
        self.left = rest;
        Ok(first)
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<u64, WireError> {
        resp::parse_u64(self.bytes(field)?).ok_or(self.wrong(field))
    }

    /// A number of at most `max`.
    pub(super) fn up_to(&mut self, field: &'static str, max: u64) -> Result<u64, WireError> {
        let number = self.number(field)?;
        if number <= max { Ok(number) } else { Err(self.wrong(field)) }
    }

    /// The number of a database.
    pub(super) fn db(&mut self) -> Result<Db, WireError> {
        let number = self.up_to("database", MAX_DATABASES as u64 - 1)?;
        Ok(Db(number as u32))
    }

    pub(super) fn lsn(&mut self, field: &'static str) -> Result<Lsn, WireError> {
        self.number(field).map(Lsn)
    }

    /// An id or a path.
    pub(super) fn name<T: FromStr>(&mut self, field: &'static str) -> Result<T, WireError> {
        let text = std::str::from_utf8(self.bytes(field)?).ok();
        text.and_then(|text| text.parse().ok()).ok_or(self.wrong(field))
    }

    pub(super) fn lineage(&mut self) -> Result<Lineage, WireError> {
        Lineage::decode(self.bytes("lineage")?).map_err(|_| self.wrong("lineage"))
    }

    /// The reason of a copy that is wanted in any case, if there is one.
    pub(super) fn bound(&mut self) -> Result<Option<SyncReason>, WireError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let reason = SyncReason::parse(&self.text("reason")?).filter(|reason| reason.binds());
        reason.map(Some).ok_or(self.wrong("reason"))
    }

    /// A text for people.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, WireError> {
        let text = std::str::from_utf8(self.bytes(field)?).map_err(|_| self.wrong(field))?;
        if text.len() <= MAX_TEXT { Ok(text.to_owned()) } else { Err(self.wrong(field)) }
    }

    /// A list of entries that each begin with a database, in ascending order of these.
    pub(super) fn by_database<T>(
        &mut self,
        mut entry: impl FnMut(Db, &mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let mut entries = Vec::new();
        let mut next = 0;
        while !self.left.is_empty() {
            let db = self.db()?;
            if db.0 < next {
                return Err(self.wrong("database"));
            }
            next = db.0 + 1;
            entries.push(entry(db, self)?);
        }
        Ok(entries)
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), WireError> {
        if self.left.is_empty() { Ok(()) } else { Err(self.wrong("number of fields")) }
    }
}
