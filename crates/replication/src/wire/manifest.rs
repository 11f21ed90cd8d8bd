//! What a snapshot of one database consists of: [`Manifest`].
//!
//! ```text
//! version u8 = 1 | id length u8 | id | database u32 | from u64 | finish u64
//! lineage length u32 | lineage
//! files u32 | then each: path length u16 | path | size u64 | BLAKE3 of the content, 32 bytes
//! ```
//!
//! Little-endian. The files are in ascending order of their paths, so none is named twice. A path is relative to the
//! shard's folder and cannot lead out of it: parts of letters, digits, `.`, `_`, `-`, none of which begins with a dot.

use core::fmt;

use lineage::{Lineage, Lsn, MAX_ENCODED};

use replication_proto::{Db, SnapshotId};

use super::MAX_DATABASES;

/// The most files of a snapshot.
pub const MAX_FILES: usize = 1 << 18;
/// The longest path of a file, in bytes.
pub const MAX_FILE_PATH: usize = 128;
/// No manifest is longer than this, in bytes.
pub const MAX_MANIFEST: usize = HEAD + 4 + MAX_ENCODED + 4 + MAX_FILES * (2 + MAX_FILE_PATH + FILE_TAIL);

const VERSION: u8 = 1;
/// From the version through `finish`.
const HEAD: usize = 1 + 1 + SnapshotId::MAX + 4 + 8 + 8;
/// Size and checksum of a file.
const FILE_TAIL: usize = 8 + 32;

/// What a snapshot of one database consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The snapshot; random.
    pub id: SnapshotId,
    /// The database.
    pub db: Db,
    /// The history in its log.
    pub lineage: Lineage,
    /// Every frame before this position is in the store's files, and the log's begin here or before.
    pub from: Lsn,
    /// The log's files end here, and at or after this position the copy is consistent.
    pub finish: Lsn,
    /// The files, in ascending order of their paths.
    pub files: Vec<FileEntry>,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it belongs in the shard's folder: `store/000123.sst`, `log/...`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Of the content: what makes a file the same file.
    pub checksum: Checksum,
}

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub [u8; 32]);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl Manifest {
    /// Bytes of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// The byte form.
    ///
    /// # Panics
    /// If a path is not safe, or the files are too many or not in order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.files.len() <= MAX_FILES, "whoever lists the files counts them");
        assert!(self.files.is_sorted_by(|one, next| one.path < next.path), "whoever lists the files sorts them");
        let mut out = vec![VERSION];
        out.push(self.id.as_str().len() as u8);
        out.extend_from_slice(self.id.as_str().as_bytes());
        out.extend_from_slice(&self.db.0.to_le_bytes());
        out.extend_from_slice(&self.from.0.to_le_bytes());
        out.extend_from_slice(&self.finish.0.to_le_bytes());
        let mut lineage = Vec::new();
        self.lineage.encode(&mut lineage);
        out.extend_from_slice(&(lineage.len() as u32).to_le_bytes());
        out.extend_from_slice(&lineage);
        out.extend_from_slice(&(self.files.len() as u32).to_le_bytes());
        for file in &self.files {
            assert!(is_safe_path(&file.path), "our files have plain names: {}", file.path);
            out.extend_from_slice(&(file.path.len() as u16).to_le_bytes());
            out.extend_from_slice(file.path.as_bytes());
            out.extend_from_slice(&file.size.to_le_bytes());
            out.extend_from_slice(&file.checksum.0);
        }
        out
    }

    /// Reads the byte form, which must be all of `bytes`. `None` if it is malformed, of another version, or breaks a rule.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut left = bytes;
        let [VERSION] = take(&mut left)? else { return None };
        let [length] = take(&mut left)?;
        let id = SnapshotId::new(std::str::from_utf8(take_some(&mut left, length.into())?).ok()?)?;
        let db = Db(u32::from_le_bytes(take(&mut left)?));
        let from = Lsn(u64::from_le_bytes(take(&mut left)?));
        let finish = Lsn(u64::from_le_bytes(take(&mut left)?));
        let length = u32::from_le_bytes(take(&mut left)?) as usize;
        let lineage = Lineage::decode(take_some(&mut left, length)?).ok()?;
        let count = u32::from_le_bytes(take(&mut left)?) as usize;
        if db.0 as usize >= MAX_DATABASES || from > finish || count > MAX_FILES {
            return None;
        }
        let mut files: Vec<FileEntry> = Vec::new();
        for _ in 0..count {
            let length = usize::from(u16::from_le_bytes(take(&mut left)?));
            let path = std::str::from_utf8(take_some(&mut left, length)?).ok()?.to_owned();
            let size = u64::from_le_bytes(take(&mut left)?);
            let checksum = Checksum(take(&mut left)?);
            if !is_safe_path(&path) || files.last().is_some_and(|last| last.path >= path) {
                return None;
            }
            files.push(FileEntry { path, size, checksum });
        }
        left.is_empty().then_some(Self { id, db, lineage, from, finish, files })
    }
}

/// Whether a path stays in the folder that it is relative to, on every system, and is spelled as ours are.
#[must_use]
pub fn is_safe_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain);
    path.len() <= MAX_FILE_PATH && path.split('/').all(is_part)
}

fn take<const N: usize>(left: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = left.split_first_chunk()?;
    *left = rest;
    Some(*first)
}

fn take_some<'a>(left: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (first, rest) = left.split_at_checked(count)?;
    *left = rest;
    Some(first)
}
