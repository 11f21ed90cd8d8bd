//! Taking a run back: records, whole tables that a Clear took out, and the books.

use smallvec::SmallVec;

use super::Txn;
use crate::hot::STRIPES;

impl Txn<'_> {
    /// Puts everything back as it was and gives the scratch back.
    pub fn undo(&mut self) {
        // What the run changed before a Clear lies in the tables that the Clear took out, so they come first. What it
        // changed later goes with the tables that took their place.
        let mut kept: SmallVec<[usize; 1]> = SmallVec::from_elem(usize::MAX, self.parts.len());
        for (part, kept) in self.parts.iter_mut().zip(&mut kept) {
            let (Some(base), Some(cleared)) = (part.whole, part.cleared.take()) else { continue };
            *kept = cleared.touched;
            for (held, stripe) in self.held[base..base + STRIPES].iter_mut().zip(cleared.stripes) {
                *held.guard = stripe;
            }
        }
        let (mut used, mut dirty) = (0, 0);
        for (index, touched) in self.scratch.touched.iter().enumerate() {
            let held = &mut self.held[touched.held as usize];
            if index >= kept[held.part] {
                continue;
            }
            let (key_at, key_len) = touched.key;
            let key = &self.scratch.arena[key_at..key_at + key_len];
            let Some((old_at, old_len)) = touched.old else {
                drop(held.guard.remove(touched.hash, key));
                continue;
            };
            let entry = held.guard.find_mut(touched.hash, key).expect("what a run has changed stays in its stripe");
            entry.restore(&self.scratch.arena[old_at..old_at + old_len]);
            entry.set_state(touched.state);
            // The bytes are those of before, but the memory they lie in may have grown.
            let grown = entry.cost() as i64 - touched.cost as i64;
            used += grown;
            dirty += if touched.state.dirty { grown } else { 0 };
        }
        self.instance.budget.book_used(used);
        self.instance.budget.book_dirty(dirty);
        self.give_back();
    }
}
