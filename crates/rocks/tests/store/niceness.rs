//! Which of RocksDB's threads give way to whom.

use std::fs;

use crate::{open, put, string};

/// The nice values of this process's threads of that name.
fn niceness(name: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        let (begin, end) = (stat.find('(').unwrap() + 1, stat.rfind(')').unwrap());
        if &stat[begin..end] == name {
            // Field 19 of `stat`, of which two lie before the rest.
            found.push(stat[end + 1..].split_whitespace().nth(16).unwrap().parse().unwrap());
        }
    }
    found
}

#[test]
fn compactions_stand_back_and_flushes_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..2 {
        store.write(&[put(b"key", &string(round, None, b"value"))]).unwrap();
        store.flush().unwrap();
    }
    store.compact().unwrap();
    let (low, high) = (niceness("rocksdb:low"), niceness("rocksdb:high"));
    assert!(low.contains(&10), "{low:?}");
    assert!(!high.is_empty() && high.iter().all(|nice| *nice == 0), "{high:?}");
}
