//! An ordered map of row keys that counts: how many rows come before one is known without visiting them.
//!
//! ```text
//! root      heads, counts ─► branches      as many as it takes
//! branch    heads, counts ─► leaves        up to BRANCH
//! leaf      heads, live   ─► rows          up to LEAF
//! ```
//!
//! A row may say that it is gone ([`Live`]): it keeps its place, and is neither counted nor walked over. A walk passes whole
//! leaves and branches of them by their counts.
//!
//! A *head* is the first eight bytes of a key as a number. The heads of a level lie side by side, so a search compares
//! numbers in one or two lines of memory a level; keys themselves are compared where heads are alike. A root of a hundred
//! million rows has some tens of thousands of branches: three levels are enough.

mod ahead;
#[cfg(test)]
mod tests;

pub use ahead::{AHEAD, Ways, ways};

use super::{RowKey, RowRange};
use crate::prefetch::prefetch;
use crate::store::Direction;

/// Rows of a leaf.
const LEAF: usize = if cfg!(test) { 4 } else { 32 };
/// Leaves of a branch.
const BRANCH: usize = if cfg!(test) { 4 } else { 256 };
const _: () = assert!(LEAF <= u32::BITS as usize, "a leaf has a bit for each row");

/// What a row may be.
pub trait Live {
    /// Whether it counts; else it only keeps its place.
    fn is_live(&self) -> bool;
}

/// Which rows a walk shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Those that are live.
    Live,
    /// Those that are gone, too.
    All,
}

/// The map.
#[derive(Debug)]
pub struct RowTree<V> {
    level: Level,
    branches: Vec<Branch<V>>,
    len: usize,
    /// Differs from what it was when leaves have been split, joined or removed since.
    shape: u64,
}

/// The leaf where a row is, or would be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    branch: usize,
    leaf: usize,
    shape: u64,
}

/// Where a row is, or where one would be put. Good until the tree changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    branch: usize,
    leaf: usize,
    slot: usize,
}

/// What a node keeps of the nodes below it.
#[derive(Debug, Default)]
struct Level {
    /// The heads of their first keys.
    heads: Vec<u64>,
    /// Live rows below them.
    counts: Vec<u32>,
}

#[derive(Debug)]
struct Branch<V> {
    level: Level,
    /// Never empty, and none of them is.
    leaves: Vec<Leaf<V>>,
}

#[derive(Debug)]
struct Leaf<V> {
    order: Box<Order>,
    /// In no order: to put one in or take one out moves none of the others, or one.
    rows: Vec<(RowKey, V)>,
}

/// The order of a leaf's rows. Lines of memory of its own: a search asks for all of them at once.
#[derive(Debug)]
#[repr(C, align(64))]
struct Order {
    heads: [u64; LEAF],
    /// Where they lie.
    at: [u8; LEAF],
    /// Which of them are live: a bit each, by where it lies.
    live: u32,
}

impl<V> Default for RowTree<V> {
    fn default() -> Self {
        Self { level: Level::default(), branches: Vec::new(), len: 0, shape: 0 }
    }
}

impl<V: Live> RowTree<V> {
    /// Number of rows, those that are gone included.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place of a row; `Err`: where it would be.
    pub fn find(&self, key: &[u8]) -> Result<Place, Place> {
        if self.branches.is_empty() {
            return Err(Place { branch: 0, leaf: 0, slot: 0 });
        }
        self.find_by(self.way(key), key)
    }

    /// As [`RowTree::find`], where the way there is known.
    pub fn find_by(&self, way: Way, key: &[u8]) -> Result<Place, Place> {
        if way.shape != self.shape {
            return self.find(key);
        }
        let Way { branch, leaf, .. } = way;
        let rows = self.leaf(way);
        rows.order.prefetch();
        let head = head_of(key);
        let slot = leading(rows.heads(), head, |slot| rows.row(slot).0.as_slice() < key);
        let place = Place { branch, leaf, slot };
        let is_there = rows.heads().get(slot) == Some(&head) && rows.row(slot).0.as_slice() == key;
        if is_there { Ok(place) } else { Err(place) }
    }

    fn leaf(&self, way: Way) -> &Leaf<V> {
        &self.branches[way.branch].leaves[way.leaf]
    }

    fn way(&self, key: &[u8]) -> Way {
        let head = head_of(key);
        let branch = match self.branches.len() {
            // Its head lies in memory of its own.
            1 => 0,
            _ => self.level.last_up_to(head, |at| self.branches[at].first() <= key),
        };
        let leaves = &self.branches[branch].leaves;
        let leaf = self.branches[branch].level.last_up_to(head, |at| leaves[at].first() <= key);
        Way { branch, leaf, shape: self.shape }
    }

    /// The value of a row.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.find(key).ok().map(|place| &self.row(place).1)
    }

    /// The row at a place that was found.
    pub fn row(&self, place: Place) -> &(RowKey, V) {
        self.branches[place.branch].leaves[place.leaf].row(place.slot)
    }

    /// The value at a place that was found. Whether it is live stays as it is.
    pub fn value_mut(&mut self, place: Place) -> &mut V {
        let leaf = &mut self.branches[place.branch].leaves[place.leaf];
        &mut leaf.rows[usize::from(leaf.order.at[place.slot])].1
    }

    /// Puts a row where [`RowTree::find`] said that it would be.
    pub fn insert_at(&mut self, place: Place, key: RowKey, value: V) {
        if self.branches.is_empty() {
            let leaf = Leaf::with_room(0);
            self.branches.push(Branch { level: Level::of_one(), leaves: vec![leaf] });
            self.level = Level::of_one();
            self.shape += 1;
        }
        self.len += 1;
        let live = i64::from(value.is_live());
        let branch = &mut self.branches[place.branch];
        let right = branch.leaves[place.leaf].insert(place.slot, key, value);
        let Some(right) = right else { return self.count_in(place, live) };
        self.shape += 1;
        branch.note(place.leaf);
        branch.insert(place.leaf + 1, right);
        let right = (branch.leaves.len() > BRANCH).then(|| branch.split(place.leaf + 2));
        self.note(place.branch);
        if let Some(right) = right {
            self.level.insert(place.branch + 1, &right);
            self.branches.insert(place.branch + 1, right);
        }
    }

    /// Puts another value at a place that was found; answers the old one.
    pub fn replace_at(&mut self, place: Place, value: V) -> V {
        let leaf = &mut self.branches[place.branch].leaves[place.leaf];
        let at = leaf.order.at[place.slot];
        let live = value.is_live();
        let old = std::mem::replace(&mut leaf.rows[usize::from(at)].1, value);
        if old.is_live() != live {
            leaf.order.mark(at, live.into());
            self.count_in(place, if live { 1 } else { -1 });
        }
        old
    }

    /// Puts a row, whether there was one or not.
    pub fn insert(&mut self, key: RowKey, value: V) {
        match self.find(&key) {
            Ok(place) => drop(self.replace_at(place, value)),
            Err(place) => self.insert_at(place, key, value),
        }
    }

    /// Takes the row at a place that was found.
    pub fn remove_at(&mut self, place: Place) -> (RowKey, V) {
        self.len -= 1;
        let branch = &mut self.branches[place.branch];
        let row = branch.leaves[place.leaf].remove(place.slot);
        let leaves = branch.leaves.len();
        branch.tidy(place.leaf);
        if branch.leaves.len() == leaves {
            self.count_in(place, -i64::from(row.1.is_live()));
            return row;
        }
        self.shape += 1;
        self.note(place.branch);
        self.tidy(place.branch);
        row
    }

    /// A leaf has so many live rows more, or less, and perhaps another first row.
    fn count_in(&mut self, place: Place, live: i64) {
        let branch = &mut self.branches[place.branch];
        branch.level.heads[place.leaf] = branch.leaves[place.leaf].head();
        for count in [&mut branch.level.counts[place.leaf], &mut self.level.counts[place.branch]] {
            *count = (i64::from(*count) + live) as u32;
        }
        self.level.heads[place.branch] = branch.head();
    }

    /// Takes a row.
    #[cfg(test)]
    pub fn remove(&mut self, key: &[u8]) -> Option<(RowKey, V)> {
        self.find(key).ok().map(|place| self.remove_at(place))
    }

    /// Takes the rows of a range.
    pub fn remove_range(&mut self, range: &RowRange) -> Vec<(RowKey, V)> {
        let mut removed = Vec::new();
        while let Some(place) = self.first_from(&range.from).filter(|place| range.holds(&self.row(*place).0)) {
            removed.push(self.remove_at(place));
        }
        removed
    }

    /// All rows, in order.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &(RowKey, V)> {
        self.branches.iter().flat_map(|branch| &branch.leaves).flat_map(Leaf::iter)
    }

    /// The rows of a range, one way or the other.
    pub fn walk<'t>(&'t self, range: &'t RowRange, direction: Direction, shown: Shown) -> Walk<'t, V> {
        let (next, end, is_open) = match direction {
            Direction::Forward => (self.first_from(&range.from), range.to.as_slice(), range.to.is_empty()),
            Direction::Backward => (self.last_before(&range.to), range.from.as_slice(), range.from.is_empty()),
        };
        let leaf = next.map(|next| &self.branches[next.branch].leaves[next.leaf]);
        Walk { tree: self, at: next.zip(leaf), direction, shown, end, end_head: head_of(end), is_open }
    }

    /// How many live rows a range has.
    pub fn count(&self, range: &RowRange) -> usize {
        let end = if range.to.is_empty() { self.level.sum(self.branches.len()) } else { self.rank(&range.to) };
        end.saturating_sub(self.rank(&range.from))
    }

    /// The live row before which a range has so many others.
    pub fn nth(&self, range: &RowRange, number: usize) -> Option<&(RowKey, V)> {
        let mut left = number.checked_add(self.rank(&range.from))?;
        let branch = self.branches.get(self.level.take_whole(&mut left))?;
        let leaf = &branch.leaves[branch.level.take_whole(&mut left)];
        leaf.order.prefetch();
        let slot = (0..leaf.rows.len()).filter(|slot| leaf.is_live(*slot)).nth(left)?;
        Some(leaf.row(slot)).filter(|(key, _)| range.holds(key))
    }

    /// How many live rows come before a key.
    fn rank(&self, key: &[u8]) -> usize {
        let (Ok(place) | Err(place)) = self.find(key);
        let Some(branch) = self.branches.get(place.branch) else { return 0 };
        let leaf = &branch.leaves[place.leaf];
        let here = (0..place.slot).filter(|slot| leaf.is_live(*slot)).count();
        self.level.sum(place.branch) + branch.level.sum(place.leaf) + here
    }

    fn first_from(&self, key: &[u8]) -> Option<Place> {
        let (Ok(place) | Err(place)) = self.find(key);
        let leaf = self.branches.get(place.branch)?.leaves.get(place.leaf)?;
        if place.slot < leaf.rows.len() { Some(place) } else { self.next_leaf(place, Shown::All) }
    }

    /// The last place before a key; an empty one is the end.
    fn last_before(&self, key: &[u8]) -> Option<Place> {
        if key.is_empty() {
            let branch = self.branches.len().checked_sub(1)?;
            return Some(self.branches[branch].last(branch));
        }
        let (Ok(place) | Err(place)) = self.find(key);
        self.branches.get(place.branch)?;
        match place.slot.checked_sub(1) {
            Some(slot) => Some(Place { slot, ..place }),
            None => self.leaf_before(place, Shown::All),
        }
    }

    /// The first place of the next leaf that has something to show.
    fn next_leaf(&self, place: Place, shown: Shown) -> Option<Place> {
        let leaf = place.leaf + 1;
        if let Some(more) = shown.first(&self.branches[place.branch].level.counts[leaf..]) {
            return Some(Place { leaf: leaf + more, slot: 0, ..place });
        }
        let branch = place.branch + 1;
        let branch = branch + shown.first(&self.level.counts[branch..])?;
        let leaf = shown.first(&self.branches[branch].level.counts)?;
        Some(Place { branch, leaf, slot: 0 })
    }

    /// The last place of the leaf with something to show before that of a place.
    fn leaf_before(&self, place: Place, shown: Shown) -> Option<Place> {
        let last = |branch: usize, leaf: usize| Place {
            branch,
            leaf,
            slot: self.branches[branch].leaves[leaf].rows.len() - 1,
        };
        if let Some(leaf) = shown.last(&self.branches[place.branch].level.counts[..place.leaf]) {
            return Some(last(place.branch, leaf));
        }
        let branch = shown.last(&self.level.counts[..place.branch])?;
        let leaf = shown.last(&self.branches[branch].level.counts)?;
        Some(last(branch, leaf))
    }

    /// A branch has changed.
    fn note(&mut self, at: usize) {
        self.level.set(at, &self.branches[at]);
    }

    /// Removes a branch that has become empty; joins one that has become small to a neighbour.
    fn tidy(&mut self, at: usize) {
        let len = self.branches[at].leaves.len();
        if len == 0 {
            self.branches.remove(at);
            self.level.remove(at);
        } else if len <= BRANCH / 4
            && let Some(left) = joinable(at, self.branches.len(), BRANCH, |at| self.branches[at].leaves.len())
        {
            let right = self.branches.remove(left + 1);
            self.level.remove(left + 1);
            self.branches[left].append(right);
            self.note(left);
        }
    }
}

/// A node: the first of its keys, and how many rows it has.
trait Node {
    fn head(&self) -> u64;
    fn count(&self) -> u32;
}

impl Shown {
    /// The first of some nodes that has something to show.
    fn first(self, counts: &[u32]) -> Option<usize> {
        match self {
            Self::Live => first_above_zero(counts),
            Self::All => (!counts.is_empty()).then_some(0),
        }
    }

    /// The last one.
    fn last(self, counts: &[u32]) -> Option<usize> {
        match self {
            Self::Live => counts.iter().rposition(|count| *count > 0),
            Self::All => counts.len().checked_sub(1),
        }
    }
}

impl<V> Node for Branch<V> {
    fn head(&self) -> u64 {
        self.level.heads.first().copied().unwrap_or(0)
    }

    fn count(&self) -> u32 {
        self.level.counts.iter().sum()
    }
}

impl<V> Node for Leaf<V> {
    fn head(&self) -> u64 {
        self.order.heads[0]
    }

    fn count(&self) -> u32 {
        self.order.live.count_ones()
    }
}

impl Level {
    fn of_one() -> Self {
        Self { heads: vec![0], counts: vec![0] }
    }

    /// The last node whose first key is not greater than one with this head; the first node if none is.
    fn last_up_to(&self, head: u64, up_to: impl Fn(usize) -> bool) -> usize {
        leading(&self.heads, head, up_to).saturating_sub(1)
    }

    /// Rows of the nodes before one.
    fn sum(&self, at: usize) -> usize {
        self.counts[..at].iter().map(|count| *count as usize).sum()
    }

    /// The node that has the row of rank `left`, which becomes its rank in there.
    fn take_whole(&self, left: &mut usize) -> usize {
        let mut at = 0;
        while let Some(count) = self.counts.get(at).map(|count| *count as usize)
            && *left >= count
        {
            *left -= count;
            at += 1;
        }
        at
    }

    fn set(&mut self, at: usize, node: &impl Node) {
        self.heads[at] = node.head();
        self.counts[at] = node.count();
    }

    fn insert(&mut self, at: usize, node: &impl Node) {
        self.heads.insert(at, node.head());
        self.counts.insert(at, node.count());
    }

    fn remove(&mut self, at: usize) {
        self.heads.remove(at);
        self.counts.remove(at);
    }

    fn split_off(&mut self, at: usize) -> Self {
        Self { heads: self.heads.split_off(at), counts: self.counts.split_off(at) }
    }
}

impl<V: Live> Branch<V> {
    fn first(&self) -> &[u8] {
        self.leaves[0].first()
    }

    /// Its last place, as the branch with number `branch`.
    fn last(&self, branch: usize) -> Place {
        let leaf = self.leaves.len() - 1;
        Place { branch, leaf, slot: self.leaves[leaf].rows.len() - 1 }
    }

    /// A leaf has changed.
    fn note(&mut self, at: usize) {
        self.level.set(at, &self.leaves[at]);
    }

    fn insert(&mut self, at: usize, leaf: Leaf<V>) {
        self.level.insert(at, &leaf);
        self.leaves.insert(at, leaf);
    }

    /// Its second half; less, where it grows at its end.
    fn split(&mut self, grew: usize) -> Self {
        let at = if grew == self.leaves.len() { self.leaves.len() - 1 } else { self.leaves.len() / 2 };
        Self { level: self.level.split_off(at), leaves: self.leaves.split_off(at) }
    }

    fn append(&mut self, mut right: Self) {
        self.level.heads.append(&mut right.level.heads);
        self.level.counts.append(&mut right.level.counts);
        self.leaves.append(&mut right.leaves);
    }

    /// As [`RowTree::tidy`], of a leaf.
    fn tidy(&mut self, at: usize) {
        let len = self.leaves[at].rows.len();
        if len == 0 {
            self.leaves.remove(at);
            self.level.remove(at);
        } else if len <= LEAF / 4
            && let Some(left) = joinable(at, self.leaves.len(), LEAF, |at| self.leaves[at].rows.len())
        {
            let right = self.leaves.remove(left + 1);
            self.level.remove(left + 1);
            self.leaves[left].append(right);
            self.note(left);
        }
    }
}

/// The left one of two neighbours that are to be one node, one of them number `at`: if that is no more than half full.
fn joinable(at: usize, nodes: usize, full: usize, len: impl Fn(usize) -> usize) -> Option<usize> {
    let fits = |left: &usize| left + 1 < nodes && len(*left) + len(left + 1) <= full / 2;
    Some(at).filter(fits).or_else(|| at.checked_sub(1).filter(fits))
}

impl Order {
    #[inline]
    fn prefetch(&self) {
        prefetch(&self.heads);
        prefetch(&self.at);
    }

    fn is_live(&self, at: u8) -> u32 {
        (self.live >> at) & 1
    }

    fn mark(&mut self, at: u8, live: u32) {
        self.live = self.live & !(1 << at) | live << at;
    }
}

impl<V: Live> Leaf<V> {
    fn with_room(rows: usize) -> Self {
        Self { order: Box::new(Order { heads: [0; LEAF], at: [0; LEAF], live: 0 }), rows: Vec::with_capacity(rows) }
    }

    fn is_live(&self, slot: usize) -> bool {
        self.order.is_live(self.order.at[slot]) == 1
    }

    fn heads(&self) -> &[u64] {
        &self.order.heads[..self.rows.len()]
    }

    /// The row that is number `slot` in order.
    fn row(&self, slot: usize) -> &(RowKey, V) {
        &self.rows[usize::from(self.order.at[slot])]
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &(RowKey, V)> {
        (0..self.rows.len()).map(|slot| self.row(slot))
    }

    fn first(&self) -> &[u8] {
        &self.row(0).0
    }

    /// Puts in a row; answers the new leaf to the right of it if it had to be split.
    fn insert(&mut self, slot: usize, key: RowKey, value: V) -> Option<Self> {
        let len = self.rows.len();
        if len < LEAF {
            self.put(slot, key, value);
            return None;
        }
        // What grows at its end leaves full leaves behind.
        let keep = if slot == len { len } else { len / 2 };
        let mut right = Self::with_room(LEAF);
        while self.rows.len() > keep {
            let (key, value) = self.remove(keep);
            right.put(right.rows.len(), key, value);
        }
        if slot <= keep && keep < len {
            self.put(slot, key, value);
        } else {
            right.put(slot - keep, key, value);
        }
        Some(right)
    }

    fn put(&mut self, slot: usize, key: RowKey, value: V) {
        let (len, order) = (self.rows.len(), &mut *self.order);
        order.heads.copy_within(slot..len, slot + 1);
        order.at.copy_within(slot..len, slot + 1);
        order.heads[slot] = head_of(&key);
        order.at[slot] = len as u8;
        order.mark(len as u8, value.is_live().into());
        self.rows.push((key, value));
    }

    fn remove(&mut self, slot: usize) -> (RowKey, V) {
        let (len, order) = (self.rows.len(), &mut *self.order);
        let hole = order.at[slot];
        order.heads.copy_within(slot + 1..len, slot);
        order.at.copy_within(slot + 1..len, slot);
        // The last one comes to lie in the hole.
        let last = (len - 1) as u8;
        order.at[..len - 1].iter_mut().filter(|at| **at == last).for_each(|at| *at = hole);
        let live = order.is_live(last);
        order.mark(hole, live);
        order.mark(last, 0);
        self.rows.swap_remove(usize::from(hole))
    }

    fn append(&mut self, mut right: Self) {
        while !right.rows.is_empty() {
            let (key, value) = right.remove(0);
            self.put(self.rows.len(), key, value);
        }
    }
}

/// The first count that is not zero. After a queue was served there may be hundreds in front that are, so several are looked
/// at together.
fn first_above_zero(counts: &[u32]) -> Option<usize> {
    const STEP: usize = if cfg!(test) { 2 } else { 16 };
    let zeros = counts.chunks_exact(STEP).take_while(|some| some.iter().fold(0, |all, count| all | count) == 0).count();
    let from = zeros * STEP;
    counts[from..].iter().position(|count| *count > 0).map(|more| from + more)
}

/// The first eight bytes of a key as a number; those that a short one does not have are zeros.
fn head_of(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// How many entries come first of which `is_before` is true: it is of those with lesser heads than `head`, and not of
/// those with greater ones.
fn leading(heads: &[u64], head: u64, is_before: impl Fn(usize) -> bool) -> usize {
    let mut low = heads.partition_point(|other| *other < head);
    if heads.get(low) != Some(&head) {
        return low;
    }
    let mut high = low + heads[low..].partition_point(|other| *other == head);
    while low < high {
        let middle = usize::midpoint(low, high);
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// See [`RowTree::walk`].
pub struct Walk<'t, V> {
    tree: &'t RowTree<V>,
    at: Option<(Place, &'t Leaf<V>)>,
    direction: Direction,
    shown: Shown,
    end: &'t [u8],
    end_head: u64,
    /// Whether it goes on to the end of the tree.
    is_open: bool,
}

impl<'t, V: Live> Iterator for Walk<'t, V> {
    type Item = &'t (RowKey, V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (place, leaf) = self.at?;
            let (row, head) = (leaf.row(place.slot), leaf.order.heads[place.slot]);
            let is_in = self.is_open
                || match self.direction {
                    Direction::Forward => head < self.end_head || row.0.as_slice() < self.end,
                    Direction::Backward => head > self.end_head || row.0.as_slice() >= self.end,
                };
            if !is_in {
                self.at = None;
                return None;
            }
            self.advance(place, leaf);
            if self.shown == Shown::All || leaf.is_live(place.slot) {
                return Some(row);
            }
        }
    }
}

impl<'t, V: Live> Walk<'t, V> {
    fn advance(&mut self, place: Place, leaf: &'t Leaf<V>) {
        let there = match self.direction {
            Direction::Forward => Some(place.slot + 1).filter(|slot| *slot < leaf.rows.len()),
            Direction::Backward => place.slot.checked_sub(1),
        };
        self.at = match there {
            Some(slot) => Some((Place { slot, ..place }, leaf)),
            None => {
                let next = match self.direction {
                    Direction::Forward => self.tree.next_leaf(place, self.shown),
                    Direction::Backward => self.tree.leaf_before(place, self.shown),
                };
                next.map(|next| (next, &self.tree.branches[next.branch].leaves[next.leaf]))
            }
        };
    }
}
