//! A disk in memory that writes in small pieces, fills up, fails, and forgets in a crash what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Disk, DiskFile};

/// What a crash keeps or loses as one: smaller than a real sector, so that more can go wrong.
const SECTOR: usize = 16;

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub(super) struct FakeDisk(Arc<Mutex<State>>);

struct State {
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    trouble: Trouble,
    /// Runs once, during the next write or sync.
    meanwhile: Option<Meanwhile>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;
type Inode = Arc<Mutex<Content>>;

#[derive(Default, Clone)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Which bytes of `now` the next sync writes. One that fails forgets them, as kernels do.
    dirty: Vec<bool>,
}

/// What the disk does wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    /// Bytes by which files may still grow.
    pub(super) space: usize,
    /// Bytes that one call writes at most.
    pub(super) piece: usize,
    /// Whether writes fail for another reason than space.
    pub(super) write: Works,
    /// Whether fsyncs fail.
    pub(super) sync: Works,
    /// How many more operations that change something work at all.
    pub(super) fuse: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Works {
    Yes,
    No,
}

impl Works {
    fn check(self) -> io::Result<()> {
        match self {
            Works::Yes => Ok(()),
            Works::No => Err(io::Error::other("broken")),
        }
    }
}

impl Trouble {
    fn burn_fuse(&mut self) -> io::Result<()> {
        self.fuse = self.fuse.checked_sub(1).ok_or_else(|| io::Error::other("the power is gone"))?;
        Ok(())
    }

    pub(super) const NONE: Trouble =
        Trouble { space: usize::MAX, piece: usize::MAX, write: Works::Yes, sync: Works::Yes, fuse: usize::MAX };
}

/// A small random number generator (splitmix64), so that a seed is the whole story.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

impl FakeDisk {
    pub(super) fn new() -> FakeDisk {
        let (names, durable_names) = (BTreeMap::new(), BTreeMap::new());
        FakeDisk(Arc::new(Mutex::new(State { names, durable_names, trouble: Trouble::NONE, meanwhile: None })))
    }

    pub(super) fn set(&self, trouble: Trouble) {
        self.0.lock().trouble = trouble;
    }

    /// Lets something else happen during the next write or sync of a file.
    pub(super) fn during_next(&self, what: impl FnOnce() + Send + 'static) {
        self.0.lock().meanwhile = Some(Box::new(what));
    }

    fn run_meanwhile(&self) {
        let what = self.0.lock().meanwhile.take();
        if let Some(what) = what {
            what();
        }
    }

    /// Another disk with the same files, all durable.
    pub(super) fn copy(&self) -> FakeDisk {
        let copy = FakeDisk::new();
        for (path, bytes) in self.files() {
            copy.put(&path, &bytes);
        }
        copy
    }

    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.0.lock();
        state.names.iter().map(|(path, inode)| (path.clone(), inode.lock().now.clone())).collect()
    }

    pub(super) fn put(&self, path: &Path, bytes: &[u8]) {
        let content = Content { now: bytes.to_vec(), durable: bytes.to_vec(), dirty: vec![false; bytes.len()] };
        let inode = Arc::new(Mutex::new(content));
        let mut state = self.0.lock();
        state.names.insert(path.to_owned(), inode.clone());
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// The power fails: of what was not synced, any part is there afterwards.
    pub(super) fn crash(&self, rng: &mut Rng) {
        let mut state = self.0.lock();
        let mut after = BTreeMap::new();
        let paths: Vec<PathBuf> = state.names.keys().chain(state.durable_names.keys()).cloned().collect();
        for path in paths {
            let kept = if rng.coin() { state.names.get(&path) } else { state.durable_names.get(&path) };
            if let Some(inode) = kept {
                after.entry(path).or_insert_with(|| inode.clone());
            }
        }
        for inode in after.values() {
            inode.lock().crash(rng);
        }
        state.durable_names = after.clone();
        state.names = after;
    }
}

impl Content {
    fn crash(&mut self, rng: &mut Rng) {
        let len = if rng.coin() { self.now.len() } else { self.durable.len() };
        let lost_of_eight = rng.below(8);
        self.now.resize(len, 0);
        self.durable.resize(len, 0);
        for (new, old) in self.now.chunks_mut(SECTOR).zip(self.durable.chunks(SECTOR)) {
            if rng.below(8) < lost_of_eight {
                new.copy_from_slice(old);
            }
        }
        self.durable = self.now.clone();
        self.dirty = vec![false; len];
    }

    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for (at, dirty) in self.dirty.iter_mut().enumerate().filter(|(_, dirty)| **dirty) {
            self.durable[at] = self.now[at];
            *dirty = false;
        }
    }
}

impl Disk for FakeDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = Inode::default();
        self.0.lock().trouble.burn_fuse()?;
        self.0.lock().names.insert(path.to_owned(), inode.clone());
        Ok(Arc::new(FakeFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.0.lock().names.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(FakeFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.trouble.burn_fuse()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().trouble.burn_fuse()?;
        self.0.lock().names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.trouble.sync.check()?;
        state.trouble.burn_fuse()?;
        let State { names, durable_names, .. } = &mut *state;
        durable_names.retain(|path, _| path.parent() != Some(dir));
        let inside = names.iter().filter(|(path, _)| path.parent() == Some(dir));
        durable_names.extend(inside.map(|(path, inode)| (path.clone(), inode.clone())));
        Ok(())
    }
}

struct FakeFile {
    disk: FakeDisk,
    inode: Inode,
}

impl DiskFile for FakeFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.inode.lock().now.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.inode.lock();
        let there = content.now.get(offset as usize..).unwrap_or_default();
        let n = there.len().min(buf.len());
        buf[..n].copy_from_slice(&there[..n]);
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.run_meanwhile();
        let mut state = self.disk.0.lock();
        state.trouble.write.check()?;
        state.trouble.burn_fuse()?;
        let mut content = self.inode.lock();
        let old = content.now.len();
        let offset = offset as usize;
        let fits = (old - old.min(offset)).saturating_add(state.trouble.space);
        let n = bytes.len().min(state.trouble.piece).min(fits);
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let grown = old.max(offset + n);
        content.now.resize(grown, 0);
        content.now[offset..offset + n].copy_from_slice(&bytes[..n]);
        content.dirty.resize(grown, true);
        content.dirty[offset..offset + n].fill(true);
        state.trouble.space -= grown - old;
        Ok(n)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.disk.0.lock().trouble.burn_fuse()?;
        let mut content = self.inode.lock();
        content.now.truncate(len as usize);
        content.dirty.truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.run_meanwhile();
        let mut state = self.disk.0.lock();
        let mut content = self.inode.lock();
        if let Err(error) = state.trouble.sync.check() {
            content.dirty.fill(false);
            return Err(error);
        }
        state.trouble.burn_fuse()?;
        content.sync();
        Ok(())
    }
}
