//! The data of this node, as the engine keeps it: [`EngineData`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use engine::{ApplyFault, Fault, FaultKind, Installed, Instance, Promise, Role, Shard};
use lineage::Lsn;
use replication_proto::{Cause, Db, Positions};

use super::data::{Data, DataFault, Standpoint};
use crate::wire::Manifest;

/// An instance of the engine.
pub struct EngineData {
    instance: Arc<Instance>,
}

impl EngineData {
    /// That of an instance.
    #[must_use]
    pub fn new(instance: Arc<Instance>) -> Self {
        Self { instance }
    }

    /// A shard to work with for a while. It is let go when its log's generation changes, for then nothing is applied.
    fn shard(&self, db: Db) -> Option<Arc<Shard>> {
        self.instance.shard(db.0 as usize).map(|shard| Arc::clone(&shard))
    }
}

impl Data for EngineData {
    fn existing(&self) -> Vec<Db> {
        self.instance.shards().map(|shard| Db(shard.id.database)).collect()
    }

    fn standpoint(&self, db: Db) -> Result<Standpoint, DataFault> {
        if self.shard(db).is_none() {
            self.instance.create_replica_shard(db.0 as usize).map_err(fault)?;
        }
        let gone = || DataFault { cause: Cause::UpstreamChanged, detail: "the database is being replaced".to_owned() };
        let origin = self.shard(db).ok_or_else(gone)?.origin();
        if !origin.consistent {
            return Err(DataFault { cause: Cause::Damaged, detail: "the log here is damaged".to_owned() });
        }
        Ok(Standpoint { lineage: origin.lineage, end: origin.end, generation: origin.generation })
    }

    fn positions(&self, db: Db) -> Positions {
        let Some(shard) = self.instance.shard(db.0 as usize) else { return Positions::default() };
        // In this order, so that none is larger than the one before. What is only in memory is gone when this process is
        // killed, so it does not count yet.
        let synced = shard.log.synced();
        let written = shard.log.written();
        Positions { received: written, applied: written, synced: synced.min(written) }
    }

    fn apply(
        &self,
        db: Db,
        frames: &[u8],
        at: Lsn,
        generation: u64,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<(), DataFault> {
        let gone = || DataFault { cause: Cause::UpstreamChanged, detail: "the database is gone".to_owned() };
        let shard = self.shard(db).ok_or_else(gone)?;
        let (mut frames, mut at) = (frames, at);
        loop {
            match shard.apply(&self.instance, frames, at, generation) {
                Ok(_) => return Ok(()),
                // Memory has no room at present: what was not applied is tried again.
                Err(ApplyFault::NoRoom(fault)) if fault.kind != FaultKind::NoSpace && is_wanted() => {
                    let end = shard.log.end();
                    frames = &frames[usize::try_from(end.since(at)).unwrap_or(usize::MAX).min(frames.len())..];
                    at = end;
                }
                Err(fault) => return Err(apply_fault(&fault)),
            }
        }
    }

    fn request_sync(&self, db: Db) {
        if let Some(shard) = self.instance.shard(db.0 as usize) {
            shard.log.request_sync(shard.log.end());
        }
    }

    fn poll_synced(&self, db: Db, lsn: Lsn, context: &mut Context<'_>) -> Poll<()> {
        self.instance
            .shard(db.0 as usize)
            .map_or(Poll::Pending, |shard| shard.log.poll_synced(lsn, context.waker()).map(|_| ()))
    }

    fn store_folder(&self, db: Db) -> Option<PathBuf> {
        self.instance.shard(db.0 as usize).map(|shard| shard.dir.join("store"))
    }

    fn install(
        &self,
        folder: &Path,
        manifest: &Manifest,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Lsn, DataFault> {
        let promise = Promise { finish: manifest.finish, lineage: manifest.lineage.clone() };
        let installed = self.instance.install_shard(manifest.db.0 as usize, folder, &promise, progress);
        installed.map(|installed| replaced(manifest.db, installed)).map_err(install_fault)
    }

    fn reset(&self, db: Db) -> Result<Lsn, DataFault> {
        let installed = self.instance.reset_shard(db.0 as usize);
        installed.map(|installed| replaced(db, installed)).map_err(install_fault)
    }

    fn forget_blank(&self, db: Db) -> Result<bool, DataFault> {
        if !self.shard(db).is_some_and(|shard| shard.is_blank()) {
            return Ok(false);
        }
        self.instance.reset_shard(db.0 as usize).map(|_| true).map_err(install_fault)
    }

    fn make_room(&self, bytes: u64) -> bool {
        self.instance.give_up_quarantined(bytes)
    }

    fn demote(&self) {
        self.instance.demote();
    }

    fn promote(&self) -> Result<(), DataFault> {
        if self.instance.role() == Role::Primary {
            return Ok(());
        }
        self.instance.promote().map_err(fault)
    }
}

/// Says what was discarded; answers where the new shard ends.
fn replaced(db: Db, installed: Installed) -> Lsn {
    if let Some(kept) = &installed.kept {
        tracing::warn!(database = db.0, ?kept, "the database was replaced; what only it had is kept in quarantine");
    }
    installed.end
}

fn install_fault(fault: Fault) -> DataFault {
    let cause = match fault.kind {
        FaultKind::NoSpace => Cause::NoSpace,
        FaultKind::Io => Cause::DiskFault,
        FaultKind::Corrupt | FaultKind::Format | FaultKind::ReadOnly => Cause::InstallFailed,
    };
    DataFault { cause, detail: fault.to_string() }
}

fn fault(fault: Fault) -> DataFault {
    let cause = match fault.kind {
        FaultKind::NoSpace => Cause::NoSpace,
        FaultKind::Corrupt | FaultKind::Format => Cause::Damaged,
        FaultKind::Io => Cause::DiskFault,
        FaultKind::ReadOnly => Cause::UpstreamChanged,
    };
    DataFault { cause, detail: fault.to_string() }
}

fn apply_fault(fault: &ApplyFault) -> DataFault {
    let cause = match fault {
        ApplyFault::NotFollowing | ApplyFault::Generation { .. } => Cause::UpstreamChanged,
        ApplyFault::Gap { .. } => Cause::Gap,
        ApplyFault::Damaged(_) => Cause::BadFrame,
        ApplyFault::Diverged(_) => Cause::Damaged,
        ApplyFault::NoRoom(_) => Cause::NoSpace,
        ApplyFault::Failed(_) => Cause::DiskFault,
    };
    DataFault { cause, detail: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use engine::memory_store::MemoryStores;
    use replog::{Background, WriteOutcome};

    use super::*;

    /// What a kill of this process would take away is not acknowledged.
    #[test]
    fn only_what_is_in_the_logs_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = engine::Options::new(dir.path(), Arc::new(MemoryStores::default()));
        options.background = Background::Manual;
        let (instance, _) = Instance::open(options, engine::instance::system_clock()).unwrap();
        let data = EngineData::new(Arc::clone(&instance));
        let shard = data.shard(Db(0)).unwrap();
        assert_eq!(shard.log.write_to_blocking(shard.log.end()), WriteOutcome::Written);
        let before = shard.log.end();
        let end = shard.log.append(0, b"payload").unwrap().end;
        let at = |lsn| Positions { received: lsn, applied: lsn, synced: shard.log.synced() };
        assert_eq!(data.positions(Db(0)), at(before), "it is only in memory yet");
        shard.log.step_writer();
        assert_eq!(data.positions(Db(0)), at(end));
    }
}
