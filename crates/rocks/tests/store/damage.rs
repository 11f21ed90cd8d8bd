//! Damaged files end in faults that say where, never in wrong data or a crash.

use std::fs;
use std::path::PathBuf;

use super::*;
use engine::fault::{Fault, FaultKind};
use engine::store::StoreHealth;

fn tables(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect()
}

/// A closed store with a table file of some blocks; and that file, the largest.
fn with_table(dir: &Path) -> PathBuf {
    let store = open(dir);
    let batch: Vec<Write> = (0..5000u32).map(|n| put(&n.to_be_bytes(), &n.to_le_bytes())).collect();
    store.write(&batch).unwrap();
    store.flush().unwrap();
    drop(store);
    tables(dir).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn flip(path: &Path, at: std::ops::Range<usize>) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(path, bytes).unwrap();
}

fn assert_corrupt(fault: &Fault, dir: &Path) {
    assert_eq!((fault.kind, fault.path.as_deref()), (FaultKind::Corrupt, Some(dir)), "{fault}");
}

fn refusal(dir: &Path) -> Fault {
    RocksFactory::new(small()).open(dir, Presence::Create).map(|_| ()).unwrap_err()
}

#[test]
fn flipped_bytes_in_a_data_block_are_found_by_every_reader() {
    let dir = tempfile::tempdir().unwrap();
    let table = with_table(dir.path());
    flip(&table, 100..200);
    let store = open(dir.path());
    let fault = store.record(&0u32.to_be_bytes(), Reach::Disk, &mut Vec::new()).unwrap_err();
    assert_corrupt(&fault, dir.path());
    let cursor = store.records(b"", b"").unwrap();
    assert_corrupt(&cursor.entry().unwrap_err(), dir.path());
    // Other blocks can be read.
    assert_eq!(record(&*store, &4999u32.to_be_bytes()), Some(4999u32.to_le_bytes().to_vec()));
    assert!(store.compact().is_err());
    assert!(matches!(store.health(), StoreHealth::Stopped { no_space: false, .. }));
    assert!(store.resume().is_err());
    assert_eq!(store.write(&[put(b"k", b"v")]).map_err(|fault| fault.kind), Err(FaultKind::Corrupt));
    assert_eq!(record(&*store, &4999u32.to_be_bytes()), Some(4999u32.to_le_bytes().to_vec()));
}

#[test]
fn a_walk_ends_in_a_fault_not_early() {
    let dir = tempfile::tempdir().unwrap();
    let table = with_table(dir.path());
    let middle = usize::try_from(fs::metadata(&table).unwrap().len() / 2).unwrap();
    flip(&table, middle..middle + 100);
    let store = open(dir.path());
    let mut cursor = store.records(b"", b"").unwrap();
    let fault = loop {
        match cursor.entry() {
            Ok(Some(_)) => cursor.advance(),
            Ok(None) => panic!("the walk ended as if all were well"),
            Err(fault) => break fault,
        }
    };
    assert_corrupt(&fault, dir.path());
    cursor.advance();
    assert_corrupt(&cursor.entry().unwrap_err(), dir.path());
}

#[test]
fn a_lost_table_or_list_of_tables_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let table = with_table(dir.path());
    let bytes = fs::read(&table).unwrap();
    fs::remove_file(&table).unwrap();
    assert_corrupt(&refusal(dir.path()), dir.path());
    fs::write(&table, &bytes).unwrap();
    let current = dir.path().join("CURRENT");
    let pointer = fs::read(&current).unwrap();
    fs::remove_file(&current).unwrap();
    assert_corrupt(&refusal(dir.path()), dir.path());
    assert!(table.exists());
    fs::write(&current, pointer).unwrap();
    assert_eq!(keys(open(dir.path()).records(b"", b"").unwrap()).len(), 5000);
}

#[test]
fn a_cut_table_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let table = with_table(dir.path());
    let bytes = fs::read(&table).unwrap();
    fs::write(&table, &bytes[..bytes.len() - 10]).unwrap();
    assert_corrupt(&refusal(dir.path()), dir.path());
}

#[test]
fn a_damaged_list_of_tables_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    with_table(dir.path());
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let manifest = names.filter(|path| path.to_string_lossy().contains("MANIFEST")).max().unwrap();
    flip(&manifest, 20..40);
    assert_corrupt(&refusal(dir.path()), dir.path());
}
