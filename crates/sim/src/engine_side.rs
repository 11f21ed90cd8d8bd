//! What the simulation's driver asks of the engine.

use std::fs;
use std::path::Path;

use engine::{ApplyFault, Fault, Instance, Promise};
use lineage::Lsn;
use replication_proto::{Cause, Db, Positions, SnapshotId};
use replog::Pin;

use crate::manifest::{File, Manifest, checksum};

/// How far a shard is.
pub fn positions(instance: &Instance, db: Db) -> Option<Positions> {
    let shard = instance.shard(db.0 as usize)?;
    let synced = shard.log.synced();
    let written = shard.log.written();
    Some(Positions { received: written, applied: written, synced: synced.min(written) })
}

/// Applies frames of a primary.
pub fn apply(instance: &Instance, db: Db, bytes: &[u8], at: Lsn, generation: u64) -> Result<(), Cause> {
    let Some(shard) = instance.shard(db.0 as usize) else { return Err(Cause::DiskFault) };
    match shard.apply(instance, bytes, at, generation) {
        Ok(_) => Ok(()),
        Err(ApplyFault::NotFollowing | ApplyFault::Generation { .. }) => Err(Cause::UpstreamChanged),
        Err(ApplyFault::Gap { .. }) => Err(Cause::Gap),
        Err(ApplyFault::Damaged(_)) => Err(Cause::BadFrame),
        Err(ApplyFault::Diverged(_)) => Err(Cause::Damaged),
        Err(ApplyFault::NoRoom(_)) => Err(Cause::NoSpace),
        Err(ApplyFault::Failed(_)) => Err(Cause::DiskFault),
    }
}

/// Puts a fetched shard in the place of the present one.
pub fn install(instance: &Instance, db: Db, prepared: &Path, manifest: &Manifest) -> Result<Lsn, Fault> {
    let promise = Promise { finish: manifest.finish, lineage: manifest.lineage.clone() };
    instance.install_shard(db.0 as usize, prepared, &promise, &mut |_, _| {}).map(|installed| installed.end)
}

/// Puts an empty shard in the place of the present one.
pub fn reset(instance: &Instance, db: Db) -> Result<(), Fault> {
    instance.reset_shard(db.0 as usize).map(drop)
}

/// Makes a snapshot of a shard in `dir`; the pin keeps the log from its end on.
pub fn snapshot(instance: &Instance, db: Db, name: SnapshotId, dir: &Path) -> Result<(Manifest, Pin), Fault> {
    let snapshot = instance.snapshot_shard(db.0 as usize, dir)?;
    let file = |(path, size): (String, u64)| {
        let content = fs::read(dir.join(&path)).expect("the files of a snapshot can be read");
        File { path, size, checksum: checksum(&content) }
    };
    let files = snapshot.files.into_iter().map(file).collect();
    Ok((Manifest { snapshot: name, lineage: snapshot.lineage, finish: snapshot.finish, files }, snapshot.pin))
}
