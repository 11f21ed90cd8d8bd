//! Eviction: what may go, what must stay, and what the books say.

use keyspace::{Head, string};

use super::{Rig, calls};
use crate::memory_store::Temper;
use crate::row_memory;
use crate::rows::Eviction;
use crate::run::{Abort, LockKey, Scope};

#[test]
fn dirty_records_are_never_evicted_and_clean_ones_are() {
    let mut rig = Rig::new();
    for n in 0..50 {
        rig.set(&format!("clean{n}"), "v");
    }
    rig.settle();
    for n in 0..50 {
        rig.set(&format!("dirty{n}"), "v");
    }
    let (used, dirty) = rig.instance().budget.exact();
    rig.evict();
    let shard = rig.shard(0);
    assert_eq!((shard.hot_records(), rig.instance().budget.evicted()), (50, 50));
    assert_eq!(rig.instance().budget.exact(), (dirty, dirty));
    assert!(dirty < used);
    rig.audit();
    for n in 0..50 {
        assert!(rig.get(&format!("clean{n}")).is_some() && rig.get(&format!("dirty{n}")).is_some());
    }
    rig.audit();
}

#[test]
fn a_run_does_not_lose_what_it_touches_to_eviction() {
    // Every record is over the limit, so each end of a run evicts what it may.
    let mut rig = Rig::with(|options| options.hot_bytes = 1);
    rig.set("a", "1");
    rig.set("b", "1");
    rig.settle();
    rig.evict();
    rig.on(&["a", "b"], |view| {
        assert_eq!(view.record(b"a")?.unwrap().payload, b"1");
        view.put(b"b", &Head::string(None), b"2")?;
        Ok(())
    });
    rig.audit();
    assert_eq!(rig.shard(0).stats().hot_records, 1, "the clean one went, the dirty one stayed");
    rig.on(&["a", "b"], |view| {
        view.put(b"a", &Head::string(None), b"3")?;
        Err(Abort::Undo)
    });
    assert_eq!(rig.get("b").as_deref(), Some(&b"2"[..]));
    assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
    rig.audit_settled();
}

#[test]
fn a_record_that_the_desk_fetched_is_there_for_the_next_attempt() {
    let mut rig = Rig::with(|options| options.hot_bytes = 1);
    rig.set("a", "1");
    rig.settle();
    rig.evict();
    rig.store(0).set_temper(crate::memory_store::Temper::Cold);
    let mut runs = 0;
    rig.on(&["a"], |view| {
        runs += 1;
        assert!(view.record(b"a")?.is_some());
        Ok(())
    });
    assert_eq!(runs, 3, "on the worker, at the desk, and with the record");
}

#[test]
fn a_record_that_changed_while_it_was_fetched_is_not_put_back() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.settle();
    rig.evict();
    let shard = rig.shard(0).clone();
    let (hash, at) = shard.place(b"a");
    let stored = rig.store(0).contents().records[b"a".as_slice()].clone();
    // What a slow reader still holds, with the counter of when it missed the record.
    let changes = shard.stripes[at].0.lock().changes;
    rig.set("a", "new");
    rig.instance().insert_stored(&shard, b"a", &stored, changes, rig.clock);
    assert_eq!(rig.get("a").as_deref(), Some(&b"new"[..]));
    rig.settle();
    rig.evict();
    rig.instance().insert_stored(&shard, b"a", &stored, changes, rig.clock);
    assert!(shard.stripes[at].0.lock().find(hash, b"a").is_none(), "settled and evicted meanwhile");
    rig.delete("a");
    rig.settle();
    rig.instance().insert_stored(&shard, b"a", &stored, changes, rig.clock);
    assert_eq!(rig.get("a"), None, "the tombstone has come and gone meanwhile");
    rig.set("a", "newer");
    rig.settle();
    rig.evict();
    let changes = shard.stripes[at].0.lock().changes;
    rig.clear();
    rig.instance().insert_stored(&shard, b"a", &stored, changes, rig.clock);
    rig.settle();
    rig.instance().insert_stored(&shard, b"a", &stored, changes, rig.clock);
    assert_eq!(rig.get("a"), None, "cleared meanwhile");
    rig.audit_settled();
}

#[test]
fn a_usage_question_is_no_use() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.clock = keyspace::Millis(rig.clock.0 + 10_000);
    let mut usages = Vec::new();
    for _ in 0..2 {
        rig.on(&["a", "none"], |view| {
            usages.push(view.usage(b"a")?.unwrap());
            assert!(view.usage(b"none")?.is_none());
            Ok(())
        });
    }
    assert_eq!(usages[0], usages[1]);
    assert_eq!(usages[0].idle_seconds, 10);
}

#[test]
fn a_smaller_budget_is_kept_by_the_runs_that_follow() {
    let mut rig = Rig::new();
    for n in 0..300 {
        rig.set(&format!("key{n}"), &"x".repeat(200));
    }
    rig.settle();
    rig.instance().set_hot_bytes(20_000);
    for n in 0..300 {
        rig.get(&format!("key{n}"));
        rig.get(&format!("key{n}"));
    }
    rig.run(Scope::Shard, 0, &mut |_| Ok(()));
    assert!(rig.instance().budget.used() < 60_000, "{} bytes", rig.instance().budget.used());
    rig.audit();
}

#[test]
fn a_value_that_is_read_often_is_read_from_memory_and_one_that_is_not_makes_way() {
    let mut rig = Rig::new();
    rig.set_long("a", 7);
    rig.settle();
    rig.evict();
    let clean = |rig: &Rig| rig.instance().shard(0).unwrap().rows.total_size().clean;
    let whole = rig.get("a");
    assert_eq!(clean(&rig), 0);
    while clean(&rig) < 3 * 4096 {
        let before = clean(&rig);
        assert_eq!(rig.get("a"), whole);
        assert_eq!(rig.get("a"), whole);
        rig.fill();
        assert!(clean(&rig) > before, "each time more of it");
    }
    rig.store(0).set_temper(Temper::Cold);
    let mut runs = 0;
    rig.on(&["a"], |view| {
        runs += 1;
        string::read(view, b"a", 0, u64::MAX, &mut |_| {}).map_err(calls::stop)
    });
    assert_eq!(runs, 1, "the store is not asked");
    rig.store(0).set_temper(Temper::Warm);

    rig.instance().budget.set_limit(0);
    row_memory::make_room(rig.instance(), Eviction::Enough);
    assert_eq!(clean(&rig), 0);
    rig.get("a");
    rig.get("a");
    rig.fill();
    assert_eq!(clean(&rig), 0, "there is no room");
    assert_eq!(rig.get("a"), whole);
    rig.audit();
}

#[test]
fn rows_are_read_ahead_beside_a_damaged_shard() {
    let mut rig = Rig::new();
    rig.set("a", "v");
    let keys = [LockKey { database: 1, key: b"a" }];
    rig.run(Scope::Keys(&keys), 1, &mut |view| {
        string::write(view, b"a", 0, &[7; 12_293]).map_err(calls::stop)?;
        Ok(())
    });
    rig.settle();
    rig.evict();
    for _ in 0..2 {
        rig.run(Scope::Keys(&keys), 1, &mut |view| {
            string::read(view, b"a", 0, u64::MAX, &mut |_| {}).map_err(calls::stop)
        });
    }
    let damaged = rig.instance().shard(0).unwrap();
    damaged.set_refusal(Some(damaged.corrupt("a test says so")));
    rig.instance().read_ahead();
    assert!(rig.instance().shard(1).unwrap().rows.total_size().clean > 0);
}
