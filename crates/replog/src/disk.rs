//! The few things the log asks of a file system: [`Disk`], and the real one, [`OsDisk`]. A simulator brings another.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A file system. What is not synced may be lost in a crash, in any order.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it; one that exists is left alone.
    ///
    /// # Errors
    /// Those of the file system; so for all methods.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names of the files directly in a folder, in any order.
    ///
    /// # Errors
    /// See [`Disk::create_dir`].
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Opens an empty file for reading and writing; one that exists is emptied.
    ///
    /// # Errors
    /// See [`Disk::create_dir`].
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// See [`Disk::create_dir`].
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name in the same folder, replacing what had that name.
    ///
    /// # Errors
    /// See [`Disk::create_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// See [`Disk::create_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// See [`Disk::create_dir`].
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. Several threads may use it at once.
pub trait DiskFile: Send + Sync {
    /// Bytes in the file.
    ///
    /// # Errors
    /// Those of the file system; so for all methods.
    fn size(&self) -> io::Result<u64>;
    /// Reads up to `buf.len()` bytes; 0 at the end of the file.
    ///
    /// # Errors
    /// See [`DiskFile::size`].
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes a prefix of `bytes` and says how long it was.
    ///
    /// # Errors
    /// See [`DiskFile::size`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the file `len` bytes long, which is at most what it is.
    ///
    /// # Errors
    /// See [`DiskFile::size`].
    fn cut(&self, len: u64) -> io::Result<()>;
    /// Makes the bytes, and the length, durable.
    ///
    /// # Errors
    /// See [`DiskFile::size`].
    fn sync(&self) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.0, buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(&self.0, bytes, offset)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
