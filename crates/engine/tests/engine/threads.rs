//! Threads that change few keys at once, while others settle, evict, walk and lock whole databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine::memory_store::Temper;
use engine::{Abort, Instance, LockKey, Scope};
use keyspace::{Head, Seek, View, string};

use crate::support::{Home, Session, join_all, stop};

const ACCOUNTS: u64 = 5;
const EACH: u64 = 1000;
const STEADY: u64 = 20;
const STRING: Head = Head::string(None);

fn rounds() -> u64 {
    if std::env::var_os("HAYPILE_TEST_LONG").is_some() { 1_000_000 } else { 30_000 }
}

fn account(n: u64) -> String {
    format!("account{n}")
}

fn number(view: &mut dyn View, key: &str) -> Result<u64, Abort> {
    Ok(view.record(key.as_bytes())?.map_or(0, |record| u64::from_le_bytes(record.payload.try_into().unwrap())))
}

fn put_number(view: &mut dyn View, key: &str, value: u64) -> Result<(), Abort> {
    Ok(view.put(key.as_bytes(), &STRING, &value.to_le_bytes())?)
}

/// Everything that the tests expect to be there from the beginning.
fn prepare(session: &mut Session) {
    for n in 0..ACCOUNTS {
        session.on(&[&account(n)], |view| put_number(view, &account(n), EACH));
    }
    for n in 0..STEADY {
        let key = format!("steady{n:02}");
        session.on(&[&key], |view| Ok(view.put(key.as_bytes(), &STRING, b"s")?));
    }
    session.on(&["token0"], |view| string::set(view, b"token0", &[7; 10_000], None).map_err(stop));
}

/// Counts, transfers, appends to a long string, moves of one between names, runs that are taken back.
fn work(session: &mut Session, appended: &AtomicU64) {
    for round in 0..rounds() {
        let (a, b) = (account(session.below(ACCOUNTS)), account(session.below(ACCOUNTS)));
        match session.below(10) {
            0..=2 => session.on(&["counter"], |view| {
                let count = number(view, "counter")?;
                put_number(view, "counter", count + 1)
            }),
            3..=5 if a != b => session.on(&[&a, &b], |view| {
                let (from, to) = (number(view, &a)?, number(view, &b)?);
                let amount = from.min(3);
                put_number(view, &a, from - amount)?;
                put_number(view, &b, to + amount)?;
                // Some change their mind after all is done.
                if round % 7 == 0 { Err(Abort::Undo) } else { Ok(()) }
            }),
            6 => {
                session.on(&["long"], |view| {
                    let len = string::look(view, b"long").map_err(stop)?.map_or(0, |shape| shape.len);
                    string::write(view, b"long", len, &[1; 100]).map_err(stop)?;
                    Ok(())
                });
                appended.fetch_add(100, Ordering::Relaxed);
            }
            7 => {
                let (from, to) = (format!("token{}", session.below(3)), format!("token{}", session.below(3)));
                session.on(&[&from, &to], |view| {
                    if view.record(from.as_bytes())?.is_some() && view.record(to.as_bytes())?.is_none() {
                        view.rename(from.as_bytes(), to.as_bytes())?;
                    }
                    Ok(())
                });
            }
            8 => {
                // Come and go, to give settle tombstones and dead rows.
                let key = format!("passing{}", session.below(4));
                let len = session.below(2) as usize * 5000 + 1;
                session.on(&[&key], |view| {
                    if view.record(key.as_bytes())?.is_some() {
                        view.delete(key.as_bytes())?;
                        return Ok(());
                    }
                    string::set(view, key.as_bytes(), &vec![9; len], None).map_err(stop)
                });
            }
            _ => session.on(&["token0", "token1", "token2"], |view| {
                check_token(view)?;
                Ok(())
            }),
        }
    }
}

/// The long string is under one of its names, and whole.
fn check_token(view: &mut dyn View) -> Result<(), Abort> {
    let mut found = 0;
    for key in [b"token0", b"token1", b"token2"] {
        if let Some(value) = string::read_all(view, key).map_err(stop)? {
            assert_eq!(value, [7; 10_000]);
            found += 1;
        }
    }
    assert_eq!(found, 1);
    Ok(())
}

fn check_sum(session: &mut Session, scope: Scope<'_>) {
    session.run(scope, 0, &mut |view| {
        let mut sum = 0;
        for n in 0..ACCOUNTS {
            sum += number(view, &account(n))?;
        }
        assert_eq!(sum, ACCOUNTS * EACH);
        Ok(())
    });
}

/// Walks, counts and picks while others work; then looks at everything at once.
fn look(session: &mut Session, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let limit = 1 + session.below(10) as usize;
        let (mut keys, mut after): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let mut page = None;
            session.run(Scope::Walk, 0, &mut |view| {
                let mut met = Vec::new();
                let seek = after.as_deref().map_or(Seek::Start, Seek::After);
                let end = view.walk(seek, b"", limit, &mut |key, _| met.push(key.to_vec()))?;
                page = Some((met, end));
                Ok(())
            });
            let (met, end) = page.unwrap();
            keys.extend(met);
            match end {
                keyspace::Page::More(last) => after = Some(last),
                keyspace::Page::End => break,
            }
        }
        assert!(keys.is_sorted());
        for n in 0..STEADY {
            assert!(keys.contains(&format!("steady{n:02}").into_bytes()), "a walk missed steady{n:02}");
        }
        session.run(Scope::Walk, 0, &mut |view| {
            assert!(view.count()? >= STEADY + ACCOUNTS);
            assert!(view.random_key()?.is_some());
            Ok(())
        });
        check_sum(session, Scope::Shard);
        let names: Vec<_> = (0..ACCOUNTS).map(account).collect();
        let keys: Vec<_> = names.iter().map(|name| LockKey { database: 0, key: name.as_bytes() }).collect();
        check_sum(session, Scope::Keys(&keys));
        check_sum(session, Scope::AllShards);
    }
}

/// Settles, evicts, cools the store, and empties another database again and again.
fn maintain(session: &mut Session, home: &Home, is_over: &AtomicBool) {
    let mut round = 0;
    while !is_over.load(Ordering::Acquire) {
        round += 1;
        match session.below(6) {
            0 => session.instance.settle().unwrap(),
            1 => session.instance.reload().unwrap(),
            2 => home.store(0).set_temper(if round % 2 == 0 { Temper::Cold } else { Temper::Warm }),
            3 => {
                let bytes = 5_000 + session.below(60_000);
                session.instance.set_hot_bytes(bytes);
            }
            4 => {
                let scope = if round % 2 == 0 { Scope::AllShards } else { Scope::Shard };
                session.run(scope, 1, &mut |view| {
                    view.clear()?;
                    view.put(b"only", &STRING, &[1; 50])?;
                    assert_eq!(view.count()?, 1);
                    Ok(())
                });
            }
            _ => {
                let key = [LockKey { database: 1, key: b"more" }];
                session.run(Scope::Keys(&key), 1, &mut |view| {
                    string::set(view, b"more", &[2; 6000], None).map_err(stop)?;
                    Ok(())
                });
            }
        }
    }
}

fn check_all(session: &mut Session, appended: u64, counted: u64) {
    check_sum(session, Scope::Shard);
    session.on(&["token0", "token1", "token2"], |view| check_token(view));
    session.on(&["long", "counter"], |view| {
        let long = string::read_all(view, b"long").map_err(stop)?.unwrap_or_default();
        assert_eq!(long.len() as u64, appended);
        assert!(long.iter().all(|byte| *byte == 1));
        assert_eq!(number(view, "counter")?, counted);
        Ok(())
    });
    for database in 0..2 {
        let (mut walked, mut count) = (0, 0);
        session.run(Scope::Walk, database, &mut |view| {
            walked = 0;
            view.walk(Seek::Start, b"", 10_000, &mut |_, _| walked += 1)?;
            count = view.count()?;
            Ok(())
        });
        assert_eq!(walked, count, "DBSIZE of database {database} when all is quiet");
    }
}

fn count_of(session: &mut Session) -> u64 {
    let mut count = 0;
    session.on(&["counter"], |view| {
        count = number(view, "counter")?;
        Ok(())
    });
    count
}

/// A worker's end, by whatever way: the others stop with the last one, or the first that fails.
struct Leaving {
    left: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 || std::thread::panicking() {
            self.is_over.store(true, Ordering::Release);
        }
    }
}

#[test]
fn sums_hold_and_nothing_is_missed_while_everything_happens_at_once() {
    let home = Arc::new(Home::new());
    let instance: Arc<Instance> = home.open();
    let mut session = Session::new(&instance, 1);
    prepare(&mut session);
    let (appended, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut threads: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    let left = Arc::new(AtomicU64::new(4));
    for seed in 0..4 {
        let (instance, appended, is_over, left) = (instance.clone(), appended.clone(), is_over.clone(), left.clone());
        threads.push(Box::new(move || {
            let _leaving = Leaving { left, is_over };
            work(&mut Session::new(&instance, seed + 10), &appended);
        }));
    }
    let (theirs, over) = (instance.clone(), is_over.clone());
    threads.push(Box::new(move || look(&mut Session::new(&theirs, 2), &over)));
    let (theirs, over, house) = (instance.clone(), is_over.clone(), home.clone());
    threads.push(Box::new(move || maintain(&mut Session::new(&theirs, 3), &house, &over)));
    join_all(threads);

    let appended = appended.load(Ordering::Relaxed);
    let counted = count_of(&mut session);
    check_all(&mut session, appended, counted);
    instance.close().unwrap();
    let rows = home.store(0).contents().rows.keys().map(|(rows, _)| *rows).collect::<std::collections::BTreeSet<_>>();
    let records = home.store(0).contents().records;
    let owned = records.values().filter_map(|bytes| keyspace::Record::decode(bytes).unwrap().rows_id());
    assert!(rows.is_subset(&owned.collect()), "rows without an owner");
    drop(session);
    let weak = Arc::downgrade(&instance);
    drop(instance);
    assert_eq!(weak.strong_count(), 0, "closed: nobody keeps the folder");
    home.store(0).crash();
    home.store(1).crash();
    let instance = home.open();
    check_all(&mut Session::new(&instance, 1), appended, counted);
    instance.close().unwrap();
}

#[test]
fn increments_of_one_key_by_many_threads_are_all_counted() {
    let home = Home::new();
    let instance = home.open();
    let threads = (0..6).map(|seed| {
        let instance = instance.clone();
        Box::new(move || {
            let mut session = Session::new(&instance, seed);
            for _ in 0..rounds() {
                session.on(&["n"], |view| {
                    let count = number(view, "n")?;
                    put_number(view, "n", count + 1)
                });
            }
        }) as Box<dyn FnOnce() + Send>
    });
    join_all(threads.collect());
    let mut session = Session::new(&instance, 0);
    session.on(&["n"], |view| {
        assert_eq!(number(view, "n")?, 6 * rounds());
        Ok(())
    });
    instance.close().unwrap();
}
