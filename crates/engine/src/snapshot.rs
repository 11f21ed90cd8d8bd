//! A snapshot: a crash image of every database, made while the server goes on. Restoring it is recovery.
//!
//! ```text
//! backups/20261122-171500-000/
//!   FORMAT        as in a data folder: a snapshot is one
//!   MANIFEST      what it holds, for people and tools
//!   db0/store/    checkpoint of the store (files are shared where the file system can)
//!   db0/log/      the log from the store's settled mark through the LSN at which the snapshot was finished
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use lineage::Lsn;
use replog::{SEGMENT_HEADER, SegmentInfo};

use crate::fault::{Fault, FaultKind};
use crate::folder;
use crate::instance::Instance;
use crate::settle;
use crate::shard::Shard;

/// Ending of a snapshot's name while it is being made.
const UNFINISHED: &str = "part";

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its folder.
    pub path: PathBuf,
    /// For each database: its number, and the LSN before which the snapshot has every frame.
    pub databases: Vec<(usize, u64)>,
}

impl Instance {
    /// Makes a snapshot in the folder `path`, which must not exist; its parent is made when missing. What a failed
    /// attempt leaves ends in `.part` and is removed by the next one of the same name.
    ///
    /// # Errors
    /// A fault of a disk; then there is no folder `path`.
    pub fn snapshot(&self, path: &Path) -> Result<Snapshot, Fault> {
        if path.exists() {
            return Err(Fault::new(FaultKind::Io, "The snapshot's folder is there already", path));
        }
        let draft = path.with_extension(UNFINISHED);
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(|error| fault(&error, "remove", &draft))?;
        }
        let made = self.draft(&draft).and_then(|databases| {
            fs::rename(&draft, path).map_err(|error| fault(&error, "name", path))?;
            sync_folder(path.parent().unwrap_or(Path::new(".")))?;
            Ok(Snapshot { path: path.to_path_buf(), databases })
        });
        if made.is_err() {
            // The first fault is the one to tell; the draft is in nobody's way.
            let _ = fs::remove_dir_all(&draft);
        }
        made
    }

    fn draft(&self, draft: &Path) -> Result<Vec<(usize, u64)>, Fault> {
        fs::create_dir_all(draft).map_err(|error| fault(&error, "make", draft))?;
        let mut databases = Vec::new();
        let mut manifest = format!("haypile snapshot\n{}", folder::FORMAT);
        for shard in self.shards() {
            let finish = copy_shard(&shard, &draft.join(format!("db{}", shard.database)))?;
            databases.push((shard.database, finish));
            let _ = writeln!(manifest, "db{} finish-lsn {finish}", shard.database);
        }
        write_synced(&draft.join("MANIFEST"), manifest.as_bytes())?;
        write_synced(&draft.join(folder::FORMAT_FILE), folder::FORMAT.as_bytes())?;
        sync_folder(draft)?;
        Ok(databases)
    }
}

/// Copies one database; answers the LSN before which the copy has every frame.
fn copy_shard(shard: &Shard, target: &Path) -> Result<u64, Fault> {
    let log_dir = target.join("log");
    fs::create_dir_all(&log_dir).map_err(|error| fault(&error, "make", &log_dir))?;
    // The checkpoint's settled mark can only be later than this, so the log is pinned first.
    let from = Lsn(shard.progress.flushed.load(Ordering::Relaxed)).max(shard.log.start());
    let pin = shard.log.pin("snapshot", from);
    let Some(_pin) = pin else {
        return Err(Fault::new(FaultKind::Io, "The log was trimmed while a snapshot began", &shard.dir));
    };
    shard.store.checkpoint(&target.join("store"))?;
    let finish = shard.log.end();
    settle::sync(shard, finish.0)?;
    for segment in shard.log.segments().iter().filter(|segment| segment.end > from || segment.end == finish) {
        copy_segment(segment, finish, &log_dir)?;
    }
    sync_folder(&log_dir)?;
    sync_folder(target)?;
    Ok(finish.0)
}

/// Shares a finished segment, copies the one that still grows as far as it is wanted.
fn copy_segment(segment: &SegmentInfo, finish: Lsn, log_dir: &Path) -> Result<(), Fault> {
    if segment.first > finish {
        return Ok(());
    }
    let name = segment.path.file_name().unwrap_or_default();
    let target = log_dir.join(name);
    if segment.end < finish && fs::hard_link(&segment.path, &target).is_ok() {
        return Ok(());
    }
    let bytes = SEGMENT_HEADER as u64 + segment.end.min(finish).since(segment.first);
    let copy = || -> io::Result<()> {
        let mut source = File::open(&segment.path)?.take(bytes);
        let mut copy = File::create(&target)?;
        if io::copy(&mut source, &mut copy)? != bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.sync_all()
    };
    copy().map_err(|error| fault(&error, "copy a log segment to", &target))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let write = || -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| fault(&error, "write", path))
}

fn sync_folder(path: &Path) -> Result<(), Fault> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| fault(&error, "sync", path))
}

fn fault(error: &io::Error, doing: &str, path: &Path) -> Fault {
    Fault::io(error, &format!("Cannot {doing} the snapshot"), path)
}
