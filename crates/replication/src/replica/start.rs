//! What a node finds of its replication when it starts: [`Prepared`].
//!
//! It is read before the data is opened, because the data is opened in a role, and written only when this process has the
//! folder for itself.

use std::path::{Path, PathBuf};

use replication_proto::{Address, Decided, Ledger};

use crate::ledger::{LedgerFile, random_node};

/// The ledger, weighed against the configuration.
#[derive(Debug)]
pub struct Prepared {
    /// What it says.
    pub(super) ledger: Ledger,
    /// Where the data is.
    pub(super) folder: PathBuf,
    is_new: bool,
}

impl Prepared {
    /// Reads the ledger of a data folder. `configured` is the primary that file or arguments name.
    ///
    /// # Errors
    /// A sentence for the operator: the ledger is damaged.
    pub fn load(folder: &Path, configured: Option<Address>) -> Result<Self, String> {
        let file = LedgerFile::in_folder(folder);
        let known = file.load()?;
        let before = match &known {
            Some(ledger) => ledger.clone(),
            None => Ledger::new(random_node().map_err(|error| format!("The system has no random numbers: {error}."))?),
        };
        let (ledger, decided) = before.clone().at_start(configured);
        if known.is_some() {
            tell(&before, &ledger, decided);
        }
        let is_new = known.as_ref() != Some(&ledger);
        Ok(Self { ledger, folder: folder.to_owned(), is_new })
    }

    /// Makes it durable.
    pub(super) fn save(&self) -> Result<(), String> {
        let file = LedgerFile::in_folder(&self.folder);
        let stored = if self.is_new { file.store(&self.ledger) } else { Ok(()) };
        let path = file.path();
        stored.map_err(|error| format!("The ledger of replication, {}, cannot be written: {error}.", path.display()))
    }

    /// Whom this node follows from its start on.
    #[must_use]
    pub fn primary(&self) -> Option<&Address> {
        self.ledger.primary.as_ref()
    }
}

/// Says who decided, where the ledger and the configuration disagree.
fn tell(before: &Ledger, ledger: &Ledger, decided: Decided) {
    let name = |primary: &Option<Address>| primary.as_ref().map_or("no one".to_owned(), Address::to_string);
    match decided {
        Decided::ByFile if before.primary != ledger.primary => tracing::warn!(
            "the configuration's 'replicaof {}' has changed and wins over the 'replicaof {}' of the last run",
            name(&ledger.file),
            name(&before.primary)
        ),
        Decided::ByLedger if ledger.primary != ledger.file => tracing::warn!(
            "this node goes on with the 'replicaof {}' of its last run; the configuration's 'replicaof {}' is older",
            name(&ledger.primary),
            name(&ledger.file)
        ),
        Decided::ByFile | Decided::ByLedger => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Option<Address> {
        Some(Address { host: "localhost".to_owned(), port })
    }

    #[test]
    fn a_node_keeps_its_name_and_its_role_until_the_configuration_changes() {
        let folder = tempfile::tempdir().unwrap();
        let load = |configured| {
            let prepared = Prepared::load(folder.path(), configured).unwrap();
            prepared.save().unwrap();
            prepared
        };
        let first = load(None);
        assert_eq!(first.primary(), None);
        let node = first.ledger.node;
        // REPLICAOF at run time.
        let mut ledger = first.ledger;
        ledger.primary = address(1);
        LedgerFile::in_folder(folder.path()).store(&ledger).unwrap();
        assert_eq!(load(None).primary(), address(1).as_ref(), "it survives a restart");
        assert_eq!(load(address(2)).primary(), address(2).as_ref(), "a new line wins");
        let again = load(address(2));
        assert_eq!((again.primary(), again.ledger.node), (address(2).as_ref(), node));
    }

    #[test]
    fn a_damaged_ledger_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        std::fs::write(&path, "haypile-ledger 1\nnode x\n").unwrap();
        let said = Prepared::load(folder.path(), address(1)).unwrap_err();
        assert!(said.contains("Move it away"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "haypile-ledger 1\nnode x\n");
    }
}
