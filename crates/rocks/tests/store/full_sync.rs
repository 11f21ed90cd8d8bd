//! A full sync on real files: a snapshot under load, installed beside a shard that serves, which is then closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engine::instance::system_clock;
use engine::{Abort, Instance, LockKey, Lsn, Options, Place, Promise, Request, Role, Scope, Scratch};
use keyspace::string::{self, StringError};
use rocks::RocksFactory;

use super::small;

const KEYS: usize = 3000;

fn abort(error: StringError) -> Abort {
    match error {
        StringError::Stop(stop) => Abort::Stop(stop),
        StringError::WrongType => panic!("it is a string"),
    }
}

fn start(dir: &std::path::Path, role: Role) -> Arc<Instance> {
    let mut options = Options::new(dir, Arc::new(RocksFactory::new(small())));
    options.role = role;
    options.databases = 1;
    options.hot_bytes = 8 << 20;
    Instance::open(options, system_clock()).unwrap().0
}

fn key(n: usize) -> Vec<u8> {
    format!("key:{n:06}").into_bytes()
}

/// Writes some bytes into a string; every tenth one is long enough to be kept in rows.
fn write(instance: &Instance, scratch: &mut Scratch, n: usize, fill: u8) {
    let (key, len) = (key(n), if n.is_multiple_of(10) { 100_000 } else { 300 });
    let keys = [LockKey { database: 0, key: &key }];
    let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: system_clock() };
    let ran = instance.run(&request, scratch, &mut |view| {
        string::write(view, &key, n as u64 % 7, &vec![fill; len]).map_err(abort)?;
        Ok(())
    });
    ran.unwrap();
}

fn values(instance: &Instance) -> Vec<Option<Vec<u8>>> {
    let mut scratch = Scratch::new(1);
    let read = |n| {
        let key = key(n);
        let keys = [LockKey { database: 0, key: &key }];
        let request = Request { place: Place::Desk, scope: Scope::Keys(&keys), database: 0, clock: system_clock() };
        let mut value = None;
        let ran = instance.run(&request, &mut scratch, &mut |view| {
            value = string::read_all(view, &key).map_err(abort)?;
            Ok(())
        });
        ran.unwrap();
        value
    };
    (0..KEYS).map(read).collect()
}

/// Passes on what is written until the replica has it all.
fn feed(primary: &Instance, replica: &Instance) {
    let (source, target) = (primary.shard(0).unwrap(), replica.shard(0).unwrap());
    let end = source.log.end();
    let _ = source.log.write_to_blocking(end);
    let mut reader = source.log.reader(target.log.end()).unwrap();
    while target.log.end() < end {
        let raw = reader.next_raw(256 << 10).unwrap().unwrap();
        target.apply(replica, raw.bytes, raw.lsn, target.generation()).unwrap();
    }
}

#[test]
fn a_replica_is_made_while_its_primary_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (primary, replica) = (dir.path().join("primary"), dir.path().join("replica"));
    let primary = start(&primary, Role::Primary);
    let replica_dir = replica.clone();
    let mut replica = start(&replica, Role::Primary);
    let mut scratch = Scratch::new(1);
    (0..50).for_each(|n| write(&replica, &mut scratch, n, b'o'));
    replica.demote();
    for n in 0..KEYS {
        write(&primary, &mut scratch, n, b'a');
    }
    primary.shard(0).unwrap().flush(&primary).unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let writing = thread::spawn({
        let (primary, done) = (primary.clone(), done.clone());
        move || {
            let (mut scratch, mut n) = (Scratch::new(2), 0);
            while !done.load(Ordering::Acquire) {
                write(&primary, &mut scratch, n * 7919 % KEYS, b'b' + (n % 20) as u8);
                n += 1;
            }
        }
    });
    let prepared = replica_dir.join("sync/db0");
    let snapshot = primary.snapshot_shard(0, &prepared).unwrap();
    assert!(snapshot.files.iter().any(|(path, _)| path.ends_with(".sst")));
    let promise = Promise { finish: snapshot.finish, lineage: snapshot.lineage };
    let mut told = (0, 0);
    let installed = replica.install_shard(0, &prepared, &promise, &mut |done, all| told = (done, all)).unwrap();
    assert!(installed.end >= promise.finish && installed.kept.is_some() && told.0 <= told.1);
    feed(&primary, &replica);
    done.store(true, Ordering::Release);
    writing.join().unwrap();
    feed(&primary, &replica);
    drop(snapshot.pin);
    std::fs::remove_dir_all(replica_dir.join("sync")).unwrap();
    assert_eq!(values(&primary), values(&replica));

    // The old one is closed and out of the way; the new one is found again.
    assert!(!replica_dir.join("db0").exists() && replica_dir.join("db0.1/store").exists());
    let end = replica.shard(0).unwrap().log.end();
    replica.close().unwrap();
    drop(replica);
    let expected = values(&primary);
    replica = start(&replica_dir, Role::Replica);
    assert_eq!((replica.shard(0).unwrap().log.end(), values(&replica)), (end, expected));

    // What was kept is a shard that can be opened.
    let (kept, manifest) = replica.quarantined().unwrap().pop().unwrap();
    let old = start(&kept, Role::Replica);
    let shard = old.shard(0).unwrap();
    assert_eq!((shard.log.lineage(), shard.log.end()), (manifest.lineage, manifest.end));
    assert!(shard.log.start() == Lsn(0) && values(&old)[49].as_deref().is_some_and(|value| value.ends_with(b"ooo")));
}
