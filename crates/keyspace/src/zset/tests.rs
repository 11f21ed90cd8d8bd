//! Packed, exploded and a plain list answer alike.

use alloc::collections::BTreeMap;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::view::{Packing as Most, Page, Seek, Usage};

const KEY: &[u8] = b"z";

/// A view of one key.
struct OneKey {
    record: Option<(Head, Vec<u8>)>,
    rows: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    next_rows: u64,
    limits: Limits,
    /// Bytes of rows and of splices that were written.
    written: usize,
    random: u64,
    /// Whether it answered the last question about numbers of rows: every other one.
    counts: bool,
}

impl OneKey {
    fn new(members: usize) -> Self {
        let limits = Limits { zset: Most { entries: members, value: 8 }, ..Limits::default() };
        Self { record: None, rows: BTreeMap::new(), next_rows: 1, limits, written: 0, random: 1, counts: false }
    }

    /// All members, by the rows or the payload, and whether the counts fit them.
    fn check(&mut self) {
        let Some((head, payload)) = self.record.clone() else {
            assert!(self.rows.is_empty());
            return;
        };
        if head.encoding == Encoding::Packed {
            assert!(self.rows.is_empty() && !packed::all(&payload).unwrap().is_empty());
            return;
        }
        let groups = header::groups(&payload).unwrap();
        let of_kind = |kind: u8| {
            let rows = self.rows.iter().filter(move |((_, row), _)| row[0] == kind);
            rows.map(|((_, row), value)| (row[1..].to_vec(), value.clone())).collect::<Vec<_>>()
        };
        let (keys, blocks, members) = (of_kind(b'o'), of_kind(b'b'), of_kind(rows::ELEMENT));
        assert_eq!(keys.len() + blocks.len() + members.len(), self.rows.len());
        for (member, score) in &members {
            // Behind the hash, and behind the flags.
            let key = order::index_key(score_of(&score[1..]).unwrap(), &member[8..]);
            assert!(keys.binary_search(&(key, Vec::new())).is_ok());
        }
        assert_eq!(keys.len(), members.len());
        assert!(groups[0].boundary.is_empty() && groups.iter().all(|group| group.members > 0));
        for (at, group) in groups.iter().enumerate() {
            let next = groups.get(at + 1).map(|next| &next.boundary);
            let mine = |key: &Vec<u8>| **key >= *group.boundary && next.is_none_or(|next| **key < **next);
            let of_group: Vec<_> = blocks.iter().filter(|(boundary, _)| mine(boundary)).collect();
            assert_eq!(of_group.len(), group.blocks as usize);
            assert_eq!(of_group[0].0[..], group.boundary[..]);
            assert_eq!(keys.iter().filter(|(key, _)| mine(key)).count(), group.members as usize);
        }
        for (at, (boundary, members)) in blocks.iter().enumerate() {
            let next = blocks.get(at + 1).map(|next| &next.0);
            let counted = keys.iter().filter(|(key, _)| key >= boundary && next.is_none_or(|next| key < next)).count();
            assert_eq!(counted, u32::from_le_bytes(members.as_slice().try_into().unwrap()) as usize);
            assert!(counted <= index::BLOCK as usize * 2);
        }
    }
}

impl View for OneKey {
    fn now(&self) -> Millis {
        Millis(0)
    }

    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random ^ self.random >> 29
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn select(&mut self, _: usize) -> Result<(), Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn databases(&self) -> usize {
        1
    }

    fn record(&mut self, _: &[u8]) -> Result<Option<Record<'_>>, Stop> {
        Ok(self.record.as_ref().map(|(head, payload)| Record { lsn: 0, head: *head, payload }))
    }

    fn put(&mut self, _: &[u8], head: &Head, payload: &[u8]) -> Result<(), Stop> {
        self.written += payload.len();
        let kept = Record { lsn: 0, head: *head, payload }.rows_id();
        self.rows.retain(|(rows, _), _| Some(RowsId(*rows)) == kept);
        self.record = Some((*head, payload.to_vec()));
        Ok(())
    }

    fn splice(&mut self, _: &[u8], at: usize, remove: usize, insert: &[u8]) -> Result<(), Stop> {
        self.written += insert.len();
        let (_, payload) = self.record.as_mut().unwrap();
        payload.splice(at..at + remove, insert.iter().copied());
        Ok(())
    }

    fn set_expiry(&mut self, _: &[u8], _: Option<Millis>) -> Result<(), Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn delete(&mut self, _: &[u8]) -> Result<bool, Stop> {
        self.rows.clear();
        Ok(self.record.take().is_some())
    }

    fn rename(&mut self, _: &[u8], _: &[u8]) -> Result<(), Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn new_rows(&mut self) -> RowsId {
        self.next_rows += 1;
        RowsId(self.next_rows)
    }

    fn row(&mut self, _: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop> {
        out.clear();
        let found = self.rows.get(&(rows.0, row.to_vec()));
        Ok(found.map(|value| out.extend_from_slice(value)).is_some())
    }

    fn rows(
        &mut self,
        _: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let inside = |row: &[u8]| row >= from && row < to;
        for ((_, row), value) in self.rows.range((rows.0, from.to_vec())..).take_while(|((_, row), _)| inside(row)) {
            if !seen(row, value) {
                break;
            }
        }
        Ok(())
    }

    fn rows_back(
        &mut self,
        _: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        let inside = |row: &[u8]| row >= from;
        let before = self.rows.range(..(rows.0, to.to_vec())).rev();
        for ((_, row), value) in before.take_while(|((_, row), _)| inside(row)) {
            if !seen(row, value) {
                break;
            }
        }
        Ok(())
    }

    fn count_rows(&mut self, _: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Option<u64> {
        self.counts = !self.counts;
        let in_range = |(id, row): &(u64, Vec<u8>)| *id == rows.0 && row.as_slice() >= from && row.as_slice() < to;
        self.counts.then(|| self.rows.keys().filter(|row| in_range(row)).count() as u64)
    }

    fn nth_row(
        &mut self,
        _: &[u8],
        rows: RowsId,
        [from, to]: [&[u8]; 2],
        number: u64,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Option<bool> {
        self.counts = !self.counts;
        if !self.counts {
            return None;
        }
        let in_range = |(id, row): &(u64, Vec<u8>)| *id == rows.0 && row.as_slice() >= from && row.as_slice() < to;
        let found = self.rows.iter().filter(|(row, _)| in_range(row)).nth(number as usize);
        Some(found.map(|((_, row), value)| seen(row, value)).is_some())
    }

    fn put_row(&mut self, _: &[u8], rows: RowsId, row: &[u8], value: &[u8]) -> Result<(), Stop> {
        self.written += row.len() + value.len();
        self.rows.insert((rows.0, row.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete_row(&mut self, _: &[u8], rows: RowsId, row: &[u8]) -> Result<(), Stop> {
        self.written += row.len();
        self.rows.remove(&(rows.0, row.to_vec()));
        Ok(())
    }

    fn delete_rows(&mut self, _: &[u8], rows: RowsId, from: &[u8], to: &[u8]) -> Result<(), Stop> {
        self.rows.retain(|(id, row), _| *id != rows.0 || row.as_slice() < from || row.as_slice() >= to);
        Ok(())
    }

    fn touch(&mut self, _: &[u8]) -> Result<(), Stop> {
        Ok(())
    }

    fn heavy(&mut self, _: u64) -> Result<(), Stop> {
        Ok(())
    }

    fn walk(&mut self, _: Seek<'_>, _: &[u8], _: usize, _: &mut dyn FnMut(&[u8], &Record<'_>)) -> Result<Page, Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn cursor(&mut self, _: &[u8]) -> u64 {
        unreachable!("sorted sets do not ask this")
    }

    fn cursor_key(&mut self, _: u64) -> Option<Vec<u8>> {
        unreachable!("sorted sets do not ask this")
    }

    fn random_key(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn count(&mut self) -> Result<u64, Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn clear(&mut self) -> Result<(), Stop> {
        unreachable!("sorted sets do not ask this")
    }

    fn usage(&mut self, _: &[u8]) -> Result<Option<Usage>, Stop> {
        unreachable!("sorted sets do not ask this")
    }
}

/// A range in the words of a test: scores and members by small numbers.
#[derive(Clone, Copy, Debug)]
enum Part {
    Rank(u64, u64),
    Score(Bound<i8>, Bound<i8>),
    Lex(Bound<u8>, Bound<u8>),
}

#[derive(Clone, Debug)]
enum Act {
    Set(u8, i8),
    Add(u8, i8),
    Remove(u8),
    RemoveRange(Part),
    Pop(Direction, u64),
    Replace(Vec<(u8, i8)>),
    Look(Part, Direction, u64, u64),
    Standing(u8),
    Pick,
    Scan(usize),
    /// Many members of one score.
    Fill(u8, u8, i8),
}

/// Member `number`: short ones, some that share a beginning, a few too long to be packed.
fn member(number: u8) -> Vec<u8> {
    match number % 16 {
        15 if number > 200 => vec![b'm'; 20 + number as usize],
        0 => vec![number],
        _ => [b"m".as_slice(), &[number / 16, number]].concat(),
    }
}

fn score(number: i8) -> f64 {
    match number {
        i8::MIN => f64::NEG_INFINITY,
        i8::MAX => f64::INFINITY,
        -1 => -0.0,
        number => f64::from(number) / 4.0,
    }
}

/// The plain thing: members in order.
#[derive(Default)]
struct Plain(Vec<(f64, Vec<u8>)>);

impl Plain {
    fn set(&mut self, member: &[u8], score: f64) {
        self.0.retain(|(_, other)| other != member);
        self.0.push((normal(score), member.to_vec()));
        self.0.sort_by(|a, b| a.partial_cmp(b).unwrap());
    }

    fn find(&self, member: &[u8]) -> Option<(usize, f64)> {
        self.0.iter().position(|(_, other)| other == member).map(|at| (at, self.0[at].0))
    }

    fn part(&self, part: Part) -> Vec<(f64, Vec<u8>)> {
        let all = self.0.iter().cloned();
        match part {
            Part::Rank(from, to) => all.take(to as usize).skip(from as usize).collect(),
            Part::Score(min, max) => {
                let range = (min.map(score), max.map(score));
                all.filter(|(score, _)| core::ops::RangeBounds::contains(&range, score)).collect()
            }
            Part::Lex(min, max) => {
                let range = (min.map(member), max.map(member));
                all.filter(|(_, member)| core::ops::RangeBounds::contains(&range, member)).collect()
            }
        }
    }

    fn has_one_score(&self) -> bool {
        self.0.windows(2).all(|pair| pair[0].0 == pair[1].0)
    }
}

/// Calls with the range that a part means.
fn with_range<T>(part: Part, call: impl FnOnce(Range<'_>) -> T) -> T {
    match part {
        Part::Rank(from, to) => call(Range::Rank(from, to)),
        Part::Score(min, max) => call(Range::Score(min.map(score), max.map(score))),
        Part::Lex(min, max) => {
            let (min, max) = (min.map(member), max.map(member));
            call(Range::Lex(min.as_ref().map(Vec::as_slice), max.as_ref().map(Vec::as_slice)))
        }
    }
}

fn visited(view: &mut OneKey, part: Part, direction: Direction, limit: (u64, u64)) -> Vec<(f64, Vec<u8>)> {
    let mut seen = Vec::new();
    with_range(part, |range| {
        visit(view, KEY, range, direction, limit, &mut |member, score| seen.push((score, member.to_vec())))
    })
    .unwrap();
    seen
}

fn act(view: &mut OneKey, plain: &mut Plain, act: &Act) {
    match act {
        Act::Standing(_) | Act::Scan(_) | Act::Pick | Act::Look(..) => ask(view, plain, act),
        Act::Set(..) | Act::Add(..) | Act::Remove(_) | Act::Replace(_) | Act::Fill(..) => change(view, plain, act),
        Act::RemoveRange(_) | Act::Pop(..) => cut(view, plain, act),
    }
    assert_eq!(len(view, KEY).unwrap(), plain.0.len() as u64);
    view.check();
}

fn change(view: &mut OneKey, plain: &mut Plain, act: &Act) {
    match act {
        Act::Set(name, number) => {
            let old = plain.find(&member(*name)).map(|(_, score)| score);
            let updated = update(view, KEY, &member(*name), &mut |_| Some(score(*number))).unwrap();
            assert_eq!(updated.old, old);
            plain.set(&member(*name), score(*number));
        }
        Act::Add(name, number) => {
            // Only of members that are there, and to a finite sum.
            let sum = |old: Option<f64>| old.map(|old| old + score(*number)).filter(|sum| sum.is_finite());
            let updated = update(view, KEY, &member(*name), &mut |old| sum(old)).unwrap();
            let expected = sum(plain.find(&member(*name)).map(|(_, score)| score));
            assert_eq!(updated.new, expected);
            if let Some(sum) = expected {
                plain.set(&member(*name), sum);
            }
        }
        Act::Remove(name) => {
            let expected = plain.find(&member(*name));
            assert_eq!(remove(view, KEY, &member(*name)).unwrap(), expected.map(|(_, score)| score));
            plain.0.retain(|(_, other)| *other != member(*name));
        }
        Act::Replace(members) => {
            let mut fresh = Plain::default();
            members.iter().for_each(|(name, number)| fresh.set(&member(*name), score(*number)));
            let mut shuffled = fresh.0.clone();
            shuffled.reverse();
            replace(view, KEY, shuffled).unwrap();
            *plain = fresh;
        }
        Act::Fill(from, to, number) => {
            for name in *from..*to {
                update(view, KEY, &member(name), &mut |_| Some(score(*number))).unwrap();
                plain.set(&member(name), score(*number));
            }
        }
        _ => unreachable!(),
    }
}

fn cut(view: &mut OneKey, plain: &mut Plain, act: &Act) {
    match act {
        Act::RemoveRange(Part::Lex(..)) if !plain.has_one_score() => {}
        Act::RemoveRange(part) => {
            let gone = plain.part(*part);
            let removed = with_range(*part, |range| remove_range(view, KEY, range)).unwrap();
            assert_eq!(removed, gone.len() as u64);
            plain.0.retain(|entry| !gone.contains(entry));
        }
        Act::Pop(direction, count) => {
            let popped = pop(view, KEY, *direction, *count).unwrap();
            for (member, score) in &popped {
                let at = if *direction == Direction::Up { 0 } else { plain.0.len() - 1 };
                assert_eq!(plain.0.remove(at), (*score, member.clone()));
            }
            assert!(popped.len() as u64 == *count || plain.0.is_empty());
        }
        _ => unreachable!(),
    }
}

fn ask(view: &mut OneKey, plain: &Plain, act: &Act) {
    match act {
        Act::Look(Part::Lex(..), ..) if !plain.has_one_score() => {}
        Act::Look(part, direction, offset, limit) => {
            let mut expected = plain.part(*part);
            assert_eq!(with_range(*part, |range| count(view, KEY, range)).unwrap(), expected.len() as u64);
            if *direction == Direction::Down {
                expected.reverse();
            }
            let expected: Vec<_> = expected.into_iter().skip(*offset as usize).take(*limit as usize).collect();
            assert_eq!(visited(view, *part, *direction, (*offset, *limit)), expected);
        }
        Act::Standing(name) => {
            let expected = plain.find(&member(*name));
            let found = standing(view, KEY, &member(*name)).unwrap();
            assert_eq!(found.map(|found| (found.rank as usize, found.score)), expected);
            assert_eq!(super::score(view, KEY, &member(*name)).unwrap(), expected.map(|(_, score)| score));
        }
        Act::Scan(count) => {
            let (mut seen, mut cursor) = (Vec::new(), 0);
            loop {
                let mut see = |member: &[u8], score: f64| seen.push((score, member.to_vec()));
                cursor = scan(view, KEY, cursor, *count, &mut see).unwrap();
                if cursor == 0 {
                    break;
                }
            }
            seen.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(seen, plain.0);
        }
        Act::Pick => match pick(view, KEY).unwrap() {
            None => assert!(plain.0.is_empty()),
            Some((member, score)) => assert!(plain.0.contains(&(score, member))),
        },
        _ => unreachable!(),
    }
}

fn any_bound<T: Clone + core::fmt::Debug + 'static>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Bound<T>> {
    (value, 0..5u8).prop_map(|(value, which)| match which {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(value),
        _ => Bound::Excluded(value),
    })
}

fn any_part() -> impl Strategy<Value = Part> {
    let number = || prop_oneof![8 => -8..8i8, 1 => Just(i8::MIN), 1 => Just(i8::MAX)];
    prop_oneof![
        (0..90u64, prop_oneof![0..90u64, Just(u64::MAX)]).prop_map(|(from, to)| Part::Rank(from, to)),
        (any_bound(number()), any_bound(number())).prop_map(|(min, max)| Part::Score(min, max)),
        (any_bound(any::<u8>()), any_bound(any::<u8>())).prop_map(|(min, max)| Part::Lex(min, max)),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let number = || prop_oneof![8 => -8..8i8, 1 => Just(i8::MIN), 1 => Just(i8::MAX)];
    let direction = || prop::sample::select(vec![Direction::Up, Direction::Down]);
    let limit = || prop_oneof![0..5u64, Just(300u64), Just(u64::MAX)];
    prop_oneof![
        8 => (any::<u8>(), number()).prop_map(|(name, number)| Act::Set(name, number)),
        2 => (any::<u8>(), number()).prop_map(|(name, number)| Act::Add(name, number)),
        3 => any::<u8>().prop_map(Act::Remove),
        2 => any_part().prop_map(Act::RemoveRange),
        1 => (direction(), 0..30u64).prop_map(|(direction, count)| Act::Pop(direction, count)),
        1 => prop::collection::vec((any::<u8>(), number()), 0..120).prop_map(Act::Replace),
        6 => (any_part(), direction(), limit(), limit())
            .prop_map(|(part, direction, offset, limit)| Act::Look(part, direction, offset, limit)),
        3 => any::<u8>().prop_map(Act::Standing),
        1 => (1..9usize).prop_map(Act::Scan),
        1 => Just(Act::Pick),
        3 => (any::<u8>(), any::<u8>(), number()).prop_map(|(from, to, number)| Act::Fill(from, to, number)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn packed_and_exploded_answer_alike(acts in prop::collection::vec(any_act(), 1..40), most in 0..40usize) {
        for most in [most, 0, 10_000] {
            let (mut view, mut plain) = (OneKey::new(most), Plain::default());
            for one in &acts {
                act(&mut view, &mut plain, one);
            }
        }
    }
}

#[test]
fn a_change_of_a_large_set_writes_little() {
    let mut view = OneKey::new(0);
    for number in 0..3000u32 {
        let name = number.wrapping_mul(2_654_435_761).to_be_bytes();
        update(&mut view, KEY, &name, &mut |_| Some(f64::from(number % 97))).unwrap();
    }
    view.check();
    let mut most = 0;
    for number in 0..500u32 {
        let before = view.written;
        update(&mut view, KEY, &number.to_be_bytes(), &mut |_| Some(f64::from(number))).unwrap();
        most = most.max(view.written - before);
    }

    assert!(most < 1000, "{most}");
}

#[test]
fn other_types_are_refused() {
    let mut view = OneKey::new(10);
    view.record = Some((Head::string(None), b"x".to_vec()));
    let wrong = Err(ZsetError::WrongType);
    assert_eq!(len(&mut view, KEY), wrong);
    assert_eq!(update(&mut view, KEY, b"m", &mut |_| Some(1.0)).map(drop), Err(ZsetError::WrongType));
    assert_eq!(remove(&mut view, KEY, b"m").map(drop), Err(ZsetError::WrongType));
    assert_eq!(pop(&mut view, KEY, Direction::Up, 1).map(drop), Err(ZsetError::WrongType));
}

#[test]
fn golden_rows() {
    let mut view = OneKey::new(0);
    update(&mut view, KEY, b"a", &mut |_| Some(1.0)).unwrap();
    let (head, payload) = view.record.clone().unwrap();
    assert_eq!((head.kind, head.encoding), (Kind::Zset, Encoding::Exploded));
    assert_eq!(payload, [2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
    let rows: Vec<_> = view.rows.into_iter().map(|((_, row), value)| (row, value)).collect();
    assert_eq!(
        rows,
        [
            (b"b".to_vec(), vec![1, 0, 0, 0]),
            (rows::row_key(b"a").to_vec(), vec![0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
            (vec![b'o', 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, b'a'], Vec::new()),
        ]
    );
}

#[test]
fn a_payload_that_is_none_is_a_fault() {
    let mut view = OneKey::new(10);
    for encoding in [Encoding::Packed, Encoding::Exploded] {
        view.record = Some((Head::new(Kind::Zset, encoding, None), vec![9; 11]));
        assert_eq!(len(&mut view, KEY), Err(ZsetError::Stop(Stop::Fault)));
    }
}
