//! A small file beside the segments that remembers how far the log was synced and whether it was closed in order.
//!
//! ```text
//! 0   magic    "HAYCTL\0\0"
//! 8   version  u16   1
//! 10  state    u8    1 = running, 2 = closed: the log ends exactly at `synced`
//! 11  zero     [5]
//! 16  synced   u64   every byte of the log below this LSN was durable when this was written
//! 24  crc32c   u32   over bytes 0..24
//! ```
//!
//! It is evidence, not truth: a missing or unreadable one costs a rewrite of the last segment at the next start, and
//! lets less damage be told from a tail that was never synced.

use std::path::Path;
use std::sync::Arc;

use lineage::Lsn;

use crate::disk::{Disk, DiskFile};
use crate::fault::Fault;
use crate::frame::{u32_at, u64_at};
use crate::segment::{DRAFT, fault, read_full, write_all};

const NAME: &str = "control";
const MAGIC: &[u8; 8] = b"HAYCTL\0\0";
const VERSION: u16 = 1;
const SIZE: usize = 28;
const CRC: usize = 24;

/// Whether the log was closed in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running = 1,
    Closed = 2,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) state: State,
    pub(crate) synced: Lsn,
}

impl Mark {
    fn encode(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = self.state as u8;
        bytes[16..24].copy_from_slice(&self.synced.0.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC]);
        bytes[CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<Mark> {
        let good = &bytes[..8] == MAGIC
            && bytes[8..10] == VERSION.to_le_bytes()
            && u32_at(bytes, CRC) == crc32c::crc32c(&bytes[..CRC]);
        let state = match bytes[10] {
            1 => State::Running,
            2 => State::Closed,
            _ => return None,
        };
        good.then(|| Mark { state, synced: Lsn(u64_at(bytes, 16)) })
    }
}

/// The open file.
pub(crate) struct Control(Arc<dyn DiskFile>);

impl Control {
    /// What the file in `dir` says; `None` if there is none or it is unreadable.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Option<Mark> {
        let path = dir.join(NAME);
        let file = disk.open(&path).ok()?;
        let mut bytes = [0; SIZE];
        let got = read_full(&*file, &path, &mut bytes, 0).ok()?;
        (got == SIZE).then(|| Mark::decode(&bytes)).flatten()
    }

    /// Replaces the file, durably.
    pub(crate) fn replace(disk: &dyn Disk, dir: &Path, mark: Mark) -> Result<Control, Fault> {
        let path = dir.join(NAME);
        let draft = path.with_extension(DRAFT);
        let file = disk.create(&draft).map_err(|e| fault(&draft, 0, "create", e))?;
        write_all(&*file, &draft, &mark.encode(), 0)?;
        file.sync().map_err(|e| fault(&draft, 0, "sync", e))?;
        disk.rename(&draft, &path).map_err(|e| fault(&draft, 0, "rename", e))?;
        disk.sync_dir(dir).map_err(|e| fault(dir, 0, "sync the folder", e))?;
        Ok(Control(file))
    }

    /// Notes that a running log is synced below `synced`. The note is true from now on, so it may become durable at any
    /// time or never, and a failure to write it is no failure of the log.
    pub(crate) fn note(&self, synced: Lsn) {
        let _ = self.0.write_at(&Mark { state: State::Running, synced }.encode(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mark = Mark { state: State::Closed, synced: Lsn(0x0102) };
        let golden =
            [b"HAYCTL\0\0".as_slice(), &[1, 0, 2, 0, 0, 0, 0, 0], &[2, 1, 0, 0, 0, 0, 0, 0], &[0x13, 0x3e, 0xcc, 0x58]]
                .concat();
        assert_eq!(mark.encode().as_slice(), golden);
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }

    #[test]
    fn a_changed_byte_makes_it_unreadable() {
        let bytes = Mark { state: State::Running, synced: Lsn(99) }.encode();
        for at in 0..SIZE {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert_eq!(Mark::decode(&flipped), None, "byte {at}");
        }
    }
}
