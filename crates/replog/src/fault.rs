//! What can go wrong with a log: the disk failed ([`Fault`]), the bytes are wrong ([`Damage`], [`Flaw`]), or one of the
//! two stopped an operation ([`OpenError`], [`AppendError`], [`ReadError`]). Every message is a sentence that names the
//! file and the byte.

use std::fmt;
use std::io;
use std::path::PathBuf;

use lineage::{LineageError, Lsn};

use crate::frame::MAX_FRAME;

/// The disk refused something.
#[derive(Debug)]
pub struct Fault {
    /// The file or folder.
    pub path: PathBuf,
    /// The byte of the file, 0 where no byte is meant.
    pub offset: u64,
    /// What was tried, as in "cannot write".
    pub doing: &'static str,
    /// What the operating system said.
    pub source: io::Error,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { path, offset, doing, source } = self;
        write!(f, "Cannot {doing} {} at byte {offset}: {source}.", path.display())
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Bytes of the log that are not what was written and synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// The byte of the file at which the damaged frame begins.
    pub offset: u64,
    /// The LSN of that frame.
    pub lsn: Lsn,
    /// What is wrong with it.
    pub what: Flaw,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { path, offset, lsn, what } = self;
        write!(f, "The log is damaged in {} at byte {offset} (LSN {lsn}): {what}.", path.display())
    }
}

impl std::error::Error for Damage {}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The frame needs more bytes than there are.
    Short {
        /// Bytes that the frame, or its header, needs.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// The length field is above the maximum.
    Length(u32),
    /// The checksum does not match the bytes.
    Checksum,
    /// A kind that this build does not know.
    Kind(u8),
    /// Reserved bytes are not zero.
    Reserved,
    /// The synced mark is above the frame's own LSN.
    Mark,
    /// The frame's time is before that of an earlier frame.
    Time,
    /// The payload of an epoch frame has a wrong size.
    Epoch,
    /// The era of an epoch frame does not continue the lineage.
    Lineage(LineageError),
    /// The log ends here, although it was synced up to the LSN given.
    Lost(Lsn),
}

impl Flaw {
    /// Whether an interrupted write can have caused it. The others have a matching checksum: they were written so.
    pub(crate) fn can_be_torn(self) -> bool {
        match self {
            Flaw::Short { .. } | Flaw::Length(_) | Flaw::Checksum => true,
            Flaw::Kind(_)
            | Flaw::Reserved
            | Flaw::Mark
            | Flaw::Time
            | Flaw::Epoch
            | Flaw::Lineage(_)
            | Flaw::Lost(_) => false,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Short { need, have } => {
                write!(f, "the frame needs {need} bytes and {have} are there")
            }
            Flaw::Length(len) => write!(f, "a payload of {len} bytes is above the maximum"),
            Flaw::Checksum => f.write_str("the checksum of the frame does not match"),
            Flaw::Kind(kind) => write!(f, "frame kind {kind} is unknown to this build"),
            Flaw::Reserved => f.write_str("reserved bytes of the frame are not zero"),
            Flaw::Mark => f.write_str("the frame's synced mark lies after the frame"),
            Flaw::Time => f.write_str("the frame's time is before that of the frame before it"),
            Flaw::Epoch => f.write_str("the epoch frame has a wrong size"),
            Flaw::Lineage(why) => {
                write!(f, "the epoch frame does not continue the lineage ({why})")
            }
            Flaw::Lost(synced) => write!(f, "the log ends here but was synced up to LSN {synced}"),
        }
    }
}

/// Why a log could not be opened at all. Damage among the frames is no such reason: see [`crate::Recovered::damage`].
#[derive(Debug)]
pub enum OpenError {
    /// The disk failed.
    Disk(Fault),
    /// A segment's header is damaged.
    Header {
        /// The segment file.
        path: PathBuf,
        /// The byte of the field that is wrong.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A segment was written by a build with another format.
    Version {
        /// The segment file.
        path: PathBuf,
        /// The byte of the version field.
        offset: u64,
        /// The version found there.
        found: u16,
    },
    /// A segment does not end where the next one begins: one is missing, cut short, or too long.
    Gap {
        /// The segment file.
        path: PathBuf,
        /// The length of the file.
        offset: u64,
        /// The LSN at which the segment ends.
        ends: Lsn,
        /// The LSN at which the next segment begins.
        next: Lsn,
    },
    /// The log does not go back to where the caller needs it.
    Lost {
        /// The folder of the log.
        dir: PathBuf,
        /// The first LSN that is there, if there is any.
        start: Option<Lsn>,
        /// The LSN that is needed.
        needed: Lsn,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Disk(fault) => fault.fmt(f),
            OpenError::Header { path, offset, what } => {
                write!(f, "The header of {} is damaged at byte {offset}: {what}.", path.display())
            }
            OpenError::Version { path, offset, found } => {
                let version = crate::segment::VERSION;
                let path = path.display();
                write!(f, "{path} has format version {found} at byte {offset}; this build reads version {version}.")
            }
            OpenError::Gap { path, offset, ends, next } => {
                let path = path.display();
                write!(f, "{path} ends at byte {offset} (LSN {ends}), but the next segment begins at LSN {next}.")
            }
            OpenError::Lost { dir, start: Some(start), needed } => {
                write!(f, "The log in {} begins at LSN {start}, but is needed from LSN {needed}.", dir.display())
            }
            OpenError::Lost { dir, start: None, needed } => {
                write!(f, "The log in {} is gone, but is needed from LSN {needed}.", dir.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> OpenError {
        OpenError::Disk(fault)
    }
}

/// Why nothing was appended. The log is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendError {
    /// The log was opened damaged, so nothing may be added after the damage.
    ReadOnly,
    /// The log was closed.
    Closed,
    /// A write or fsync failed and the fatal hook returned.
    Failed,
    /// The frame would be larger than [`MAX_FRAME`].
    TooLarge {
        /// Bytes of the payload.
        payload: usize,
    },
    /// Ready frames must be appended at the end of the log.
    Position {
        /// Where the frames belong.
        at: Lsn,
        /// Where the log ends.
        end: Lsn,
    },
    /// One of the ready frames is wrong.
    Frame {
        /// The LSN of that frame.
        lsn: Lsn,
        /// What is wrong with it.
        what: Flaw,
    },
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::ReadOnly => f.write_str("The log is damaged and takes no more frames."),
            AppendError::Closed => f.write_str("The log is closed."),
            AppendError::Failed => f.write_str("The log takes no more frames since its disk failed."),
            AppendError::TooLarge { payload } => {
                write!(f, "A payload of {payload} bytes exceeds the largest frame, {MAX_FRAME} bytes.")
            }
            AppendError::Position { at, end } => {
                write!(f, "Frames for LSN {at} cannot be appended to a log that ends at LSN {end}.")
            }
            AppendError::Frame { lsn, what } => {
                write!(f, "The frame for LSN {lsn} is refused: {what}.")
            }
        }
    }
}

impl std::error::Error for AppendError {}

/// Why a reader cannot go on.
#[derive(Debug)]
pub enum ReadError {
    /// The disk failed.
    Disk(Fault),
    /// The bytes are wrong. What lies behind them is never handed out.
    Damage(Damage),
    /// The position was trimmed away.
    Trimmed {
        /// The position asked for.
        lsn: Lsn,
        /// The first position that is left.
        start: Lsn,
    },
    /// The position is above the end of the log.
    Beyond {
        /// The position asked for.
        lsn: Lsn,
        /// The written end of the log.
        end: Lsn,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Disk(fault) => fault.fmt(f),
            ReadError::Damage(damage) => damage.fmt(f),
            ReadError::Trimmed { lsn, start } => {
                write!(f, "LSN {lsn} is no longer in the log, which begins at LSN {start}.")
            }
            ReadError::Beyond { lsn, end } => {
                write!(f, "LSN {lsn} is above the end of the log, LSN {end}.")
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> ReadError {
        ReadError::Disk(fault)
    }
}
