//! Files of a full sync on their way: [`Parts`], a folder in which each is called by its content.
//!
//! ```text
//! incoming/db0/parts/<BLAKE3>        the file, as far as it has come
//! incoming/db0/parts/<BLAKE3>.crc    the CRC-32C of each block of it, four bytes each
//! incoming/db0/shard/...             all of them under the names of the manifest
//! ```
//!
//! A file is whatever its content is, so what an interrupted transfer left is used by the next one even if the snapshot is
//! another by then. Nothing found here is believed: blocks are compared with their checksums, whole files with their names.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::wire::{Checksum, FileEntry, Manifest};

/// What is asked for and checked at once, in bytes.
pub(super) const BLOCK: usize = 256 << 10;

/// A folder of parts.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    folder: PathBuf,
}

/// A file of which more is to come.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    sums: File,
    path: PathBuf,
    hasher: blake3::Hasher,
    /// Bytes that are here and checked: whole blocks, or all of the file.
    pub have: u64,
    /// Bytes of the whole file.
    pub size: u64,
    checksum: Checksum,
}

impl Parts {
    /// Those in `transfer`'s folder; it is made if need be.
    pub fn open(transfer: &Path) -> io::Result<Self> {
        let folder = transfer.join("parts");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, checksum: &Checksum) -> PathBuf {
        self.folder.join(checksum.to_string())
    }

    /// Removes what the manifest does not name.
    pub fn keep_only(&self, manifest: &Manifest) -> io::Result<()> {
        let wanted: std::collections::HashSet<String> =
            manifest.files.iter().map(|file| file.checksum.to_string()).collect();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if !wanted.contains(name) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Whether nothing of a file has come yet.
    pub fn lacks(&self, entry: &FileEntry) -> bool {
        !self.path(&entry.checksum).exists()
    }

    /// Bytes that are here of a file, right or wrong.
    pub fn bytes_of(&self, entry: &FileEntry) -> u64 {
        self.path(&entry.checksum).metadata().map_or(0, |meta| meta.len())
    }

    /// Takes a file that may be the wanted one; its content is checked later like everything here.
    pub fn adopt(&self, found: &Path, entry: &FileEntry) -> io::Result<()> {
        fs::hard_link(found, self.path(&entry.checksum))
    }

    /// Opens a file to go on with it, after a look at what is here of it. `progress` is told bytes that were checked.
    pub fn resume(&self, entry: &FileEntry, progress: &mut dyn FnMut(u64)) -> io::Result<Part> {
        let path = self.path(&entry.checksum);
        let sums = path.with_extension("crc");
        let open = |path: &Path| File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut part = Part {
            file: open(&path)?,
            sums: open(&sums)?,
            path,
            hasher: blake3::Hasher::new(),
            have: 0,
            size: entry.size,
            checksum: entry.checksum,
        };
        part.check(progress)?;
        Ok(part)
    }

    /// Puts all files of the manifest, which are complete, under their names into `target`, and makes them durable.
    /// `progress` is told the bytes of those that are in place.
    pub fn assemble(&self, manifest: &Manifest, target: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        if target.exists() {
            fs::remove_dir_all(target)?;
        }
        let mut folders = std::collections::BTreeSet::from([target.to_owned()]);
        let mut done = 0;
        for entry in &manifest.files {
            let to = target.join(&entry.path);
            let folder = to.parent().unwrap_or(target).to_owned();
            fs::create_dir_all(&folder)?;
            let from = self.path(&entry.checksum);
            if is_shared(entry) {
                fs::hard_link(&from, &to)?;
            } else {
                // Whoever opens the shard writes to its log; the part must stay what its name says.
                fs::copy(&from, &to)?;
                File::open(&to)?.sync_all()?;
            }
            done += entry.size;
            progress(done);
            folders.extend(folder.ancestors().take_while(|up| up.starts_with(target)).map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }
}

/// Whether a file of a shard may be a part at the same time: nobody writes to it.
fn is_shared(entry: &FileEntry) -> bool {
    entry.path.ends_with(".sst")
}

/// The bytes that putting a shard together takes, beside those of its parts.
pub(super) fn copied(manifest: &Manifest) -> u64 {
    manifest.files.iter().filter(|file| !is_shared(file)).map(|file| file.size).sum()
}

impl Part {
    /// Whether all of it is here.
    pub fn is_complete(&self) -> bool {
        self.have == self.size
    }

    /// How many bytes come next.
    pub fn next_block(&self) -> u32 {
        (self.size - self.have).min(BLOCK as u64) as u32
    }

    /// Appends a block whose checksum was compared.
    pub fn append(&mut self, crc: u32, bytes: &[u8]) -> io::Result<()> {
        let block = self.have / BLOCK as u64;
        self.file.write_all_at(bytes, self.have)?;
        self.sums.write_all_at(&crc.to_le_bytes(), block * 4)?;
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Makes a complete file durable, if it is the one that was promised. `false`: it is not, and is gone.
    pub fn finish(self) -> io::Result<bool> {
        assert!(self.is_complete(), "only a whole file has a checksum");
        let sums = self.path.with_extension("crc");
        if Checksum(*self.hasher.finalize().as_bytes()) == self.checksum {
            // A file that was adopted may belong to another owner's rights; its content is durable or will be.
            self.file.sync_all()?;
            return Ok(true);
        }
        fs::remove_file(&self.path)?;
        fs::remove_file(sums)?;
        Ok(false)
    }

    /// Finds out how much of what is here is right, and cuts the rest off.
    fn check(&mut self, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let here = self.file.metadata()?.len();
        let mut sums = Vec::new();
        self.sums.read_to_end(&mut sums)?;
        // A file without checksums of blocks was adopted as a whole, and is right or wrong as a whole.
        let is_adopted = sums.is_empty() && here == self.size;
        let mut block = vec![0; BLOCK];
        let mut sums = sums.chunks_exact(4);
        while self.have < self.size.min(here) {
            let count = self.next_block() as usize;
            if self.have + count as u64 > here {
                break;
            }
            self.file.read_exact_at(&mut block[..count], self.have)?;
            if !is_adopted && sums.next() != Some(&crc32c::crc32c(&block[..count]).to_le_bytes()) {
                break;
            }
            self.hasher.update(&block[..count]);
            self.have += count as u64;
            progress(count as u64);
        }
        if here > self.have {
            self.file.set_len(self.have)?;
        }
        if is_adopted && self.is_complete() && Checksum(*self.hasher.finalize().as_bytes()) != self.checksum {
            self.replace()?;
        }
        Ok(())
    }

    /// Begins anew with a file of our own: the one that was adopted is somebody else's.
    fn replace(&mut self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        self.file = File::options().read(true).write(true).create_new(true).open(&self.path)?;
        self.sums.set_len(0)?;
        self.sums.flush()?;
        self.hasher.reset();
        self.have = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineage::{Lineage, Lsn};
    use replication_proto::{Db, SnapshotId};

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    fn entry(path: &str, content: &[u8]) -> FileEntry {
        let checksum = Checksum(*blake3::hash(content).as_bytes());
        FileEntry { path: path.to_owned(), size: content.len() as u64, checksum }
    }

    fn manifest(files: Vec<FileEntry>) -> Manifest {
        let id = SnapshotId::new("s").unwrap();
        Manifest { id, db: Db(0), lineage: Lineage::new(), from: Lsn(0), finish: Lsn(0), files }
    }

    fn feed(part: &mut Part, content: &[u8], blocks: usize) {
        for _ in 0..blocks {
            let bytes = &content[part.have as usize..][..part.next_block() as usize];
            part.append(crc32c::crc32c(bytes), bytes).unwrap();
        }
    }

    #[test]
    fn a_file_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let content = content(3 * BLOCK + 17);
        let entry = entry("store/1.sst", &content);
        let parts = Parts::open(folder.path()).unwrap();
        assert!(parts.lacks(&entry));
        let mut part = parts.resume(&entry, &mut |_| {}).unwrap();
        feed(&mut part, &content, 2);
        // A block whose checksum did not get to its file any more, or the other way round.
        part.file.write_all_at(b"torn", part.have).unwrap();
        drop(part);
        let mut checked = 0;
        let mut part = parts.resume(&entry, &mut |bytes| checked += bytes).unwrap();
        assert_eq!((part.have, checked), (2 * BLOCK as u64, 2 * BLOCK as u64));
        feed(&mut part, &content, 2);
        assert!(part.is_complete() && part.finish().unwrap());
        let part = parts.resume(&entry, &mut |_| {}).unwrap();
        assert!(part.is_complete() && part.finish().unwrap());
    }

    #[test]
    fn a_damaged_block_and_what_follows_it_is_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let content = content(3 * BLOCK);
        let entry = entry("store/1.sst", &content);
        let parts = Parts::open(folder.path()).unwrap();
        let mut part = parts.resume(&entry, &mut |_| {}).unwrap();
        feed(&mut part, &content, 3);
        part.file.write_all_at(b"x", BLOCK as u64 + 5).unwrap();
        drop(part);
        let mut part = parts.resume(&entry, &mut |_| {}).unwrap();
        assert_eq!(part.have, BLOCK as u64);
        feed(&mut part, &content, 2);
        assert!(part.finish().unwrap());
    }

    #[test]
    fn a_file_with_another_content_than_promised_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (promised, sent) = (content(BLOCK), vec![7; BLOCK]);
        let entry = entry("store/1.sst", &promised);
        let parts = Parts::open(folder.path()).unwrap();
        let mut part = parts.resume(&entry, &mut |_| {}).unwrap();
        feed(&mut part, &sent, 1);
        assert!(!part.finish().unwrap());
        assert!(parts.lacks(&entry));
    }

    #[test]
    fn a_found_file_is_used_if_its_content_fits_and_left_alone_if_not() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.sst");
        let content = content(2 * BLOCK + 1);
        let entry = entry("store/1.sst", &content);
        let parts = Parts::open(folder.path()).unwrap();
        let wrong = vec![1; content.len()];
        fs::write(&old, &wrong).unwrap();
        parts.adopt(&old, &entry).unwrap();
        let mut part = parts.resume(&entry, &mut |_| {}).unwrap();
        assert_eq!(part.have, 0, "equal size is not equal content");
        feed(&mut part, &content, 3);
        assert!(part.finish().unwrap());
        assert_eq!(fs::read(&old).unwrap(), wrong, "the old store's file is not ours to write to");
        fs::remove_file(parts.path(&entry.checksum)).unwrap();
        fs::remove_file(parts.path(&entry.checksum).with_extension("crc")).unwrap();
        fs::write(&old, &content).unwrap();
        parts.adopt(&old, &entry).unwrap();
        assert!(parts.resume(&entry, &mut |_| {}).unwrap().is_complete());
    }

    #[test]
    fn a_shard_is_put_together_and_parts_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::open(folder.path()).unwrap();
        let (one, two) = (content(10), content(20));
        let files = vec![entry("log/a", &one), entry("log/b", &one), entry("store/c.sst", &two), entry("store/d", b"")];
        let manifest = manifest(files);
        for (file, content) in manifest.files.iter().zip([&one, &one, &two, &Vec::new()]) {
            let mut part = parts.resume(file, &mut |_| {}).unwrap();
            if !part.is_complete() {
                feed(&mut part, content, 1);
            }
            assert!(part.finish().unwrap());
        }
        let stray = entry("x", b"stray");
        feed(&mut parts.resume(&stray, &mut |_| {}).unwrap(), b"stray", 1);
        parts.keep_only(&manifest).unwrap();
        assert!(parts.lacks(&stray));
        let target = folder.path().join("shard");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("leftover"), "x").unwrap();
        assert_eq!(copied(&manifest), 20, "the log's files");
        let mut told = Vec::new();
        parts.assemble(&manifest, &target, &mut |bytes| told.push(bytes)).unwrap();
        assert_eq!(told, [10, 20, 40, 40], "after each file, however long its sync takes");
        assert!(!target.join("leftover").exists());
        fs::write(target.join("log/a"), "changed").unwrap();
        assert_eq!(fs::read(target.join("log/b")).unwrap(), one);
        assert_eq!(fs::read(parts.path(&manifest.files[0].checksum)).unwrap(), one);
        assert_eq!(fs::read(target.join("store/c.sst")).unwrap(), two);
        assert_eq!(fs::read(target.join("store/d")).unwrap(), b"");
    }
}
