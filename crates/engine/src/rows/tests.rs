//! Tests of rows in memory: books, settle, eviction, filling, and all of them against a plain map.

use std::collections::BTreeMap;

use super::*;

const ID: RowsId = RowsId(9);

fn put(rows: &Rows, row: &str, value: &str, lsn: u64) -> Growth {
    let change = (row.as_bytes().into(), RowChange::Put(value.as_bytes().into()));
    rows.apply(ID, Birth::Unknown, Vec::new(), [change].into_iter(), lsn)
}

fn delete(rows: &Rows, row: &str, lsn: u64) -> Growth {
    let change = (row.as_bytes().into(), RowChange::Delete);
    rows.apply(ID, Birth::Unknown, Vec::new(), [change].into_iter(), lsn)
}

fn clear(rows: &Rows, from: &str, to: &str, lsn: u64) -> Growth {
    rows.apply(ID, Birth::Unknown, vec![range(from, to)], std::iter::empty(), lsn)
}

fn range(from: &str, to: &str) -> RowRange {
    RowRange::new(from.as_bytes(), to.as_bytes())
}

fn look(rows: &Rows, row: &str) -> (Overlaid, Vec<u8>) {
    let mut out = Vec::new();
    let overlaid = rows.look(ID, row.as_bytes(), &mut out);
    (overlaid, out)
}

fn names(page: &RowPage) -> Vec<(String, bool)> {
    page.rows.iter().map(|(row, value)| (String::from_utf8(row.to_vec()).unwrap(), value.is_some())).collect()
}

#[test]
fn a_row_changed_while_settle_writes_stays() {
    let rows = Rows::default();
    put(&rows, "a", "1", 10);
    put(&rows, "b", "1", 11);
    let taken = rows.take();
    put(&rows, "a", "2", 12);
    rows.written(taken);
    rows.check();
    assert_eq!(look(&rows, "a"), (Overlaid::Is, b"2".to_vec()));
    assert_eq!(look(&rows, "b").0, Overlaid::Unknown);
    let taken = rows.take();
    assert_eq!(taken.writes.len(), 1);
    rows.written(taken);
    assert_eq!(rows.total_size(), Growth::default());
}

#[test]
fn a_row_that_came_and_went_between_two_settles_is_none_of_the_stores_business() {
    let rows = Rows::default();
    let change = |row: &str, change: RowChange, lsn| {
        rows.apply(ID, Birth::Here, Vec::new(), [(row.as_bytes().into(), change)].into_iter(), lsn)
    };
    let value = || RowChange::Put(b"1"[..].into());
    let mut growth = Growth::default();
    for (lsn, row) in ["a", "b", "c", "b"].into_iter().enumerate() {
        growth += change(row, value(), lsn as u64);
    }
    growth += change("a", RowChange::Delete, 5);
    growth += change("b", RowChange::Delete, 6);
    growth += change("b", value(), 7);
    assert_eq!((look(&rows, "a").0, look(&rows, "b").0), (Overlaid::Gone, Overlaid::Is));
    let taken = rows.take();
    let written = |writes: &[Write]| {
        let puts = writes.iter().filter(|write| matches!(write, Write::PutRow { .. })).count();
        (puts, writes.len())
    };
    assert_eq!(written(&taken.writes), (2, 2), "nothing of what is gone");
    // The store may have these from now on.
    growth += change("b", RowChange::Delete, 8);
    growth += change("c", RowChange::Delete, 9);
    growth += change("c", value(), 10);
    growth += change("c", RowChange::Delete, 11);
    growth += rows.written(taken);
    rows.check();
    let taken = rows.take();
    assert_eq!(written(&taken.writes), (0, 2), "both are deleted there");
    growth += rows.written(taken);
    rows.check();
    assert_eq!((growth, rows.total_size()), (Growth::default(), Growth::default()));
}

#[test]
fn what_could_not_be_written_is_taken_again() {
    let rows = Rows::default();
    put(&rows, "a", "1", 1);
    delete(&rows, "b", 1);
    clear(&rows, "c", "d", 1);
    let taken = rows.take();
    let writes = taken.writes.clone();
    assert_eq!(writes.len(), 3);
    rows.put_back(taken);
    rows.check();
    assert_eq!(rows.take().writes, writes);
}

#[test]
fn a_cleared_range_hides_the_store_until_it_is_written() {
    let rows = Rows::default();
    put(&rows, "a", "1", 1);
    let change = ("b".as_bytes().into(), RowChange::Put(b"new"[..].into()));
    rows.apply(ID, Birth::Unknown, vec![range("a", "c")], [change].into_iter(), 2);
    assert_eq!(look(&rows, "a").0, Overlaid::Gone);
    assert_eq!(look(&rows, "b"), (Overlaid::Is, b"new".to_vec()));
    assert_eq!(look(&rows, "c").0, Overlaid::Unknown);
    let taken = rows.take();
    assert_eq!(
        taken.writes,
        [
            Write::DeleteRows { rows: ID, from: b"a".to_vec(), to: b"c".to_vec() },
            Write::PutRow { rows: ID, row: b"b".to_vec(), value: b"new".to_vec() },
        ]
    );
    clear(&rows, "", "", 3);
    rows.written(taken);
    assert_eq!(look(&rows, "z").0, Overlaid::Gone, "the later range stays");
}

#[test]
fn a_range_that_is_cleared_while_settle_takes_comes_before_what_is_put_after_it() {
    let rows = Rows::default();
    for row in ["a", "b", "c", "d", "e", "f"] {
        put(&rows, row, "old", 1);
    }
    let part = rows.part(ID);
    let keys = part.lock().by_id.get_mut(&ID).unwrap().changed().unwrap();
    let (mut taken, mut writes) = (Vec::new(), Vec::new());
    let rest = part.lock().by_id.get_mut(&ID).unwrap().take(ID, &keys, &mut taken, &mut writes);
    assert_eq!((writes.len(), rest.len()), (4, 2), "it takes some at a time");
    clear(&rows, "", "", 2);
    put(&rows, "e", "new", 3);
    let rest = part.lock().by_id.get_mut(&ID).unwrap().take(ID, rest, &mut taken, &mut writes);
    assert!(rest.is_empty());
    assert_eq!(
        writes[4..],
        [
            Write::DeleteRows { rows: ID, from: Vec::new(), to: Vec::new() },
            Write::PutRow { rows: ID, row: b"e".to_vec(), value: b"new".to_vec() },
        ]
    );
}

#[test]
fn ranges_that_grow_do_not_pile_up() {
    let rows = Rows::default();
    for to in ["b", "c", "d"] {
        clear(&rows, "a", to, 1);
    }
    let page = rows.page(ID, &range("", ""), Direction::Forward, 1);
    assert_eq!(page.cleared, [range("a", "d")]);
}

#[test]
fn names_of_what_was_cleared_do_not_pile_up() {
    let rows = Rows::default();
    for lsn in 0..1000 {
        put(&rows, "a", "1", lsn);
        clear(&rows, "", "", lsn);
    }
    put(&rows, "a", "1", 1000);
    let keys = rows.part(ID).lock().by_id.get_mut(&ID).unwrap().changed().unwrap();
    assert!(keys.len() <= 16, "{} names of one row", keys.len());
    // Nor do those of a row that comes and goes.
    let rows = Rows::default();
    for lsn in 0..1000 {
        put(&rows, "a", "1", lsn);
        delete(&rows, "a", lsn);
    }
    let taken = rows.take();
    assert_eq!(taken.writes.len(), 1);
    assert_eq!(taken.sets[0].keys.capacity(), 1);
}

#[test]
fn bytes_add_up_to_nothing_when_all_is_written() {
    let rows = Rows::default();
    let mut growth = put(&rows, "a", "12345", 1);
    growth += put(&rows, "a", "1", 2);
    growth += delete(&rows, "q", 3);
    assert_eq!(growth, rows.total_size());
    let taken = rows.take();
    growth += rows.written(taken);
    assert_eq!(growth, Growth::default());
}

#[test]
fn a_set_that_was_made_here_stays_known_when_it_is_written() {
    let rows = Rows::default();
    let change = |row: &str| (row.as_bytes().into(), RowChange::Put(b"1"[..].into()));
    let mut growth = rows.apply(ID, Birth::Here, Vec::new(), ["a", "b", "c"].map(change).into_iter(), 1);
    let taken = rows.take();
    growth += rows.written(taken);
    assert_eq!((growth.dirty, growth.clean > 0), (0, true));
    assert_eq!(look(&rows, "x").0, Overlaid::Gone, "the store need not be asked");
    growth += delete(&rows, "b", 2);
    let page = rows.page(ID, &range("", ""), Direction::Forward, 9);
    assert!(page.complete);
    assert_eq!(names(&page), [("a".into(), true), ("c".into(), true)], "what is gone is not walked over");
    rows.check();

    growth += rows.evict(1, Eviction::Enough);
    assert_eq!((growth, growth.clean), (rows.total_size(), 0));
    assert_eq!(look(&rows, "a").0, Overlaid::Unknown);
    assert_eq!(look(&rows, "b").0, Overlaid::Gone, "the store has not been told");
    rows.check();
}

#[test]
fn sets_that_are_used_outlive_rounds_of_eviction() {
    let rows = Rows::default();
    let change = ("a".as_bytes().into(), RowChange::Put(b"1"[..].into()));
    rows.apply(ID, Birth::Here, Vec::new(), [change].into_iter(), 1);
    let taken = rows.take();
    rows.written(taken);
    for _ in 0..10 {
        assert_eq!(rows.evict(1, Eviction::Idle), Growth::default());
        assert_eq!(look(&rows, "a").0, Overlaid::Is);
    }
    let freed: i64 = (0..=set::FRESH).map(|_| rows.evict(1, Eviction::Idle).clean).sum();
    assert!(freed < 0);
}

#[test]
fn what_is_read_from_the_store_is_wanted_and_filled_in_beside_what_is_dirty() {
    let rows = Rows::default();
    put(&rows, "b", "dirty", 1);
    delete(&rows, "c", 1);
    clear(&rows, "e", "f", 1);
    assert!(rows.wanted().is_empty());
    for _ in 0..WANTED {
        assert_eq!(look(&rows, "a").0, Overlaid::Unknown);
    }
    assert_eq!(rows.wanted(), [(ID, WANTED as usize * FILL_PER_READ)]);
    assert!(rows.wanted().is_empty(), "it has been answered");

    let stored = |names: &[&str]| -> Vec<(RowKey, RowValue)> {
        names.iter().map(|name| (name.as_bytes().into(), b"stored"[..].into())).collect()
    };
    assert_eq!(rows.unknown_from(ID), Some(RowKey::new()));
    let mut growth = rows.total_size();
    growth += rows.fill(ID, stored(&["a", "b", "c"]), Known::Before(b"c\0"[..].into()));
    assert_eq!(rows.unknown_from(ID), Some(b"c\0"[..].into()));
    assert_eq!(look(&rows, "a"), (Overlaid::Is, b"stored".to_vec()));
    assert_eq!(look(&rows, "b"), (Overlaid::Is, b"dirty".to_vec()));
    assert_eq!(look(&rows, "c").0, Overlaid::Gone);
    assert_eq!(look(&rows, "bb").0, Overlaid::Gone);
    assert_eq!(look(&rows, "d").0, Overlaid::Unknown);
    assert!(rows.page(ID, &range("", "c"), Direction::Backward, 9).complete);
    assert!(!rows.page(ID, &range("", "d"), Direction::Backward, 9).complete);

    growth += rows.fill(ID, stored(&["d", "e"]), Known::All);
    assert_eq!(rows.unknown_from(ID), None);
    let page = rows.page(ID, &range("", ""), Direction::Backward, 9);
    assert_eq!(names(&page), [("d".into(), true), ("b".into(), true), ("a".into(), true)]);
    assert_eq!(growth, rows.total_size());
    rows.check();
}

#[test]
fn a_set_that_is_dropped_while_it_is_filled_stays_dropped() {
    let rows = Rows::default();
    for _ in 0..WANTED {
        let _ = look(&rows, "a");
    }
    assert_eq!(rows.wanted().len(), 1);
    rows.forget(ID);
    assert_eq!(rows.unknown_from(ID), None);
    let stored = vec![(b"a"[..].into(), b"stored"[..].into())];
    assert_eq!(rows.fill(ID, stored, Known::All), Growth::default());
    assert_eq!(look(&rows, "a").0, Overlaid::Unknown);
}

#[test]
fn demands_are_bounded_and_the_largest_stay() {
    let rows = Rows::default();
    let id = |number: u64| RowsId(number * PARTS as u64);
    let mut out = Vec::new();
    for number in 0..10 * DEMANDS as u64 {
        for wanted in [id(number), id(1)] {
            let _ = rows.look(wanted, b"a", &mut out);
        }
    }
    let demands = rows.part(id(0)).lock().demands.clone();
    assert!(demands.len() <= DEMANDS && demands[&id(1)] > 1, "{demands:?}");
}

/// Rows in memory over a store, and a plain map that says what both together must be.
struct Trial {
    rows: Rows,
    store: BTreeMap<Vec<u8>, Vec<u8>>,
    model: BTreeMap<Vec<u8>, Vec<u8>>,
    growth: Growth,
    taken: Option<TakenRows>,
    birth: Birth,
}

impl Trial {
    fn change(&mut self, row: &[u8], change: RowChange, lsn: u64) {
        match &change {
            RowChange::Put(value) => drop(self.model.insert(row.to_vec(), value.to_vec())),
            RowChange::Delete => drop(self.model.remove(row)),
        }
        let birth = std::mem::replace(&mut self.birth, Birth::Unknown);
        self.growth += self.rows.apply(ID, birth, Vec::new(), [(row.into(), change)].into_iter(), lsn);
    }

    fn clear(&mut self, cleared: RowRange, lsn: u64) {
        self.model.retain(|row, _| !cleared.holds(row));
        let birth = std::mem::replace(&mut self.birth, Birth::Unknown);
        self.growth += self.rows.apply(ID, birth, vec![cleared], std::iter::empty(), lsn);
    }

    fn write(&mut self) {
        if let Some(taken) = self.taken.take() {
            taken.writes.iter().for_each(|write| apply_to(&mut self.store, write));
            self.growth += self.rows.written(taken);
        }
    }

    fn fill(&mut self, most: usize) {
        let Some(from) = self.rows.unknown_from(ID) else { return };
        let rest = self.store.range(from.to_vec()..).map(|(row, value)| (row[..].into(), value[..].into()));
        let some: Vec<(RowKey, RowValue)> = rest.take(most).collect();
        let known = match some.last() {
            Some((last, _)) if some.len() == most => {
                let mut end = last.clone();
                end.push(0);
                Known::Before(end)
            }
            Some(_) | None => Known::All,
        };
        self.growth += self.rows.fill(ID, some, known);
    }

    fn compare(&self, row: &[u8]) {
        let mut out = Vec::new();
        let found = match self.rows.look(ID, row, &mut out) {
            Overlaid::Is => Some(out),
            Overlaid::Gone => None,
            Overlaid::Unknown => self.store.get(row).cloned(),
        };
        assert_eq!(found, self.model.get(row).cloned());
        let page = self.rows.page(ID, &range("", ""), Direction::Forward, usize::MAX);
        let mut all = if page.complete { BTreeMap::new() } else { self.store.clone() };
        all.retain(|row, _| !page.cleared.iter().any(|range| range.holds(row)));
        for (row, value) in page.rows {
            match value {
                Some(value) => drop(all.insert(row.to_vec(), value.to_vec())),
                None => drop(all.remove(&row[..])),
            }
        }
        assert_eq!(all, self.model);
    }

    fn audit(&self) {
        if self.taken.is_none() {
            self.rows.check();
        }
        assert_eq!(self.growth, self.rows.total_size());
    }
}

/// Whatever is done in whatever order, memory over the store reads as a plain map does.
#[test]
fn memory_over_the_store_is_what_was_put() {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut trial = Trial {
        rows: Rows::default(),
        store: BTreeMap::new(),
        model: BTreeMap::new(),
        growth: Growth::default(),
        taken: None,
        birth: Birth::Here,
    };
    for lsn in 1..40_000 {
        let row = [b'a' + next(12) as u8];
        match next(20) {
            0..6 => {
                let value = vec![next(250) as u8; next(40) as usize];
                trial.change(&row, RowChange::Put(value.as_slice().into()), lsn);
            }
            6..10 => trial.change(&row, RowChange::Delete, lsn),
            10 => trial.clear(RowRange::new(&row, &[row[0] + 1 + next(3) as u8]), lsn),
            11 if trial.taken.is_none() => trial.taken = Some(trial.rows.take()),
            12 => trial.write(),
            13 => {
                if let Some(taken) = trial.taken.take() {
                    trial.rows.put_back(taken);
                }
            }
            14 if trial.taken.is_none() => trial.growth += trial.rows.evict(1 + next(300) as i64, Eviction::Enough),
            15 if trial.taken.is_none() => trial.fill(1 + next(4) as usize),
            _ => trial.compare(&row),
        }
        trial.audit();
    }
}

fn apply_to(store: &mut BTreeMap<Vec<u8>, Vec<u8>>, write: &Write) {
    match write {
        Write::PutRow { row, value, .. } => drop(store.insert(row.clone(), value.clone())),
        Write::DeleteRow { row, .. } => drop(store.remove(row)),
        Write::DeleteRows { from, to, .. } => {
            let range = RowRange::new(from, to);
            store.retain(|row, _| !range.holds(row));
        }
        Write::PutRecord { .. } | Write::DeleteRecord { .. } | Write::Clear | Write::System { .. } => {}
    }
}
