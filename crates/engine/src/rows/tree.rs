//! An ordered map of row keys that counts: how many rows come before one is known without visiting them.
//!
//! ```text
//! root      heads, counts ─► branches      as many as it takes
//! branch    heads, counts ─► leaves        up to BRANCH
//! leaf      heads         ─► rows          up to LEAF
//! ```
//!
//! A *head* is the first eight bytes of a key as a number. The heads of a level lie side by side, so a search compares
//! numbers in one or two lines of memory a level; keys themselves are compared where heads are alike. A root of a hundred
//! million rows has some tens of thousands of branches: three levels are enough.

use super::{RowKey, RowRange};
use crate::store::Direction;

/// Rows of a leaf.
const LEAF: usize = if cfg!(test) { 4 } else { 32 };
/// Leaves of a branch.
const BRANCH: usize = if cfg!(test) { 4 } else { 256 };
const _: () = assert!(LEAF <= 1 << u8::BITS, "places of a leaf are bytes");

/// The map.
#[derive(Debug)]
pub struct RowTree<V> {
    level: Level,
    branches: Vec<Branch<V>>,
    len: usize,
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
    /// Rows below them.
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

/// The order of a leaf's rows.
#[derive(Debug)]
struct Order {
    heads: [u64; LEAF],
    /// Where they lie.
    at: [u8; LEAF],
}

impl<V> Default for RowTree<V> {
    fn default() -> Self {
        Self { level: Level::default(), branches: Vec::new(), len: 0 }
    }
}

impl<V> RowTree<V> {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place of a row; `Err`: where it would be.
    pub fn find(&self, key: &[u8]) -> Result<Place, Place> {
        let head = head_of(key);
        if self.branches.is_empty() {
            return Err(Place { branch: 0, leaf: 0, slot: 0 });
        }
        let branch = self.level.last_up_to(head, |at| self.branches[at].first() <= key);
        let leaves = &self.branches[branch].leaves;
        let leaf = self.branches[branch].level.last_up_to(head, |at| leaves[at].first() <= key);
        let rows = &leaves[leaf];
        let slot = leading(rows.heads(), head, |slot| rows.row(slot).0.as_slice() < key);
        let place = Place { branch, leaf, slot };
        let is_there = rows.heads().get(slot) == Some(&head) && rows.row(slot).0.as_slice() == key;
        if is_there { Ok(place) } else { Err(place) }
    }

    /// The value of a row.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.find(key).ok().map(|place| &self.row(place).1)
    }

    /// The row at a place that was found.
    pub fn row(&self, place: Place) -> &(RowKey, V) {
        self.branches[place.branch].leaves[place.leaf].row(place.slot)
    }

    /// The value at a place that was found.
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
        }
        self.len += 1;
        let branch = &mut self.branches[place.branch];
        let right = branch.leaves[place.leaf].insert(place.slot, key, value);
        branch.note(place.leaf);
        if let Some(leaf) = right {
            branch.insert(place.leaf + 1, leaf);
        }
        let right = (branch.leaves.len() > BRANCH).then(|| branch.split(place.leaf + 2));
        self.note(place.branch);
        if let Some(right) = right {
            self.level.insert(place.branch + 1, &right);
            self.branches.insert(place.branch + 1, right);
        }
    }

    /// Puts a row, whether there was one or not.
    pub fn insert(&mut self, key: RowKey, value: V) {
        match self.find(&key) {
            Ok(place) => *self.value_mut(place) = value,
            Err(place) => self.insert_at(place, key, value),
        }
    }

    /// Takes the row at a place that was found.
    pub fn remove_at(&mut self, place: Place) -> (RowKey, V) {
        self.len -= 1;
        let branch = &mut self.branches[place.branch];
        let row = branch.leaves[place.leaf].remove(place.slot);
        branch.note(place.leaf);
        branch.tidy(place.leaf);
        self.note(place.branch);
        self.tidy(place.branch);
        row
    }

    /// Takes a row.
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
    pub fn walk<'t>(&'t self, range: &'t RowRange, direction: Direction) -> Walk<'t, V> {
        let (next, end, is_open) = match direction {
            Direction::Forward => (self.first_from(&range.from), range.to.as_slice(), range.to.is_empty()),
            Direction::Backward => (self.last_before(&range.to), range.from.as_slice(), range.from.is_empty()),
        };
        let leaf = next.map(|next| &self.branches[next.branch].leaves[next.leaf]);
        Walk { tree: self, at: next.zip(leaf), direction, end, end_head: head_of(end), is_open }
    }

    /// How many rows a range has.
    pub fn count(&self, range: &RowRange) -> usize {
        let end = if range.to.is_empty() { self.len } else { self.rank(&range.to) };
        end.saturating_sub(self.rank(&range.from))
    }

    /// The row before which a range has so many others.
    pub fn nth(&self, range: &RowRange, number: usize) -> Option<&(RowKey, V)> {
        let mut left = number.checked_add(self.rank(&range.from)).filter(|rank| *rank < self.len)?;
        let branch = &self.branches[self.level.take_whole(&mut left)];
        let leaf = &branch.leaves[branch.level.take_whole(&mut left)];
        (left < leaf.rows.len()).then(|| leaf.row(left)).filter(|(key, _)| range.holds(key))
    }

    /// How many rows come before a key.
    fn rank(&self, key: &[u8]) -> usize {
        let (Ok(place) | Err(place)) = self.find(key);
        let Some(branch) = self.branches.get(place.branch) else { return 0 };
        self.level.sum(place.branch) + branch.level.sum(place.leaf) + place.slot
    }

    fn first_from(&self, key: &[u8]) -> Option<Place> {
        let (Ok(place) | Err(place)) = self.find(key);
        let leaf = self.branches.get(place.branch)?.leaves.get(place.leaf)?;
        if place.slot < leaf.rows.len() { Some(place) } else { self.next_leaf(place) }
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
            None => self.leaf_before(place),
        }
    }

    fn next_leaf(&self, place: Place) -> Option<Place> {
        if place.leaf + 1 < self.branches[place.branch].leaves.len() {
            return Some(Place { leaf: place.leaf + 1, slot: 0, ..place });
        }
        (place.branch + 1 < self.branches.len()).then_some(Place { branch: place.branch + 1, leaf: 0, slot: 0 })
    }

    /// The last place of the leaf before that of a place.
    fn leaf_before(&self, place: Place) -> Option<Place> {
        match place.leaf.checked_sub(1) {
            Some(leaf) => {
                let slot = self.branches[place.branch].leaves[leaf].rows.len() - 1;
                Some(Place { leaf, slot, ..place })
            }
            None => place.branch.checked_sub(1).map(|branch| self.branches[branch].last(branch)),
        }
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
        self.rows.len() as u32
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

impl<V> Branch<V> {
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

impl<V> Leaf<V> {
    fn with_room(rows: usize) -> Self {
        Self { order: Box::new(Order { heads: [0; LEAF], at: [0; LEAF] }), rows: Vec::with_capacity(rows) }
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
        self.rows.swap_remove(usize::from(hole))
    }

    fn append(&mut self, mut right: Self) {
        while !right.rows.is_empty() {
            let (key, value) = right.remove(0);
            self.put(self.rows.len(), key, value);
        }
    }
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
    end: &'t [u8],
    end_head: u64,
    /// Whether it goes on to the end of the tree.
    is_open: bool,
}

impl<'t, V> Iterator for Walk<'t, V> {
    type Item = &'t (RowKey, V);

    fn next(&mut self) -> Option<Self::Item> {
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
        let there = match self.direction {
            Direction::Forward => Some(place.slot + 1).filter(|slot| *slot < leaf.rows.len()),
            Direction::Backward => place.slot.checked_sub(1),
        };
        self.at = match there {
            Some(slot) => Some((Place { slot, ..place }, leaf)),
            None => {
                let next = match self.direction {
                    Direction::Forward => self.tree.next_leaf(place),
                    Direction::Backward => self.tree.leaf_before(place),
                };
                next.map(|next| (next, &self.tree.branches[next.branch].leaves[next.leaf]))
            }
        };
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl<V> RowTree<V> {
        fn check(&self) {
            assert_eq!(self.len, self.iter().count());
            assert!(self.iter().zip(self.iter().skip(1)).all(|(one, next)| one.0 < next.0));
            assert_eq!(self.level.heads.len(), self.branches.len());
            for (at, branch) in self.branches.iter().enumerate() {
                assert!((1..=BRANCH).contains(&branch.leaves.len()));
                assert_eq!((self.level.heads[at], self.level.counts[at]), (branch.head(), branch.count()));
                assert_eq!(branch.level.heads.len(), branch.leaves.len());
                for (at, leaf) in branch.leaves.iter().enumerate() {
                    assert!((1..=LEAF).contains(&leaf.rows.len()));
                    assert_eq!((branch.level.heads[at], branch.level.counts[at]), (leaf.head(), leaf.count()));
                    assert!(leaf.iter().zip(leaf.heads()).all(|((key, _), head)| head_of(key) == *head));
                    let mut places = leaf.order.at[..leaf.rows.len()].to_vec();
                    places.sort_unstable();
                    assert!(places.iter().enumerate().all(|(at, place)| at == usize::from(*place)));
                }
            }
        }
    }

    fn xorshift(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut random = seed;
        move |bound| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        }
    }

    /// Keys of all kinds of likeness: short ones, zeros at the end, equal heads, prefixes of each other.
    fn some_key(next: &mut impl FnMut(u64) -> u64, spread: u64) -> Vec<u8> {
        let mut key = match next(3) {
            0 => Vec::new(),
            1 => b"alike at first".to_vec(),
            _ => vec![next(2) as u8 * 255; next(9) as usize],
        };
        key.extend((0..next(4)).map(|_| [0, 1, 128, 255][next(4) as usize]));
        key.extend_from_slice(&(next(spread) as u32).to_be_bytes()[next(4) as usize..]);
        key
    }

    fn some_range(next: &mut impl FnMut(u64) -> u64, spread: u64) -> RowRange {
        let from = some_key(next, spread);
        RowRange { from, to: if next(4) == 0 { Vec::new() } else { some_key(next, spread) } }
    }

    fn compare(tree: &RowTree<u64>, model: &BTreeMap<Vec<u8>, u64>, range: &RowRange) {
        let expected: Vec<(&[u8], u64)> =
            model.iter().filter(|(key, _)| range.holds(key)).map(|(key, value)| (&key[..], *value)).collect();
        let walk = |direction| tree.walk(range, direction).map(|(key, value)| (&key[..], *value)).collect::<Vec<_>>();
        assert_eq!(walk(Direction::Forward), expected);
        let mut backward = walk(Direction::Backward);
        backward.reverse();
        assert_eq!(backward, expected);
        assert_eq!(tree.count(range), expected.len());
        for number in [0, expected.len() / 2, expected.len().saturating_sub(1), expected.len()] {
            let found = tree.nth(range, number).map(|(key, value)| (&key[..], *value));
            assert_eq!(found, expected.get(number).copied());
        }
    }

    #[test]
    fn it_is_the_map_that_it_is_told_to_be() {
        for seed in 1..=8 {
            let mut next = xorshift(0x9e37_79b9_7f4a_7c15 ^ seed);
            let spread = [3, 50, 5000][seed as usize % 3];
            let (mut tree, mut model) = (RowTree::default(), BTreeMap::new());
            for turn in 0..6000_u64 {
                // It grows, shrinks to nearly nothing, and grows again.
                let puts = if turn % 2000 < 1200 { 8 } else { 2 };
                let key = some_key(&mut next, spread);
                match next(12) {
                    0 => compare(&tree, &model, &some_range(&mut next, spread)),
                    1 if next(20) == 0 => {
                        let range = some_range(&mut next, spread);
                        let removed = tree.remove_range(&range);
                        let kept = model.len() - removed.len();
                        assert!(removed.iter().all(|(key, value)| model.get(&key[..]) == Some(value)));
                        model.retain(|key, _| !range.holds(key));
                        assert_eq!(model.len(), kept);
                    }
                    choice if choice < puts => {
                        tree.insert(key.as_slice().into(), turn);
                        model.insert(key, turn);
                    }
                    _ => {
                        assert_eq!(tree.remove(&key).map(|(_, value)| value), model.remove(&key));
                        // Random keys hit too seldom to empty it.
                        let some = tree.nth(&RowRange { from: key, to: Vec::new() }, 0).map(|(key, _)| key.clone());
                        if let Some(some) = some.filter(|_| puts == 2) {
                            assert_eq!(tree.remove(&some).map(|(_, value)| value), model.remove(&some[..]));
                        }
                    }
                }
                let probe = some_key(&mut next, spread);
                assert_eq!(tree.get(&probe), model.get(&probe));
                assert_eq!(tree.len(), model.len());
                if turn % 16 == 0 {
                    tree.check();
                }
            }
            compare(&tree, &model, &RowRange { from: Vec::new(), to: Vec::new() });
        }
    }

    #[test]
    fn what_grows_at_its_end_fills_its_leaves() {
        let mut tree = RowTree::default();
        for number in 0..1000_u32 {
            tree.insert(number.to_be_bytes()[..].into(), ());
        }
        tree.check();
        let leaves: usize = tree.branches.iter().map(|branch| branch.leaves.len()).sum();
        assert_eq!(leaves, 1000 / LEAF);
        assert!(tree.branches.len() <= 1000 / LEAF / BRANCH + 1);
        // From its front, as one that is popped.
        for number in 0..999_u32 {
            assert!(tree.remove(&number.to_be_bytes()).is_some());
        }
        tree.check();
        assert_eq!((tree.len(), tree.branches.len()), (1, 1));
    }
}
