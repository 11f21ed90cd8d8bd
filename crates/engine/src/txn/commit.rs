//! The end of a run that went well: one frame a database, LSNs stamped, rows handed over, memory booked.

use keyspace::RowsId;
use smallvec::SmallVec;

use super::{Gate, Scratch, Txn};
use crate::fault::Fault;
use crate::rows::{Birth, Growth};
use crate::shard::Shard;

/// Bytes of ops that fit a frame.
pub const MAX_OPS_BYTES: usize = if cfg!(test) { 1 << 20 } else { replog::MAX_FRAME - replog::HEADER };

impl Txn<'_> {
    /// Makes the changes permanent in memory and in the log buffer; the gate says when they may be told.
    /// On a fault everything is undone.
    pub fn commit(&mut self) -> Result<Gate, Fault> {
        if let Some(fault) = self.refusal() {
            self.undo();
            return Err(fault);
        }
        let mut gate = Gate::new();
        if let ([_], Some(shard)) = (&self.parts[..], self.parts[0].shard) {
            let end = self.commit_part(0, shard);
            gate.push((shard.id, end));
        } else {
            self.commit_parts(&mut gate);
        }
        self.scratch.tally.changed.set(self.scratch.touched.len() as u32);
        self.scratch.tally.committed.set(true);
        self.evict();
        self.give_back();
        Ok(gate)
    }

    /// Commits the changes of several databases, one after the other.
    fn commit_parts(&mut self, gate: &mut Gate) {
        let mut order: SmallVec<[usize; 1]> = (0..self.parts.len()).collect();
        // What gives comes after what takes: a crash in between may leave a key twice, never nowhere.
        order.sort_by_key(|at| self.parts[*at].deletes);
        let changed = self.changed_parts();
        for (step, at) in order.into_iter().enumerate() {
            let Some(shard) = self.parts[at].shard else { continue };
            if self.parts[at].ops.is_empty() {
                if self.parts[at].seen > 0 {
                    gate.push((shard.id, self.parts[at].seen));
                }
                continue;
            }
            let end = self.commit_part(at, shard);
            gate.push((shard.id, end));
            if changed > 1 && step + 1 < changed {
                // With a full disk neither log goes on, and nothing more is accepted: the order still holds.
                let _ = crate::settle::sync(shard, end);
            }
        }
    }

    /// Commits the changes of one database; answers the end of its frame.
    #[inline]
    fn commit_part(&mut self, at: usize, shard: &Shard) -> u64 {
        let (lsn, end) = self.append(at, shard);
        self.adopt_changes(at, shard, lsn);
        end
    }

    /// The frame of LSN `lsn` has the changes of a part: they are the shard's now.
    #[inline]
    pub(super) fn adopt_changes(&mut self, at: usize, shard: &Shard, lsn: u64) {
        self.finish_clear(at, shard, lsn);
        self.stamp(at, lsn);
        if self.instance.awaited.any() {
            self.note_woken(at);
        }
        self.hand_over_rows(at, shard, lsn);
    }

    /// A database whose log must begin a reign before it takes the run's changes.
    #[inline]
    pub fn lacks_reign(&self) -> Option<usize> {
        let mut changed = self.parts.iter().filter(|part| !part.ops.is_empty());
        changed.find(|part| part.shard.is_some_and(Shard::rests)).map(|part| part.database)
    }

    /// Why the run's changes cannot be logged, if so.
    fn refusal(&self) -> Option<Fault> {
        self.parts.iter().filter(|part| !part.ops.is_empty()).find_map(|part| {
            let shard = part.shard?;
            shard.refuses_writes().or_else(|| {
                (part.ops.bytes().len() > MAX_OPS_BYTES).then(|| {
                    Fault::new(
                        crate::fault::FaultKind::Io,
                        format!("the command's change is larger than a log frame can be ({MAX_OPS_BYTES} bytes)"),
                        &shard.dir,
                    )
                })
            })
        })
    }

    fn append(&mut self, at: usize, shard: &Shard) -> (u64, u64) {
        let part = &self.parts[at];
        let appended = shard.log.append(self.now.0, part.ops.bytes());
        let appended = appended.expect("the log takes frames while it refuses no writes");
        shard.note_time(self.now);
        (appended.lsn.0, appended.end.0)
    }

    /// Stamps the changed records of a part and makes them dirty.
    fn stamp(&mut self, at: usize, lsn: u64) {
        let (mut used, mut dirty) = (0, 0);
        // What was changed before a Clear went with it, and may be there anew, as a later change.
        for touched in &self.scratch.touched[self.parts[at].cleared_at..] {
            let held = &mut self.held[touched.held as usize];
            if held.part != at {
                continue;
            }
            let (key_at, key_len) = touched.key;
            let key = &self.scratch.arena[key_at..key_at + key_len];
            let stripe = &mut *held.guard;
            stripe.changes += 1;
            let entry = stripe.find_again(touched.hash, touched.bucket, key);
            let entry = entry.expect("what a run has changed stays in its stripe");
            entry.stamp(lsn);
            let (cost, was_dirty) = (entry.cost(), entry.is_dirty());
            entry.committed();
            used += cost as i64 - touched.cost as i64;
            dirty += cost as i64 - if was_dirty { touched.cost as i64 } else { 0 };
            if !was_dirty {
                stripe.dirty.push(touched.hash);
            }
        }
        self.instance.budget.book_used(used);
        self.instance.budget.book_dirty(dirty);
    }

    /// Notes which of the keys that are now present are awaited.
    #[cold]
    fn note_woken(&mut self, at: usize) {
        let database = self.parts[at].database;
        let Scratch { touched, arena, woken, .. } = &mut *self.scratch;
        for touched in &touched[self.parts[at].cleared_at..] {
            let held = &self.held[touched.held as usize];
            let (key_at, key_len) = touched.key;
            let key = &arena[key_at..key_at + key_len];
            if held.part == at
                && self.instance.awaited.has(database, key)
                && held.guard.find(touched.hash, key).is_some_and(|entry| !entry.is_tombstone())
            {
                woken.push((database, key.to_vec()));
            }
        }
    }

    fn hand_over_rows(&mut self, at: usize, shard: &Shard, lsn: u64) {
        let part = &self.parts[at];
        if part.rows.is_none() && part.lost.is_empty() {
            return;
        }
        let dead = self.dead_rows(at);
        let part = &mut self.parts[at];
        let mut growth = Growth::default();
        if let Some(writes) = &mut part.rows {
            writes.drain(|rows, set| {
                if !dead.contains(&rows) {
                    let birth = if part.made.contains(&rows) { Birth::Here } else { Birth::Unknown };
                    let cleared = std::mem::take(&mut set.cleared);
                    growth += shard.rows.apply(rows, birth, cleared, set.rows.drain(), lsn);
                }
            });
        }
        for rows in dead {
            growth += shard.rows.forget(rows);
            shard.dead.lock().push(rows);
        }
        self.instance.budget.book_rows(growth);
    }

    /// The whole shard is locked and settle is held off. From here on nothing of the store is seen, until settle has
    /// emptied it.
    fn finish_clear(&mut self, at: usize, shard: &Shard, lsn: u64) {
        let part = &mut self.parts[at];
        let Some(cleared) = part.cleared.take() else { return };
        let (mut used, mut dirty) = (0, 0);
        for entry in cleared.stripes.iter().flat_map(|stripe| stripe.table.iter()).filter(|entry| !entry.is_touched()) {
            used += entry.cost() as i64;
            dirty += if entry.is_dirty() { entry.cost() as i64 } else { 0 };
        }
        let held = &self.held;
        let gone =
            self.scratch.touched[..part.cleared_at].iter().filter(|touched| held[touched.held as usize].part == at);
        for touched in gone.filter(|touched| touched.old.is_some()) {
            used += touched.cost as i64;
            dirty += if touched.state.dirty { touched.cost as i64 } else { 0 };
        }
        self.instance.budget.book_rows(shard.rows.forget_all());
        self.instance.budget.book_used(-used);
        self.instance.budget.book_dirty(-dirty);
        shard.dead.lock().clear();
        let base = part.whole.unwrap_or_default();
        for (held, old) in self.held[base..].iter_mut().zip(&cleared.stripes) {
            held.guard.succeed(old, lsn);
        }
        shard.mask_store();
    }

    /// Brings the hot records back under their limit, at the expense of the stripes at hand.
    pub(super) fn evict(&mut self) {
        const STEPS: usize = 64;
        const WANT: usize = 2048;
        if self.instance.budget.excess() == 0 {
            return;
        }
        for held in &mut self.held {
            self.instance.budget.book_eviction(held.guard.evict(WANT, STEPS));
            if self.instance.budget.excess() == 0 {
                break;
            }
        }
    }

    /// Row sets that some record led to before or during the run, and none does after it.
    fn dead_rows(&self, at: usize) -> Vec<RowsId> {
        let part = &self.parts[at];
        let mut dead = part.lost.clone();
        if dead.is_empty() {
            return dead;
        }
        dead.sort_unstable();
        dead.dedup();
        for touched in &self.scratch.touched[part.cleared_at..] {
            let held = &self.held[touched.held as usize];
            let (key_at, key_len) = touched.key;
            let key = &self.scratch.arena[key_at..key_at + key_len];
            let entry = (held.part == at).then(|| held.guard.find(touched.hash, key)).flatten();
            let record = entry.and_then(|entry| entry.record().ok().flatten());
            if let Some(owned) = record.and_then(|record| record.rows_id()) {
                dead.retain(|rows| *rows != owned);
            }
        }
        dead
    }
}
