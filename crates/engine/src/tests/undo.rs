//! Runs that are taken back, and FLUSHDB with other changes around it.

use keyspace::Head;

use super::Rig;
use crate::run::{Abort, Scope};

const STRING: Head = Head::string(None);

#[test]
fn a_change_before_a_clear_is_undone_with_it() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.set_long("long", 7);
    rig.run(Scope::Shard, 0, &mut |view| {
        view.put(b"a", &STRING, b"changed")?;
        view.put(b"b", &STRING, b"made")?;
        view.delete(b"long")?;
        view.clear()?;
        view.put(b"a", &STRING, b"again")?;
        view.put(b"b", &STRING, b"again")?;
        view.clear()?;
        view.put(b"c", &STRING, b"last")?;
        Err(Abort::Undo)
    });
    rig.audit();
    assert_eq!(rig.get("a").as_deref(), Some(&b"old"[..]));
    assert_eq!(rig.get("long").map(|value| value.len()), Some(3 * 4096 + 5));
    assert_eq!((rig.get("b"), rig.get("c")), (None, None));
    rig.audit_settled();
}

#[test]
fn bytes_are_booked_when_a_record_grew_before_the_undo() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.settle();
    rig.set("b", "old");
    rig.on(&["a", "b"], |view| {
        view.put(b"a", &STRING, &[1; 100])?;
        view.put(b"b", &STRING, &[1; 100])?;
        Err(Abort::Undo)
    });
    rig.audit();
    rig.audit_settled();
}

#[test]
fn a_key_changed_before_and_after_a_clear_is_booked_once() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.set("gone", "old");
    rig.run(Scope::Shard, 0, &mut |view| {
        view.put(b"a", &STRING, b"before")?;
        view.put(b"new", &STRING, b"before")?;
        view.clear()?;
        view.put(b"a", &STRING, b"after")?;
        Ok(())
    });
    rig.audit();
    assert_eq!(rig.get("a").as_deref(), Some(&b"after"[..]));
    assert_eq!(rig.count(), 1);
    rig.audit_settled();
}

#[test]
fn a_frame_with_a_clear_in_its_middle_is_replayed_as_it_ran() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.settle();
    rig.flush();
    rig.run(Scope::Shard, 0, &mut |view| {
        view.put(b"a", &STRING, b"before")?;
        view.put(b"gone", &STRING, b"before")?;
        view.clear()?;
        view.put(b"a", &STRING, b"after")?;
        view.put(b"b", &STRING, b"after")?;
        Ok(())
    });
    rig.write_logs();
    // Once with the store before the frame, then with all that a settle wrote, batch by batch.
    for keep in [None, Some(1), Some(2), Some(3), Some(4)] {
        if let Some(keep) = keep {
            rig.settle();
            rig.kill();
            rig.store(0).crash_keeping(keep);
            rig.open();
        } else {
            rig.crash();
        }
        rig.audit();
        assert_eq!(rig.get("a").as_deref(), Some(&b"after"[..]), "{keep:?}");
        assert_eq!(rig.get("b").as_deref(), Some(&b"after"[..]), "{keep:?}");
        assert_eq!(rig.get("gone"), None, "{keep:?}");
    }
    rig.audit_settled();
}

#[test]
fn clearing_one_database_leaves_the_books_of_others_alone() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.run(Scope::AllShards, 0, &mut |view| {
        view.select(1)?;
        view.put(b"b", &STRING, b"x")
            .and_then(|()| view.select(0))
            .and_then(|()| view.put(b"a", &STRING, b"new"))
            .and_then(|()| view.select(1))
            .and_then(|()| view.clear())?;
        Ok(())
    });
    rig.audit();
    assert_eq!(rig.get("a").as_deref(), Some(&b"new"[..]));
    rig.audit_settled();
}

#[test]
fn a_cleared_store_is_not_read_before_settle_has_emptied_it() {
    let mut rig = Rig::new();
    rig.set("a", "old");
    rig.set_long("long", 7);
    rig.settle();
    rig.evict();
    rig.clear();
    assert_eq!((rig.get("a"), rig.get("long")), (None, None));
    assert_eq!(rig.count(), 0);
    rig.on(&["a"], |view| {
        assert!(!view.delete(b"a")?);
        Ok(())
    });
    rig.set("a", "new");
    rig.audit();
    assert_eq!(rig.count(), 1);
    rig.audit_settled();
    assert_eq!(rig.get("a").as_deref(), Some(&b"new"[..]));
}
