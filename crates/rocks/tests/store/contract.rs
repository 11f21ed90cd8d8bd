//! What every method promises.

use super::*;
use engine::fault::FaultKind;

#[test]
fn records_come_back_as_they_were_put() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&[put(b"a", b"1"), put(b"", b"empty"), put(b"b\0", b""), put(b"a", b"2")]).unwrap();
    assert_eq!(record(&*store, b"a"), Some(b"2".to_vec()));
    assert_eq!(record(&*store, b""), Some(b"empty".to_vec()));
    assert_eq!(record(&*store, b"b\0"), Some(Vec::new()));
    assert_eq!(record(&*store, b"b"), None);
    store.write(&[Write::DeleteRecord { key: b"a".to_vec() }]).unwrap();
    assert_eq!(record(&*store, b"a"), None);
    store.write(&[]).unwrap();
}

#[test]
fn a_batch_applies_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&[put(b"old", b"o"), put_row(1, b"old", b"o"), system("mark", b"1")]).unwrap();
    store
        .write(&[
            put(b"zz", b"before"),
            put_row(9, b"zz", b"before"),
            system("mark", b"2"),
            Write::Clear,
            put(b"new", b"n"),
            put_row(2, b"a", b"1"),
            put_row(2, b"b", b"2"),
            delete_rows(2, b"b", b""),
        ])
        .unwrap();
    assert_eq!(keys(store.records(b"", b"").unwrap()), ["new"]);
    assert_eq!(keys(store.row_range(RowsId(2), b"", b"", Direction::Forward, Reach::Disk).unwrap()), ["a"]);
    assert_eq!((row(&*store, 1, b"old"), row(&*store, 9, b"zz")), (None, None));
    assert_eq!(store.system("mark").unwrap(), Some(b"2".to_vec()));
}

#[test]
fn rows_of_neighbours_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batch: Vec<Write> = [0xfe, 0xff, 0x100]
        .iter()
        .flat_map(|&id| ["", "a", "b", "c"].map(|key| put_row(id, key.as_bytes(), &[1])))
        .collect();
    store.write(&batch).unwrap();
    let range = |from: &[u8], to: &[u8]| {
        keys(store.row_range(RowsId(0xff), from, to, Direction::Forward, Reach::Disk).unwrap())
    };
    assert_eq!(range(b"", b""), ["", "a", "b", "c"]);
    assert_eq!(range(b"a", b"c"), ["a", "b"]);
    assert_eq!(range(b"c", b"a"), [""; 0]);
    store
        .write(&[delete_rows(0xff, b"a", b"c"), delete_rows(0xff, b"c", b"a"), delete_rows(0xff, b"c", b"c")])
        .unwrap();
    assert_eq!(range(b"", b""), ["", "c"]);
    store.write(&[Write::DeleteRow { rows: RowsId(0xff), row: Vec::new() }]).unwrap();
    assert_eq!(range(b"", b""), ["c"]);
    store.write(&[delete_rows(0xff, b"", b"")]).unwrap();
    assert_eq!(range(b"", b""), [""; 0]);
    for id in [0xfe, 0x100] {
        assert_eq!(
            keys(store.row_range(RowsId(id), b"", b"", Direction::Forward, Reach::Disk).unwrap()),
            ["", "a", "b", "c"]
        );
    }
}

#[test]
fn rows_are_walked_back_between_their_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for id in [6, 7, 8] {
        store.write(&["", "a", "b", "bb", "c"].map(|key| put_row(id, key.as_bytes(), &[1]))).unwrap();
        store.flush().unwrap();
    }
    store.write(&[put_row(7, b"\xff\xff", &[1]), delete_rows(7, b"bb", b"c")]).unwrap();
    let back =
        |from: &[u8], to: &[u8], reach| keys(store.row_range(RowsId(7), from, to, Direction::Backward, reach).unwrap());
    for reach in [Reach::Disk, Reach::Memory] {
        assert_eq!(back(b"", b"\xff", reach), ["c", "b", "a", ""]);
        assert_eq!(back(b"", b"", reach).len(), 5);
        assert_eq!(back(b"a", b"c", reach), ["b", "a"]);
        assert_eq!(back(b"aa", b"bbb", reach), ["b"]);
        assert_eq!(back(b"c", b"a", reach), [""; 0]);
        assert_eq!(back(b"a", b"a", reach), [""; 0]);
    }
}

#[test]
fn a_walk_that_may_not_go_to_the_disk_says_where_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batch: Vec<Write> = (0..20_000u32).map(|n| put_row(1, &n.to_be_bytes(), &[7; 100])).collect();
    store.write(&batch).unwrap();
    store.flush().unwrap();
    drop(store);
    for direction in [Direction::Forward, Direction::Backward] {
        let store = open(dir.path());
        let walk = |reach| {
            let mut cursor = store.row_range(RowsId(1), b"", b"", direction, reach).unwrap();
            let mut seen = 0;
            while cursor.entry().unwrap().is_some() {
                seen += 1;
                cursor.advance();
            }
            (seen, cursor.would_block())
        };
        let (seen, would_block) = walk(Reach::Memory);
        assert!(seen < 20_000 && would_block, "{seen}");
        let mut first = store.row_range(RowsId(1), b"", b"", direction, Reach::Disk).unwrap();
        for _ in 0..3000 {
            assert!(first.entry().unwrap().is_some());
            first.advance();
        }
        let (seen, would_block) = walk(Reach::Memory);
        assert!((2000..20_000).contains(&seen) && would_block, "what was read stays in memory: {seen}");
        assert_eq!(walk(Reach::Disk), (20_000, false));
    }
}

#[test]
fn a_walk_covers_a_prefix_and_sees_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batch = ["a", "user:1", "user:2", "user:3", "user;", "v"].map(|key| put(key.as_bytes(), key.as_bytes()));
    store.write(&batch).unwrap();
    store.flush().unwrap();
    let cursor = store.records(b"user:2", b"user:").unwrap();
    store.write(&[put(b"user:25", b"x"), Write::DeleteRecord { key: b"user:3".to_vec() }]).unwrap();
    store.write(&[Write::Clear]).unwrap();
    store.flush().unwrap();
    store.compact().unwrap();
    assert_eq!(keys(cursor), ["user:2", "user:3"]);
    assert_eq!(keys(store.records(b"", b"").unwrap()), [""; 0]);
    let mut cursor = store.records(b"", b"").unwrap();
    cursor.advance();
    assert_eq!(cursor.entry().unwrap(), None);
}

#[test]
fn a_walk_without_a_prefix_reaches_the_last_key_there_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&[put(&[0xff; 40], b"1"), put(&[0xff; 3], b"2"), put(b"a", b"3")]).unwrap();
    assert_eq!(keys(store.records(b"b", &[]).unwrap()).len(), 2);
    assert_eq!(keys(store.records(b"", &[0xff; 4]).unwrap()).last().unwrap().chars().count(), 40);
    store.write(&[Write::Clear]).unwrap();
    assert_eq!(record(&*store, &[0xff; 40]), None);
}

#[test]
fn what_was_flushed_survives_and_what_was_not_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write(&[put(b"k", b"1"), put_row(1, b"r", b"1"), system("settled", b"1")]).unwrap();
    store.flush().unwrap();
    store.write(&[put(b"k", b"2"), put_row(1, b"r", b"2"), system("settled", b"2")]).unwrap();
    drop(store);
    let store = RocksFactory::new(small()).open(dir.path(), Presence::Required).unwrap();
    assert_eq!(record(&*store, b"k"), Some(b"1".to_vec()));
    assert_eq!(row(&*store, 1, b"r"), Some(b"1".to_vec()));
    assert_eq!(store.system("settled").unwrap(), Some(b"1".to_vec()));
}

#[test]
fn clear_keeps_system_entries_and_gives_the_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let value: Vec<u8> = (0..4096u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    for n in 0..200u32 {
        store.write(&[put(&n.to_be_bytes(), &value), put_row(u64::from(n), b"r", &value)]).unwrap();
    }
    store.write(&[system("mark", b"kept")]).unwrap();
    store.flush().unwrap();
    let before = store.stats().disk_bytes;
    assert!(before > 4 << 20, "{before}");
    store.write(&[Write::Clear]).unwrap();
    store.write(&[put(b"after", b"1")]).unwrap();
    store.flush().unwrap();
    store.compact().unwrap();
    assert!(store.stats().disk_bytes < before / 10);
    assert_eq!(keys(store.records(b"", b"").unwrap()), ["after"]);
    assert_eq!(row(&*store, 5, b"r"), None);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.system("mark").unwrap(), Some(b"kept".to_vec()));
    assert_eq!(keys(store.records(b"", b"").unwrap()), ["after"]);
}

#[test]
fn a_checkpoint_holds_all_that_was_written_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let store = open(&live);
    store.write(&[put(b"flushed", b"1")]).unwrap();
    store.flush().unwrap();
    store.write(&[put(b"k", b"2"), put_row(3, b"r", b"2"), system("settled", b"2")]).unwrap();
    store.checkpoint(&copy).unwrap();
    store.write(&[put(b"later", b"3")]).unwrap();
    let taken = store.checkpoint(&copy).unwrap_err();
    assert_eq!(taken.path.as_deref(), Some(&*copy));
    let copy = RocksFactory::new(small()).open(&copy, Presence::Required).unwrap();
    assert_eq!(keys(copy.records(b"", b"").unwrap()), ["flushed", "k"]);
    assert_eq!(row(&*copy, 3, b"r"), Some(b"2".to_vec()));
    assert_eq!(copy.system("settled").unwrap(), Some(b"2".to_vec()));
}

#[test]
fn a_missing_store_is_made_only_when_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("shard");
    let factory = RocksFactory::new(small());
    let fault = factory.open(&place, Presence::Required).map(|_| ()).unwrap_err();
    assert_eq!((fault.kind, fault.path.as_deref()), (FaultKind::Corrupt, Some(&*place)));
    assert!(!place.exists());
    drop(factory.open(&place, Presence::Create).unwrap());
    factory.open(&place, Presence::Required).unwrap();
}

#[test]
fn a_closed_store_can_be_opened_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let factory = RocksFactory::new(small());
    let store = factory.open(dir.path(), Presence::Create).unwrap();
    let twice = factory.open(dir.path(), Presence::Create).map(|_| ()).unwrap_err();
    assert_eq!((twice.kind, twice.path.as_deref()), (FaultKind::Io, Some(dir.path())));
    drop(store);
    factory.open(dir.path(), Presence::Create).unwrap();
}

#[test]
fn statistics_tell_of_data() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let empty = store.stats();
    for n in 0..1000u32 {
        store.write(&[put(&n.to_be_bytes(), &[7; 100])]).unwrap();
    }
    let written = store.stats();
    assert!(written.memtable_bytes > empty.memtable_bytes + 100_000);
    assert_eq!(written.estimated_records, 1000);
    store.flush().unwrap();
    let flushed = store.stats();
    assert!(flushed.memtable_bytes < written.memtable_bytes);
    assert!(flushed.disk_bytes > empty.disk_bytes);
    assert!(flushed.details.iter().any(|(name, value)| name == "rocksdb_level0_files" && *value > 0));
}
