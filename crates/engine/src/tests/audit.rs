//! What must be true of an instance between runs, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use keyspace::{Record, RowsId};

use crate::hot::STRIPES;
use crate::instance::Instance;
use crate::memory_store::Contents;
use crate::row_walk;
use crate::rows::RowRange;
use crate::shard::Shard;
use crate::store::{Direction, Reach};

/// Row key to value.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a shard holds for whoever reads it: records, LSNs included, and the rows that they lead to.
pub fn dump(shard: &Shard, contents: &Contents) -> BTreeMap<Vec<u8>, (Vec<u8>, Rows)> {
    let all = RowRange::new(&[], &[]);
    let mut dump = BTreeMap::new();
    for (key, bytes) in logical(shard, contents) {
        let mut rows = BTreeMap::new();
        if let Some(id) = Record::decode(&bytes).unwrap().rows_id() {
            row_walk::walk(shard, id, &all, Direction::Forward, Reach::Disk, &mut |row, value| {
                rows.insert(row.to_vec(), value.to_vec());
                true
            })
            .unwrap();
        }
        dump.insert(key, (bytes, rows));
    }
    dump
}

/// The records of a shard, tombstones and evictions taken into account.
fn logical(shard: &Shard, contents: &Contents) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut records = if shard.store_is_masked() { BTreeMap::new() } else { contents.records.clone() };
    for stripe in &shard.stripes {
        for entry in &stripe.0.lock().table {
            if entry.is_tombstone() {
                records.remove(entry.key());
            } else {
                records.insert(entry.key().to_vec(), entry.stored_bytes().to_vec());
            }
        }
    }
    records
}

fn owned_rows(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeSet<RowsId> {
    let mut owned = BTreeSet::new();
    for (key, bytes) in records {
        if let Some(rows) = Record::decode(bytes).unwrap().rows_id() {
            assert!(owned.insert(rows), "{} shares {rows:?} with another key", String::from_utf8_lossy(key));
        }
    }
    owned
}

/// Bookkeeping agrees with what is there.
pub fn audit(instance: &Instance, contents: impl Fn(usize) -> Contents) {
    let (mut used, mut dirty) = (0, 0);
    for shard in instance.shards() {
        let contents = contents(shard.database);
        for at in 0..STRIPES {
            let stripe = shard.stripes[at].0.lock();
            let listed: Vec<u64> = stripe.dirty.iter().chain(&stripe.settling).copied().collect();
            for entry in &stripe.table {
                let name = String::from_utf8_lossy(entry.key());
                assert_eq!(shard.place(entry.key()).1, at, "{name} is in its stripe");
                assert!(!entry.is_touched(), "{name} is touched outside a run");
                used += entry.cost() as i64;
                if entry.is_dirty() {
                    dirty += entry.cost() as i64;
                    assert!(listed.contains(&shard.place(entry.key()).0), "{name} is dirty but on no list");
                } else {
                    assert!(!entry.is_tombstone(), "{name} is a clean tombstone");
                    assert_eq!(
                        contents.records.get(entry.key()).map(Vec::as_slice),
                        Some(entry.stored_bytes()),
                        "{name} is clean but not what the store has"
                    );
                }
            }
        }
        shard.rows.check();
        let rows = shard.rows.total_size();
        used += rows.used();
        dirty += rows.dirty;
        let records = logical(&shard, &contents);
        let owned = owned_rows(&records);
        assert!(owned.iter().all(|rows| rows.0 < shard.next_rows()), "a rows id in use would be given out again");
        assert_eq!(shard.stored_records(), masked(&shard, contents.records.len() as u64), "count of stored records");
        assert_eq!(crate::walk::count(&shard).unwrap(), records.len() as u64, "DBSIZE of database {}", shard.database);
    }
    assert_eq!(instance.budget.exact(), (used, dirty), "bytes used and dirty");
}

/// A masked store's count is settled with the Clear that empties it.
fn masked(shard: &Shard, records: u64) -> u64 {
    if shard.store_is_masked() { shard.stored_records() } else { records }
}

/// After settles with nothing in between: everything is in the stores, and no rows without an owner.
pub fn audit_settled(instance: &Instance, contents: impl Fn(usize) -> Contents) {
    for shard in instance.shards() {
        let contents = contents(shard.database);
        assert_eq!(shard.rows.total_size().dirty, 0, "rows are still dirty");
        assert!(shard.dead.lock().is_empty(), "row sets are still to be removed");
        assert!(!shard.store_is_masked());
        let owned = owned_rows(&contents.records);
        for (rows, row) in contents.rows.keys() {
            assert!(owned.contains(rows), "database {}: row {row:?} of {rows:?} has no owner", shard.database);
        }
    }
    assert_eq!(instance.budget.exact().1, 0, "something is dirty");
}
