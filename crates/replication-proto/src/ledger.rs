//! What a node must not forget over restarts: [`Ledger`], and its text form.
//!
//! ```text
//! haypile-ledger 1
//! node 3f00..                                  40 digits
//! primary 10.0.0.1 7001                        absent on a node that follows nobody
//! file 10.0.0.1 7001                           the `replicaof` line that was last read or written; absent if none
//! detached 3                                   one line each, ascending
//! sync 0 diverged@4100 2 snap-17               database, reason, attempts, snapshot or -; one line each, ascending
//! crc 89ab12cd                                 CRC-32C of all bytes before this line
//! ```
//!
//! Lines come in this order and end with a line feed. The retry budget is not here: a restart begins a new one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write as _};

use crate::{Address, Db, NodeId, SnapshotId, SyncReason};

/// The content of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// This node's name.
    pub node: NodeId,
    /// Whom it follows.
    pub primary: Option<Address>,
    /// What the `replicaof` line of the configuration file said when `primary` was last decided by it or written into it.
    pub file: Option<Address>,
    /// Databases that do not follow, by `DBSLAVEOF db NO ONE`.
    pub detached: BTreeSet<Db>,
    /// Shards that must be replaced and are not yet.
    pub syncs: BTreeMap<Db, UnfinishedSync>,
}

/// A full sync that was decided on and is not done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnfinishedSync {
    /// Why.
    pub reason: SyncReason,
    /// How often it was begun.
    pub attempts: u32,
    /// What was being fetched.
    pub snapshot: Option<SnapshotId>,
}

/// Who decides at start whom a node follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decided {
    /// The ledger, because the configuration file says what it said when the ledger was written.
    ByLedger,
    /// The configuration file, because it was changed since.
    ByFile,
}

impl Ledger {
    /// The ledger of a new data folder.
    #[must_use]
    pub fn new(node: NodeId) -> Ledger {
        Ledger { node, primary: None, file: None, detached: BTreeSet::new(), syncs: BTreeMap::new() }
    }

    /// Weighs the ledger as it was left against the configuration file as it is: a `REPLICAOF` at run time survives
    /// restarts, but a file that somebody changed since then wins. Persist what comes out if the file decided.
    #[must_use]
    pub fn at_start(mut self, file: Option<Address>) -> (Ledger, Decided) {
        if self.file == file {
            return (self, Decided::ByLedger);
        }
        self.primary.clone_from(&file);
        self.file = file;
        if self.primary.is_none() {
            self.detached.clear();
            self.syncs.clear();
        }
        (self, Decided::ByFile)
    }

    /// The text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!("{MAGIC} {VERSION}\nnode {}\n", self.node);
        let mut line = |line: fmt::Arguments<'_>| {
            text.write_fmt(line).and_then(|()| text.write_char('\n')).unwrap_or_else(|_| unreachable!("text grows"));
        };
        if let Some(primary) = &self.primary {
            line(format_args!("primary {primary}"));
        }
        if let Some(file) = &self.file {
            line(format_args!("file {file}"));
        }
        for db in &self.detached {
            line(format_args!("detached {db}"));
        }
        for (db, UnfinishedSync { reason, attempts, snapshot }) in &self.syncs {
            let snapshot = snapshot.as_ref().map_or(NO_SNAPSHOT, SnapshotId::as_str);
            line(format_args!("sync {db} {reason} {attempts} {snapshot}"));
        }
        let crc = crc32c(text.as_bytes());
        text + &format!("crc {crc:08x}\n")
    }

    /// Reads the text form, spelled exactly as it is written.
    ///
    /// # Errors
    /// `Version` for a form this build does not know, `Checksum` for one that was damaged, `Syntax` for what no build
    /// wrote.
    pub fn decode(bytes: &[u8]) -> Result<Ledger, LedgerError> {
        let text = core::str::from_utf8(bytes).map_err(|_| LedgerError::Syntax)?;
        let magic = text.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(' ')).ok_or(LedgerError::Syntax)?;
        let (version, _) = magic.split_once('\n').ok_or(LedgerError::Syntax)?;
        if number(version) != Some(VERSION) {
            return Err(number(version).map_or(LedgerError::Syntax, LedgerError::Version));
        }
        let body_len = text.rfind("crc ").ok_or(LedgerError::Checksum)?;
        let (body, crc) = text.split_at(body_len);
        if crc != format!("crc {:08x}\n", crc32c(body.as_bytes())) {
            return Err(LedgerError::Checksum);
        }
        let ledger = read_lines(body).ok_or(LedgerError::Syntax)?;
        // One content has one spelling, so anything out of order or said twice shows here.
        if ledger.encode() == text { Ok(ledger) } else { Err(LedgerError::Syntax) }
    }
}

/// Why something is not a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerError {
    /// A version that this build does not know.
    Version(u32),
    /// The checksum does not fit the content, or is missing.
    Checksum,
    /// The text does not have the form of a ledger.
    Syntax,
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerError::Version(version) => {
                write!(f, "The ledger has format version {version}; this build reads version {VERSION}.")
            }
            LedgerError::Checksum => f.write_str("The ledger's checksum does not fit its content."),
            LedgerError::Syntax => f.write_str("The ledger is malformed."),
        }
    }
}

impl core::error::Error for LedgerError {}

const MAGIC: &str = "haypile-ledger";
const VERSION: u32 = 1;
const NO_SNAPSHOT: &str = "-";

fn read_lines(body: &str) -> Option<Ledger> {
    let mut lines = body.lines().skip(1);
    let mut ledger = Ledger::new(lines.next()?.strip_prefix("node ")?.parse().ok()?);
    for line in lines {
        let (key, value) = line.split_once(' ')?;
        match key {
            "primary" => ledger.primary = Some(address(value)?),
            "file" => ledger.file = Some(address(value)?),
            "detached" => drop(ledger.detached.insert(Db(number(value)?))),
            "sync" => {
                let (db, sync) = sync(value)?;
                ledger.syncs.insert(db, sync);
            }
            _ => return None,
        }
    }
    Some(ledger)
}

fn address(text: &str) -> Option<Address> {
    let (host, port) = text.split_once(' ')?;
    Some(Address { host: host.into(), port: u16::try_from(number(port)?).ok()? })
}

fn sync(text: &str) -> Option<(Db, UnfinishedSync)> {
    let mut words = text.split(' ');
    let db = Db(number(words.next()?)?);
    let reason = SyncReason::parse(words.next()?)?;
    let attempts = number(words.next()?)?;
    let snapshot = match words.next()? {
        NO_SNAPSHOT => None,
        name => Some(SnapshotId::new(name)?),
    };
    words.next().is_none().then_some((db, UnfinishedSync { reason, attempts, snapshot }))
}

/// A number spelled as it is printed.
fn number(text: &str) -> Option<u32> {
    let plain = text == "0" || text.starts_with(|c: char| ('1'..='9').contains(&c));
    plain.then(|| text.parse().ok()).flatten()
}

/// CRC-32C, bit by bit: a ledger is a few hundred bytes, written once in a while.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests;
