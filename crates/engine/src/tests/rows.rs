//! Exploded values: who owns which rows, over renames, evictions, cold stores and kills.

use keyspace::{Encoding, Head, Kind, RowsId, View, string};

use super::{Rig, calls};
use crate::instance::Instance;
use crate::memory_store::{Moment, Temper};
use crate::rows::Eviction;
use crate::run::{Abort, LockKey, Place, Request, Scope};
use crate::shard::Shard;
use crate::txn::Scratch;

#[test]
fn rows_go_when_their_key_is_renamed_and_deleted_in_one_run() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.on(&["a", "b"], |view| {
        view.rename(b"a", b"b")?;
        view.delete(b"b")?;
        Ok(())
    });
    rig.audit_settled();
    assert!(rig.store(0).contents().rows.is_empty());
}

#[test]
fn rows_go_when_their_key_is_made_and_deleted_in_one_run() {
    let mut rig = Rig::new();
    rig.on(&["a"], |view| {
        string::set(view, b"a", &[1; 9000], None).map_err(calls::stop)?;
        view.delete(b"a")?;
        Ok(())
    });
    rig.audit_settled();
    assert!(rig.store(0).contents().rows.is_empty());
}

#[test]
fn rows_move_with_a_rename_that_is_replayed() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.flush();
    rig.rename("a", "b");
    rig.write_logs();
    rig.crash();
    rig.audit();
    rig.audit_settled();
    assert_eq!(rig.get("b").as_deref(), Some(&[1; 3 * 4096 + 5][..]));
    rig.rename("b", "a");
    rig.write_logs();
    rig.settle();
    for keep in [1, 2, 3] {
        rig.kill();
        rig.store(0).crash_keeping(keep);
        rig.open();
        rig.audit_settled();
        assert_eq!(rig.get("a").as_deref(), Some(&[1; 3 * 4096 + 5][..]), "{keep} batches");
    }
}

#[test]
fn rows_of_a_record_that_only_the_store_has_go_when_it_is_overwritten() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.evict();
    rig.set("a", "short");
    rig.audit_settled();
    assert!(rig.store(0).contents().rows.is_empty());
    assert_eq!(rig.count(), 1);
}

/// Every image that a kill during the settle after `change` may leave: nothing is left over, nothing is missing.
fn every_image(change: impl Fn(&mut Rig), check: impl Fn(&mut Rig)) {
    for keep in 0.. {
        let mut rig = Rig::new();
        rig.set_long("m", 1);
        rig.set_long("other", 2);
        rig.settle();
        rig.flush();
        rig.evict();
        change(&mut rig);
        // Neighbours on both sides, so that the settle has several batches.
        for n in 0..10 {
            rig.set(&format!("a{n}"), &"x".repeat(100));
            rig.set(&format!("z{n}"), &"x".repeat(100));
        }
        rig.write_logs();
        rig.settle();
        rig.kill();
        let batches = rig.store(0).unflushed();
        rig.store(0).crash_keeping(keep);
        rig.open();
        rig.audit();
        check(&mut rig);
        assert_eq!(rig.get("other").as_deref(), Some(&[2; 3 * 4096 + 5][..]));
        rig.audit_settled();
        check(&mut rig);
        // Where the settle cuts its batches is a little different each time.
        if keep >= batches {
            assert!(batches > 5);
            return;
        }
    }
}

#[test]
fn a_kill_while_a_deleted_value_is_settled_leaves_no_rows() {
    every_image(|rig| rig.delete("m"), |rig| assert_eq!(rig.get("m"), None));
}

#[test]
fn a_kill_while_an_overwritten_value_is_settled_leaves_no_rows() {
    every_image(|rig| rig.set("m", "new"), |rig| assert_eq!(rig.get("m").as_deref(), Some(&b"new"[..])));
}

#[test]
fn a_kill_while_a_rename_is_settled_keeps_the_rows() {
    for to in ["A", "zz"] {
        every_image(|rig| rig.rename("m", to), |rig| assert_eq!(rig.get(to).as_deref(), Some(&[1; 3 * 4096 + 5][..])));
    }
}

#[test]
fn a_kill_while_a_chain_of_renames_is_settled_keeps_the_rows() {
    let change = |rig: &mut Rig| {
        rig.rename("m", "zz");
        rig.write("zz", 10, b"changed");
        rig.rename("zz", "A");
        rig.rename("A", "n");
        rig.set("A", "new");
        rig.set("m", "new");
    };
    let mut expected = vec![1; 3 * 4096 + 5];
    expected[10..17].copy_from_slice(b"changed");
    every_image(change, |rig| {
        assert_eq!(rig.get("n").as_deref(), Some(&expected[..]));
        assert_eq!(rig.get("A").as_deref(), Some(&b"new"[..]));
        assert_eq!(rig.get("m").as_deref(), Some(&b"new"[..]));
        assert_eq!(rig.get("zz"), None);
    });
}

#[test]
fn a_rows_id_without_rows_is_not_given_out_again() {
    let mut rig = Rig::new();
    rig.settle();
    rig.flush();
    // Chunks of zeros have no rows, so only the record tells of the id.
    rig.write("a", 0, &[0; 4096 * 2]);
    for n in 0..20 {
        rig.set(&format!("b{n}"), &"x".repeat(100));
    }
    rig.write_logs();
    rig.settle();
    rig.kill();
    rig.store(0).crash_keeping(2);
    rig.open();
    rig.audit();
    rig.set_long("c", 3);
    assert_eq!(rig.get("a").as_deref(), Some(&[0; 4096 * 2][..]));
    rig.audit();
}

#[test]
fn two_long_values_are_read_in_one_run_from_a_cold_store() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.set_long("b", 2);
    rig.settle();
    rig.evict();
    rig.store(0).set_temper(Temper::Cold);
    let (mut reads, mut runs) = (Vec::new(), 0);
    rig.on(&["a", "b"], |view| {
        runs += 1;
        reads.clear();
        for key in [b"a", b"b", b"a"] {
            reads.push(string::read_all(view, key).map_err(calls::stop)?.unwrap_or_default());
        }
        Ok(())
    });
    assert_eq!(reads, [vec![1; 3 * 4096 + 5], vec![2; 3 * 4096 + 5], vec![1; 3 * 4096 + 5]]);
    assert!(runs <= 6, "what was fetched for one is not thrown away for the other: {runs} runs");
}

#[test]
fn several_absent_keys_cost_one_look_each() {
    let mut rig = Rig::new();
    rig.store(0).set_temper(Temper::Cold);
    let mut runs = 0;
    rig.on(&["a", "b", "c"], |view| {
        runs += 1;
        for key in [b"a", b"b", b"c"] {
            assert!(view.record(key)?.is_none());
        }
        Ok(())
    });
    assert!(runs <= 5, "{runs} runs");
}

#[test]
fn more_long_values_than_there_are_attempts_are_read_all_the_same() {
    let mut rig = Rig::new();
    let names: Vec<String> = (0..40).map(|n| format!("long{n}")).collect();
    for name in &names {
        rig.set_long(name, 3);
    }
    rig.settle();
    rig.evict();
    rig.store(0).set_temper(Temper::Cold);
    let keys: Vec<_> = names.iter().map(|name| LockKey { database: 0, key: name.as_bytes() }).collect();
    let mut bytes = 0;
    rig.run(Scope::Keys(&keys), 0, &mut |view| {
        bytes = 0;
        for name in &names {
            bytes += string::read_all(view, name.as_bytes()).map_err(calls::stop)?.unwrap_or_default().len();
        }
        Ok(())
    });
    assert_eq!(bytes, 40 * (3 * 4096 + 5));
}

#[test]
fn rows_are_read_in_the_run_that_renamed_or_changed_their_key() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.evict();
    rig.store(0).set_temper(Temper::Cold);
    let (mut value, mut runs) = (Vec::new(), 0);
    rig.on(&["a", "b"], |view| {
        runs += 1;
        view.rename(b"a", b"b")?;
        string::write(view, b"b", 4096 * 3 + 5, &[9; 4096]).map_err(calls::stop)?;
        value = string::read_all(view, b"b").map_err(calls::stop)?.unwrap_or_default();
        Ok(())
    });
    assert_eq!(value.len(), 4 * 4096 + 5);
    assert_eq!((value[0], value[4 * 4096]), (1, 9));
    assert!(runs <= 5, "{runs} runs");
}

#[test]
fn rows_are_read_in_the_run_that_made_them() {
    let mut rig = Rig::new();
    rig.store(0).set_temper(Temper::Cold);
    let (mut value, mut runs) = (Vec::new(), 0);
    rig.on(&["a"], |view| {
        runs += 1;
        string::write(view, b"a", 5000, &[1; 5000]).map_err(calls::stop)?;
        string::write(view, b"a", 100, &[2; 5000]).map_err(calls::stop)?;
        value = string::read_all(view, b"a").map_err(calls::stop)?.unwrap_or_default();
        Ok(())
    });
    assert_eq!((value.len(), value[0], value[100], value[5100]), (10_000, 0, 2, 1));
    assert!(runs <= 4, "{runs} runs");
    rig.audit_settled();
}

#[test]
fn a_row_is_put_in_a_database_that_does_not_exist_yet() {
    let mut rig = Rig::new();
    let key = [LockKey { database: 2, key: b"h" }];
    rig.run(Scope::Keys(&key), 2, &mut |view| {
        let rows = view.new_rows();
        view.put_row(b"h", rows, b"field", b"value")?;
        let head = Head::new(Kind::Hash, Encoding::Exploded, None);
        view.put(b"h", &head, &rows.0.to_le_bytes())?;
        Ok(())
    });
    assert_eq!(rig.shard(2).next_rows(), 2);
    rig.audit_settled();
    assert_eq!(rig.store(2).contents().rows.len(), 1);
}

#[test]
fn rows_that_were_written_in_a_replay_move_with_a_rename_after_it() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.flush();
    rig.write("a", 3 * 4096 + 5, &[1; 4096]);
    rig.write_logs();
    rig.crash();
    // The replay has put a record over one of the store that it never looked at; both lead to the same rows.
    rig.rename("a", "b");
    rig.set("a", "new");
    rig.audit_settled();
    assert_eq!(rig.get("b").as_deref(), Some(&[1; 4 * 4096 + 5][..]));
}

fn put_rows(view: &mut dyn View, key: &[u8], rows: std::ops::Range<u16>) -> Result<RowsId, Abort> {
    let id = view.new_rows();
    view.put(key, &Head::new(Kind::Hash, Encoding::Exploded, None), &id.0.to_le_bytes())?;
    for row in rows {
        view.put_row(key, id, &row.to_be_bytes(), &[1])?;
    }
    Ok(id)
}

#[test]
fn a_short_walk_through_many_rows_of_a_cold_store_fetches_few() {
    for back in [false, true] {
        let mut rig = Rig::new();
        let mut rows = RowsId(0);
        rig.on(&["a"], |view| {
            rows = put_rows(view, b"a", 0..2000)?;
            Ok(())
        });
        rig.settle();
        rig.store(0).set_temper(Temper::Tepid(1));
        let (mut seen, mut runs) = (Vec::new(), 0);
        rig.on(&["a"], |view| {
            runs += 1;
            seen.clear();
            let mut see = |row: &[u8], _: &[u8]| {
                seen.push(u16::from_be_bytes([row[0], row[1]]));
                seen.len() < 10
            };
            if back {
                view.rows_back(b"a", rows, b"", b"", &mut see)?;
            } else {
                view.rows(b"a", rows, b"", b"", &mut see)?;
            }
            Ok(())
        });
        let expected: Vec<u16> = if back { (1990..2000).rev().collect() } else { (0..10).collect() };
        assert_eq!(seen, expected);
        assert!(runs <= 5, "one row in memory, then 4, then 8 fetched: {runs} runs");
    }
}

/// What settle does without the locks of owners.
fn settle_rows(instance: &Instance, shard: &Shard) {
    let taken = shard.rows.take();
    shard.store.write(&taken.writes).unwrap();
    instance.budget.book_rows(shard.rows.written(taken));
}

#[test]
fn a_walk_goes_on_in_the_store_when_dirty_rows_are_settled_under_it() {
    for back in [false, true] {
        let mut rig = Rig::new();
        let mut rows = RowsId(0);
        rig.on(&["a"], |view| {
            rows = put_rows(view, b"a", 0..1000)?;
            Ok(())
        });
        // Where memory knows all rows, the store is not looked at: it forgets them, but for those that change anew.
        let shard = rig.instance().shard(0).unwrap();
        let instance = rig.instance().clone();
        settle_rows(&instance, &shard);
        instance.budget.book_rows(shard.rows.evict(i64::MAX, Eviction::Enough));
        rig.on(&["a"], |view| {
            (0..1000_u16).step_by(2).try_for_each(|row| view.put_row(b"a", rows, &row.to_be_bytes(), b"new"))?;
            Ok(view.touch(b"a")?)
        });
        let mut seen = Vec::new();
        rig.on(&["a"], |view| {
            seen.clear();
            let mut see = |row: &[u8], _: &[u8]| {
                if seen.len() == 3 {
                    // The lock of the owner is held, so settle is asked for what it does without it.
                    settle_rows(&instance, &shard);
                }
                seen.push(u16::from_be_bytes([row[0], row[1]]));
                true
            };
            if back {
                view.rows_back(b"a", rows, b"", b"", &mut see)?;
            } else {
                view.rows(b"a", rows, b"", b"", &mut see)?;
            }
            Ok(())
        });
        let expected: Vec<u16> = if back { (0..1000).rev().collect() } else { (0..1000).collect() };
        assert_eq!(seen, expected);
    }
}

/// Something else, on threads' terms: it happens while the desk reads the disk for a run.
fn while_reading(rig: &Rig, action: impl FnOnce(&Instance, &mut Scratch) + Send + 'static) {
    rig.store(0).set_temper(Temper::Cold);
    let instance = rig.instance().clone();
    rig.store(0).meanwhile(Moment::Read, move || {
        action(&instance, &mut Scratch::new(9));
        instance.reload().unwrap();
    });
}

#[test]
fn rows_that_change_while_they_are_fetched_are_fetched_again() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.evict();
    let keys = [LockKey { database: 0, key: b"a" }];
    while_reading(&rig, move |instance, scratch| {
        let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: super::START };
        super::drive(instance, scratch, request, &mut |view| {
            string::write(view, b"a", 0, &[2; 3 * 4096 + 5]).map_err(calls::stop)?;
            Ok(())
        });
    });
    assert_eq!(rig.get("a").as_deref(), Some(&[2; 3 * 4096 + 5][..]));
}

#[test]
fn a_key_that_appears_while_it_is_looked_for_is_found() {
    let mut rig = Rig::new();
    let keys = [LockKey { database: 0, key: b"a" }];
    while_reading(&rig, move |instance, scratch| {
        let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: super::START };
        super::drive(instance, scratch, request, &mut |view| Ok(view.put(b"a", &Head::string(None), b"1")?));
    });
    assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_random_choice_finds_the_rows_that_were_fetched_for_it() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    rig.evict();
    rig.store(0).set_temper(Temper::Cold);
    let mut runs = 0;
    rig.on(&["a"], |view| {
        runs += 1;
        for _ in 0..3 {
            let at = view.random() % (3 * 4096);
            string::read(view, b"a", at, at + 1, &mut |_| {}).map_err(calls::stop)?;
        }
        Ok(())
    });
    assert!(runs <= 6, "{runs} runs");
}
