//! Room on the disk that a start can use when there is no other.
//!
//! A store cannot be opened without writing a little, nor an epoch be begun. A server that ended on a full disk could so not
//! be started again before somebody has made room, and nobody could read meanwhile. A file of nothing holds that room: the
//! start that finds the disk full gives it up, and takes it again before anything else can.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FallocateFlags;

use crate::fault::{Fault, FaultKind};

/// Name of the file in the data folder.
pub const BALLAST_FILE: &str = "BALLAST";
/// On a full disk as many of these are taken as there are.
const STEP: u64 = 256 << 10;
/// While the server runs, the room is taken only where this many times more is free: others are waiting for it.
const PLENTY: u64 = 4;

/// The room, and how much of it is held.
pub(crate) struct Ballast {
    path: PathBuf,
    /// Bytes that are wanted; 0: none.
    wanted: u64,
    /// Bytes of the file. The start changes it, and after that the settle thread alone.
    held: AtomicU64,
}

impl Ballast {
    /// The ballast of a data folder that this process has, as it was left.
    pub(crate) fn new(dir: &Path, wanted: u64) -> Self {
        let path = dir.join(BALLAST_FILE);
        let held = fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, wanted, held: AtomicU64::new(held) }
    }

    fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Does what a start must do; when the disk has no room for it, once more with the room that is held.
    ///
    /// # Errors
    /// What the last attempt says.
    pub(crate) fn steady<T>(&self, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
        match attempt() {
            Err(fault) if fault.kind == FaultKind::NoSpace && self.give_up(&fault) => attempt(),
            outcome => outcome,
        }
    }

    /// Whether there was anything to give up.
    fn give_up(&self, fault: &Fault) -> bool {
        let bytes = self.held.swap(0, Ordering::Relaxed);
        if bytes == 0 || fs::remove_file(&self.path).is_err() {
            return false;
        }
        tracing::warn!(bytes, %fault, "the disk is full: the start uses the room that was kept for it");
        true
    }

    /// At the end of a start: takes what there is, at most what is wanted.
    pub(crate) fn take(&self) {
        let mut bytes = self.wanted.min(room(&self.path).free / STEP * STEP + self.held());
        while bytes > self.held() && !self.hold(bytes) {
            bytes = bytes.saturating_sub(STEP);
        }
    }

    /// While the server runs: takes what is wanted if there is plenty.
    pub(crate) fn renew(&self) {
        if self.held() < self.wanted && room(&self.path).available >= self.wanted.saturating_mul(PLENTY) {
            self.hold(self.wanted);
        }
    }

    /// Has the file hold so many bytes, more than it does; `false`: it holds as many as before.
    fn hold(&self, bytes: u64) -> bool {
        match allocate(&self.path, bytes) {
            Ok(()) => {
                self.held.store(bytes, Ordering::Relaxed);
                true
            }
            Err(error) => {
                tracing::debug!(bytes, %error, "no room can be kept for a start on a full disk");
                // What was taken of it in part is given back.
                let _ = File::options().write(true).open(&self.path).and_then(|file| file.set_len(self.held()));
                false
            }
        }
    }
}

/// Makes a file, or makes it longer, and has the disk set all of its room aside.
fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    file.sync_all()
}

/// What is free on a disk, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// All of it. Some may be for privileged users only.
    free: u64,
    /// For everybody.
    available: u64,
}

/// What is free where `path` lies; nothing when nobody can say.
fn room(path: &Path) -> Room {
    let folder = path.parent().unwrap_or(Path::new("."));
    rustix::fs::statvfs(folder).map_or(Room::default(), |disk| Room {
        free: disk.f_bfree.saturating_mul(disk.f_frsize),
        available: disk.f_bavail.saturating_mul(disk.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const WANTED: u64 = 4 * STEP;

    fn length(dir: &Path) -> Option<u64> {
        fs::metadata(dir.join(BALLAST_FILE)).ok().map(|file| file.len())
    }

    fn full(dir: &Path) -> Fault {
        Fault::new(FaultKind::NoSpace, "The disk is full", dir)
    }

    #[test]
    fn a_full_disk_is_tried_again_with_the_room_that_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        Ballast::new(dir.path(), WANTED).take();
        assert_eq!(length(dir.path()), Some(WANTED));

        let ballast = Ballast::new(dir.path(), WANTED);
        let tries = Cell::new(0);
        let outcome = ballast.steady(|| {
            tries.set(tries.get() + 1);
            if length(dir.path()).is_some() { Err(full(dir.path())) } else { Ok(tries.get()) }
        });
        assert_eq!(outcome.ok(), Some(2));
        ballast.take();
        assert_eq!(length(dir.path()), Some(WANTED));
    }

    #[test]
    fn without_any_it_is_tried_once() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path(), 0);
        ballast.take();
        assert_eq!(length(dir.path()), None);
        let tries = Cell::new(0);
        let outcome = ballast.steady(|| {
            tries.set(tries.get() + 1);
            Err::<(), _>(full(dir.path()))
        });
        assert_eq!((outcome.map_err(|fault| fault.kind), tries.get()), (Err(FaultKind::NoSpace), 1));
    }

    #[test]
    fn other_faults_leave_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path(), WANTED);
        ballast.take();
        let outcome = ballast.steady(|| Err::<(), _>(Fault::new(FaultKind::Corrupt, "Bytes", dir.path())));
        assert_eq!(outcome.map_err(|fault| fault.kind), Err(FaultKind::Corrupt));
        assert_eq!(length(dir.path()), Some(WANTED));
    }

    #[test]
    fn what_was_left_is_filled_up_when_there_is_plenty() {
        let dir = tempfile::tempdir().unwrap();
        Ballast::new(dir.path(), STEP).take();
        let ballast = Ballast::new(dir.path(), WANTED);
        ballast.renew();
        assert_eq!(length(dir.path()), Some(WANTED));
        let more_than_there_is = Ballast::new(dir.path(), u64::MAX / 2);
        more_than_there_is.renew();
        assert_eq!(length(dir.path()), Some(WANTED));
    }
}
