//! Writes that are refused, why, and until when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyspace::Head;

use super::Rig;
use crate::fault::{Fault, FaultKind};
use crate::instance::Instance;
use crate::memory_store::Temper;
use crate::run::{LockKey, Place, Ran, Request, Scope};

fn try_set(rig: &mut Rig, key: &str, value: &str) -> Result<(), Fault> {
    let keys = [LockKey { database: 0, key: key.as_bytes() }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: rig.clock };
    let instance = rig.instance().clone();
    let ran = instance.run(&request, &mut rig.scratch, &mut |view| {
        Ok(view.put(key.as_bytes(), &Head::string(None), value.as_bytes())?)
    })?;
    assert!(matches!(ran, Ran::Done(_)));
    Ok(())
}

/// Waits for another thread's doing, which the test has made inevitable.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_store_stops_writes_and_reads_go_on() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.store(0).set_temper(Temper::Full);
    let fault = rig.instance().settle().unwrap_err();
    assert_eq!(fault.kind, FaultKind::NoSpace);
    rig.audit();
    rig.shard(0).set_refusal(Some(fault));
    let fault = try_set(&mut rig, "a", "2").unwrap_err();
    assert!(fault.is_healable() && fault.to_string().contains("No space left"), "{fault}");
    assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]), "the refused write is undone");
    rig.audit();
    rig.shard(0).set_refusal(None);
    rig.store(0).set_temper(Temper::Warm);
    try_set(&mut rig, "a", "2").unwrap();
    rig.audit_settled();
}

#[test]
fn the_settle_thread_refuses_writes_and_takes_them_again() {
    let mut rig = Rig::new();
    rig.kill();
    rig.options.settle_interval = Duration::from_millis(1);
    let (instance, _) = Instance::open(rig.options.clone(), rig.clock).unwrap();
    rig.instance = Some(instance);
    rig.set("a", "1");
    rig.store(0).set_temper(Temper::Full);
    let mut n = 0;
    until("writes are refused", || {
        n += 1;
        try_set(&mut rig, "a", &n.to_string()).is_err()
    });
    let fault = rig.shard(0).refuses_writes().unwrap();
    assert_eq!(fault.kind, FaultKind::NoSpace);
    rig.store(0).set_temper(Temper::Warm);
    let instance: Arc<Instance> = rig.instance().clone();
    until("writes are taken again", || instance.shard(0).unwrap().refuses_writes().is_none());
    try_set(&mut rig, "a", "last").unwrap();
    rig.instance().close().unwrap();
    assert_eq!(rig.store(0).contents().records.len(), 1);
}

#[test]
fn a_change_larger_than_a_frame_is_refused_and_undone() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    let big = vec![0; crate::txn::MAX_OPS_BYTES];
    let keys = [LockKey { database: 0, key: b"a" }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: rig.clock };
    let instance = rig.instance().clone();
    let ran = instance.run(&request, &mut rig.scratch, &mut |view| Ok(view.put(b"a", &Head::string(None), &big)?));
    let fault = ran.unwrap_err();
    assert!(fault.to_string().contains("larger than a log frame"), "{fault}");
    assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
    drop(instance);
    rig.audit_settled();
}
