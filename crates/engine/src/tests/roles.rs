//! Roles: who may write, what a change of role leaves in the logs, and what a replica does not do by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use keyspace::{Head, Millis};
use lineage::Lsn;

use super::{Rig, START};
use crate::expire;
use crate::fault::FaultKind;
use crate::role::Role;
use crate::run::{LockKey, Place, Ran, Request, Scope};
use crate::txn::Scratch;

/// The kind of fault that a write to a key ends with.
fn write_fault(rig: &mut Rig, database: usize) -> FaultKind {
    let keys = [LockKey { database, key: b"k" }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database, clock: rig.clock };
    let instance = rig.instance().clone();
    let put = &mut |view: &mut dyn keyspace::View| Ok(view.put(b"k", &Head::string(None), b"v")?);
    instance.run(&request, &mut rig.scratch, put).expect_err("a replica refuses writes").kind
}

fn reopen_as(rig: &mut Rig, role: Role) {
    rig.write_logs();
    rig.kill();
    rig.options.role = role;
    rig.open();
}

#[test]
fn a_replica_refuses_writes_and_makes_no_database_for_them() {
    let mut rig = Rig::with(|options| options.role = Role::Replica);
    assert_eq!(rig.shard(0).log.end(), Lsn(0), "nobody reigns yet");
    assert_eq!(write_fault(&mut rig, 0), FaultKind::ReadOnly);
    assert_eq!(write_fault(&mut rig, 1), FaultKind::ReadOnly);
    assert!(rig.instance().shard(1).is_none());
    assert_eq!(rig.get("k"), None);
    rig.instance().create_replica_shard(1).unwrap();
    assert_eq!(rig.shard(1).log.end(), Lsn(0));
    assert_eq!(write_fault(&mut rig, 1), FaultKind::ReadOnly);
    assert!(rig.shard(0).trouble().is_none(), "nothing is wrong with it");
}

#[test]
fn a_replica_that_is_opened_again_appends_nothing() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    for _ in 0..3 {
        let (end, lineage) = (rig.shard(0).log.end(), rig.shard(0).log.lineage());
        reopen_as(&mut rig, Role::Replica);
        assert_eq!((rig.shard(0).log.end(), rig.shard(0).log.lineage()), (end, lineage));
        assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
    }
}

#[test]
fn after_a_promotion_every_database_has_a_reign_of_its_own_before_anybody_is_told() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.instance().create_shard(2).unwrap();
    reopen_as(&mut rig, Role::Replica);
    let before = [0, 2].map(|database| rig.shard(database).origin());
    let (seen, role) = (rig.instance().changes().count(), rig.instance().role_generation());
    assert!(rig.instance().changes().poll(seen, Waker::noop()) == Poll::Pending);
    rig.instance().promote().unwrap();
    assert!(rig.instance().changes().poll(seen, Waker::noop()).is_ready());
    assert_eq!(rig.instance().role(), Role::Primary);
    assert!(rig.instance().role_generation() > role);
    for (database, before) in [0, 2].into_iter().zip(&before) {
        let now = rig.shard(database).origin();
        assert_eq!((&now.lineage, now.end), (&before.lineage, before.end), "nothing has happened yet");
        rig.instance().begin_reign(database, rig.clock).unwrap();
        let now = rig.shard(database).origin();
        let era = *now.lineage.current().unwrap();
        assert_eq!(era.first, before.end);
        assert!(before.lineage.eras().iter().all(|old| old.id != era.id));
        assert_eq!(now.synced, now.end, "durable before the first write");
        assert!(now.generation > before.generation);
    }
    rig.set("a", "2");
    rig.instance().promote().unwrap();
    assert_eq!(rig.shard(0).log.lineage().eras().len(), before[0].lineage.eras().len() + 1, "once is enough");
}

/// Whoever was made a primary and was not written to has parted from nobody.
#[test]
fn a_primary_that_wrote_nothing_follows_again() {
    let mut primary = Rig::with(|options| options.log_retain_bytes = u64::MAX);
    let mut other = Rig::with(|options| options.role = Role::Replica);
    primary.set("a", "1");
    primary.write_logs();
    super::apply::feed(&primary, &other, 1000, usize::MAX);
    for _ in 0..2 {
        let before = other.shard(0).origin();
        other.instance().promote().unwrap();
        assert!(other.instance().rests(0) && other.get("a").is_some());
        reopen_as(&mut other, Role::Primary);
        assert!(other.instance().rests(0));
        other.instance().demote();
        assert!(!other.instance().rests(0));
        let now = other.shard(0).origin();
        assert_eq!((now.lineage, now.end), (before.lineage, before.end));
        primary.set("a", "2");
        primary.write_logs();
        super::apply::feed(&primary, &other, 1000, usize::MAX);
        assert_eq!(other.shard(0).log.end(), primary.shard(0).log.end());
    }
    other.instance().begin_reign(0, other.clock).unwrap();
    assert_eq!(other.shard(0).log.end(), primary.shard(0).log.end(), "a replica begins none");
}

#[test]
fn a_run_that_is_under_way_does_not_commit_after_the_demotion() {
    let mut rig = Rig::new();
    rig.set("k", "old");
    let instance = rig.instance().clone();
    let end = rig.shard(0).log.end();
    let keys = [LockKey { database: 0, key: b"k" }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: rig.clock };
    let mut demoting = None;
    let ran = instance.run(&request, &mut rig.scratch, &mut |view| {
        view.put(b"k", &Head::string(None), b"new")?;
        let instance = instance.clone();
        let thread = thread::spawn({
            let instance = instance.clone();
            move || instance.demote()
        });
        while instance.role() == Role::Primary || instance.shard(0).unwrap().refuses_writes().is_none() {
            thread::yield_now();
        }
        assert!(!thread.is_finished(), "it waits for the run");
        demoting = Some(thread);
        Ok(())
    });
    assert_eq!(ran.unwrap_err().kind, FaultKind::ReadOnly);
    demoting.unwrap().join().unwrap();
    assert_eq!(rig.get("k").as_deref(), Some(&b"old"[..]));
    assert_eq!(rig.shard(0).log.end(), end);
    drop(instance);
    rig.instance().promote().unwrap();
    rig.set("k", "new");
}

/// Whatever a run meets of a demotion or a promotion: what it writes lies above the frame that begins the reign.
#[test]
fn no_write_goes_on_with_the_reign_of_the_primary_before() {
    let mut rig = Rig::new();
    rig.set("k", "old");
    reopen_as(&mut rig, Role::Replica);
    let instance = rig.instance().clone();
    let (clock, stop) = (rig.clock, AtomicBool::new(false));
    thread::scope(|scope| {
        for key in ["a", "b"] {
            let (instance, stop) = (&instance, &stop);
            scope.spawn(move || {
                let mut scratch = Scratch::new(7);
                let keys = [LockKey { database: 0, key: key.as_bytes() }];
                let request = Request { place: Place::Worker, scope: Scope::Keys(&keys), database: 0, clock };
                while !stop.load(Ordering::Relaxed) {
                    // A worker begins no reign, so nothing of this may come to be written.
                    let ran = instance.run(&request, &mut scratch, &mut |view| {
                        view.put(key.as_bytes(), &Head::string(None), b"new")?;
                        Ok(())
                    });
                    assert!(!matches!(ran, Ok(Ran::Done(_))));
                }
            });
        }
        for _ in 0..300 {
            instance.promote().unwrap();
            instance.demote();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(instance.shard(0).unwrap().log.lineage().eras().len(), 1);
}

#[test]
fn every_demotion_changes_the_generations() {
    let rig = Rig::new();
    let mut known = vec![(rig.shard(0).generation(), rig.instance().role_generation())];
    for _ in 0..3 {
        rig.instance().demote();
        let now = (rig.shard(0).generation(), rig.instance().role_generation());
        assert!(known.iter().all(|then| then.0 != now.0 && then.1 != now.1));
        known.push(now);
    }
    // Another process knows none of them.
    let other = crate::role::RoleState::new(Role::Primary).next_generation();
    assert!(known.iter().all(|then| then.0 != other));
}

#[test]
fn one_sweep_of_a_small_primary_deletes_all_that_has_expired() {
    let mut rig = Rig::new();
    for key in 0..100 {
        rig.set_until(&format!("k{key}"), "v", Millis(START.0 + 10));
    }
    rig.set_until("later", "v", Millis(u64::MAX / 2));
    rig.clock = Millis(START.0 + 11);
    let instance = rig.instance().clone();
    expire::sweep(&rig.shard(0), &instance, &mut rig.scratch);
    assert_eq!(rig.count(), 1);
    assert_eq!(rig.get("later").as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_replica_hides_what_has_expired_and_deletes_nothing() {
    let mut rig = Rig::new();
    rig.set_until("k", "v", Millis(START.0 + 10));
    reopen_as(&mut rig, Role::Replica);
    assert_eq!(rig.get("k").as_deref(), Some(&b"v"[..]));
    let end = rig.shard(0).log.end();
    rig.clock = Millis(START.0 + 11);
    assert_eq!(rig.get("k"), None);
    let instance = rig.instance().clone();
    for _ in 0..64 {
        expire::sweep(&rig.shard(0), &instance, &mut rig.scratch);
    }
    assert_eq!(rig.shard(0).log.end(), end);
    assert_eq!(rig.count(), 1, "it is there until its primary says otherwise");
}
