//! A primary's frames on a replica: the same content after anything, whole frames or none, and faults that are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keyspace::view::Limits;
use keyspace::{Head, OpWriter, RowsId};
use lineage::{Epoch, Lsn, ReplId};
use proptest::prelude::*;
use replog::{FsyncPolicy, Log, LogOptions};

use super::model::{Keep, Machine, Run, Step, any_meanwhile, any_run, any_upkeep, check};
use super::{Rig, audit};
use crate::apply::ApplyFault;
use crate::memory_store::Temper;
use crate::role::Role;
use crate::run::{LockKey, Place, Ran, Request, Scope};
use crate::slot::ShardRef;
use crate::txn::Scratch;

/// A replica that can be opened again.
pub fn replica(hot_bytes: u64) -> Rig {
    Rig::with(|options| {
        options.role = Role::Replica;
        options.hot_bytes = hot_bytes;
        options.segment_bytes = 30_000;
        options.log_retain_bytes = u64::MAX;
    })
}

/// Passes on what the log of `from` holds, as a link would: some frames at a time, at most `most` times.
pub fn feed(from: &Rig, to: &Rig, bytes: usize, most: usize) {
    for source in from.instance().shards() {
        let database = source.database;
        to.instance().create_replica_shard(database).unwrap();
        let target = to.shard(database);
        let mut reader = source.log.reader(target.log.end()).unwrap();
        for _ in 0..most {
            let Some(raw) = reader.next_raw(bytes).unwrap() else { break };
            let applied = target.apply(to.instance(), raw.bytes, raw.lsn, target.generation()).unwrap();
            assert_eq!((applied.end, target.log.end()), (raw.end(), raw.end()));
        }
    }
    to.audit();
}

/// Both hold the same, byte for byte.
pub fn assert_same(one: &Rig, other: &Rig) {
    for shard in one.instance().shards() {
        let database = shard.database;
        let twin = other.shard(database);
        let dumps = [(&shard, one), (&twin, other)]
            .map(|(shard, rig): (&ShardRef, &Rig)| audit::dump(shard, &rig.store(database).contents()));
        assert_eq!(dumps[0], dumps[1], "database {database}");
        assert_eq!(shard.log.lineage(), twin.log.lineage());
        assert_eq!(shard.log.end(), twin.log.end());
        assert_eq!(shard.last_time(), twin.last_time());
    }
}

/// What happens to a replica.
#[derive(Clone, Debug)]
enum Turn {
    Feed { bytes: usize, most: usize },
    Settle,
    Flush,
    Evict,
    Cold(bool),
    Crash(Keep),
    Close,
}

impl Turn {
    fn take(&self, primary: &Rig, replica: &mut Rig) {
        match self {
            Turn::Feed { bytes, most } => feed(primary, replica, *bytes, *most),
            Turn::Settle => {
                replica.settle();
                replica.fill();
            }
            Turn::Flush => replica.flush(),
            Turn::Evict => replica.evict(),
            Turn::Cold(cold) => {
                for database in 0..replica.options.databases {
                    replica.store(database).set_temper(if *cold { Temper::Cold } else { Temper::Warm });
                }
            }
            Turn::Crash(keep) => {
                let before: Vec<_> = replica.instance().shards().map(|shard| shard.origin()).collect();
                replica.kill();
                for database in 0..replica.options.databases {
                    let store = replica.store(database);
                    let kept = match keep {
                        Keep::First(batches) => *batches,
                        Keep::AllBut(batches) => store.unflushed().saturating_sub(*batches),
                    };
                    store.crash_keeping(kept);
                }
                replica.open();
                for (shard, before) in replica.instance().shards().zip(before) {
                    // What was applied was written, and opening has added nothing.
                    assert_eq!((shard.log.end(), shard.log.lineage()), (before.end, before.lineage));
                }
            }
            Turn::Close => {
                replica.instance().close().unwrap();
                replica.kill();
                replica.open();
            }
        }
        replica.audit();
    }
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let keep = prop_oneof![1 => (0..60usize).prop_map(Keep::First), 2 => (0..12usize).prop_map(Keep::AllBut)];
    prop_oneof![
        6 => (prop::sample::select(vec![1usize, 300, 5000, 100_000]), 1..9usize)
            .prop_map(|(bytes, most)| Turn::Feed { bytes, most }),
        2 => Just(Turn::Settle),
        1 => Just(Turn::Flush),
        2 => Just(Turn::Evict),
        1 => any::<bool>().prop_map(Turn::Cold),
        2 => keep.prop_map(Turn::Crash),
        1 => Just(Turn::Close),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Primary(Step),
    Replica(Turn),
}

fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    let keep = (0..12usize).prop_map(Keep::AllBut);
    let step = prop_oneof![
        8 => any_run(),
        2 => any_upkeep(),
        1 => any_meanwhile(),
        3 => Just(Step::WriteLogs),
        1 => keep.prop_map(|keep| Step::Crash { keep, again: 0 }),
    ];
    prop::collection::vec(
        prop_oneof![3 => step.prop_map(Event::Primary), 2 => any_turn().prop_map(Event::Replica)],
        1..most,
    )
}

/// A primary and a replica through the events; then the replica is promoted and the old primary follows it.
fn follow(hot_bytes: u64, events: &[Event], later: &[Run]) {
    let mut primary = Machine::with_retained(hot_bytes, u64::MAX);
    let mut replica = replica(hot_bytes);
    for event in events {
        match event {
            Event::Primary(step) => primary.step(step),
            Event::Replica(turn) => turn.take(&primary.rig, &mut replica),
        }
    }
    primary.finish();
    primary.rig.write_logs();
    feed(&primary.rig, &replica, 10_000, usize::MAX);
    assert_same(&primary.rig, &replica);

    let mut old = primary.rig;
    replica.clock = old.clock;
    old.kill();
    old.options.role = Role::Replica;
    old.open();
    replica.instance().promote().unwrap();
    let instance = replica.instance().clone();
    for run in later {
        run.execute(&instance, &mut Scratch::new(7), replica.clock);
    }
    drop(instance);
    replica.write_logs();
    feed(&replica, &old, 500, usize::MAX);
    assert_same(&replica, &old);
    old.audit_settled();
    replica.audit_settled();
    assert_same(&replica, &old);
}

fn some_runs() -> impl Strategy<Value = Vec<Run>> {
    let run = any_run().prop_filter_map("a run", |step| match step {
        Step::Run(run) => Some(run),
        _ => None,
    });
    prop::collection::vec(run, 0..6)
}

#[test]
fn a_replica_becomes_what_its_primary_is_and_takes_its_place() {
    check(60, (events(50), some_runs()), |(events, later)| follow(1 << 20, &events, &later));
}

#[test]
fn a_replica_becomes_what_its_primary_is_in_little_memory() {
    check(50, (events(50), some_runs()), |(events, later)| follow(20_000, &events, &later));
}

/// Frames of a primary that exists only as a log.
struct Forge {
    _dir: tempfile::TempDir,
    log: Log,
}

impl Forge {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { fsync: FsyncPolicy::No, ..LogOptions::new(dir.path()) };
        let (log, _) = Log::open(options).unwrap();
        log.append_epoch(1, Epoch(1), ReplId([7; 20])).unwrap();
        Self { _dir: dir, log }
    }

    fn frame(&self, ops: impl FnOnce(&mut OpWriter)) {
        let mut writer = OpWriter::new();
        writer.clear();
        ops(&mut writer);
        self.log.append(1, writer.bytes()).unwrap();
    }

    /// All frames from `from` on.
    fn raw(&self, from: Lsn) -> Vec<u8> {
        let _ = self.log.write_to_blocking(self.log.end());
        let mut reader = self.log.reader(from).unwrap();
        let mut raw = Vec::new();
        while let Some(frames) = reader.next_raw(1 << 20).unwrap() {
            raw.extend_from_slice(frames.bytes);
        }
        raw
    }
}

fn body(value: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    Head::string(None).encode(&mut body);
    body.extend_from_slice(value);
    body
}

fn apply(rig: &Rig, forge: &Forge, from: Lsn) -> Result<Lsn, ApplyFault> {
    let shard = rig.shard(0);
    shard.apply(rig.instance(), &forge.raw(from), from, shard.generation()).map(|applied| applied.end)
}

#[test]
fn a_frame_that_does_not_fit_is_divergence_and_leaves_no_trace() {
    let misfits: [fn(&mut OpWriter); 6] = [
        |ops| ops.splice(b"none", 0, 0, 3, b"x"),
        |ops| ops.touch(b"none"),
        |ops| ops.splice(b"k", 0, 1, 4, b"x"),
        |ops| ops.splice(b"k", 2, 2, 3, b"x"),
        |ops| ops.put(b"k", &[0xff, 0xff]),
        |ops| ops.splice(b"gone", 0, 0, 3, b"x"),
    ];
    for misfit in misfits {
        let mut rig = replica(1 << 20);
        let forge = Forge::new();
        forge.frame(|ops| ops.put(b"k", &body(b"abc")));
        forge.frame(|ops| ops.put(b"gone", &body(b"abc")));
        forge.frame(|ops| ops.delete(b"gone"));
        let fits = apply(&rig, &forge, Lsn(0)).unwrap();
        forge.frame(|ops| {
            // The first ops fit: they must not stay.
            ops.put(b"k", &body(b"abc"));
            ops.put(b"new", &body(b"new"));
            ops.put_row(b"new", RowsId(3), b"row", b"value");
            misfit(ops);
        });
        match apply(&rig, &forge, fits) {
            Err(ApplyFault::Diverged(_)) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(rig.shard(0).log.end(), fits, "it is not in the log");
        rig.audit();
        assert_eq!(rig.get("k").as_deref(), Some(&b"abc"[..]));
        assert_eq!((rig.get("new"), rig.get("gone")), (None, None));
        rig.crash();
        assert_eq!((rig.shard(0).log.end(), rig.get("k").as_deref()), (fits, Some(&b"abc"[..])));
    }
}

#[test]
fn frames_of_another_place_generation_or_checksum_are_refused() {
    let rig = replica(1 << 20);
    let forge = Forge::new();
    forge.frame(|ops| ops.put(b"k", &body(b"abc")));
    let shard = rig.shard(0);
    let raw = forge.raw(Lsn(0));
    let put = |raw: &[u8], at, generation| shard.apply(rig.instance(), raw, at, generation);
    let present = shard.generation();
    assert!(matches!(put(&raw, Lsn(0), present + 1), Err(ApplyFault::Generation { .. })));
    assert!(matches!(put(&raw, Lsn(8), present), Err(ApplyFault::Gap { .. })));
    assert_eq!(shard.log.end(), Lsn(0));
    for at in 0..raw.len() {
        let mut wrong = raw.clone();
        wrong[at] ^= 1;
        assert!(matches!(put(&wrong, shard.log.end(), present), Err(ApplyFault::Damaged(_) | ApplyFault::Gap { .. })));
    }
    // The frame before the damaged one was applied.
    let epoch = shard.log.end();
    assert!(Lsn(0) < epoch && epoch < forge.log.end());
    assert!(matches!(put(&raw[epoch.0 as usize..raw.len() - 1], epoch, present), Err(ApplyFault::Damaged(_))));
    assert_eq!(put(&raw[epoch.0 as usize..], epoch, present).unwrap().end, forge.log.end());
    rig.instance().demote();
    assert!(matches!(put(&[], forge.log.end(), present), Ok(_) | Err(ApplyFault::Generation { .. })));
    forge.frame(|ops| ops.put(b"k", &body(b"def")));
    let more = forge.raw(shard.log.end());
    assert!(
        matches!(put(&more, shard.log.end(), present), Err(ApplyFault::Generation { .. })),
        "of the primary before"
    );
    rig.instance().promote().unwrap();
    assert!(matches!(put(&more, shard.log.end(), shard.generation()), Err(ApplyFault::NotFollowing)));
}

#[test]
fn a_rows_id_of_the_primary_is_never_given_out_again() {
    let mut rig = replica(1 << 20);
    let forge = Forge::new();
    let mut exploded = body(b"");
    exploded[0] |= 1 << 4;
    exploded.extend_from_slice(&500u64.to_le_bytes());
    exploded.extend_from_slice(&0u64.to_le_bytes());
    forge.frame(|ops| ops.put(b"k", &exploded));
    forge.frame(|ops| ops.clear_shard());
    apply(&rig, &forge, Lsn(0)).unwrap();
    rig.settle();
    rig.flush();
    rig.crash();
    rig.instance().promote().unwrap();
    assert!(rig.shard(0).new_rows() > RowsId(500));
}

#[test]
fn readers_see_whole_frames_and_never_go_back() {
    let rig = replica(1 << 20);
    let forge = Forge::new();
    const FRAMES: u64 = 3000;
    for n in 0..FRAMES {
        let value = body(&n.to_be_bytes());
        forge.frame(|ops| {
            if n % 500 == 0 {
                ops.clear_shard();
            }
            ops.put(b"a", &value);
            ops.put(b"b", &value);
        });
    }
    let done = Arc::new(AtomicBool::new(false));
    let reading = thread::spawn({
        let (instance, done, clock) = (rig.instance().clone(), done.clone(), rig.clock);
        move || {
            let (mut scratch, mut last, mut looks) = (Scratch::new(1), 0, 0u64);
            while !done.load(Ordering::Acquire) || looks == 0 {
                let keys = [b"a", b"b"].map(|key| LockKey { database: 0, key });
                let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock };
                let mut seen = [None, None];
                let ran = instance.run(&request, &mut scratch, &mut |view| {
                    for (key, seen) in keys.iter().zip(&mut seen) {
                        let number = |bytes: &[u8]| u64::from_be_bytes(*bytes.first_chunk().unwrap());
                        *seen = view.record(key.key)?.map(|record| number(record.payload));
                    }
                    Ok(())
                });
                assert!(matches!(ran, Ok(Ran::Done(_))));
                assert_eq!(seen[0], seen[1], "half a frame");
                assert!(seen[0].unwrap_or(0) >= last);
                last = seen[0].unwrap_or(last);
                looks += 1;
            }
        }
    });
    apply(&rig, &forge, Lsn(0)).unwrap();
    done.store(true, Ordering::Release);
    reading.join().unwrap();
    rig.audit();
}

#[test]
fn different_limits_make_no_difference() {
    let mut primary = Rig::with(|options| options.log_retain_bytes = u64::MAX);
    let replica = replica(1 << 20);
    replica.instance().set_limits(Limits {
        string_chunk_threshold: 1 << 20,
        packed_max_bytes: 1 << 20,
        ..Limits::default()
    });
    primary.set_long("long", 3);
    primary.write("long", 100, b"hello");
    primary.write_logs();
    feed(&primary, &replica, 1 << 20, usize::MAX);
    assert_same(&primary, &replica);
}
