//! The world failed: what, where, and whether it can heal by itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What sort of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No room on the disk; heals when there is room.
    NoSpace,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// Written by another version of the format.
    Format,
    /// Any other failure of the operating system or the store.
    Io,
    /// Nothing failed: clients do not write to a replica.
    ReadOnly,
}

/// A failure of the world, with the place it concerns.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What sort.
    pub kind: FaultKind,
    /// What was being done, and what went wrong, in a full sentence without the path.
    pub what: String,
    /// The file or folder.
    pub path: Option<PathBuf>,
    /// Byte offset in the file, where there is one.
    pub offset: Option<u64>,
}

impl Fault {
    /// A fault at a path.
    #[must_use]
    pub fn new(kind: FaultKind, what: impl Into<String>, path: &Path) -> Self {
        Self { kind, what: what.into(), path: Some(path.to_path_buf()), offset: None }
    }

    /// A fault from an operating system error.
    #[must_use]
    pub fn io(error: &io::Error, doing: &str, path: &Path) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultKind::NoSpace,
            _ => FaultKind::Io,
        };
        Self::new(kind, format!("{doing}: {error}"), path)
    }

    /// Whether it goes away without a person doing something to the data.
    #[must_use]
    pub const fn is_healable(&self) -> bool {
        matches!(self.kind, FaultKind::NoSpace)
    }
}

/// The refusal of a client's write on a replica.
pub(crate) fn read_only(path: &Path) -> Fault {
    Fault::new(FaultKind::ReadOnly, "You can't write against a read only replica.", path)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(path) = &self.path {
            write!(f, " ({}", path.display())?;
            if let Some(offset) = self.offset {
                write!(f, " at byte {offset}")?;
            }
            write!(f, ")")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
