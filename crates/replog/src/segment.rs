//! One file of the log: a padded header, then frames.
//!
//! ```text
//! name: 20 digits of the first LSN, then ".seg"
//!
//! 0     magic     "HAYLOG\0\0"
//! 8     version   u16   1
//! 10    marks     u8    1 = own, 2 = foreign (see Marks)
//! 11    zero      u8
//! 12    length    u32   bytes of lineage
//! 16    first     u64   LSN of the first frame
//! 24    time      u64   no frame in this file is older than this
//! 32    lineage         of the history before the first frame; then zeros
//! 4092  crc32c    u32   over bytes 0..4092
//! 4096  frames          the byte at LSN x is at 4096 + x - first
//! ```
//!
//! A segment appears under its name only when its header is durable, and the next one only when all frames of this one
//! are; so only the last segment can have a tail that was never synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lineage::{Lineage, Lsn};

use crate::disk::{Disk, DiskFile};
use crate::fault::{Fault, OpenError};
use crate::frame::{u32_at, u64_at};

/// Bytes of a segment before its first frame.
pub const SEGMENT_HEADER: usize = 4096;
/// The format that this build writes and reads.
pub(crate) const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"HAYLOG\0\0";
const LINEAGE: usize = 32;
const CRC: usize = SEGMENT_HEADER - 4;
const _: () = assert!(LINEAGE + lineage::MAX_ENCODED <= CRC);

/// Whose disk the synced marks in a segment's frames speak of. Frames are the same bytes on every node, so the marks in
/// a replica's log speak of the primary's disk and prove nothing about the replica's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// This node made the frames.
    Own = 1,
    /// The frames were made elsewhere.
    Foreign = 2,
}

/// What a segment says before its first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first: Lsn,
    pub(crate) marks: Marks,
    pub(crate) time_ms: u64,
    pub(crate) lineage: Lineage,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut lineage = Vec::new();
        self.lineage.encode(&mut lineage);
        let mut bytes = vec![0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = self.marks as u8;
        bytes[12..16].copy_from_slice(&(lineage.len() as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.time_ms.to_le_bytes());
        bytes[LINEAGE..LINEAGE + lineage.len()].copy_from_slice(&lineage);
        let crc = crc32c::crc32c(&bytes[..CRC]);
        bytes[CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of the file `path`, whose name says that it begins at `named`.
    fn decode(bytes: &[u8], path: &Path, named: Lsn) -> Result<Header, OpenError> {
        let damaged = |offset, what| Err(OpenError::Header { path: path.to_owned(), offset, what });
        if bytes.len() < SEGMENT_HEADER {
            return damaged(bytes.len() as u64, "the file ends within its header");
        }
        if &bytes[..8] != MAGIC {
            return damaged(0, "the file is not a segment");
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(OpenError::Version { path: path.to_owned(), offset: 8, found: version });
        }
        if u32_at(bytes, CRC) != crc32c::crc32c(&bytes[..CRC]) {
            return damaged(CRC as u64, "the checksum does not match");
        }
        let marks = match bytes[10] {
            1 => Marks::Own,
            2 => Marks::Foreign,
            _ => return damaged(10, "the marks are neither own nor foreign"),
        };
        let length = u32_at(bytes, 12) as usize;
        if LINEAGE + length > CRC {
            return damaged(12, "the lineage is too long");
        }
        let Ok(lineage) = Lineage::decode(&bytes[LINEAGE..LINEAGE + length]) else {
            return damaged(LINEAGE as u64, "the lineage is malformed");
        };
        let first = Lsn(u64_at(bytes, 16));
        if first != named {
            return damaged(16, "the first LSN is not that of the file's name");
        }
        Ok(Header { first, marks, time_ms: u64_at(bytes, 24), lineage })
    }
}

/// A segment's open file.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: Lsn,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl Segment {
    /// Makes the file of a new segment, durable and empty but for its header. One of the same name is replaced.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, header: &Header) -> Result<Segment, Fault> {
        let path = path(dir, header.first);
        let draft = path.with_extension(DRAFT);
        let file = disk.create(&draft).map_err(|e| fault(&draft, 0, "create", e))?;
        write_all(&*file, &draft, &header.encode(), 0)?;
        file.sync().map_err(|e| fault(&draft, 0, "sync", e))?;
        disk.rename(&draft, &path).map_err(|e| fault(&draft, 0, "rename", e))?;
        disk.sync_dir(dir).map_err(|e| fault(dir, 0, "sync the folder", e))?;
        Ok(Segment { path, first: header.first, file })
    }

    /// Opens the segment that begins at `first` without looking into it.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, first: Lsn) -> Result<Segment, Fault> {
        let path = path(dir, first);
        let file = disk.open(&path).map_err(|e| fault(&path, 0, "open", e))?;
        Ok(Segment { path, first, file })
    }

    /// Reads and verifies the header.
    pub(crate) fn header(&self) -> Result<Header, OpenError> {
        let mut bytes = vec![0; SEGMENT_HEADER];
        let got = read_full(&*self.file, &self.path, &mut bytes, 0)?;
        Header::decode(&bytes[..got], &self.path, self.first)
    }

    /// The position behind the last byte of the file.
    pub(crate) fn end(&self) -> Result<Lsn, Fault> {
        let len = self.file.size().map_err(|e| fault(&self.path, 0, "measure", e))?;
        Ok(self.first + len.saturating_sub(SEGMENT_HEADER as u64))
    }

    /// Where in the file the byte at `lsn` is.
    pub(crate) fn offset(&self, lsn: Lsn) -> u64 {
        SEGMENT_HEADER as u64 + (lsn - self.first)
    }
}

/// The extension of a file that is being made and has no name yet.
pub(crate) const DRAFT: &str = "tmp";

/// The file of the segment that begins at `first`.
pub(crate) fn path(dir: &Path, first: Lsn) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// The first LSN of the segment with this file name; `None` for other files.
pub(crate) fn parse_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().map(Lsn)
}

/// Fills `buf` from `offset` on as far as the file goes and says how far that was.
pub(crate) fn read_full(file: &dyn DiskFile, path: &Path, buf: &mut [u8], offset: u64) -> Result<usize, Fault> {
    let mut got = 0;
    while got < buf.len() {
        match file.read_at(&mut buf[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(fault(path, offset + got as u64, "read", e)),
        }
    }
    Ok(got)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all(file: &dyn DiskFile, path: &Path, bytes: &[u8], offset: u64) -> Result<(), Fault> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => {
                return Err(fault(path, offset + done as u64, "write", io::ErrorKind::WriteZero.into()));
            }
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(fault(path, offset + done as u64, "write", e)),
        }
    }
    Ok(())
}

pub(crate) fn fault(path: &Path, offset: u64, doing: &'static str, source: io::Error) -> Fault {
    Fault { path: path.to_owned(), offset, doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineage::{Epoch, Era, ReplId};

    fn sample() -> Header {
        let mut lineage = Lineage::new();
        lineage.push(Era { epoch: Epoch(1), id: ReplId([0xab; 20]), first: Lsn(0) }).unwrap();
        Header { first: Lsn(0x1234), marks: Marks::Foreign, time_ms: 0x5678, lineage }
    }

    #[test]
    fn golden_bytes() {
        let bytes = sample().encode();
        let golden = [
            b"HAYLOG\0\0".as_slice(),
            &[1, 0, 2, 0],
            &[39, 0, 0, 0],
            &[0x34, 0x12, 0, 0, 0, 0, 0, 0],
            &[0x78, 0x56, 0, 0, 0, 0, 0, 0],
            &[1, 1, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[0xab; 20],
            &[0; 8],
        ]
        .concat();
        assert_eq!(bytes.len(), SEGMENT_HEADER);
        assert_eq!(bytes[..golden.len()], golden);
        assert!(bytes[golden.len()..CRC].iter().all(|&byte| byte == 0));
        assert_eq!(bytes[CRC..], [0x6d, 0x2d, 0x5f, 0x79]);
    }

    #[test]
    fn every_flipped_byte_of_a_header_is_named() {
        let bytes = sample().encode();
        let path = Path::new("x.seg");
        assert_eq!(Header::decode(&bytes, path, Lsn(0x1234)).unwrap(), sample());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            let error = Header::decode(&flipped, path, Lsn(0x1234)).unwrap_err();
            assert!(error.to_string().contains("x.seg"), "{error}");
        }
        for cut in [0, 8, 4095] {
            assert!(matches!(Header::decode(&bytes[..cut], path, Lsn(0x1234)), Err(OpenError::Header { .. })));
        }
        let error = Header::decode(&bytes, path, Lsn(1)).unwrap_err().to_string();
        assert_eq!(error, "The header of x.seg is damaged at byte 16: the first LSN is not that of the file's name.");
    }

    #[test]
    fn names_sort_like_positions() {
        assert_eq!(path(Path::new("d"), Lsn(42)), Path::new("d/00000000000000000042.seg"));
        assert_eq!(parse_name("00000000000000000042.seg"), Some(Lsn(42)));
        assert_eq!(parse_name("18446744073709551615.seg"), Some(Lsn(u64::MAX)));
        for other in
            ["42.seg", "00000000000000000042.tmp", "control", "0000000000000000004x.seg", "99999999999999999999.seg"]
        {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
