//! What a snapshot consists of, as the simulation's nodes tell each other.

use lineage::{Lineage, Lsn};
use replication_proto::SnapshotId;

/// A snapshot of one shard.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its name.
    pub snapshot: SnapshotId,
    /// The history up to its end.
    pub lineage: Lineage,
    /// Every frame before this is in it.
    pub finish: Lsn,
    /// Its files.
    pub files: Vec<File>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to the shard's folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Of its content.
    pub checksum: u64,
}

impl Manifest {
    /// Bytes of all files.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// A checksum of bytes (FNV-1a): enough against the simulation's own flipped bits.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
