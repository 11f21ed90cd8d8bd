//! The data folder: one process at a time, one format version, a sub-folder a database.
//!
//! ```text
//! FORMAT           "haypile 1\n"
//! LOCK             locked (flock) by the process that uses the folder
//! db0/log/         the log of database 0, see docs/formats/log.md
//! db0/store/       its store
//! db0/quarantine/  what was cut off and might be wanted
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::fault::{Fault, FaultKind};

/// What the format file says.
pub const FORMAT: &str = "haypile 1\n";
/// Its name.
pub const FORMAT_FILE: &str = "FORMAT";

/// A data folder in use.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder for this process; makes it when missing.
    ///
    /// # Errors
    /// When another process has it, when it is of another format, when it holds other things, and faults of the disk.
    pub fn open(dir: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(dir).map_err(|error| Fault::io(&error, "The data folder cannot be made", dir))?;
        let lock = Self::lock(dir)?;
        Self::check_format(dir)?;
        Ok(Self { dir: dir.to_path_buf(), _lock: lock })
    }

    fn lock(dir: &Path) -> Result<File, Fault> {
        let path = dir.join("LOCK");
        let lock = File::options().create(true).append(true).open(&path);
        let lock = lock.map_err(|error| Fault::io(&error, "The lock file cannot be opened", &path))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Fault::new(FaultKind::Io, "Another process uses the data folder", dir))
            }
            Err(errno) => Err(Fault::io(&io::Error::from(errno), "The lock file cannot be locked", &path)),
        }
    }

    fn check_format(dir: &Path) -> Result<(), Fault> {
        let path = dir.join(FORMAT_FILE);
        match fs::read_to_string(&path) {
            Ok(found) if found == FORMAT => Ok(()),
            Ok(found) => {
                let found = found.trim_end().chars().take(64).collect::<String>();
                let expected = FORMAT.trim_end();
                let what = format!("The data folder is of format '{found}', this server reads '{expected}'");
                Err(Fault::new(FaultKind::Format, what, &path))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::found_new(dir, &path),
            Err(error) => Err(Fault::io(&error, "The format file cannot be read", &path)),
        }
    }

    fn found_new(dir: &Path, path: &Path) -> Result<(), Fault> {
        let fault = |error: io::Error| Fault::io(&error, "The format file cannot be written", path);
        if dir.join("db0").exists() {
            return Err(Fault::new(FaultKind::Format, "The data folder has databases but no FORMAT file", path));
        }
        let temporary = dir.join("FORMAT.new");
        let mut file = File::create(&temporary).map_err(fault)?;
        file.write_all(FORMAT.as_bytes()).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        fs::rename(&temporary, path).map_err(fault)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(fault)
    }

    /// The folder of a database.
    #[must_use]
    pub fn database(&self, database: usize) -> PathBuf {
        self.dir.join(format!("db{database}"))
    }

    /// The databases that have a folder, in order.
    ///
    /// # Errors
    /// When one of them has a number of `most` or more: it would be silently missing.
    pub fn databases(&self, most: usize) -> Result<Vec<usize>, Fault> {
        let unreadable = |error: io::Error| Fault::io(&error, "The data folder cannot be read", &self.dir);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("db")).and_then(|n| n.parse::<usize>().ok());
            let Some(number) = number else { continue };
            if number >= most {
                let what = format!("The data folder has database {number}, but 'databases' is {most}");
                return Err(Fault::new(FaultKind::Io, what, &self.database(number)));
            }
            found.push(number);
        }
        found.sort_unstable();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path()).unwrap();
        let second = Folder::open(dir.path()).unwrap_err();
        assert!(second.to_string().contains("Another process"), "{second}");
        drop(first);
        Folder::open(dir.path()).unwrap();
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        drop(Folder::open(dir.path()).unwrap());
        fs::write(dir.path().join("FORMAT"), "haypile 2\n").unwrap();
        let fault = Folder::open(dir.path()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Format);
        assert!(fault.to_string().contains("'haypile 2'"), "{fault}");
    }

    #[test]
    fn databases_without_a_format_are_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("db0")).unwrap();
        assert_eq!(Folder::open(dir.path()).unwrap_err().kind, FaultKind::Format);
    }

    #[test]
    fn a_database_beyond_the_configured_number_is_not_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        fs::create_dir(folder.database(3)).unwrap();
        fs::create_dir(folder.database(0)).unwrap();
        assert_eq!(folder.databases(4).unwrap(), [0, 3]);
        assert!(folder.databases(3).is_err());
    }
}
