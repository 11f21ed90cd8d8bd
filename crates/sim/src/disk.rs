//! A file system that forgets: [`CrashDisk`] passes everything through to real files, and remembers what would still be
//! there if the power failed now.
//!
//! Only the logs lie on it. What was not synced is lost or kept sector by sector, in any order; a file whose folder was
//! not synced since it was made may be gone altogether.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use replog::{Disk, DiskFile, OsDisk};

use crate::rng::Rng;

/// What a crash keeps or loses as one: smaller than a real sector, so that more can go wrong in small logs.
const SECTOR: usize = 64;

/// The disk of one node. Clones are the same disk.
#[derive(Clone, Default)]
pub struct CrashDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Which file is under which name.
    names: BTreeMap<PathBuf, FileId>,
    /// Files with bytes that are not synced, and what would be left of them.
    unsynced: BTreeMap<FileId, Vec<u8>>,
    /// Files whose name is not durable.
    unnamed: BTreeSet<FileId>,
    last: u64,
    /// Whether writes fail for want of space.
    full: bool,
}

/// A file, whatever its name is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId(u64);

impl State {
    fn file(&mut self, path: &Path) -> FileId {
        self.last += 1;
        *self.names.entry(path.to_owned()).or_insert(FileId(self.last))
    }

    fn forget(&mut self, path: &Path) {
        if let Some(file) = self.names.remove(path) {
            self.unsynced.remove(&file);
            self.unnamed.remove(&file);
        }
    }
}

impl CrashDisk {
    /// A disk on which everything is durable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills the disk up, or gives it space.
    pub fn set_full(&self, full: Space) {
        self.0.lock().full = full == Space::None;
    }

    /// The power fails: of what was not synced, any part is there afterwards. Nobody has a file open any more.
    ///
    /// # Errors
    /// Those of the real file system.
    pub fn lose_power(&self, rng: &mut Rng) -> io::Result<()> {
        let mut state = self.0.lock();
        let names = std::mem::take(&mut state.names);
        for (path, file) in names {
            let (durable, unnamed) = (state.unsynced.remove(&file), state.unnamed.remove(&file));
            if !path.exists() {
                // Its folder was removed or moved by somebody who does not go through this disk.
                continue;
            }
            if unnamed && rng.percent(50) {
                fs::remove_file(&path)?;
            } else if let Some(durable) = durable {
                let now = fs::read(&path)?;
                fs::write(&path, after_crash(now, durable, rng))?;
            }
        }
        Ok(())
    }

    /// The process ends but the machine goes on: what was written stays, and is as good as synced by the time anybody
    /// looks.
    pub fn keep_everything(&self) {
        let mut state = self.0.lock();
        state.unsynced.clear();
        state.unnamed.clear();
    }
}

/// Whether a disk has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// It has.
    Some,
    /// It has not.
    None,
}

fn after_crash(mut now: Vec<u8>, mut durable: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    let len = if rng.percent(50) { now.len() } else { durable.len() };
    let lost_of_eight = rng.below(9);
    now.resize(len, 0);
    durable.resize(len, 0);
    for (new, old) in now.chunks_mut(SECTOR).zip(durable.chunks(SECTOR)) {
        if rng.below(8) < lost_of_eight {
            new.copy_from_slice(old);
        }
    }
    now
}

impl Disk for CrashDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        // The order of a real folder is chance of another kind than the seed's.
        let mut names = OsDisk.list(dir)?;
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OsDisk.create(path)?;
        let mut state = self.0.lock();
        state.forget(path);
        let id = state.file(path);
        state.unnamed.insert(id);
        state.unsynced.insert(id, Vec::new());
        drop(state);
        Ok(Arc::new(CrashFile { disk: self.clone(), id, file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OsDisk.open(path)?;
        let id = self.0.lock().file(path);
        Ok(Arc::new(CrashFile { disk: self.clone(), id, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)?;
        // The new name is taken for durable at once: names that come apart are a matter of the log's own tests.
        let mut state = self.0.lock();
        let file = state.file(from);
        state.names.remove(from);
        state.forget(to);
        state.names.insert(to.to_owned(), file);
        state.unnamed.remove(&file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)?;
        self.0.lock().forget(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let State { names, unnamed, .. } = &mut *state;
        for (_, file) in names.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            unnamed.remove(file);
        }
        Ok(())
    }
}

struct CrashFile {
    disk: CrashDisk,
    id: FileId,
    file: Arc<dyn DiskFile>,
}

impl CrashFile {
    /// Keeps what is durable before something else is there.
    fn remember(&self, state: &mut State) -> io::Result<()> {
        if let Entry::Vacant(vacant) = state.unsynced.entry(self.id) {
            let mut durable = vec![0; self.file.size()? as usize];
            let read = self.file.read_at(&mut durable, 0)?;
            assert_eq!(read, durable.len(), "a file in memory is read in one piece");
            vacant.insert(durable);
        }
        Ok(())
    }
}

impl DiskFile for CrashFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        if state.full && offset + bytes.len() as u64 > self.file.size()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.remember(&mut state)?;
        self.file.write_at(bytes, offset)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.remember(&mut self.disk.0.lock())?;
        self.file.cut(len)
    }

    fn sync(&self) -> io::Result<()> {
        // Memory under the test's folder needs no real fsync; what counts is what this disk would give back.
        self.disk.0.lock().unsynced.remove(&self.id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &CrashDisk, path: &Path, bytes: &[u8]) -> Arc<dyn DiskFile> {
        let file = disk.create(path).unwrap();
        assert_eq!(file.write_at(bytes, 0).unwrap(), bytes.len());
        file
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut lost, mut kept) = (false, false);
        for seed in 0..40 {
            let disk = CrashDisk::new();
            let file = write(&disk, &path, &[1; 1000]);
            file.sync().unwrap();
            disk.sync_dir(dir.path()).unwrap();
            file.write_at(&[2; 500], 1000).unwrap();
            disk.lose_power(&mut Rng::new(seed)).unwrap();
            let left = fs::read(&path).unwrap();
            assert_eq!(left[..1000], [1; 1000], "seed {seed}");
            let behind = left.get(1000..).unwrap_or_default();
            assert!(behind.iter().all(|byte| [0, 2].contains(byte)), "seed {seed}");
            kept |= behind == [2; 500];
            lost |= behind.is_empty();
        }
        assert!(lost && kept, "both ends of what can happen were seen");
    }

    #[test]
    fn a_kill_loses_nothing_that_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let disk = CrashDisk::new();
        write(&disk, &path, &[7; 300]);
        disk.keep_everything();
        disk.lose_power(&mut Rng::new(1)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [7; 300]);
    }

    #[test]
    fn a_full_disk_takes_nothing_new() {
        let dir = tempfile::tempdir().unwrap();
        let disk = CrashDisk::new();
        let file = write(&disk, &dir.path().join("log"), &[7; 300]);
        disk.set_full(Space::None);
        assert_eq!(file.write_at(&[8; 10], 300).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.write_at(&[8; 10], 0).unwrap(), 10, "what is there can be changed");
        disk.set_full(Space::Some);
        assert_eq!(file.write_at(&[8; 10], 300).unwrap(), 10);
    }
}
