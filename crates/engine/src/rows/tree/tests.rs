//! The tree against a plain map.

use std::collections::BTreeMap;

use super::*;

/// An odd number is gone.
impl Live for u64 {
    fn is_live(&self) -> bool {
        self.is_multiple_of(2)
    }
}

impl<V: Live> RowTree<V> {
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
                for slot in 0..leaf.rows.len() {
                    assert_eq!(leaf.is_live(slot), leaf.row(slot).1.is_live());
                }
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
    RowRange::new(&from, &if next(4) == 0 { Vec::new() } else { some_key(next, spread) })
}

fn compare(tree: &RowTree<u64>, model: &BTreeMap<Vec<u8>, u64>, range: &RowRange) {
    let mut expected: Vec<(&[u8], u64)> =
        model.iter().filter(|(key, _)| range.holds(key)).map(|(key, value)| (&key[..], *value)).collect();
    for shown in [Shown::All, Shown::Live] {
        if shown == Shown::Live {
            expected.retain(|(_, value)| value.is_live());
        }
        let walk =
            |direction| tree.walk(range, direction, shown).map(|(key, value)| (&key[..], *value)).collect::<Vec<_>>();
        assert_eq!(walk(Direction::Forward), expected);
        let mut backward = walk(Direction::Backward);
        backward.reverse();
        assert_eq!(backward, expected);
    }
    assert_eq!(tree.count(range), expected.len());
    for number in [0, expected.len() / 2, expected.len().saturating_sub(1), expected.len()] {
        let found = tree.nth(range, number).map(|(key, value)| (&key[..], *value));
        assert_eq!(found, expected.get(number).copied());
    }
}

/// By ways that were looked up before the first of them changed anything.
fn put_several(
    tree: &mut RowTree<u64>,
    model: &mut BTreeMap<Vec<u8>, u64>,
    next: &mut impl FnMut(u64) -> u64,
    spread: u64,
) {
    let keys: Vec<RowKey> = (0..next(12)).map(|_| some_key(next, spread).as_slice().into()).collect();
    let ways = tree.ways(keys.iter());
    for (at, key) in keys.into_iter().enumerate() {
        let found = ways.get(at).map_or_else(|| tree.find(&key), |way| tree.find_by(*way, &key));
        let value = next(1000);
        match found {
            Ok(place) if next(4) == 0 => {
                assert_eq!(model.remove(&key[..]), Some(tree.remove_at(place).1));
            }
            Ok(place) => assert_eq!(model.insert(key.to_vec(), value), Some(tree.replace_at(place, value))),
            Err(place) => {
                assert_eq!(model.insert(key.to_vec(), value), None);
                tree.insert_at(place, key, value);
            }
        }
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
                9 => put_several(&mut tree, &mut model, &mut next, spread),
                _ => {
                    assert_eq!(tree.remove(&key).map(|(_, value)| value), model.remove(&key));
                    // Random keys hit too seldom to empty it.
                    let some = tree.nth(&RowRange::new(&key, &[]), 0).map(|(key, _)| key.clone());
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
        compare(&tree, &model, &RowRange::new(&[], &[]));
    }
}

#[test]
fn what_is_gone_keeps_its_place_and_is_passed_over() {
    let mut tree = RowTree::default();
    let key = |number: u32| RowKey::from_slice(&number.to_be_bytes());
    (0..1000).for_each(|number| tree.insert(key(number), 0_u64));
    for number in (0..1000).filter(|number| !matches!(number, 500 | 999)) {
        tree.insert(key(number), 1);
    }
    tree.check();
    let all = RowRange::new(&[], &[]);
    assert_eq!((tree.len(), tree.count(&all)), (1000, 2));
    assert_eq!(tree.nth(&all, 0).map(|row| &row.0), Some(&key(500)));
    assert_eq!((tree.nth(&all, 1).map(|row| &row.0), tree.nth(&all, 2)), (Some(&key(999)), None));
    for (direction, expected) in [(Direction::Forward, [500, 999]), (Direction::Backward, [999, 500])] {
        let shown: Vec<_> = tree.walk(&all, direction, Shown::Live).map(|row| row.0.clone()).collect();
        assert_eq!(shown, expected.map(key));
        assert_eq!(tree.walk(&all, direction, Shown::All).count(), 1000);
    }
    // They come back.
    (0..1000).step_by(7).for_each(|number| tree.insert(key(number), 2));
    tree.check();
    assert_eq!(tree.count(&all), 143 + 2);
}

#[test]
fn what_grows_at_its_end_fills_its_leaves() {
    let mut tree = RowTree::default();
    for number in 0..1000_u32 {
        tree.insert(number.to_be_bytes()[..].into(), 0_u64);
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

#[test]
fn ways_lead_through_several_trees() {
    let mut next = xorshift(7);
    let mut trees: Vec<RowTree<u64>> = Vec::new();
    for rows in [1, 3, 40, 400] {
        let mut tree = RowTree::default();
        (0..rows).for_each(|number| tree.insert(some_key(&mut next, 500).as_slice().into(), number));
        tree.prefetch();
        tree.prefetch_branch();
        trees.push(tree);
    }
    for _ in 0..100 {
        let key = some_key(&mut next, 500);
        let wanted = trees.iter().map(|tree| (tree, key.as_slice()));
        for (way, tree) in ways(wanted).into_iter().zip(&trees) {
            assert_eq!(tree.find_by(way, &key), tree.find(&key));
        }
    }
}
