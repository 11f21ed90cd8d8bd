//! Opening a database: new eras, frame times, stores that are missing or ahead, logs that are damaged.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use keyspace::Millis;
use lineage::Lsn;

use super::{Rig, START};
use crate::fault::{Fault, FaultKind};
use crate::instance::Instance;
use crate::memory_store::MemoryStores;
use crate::run::{LockKey, Place, Request, Scope};

fn segments(rig: &Rig) -> Vec<PathBuf> {
    let entries = fs::read_dir(rig.options.dir.join("db0/log")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

/// The fault that an opening ends with.
fn refused(rig: &Rig) -> Fault {
    match Instance::open_still(rig.options.clone(), rig.clock) {
        Ok(_) => panic!("it opened"),
        Err(fault) => fault,
    }
}

/// The store's folder is gone, and what was in it.
fn lose_store(rig: &mut Rig) {
    fs::remove_dir_all(rig.options.dir.join("db0/store")).unwrap();
    rig.stores = Arc::new(MemoryStores::default());
    rig.options.stores = rig.stores.clone();
}

#[test]
fn the_first_write_after_an_open_begins_an_era_with_an_id_of_its_own() {
    let mut rig = Rig::new();
    let mut told = rig.shard(0).history();
    for round in 1..5 {
        let (before, end) = (rig.shard(0).log.lineage(), rig.shard(0).log.end());
        assert_eq!(before.eras().len(), round - 1, "nothing was written");
        assert_eq!(told.eras().split_last().map(|(_, rest)| rest), Some(before.eras()));
        rig.set("k", &round.to_string());
        let era = *rig.shard(0).log.lineage().current().unwrap();
        assert_eq!(told.current(), Some(&era), "it is the one that was told of");
        assert_eq!(era.first, end);
        assert!(rig.shard(0).log.synced() > end, "durable before the first write");
        rig.set("k", "more");
        assert_eq!((rig.shard(0).log.lineage(), rig.shard(0).history()), (told.clone(), told), "once is enough");
        if round % 2 == 0 {
            rig.crash();
        } else {
            rig.instance().close().unwrap();
            rig.kill();
            rig.open();
        }
        rig.get("k");
        told = rig.shard(0).history();
    }
}

#[test]
fn frame_times_never_decrease() {
    let mut rig = Rig::new();
    rig.clock = Millis(START.0 + 5000);
    rig.set("a", "1");
    rig.clock = START;
    let mut now = Millis(0);
    rig.on(&["a"], |view| {
        now = view.now();
        Ok(view.put(b"a", &keyspace::Head::string(None), b"2")?)
    });
    assert_eq!(now, Millis(START.0 + 5000), "a run does not begin before the last frame");
    rig.write_logs();
    rig.clock = Millis(START.0 - 5000);
    rig.crash();
    rig.set("a", "3");
    rig.write_logs();
    let shard = rig.shard(0).clone();
    let mut reader = shard.log.reader(Lsn(0)).unwrap();
    let (mut last, mut frames) = (0, 0);
    while let Some(frame) = reader.next_frame().unwrap() {
        assert!(frame.time_ms >= last);
        last = frame.time_ms;
        frames += 1;
    }
    assert_eq!((frames, last), (5, START.0 + 5000));
}

#[test]
fn a_lost_store_is_rebuilt_from_a_whole_log() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.set_long("long", 1);
    rig.settle();
    rig.flush();
    rig.write_logs();
    rig.kill();
    lose_store(&mut rig);
    rig.open();
    assert!(rig.recoveries[0].rebuilt);
    assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
    assert_eq!(rig.get("long").map(|value| value.len()), Some(3 * 4096 + 5));
    rig.audit_settled();
}

#[test]
fn a_lost_store_whose_log_was_trimmed_is_not_made_up() {
    let mut rig = Rig::with(|options| {
        options.segment_bytes = 4096;
        options.log_retain_bytes = 0;
    });
    for _ in 0..10 {
        rig.set_long("long", 1);
        rig.settle();
        rig.flush();
    }
    assert!(rig.shard(0).log.start() > Lsn(0));
    rig.kill();
    lose_store(&mut rig);
    let fault = refused(&rig);
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.to_string().contains("The store is missing and the log begins at LSN"), "{fault}");
    // An empty store in its place does not make it better.
    fs::create_dir(rig.options.dir.join("db0/store")).unwrap();
    let fault = refused(&rig);
    assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
}

#[test]
fn a_store_without_its_log_is_refused() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.settle();
    rig.flush();
    rig.kill();
    fs::remove_dir_all(rig.options.dir.join("db0/log")).unwrap();
    let fault = refused(&rig);
    assert!(fault.to_string().contains("the log is missing"), "{fault}");
}

#[test]
fn a_store_that_nothing_was_settled_into_is_refused_without_its_log_too() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.write_logs();
    rig.kill();
    let (log, elsewhere) = (rig.options.dir.join("db0/log"), rig.options.dir.join("elsewhere"));
    fs::rename(&log, &elsewhere).unwrap();
    for _ in 0..2 {
        let fault = refused(&rig);
        assert!(fault.to_string().contains("the log is missing"), "{fault}");
    }
    // A start that was ended between making the one and the other.
    fs::remove_dir_all(rig.options.dir.join("db0/store")).unwrap();
    fs::create_dir(&log).unwrap();
    rig.open();
    assert_eq!(rig.get("a"), None);
}

#[test]
fn a_store_ahead_of_its_log_does_not_serve_as_primary() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.write_logs();
    let whole = rig.shard(0).log.end().0;
    rig.set("b", "1");
    rig.settle();
    rig.flush();
    rig.kill();
    let last = segments(&rig).pop().unwrap();
    let file = fs::File::options().write(true).open(&last).unwrap();
    file.set_len(replog::SEGMENT_HEADER as u64 + whole).unwrap();
    rig.open();
    assert!(rig.recoveries[0].damage.is_some());
    let fault = rig.shard(0).refuses_writes().unwrap();
    assert_eq!((fault.kind, fault.path.as_deref()), (FaultKind::Corrupt, Some(last.as_path())));
    assert_eq!(rig.get("b").as_deref(), Some(&b"1"[..]), "the store is read all the same");
    // Nobody but the store knows that the log was longer.
    rig.kill();
    fs::remove_file(rig.options.dir.join("db0/log/control")).unwrap();
    rig.store(0).write_mark(crate::settle::marks::settled(0, Millis(0)));
    let fault = refused(&rig);
    assert!(fault.to_string().contains("The store is ahead of its log"), "{fault}");
}

#[test]
fn a_damaged_log_is_read_as_far_as_it_goes_and_written_no_more() {
    for damage_settled in [false, true] {
        let mut rig = Rig::new();
        rig.set("a", "1");
        rig.settle();
        rig.flush();
        let first = rig.shard(0).log.end().0;
        rig.set("b", "1");
        if damage_settled {
            rig.set("c", "1");
            rig.settle();
            rig.flush();
        }
        rig.set("c", "2");
        rig.write_logs();
        crate::settle::sync(&rig.shard(0), rig.shard(0).log.end().0).unwrap();
        rig.set("d", "1");
        crate::settle::sync(&rig.shard(0), rig.shard(0).log.end().0).unwrap();
        rig.kill();
        let path = segments(&rig).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let offset = replog::SEGMENT_HEADER + first as usize;
        bytes[offset + 30] ^= 1;
        fs::write(&path, &bytes).unwrap();
        rig.store(0).crash();
        rig.open();
        let fault = rig.shard(0).refuses_writes().expect("writes are refused");
        assert_eq!((fault.path.as_deref(), fault.offset), (Some(path.as_path()), Some(offset as u64)), "{fault}");
        assert_eq!(fault.to_string().matches("db0").count(), 1, "the place is told once: {fault}");
        assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
        assert_eq!(rig.get("b").is_some(), damage_settled);
        let keys = [LockKey { database: 0, key: b"a" }];
        let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: rig.clock };
        let instance = rig.instance().clone();
        instance.run(&request, &mut rig.scratch, &mut |view| Ok(view.delete(b"a").map(drop)?)).unwrap_err();
        assert_eq!(rig.get("a").as_deref(), Some(&b"1"[..]));
        // Upkeep leaves it alone.
        let before = rig.store(0).contents();
        instance.settle().unwrap();
        instance.reload().unwrap();
        instance.close().unwrap();
        assert_eq!(rig.store(0).contents(), before);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn other_databases_work_beside_a_damaged_one() {
    let mut rig = Rig::new();
    let key = [LockKey { database: 1, key: b"k" }];
    rig.run(Scope::Keys(&key), 1, &mut |view| Ok(view.put(b"k", &keyspace::Head::string(None), b"v")?));
    rig.set("a", "1");
    crate::settle::sync(&rig.shard(0), rig.shard(0).log.end().0).unwrap();
    rig.set("b", "1");
    rig.write_logs();
    rig.kill();
    let path = segments(&rig).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[replog::SEGMENT_HEADER + 60] ^= 1;
    fs::write(&path, &bytes).unwrap();
    rig.open();
    assert!(rig.shard(0).is_damaged() && !rig.shard(1).is_damaged());
    rig.run(Scope::Keys(&key), 1, &mut |view| Ok(view.put(b"k", &keyspace::Head::string(None), b"w")?));
    assert!(rig.shard(1).refuses_writes().is_none());
}

#[test]
fn closing_leaves_nothing_to_replay() {
    let mut rig = Rig::new();
    rig.set("a", "1");
    rig.set_long("long", 1);
    rig.instance().close().unwrap();
    rig.kill();
    rig.store(0).crash();
    rig.open();
    assert!(rig.recoveries[0].clean);
    assert_eq!(rig.recoveries[0].frames, 0);
    assert_eq!(rig.count(), 2);
}
