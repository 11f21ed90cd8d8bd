//! A run whose changes are given: those of a frame that another node made.

use keyspace::record::LSN_BYTES;
use keyspace::{Millis, Op, Ops, Record, Stop, View};
use replog::{AppendError, Frame};

use super::Txn;
use crate::fault::{Fault, FaultKind};
use crate::hot::Entry;

impl Txn<'_> {
    /// Makes the changes of a frame's payload. What is expired is as good as what is not: the clock has no part in this.
    pub fn make_changes(&mut self, payload: &[u8]) -> Result<(), Stop> {
        let ops = Ops::new(payload).map_err(|error| self.misfit(&[], &error.to_string()))?;
        for op in ops {
            let op = op.map_err(|error| self.misfit(&[], &error.to_string()))?;
            self.make_change(&op)?;
        }
        Ok(())
    }

    fn make_change(&mut self, op: &Op<'_>) -> Result<(), Stop> {
        match *op {
            Op::Put { key, body } => self.put_body(key, body),
            Op::Splice { key, at, remove, was, insert } => {
                let (held, bucket) = self.known(key)?;
                let entry = self.held[held].guard.table.get_bucket(bucket).expect("the bucket was just found");
                let Ok(Some(Record { head, payload, .. })) = entry.record() else {
                    return Err(self.misfit(key, "its record cannot be read"));
                };
                if payload.len() != was || at.checked_add(remove).is_none_or(|end| end > was) {
                    return Err(self.misfit(key, "its record is not the one that was changed"));
                }
                let payload_at = LSN_BYTES + head.encoded_len();
                let (shard, _, _) = self.locate_to_write(key)?;
                let entry = self.change(key, held, bucket)?;
                entry.splice(payload_at, at, remove, insert);
                if let Ok(Some(record)) = entry.record() {
                    shard.sweep.see(&record);
                }
                Ok(())
            }
            Op::Touch { key } => {
                let (held, bucket) = self.known(key)?;
                self.change(key, held, bucket)?;
                Ok(())
            }
            // It is read first: if it leads to rows, these may have another owner by now, and settle must not find out
            // from the store that they were left behind.
            Op::Delete { key } => match self.bucket(key)? {
                Some((held, bucket)) => self.bury(key, held, bucket),
                None => Ok(()),
            },
            Op::PutRow { key, rows, row, value } => {
                self.saw_rows(rows);
                self.put_row(key, rows, row, value)
            }
            Op::DeleteRow { key, rows, row } => self.delete_row(key, rows, row),
            Op::DeleteRows { key, rows, from, to } => self.delete_rows(key, rows, from, to),
            Op::Clear => self.clear(),
        }
    }

    fn saw_rows(&self, rows: keyspace::RowsId) {
        if let Some(shard) = self.part().shard {
            shard.saw_rows(rows);
        }
    }

    /// A record that must be there.
    fn known(&mut self, key: &[u8]) -> Result<(usize, usize), Stop> {
        let found = self.bucket(key)?;
        let there = |(held, bucket): &(usize, usize)| {
            self.held[*held].guard.table.get_bucket(*bucket).is_some_and(|entry| !entry.is_tombstone())
        };
        found.filter(there).ok_or_else(|| self.misfit(key, "it has no record"))
    }

    /// The entry of a record that is about to be changed.
    fn change(&mut self, key: &[u8], held: usize, bucket: usize) -> Result<&mut Entry, Stop> {
        let (_, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        Ok(self.held[held].guard.table.get_bucket_mut(bucket).expect("the bucket was just found"))
    }

    /// Puts a whole record. One without rows is put unseen: all there is to know of the key is in the frame.
    fn put_body(&mut self, key: &[u8], body: &[u8]) -> Result<(), Stop> {
        let record = match Record::decode_body(body) {
            Ok(record) => record,
            Err(error) => return Err(self.misfit(key, &error.to_string())),
        };
        if let Some(rows) = record.rows_id() {
            self.saw_rows(rows);
            self.bucket(key)?;
        }
        let (shard, hash, at) = self.locate_to_write(key)?;
        shard.sweep.see(&record);
        match self.held[at].guard.table.find_bucket_index(hash, |entry| entry.key() == key) {
            Some(bucket) => {
                self.note_lost(at, bucket);
                self.change(key, at, bucket)?.write_body(body);
            }
            None => {
                let entry = Entry::of_body(key, body, self.instance.seconds(self.now));
                self.insert_touched(shard, hash, at, entry);
            }
        }
        Ok(())
    }

    /// Makes the changes permanent: the frame enters the log as it is, and what it changed bears its LSN. If the log does
    /// not take it, everything is undone.
    pub fn commit_frame(&mut self, frame: &Frame<'_>) -> Result<(), AppendError> {
        let Some(shard) = self.parts[0].shard else { return Err(AppendError::Closed) };
        if let Err(error) = shard.log.append_frame(frame) {
            self.undo();
            return Err(error);
        }
        shard.note_time(Millis(frame.time_ms));
        self.adopt_changes(0, shard, frame.lsn.0);
        self.evict();
        self.give_back();
        Ok(())
    }

    #[cold]
    fn misfit(&self, key: &[u8], what: &str) -> Stop {
        let name = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
        let path = self.part().shard.map_or_else(Default::default, |shard| shard.dir.clone());
        let what = format!("a frame of the primary does not fit the key '{name}': {what}");
        self.fail(Fault::new(FaultKind::Corrupt, what, &path))
    }
}
