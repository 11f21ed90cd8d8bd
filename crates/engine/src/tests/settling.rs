//! Settle: what it counts, what it does when the store is full half-way, expired records.

use keyspace::{Millis, Record};

use super::{Rig, START};
use crate::memory_store::Temper;
use crate::store::ExpiredRecord;

#[test]
fn keys_that_look_alike_to_the_hash_table_are_settled_once() {
    let mut rig = Rig::new();
    // Two keys of one stripe that differ only in hash bits that a small table does not look at.
    let mut seen = std::collections::HashMap::new();
    let (a, b) = (0..)
        .find_map(|n| {
            let key = format!("k{n}");
            let (hash, stripe) = rig.shard(0).place(key.as_bytes());
            seen.insert((stripe, hash >> 57), key.clone()).map(|other| (key, other))
        })
        .unwrap();
    rig.set(&a, "1");
    rig.set(&b, "2");
    rig.settle();
    assert_eq!(rig.shard(0).stored_records(), 2);
    rig.audit_settled();
}

#[test]
fn a_settle_that_fails_half_way_counts_nothing_twice() {
    for room in 0..20 {
        let mut rig = Rig::new();
        let name = |n: u32| format!("key{n:02}");
        for n in 0..20 {
            rig.set(&name(n), &"x".repeat(100));
        }
        rig.settle();
        for n in 0..20 {
            if n % 2 == 0 { rig.delete(&name(n)) } else { rig.set(&name(n), &"y".repeat(100)) }
        }
        rig.store(0).set_room(Some(room));
        let _ = rig.instance().settle();
        rig.audit();
        for n in 0..4 {
            rig.set(&name(n), &"z".repeat(100));
        }
        rig.audit();
        rig.store(0).set_room(None);
        rig.settle();
        assert_eq!(rig.count(), 12);
        rig.audit_settled();
    }
}

#[test]
fn a_settle_of_a_clear_that_fails_half_way_is_taken_up_again() {
    for room in 0..12 {
        let mut rig = Rig::new();
        rig.set_long("long", 1);
        for n in 0..10 {
            rig.set(&format!("key{n}"), &"x".repeat(100));
        }
        rig.settle();
        rig.clear();
        for n in 0..5 {
            rig.set(&format!("key{n}"), &"y".repeat(100));
        }
        rig.store(0).set_room(Some(room));
        let _ = rig.instance().settle();
        rig.audit();
        assert_eq!(rig.get("key7"), None);
        assert_eq!(rig.count(), 5);
        rig.store(0).set_room(None);
        rig.audit_settled();
        assert_eq!(rig.count(), 5);
    }
}

/// The record as a compaction would report it.
fn report(rig: &Rig, key: &str) {
    let contents = rig.store(0).contents();
    let lsn = Record::decode(&contents.records[key.as_bytes()]).unwrap().lsn;
    rig.store(0).report_expired(ExpiredRecord { key: key.into(), lsn });
}

/// Time goes by, and frames tell of it; what is then flushed is that old.
fn hour_later(rig: &mut Rig) {
    rig.clock = Millis(rig.clock.0 + 3_600_000);
    rig.set("clock", "later");
    rig.settle();
    rig.flush();
}

#[test]
fn an_expired_record_is_invisible_at_once_and_removed_later() {
    let mut rig = Rig::new();
    rig.set_until("k", "v", Millis(START.0 + 1000));
    rig.settle();
    rig.flush();
    rig.clock = Millis(START.0 + 1000);
    rig.instance().hold_expiry(Millis(u64::MAX));
    assert_eq!(rig.get("k"), None);
    assert_eq!(rig.count(), 1, "counted while it takes room");
    report(&rig, "k");
    rig.settle();
    assert_eq!(rig.count(), 1, "the log does not say yet that so much time has passed");
    hour_later(&mut rig);
    report(&rig, "k");
    rig.settle();
    assert_eq!(rig.count(), 1, "only the clock's own key is left");
    assert!(!rig.store(0).contents().records.contains_key(b"k".as_slice()));
    rig.audit_settled();
}

#[test]
fn rows_of_an_expired_record_go_with_it() {
    for evict in [false, true] {
        let mut rig = Rig::new();
        rig.set_long("k", 1);
        rig.on(&["k"], |view| Ok(view.set_expiry(b"k", Some(Millis(START.0 + 1000)))?));
        rig.settle();
        hour_later(&mut rig);
        if evict {
            rig.evict();
        }
        report(&rig, "k");
        rig.audit_settled();
        assert!(rig.store(0).contents().rows.is_empty());
        assert_eq!(rig.count(), 1);
    }
}

#[test]
fn a_set_over_an_expired_record_that_is_being_removed_is_not_lost() {
    let mut rig = Rig::new();
    rig.set_until("k", "old", Millis(START.0 + 1000));
    rig.set_until("j", "old", Millis(START.0 + 1000));
    rig.settle();
    hour_later(&mut rig);
    report(&rig, "k");
    report(&rig, "j");
    rig.set("k", "new");
    // The settle that buries it fails, so that its tombstone is there when the next command comes.
    rig.store(0).set_temper(Temper::Full);
    rig.instance().settle().unwrap_err();
    rig.audit();
    rig.set("j", "new");
    rig.audit();
    rig.store(0).set_temper(Temper::Warm);
    rig.audit_settled();
    assert_eq!(rig.get("k").as_deref(), Some(&b"new"[..]));
    assert_eq!(rig.get("j").as_deref(), Some(&b"new"[..]));
    assert_eq!(rig.count(), 3);
}

#[test]
fn an_expired_record_of_a_cleared_database_is_not_counted_out() {
    let mut rig = Rig::new();
    rig.set_until("k", "old", Millis(START.0 + 1000));
    rig.settle();
    hour_later(&mut rig);
    report(&rig, "k");
    rig.clear();
    rig.set("a", "new");
    rig.audit_settled();
    assert_eq!(rig.count(), 1);
}

#[test]
fn the_time_of_the_settled_mark_is_never_after_what_it_covers() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.settle();
    let settled = rig.clock.0;
    rig.clock = Millis(rig.clock.0 + 1_000_000);
    rig.set("a", "2");
    rig.flush();
    let flushed_time = rig.shard(0).progress.flushed_time.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(flushed_time, settled);
}

#[test]
fn a_walk_in_short_pages_meets_every_dirty_record() {
    let mut rig = Rig::new();
    for n in 0..7 {
        rig.set(&format!("k{n}"), "v");
    }
    rig.delete("k3");
    for limit in 1..8 {
        let mut keys = Vec::new();
        rig.run(crate::run::Scope::Walk, 0, &mut |view| {
            keys = super::calls::walk(view, limit)?;
            Ok(())
        });
        assert_eq!(keys.len(), 6, "pages of {limit}");
    }
}

#[test]
fn dirty_rows_of_a_record_that_settle_finds_overwritten_go_even_if_it_fails_then() {
    let mut rig = Rig::new();
    rig.set_long("a", 1);
    rig.settle();
    // A kill leaves the record in the store and its rows to be replayed: rows dirty, record clean.
    rig.write("a", 0, &[2; 4096]);
    rig.write_logs();
    rig.settle();
    rig.flush();
    rig.store(0).write_mark(crate::settle::marks::settled(0, START));
    rig.crash();
    rig.evict();
    rig.set("a", "new");
    rig.set("z", &"x".repeat(300));
    rig.store(0).set_room(Some(1));
    let _ = rig.instance().settle();
    rig.store(0).set_room(None);
    rig.audit_settled();
}
