//! The view of a command: reads and changes of records in place, of rows beside them.

use keyspace::record::LSN_BYTES;
use keyspace::view::{Limits, Usage};
use keyspace::{Head, Millis, Page, Record, RowsId, Seek, Stop, View};

use super::{Cleared, Need, Txn};
use crate::hot::{STRIPES, Stripe};
use crate::rows::{RowChange, RowRange, RowValue};
use crate::shard::Shard;
use crate::store::{Direction, Reach};
use crate::walk;

impl View for Txn<'_> {
    fn now(&self) -> Millis {
        self.now
    }

    fn random(&mut self) -> u64 {
        // xorshift64*: fast, and good enough to pick elements with; nothing secret is made of it.
        let mut x = self.scratch.random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.scratch.random = x;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn limits(&self) -> &Limits {
        &self.scratch.limits.limits
    }

    fn select(&mut self, database: usize) -> Result<(), Stop> {
        self.at = self.parts.iter().position(|part| part.database == database).ok_or(Stop::Undeclared)?;
        Ok(())
    }

    fn databases(&self) -> usize {
        self.instance.databases()
    }

    #[inline]
    fn record(&mut self, key: &[u8]) -> Result<Option<Record<'_>>, Stop> {
        let Some((at, bucket)) = self.bucket(key)? else {
            let misses = &self.scratch.tally.misses;
            misses.set(misses.get() + 1);
            return Ok(None);
        };
        let now = self.now;
        let seconds = self.instance.seconds(now);
        let entry = self.held[at].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        entry.used(seconds);
        let view = &*self;
        let entry = view.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        match entry.record() {
            Ok(record) => {
                let tally = &view.scratch.tally;
                let is_stale = record.as_ref().is_some_and(|record| record.is_expired(now));
                tally.stale.set(tally.stale.get() + u32::from(is_stale));
                let record = record.filter(|_| !is_stale);
                let count = if record.is_some() { &tally.hits } else { &tally.misses };
                count.set(count.get() + 1);
                Ok(record)
            }
            Err(error) => Err(view.corrupt(key, &error.to_string())),
        }
    }

    #[inline]
    fn put(&mut self, key: &[u8], head: &Head, payload: &[u8]) -> Result<(), Stop> {
        let (at, bucket) = self.write_record(key, head, payload)?;
        self.log_put(at, bucket);
        Ok(())
    }

    fn splice(&mut self, key: &[u8], at: usize, remove: usize, insert: &[u8]) -> Result<(), Stop> {
        let (held, bucket, head, was) = self.live(key)?;
        assert!(at.checked_add(remove).is_some_and(|end| end <= was), "a splice is inside the payload");
        let (shard, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        let entry = self.held[held].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        entry.splice(LSN_BYTES + head.encoded_len(), at, remove, insert);
        if let Ok(Some(record)) = entry.record() {
            shard.sweep.see(&record);
        }
        if head.expire_at.is_some() {
            // Physical removal follows the log: what can expire is always logged whole.
            self.log_put(held, bucket);
        } else {
            self.parts[self.at].ops.splice(key, at, remove, was, insert);
        }
        Ok(())
    }

    fn set_expiry(&mut self, key: &[u8], expire_at: Option<Millis>) -> Result<(), Stop> {
        let (held, bucket, head, _) = self.live(key)?;
        let (shard, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        let entry = self.held[held].guard.table.get_bucket_mut(bucket).expect("the bucket was just found");
        let payload = entry.body()[head.encoded_len()..].to_vec();
        entry.write(&Head { expire_at, ..head }, &payload);
        shard.sweep.note();
        self.log_put(held, bucket);
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Stop> {
        let Some((at, bucket)) = self.bucket(key)? else { return Ok(false) };
        let now = self.now;
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let live = match entry.record() {
            Ok(None) => return Ok(false),
            Ok(Some(record)) => !record.is_expired(now),
            Err(_) => true,
        };
        self.bury(key, at, bucket)?;
        Ok(live)
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Stop> {
        let (at, bucket, head, _) = self.live(from)?;
        if from == to {
            return Ok(());
        }
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let payload = entry.body()[head.encoded_len()..].to_vec();
        let (to_at, to_bucket) = self.write_record(to, &head, &payload)?;
        self.log_put(to_at, to_bucket);
        let (at, bucket) = self.bucket(from)?.ok_or(Stop::Fault)?;
        self.bury(from, at, bucket)
    }

    fn new_rows(&mut self) -> RowsId {
        // Without a shard the first write asks for one and the run begins anew.
        let Some(shard) = self.part().shard else { return RowsId(0) };
        let rows = shard.new_rows();
        self.parts[self.at].made.push(rows);
        rows
    }

    fn row(&mut self, key: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop> {
        self.read_row(key, rows, row, out)
    }

    fn rows(
        &mut self,
        key: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let range = RowRange::new(from, to);
        self.read_rows(key, rows, &range, Direction::Forward, seen)
    }

    fn rows_back(
        &mut self,
        key: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let range = RowRange::new(from, to);
        self.read_rows(key, rows, &range, Direction::Backward, seen)
    }

    fn count_rows(&mut self, _: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Option<u64> {
        self.count_known(rows, &RowRange::new(from, to))
    }

    fn nth_row(
        &mut self,
        _: &[u8],
        rows: RowsId,
        [from, to]: [&[u8]; 2],
        number: u64,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Option<bool> {
        self.nth_known(rows, &RowRange::new(from, to), number, seen)
    }

    fn put_row(&mut self, key: &[u8], rows: RowsId, row: &[u8], value: &[u8]) -> Result<(), Stop> {
        self.locate_to_write(key)?;
        if self.step.is_some() {
            self.note_row(rows, row);
        }
        self.parts[self.at].ops.put_row(key, rows, row, value);
        self.set_writes(rows).rows.insert(row, RowChange::Put(RowValue::from_slice(value)));
        Ok(())
    }

    fn delete_row(&mut self, key: &[u8], rows: RowsId, row: &[u8]) -> Result<(), Stop> {
        self.locate_to_write(key)?;
        if self.step.is_some() {
            self.note_row(rows, row);
        }
        self.parts[self.at].ops.delete_row(key, rows, row);
        self.set_writes(rows).rows.insert(row, RowChange::Delete);
        Ok(())
    }

    fn delete_rows(&mut self, key: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Result<(), Stop> {
        self.locate_to_write(key)?;
        let range = RowRange::new(from, to);
        if range.is_empty() {
            return Ok(());
        }
        if self.step.is_some() {
            self.note_set(rows);
        }
        self.parts[self.at].ops.delete_rows(key, rows, from, to);
        let set = self.set_writes(rows);
        set.rows.remove_range(&range);
        set.cleared.retain(|other| !range.covers(other));
        set.cleared.push(range);
        Ok(())
    }

    fn touch(&mut self, key: &[u8]) -> Result<(), Stop> {
        let (held, bucket, head, _) = self.live(key)?;
        let (_, hash, _) = self.locate_to_write(key)?;
        self.touch_entry(hash, held, bucket, key);
        if head.expire_at.is_some() {
            self.log_put(held, bucket);
        } else {
            self.parts[self.at].ops.touch(key);
        }
        Ok(())
    }

    fn heavy(&mut self, bytes: u64) -> Result<(), Stop> {
        if bytes <= self.heavy_limit {
            return Ok(());
        }
        self.need = Some(Box::new(Need::Desk));
        Err(Stop::WouldBlock)
    }

    fn walk(
        &mut self,
        from: Seek<'_>,
        prefix: &[u8],
        limit: usize,
        seen: &mut dyn FnMut(&[u8], &Record<'_>),
    ) -> Result<Page, Stop> {
        self.whole_or_walk()?;
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(Page::End) };
        let asked = walk::Asked { from, prefix, limit, now: self.now };
        let dirty = match part.whole {
            Some(base) => {
                let mut dirty = walk::DirtyCopy::new(&asked);
                for held in &self.held[base..base + STRIPES] {
                    dirty.add(&held.guard);
                }
                dirty
            }
            None => walk::DirtyCopy::of_shard(shard, &asked),
        };
        let cleared = part.cleared.is_some();
        let mut told = if cleared || shard.store_is_masked() { shard.log.end().0 } else { dirty.gone_before() };
        let page = walk::walk(shard, &asked, dirty, cleared, &mut |key, record| {
            told = told.max(record.lsn + 1);
            seen(key, record);
        });
        let part = &mut self.parts[self.at];
        part.seen = part.seen.max(told);
        page.map_err(|fault| self.fail(fault))
    }

    fn cursor(&mut self, key: &[u8]) -> u64 {
        self.part().shard.map_or(0, |shard| shard.cursors.lock().save(key))
    }

    fn cursor_key(&mut self, cursor: u64) -> Option<Vec<u8>> {
        self.part().shard?.cursors.lock().find(cursor)
    }

    fn random_key(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        self.whole_or_walk()?;
        self.tells_of_all();
        let random = [self.random(), self.random(), self.random()];
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(None) };
        let held = part.whole.map(|base| &self.held[base..base + STRIPES]);
        let stripes = held.map(|held| held.iter().map(|held| &*held.guard).collect::<Vec<_>>());
        walk::random_key(shard, stripes, part.cleared.is_some(), self.now, random).map_err(|fault| self.fail(fault))
    }

    fn count(&mut self) -> Result<u64, Stop> {
        self.whole_or_walk()?;
        self.tells_of_all();
        let part = &self.parts[self.at];
        let Some(shard) = part.shard else { return Ok(0) };
        let held = part.whole.map(|base| &self.held[base..base + STRIPES]);
        let counted = match held {
            Some(held) => {
                let stripes: Vec<_> = held.iter().map(|held| &*held.guard).collect();
                walk::count_held(shard, &stripes, part.cleared.is_some())
            }
            None => walk::count(shard),
        };
        counted.map_err(|fault| self.fail(fault))
    }

    fn clear(&mut self) -> Result<(), Stop> {
        let part = &mut self.parts[self.at];
        if part.shard.is_none() {
            return Ok(());
        }
        let Some(base) = part.whole else { return Err(Stop::Undeclared) };
        // What the run did before is moot, and a frame has its Clear in front: replay relies on that.
        part.ops.clear();
        part.ops.clear_shard();
        part.rows = None;
        part.lost.clear();
        part.deletes = true;
        part.cleared_at = self.scratch.touched.len();
        let held = &mut self.held[base..base + STRIPES];
        let stripes: Vec<Stripe> = held.iter_mut().map(|held| std::mem::take(&mut *held.guard)).collect();
        part.cleared.get_or_insert(Box::new(Cleared { stripes, touched: part.cleared_at }));
        Ok(())
    }

    fn usage(&mut self, key: &[u8]) -> Result<Option<Usage>, Stop> {
        let now = self.now;
        let was_hot = match self.locate(key)? {
            Some((hash, at)) => self.held[at].guard.find(hash, key).is_some(),
            None => return Ok(None),
        };
        let Some((at, bucket)) = self.bucket(key)? else { return Ok(None) };
        let entry = self.held[at].guard.table.get_bucket(bucket).expect("the bucket was just found");
        let live = entry.record().ok().flatten().is_some_and(|record| !record.is_expired(now));
        let idle = if was_hot { self.instance.seconds(now).saturating_sub(entry.used_at()) } else { 0 };
        Ok(live.then(|| Usage { idle_seconds: u64::from(idle), frequency: entry.uses(), memory_bytes: entry.cost() }))
    }
}

impl Txn<'_> {
    /// Whole-shard questions are for threads that may wait, in runs that asked for them.
    fn whole_or_walk(&mut self) -> Result<(), Stop> {
        if self.reach == Reach::Memory && self.heavy_limit < u64::MAX {
            self.need = Some(Box::new(Need::Desk));
            return Err(Stop::WouldBlock);
        }
        if self.walks || self.part().whole.is_some() || self.part().shard.is_none() {
            Ok(())
        } else {
            Err(Stop::Undeclared)
        }
    }
    /// The run tells of the shard as a whole. On a full disk the last few changes are not in the log, and their clients
    /// wait; that a number already counts them is better than no number.
    fn tells_of_all(&mut self) {
        let mark = |shard: &Shard| match shard.log.health() {
            replog::Health::NoSpace => shard.log.written().0,
            replog::Health::Ok | replog::Health::Failed => shard.log.end().0,
        };
        let told = self.part().shard.map_or(0, mark);
        let part = &mut self.parts[self.at];
        part.seen = part.seen.max(told);
    }
}
