//! Another shard in the place of the present one: whole, or not at all, whenever a crash comes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyspace::{Millis, View};
use lineage::{Fork, Lsn};

use super::apply::{assert_same, feed, replica};
use super::{Rig, calls};
use crate::apply::ApplyFault;
use crate::fault::FaultKind;
use crate::files::{Files, OsFiles};
use crate::instance::Instance;
use crate::memory_store::Temper;
use crate::quarantine::Kept;
use crate::replace::{Installed, Promise};
use crate::role::Role;
use crate::run::{LockKey, Place, Ran, Request, Scope};
use crate::txn::Scratch;

/// A file system that takes so many more changes, and then none.
#[derive(Debug)]
struct Failing(AtomicUsize);

impl Failing {
    fn after(steps: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(steps)))
    }

    fn step(&self) -> io::Result<()> {
        let took = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        took.map(drop).map_err(|_| io::Error::other("the machine has stopped"))
    }

    fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Files for Failing {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.create_dir(path))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self.step() {
            Ok(()) => OsFiles.write(path, bytes),
            Err(error) => {
                OsFiles.write(path, &bytes[..bytes.len() / 2])?;
                Err(error)
            }
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.rename(from, to))
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        match self.step() {
            Ok(()) => OsFiles.remove_tree(path),
            Err(error) => {
                let _ = OsFiles.remove_tree(&path.join("log"));
                Err(error)
            }
        }
    }

    fn link_tree(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.step() {
            Ok(()) => OsFiles.link_tree(from, to),
            Err(error) => {
                std::fs::create_dir(to)?;
                OsFiles.link_tree(&from.join("log"), &to.join("log"))?;
                Err(error)
            }
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.sync_dir(path))
    }
}

fn primary() -> Rig {
    let mut rig = Rig::with(|options| options.log_retain_bytes = u64::MAX);
    rig.set("settled", "new");
    rig.set_long("long", 7);
    rig.settle();
    rig.flush();
    rig.set("recent", "new");
    rig.write("long", 5000, b"changed");
    rig.delete("settled");
    rig
}

/// A snapshot of a primary's database, as it lies on a replica when it was fetched.
fn fetch(from: &Rig, to: &Rig) -> (PathBuf, Promise) {
    let target = to.options.dir.join("sync/db0");
    let snapshot = from.instance().snapshot_shard(0, &target).unwrap();
    assert!(snapshot.from <= snapshot.finish && snapshot.generation == from.shard(0).generation());
    assert!(from.shard(0).log.pins().iter().any(|(_, lsn)| *lsn == snapshot.finish));
    for (path, bytes) in &snapshot.files {
        assert_eq!(target.join(path).metadata().unwrap().len(), *bytes);
    }
    (target, Promise { finish: snapshot.finish, lineage: snapshot.lineage })
}

fn install(rig: &Rig, prepared: &Path, promise: &Promise) -> Result<Installed, crate::Fault> {
    rig.instance().install_shard(0, prepared, promise, &mut |_, _| {})
}

/// Whoever waits for an install must not take a long one for one that hangs.
#[test]
fn an_install_tells_of_each_step() {
    let primary = primary();
    let replica = stranger();
    let (prepared, promise) = fetch(&primary, &replica);
    let mut told = Vec::new();
    replica.instance().install_shard(0, &prepared, &promise, &mut |done, all| told.push((done, all))).unwrap();
    let (last, all) = *told.last().unwrap();
    assert!(last == all && all > 0, "everything is replayed in the end: {told:?}");
    assert_eq!(told[..3], [(0, 0), (0, 0), (0, all)], "in place, the store is open, the log is open");
}

/// A replica with a history of its own.
fn stranger() -> Rig {
    let mut rig = replica(1 << 20);
    rig.instance().promote().unwrap();
    rig.set("mine", "old");
    rig.set("recent", "old");
    rig.write_logs();
    rig.instance().demote();
    rig
}

fn is_old(rig: &mut Rig) -> bool {
    let (mine, recent) = (rig.get("mine"), rig.get("recent"));
    match (mine.as_deref(), recent.as_deref()) {
        (Some(b"old"), Some(b"old")) => true,
        (None, Some(b"new")) => false,
        other => panic!("neither the old shard nor the new one: {other:?}"),
    }
}

fn entries(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_installed_shard_goes_on_where_the_snapshot_ends() {
    let mut source = primary();
    let mut rig = replica(1 << 20);
    let (prepared, promise) = fetch(&source, &rig);
    source.set("later", "new");
    source.write_logs();
    let (generation, seen) = (rig.shard(0).generation(), rig.instance().changes().count());
    let id = rig.shard(0).id;
    let installed = install(&rig, &prepared, &promise).unwrap();
    assert_eq!((installed.end, installed.kept), (promise.finish, None), "the old one was empty");
    assert!(rig.shard(0).generation() != generation && rig.instance().changes().count() > seen);
    assert!(rig.instance().shard_of(id).is_none(), "gates of the old one are open");
    rig.audit();
    for _ in 0..2 {
        feed(&source, &rig, 1000, usize::MAX);
        assert_same(&source, &rig);
        rig.settle();
        rig.flush();
        rig.crash();
        source.set("more", "new");
        source.write_logs();
    }
    assert_eq!(entries(&rig.options.dir), ["FORMAT", "LOCK", "db0.1", "db0.current", "sync"]);
    // Once more, over one that is part of the same history.
    std::fs::remove_dir_all(&prepared).unwrap();
    let (prepared, promise) = fetch(&source, &rig);
    assert_eq!(install(&rig, &prepared, &promise).unwrap().kept, None);
    assert_same(&source, &rig);
    assert_eq!(entries(&rig.options.dir), ["FORMAT", "LOCK", "db0.2", "db0.current", "sync"]);
    rig.instance().close().unwrap();
}

#[test]
fn what_only_the_old_shard_held_is_kept_for_its_time() {
    let source = primary();
    let rig = stranger();
    let old = rig.shard(0).origin();
    let (prepared, promise) = fetch(&source, &rig);
    let kept = install(&rig, &prepared, &promise).unwrap().kept.unwrap();
    assert_eq!((kept.database, kept.end, &kept.lineage, kept.fork), (0, old.end, &old.lineage, None));
    assert_same(&source, &rig);
    let found = rig.instance().quarantined().unwrap();
    let [(path, found)] = &found[..] else { panic!("one is kept: {found:?}") };
    assert_eq!(*found, kept);
    assert_eq!(entries(path), ["FORMAT", "MANIFEST", "db0"]);
    assert_eq!(entries(&path.join("db0")), ["log", "store"]);
    assert_eq!(entries(&rig.options.dir), ["FORMAT", "LOCK", "db0.1", "db0.current", "quarantine", "sync"]);
    let day = Duration::from_secs(86_400);
    assert_eq!(rig.instance().clean_quarantine(kept.time, day).unwrap(), 0);
    assert_eq!(rig.instance().clean_quarantine(Millis(kept.time.0 + 86_400_001), day).unwrap(), 1);
    assert!(rig.instance().quarantined().unwrap().is_empty());
}

/// A clock by which no two shards are replaced at the same time.
fn ticking() -> Millis {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    Millis(super::START.0 + TICKS.fetch_add(1000, Ordering::Relaxed))
}

/// A replica that was told twice that what it had is not what its primary has.
fn twice_replaced() -> (Rig, [Kept; 2]) {
    let source = primary();
    let mut rig = replica(1 << 20);
    rig.kill();
    rig.options.clock = ticking;
    rig.open();
    let kept = ["first", "second"].map(|value| {
        let (prepared, promise) = fetch(&source, &rig);
        rig.instance().promote().unwrap();
        rig.set("mine", value);
        rig.write_logs();
        rig.instance().demote();
        let kept = install(&rig, &prepared, &promise).unwrap().kept.unwrap();
        std::fs::remove_dir_all(&prepared).unwrap();
        kept
    });
    assert!(kept[0].time < kept[1].time);
    (rig, kept)
}

fn in_quarantine(rig: &Rig) -> Vec<Kept> {
    rig.instance().quarantined().unwrap().into_iter().map(|(_, kept)| kept).collect()
}

#[test]
fn the_oldest_in_quarantine_goes_first_for_room_and_only_if_that_helps() {
    let (mut rig, [first, second]) = twice_replaced();
    assert!(!rig.instance().give_up_quarantined(1 << 40), "all of it together is less");
    assert!(rig.instance().take_given_up().is_empty() && in_quarantine(&rig).len() == 2);
    assert!(rig.instance().give_up_quarantined(1));
    assert!(in_quarantine(&rig) == std::slice::from_ref(&second));
    assert!(rig.instance().give_up_quarantined(1));
    assert!(!rig.instance().give_up_quarantined(1), "nothing but the quarantine is given up");
    assert_eq!(rig.instance().take_given_up(), [first, second]);
    assert!(rig.instance().take_given_up().is_empty() && !is_old(&mut rig));
    rig.audit();
    rig.kill();
    rig.open();
    assert!(!is_old(&mut rig));
}

#[test]
fn a_full_disk_has_the_settle_thread_give_up_the_quarantine() {
    let (mut rig, kept) = twice_replaced();
    rig.kill();
    rig.options.settle_interval = Duration::from_millis(1);
    let (instance, _) = Instance::open(rig.options.clone(), rig.clock).unwrap();
    rig.instance = Some(instance);
    rig.instance().promote().unwrap();
    rig.store(0).set_temper(Temper::Full);
    rig.set("mine", "third");
    let until = Instant::now() + Duration::from_secs(30);
    while !in_quarantine(&rig).is_empty() {
        assert!(Instant::now() < until, "it is still there: {:?}", in_quarantine(&rig));
        thread::yield_now();
    }
    assert_eq!(rig.instance().take_given_up(), kept);
    assert_eq!(rig.get("mine").as_deref(), Some(&b"third"[..]));
    rig.store(0).set_temper(Temper::Warm);
    rig.instance().close().unwrap();
}

#[test]
fn two_that_are_replaced_in_a_second_at_the_same_position_are_both_kept() {
    let source = primary();
    let mut rig = replica(1 << 20);
    rig.kill();
    rig.options.clock = || super::START;
    rig.open();
    let mut all = Vec::new();
    for value in ["one", "two", "six"] {
        let (prepared, promise) = fetch(&source, &rig);
        rig.instance().promote().unwrap();
        rig.set("mine", value);
        rig.write_logs();
        rig.instance().demote();
        all.push(install(&rig, &prepared, &promise).unwrap().kept.unwrap());
        std::fs::remove_dir_all(&prepared).unwrap();
    }
    assert_eq!(all[1].end, all[2].end);
    let mut found = in_quarantine(&rig);
    found.sort_by_key(|kept| (kept.end, kept.time));
    assert_eq!(found, all);
    rig.kill();
    rig.open();
    assert_eq!(in_quarantine(&rig).len(), 3);
    assert_eq!(entries(&rig.options.dir), ["FORMAT", "LOCK", "db0.3", "db0.current", "quarantine", "sync"]);
}

#[test]
fn what_is_yet_to_come_into_quarantine_is_left_alone() {
    let source = primary();
    let rig = stranger();
    let (prepared, promise) = fetch(&source, &rig);
    let old = Arc::clone(&rig.shard(0));
    let kept = install(&rig, &prepared, &promise).unwrap().kept.unwrap();
    assert!(rig.options.dir.join("db0").is_dir(), "somebody still has it");
    let forever = Millis(u64::MAX);
    assert_eq!(rig.instance().clean_quarantine(forever, Duration::ZERO).unwrap(), 0);
    assert!(!rig.instance().give_up_quarantined(0));
    drop(old);
    assert_eq!(rig.instance().try_to_retire(), 0);
    assert_eq!(in_quarantine(&rig), [kept], "its manifest is still there");
    assert_eq!(rig.instance().clean_quarantine(forever, Duration::ZERO).unwrap(), 1);
    assert!(entries(&rig.options.dir.join("quarantine")).is_empty());
}

#[test]
fn a_crash_at_any_step_leaves_the_old_shard_or_the_new_one() {
    let source = primary();
    let (mut old, mut new) = (0, 0);
    for step in 0.. {
        let mut rig = stranger();
        let (prepared, promise) = fetch(&source, &rig);
        let history = rig.shard(0).origin();
        let files = Failing::after(usize::MAX);
        rig.kill();
        rig.options.files = files.clone();
        rig.open();
        files.0.store(step, Ordering::Relaxed);
        let outcome = install(&rig, &prepared, &promise);
        let has_failed = files.has_failed();
        if outcome.is_err() {
            assert!(is_old(&mut rig), "step {step}: what was not installed does not serve");
            rig.audit();
        }
        rig.kill();
        // The start after it may be cut short at any step, too.
        for more in 0.. {
            rig.options.files = Failing::after(more);
            if Instance::open_still(rig.options.clone(), rig.clock).is_ok() {
                break;
            }
        }
        rig.options.files = Arc::new(OsFiles);
        rig.open();
        rig.audit();
        if is_old(&mut rig) {
            assert!(outcome.is_err(), "step {step}: it was installed");
            old += 1;
            assert_eq!(rig.shard(0).origin().end, history.end);
            assert!(prepared.join("log").is_dir(), "what was fetched is still there");
            install(&rig, &prepared, &promise).unwrap();
        } else {
            new += 1;
            // The files of the quarantine may lack what a removal has begun; that is of the old folder, which stays whole.
            let kept = rig.instance().quarantined().unwrap();
            assert!(kept.iter().any(|(path, kept)| kept.end == history.end && path.join("db0/log").is_dir()));
        }
        assert_same(&source, &rig);
        assert_eq!(entries(&rig.options.dir), ["FORMAT", "LOCK", "db0.1", "db0.current", "quarantine", "sync"]);
        if !has_failed {
            break;
        }
    }
    assert!(old >= 5 && new >= 3, "both were met: {old} and {new}");
}

#[test]
fn what_is_not_as_promised_is_not_installed() {
    let source = primary();
    let mut rig = stranger();
    let (prepared, promise) = fetch(&source, &rig);
    let wrong = [
        Promise { finish: promise.finish + 1, ..promise.clone() },
        Promise { lineage: rig.shard(0).log.lineage(), ..promise.clone() },
    ];
    for wrong in wrong {
        assert_eq!(install(&rig, &prepared, &wrong).unwrap_err().kind, FaultKind::Corrupt);
        assert!(is_old(&mut rig));
        rig.audit();
    }
    assert!(install(&rig, &prepared.join("none"), &promise).is_err());
    rig.instance().promote().unwrap();
    assert!(install(&rig, &prepared, &promise).is_err(), "a primary takes nobody's data");
    assert!(is_old(&mut rig) && !rig.options.dir.join("db0.1").exists());
    rig.audit();
}

#[test]
fn a_reset_leaves_an_empty_shard_and_keeps_the_old_one() {
    let mut rig = stranger();
    let end = rig.shard(0).log.end();
    let reset = rig.instance().reset_shard(0).unwrap();
    assert_eq!((reset.end, reset.kept.map(|kept| kept.end)), (Lsn(0), Some(end)));
    assert_eq!((rig.get("mine"), rig.count()), (None, 0));
    let source = primary();
    source.write_logs();
    feed(&source, &rig, 1000, usize::MAX);
    assert_same(&source, &rig);
    rig.crash();
    assert_same(&source, &rig);
}

#[test]
fn runs_during_a_switch_see_one_shard_and_hold_none_for_ever() {
    let source = primary();
    let rig = stranger();
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = [Place::Worker, Place::Desk, Place::Desk]
        .into_iter()
        .enumerate()
        .map(|(n, place)| {
            let (instance, done, clock) = (rig.instance().clone(), done.clone(), rig.clock);
            thread::spawn(move || {
                let (mut scratch, mut looks) = (Scratch::new(n as u64), 0u64);
                while !done.load(Ordering::Acquire) || looks == 0 {
                    let keys = ["mine", "recent", "long"].map(|key| LockKey { database: 0, key: key.as_bytes() });
                    let scope = if n == 2 { Scope::Shard } else { Scope::Keys(&keys) };
                    let request = Request { place, scope, database: 0, clock };
                    let mut seen = (None, None, None);
                    let ran = instance.run(&request, &mut scratch, &mut |view: &mut dyn View| {
                        let mut read = |key: &[u8]| keyspace::string::read_all(view, key).map_err(calls::stop);
                        seen = (read(b"mine")?, read(b"recent")?, read(b"long")?.map(|long| long.len()));
                        Ok(())
                    });
                    match ran.unwrap() {
                        Ran::Later => continue,
                        Ran::Done(_) => {}
                        Ran::Undeclared => panic!("the keys were declared"),
                    }
                    looks += 1;
                    match (seen.0.as_deref(), seen.1.as_deref(), seen.2) {
                        (Some(b"old"), Some(b"old"), None) | (None, Some(b"new"), Some(12_293)) => {}
                        other => panic!("a mixture: {other:?}"),
                    }
                }
            })
        })
        .collect();
    let (prepared, promise) = fetch(&source, &rig);
    for round in 0..4 {
        let old = Arc::downgrade(&rig.shard(0));
        install(&rig, &prepared, &promise).unwrap();
        // A run that had begun may hold it a while longer.
        let until = Instant::now() + Duration::from_secs(20);
        while old.upgrade().is_some() {
            assert!(Instant::now() < until, "round {round}: the old one is closed");
            rig.instance().try_to_retire();
            thread::yield_now();
        }
    }
    done.store(true, Ordering::Release);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    rig.audit();
    assert_same(&source, &rig);
}

#[test]
fn frames_meant_for_the_old_shard_do_not_reach_the_new_one() {
    let mut source = primary();
    let rig = replica(1 << 20);
    let old = Arc::clone(&rig.shard(0));
    let (prepared, promise) = fetch(&source, &rig);
    let generation = old.generation();
    let installing = rig.instance().clone();
    // Somebody still has the old one: the folder waits, the new one serves.
    let installed = thread::spawn(move || {
        installing.install_shard(0, &prepared, &promise, &mut |_, _| {}).map(|installed| installed.end)
    });
    let end = installed.join().unwrap().unwrap();
    assert_eq!(rig.shard(0).log.end(), end);
    source.set("later", "new");
    source.write_logs();
    let mut reader = source.shard(0).log.reader(end).unwrap();
    let raw = reader.next_raw(1000).unwrap().unwrap();
    assert!(matches!(old.apply(rig.instance(), raw.bytes, raw.lsn, generation), Err(ApplyFault::NotFollowing)));
    let stale = rig.shard(0).apply(rig.instance(), raw.bytes, raw.lsn, generation);
    assert!(matches!(stale, Err(ApplyFault::Generation { .. })));
    assert!(rig.options.dir.join("db0").is_dir());
    drop(old);
    assert_eq!(rig.instance().try_to_retire(), 0);
    assert!(!rig.options.dir.join("db0").exists());
}

#[test]
fn an_old_primary_with_writes_of_its_own_follows_and_keeps_them() {
    let mut old = primary();
    old.write_logs();
    let mut new = replica(1 << 20);
    feed(&old, &new, 1000, usize::MAX);
    let common = new.shard(0).log.end();
    new.instance().promote().unwrap();
    new.set("after", "new");
    old.set("extra", "old");
    old.instance().demote();
    let parted = old.shard(0).origin();
    let theirs = new.shard(0).origin();
    assert_eq!(theirs.lineage.fork_point(theirs.end, &parted.lineage, parted.end), Fork::At(common));
    let (prepared, promise) = fetch(&new, &old);
    let kept = install(&old, &prepared, &promise).unwrap().kept.unwrap();
    assert_eq!((kept.fork, kept.end), (Some(common), parted.end));
    assert_same(&new, &old);
    assert_eq!(old.get("extra"), None);
    assert_eq!(old.instance().role(), Role::Replica);
}
