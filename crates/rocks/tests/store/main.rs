//! The store against its contract, on real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod crash;
mod damage;
mod expiry;
mod full_disk;
mod full_sync;
mod memory;
mod niceness;

use std::path::Path;
use std::sync::Arc;

use engine::store::{Cursor, Direction, Found, Presence, Reach, Store, StoreFactory, Write};
use keyspace::{Head, Millis, RowsId};
use rocks::{RocksFactory, RocksOptions};

/// Budgets small enough that little data reaches the disk.
fn small() -> RocksOptions {
    RocksOptions { block_cache_bytes: 4 << 20, memtable_bytes: 4 << 20, ..RocksOptions::default() }
}

fn open(dir: &Path) -> Arc<dyn Store> {
    RocksFactory::new(small()).open(dir, Presence::Create).unwrap()
}

fn put(key: &[u8], record: &[u8]) -> Write {
    Write::PutRecord { bytes: [key, record].concat(), key_len: key.len() }
}

fn put_row(rows: u64, row: &[u8], value: &[u8]) -> Write {
    Write::PutRow { rows: RowsId(rows), row: row.to_vec(), value: value.to_vec() }
}

fn delete_rows(rows: u64, from: &[u8], to: &[u8]) -> Write {
    Write::DeleteRows { rows: RowsId(rows), from: from.to_vec(), to: to.to_vec() }
}

fn system(name: &'static str, value: &[u8]) -> Write {
    Write::System { name, value: value.to_vec() }
}

/// A string's record.
fn string(lsn: u64, expire_at: Option<u64>, value: &[u8]) -> Vec<u8> {
    let mut bytes = lsn.to_le_bytes().to_vec();
    Head::string(expire_at.map(Millis)).encode(&mut bytes);
    bytes.extend_from_slice(value);
    bytes
}

fn record(store: &dyn Store, key: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"junk".to_vec();
    match store.record(key, Reach::Disk, &mut out).unwrap() {
        Found::Yes => Some(out),
        Found::No => None,
        Found::WouldBlock => panic!("a read that may go to the disk never blocks for it"),
    }
}

fn row(store: &dyn Store, rows: u64, row: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"junk".to_vec();
    match store.row(RowsId(rows), row, Reach::Disk, &mut out).unwrap() {
        Found::Yes => Some(out),
        Found::No => None,
        Found::WouldBlock => panic!("a read that may go to the disk never blocks for it"),
    }
}

/// The keys of a walk, as text.
fn keys(mut cursor: Box<dyn Cursor + '_>) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some((key, _)) = cursor.entry().unwrap() {
        keys.push(String::from_utf8_lossy(key).into_owned());
        cursor.advance();
    }
    keys
}
