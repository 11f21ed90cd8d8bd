//! Sweeps: what they remove of hashes whose fields expire, how much at once, and what makes them look.

use keyspace::map::{self, Batch, Deadline, Editor, MapError};
use keyspace::{Encoding, Kind, Millis};

use super::{Rig, START};
use crate::expire;
use crate::hot::STRIPES;
use crate::memory_store::Temper;
use crate::run::Abort;

/// When fields expire that do.
const SOON: Millis = Millis(START.0 + 1000);
/// Enough fields that several runs remove them.
const MANY: usize = 1000;

fn stop(error: MapError) -> Abort {
    match error {
        MapError::WrongType => Abort::Undo,
        MapError::Stop(stop) => Abort::Stop(stop),
    }
}

impl Rig {
    fn set_fields(&mut self, key: &str, fields: &[String], expire_at: Option<Millis>) {
        self.on(&[key], |view| {
            let mut editor = Editor::open(view, key.as_bytes(), Kind::Hash, Batch::Many(fields.len())).map_err(stop)?;
            for field in fields {
                editor.put(field.as_bytes(), b"value", Deadline::Set(expire_at)).map_err(stop)?;
            }
            editor.finish().map_err(stop)
        });
    }

    /// Fields of a hash, those that have expired and are still there included; and how it is kept.
    fn fields(&mut self, key: &str) -> (u64, Option<Encoding>) {
        let mut found = (0, None);
        self.on(&[key], |view| {
            let encoding = view.record(key.as_bytes())?.map(|record| record.head.encoding);
            found = (map::len(view, key.as_bytes(), Kind::Hash).map_err(stop)?, encoding);
            Ok(())
        });
        found
    }

    /// As many sweeps as look at every stripe once.
    fn sweep_all(&mut self) {
        let instance = self.instance().clone();
        // One looks at everything, where there is so little.
        expire::sweep(&self.shard(0), &instance, &mut self.scratch);
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("field {n}")).collect()
}

#[test]
fn expired_fields_go_and_a_hash_goes_with_its_last() {
    let mut rig = rig_at_soon();
    for (key, count, encoding) in [("packed", 3, Encoding::Packed), ("exploded", MANY, Encoding::Exploded)] {
        rig.set_fields(key, &names(count), Some(SOON));
        rig.set_fields(key, &["stays".to_owned()], None);
        rig.set_fields(key, &["later".to_owned()], Some(Millis(SOON.0 + 1)));
        assert_eq!(rig.fields(key), (count as u64 + 2, Some(encoding)));
    }
    rig.set_fields("all of it", &names(MANY), Some(SOON));
    rig.set_fields("few", &names(2), Some(SOON));
    rig.settle();
    rig.sweep_all();
    assert_eq!(rig.fields("packed"), (2, Some(Encoding::Packed)));
    assert_eq!(rig.fields("exploded"), (2, Some(Encoding::Exploded)));
    assert_eq!(rig.fields("all of it"), (0, None));
    assert_eq!(rig.fields("few"), (0, None));
    assert_eq!(rig.count(), 2);
    let end = rig.shard(0).log.end();
    rig.sweep_all();
    assert_eq!(rig.shard(0).log.end(), end, "nothing is left to remove");
    rig.audit_settled();
    rig.write_logs();
    rig.crash();
    assert_eq!(rig.fields("exploded"), (2, Some(Encoding::Exploded)));
    assert_eq!(rig.count(), 2);
}

#[test]
fn one_sweep_removes_a_bounded_number_of_fields() {
    const FIELDS: u64 = 12_000;
    let mut rig = rig_at_soon();
    rig.set_fields("k", &names(FIELDS as usize), Some(SOON));
    let instance = rig.instance().clone();
    let mut left = FIELDS;
    let mut steps = Vec::new();
    while left > 0 {
        expire::sweep(&rig.shard(0), &instance, &mut rig.scratch);
        let now = rig.fields("k").0;
        steps.push(left - now);
        left = now;
        assert!(steps.last() != Some(&0), "it goes on");
    }
    assert!(steps.len() == 2 && steps[0] >= 10_000, "{steps:?}");
    drop(instance);
    rig.audit_settled();
}

#[test]
fn sweeps_begin_with_whatever_brings_in_fields_that_expire() {
    for temper in [Temper::Warm, Temper::Cold] {
        let mut rig = rig_at_soon();
        for key in ["few", "many"] {
            rig.set_fields(key, &names(if key == "few" { 2 } else { MANY }), Some(SOON));
        }
        rig.settle();
        rig.flush();
        rig.write_logs();
        rig.crash();
        rig.evict();
        rig.store(0).set_temper(temper);
        for key in ["few", "many"] {
            rig.fields(key);
        }
        let end = rig.shard(0).log.end();
        rig.sweep_all();
        assert_eq!((rig.count(), rig.shard(0).log.end()), (2, end), "who has just been started deletes nothing");
        rig.instance().begin_reign(0, rig.clock).unwrap();
        rig.sweep_all();
        assert_eq!(rig.count(), 0, "read after a restart, {temper:?}");
    }
    // Only the header of an exploded hash says that one field of it expires now.
    let mut rig = rig_at_soon();
    rig.set_fields("k", &names(MANY), None);
    rig.settle();
    rig.flush();
    rig.write_logs();
    rig.crash();
    rig.sweep_all();
    rig.set_fields("k", &names(1), Some(SOON));
    rig.sweep_all();
    assert_eq!(rig.fields("k").0, MANY as u64 - 1);
}

/// Sweeps take it for the time when fields expire; commands, until a sweep has changed something, for earlier.
fn rig_at_soon() -> Rig {
    Rig::with(|options| options.clock = || SOON)
}

#[test]
fn a_run_deletes_the_expired_records_that_it_meets() {
    let mut rig = Rig::new();
    let until = Millis(rig.clock.0 + 10);
    for key in ["a", "b", "c"] {
        rig.set_until(key, "1", until);
    }
    rig.set("d", "1");
    rig.clock = until;
    assert_eq!(rig.count(), 4);
    assert_eq!(rig.get("a"), None);
    assert!(!rig.scratch.tally().committed.get(), "no client waits for this frame");
    assert_eq!(rig.get("d").as_deref(), Some(&b"1"[..]));
    assert_eq!((rig.count(), rig.shard(0).stats().expired), (3, 1));
    rig.audit_settled();
    assert_eq!(rig.get("b"), None);
    assert_eq!(rig.count(), 2, "also when it had to be read from the store");

    let before = rig.shard(0).log.end();
    rig.instance().hold_expiry(Millis(until.0 + 5));
    assert_eq!(rig.get("c"), None);
    assert_eq!((rig.count(), rig.shard(0).log.end()), (2, before), "not while expiry is held");
    rig.clock = Millis(until.0 + 5);
    assert_eq!(rig.get("c"), None);
    assert_eq!((rig.count(), rig.shard(0).stats().expired), (1, 3));
}

#[test]
fn a_replica_deletes_nothing_for_being_expired() {
    let mut rig = Rig::new();
    let until = Millis(rig.clock.0 + 10);
    rig.set_until("a", "1", until);
    rig.instance().demote();
    rig.clock = until;
    assert_eq!((rig.get("a"), rig.count()), (None, 1));
}

#[test]
fn a_sweep_deletes_nothing_while_expiry_is_held() {
    let mut rig = Rig::new();
    let until = Millis(rig.clock.0 + 10);
    rig.set_until("a", "1", until);
    let instance = rig.instance().clone();
    // Sweeps go by the system's clock, which is far beyond that of the test.
    for (held_until, left) in [(Millis(u64::MAX), 1), (Millis(0), 0)] {
        instance.hold_expiry(held_until);
        for _ in 0..STRIPES {
            expire::sweep(&rig.shard(0), &instance, &mut rig.scratch);
        }
        assert_eq!(rig.count(), left);
    }
}
