//! A small file system of its own, for tests of a disk without room.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A small file system of its own.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`: this machine does not let the test have one, and that has been said.
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let size = format!("size={mebibytes}m,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "haypile-test"])
            .arg(folder.path())
            .output()
            .map_err(|error| error.to_string())
            .and_then(|output| {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                if output.status.success() { Ok(()) } else { Err(said) }
            });
        match mounted {
            Ok(()) => Some(Self(folder)),
            Err(why) => {
                println!("left out, no file system can be mounted: {why}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// A file that takes room away.
    pub fn fill(&self, mebibytes: usize) -> PathBuf {
        let path = self.path().join("filler");
        fs::write(&path, vec![1; mebibytes << 20]).unwrap();
        path
    }

    /// A file that takes all the room that is left.
    pub fn fill_up(&self) -> PathBuf {
        let path = self.path().join("rest");
        let mut file = fs::File::create(&path).unwrap();
        let full = std::iter::repeat_with(|| file.write_all(&[1; 4096])).find_map(Result::err);
        assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::StorageFull));
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A test that fails has more to say than this.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
