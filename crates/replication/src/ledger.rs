//! The file of the ledger: what a node must not forget about its replication, in `data/ledger`.
//!
//! The file is replaced as a whole: a new one is written beside it and synced, the two change names, and the folder is
//! synced. So a crash leaves the old content or the new one. What was the old one is written over the next time: a full
//! disk does not keep a node from noting that its disk is full. A file that is damaged all the same is never guessed at: a node that
//! forgot that it is a replica would take writes.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use replication_proto::{Ledger, NodeId};
use rustix::fs::{CWD, RenameFlags};

/// Its name in the data folder.
pub const FILE_NAME: &str = "ledger";
/// No ledger is longer, in bytes: a line or two for each database.
const MAX_BYTES: u64 = 1 << 20;

/// The file.
#[derive(Clone, Debug)]
pub struct LedgerFile {
    folder: PathBuf,
}

impl LedgerFile {
    /// That of a data folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE_NAME)
    }

    /// What it says; `None` if there is no file yet.
    ///
    /// # Errors
    /// A sentence for the operator: the file cannot be read, or is damaged.
    pub fn load(&self) -> Result<Option<Ledger>, String> {
        let path = self.path();
        let unreadable =
            |error: io::Error| format!("The ledger of replication, {}, cannot be read: {error}.", path.display());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        Ledger::decode(&bytes).map(Some).map_err(|error| {
            format!(
                "{} is of no use: {error} It says whom this node follows; without it a replica would take writes. \
                 Move it away to start as the configuration says.",
                path.display()
            )
        })
    }

    /// Replaces it, durably.
    ///
    /// # Errors
    /// Those of the disk; then the old content is still there, or the new one is there already.
    pub fn store(&self, ledger: &Ledger) -> io::Result<()> {
        let new = self.folder.join(format!("{FILE_NAME}.new"));
        let content = ledger.encode();
        let mut file = File::options().write(true).create(true).truncate(false).open(&new)?;
        file.write_all(content.as_bytes())?;
        file.set_len(content.len() as u64)?;
        file.sync_all()?;
        // The first time there is nothing to change names with, and some file systems cannot do that.
        if rename_with(&new, &self.path(), RenameFlags::EXCHANGE).is_err() {
            fs::rename(&new, self.path())?;
        }
        File::open(&self.folder)?.sync_all()
    }
}

fn rename_with(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
}

/// A name for a new node.
///
/// # Errors
/// When the system has no random numbers.
pub fn random_node() -> io::Result<NodeId> {
    engine::entropy::bytes().map(NodeId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_proto::Address;

    fn ledger(port: u16) -> Ledger {
        let mut ledger = Ledger::new(NodeId([7; 20]));
        ledger.primary = Some(Address { host: "localhost".to_owned(), port });
        ledger
    }

    #[test]
    fn what_was_stored_last_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::in_folder(folder.path());
        assert_eq!(file.load(), Ok(None));
        file.store(&ledger(1)).unwrap();
        file.store(&ledger(2)).unwrap();
        // A crash before the rename leaves half of a new one.
        fs::write(folder.path().join("ledger.new"), "haypile").unwrap();
        assert_eq!(file.load(), Ok(Some(ledger(2))));
        file.store(&ledger(3)).unwrap();
        assert_eq!(file.load(), Ok(Some(ledger(3))));
    }

    /// No space is taken by a ledger that is not longer than the longest before it.
    #[test]
    fn the_file_before_the_last_makes_room_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::in_folder(folder.path());
        let mut long = ledger(1);
        long.detached = (0..100).map(replication_proto::Db).collect();
        let mut numbers = std::collections::BTreeSet::new();
        for round in 0..6 {
            file.store(&if round % 3 == 0 { long.clone() } else { ledger(round) }).unwrap();
            numbers.insert(std::os::unix::fs::MetadataExt::ino(&fs::metadata(file.path()).unwrap()));
        }
        assert_eq!((file.load(), numbers.len()), (Ok(Some(ledger(5))), 2));
    }

    #[test]
    fn every_damage_is_noticed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::in_folder(folder.path());
        file.store(&ledger(1)).unwrap();
        let good = fs::read(file.path()).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(file.path(), &bad).unwrap();
            let said = file.load().unwrap_err();
            assert!(said.contains(&file.path().display().to_string()) && said.contains("Move it away"), "{at}: {said}");
            fs::write(file.path(), &good[..at]).unwrap();
            assert!(file.load().is_err(), "{at} bytes");
        }
        fs::write(file.path(), [&good[..], b"x"].concat()).unwrap();
        assert!(file.load().is_err());
    }

    #[test]
    fn nodes_have_names_of_their_own() {
        assert_ne!(random_node().unwrap(), random_node().unwrap());
    }
}
