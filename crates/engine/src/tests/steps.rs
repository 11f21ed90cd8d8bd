//! Runs of several commands: what a failed one leaves, how keys are traced, and who is told of keys that appear.

use keyspace::{Head, Millis};

use super::Rig;
use crate::run::{LockKey, Place, Ran, Request, Scope};
use crate::txn::{Trace, Transaction};

const STRING: Head = Head::string(None);

impl Rig {
    fn steps(&mut self, keys: &[&str], mut steps: impl FnMut(&mut dyn Transaction)) {
        let keys: Vec<_> = keys.iter().map(|key| LockKey { database: 0, key: key.as_bytes() }).collect();
        let instance = self.instance().clone();
        let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: self.clock };
        let ran = instance.run_steps(&request, &mut self.scratch, &mut |run| {
            steps(run);
            Ok(())
        });
        assert!(matches!(ran, Ok(Ran::Done(_))));
    }

    fn trace(&mut self, key: &str) -> Trace {
        let mut trace = None;
        self.steps(&[key], |run| trace = Some(run.trace(key.as_bytes()).unwrap()));
        trace.unwrap()
    }

    /// Has memory know of nothing that the store does not tell.
    fn forget_all(&mut self) {
        self.settle();
        self.settle();
        self.evict();
    }
}

#[test]
fn a_failed_step_is_undone_alone_and_leaves_no_ops() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    let before = rig.shard(0).log.end().0;
    rig.steps(&["a", "b"], |run| {
        run.begin_step();
        run.put(b"a", &STRING, b"first").unwrap();
        run.begin_step();
        run.put(b"a", &STRING, &[b'x'; 500]).unwrap();
        run.put(b"b", &STRING, b"second").unwrap();
        run.delete(b"a").unwrap();
        run.undo_step();
    });
    assert_eq!((rig.get("a").as_deref(), rig.get("b")), (Some(&b"first"[..]), None));
    rig.audit();
    let one = rig.shard(0).log.end().0 - before;
    rig.set("a", "fifth");
    assert_eq!(rig.shard(0).log.end().0 - before, 2 * one, "a frame of the same size");
    rig.audit_settled();
}

#[test]
fn a_run_whose_steps_all_failed_makes_no_frame() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    let before = rig.shard(0).log.end();
    rig.steps(&["a"], |run| {
        run.begin_step();
        run.delete(b"a").unwrap();
        run.undo_step();
    });
    assert_eq!(rig.shard(0).log.end(), before);
    assert_eq!(rig.get("a").as_deref(), Some(&b"old"[..]));
    rig.audit_settled();
}

#[test]
fn traces_tell_changes_from_their_absence() {
    let mut rig = Rig::new();
    let nothing = rig.trace("a");
    assert!(matches!(nothing, Trace::Absent { removed: 0, .. }) && !nothing.differs(rig.trace("a")));
    rig.set("a", "1");
    let first = rig.trace("a");
    assert!(matches!(first, Trace::Live(_)) && !first.differs(rig.trace("a")));
    rig.set("a", "1");
    assert!(first.differs(rig.trace("a")), "the same value again is a change");
    rig.delete("a");
    let gone = rig.trace("a");
    assert!(matches!(gone, Trace::Absent { .. }) && nothing.differs(gone));
    rig.forget_all();
    let forgotten = rig.trace("a");
    assert!(!gone.differs(forgotten), "that the tombstone is gone is no change");
    assert!(nothing.differs(forgotten), "that there was something is remembered");
    rig.set("a", "2");
    rig.delete("a");
    rig.forget_all();
    assert!(gone.differs(rig.trace("a")) && forgotten.differs(rig.trace("a")));
}

#[test]
fn what_a_clear_removed_is_a_change_even_if_it_was_not_in_memory() {
    for made_in_memory in [true, false] {
        let mut rig = Rig::new();
        rig.set("other", "1");
        let nothing = rig.trace("a");
        rig.clear();
        assert!(!nothing.differs(rig.trace("a")), "there was nothing to remove");
        rig.set("a", "1");
        if !made_in_memory {
            rig.forget_all();
        }
        rig.clear();
        assert!(nothing.differs(rig.trace("a")), "{made_in_memory}");
        rig.forget_all();
        assert!(nothing.differs(rig.trace("a")), "{made_in_memory}, settled");
    }
}

#[test]
fn expiry_is_a_change_and_the_removal_of_an_expired_record_is_none() {
    let mut rig = Rig::new();
    let until = Millis(rig.clock.0 + 10);
    rig.set_until("a", "1", until);
    let live = rig.trace("a");
    rig.clock = until;
    let stale = rig.trace("a");
    assert_eq!(stale, Trace::Stale);
    assert!(live.differs(stale));
    rig.delete("a");
    let gone = rig.trace("a");
    assert!(!stale.differs(gone) && live.differs(gone));
    rig.set("a", "2");
    assert!(stale.differs(rig.trace("a")));
}

#[test]
fn who_waits_is_told_of_keys_that_appear_and_of_no_others() {
    let mut rig = Rig::new();
    rig.set("before", "1");
    assert!(!rig.scratch.has_woken());
    let expectation = rig.instance().expect(0, b"a");
    rig.set("a", "1");
    assert_eq!(rig.scratch.take_woken(), [(0, b"a".to_vec())]);
    rig.delete("a");
    assert!(!rig.scratch.has_woken(), "a key that goes wakes nobody");
    rig.set("b", "1");
    rig.run(Scope::Keys(&[LockKey { database: 1, key: b"a" }]), 1, &mut |view| Ok(view.put(b"a", &STRING, b"1")?));
    assert!(!rig.scratch.has_woken(), "nobody waits for it");
    rig.rename("b", "a");
    assert_eq!(rig.scratch.take_woken(), [(0, b"a".to_vec())]);
    rig.steps(&["a"], |run| {
        run.begin_step();
        run.put(b"a", &STRING, b"x").unwrap();
        run.undo_step();
    });
    assert!(!rig.scratch.has_woken(), "nothing was committed");
    drop(expectation);
    rig.set("a", "1");
    assert!(!rig.scratch.has_woken(), "nobody waits any more");
}
