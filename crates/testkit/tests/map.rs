//! Maps against a plain one: whatever the form, and while it changes, readers see the same.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use keyspace::map::{self, Batch, Deadline, Editor, Form, Picks, rows};
use keyspace::{Kind, Limits, Millis, Op, Ops, Packing, View};
use proptest::prelude::*;
use testkit::MemoryView;

const KEY: &[u8] = b"key";
const START: u64 = 1_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// Elements of one editor: those with a value are put, the others removed.
    Edit(Vec<(u8, Option<(u8, Time)>)>),
    Pop(usize),
    Pass(u64),
    Purge,
}

#[derive(Clone, Copy, Debug)]
enum Time {
    Keep,
    Never,
    In(u64),
}

/// Short and long names, integers and others.
fn name(n: u8) -> Vec<u8> {
    match n % 5 {
        0 => b"x".repeat(usize::from(n) / 4),
        1 => format!("-{}", u64::from(n) << 50).into_bytes(),
        _ => n.to_string().into_bytes(),
    }
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

struct Pair {
    view: MemoryView,
    kind: Kind,
    model: Model,
    now: u64,
}

impl Pair {
    fn new(kind: Kind, limits: Limits) -> Self {
        let mut view = MemoryView::new(1, Millis(START), 7);
        view.set_limits(limits);
        Self { view, kind, model: Model::new(), now: START }
    }

    fn is_live(&self, element: &[u8]) -> bool {
        self.model.get(element).is_some_and(|(_, at)| at.is_none_or(|at| at > self.now))
    }

    fn edit(&mut self, changes: &[(u8, Option<(u8, Time)>)]) {
        let batch = if changes.len() == 1 { Batch::One } else { Batch::Many(0) };
        let mut answers = Vec::new();
        let mut editor = Editor::open(&mut self.view, KEY, self.kind, batch).unwrap();
        for (element, change) in changes {
            let element = name(*element);
            answers.push(match change {
                None => editor.remove(&element).unwrap(),
                Some((value, time)) => {
                    let (value, deadline) = kind_of_value(self.kind, self.now, *value, *time);
                    editor.put(&element, &value, deadline).unwrap()
                }
            });
        }
        editor.finish().unwrap();
        for ((element, change), answer) in changes.iter().zip(answers) {
            let element = name(*element);
            let live = self.is_live(&element);
            match change {
                None => {
                    assert_eq!(answer, live);
                    self.model.remove(&element);
                }
                Some((value, time)) => {
                    assert_eq!(answer, !live);
                    let (value, deadline) = kind_of_value(self.kind, self.now, *value, *time);
                    let old = self.model.get(&element).filter(|_| live).and_then(|(_, at)| *at);
                    let at = match deadline {
                        Deadline::Keep => old,
                        Deadline::Set(at) => at.map(|at| at.0),
                    };
                    self.model.insert(element, (value, at));
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Edit(changes) => self.edit(changes),
            Step::Pop(count) if self.kind == Kind::Set => {
                let batch = if *count == 1 { Batch::One } else { Batch::Many(0) };
                let mut editor = Editor::open(&mut self.view, KEY, self.kind, batch).unwrap();
                let mut popped = Vec::new();
                for _ in 0..*count {
                    let mut element = Vec::new();
                    if editor.pop(&mut element).unwrap() {
                        popped.push(element);
                    }
                }
                editor.finish().unwrap();
                assert_eq!(popped.len(), (*count).min(self.model.len()));
                for element in popped {
                    assert!(self.model.remove(&element).is_some());
                }
            }
            Step::Pop(_) => {}
            Step::Pass(millis) => {
                self.now += millis;
                self.view.set_now(Millis(self.now));
            }
            Step::Purge => {
                let now = self.now;
                let expired = self.model.values().filter(|(_, at)| at.is_some_and(|at| at <= now)).count();
                assert_eq!(map::purge(&mut self.view, KEY, self.kind, usize::MAX).unwrap(), expired);
                self.model.retain(|_, (_, at)| at.is_none_or(|at| at > now));
                let record = self.view.record(KEY).unwrap();
                assert!(record.is_none_or(|record| !map::may_have_expired(&record, Millis(now))));
            }
        }
        self.check();
    }

    fn check(&mut self) {
        self.view.check();
        let view = &mut self.view;
        assert_eq!(map::len(view, KEY, self.kind).unwrap(), self.model.len() as u64);
        assert_eq!(view.record(KEY).unwrap().is_some(), !self.model.is_empty());
        let now = self.now;
        let expected: Model = self
            .model
            .iter()
            .filter(|(_, (_, at))| at.is_none_or(|at| at > now))
            .map(|(element, rest)| (element.clone(), rest.clone()))
            .collect();
        let mut walked = Model::new();
        map::walk(view, KEY, self.kind, &mut |found| {
            let at = found.expire_at.map(|at| at.0);
            assert!(walked.insert(found.name.to_vec(), (found.value.to_vec(), at)).is_none(), "seen twice");
        })
        .unwrap();
        assert_eq!(walked, expected);
        let (mut scanned, mut cursor) = (BTreeSet::new(), 0);
        loop {
            cursor = map::scan(view, KEY, self.kind, cursor, 3, &mut |found| {
                scanned.insert(found.name.to_vec());
            })
            .unwrap();
            if cursor == 0 {
                break;
            }
        }
        assert!(scanned.iter().eq(expected.keys()));
        for n in 0..40 {
            let element = name(n);
            let found = map::get(view, KEY, self.kind, &element, |found| {
                found.map(|found| (found.value.to_vec(), found.expire_at.map(|at| at.0)))
            });
            assert_eq!(found.unwrap().as_ref(), expected.get(&element));
        }
        for picks in [Picks::Different(1), Picks::Different(4), Picks::Different(100), Picks::Any(5)] {
            let mut picked = Vec::new();
            map::pick(view, KEY, self.kind, picks, &mut |found| {
                picked.push((found.name.to_vec(), found.value.to_vec()))
            })
            .unwrap();
            assert!(picked.iter().all(|(element, value)| expected[element].0 == *value));
            let different: BTreeSet<_> = picked.iter().map(|(element, _)| element).collect();
            match picks {
                Picks::Different(count) => {
                    assert_eq!((picked.len(), different.len()), (count.min(expected.len()), picked.len()));
                }
                Picks::Any(count) => assert_eq!(picked.len(), if expected.is_empty() { 0 } else { count }),
            }
        }
    }
}

fn kind_of_value(kind: Kind, now: u64, value: u8, time: Time) -> (Vec<u8>, Deadline) {
    if kind == Kind::Set {
        return (Vec::new(), Deadline::Keep);
    }
    let deadline = match time {
        Time::Keep => Deadline::Keep,
        Time::Never => Deadline::Set(None),
        Time::In(millis) => Deadline::Set(Some(Millis(now + millis))),
    };
    (vec![value; usize::from(value) / 8], deadline)
}

fn limits() -> impl Strategy<Value = Limits> {
    let packing = |entries| Packing { entries, value: 40 };
    (prop::sample::select(vec![0usize, 1, 4, 12, 1000]), prop::sample::select(vec![0usize, 3, 8, 1000]), 20usize..4000)
        .prop_map(move |(entries, intset_entries, packed_max_bytes)| Limits {
            hash: packing(entries),
            set: packing(entries),
            intset_entries,
            packed_max_bytes,
            ..Limits::default()
        })
}

fn step() -> impl Strategy<Value = Step> {
    let time = prop_oneof![3 => Just(Time::Keep), 6 => Just(Time::Never), 2 => (1u64..50).prop_map(Time::In)];
    let change = (0u8..40, prop::option::weighted(0.7, (any::<u8>(), time)));
    prop_oneof![
        8 => prop::collection::vec(change.clone(), 1..2).prop_map(Step::Edit),
        4 => prop::collection::vec(change, 0..12).prop_map(Step::Edit),
        2 => (0usize..6).prop_map(Step::Pop),
        1 => (1u64..30).prop_map(Step::Pass),
        1 => Just(Step::Purge),
    ]
}

proptest! {
    #[test]
    fn all_forms_are_the_plain_map(
        kind in prop::sample::select(vec![Kind::Hash, Kind::Set]),
        limits in limits(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut pair = Pair::new(kind, limits);
        for step in &steps {
            pair.step(step);
        }
    }

    #[test]
    fn elements_that_stay_are_scanned_whatever_else_happens(
        kind in prop::sample::select(vec![Kind::Hash, Kind::Set]),
        limits in limits(),
        steps in prop::collection::vec(step(), 1..40),
        most in 1usize..5,
    ) {
        let mut pair = Pair::new(kind, limits);
        pair.edit(&[(1, None)]);
        let stay: Vec<_> = (0..20u8).map(|n| (n * 2, Some((9, Time::Never)))).collect();
        pair.edit(&stay);
        let (mut seen, mut cursor) = (BTreeSet::new(), 0);
        for round in 0.. {
            cursor = map::scan(&mut pair.view, KEY, kind, cursor, most, &mut |found| {
                seen.insert(found.name.to_vec());
            }).unwrap();
            if cursor == 0 {
                break;
            }
            if let Some(Step::Edit(changes)) = steps.get(round) {
                let others: Vec<_> = changes.iter().filter(|(n, _)| n % 2 == 1).copied().collect();
                pair.edit(&others);
            }
        }
        for (n, _) in stay {
            prop_assert!(seen.contains(&name(n)));
        }
    }
}

/// What the last edit logged.
fn logged(pair: &mut Pair) -> Vec<String> {
    let frames = pair.view.take_ops();
    let name = |frame: &[u8]| {
        let ops = Ops::new(frame).unwrap();
        ops.map(|op| match op.unwrap() {
            Op::Put { .. } => "put",
            Op::Splice { .. } => "splice",
            Op::Touch { .. } => "touch",
            Op::PutRow { .. } => "put row",
            Op::Delete { .. } => "delete",
            Op::DeleteRow { .. } => "delete row",
            Op::DeleteRows { .. } | Op::Clear => "other",
        })
        .collect::<Vec<_>>()
        .join(",")
    };
    frames.iter().map(|logged| name(&logged.frame)).collect()
}

#[test]
fn changes_of_packed_maps_are_logged_as_splices_but_where_elements_expire() {
    let put = |n: u8| (n, Some((80, Time::Never)));
    let mut pair = Pair::new(Kind::Hash, Limits::default());
    pair.edit(&[put(2)]);
    assert_eq!(logged(&mut pair), ["put"]);
    pair.edit(&[put(3)]);
    assert_eq!(logged(&mut pair), ["splice"]);
    pair.edit(&[put(4), put(7), (3, None)]);
    assert_eq!(logged(&mut pair), ["splice"]);
    pair.edit(&[put(4), put(7)]);
    assert_eq!(logged(&mut pair), ["touch"], "the same again still tells watchers");
    pair.edit(&[(4, Some((80, Time::In(5)))), (50, None)]);
    assert_eq!(logged(&mut pair), ["put"]);
    pair.edit(&[put(9)]);
    assert_eq!(logged(&mut pair), ["put"]);
    pair.edit(&[put(4)]);
    assert_eq!(logged(&mut pair), ["put"], "the last one that could expire");
    pair.edit(&[put(8)]);
    assert_eq!(logged(&mut pair), ["splice"]);
    pair.edit(&[(99, None)]);
    assert_eq!(logged(&mut pair), [""; 0], "nothing happened");
}

#[test]
fn a_change_of_an_exploded_map_logs_its_row_and_its_count() {
    let limits = Limits { hash: Packing { entries: 2, value: 64 }, ..Limits::default() };
    let mut pair = Pair::new(Kind::Hash, limits);
    for n in [2, 3, 4] {
        pair.edit(&[(n, Some((80, Time::Never)))]);
    }
    assert_eq!(logged(&mut pair), ["put", "splice", "put", "put row", "put row", "put row", "splice"]);
    pair.edit(&[(7, Some((80, Time::Never)))]);
    assert_eq!(logged(&mut pair), ["put row", "splice"]);
    pair.edit(&[(7, Some((88, Time::Never)))]);
    assert_eq!(logged(&mut pair), ["put row", "touch"]);
    pair.edit(&[(7, None)]);
    assert_eq!(logged(&mut pair), ["delete row", "splice"]);
}

#[test]
fn sets_change_their_form_as_in_redis() {
    let mut pair = Pair::new(Kind::Set, Limits { intset_entries: 4, ..Limits::default() });
    let form = |pair: &mut Pair| map::form(&pair.view.record(KEY).unwrap().unwrap());
    let add = |pair: &mut Pair, member: &[u8]| {
        let mut editor = Editor::open(&mut pair.view, KEY, Kind::Set, Batch::One).unwrap();
        editor.put(member, b"", Deadline::Keep).unwrap();
        editor.finish().unwrap();
    };
    for member in [&b"1"[..], b"-5", b"77"] {
        add(&mut pair, member);
        assert_eq!(form(&mut pair), Form::Integers);
    }
    add(&mut pair, b"a");
    assert_eq!(form(&mut pair), Form::Packed);
    add(&mut pair, b"9");
    assert_eq!(form(&mut pair), Form::Packed);
    add(&mut pair, &[b'x'; 65]);
    assert_eq!(form(&mut pair), Form::Exploded);
    pair.view.delete(KEY).unwrap();
    for member in [&b"1"[..], b"2", b"3", b"4"] {
        add(&mut pair, member);
        assert_eq!(form(&mut pair), Form::Integers);
    }
    add(&mut pair, b"5");
    assert_eq!(form(&mut pair), Form::Exploded);
}

/// Whether numbers of hits fit an even distribution: chi square with so many degrees of freedom lies within about four
/// standard deviations.
fn is_even(hits: &[u64]) -> bool {
    let expected = hits.iter().sum::<u64>() as f64 / hits.len() as f64;
    let chi: f64 = hits.iter().map(|hits| (*hits as f64 - expected).powi(2) / expected).sum();
    let freedom = hits.len() as f64 - 1.0;
    chi < freedom + 4.0 * (2.0 * freedom).sqrt()
}

#[test]
fn single_picks_are_even() {
    for (count, packed) in [(100u64, true), (100, false), (1000, false)] {
        let entries = if packed { 1000 } else { 0 };
        let limits = Limits { set: Packing { entries, value: 64 }, intset_entries: entries, ..Limits::default() };
        let mut pair = Pair::new(Kind::Set, limits);
        let mut editor = Editor::open(&mut pair.view, KEY, Kind::Set, Batch::Many(0)).unwrap();
        for n in 0..count {
            editor.put(n.to_string().as_bytes(), b"", Deadline::Keep).unwrap();
        }
        editor.finish().unwrap();
        for picks in [Picks::Different(1), Picks::Any(3), Picks::Different(7)] {
            let mut hits = vec![0; count as usize];
            for _ in 0..count * 50 {
                map::pick(&mut pair.view, KEY, Kind::Set, picks, &mut |found| {
                    hits[std::str::from_utf8(found.name).unwrap().parse::<usize>().unwrap()] += 1;
                })
                .unwrap();
            }
            assert!(is_even(&hits), "{count} {packed} {picks:?}: {hits:?}");
        }
    }
}

#[test]
fn a_single_pick_does_not_read_a_large_map() {
    let mut pair =
        Pair::new(Kind::Set, Limits { intset_entries: 0, set: Packing { entries: 0, value: 0 }, ..Limits::default() });
    let mut editor = Editor::open(&mut pair.view, KEY, Kind::Set, Batch::Many(0)).unwrap();
    const COUNT: u64 = 20_000;
    for n in 0..COUNT {
        editor.put(n.to_string().as_bytes(), b"", Deadline::Keep).unwrap();
    }
    editor.finish().unwrap();
    let record = pair.view.record(KEY).unwrap().unwrap();
    let header = rows::Header::decode(record.payload).unwrap();
    assert_eq!(header.count, COUNT);
    let mut longest = 0;
    for _ in 0..100 {
        pair.view.stop_at(None);
        let (mut element, mut value) = (Vec::new(), Vec::new());
        assert!(rows::pick(&mut pair.view, KEY, header.rows, COUNT, &mut element, &mut value).unwrap());
        // Each look into a window is one call of the view, or two at the end of the hashes.
        longest = longest.max(pair.view.calls());
    }
    assert!(longest < 60, "{longest} windows for one pick");
}

#[test]
fn picks_by_number_are_even_and_pass_over_what_has_expired() {
    let hash = Packing { entries: 0, value: 0 };
    let mut pair = Pair::new(Kind::Hash, Limits { hash, ..Limits::default() });
    pair.view.number_rows();
    let now = pair.view.now().0;
    let mut editor = Editor::open(&mut pair.view, KEY, Kind::Hash, Batch::Many(0)).unwrap();
    // Every third one is about to expire.
    const COUNT: u64 = 150;
    for n in 0..COUNT {
        let soon = Deadline::Set(n.is_multiple_of(3).then_some(Millis(now + 5)));
        editor.put(n.to_string().as_bytes(), n.to_string().as_bytes(), soon).unwrap();
    }
    editor.finish().unwrap();
    pair.view.set_now(Millis(now + 5));
    let mut hits = vec![0; COUNT as usize];
    for _ in 0..COUNT * 50 {
        pair.view.stop_at(None);
        map::pick(&mut pair.view, KEY, Kind::Hash, Picks::Different(1), &mut |found| {
            assert_eq!(found.name, found.value);
            hits[std::str::from_utf8(found.name).unwrap().parse::<usize>().unwrap()] += 1;
        })
        .unwrap();
        assert!(pair.view.calls() < 4, "it looks at no more rows than it picks");
    }
    assert!(hits.iter().step_by(3).all(|hits| *hits == 0));
    let live: Vec<u64> = (0..hits.len()).filter(|n| n % 3 != 0).map(|n| hits[n]).collect();
    assert!(is_even(&live), "{live:?}");

    // When all have expired there is none, however often it looks.
    let header = rows::Header::decode(pair.view.record(KEY).unwrap().unwrap().payload).unwrap();
    let mut editor = Editor::open(&mut pair.view, KEY, Kind::Hash, Batch::Many(0)).unwrap();
    for n in (0..COUNT).filter(|n| n % 3 != 0) {
        editor.put(n.to_string().as_bytes(), b"", Deadline::Set(Some(Millis(now + 6)))).unwrap();
    }
    editor.finish().unwrap();
    pair.view.set_now(Millis(now + 6));
    let (mut name, mut value) = (Vec::new(), Vec::new());
    assert!(!rows::pick(&mut pair.view, KEY, header.rows, COUNT, &mut name, &mut value).unwrap());
}
