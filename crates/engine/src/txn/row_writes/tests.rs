//! Changed rows against a plain tree.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn range(from: u8, to: u8) -> RowRange {
    RowRange::new(&[from], if to == 0 { &[] } else { std::slice::from_ref(&to) })
}

fn change(number: u8) -> RowChange {
    if number.is_multiple_of(3) { RowChange::Delete } else { RowChange::Put(RowKey::from_slice(&[number])[..].into()) }
}

/// Everything that can be asked of the changes.
fn compare(changes: &RowChanges, model: &BTreeMap<Vec<u8>, RowChange>, asked: &RowRange) {
    assert_eq!(changes.is_empty(), model.is_empty());
    assert!(changes.few.is_empty() || changes.many.is_empty());
    for row in 0..16 {
        assert_eq!(changes.get(&[row]), model.get(&[row][..]));
    }
    let expected: Vec<_> = model.range::<[u8], _>(asked.bounds()).map(|(row, change)| (&row[..], change)).collect();
    let plain = |(row, change)| -> (&[u8], &RowChange) {
        let row: &RowKey = row;
        (row, change)
    };
    assert_eq!(changes.range(asked).map(plain).collect::<Vec<_>>(), expected);
    let back: Vec<_> = changes.range(asked).rev().map(plain).collect();
    assert!(back.iter().rev().eq(&expected));
}

proptest! {
    #[test]
    fn few_and_many_are_as_a_tree(steps: Vec<(u8, u8, u8)>) {
        let mut changes = RowChanges::default();
        let mut model = BTreeMap::new();
        for (what, a, b) in steps {
            let (a, b) = (a % 16, b % 17);
            match what % 8 {
                0..5 => {
                    changes.insert(&[a], change(b));
                    model.insert(vec![a], change(b));
                }
                5 => {
                    changes.remove(&[a]);
                    model.remove(&[a][..]);
                }
                6 => {
                    changes.remove_range(&range(a, b));
                    model.retain(|row, _| !range(a, b).holds(row));
                }
                _ => {
                    let taken: Vec<_> = changes.drain().map(|(row, change)| (row.to_vec(), change)).collect();
                    prop_assert!(taken.into_iter().eq(std::mem::take(&mut model)));
                }
            }
            compare(&changes, &model, &range(a, b));
        }
    }
}

#[test]
fn sets_are_found_by_their_ids_and_taken_back() {
    let mut writes = RowWrites::default();
    for id in [5, 3, 9, 5] {
        writes.of(RowsId(id)).rows.insert(&[id as u8], RowChange::Delete);
    }
    assert!(writes.get(RowsId(5)).is_some_and(|set| set.rows.get(&[5]).is_some() && !set.is_empty()));
    assert!(writes.get(RowsId(4)).is_none());
    let was = writes.get(RowsId(3)).cloned();
    writes.of(RowsId(3)).rows.insert(b"x", RowChange::Delete);
    writes.set(RowsId(3), was);
    assert!(writes.get(RowsId(3)).is_some_and(|set| set.rows.get(b"x").is_none()));
    writes.set(RowsId(5), None);
    writes.set(RowsId(9), None);
    assert!(writes.get(RowsId(5)).is_none() && writes.get(RowsId(9)).is_none());
    writes.set(RowsId(7), Some(SetWrites::default()));
    writes.of(RowsId(3)).cleared.push(range(0, 0));
    let mut seen = Vec::new();
    writes.drain(|id, set| seen.push((id.0, set.is_empty())));
    assert_eq!(seen, [(3, false), (7, true)]);
    writes.drain(|_, _| panic!("nothing is left"));
}
