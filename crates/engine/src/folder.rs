//! The data folder: one process at a time, one format version, a sub-folder a database.
//!
//! ```text
//! FORMAT           "haypile 1\n"
//! LOCK             locked (flock) by the process that uses the folder
//! BALLAST          room for a start on a full disk, see `ballast.rs`
//! db0/log/         the log of database 0, see docs/formats/log.md
//! db0/store/       its store
//! db0/quarantine/  what was cut off and might be wanted
//! db0.current      once the shard was replaced: which folder holds it, see `current.rs`
//! quarantine/      shards that were replaced and held what is nowhere else, see `quarantine.rs`
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::current::{Current, Fate, incarnation_of};
use crate::fault::{Fault, FaultKind};
use crate::files::Files;
use crate::quarantine::{self, Kept};

/// What the format file says.
pub const FORMAT: &str = "haypile 1\n";
/// Its name.
pub const FORMAT_FILE: &str = "FORMAT";

/// A data folder in use.
pub struct Folder {
    dir: PathBuf,
    files: Arc<dyn Files>,
    /// Held while a file `db<N>.current` is changed.
    changing: Mutex<()>,
    _lock: File,
}

impl Folder {
    /// Takes the folder for this process; makes it when missing.
    ///
    /// # Errors
    /// When another process has it, when it is of another format, when it holds other things, and faults of the disk.
    pub fn open(dir: &Path, files: Arc<dyn Files>) -> Result<Self, Fault> {
        fs::create_dir_all(dir).map_err(|error| Fault::io(&error, "The data folder cannot be made", dir))?;
        let lock = Self::lock(dir)?;
        Self::check_format(dir)?;
        Ok(Self { dir: dir.to_path_buf(), files, changing: Mutex::default(), _lock: lock })
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

    /// The folder of a database's shard.
    ///
    /// # Errors
    /// When the file that tells cannot be read.
    pub fn database(&self, database: usize) -> Result<PathBuf, Fault> {
        Ok(self.dir.join(self.current(database)?.shard))
    }

    fn current_file(&self, database: usize) -> PathBuf {
        self.dir.join(format!("db{database}.current"))
    }

    fn current(&self, database: usize) -> Result<Current, Fault> {
        let path = self.current_file(database);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Current::first(database)),
            Err(error) => return Err(Fault::io(&error, "The file cannot be read", &path)),
        };
        let unknown = "The file does not say in a known form which folder holds the database";
        let current = Current::decode(&text, database).ok_or_else(|| Fault::new(FaultKind::Format, unknown, &path))?;
        if !self.dir.join(&current.shard).is_dir() {
            let what = format!("The folder '{}' that holds the database is missing", current.shard);
            return Err(Fault::new(FaultKind::Corrupt, what, &path));
        }
        Ok(current)
    }

    fn set_current(&self, database: usize, current: &Current) -> Result<(), Fault> {
        let path = self.current_file(database);
        let draft = self.dir.join(format!("db{database}.current.new"));
        let fault = |error: io::Error| Fault::io(&error, "The file cannot be replaced", &path);
        self.files.write(&draft, current.encode().as_bytes()).map_err(fault)?;
        self.files.rename(&draft, &path).map_err(fault)
    }

    fn sync(&self) -> Result<(), Fault> {
        let synced = self.files.sync_dir(&self.dir);
        synced.map_err(|error| Fault::io(&error, "The data folder cannot be synced", &self.dir))
    }

    fn names(&self) -> Result<Vec<String>, Fault> {
        let unreadable = |error: io::Error| Fault::io(&error, "The data folder cannot be read", &self.dir);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(unreadable)? {
            names.extend(entry.map_err(unreadable)?.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// A name for another folder of a database.
    ///
    /// # Errors
    /// When the data folder cannot be read.
    pub fn new_name(&self, database: usize) -> Result<String, Fault> {
        let current = self.current(database)?;
        let known = current.old.into_iter().map(|old| old.folder).chain([current.shard]).chain(self.names()?);
        let last = known.filter_map(|name| incarnation_of(&name, database)).max().unwrap_or(0);
        Ok(format!("db{database}.{}", last + 1))
    }

    /// Makes `name` the folder of a database's shard, durably; answers the name of the one before. With no `fate` there
    /// was none.
    ///
    /// # Errors
    /// A fault of the disk: then it is not known which of the two a crash would leave, and both must stay.
    pub(crate) fn replace(&self, database: usize, name: &str, fate: Option<Fate>) -> Result<String, Fault> {
        let _changing = self.changing.lock();
        let mut current = match fate {
            Some(_) => self.current(database)?,
            None => Current::first(database),
        };
        let before = current.shard.clone();
        match fate {
            Some(fate) => current.replace(name.to_owned(), fate),
            None => name.clone_into(&mut current.shard),
        }
        self.set_current(database, &current)?;
        if let Err(fault) = self.sync() {
            // Whatever a crash would leave now, both folders are there.
            tracing::error!(database, %fault, "a crash now may bring back the shard that was replaced");
        }
        Ok(before)
    }

    /// Puts the manifest of a shard that will be kept where the shard will be.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(crate) fn announce(&self, kept: &Kept) -> Result<(), Fault> {
        let place = quarantine::place(&self.dir, &kept.name());
        let fault = |error: io::Error| Fault::io(&error, "The shard cannot be put into quarantine", &place);
        self.files.create_dir(&place).map_err(fault)?;
        self.files.write(&quarantine::manifest(&place), kept.encode().as_bytes()).map_err(fault)?;
        self.files.write(&place.join(FORMAT_FILE), FORMAT.as_bytes()).map_err(fault)?;
        self.files.sync_dir(&place).map_err(fault)?;
        self.files.sync_dir(place.parent().unwrap_or(&self.dir)).map_err(fault)?;
        self.sync()
    }

    /// Whether a shard is yet to be moved to where its manifest is.
    ///
    /// # Errors
    /// When the file that tells cannot be read.
    pub(crate) fn awaits_burial(&self, kept: &Kept) -> Result<bool, Fault> {
        let fate = Fate::Quarantine(kept.name());
        Ok(self.current(kept.database)?.old.iter().any(|old| old.fate == fate))
    }

    /// Deletes or keeps a folder whose shard was replaced and is closed, and forgets it. May be repeated.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(crate) fn bury(&self, database: usize, folder: &str, fate: &Fate) -> Result<(), Fault> {
        let path = self.dir.join(folder);
        let fault = |error: io::Error| Fault::io(&error, "The folder of a replaced shard cannot be put away", &path);
        match fate {
            Fate::Delete => self.files.remove_tree(&path).map_err(fault)?,
            Fate::Quarantine(name) if path.exists() => {
                let place = quarantine::place(&self.dir, name);
                self.files.create_dir(&place).map_err(fault)?;
                self.files.rename(&path, &place.join(format!("db{database}"))).map_err(fault)?;
                self.files.sync_dir(&place).map_err(fault)?;
            }
            Fate::Quarantine(_) => {}
        }
        self.sync()?;
        let _changing = self.changing.lock();
        let mut current = self.current(database)?;
        current.old.retain(|old| old.folder != folder);
        self.set_current(database, &current)
    }

    /// Ends what a crash cut short: buries what was replaced, removes what was never finished.
    ///
    /// # Errors
    /// A fault of the disk, or a file that cannot be read.
    pub fn tidy(&self, database: usize) -> Result<(), Fault> {
        let current = self.current(database)?;
        for name in self.names()? {
            let is_old = current.old.iter().any(|old| old.folder == name);
            if incarnation_of(&name, database).is_none() || name == current.shard || is_old {
                continue;
            }
            let path = self.dir.join(&name);
            tracing::info!(path = %path.display(), "removing a shard that was never installed");
            let removed = self.files.remove_tree(&path);
            removed.map_err(|error| Fault::io(&error, "An unfinished shard cannot be removed", &path))?;
        }
        for old in &current.old {
            self.bury(database, &old.folder, &old.fate)?;
        }
        Ok(())
    }

    /// The databases that have a folder, in order.
    ///
    /// # Errors
    /// When one of them has a number of `most` or more: it would be silently missing.
    pub fn databases(&self, most: usize) -> Result<Vec<usize>, Fault> {
        let mut found = Vec::new();
        for name in self.names()? {
            let number = name.strip_prefix("db").map(|name| name.strip_suffix(".current").unwrap_or(name));
            let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else { continue };
            if number >= most {
                let what = format!("The data folder has database {number}, but 'databases' is {most}");
                return Err(Fault::new(FaultKind::Io, what, &self.dir.join(name)));
            }
            found.push(number);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::OsFiles;

    fn open(dir: &Path) -> Result<Folder, Fault> {
        Folder::open(dir, Arc::new(OsFiles))
    }

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let second = open(dir.path()).err().unwrap();
        assert!(second.to_string().contains("Another process"), "{second}");
        drop(first);
        open(dir.path()).unwrap();
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        fs::write(dir.path().join("FORMAT"), "haypile 2\n").unwrap();
        let fault = open(dir.path()).err().unwrap();
        assert_eq!(fault.kind, FaultKind::Format);
        assert!(fault.to_string().contains("'haypile 2'"), "{fault}");
    }

    #[test]
    fn databases_without_a_format_are_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("db0")).unwrap();
        assert_eq!(open(dir.path()).err().unwrap().kind, FaultKind::Format);
    }

    #[test]
    fn a_database_beyond_the_configured_number_is_not_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("db3")).unwrap();
        fs::create_dir(dir.path().join("db0")).unwrap();
        assert_eq!(folder.databases(4).unwrap(), [0, 3]);
        assert!(folder.databases(3).is_err());
    }
}
