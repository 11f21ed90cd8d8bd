//! What RocksDB says when it refuses, as a fault.

use std::path::Path;

use engine::fault::{Fault, FaultKind};
use rust_rocksdb::{Error, ErrorKind};

/// RocksDB hands over its errors as text only; these are its words for a full disk, and the system's for a full quota.
const NO_SPACE: [&str; 3] = ["No space left on device", "Space limit reached", "Disk quota exceeded"];

/// Whether `said` tells of a full disk.
pub(crate) fn is_no_space(said: &str) -> bool {
    NO_SPACE.iter().any(|words| said.contains(words))
}

fn kind(error: &Error) -> FaultKind {
    if is_no_space(error.as_ref()) {
        return FaultKind::NoSpace;
    }
    match error.kind() {
        ErrorKind::Corruption => FaultKind::Corrupt,
        _ => FaultKind::Io,
    }
}

/// The fault of an operation on the open store in `dir`.
pub(crate) fn fault(error: &Error, doing: &str, dir: &Path) -> Fault {
    Fault::new(kind(error), format!("{doing}: {error}"), dir)
}

/// The fault of opening the store in `dir`, where it is known to be.
pub(crate) fn fault_of_opening(error: &Error, dir: &Path) -> Fault {
    let kind = match kind(error) {
        // Its own list of files names a file that is gone.
        FaultKind::Io if error.as_ref().contains("No such file or directory") => FaultKind::Corrupt,
        // Families or options that this version has no idea of.
        FaultKind::Io if matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::NotSupported) => {
            FaultKind::Format
        }
        kind => kind,
    };
    let advice = match kind {
        FaultKind::Corrupt => {
            ". Move this folder away: it is built again from the log, if that is complete; if it is not, the next start \
             says so, and a snapshot must be restored"
        }
        FaultKind::Io | FaultKind::NoSpace | FaultKind::Format | FaultKind::ReadOnly => "",
    };
    // Some of its sentences have a full stop, others have none.
    let error = error.to_string();
    Fault::new(kind, format!("Cannot open the store: {}{advice}", error.trim_end_matches('.')), dir)
}
