//! Rows of one tree, or of several, looked up in one go: their memory is asked for all at once instead of one after the
//! other.

use smallvec::SmallVec;

use super::{Live, RowTree, Way, head_of};
use crate::prefetch::prefetch;
use crate::rows::RowKey;

/// Rows that are best looked up in one go. More would push each other out of the nearest cache.
pub const AHEAD: usize = if cfg!(test) { 4 } else { 16 };

/// See [`ways`].
pub type Ways = SmallVec<[Way; AHEAD]>;

impl<V: Live> RowTree<V> {
    /// The ways to several rows; see [`ways`]. None at all of an empty tree.
    pub fn ways<'k>(&'k self, keys: impl Iterator<Item = &'k RowKey> + Clone) -> Ways {
        if self.is_empty() {
            return Ways::new();
        }
        ways(keys.map(|key| (self, key.as_slice())))
    }

    /// Asks for what every search begins with.
    pub fn prefetch(&self) {
        prefetch(&*self.level.heads);
        prefetch(&*self.branches);
    }

    /// Asks for what a search goes on with, where there is no choice.
    pub fn prefetch_branch(&self) {
        if let [branch] = &self.branches[..] {
            prefetch(&*branch.level.heads);
            prefetch(&*branch.leaves);
        }
    }
}

/// The ways to rows of trees that are not empty, and has them at hand.
pub fn ways<'k, V: Live + 'k>(wanted: impl Iterator<Item = (&'k RowTree<V>, &'k [u8])> + Clone) -> Ways {
    let ways: Ways = wanted.clone().map(|(tree, key)| tree.way(key)).collect();
    let leaves = || wanted.clone().zip(&ways).map(|((tree, key), way)| (tree.leaf(*way), key));
    leaves().for_each(|(leaf, _)| prefetch(leaf));
    leaves().for_each(|(leaf, _)| leaf.order.prefetch());
    for (leaf, key) in leaves() {
        let head = head_of(key);
        let slot = leaf.heads().partition_point(|other| *other < head);
        if leaf.heads().get(slot) == Some(&head) {
            prefetch(leaf.row(slot));
        }
    }
    ways
}
