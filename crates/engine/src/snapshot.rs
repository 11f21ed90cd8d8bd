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

use lineage::{Lineage, Lsn};
use replog::{Pin, SEGMENT_HEADER, SegmentInfo};

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
            let copied = copy_shard(&shard, &draft.join(format!("db{}", shard.database)))?;
            let finish = copied.finish.0;
            databases.push((shard.database, finish));
            let _ = writeln!(manifest, "db{} finish-lsn {finish}", shard.database);
        }
        write_synced(&draft.join("MANIFEST"), manifest.as_bytes())?;
        write_synced(&draft.join(folder::FORMAT_FILE), folder::FORMAT.as_bytes())?;
        sync_folder(draft)?;
        Ok(databases)
    }
}

/// A copy of one database, for another node.
pub struct ShardSnapshot {
    /// The database.
    pub database: usize,
    /// The log is in it from here on.
    pub from: Lsn,
    /// Before this it has every frame; from here on the log of the primary is kept as long as `pin` lives.
    pub finish: Lsn,
    /// The history up to there.
    pub lineage: Lineage,
    /// The log's generation then.
    pub generation: u64,
    /// Its files, as paths in its folder with `/` between the parts, and their bytes; in the order of their paths.
    pub files: Vec<(String, u64)>,
    /// Keeps the log.
    pub pin: Pin,
}

impl Instance {
    /// Copies a database into the folder `target`, which must not exist; its parent is made when missing. Files are
    /// shared with the database where the file system can. Waits for the disk.
    ///
    /// # Errors
    /// When there is no such database or it is damaged, and faults of a disk; then there may be remains in `target`.
    pub fn snapshot_shard(&self, database: usize, target: &Path) -> Result<ShardSnapshot, Fault> {
        let shard = self.shard(database).filter(|shard| !shard.is_damaged());
        let Some(shard) = shard else {
            return Err(Fault::new(FaultKind::Io, "There is no sound database to make a snapshot of", target));
        };
        let generation = shard.generation();
        let Copied { from, finish, mut pin } = copy_shard(&shard, target)?;
        pin.advance(finish);
        let mut files = Vec::new();
        for part in ["log", "store"] {
            let dir = target.join(part);
            for entry in fs::read_dir(&dir).map_err(|error| fault(&error, "read", &dir))? {
                let entry = entry.map_err(|error| fault(&error, "read", &dir))?;
                let bytes = entry.metadata().map_err(|error| fault(&error, "read", &dir))?.len();
                files.push((format!("{part}/{}", entry.file_name().to_string_lossy()), bytes));
            }
        }
        files.sort_unstable();
        let lineage = shard.log.lineage().cut(finish);
        Ok(ShardSnapshot { database, from, finish, lineage, generation, files, pin })
    }
}

/// What was copied.
struct Copied {
    from: Lsn,
    finish: Lsn,
    /// Keeps the log from `from` on.
    pin: Pin,
}

/// Copies one database; the copy has every frame before its finish.
fn copy_shard(shard: &Shard, target: &Path) -> Result<Copied, Fault> {
    let log_dir = target.join("log");
    fs::create_dir_all(&log_dir).map_err(|error| fault(&error, "make", &log_dir))?;
    // The checkpoint's settled mark can only be later than this, so the log is pinned first.
    let from = Lsn(shard.progress.flushed.load(Ordering::Relaxed)).max(shard.log.start());
    let pin = shard.log.pin("snapshot", from);
    let Some(pin) = pin else {
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
    Ok(Copied { from, finish, pin })
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
