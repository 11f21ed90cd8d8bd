//! One copy of a database: made, summed up, and removed.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use engine::Instance;
use replication_proto::{Db, SnapshotId};
use replog::{Log, Pin};

use crate::wire::{Checksum, FileEntry, MAX_FILES, Manifest, is_safe_path};

/// How much of a file is read at a time.
const PIECE: usize = 1 << 20;

/// A copy.
pub(super) struct Copied {
    pub manifest: Manifest,
    /// Where its files are.
    pub folder: PathBuf,
    /// Of the log that it was made of.
    pub generation: u64,
    log: Arc<Log>,
    /// Keeps the log from the copy's end on.
    pin: Pin,
}

impl Copied {
    /// Bytes of log that are kept for it.
    pub(super) fn kept_log(&self) -> u64 {
        self.log.end().since(self.pin.lsn())
    }

    /// Removes its files. Who reads one meanwhile gets an error.
    pub(super) fn remove_files(&self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            // It is tried again at the next start.
            tracing::warn!(folder = %self.folder.display(), "a snapshot cannot be removed: {error}");
        }
    }
}

/// Makes a copy in the folder `target` and says how far it is in `percent`. Ends early when it is to stop.
pub(super) fn copy(
    instance: &Instance,
    db: Db,
    id: SnapshotId,
    target: &Path,
    percent: &AtomicU8,
    stopping: &AtomicBool,
) -> Result<Copied, String> {
    let shard = instance.shard(db.0 as usize).map(|shard| Arc::clone(&shard.log));
    let log = shard.ok_or("there is no such database")?;
    let made = instance.snapshot_shard(db.0 as usize, target).map_err(|fault| fault.to_string())?;
    if made.files.len() > MAX_FILES {
        return Err(format!("it has {} files, more than {MAX_FILES}", made.files.len()));
    }
    let total: u64 = made.files.iter().map(|(_, bytes)| bytes).sum();
    let mut done = 0;
    let mut files = Vec::with_capacity(made.files.len());
    for (path, size) in made.files {
        if !is_safe_path(&path) {
            return Err(format!("a file of the store has a name that cannot be sent: {path}"));
        }
        let checksum = sum(&target.join(&path), size, |bytes| {
            done += bytes as u64;
            percent.store((done * 100 / total.max(1)).min(99) as u8, Ordering::Relaxed);
            !stopping.load(Ordering::Relaxed)
        })?;
        files.push(FileEntry { path, size, checksum });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let manifest = Manifest { id, db, lineage: made.lineage, from: made.from, finish: made.finish, files };
    Ok(Copied { manifest, folder: target.to_path_buf(), generation: made.generation, log, pin: made.pin })
}

/// The checksum of a file's first `size` bytes. `more` is told of each piece, and says whether to go on.
fn sum(path: &Path, size: u64, mut more: impl FnMut(usize) -> bool) -> Result<Checksum, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?.take(size);
    let (mut hasher, mut piece, mut got) = (blake3::Hasher::new(), vec![0; PIECE], 0);
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 if got == size => return Ok(Checksum(*hasher.finalize().as_bytes())),
            0 => return Err(format!("{} is shorter than it was", path.display())),
            bytes => {
                hasher.update(&piece[..bytes]);
                got += bytes as u64;
                if !more(bytes) {
                    return Err("the server ends".to_owned());
                }
            }
        }
    }
}
