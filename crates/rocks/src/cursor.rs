//! A walk through one family.

use std::path::Path;

use engine::fault::{Fault, FaultKind};
use engine::store::{Cursor, Direction};
use rust_rocksdb::{DBRawIterator, ErrorKind};

use crate::refusal::fault;

/// The walk, over RocksDB's iterator; it keeps the files of its moment alive.
pub(crate) struct Walk<'s> {
    iterator: DBRawIterator<'s>,
    /// Bytes in front of each key that the caller does not want to see.
    hidden: usize,
    direction: Direction,
    dir: &'s Path,
}

impl<'s> Walk<'s> {
    /// Walks on from the first entry at or after `from`; keys are shown without their first `hidden` bytes.
    pub(crate) fn new(mut iterator: DBRawIterator<'s>, from: &[u8], hidden: usize, dir: &'s Path) -> Self {
        iterator.seek(from);
        Self { iterator, hidden, direction: Direction::Forward, dir }
    }

    /// Walks back from the last entry that the iterator's bounds allow.
    pub(crate) fn back(mut iterator: DBRawIterator<'s>, hidden: usize, dir: &'s Path) -> Self {
        iterator.seek_to_last();
        Self { iterator, hidden, direction: Direction::Backward, dir }
    }
}

impl Cursor for Walk<'_> {
    fn entry(&self) -> Result<Option<(&[u8], &[u8])>, Fault> {
        // An iterator that met an error looks like one at its end.
        let Some((key, value)) = self.iterator.item() else {
            return match self.iterator.status() {
                Ok(()) => Ok(None),
                Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
                Err(error) => Err(fault(&error, "Cannot read on", self.dir)),
            };
        };
        let Some(key) = key.get(self.hidden..) else {
            return Err(Fault::new(FaultKind::Corrupt, "A row has no rows id.", self.dir));
        };
        Ok(Some((key, value)))
    }

    fn advance(&mut self) {
        if self.iterator.valid() {
            match self.direction {
                Direction::Forward => self.iterator.next(),
                Direction::Backward => self.iterator.prev(),
            }
        }
    }

    fn would_block(&self) -> bool {
        !self.iterator.valid() && self.iterator.status().is_err_and(|error| error.kind() == ErrorKind::Incomplete)
    }
}
