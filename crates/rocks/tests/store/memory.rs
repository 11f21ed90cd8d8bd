//! Reads that may not touch the disk, and budgets.

use std::time::{Duration, Instant};

use super::*;

fn reach(store: &dyn Store, key: &[u8], reach: Reach) -> Found {
    store.record(key, reach, &mut Vec::new()).unwrap()
}

#[test]
fn a_read_of_memory_says_when_it_would_need_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batch: Vec<Write> = (0..1000u32).map(|n| put(&n.to_be_bytes(), b"value")).collect();
    store.write(&batch).unwrap();
    store.write(&[put_row(1, b"r", b"value")]).unwrap();
    assert_eq!(reach(&*store, &5u32.to_be_bytes(), Reach::Memory), Found::Yes);
    assert_eq!(reach(&*store, b"absent", Reach::Memory), Found::No);
    store.flush().unwrap();
    drop(store);

    let store = open(dir.path());
    let (key, absent) = (5u32.to_be_bytes(), 1_000_000u32.to_be_bytes());
    assert_eq!(reach(&*store, &key, Reach::Memory), Found::WouldBlock);
    assert_eq!(reach(&*store, &key, Reach::Disk), Found::Yes);
    assert_eq!(reach(&*store, &key, Reach::Memory), Found::Yes);
    // The filter is in memory now: it tells most absent keys, and one of these ten at the very least.
    let told = (0..10u32)
        .filter(|n| reach(&*store, &[key, absent, n.to_be_bytes()].concat(), Reach::Memory) == Found::No)
        .count();
    assert!(told > 0);
    let mut out = b"junk".to_vec();
    assert_eq!(store.row(RowsId(1), b"r", Reach::Memory, &mut out).unwrap(), Found::WouldBlock);
    assert!(out.is_empty());
    assert_eq!(store.row(RowsId(1), b"r", Reach::Disk, &mut out).unwrap(), Found::Yes);
    assert_eq!(out, b"value");
}

#[test]
fn sixteen_idle_stores_cost_little() {
    let dir = tempfile::tempdir().unwrap();
    let options = RocksOptions { block_cache_bytes: 8 << 20, memtable_bytes: 24 << 20, ..RocksOptions::default() };
    let factory = RocksFactory::new(options);
    let stores: Vec<_> =
        (0..16).map(|n| factory.open(&dir.path().join(n.to_string()), Presence::Create).unwrap()).collect();
    let stats: Vec<_> = stores.iter().map(|store| store.stats()).collect();
    let held: u64 = stats.iter().map(|stats| stats.memtable_bytes + stats.table_reader_bytes).sum();
    assert!(held < 1 << 20, "{held} bytes");
    assert!(stats[0].block_cache_bytes < 1 << 20, "{} bytes", stats[0].block_cache_bytes);
    let disk: u64 = stats.iter().map(|stats| stats.disk_bytes).sum();
    assert!(disk < 1 << 20, "{disk} bytes");
}

#[test]
fn the_store_that_holds_most_is_flushed_not_the_one_that_writes() {
    let dir = tempfile::tempdir().unwrap();
    let options = RocksOptions { memtable_bytes: 4 << 20, ..RocksOptions::default() };
    let factory = RocksFactory::new(options);
    let stores =
        ["idle", "idler", "idlest", "busy"].map(|name| factory.open(&dir.path().join(name), Presence::Create).unwrap());
    let fill = |store: &Arc<dyn Store>, count: u64| {
        for n in 0..count {
            store.write(&[put_row(n, b"r", &[1; 1024])]).unwrap();
        }
    };
    for store in &stores[..3] {
        fill(store, 850);
    }
    let held = |store: &Arc<dyn Store>| store.stats().memtable_bytes;
    assert!(stores[..3].iter().all(|store| held(store) > 850_000));
    fill(&stores[3], 600);
    let busy = held(&stores[3]);
    assert!(busy > 600_000, "{busy}");
    // The flush was begun by the busy one; it ends when it ends.
    let end = Instant::now() + Duration::from_secs(60);
    while stores[..3].iter().all(|store| held(store) > 850_000) {
        assert!(Instant::now() < end, "no idle store was flushed");
        std::thread::yield_now();
    }
    assert_eq!(held(&stores[3]), busy);
}

#[test]
fn budgets_change_while_stores_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let factory = RocksFactory::new(small());
    let store = factory.open(dir.path(), Presence::Create).unwrap();
    factory.set_budget(5 << 20, 6 << 20);
    let stats = store.stats();
    let detail = |name: &str| stats.details.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    assert_eq!(detail("rocksdb_block_cache_capacity"), Some(5 << 20));
    assert_eq!(detail("rocksdb_memtable_budget"), Some(6 << 20));
    store.write(&[put(b"k", b"v")]).unwrap();
    assert_eq!(record(&*store, b"k"), Some(b"v".to_vec()));
}
