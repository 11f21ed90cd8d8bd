//! Lists against a plain queue: whatever the encoding, the elements are the same; and what they cost in rows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;

use keyspace::list::{self, END_MAX, End, Inserted, ListError, NODE_BYTES, Side};
use keyspace::{Encoding, Head, Kind, Limits, ListPacking, Millis, Op, Ops, View};
use proptest::prelude::*;
use testkit::MemoryView;

const KEY: &[u8] = b"list";

fn view(packing: ListPacking, packed_max_bytes: usize) -> MemoryView {
    let mut view = MemoryView::new(1, Millis(1000), 1);
    view.set_limits(Limits { list: packing, packed_max_bytes, ..Limits::default() });
    view
}

/// A list that is packed as long as it is short, and one that always is; what they hold.
struct Lists {
    tight: MemoryView,
    wide: MemoryView,
    model: VecDeque<Vec<u8>>,
}

impl Lists {
    fn new(packing: ListPacking) -> Self {
        let (tight, wide) = (view(packing, 300), view(ListPacking::Entries(usize::MAX), usize::MAX));
        Self { tight, wide, model: VecDeque::new() }
    }

    /// Runs something on both, which must answer the same.
    fn both<T: PartialEq + std::fmt::Debug>(&mut self, run: impl Fn(&mut dyn View) -> Result<T, ListError>) -> T {
        let answers = [run(&mut self.tight), run(&mut self.wide)];
        let [tight, wide] = answers.map(|answer| answer.unwrap());
        assert_eq!(tight, wide);
        tight
    }

    fn check(&mut self) {
        let len = self.model.len() as u64;
        assert_eq!(self.both(|view| list::len(view, KEY)), len);
        let all: Vec<Vec<u8>> = self.model.iter().cloned().collect();
        assert!(self.both(|view| read(view, 0, u64::MAX)) == all);
        for view in [&mut self.tight, &mut self.wide] {
            assert_eq!(view.record(KEY).unwrap().is_some(), len > 0);
            check_nodes(view);
            view.check();
        }
        assert_ne!(self.wide.record(KEY).unwrap().map(|record| record.head.encoding), Some(Encoding::Exploded));
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Push(end, elements) => {
                let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
                for element in &elements {
                    match end {
                        End::Head => self.model.push_front(element.to_vec()),
                        End::Tail => self.model.push_back(element.to_vec()),
                    }
                }
                let len = self.both(|view| list::push(view, KEY, *end, &elements));
                assert_eq!(len, self.model.len() as u64);
            }
            Change::Pop(end, count) => {
                let popped = self.both(|view| {
                    let mut popped = Vec::new();
                    let left = list::pop(view, KEY, *end, *count, &mut |element| popped.push(element.to_vec()))?;
                    Ok((left, popped))
                });
                let expected: Vec<Vec<u8>> = (0..*count)
                    .map_while(|_| match end {
                        End::Head => self.model.pop_front(),
                        End::Tail => self.model.pop_back(),
                    })
                    .collect();
                assert!(popped == (self.model.len() as u64, expected));
            }
            Change::Set(place, element) => {
                let index = place.index(self.model.len() + 1);
                let there = self.both(|view| list::set(view, KEY, index as u64, element));
                assert_eq!(there, index < self.model.len());
                if there {
                    self.model[index].clone_from(element);
                }
            }
            Change::Trim(front, back) => {
                let (from, to) = (*front as usize, self.model.len().saturating_sub(*back as usize));
                self.both(|view| list::trim(view, KEY, from as u64, to as u64));
                self.model = if from < to { self.model.range(from..to).cloned().collect() } else { VecDeque::new() };
            }
            Change::Insert(side, pivot, element) => {
                let inserted = self.both(|view| list::insert(view, KEY, *side, pivot, element));
                let at = self.model.iter().position(|candidate| candidate == pivot);
                let expected = match at {
                    _ if self.model.is_empty() => Inserted::NoList,
                    None => Inserted::NoPivot,
                    Some(at) => {
                        self.model.insert(at + usize::from(*side == Side::After), element.clone());
                        Inserted::Len(self.model.len() as u64)
                    }
                };
                assert_eq!(inserted, expected);
            }
            Change::Remove(end, count, element) => {
                let removed = self.both(|view| list::remove(view, KEY, *end, *count, element));
                let mut expected = 0;
                while expected < *count {
                    let found = match end {
                        End::Head => self.model.iter().position(|candidate| candidate == element),
                        End::Tail => self.model.iter().rposition(|candidate| candidate == element),
                    };
                    let Some(at) = found else { break };
                    self.model.remove(at);
                    expected += 1;
                }
                assert_eq!(removed, expected);
            }
            Change::Look(place, count) => self.look(place.index(self.model.len() + 1), *count),
        }
    }

    fn look(&mut self, from: usize, count: usize) {
        let part: Vec<Vec<u8>> = self.model.iter().skip(from).take(count).cloned().collect();
        assert!(self.both(|view| read(view, from as u64, (from + count) as u64)) == part);
        let one = self.both(|view| {
            let mut one = None;
            let found = list::get(view, KEY, from as u64, &mut |element| one = Some(element.to_vec()))?;
            assert_eq!(found, one.is_some());
            Ok(one)
        });
        assert!(one.as_ref() == self.model.get(from));
        for end in [End::Head, End::Tail] {
            let seen = self.both(|view| {
                let mut seen = Vec::new();
                list::scan(view, KEY, end, &mut |index, element| {
                    seen.push((index, element.to_vec()));
                    seen.len() < count
                })?;
                Ok(seen)
            });
            let mut all: Vec<_> = (0..).zip(self.model.iter().cloned()).collect();
            if end == End::Tail {
                all.reverse();
            }
            all.truncate(count.max(1));
            assert!(seen == all);
        }
    }
}

fn read(view: &mut dyn View, from: u64, to: u64) -> Result<Vec<Vec<u8>>, ListError> {
    let mut elements = Vec::new();
    list::range(view, KEY, from, to, &mut |element| elements.push(element.to_vec()))?;
    Ok(elements)
}

/// Reads the rows as `docs/formats.md` draws them: nodes without gaps, none larger than it may be.
fn check_nodes(view: &mut MemoryView) {
    let Some(record) = view.record(KEY).unwrap() else { return };
    let Some(rows) = record.rows_id() else { return };
    let word = |at: usize| i64::from_le_bytes(record.payload[at..at + 8].try_into().unwrap());
    let (mut next, to) = (word(8), word(16));
    let head_bytes = u32::from_le_bytes(record.payload[36..40].try_into().unwrap()) as usize;
    assert!(head_bytes <= END_MAX && record.payload.len() - 44 - head_bytes <= END_MAX);
    view.rows(KEY, rows, b"", b"", &mut |row, value| {
        let last = (u64::from_be_bytes(row[1..].try_into().unwrap()) ^ 1 << 63) as i64;
        let count = u32::from_le_bytes(value[..4].try_into().unwrap());
        assert_eq!(last - i64::from(count) + 1, next, "nodes are without gaps");
        assert!(count == 1 || value.len() - 4 <= NODE_BYTES, "{count} elements in {} bytes", value.len());
        next = last + 1;
        true
    })
    .unwrap();
    assert_eq!(next, to);
}

#[derive(Clone, Debug)]
enum Change {
    Push(End, Vec<Vec<u8>>),
    Pop(End, u64),
    Set(prop::sample::Index, Vec<u8>),
    Trim(u64, u64),
    Insert(Side, Vec<u8>, Vec<u8>),
    Remove(End, u64, Vec<u8>),
    Look(prop::sample::Index, usize),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Head), Just(End::Tail)]
}

/// Few different ones, so that they are found again: short ones, some that fill a good part of a node, and some that take
/// one for themselves.
fn element() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![4 => 0usize..3, 4 => Just(700usize), 2 => Just(1900), 1 => 4086usize..4098, 1 => Just(9000)];
    (len, b'a'..=b'b').prop_map(|(len, byte)| vec![byte; len])
}

fn change() -> impl Strategy<Value = Change> {
    let count = || prop_oneof![Just(1u64), 0u64..9, Just(1000)];
    prop_oneof![
        8 => (end(), prop::collection::vec(element(), 1..8)).prop_map(|(end, elements)| Change::Push(end, elements)),
        4 => (end(), count()).prop_map(|(end, count)| Change::Pop(end, count)),
        3 => (any::<prop::sample::Index>(), element()).prop_map(|(place, element)| Change::Set(place, element)),
        1 => (0u64..8, 0u64..8).prop_map(|(front, back)| Change::Trim(front, back)),
        3 => (prop_oneof![Just(Side::Before), Just(Side::After)], element(), element())
            .prop_map(|(side, pivot, element)| Change::Insert(side, pivot, element)),
        2 => (end(), count(), element()).prop_map(|(end, count, element)| Change::Remove(end, count, element)),
        2 => (any::<prop::sample::Index>(), 0usize..9).prop_map(|(place, count)| Change::Look(place, count)),
    ]
}

proptest! {
    #[test]
    fn packed_and_exploded_lists_are_alike(
        packing in prop_oneof![Just(ListPacking::Entries(1)), Just(ListPacking::Entries(5)), Just(ListPacking::Bytes(64))],
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let mut lists = Lists::new(packing);
        for change in &changes {
            lists.apply(change);
            lists.check();
        }
    }
}

fn changed_rows(view: &mut MemoryView) -> (usize, usize) {
    let (mut puts, mut deletes) = (0, 0);
    for op in view.take_ops() {
        for op in Ops::new(&op.frame).unwrap() {
            match op.unwrap() {
                Op::PutRow { .. } => puts += 1,
                Op::DeleteRow { .. } => deletes += 1,
                // What is left goes with the record that leads to it.
                Op::DeleteRows { from: b"", to: b"", .. } => {}
                Op::DeleteRows { .. } => panic!("a queue deletes no ranges"),
                Op::Put { .. } | Op::Splice { .. } | Op::Delete { .. } | Op::Touch { .. } | Op::Clear => {}
            }
        }
    }
    (puts, deletes)
}

#[test]
fn a_queue_touches_a_row_once_in_a_node() {
    const ELEMENTS: usize = 100_000;
    let mut view = view(ListPacking::Bytes(8 << 10), 8 << 10);
    for number in 0..ELEMENTS {
        list::push(&mut view, KEY, End::Head, &[format!("element {number:092}").as_bytes()]).unwrap();
    }
    // 100 bytes and two lengths.
    let nodes = ELEMENTS.div_ceil(NODE_BYTES / 102);
    let (puts, deletes) = changed_rows(&mut view);
    assert!(puts <= nodes && puts >= nodes - 3 && deletes == 0, "{puts} puts, {deletes} deletes, {nodes} nodes");
    for number in 0..ELEMENTS {
        let mut popped = Vec::new();
        list::pop(&mut view, KEY, End::Tail, 1, &mut |element| popped = element.to_vec()).unwrap();
        assert_eq!(popped, format!("element {number:092}").as_bytes());
    }
    let (more, deletes) = changed_rows(&mut view);
    assert_eq!(more, 0);
    assert!(deletes <= puts && deletes + 3 >= puts, "{deletes} deletes of {puts} rows");
    assert_eq!(view.record(KEY).unwrap(), None);
}

#[test]
fn pushes_and_pops_in_turn_touch_no_row() {
    let mut view = view(ListPacking::Entries(1), 300);
    let element = [b'x'; 1000];
    for _ in 0..50 {
        list::push(&mut view, KEY, End::Head, &[&element]).unwrap();
    }
    view.take_ops();
    let mut worst = 0;
    for run in 1..=5u64 {
        for end in [End::Head, End::Tail] {
            list::pop(&mut view, KEY, end, 1, &mut |_| {}).unwrap();
            changed_rows(&mut view);
            for _ in 0..100 {
                for _ in 0..run.min(2) {
                    list::push(&mut view, KEY, end, &[&element]).unwrap();
                }
                list::pop(&mut view, KEY, end, run.min(2), &mut |_| {}).unwrap();
            }
            let (puts, deletes) = changed_rows(&mut view);
            worst = worst.max(puts + deletes);
        }
    }
    assert!(worst <= 2, "{worst} rows");
}

#[test]
fn a_middle_edit_touches_the_shorter_side() {
    let mut view = view(ListPacking::Bytes(8 << 10), 8 << 10);
    let elements: Vec<Vec<u8>> = (0..4000).map(|number| format!("{number:0100}").into_bytes()).collect();
    for element in &elements {
        list::push(&mut view, KEY, End::Tail, &[element]).unwrap();
    }
    let nodes = 4000 / (NODE_BYTES / 102);
    for (at, side) in [(200, nodes / 20), (3800, nodes / 20), (2000, nodes / 2)] {
        view.take_ops();
        list::insert(&mut view, KEY, Side::Before, &elements[at], b"new").unwrap();
        let inserted: usize = view.take_ops().len();
        assert!(inserted <= 2 * side + 6, "{inserted} ops for an insertion at {at}");
        list::remove(&mut view, KEY, End::Head, 1, b"new").unwrap();
        let removed: usize = view.take_ops().len();
        assert!(removed <= 2 * side + 6, "{removed} ops for a removal at {at}");
    }
    list::set(&mut view, KEY, 2000, b"other").unwrap();
    assert_eq!(changed_rows(&mut view), (1, 0));
    list::trim(&mut view, KEY, 1500, 2500).unwrap();
    let ops = view.take_ops().len();
    assert!(ops <= 4, "{ops} ops for a trim");
    assert_eq!(list::len(&mut view, KEY).unwrap(), 1000);
}

#[test]
fn a_capped_list_touches_a_row_once_in_a_node() {
    let mut view = view(ListPacking::Bytes(8 << 10), 8 << 10);
    let (mut puts, mut deletes) = (0, 0);
    for number in 0..20_000 {
        list::push(&mut view, KEY, End::Head, &[format!("{number:0100}").as_bytes()]).unwrap();
        list::trim(&mut view, KEY, 0, 1000).unwrap();
        let changed = changed_rows(&mut view);
        (puts, deletes) = (puts + changed.0, deletes + changed.1);
    }
    let nodes = 20_000 / (NODE_BYTES / 102);
    assert!(puts <= nodes + 2 && deletes <= nodes, "{puts} puts, {deletes} deletes, {nodes} nodes");
}

#[test]
fn a_list_that_shrinks_is_packed_again_at_half_the_limit() {
    let mut view = view(ListPacking::Entries(8), 8 << 10);
    let encoding = |view: &mut MemoryView| view.record(KEY).unwrap().unwrap().head.encoding;
    let expiring = Head::new(Kind::List, Encoding::Packed, Some(Millis(5000)));
    list::push(&mut view, KEY, End::Tail, &[b"x".as_slice(); 8]).unwrap();
    let payload = view.record(KEY).unwrap().unwrap().payload.to_vec();
    view.put(KEY, &expiring, &payload).unwrap();
    assert_eq!(encoding(&mut view), Encoding::Packed);
    list::push(&mut view, KEY, End::Tail, &[b"x"]).unwrap();
    assert_eq!(encoding(&mut view), Encoding::Exploded);
    list::pop(&mut view, KEY, End::Head, 4, &mut |_| {}).unwrap();
    assert_eq!(encoding(&mut view), Encoding::Exploded);
    list::pop(&mut view, KEY, End::Tail, 1, &mut |_| {}).unwrap();
    assert_eq!(encoding(&mut view), Encoding::Packed);
    assert_eq!(view.record(KEY).unwrap().unwrap().head, expiring, "it still expires");
}

#[test]
fn other_types_are_refused() {
    let mut view = view(ListPacking::Entries(8), 300);
    view.put(KEY, &Head::string(None), b"string").unwrap();
    assert_eq!(list::len(&mut view, KEY), Err(ListError::WrongType));
    assert_eq!(list::push(&mut view, KEY, End::Head, &[b"x"]), Err(ListError::WrongType));
    assert_eq!(list::pop(&mut view, KEY, End::Head, 1, &mut |_| {}), Err(ListError::WrongType));
    assert_eq!(list::set(&mut view, KEY, 0, b"x"), Err(ListError::WrongType));
    assert_eq!(list::trim(&mut view, KEY, 0, 1), Err(ListError::WrongType));
    assert_eq!(list::insert(&mut view, KEY, Side::Before, b"x", b"y"), Err(ListError::WrongType));
    assert_eq!(list::remove(&mut view, KEY, End::Head, 1, b"x"), Err(ListError::WrongType));
    assert_eq!(read(&mut view, 0, 1), Err(ListError::WrongType));
}
