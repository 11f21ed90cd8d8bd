//! The few things that replacing a shard asks of a file system: [`Files`], and the real one, [`OsFiles`]. A test or a
//! simulator brings another.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Folders in folders that are looked into; a shard has two of them.
pub(crate) const MOST_DEPTH: usize = 8;

/// A file system. What is not synced may be lost in a crash.
pub trait Files: Send + Sync {
    /// Makes a folder and those above it; one that exists is left alone.
    ///
    /// # Errors
    /// Those of the file system; so for all methods.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Writes a whole new file, durably but for its name.
    ///
    /// # Errors
    /// See [`Files::create_dir`].
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file or a folder another place, replacing a file that has it.
    ///
    /// # Errors
    /// See [`Files::create_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a folder and all that is in it; one that is missing is no error.
    ///
    /// # Errors
    /// See [`Files::create_dir`].
    fn remove_tree(&self, path: &Path) -> io::Result<()>;
    /// Makes the new folder `to` hold what `from` holds, durably but for its own name: the same files where the file
    /// system can, copies where it cannot.
    ///
    /// # Errors
    /// See [`Files::create_dir`].
    fn link_tree(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// See [`Files::create_dir`].
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

impl Files for OsFiles {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn link_tree(&self, from: &Path, to: &Path) -> io::Result<()> {
        link_tree(from, to, MOST_DEPTH)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

fn link_tree(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else { return Err(io::ErrorKind::InvalidInput.into()) };
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_tree(&from, &to, depth)?;
            continue;
        }
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
        }
        File::open(&to)?.sync_all()?;
    }
    File::open(to)?.sync_all()
}
