//! The primary's promises to replicas that fetch a snapshot: [`Leases`].
//!
//! ```text
//! OPEN ──► held: files and log ──► CLOSE ──► log only ──► CONTINUE at or after the snapshot's finish, or time
//!             │    ▲
//!             └────┘ READ, KEEP renew it; otherwise it ends after [`Leases::LIFE`]
//! ```
//!
//! A lease keeps the snapshot's files, which several replicas may share, and the log from the snapshot's finish on: a
//! replica that has installed the snapshot must be able to continue.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use lineage::Lsn;

use crate::{Db, Millis, NodeId, SnapshotId};

/// The number of a lease. Never used twice in a run of the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One promise to one replica for one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub db: Db,
    /// The replica.
    pub node: NodeId,
    /// What it fetches.
    pub snapshot: SnapshotId,
    /// From here on it will want the log.
    pub finish: Lsn,
    holds: Holds,
    ends_at: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    FilesAndLog,
    Log,
}

/// All leases of a primary: at most one for each replica and shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    next: u64,
}

impl Leases {
    /// A lease ends so long after the last sign of life of its replica.
    pub const LIFE: Millis = Millis::seconds(60);

    /// No leases. `first` is the number of the first one: any random number, so that a lease of the run before is not
    /// taken for one of this run.
    #[must_use]
    pub fn new(first: u64) -> Leases {
        Leases { leases: BTreeMap::new(), next: first }
    }

    /// Whether [`Leases::open`] would succeed; worth asking before a snapshot is made.
    ///
    /// # Errors
    /// `Busy` if `most` other leases hold files.
    pub fn has_slot(&self, db: Db, node: NodeId, most: usize) -> Result<(), LeaseError> {
        let is_other = |lease: &&Lease| lease.holds == Holds::FilesAndLog && (lease.db, lease.node) != (db, node);
        let taken = self.leases.values().filter(is_other).count();
        if taken < most { Ok(()) } else { Err(LeaseError::Busy) }
    }

    /// Promises a snapshot that ends at `finish`. A promise to the same replica for the same shard ends with that.
    ///
    /// # Errors
    /// `Busy` if `most` other leases hold files.
    pub fn open(
        &mut self,
        now: Millis,
        (db, node): (Db, NodeId),
        (snapshot, finish): (SnapshotId, Lsn),
        most: usize,
    ) -> Result<LeaseId, LeaseError> {
        self.has_slot(db, node, most)?;
        self.leases.retain(|_, lease| (lease.db, lease.node) != (db, node));
        let id = LeaseId(self.next);
        self.next = self.next.wrapping_add(1);
        let lease = Lease { db, node, snapshot, finish, holds: Holds::FilesAndLog, ends_at: now + Leases::LIFE };
        self.leases.insert(id, lease);
        Ok(id)
    }

    /// Whether a replica has begun to fetch this snapshot, and has not ended: an `OPEN` goes on with it.
    #[must_use]
    pub fn is_fetching(&self, (db, node): (Db, NodeId), snapshot: &SnapshotId) -> bool {
        self.leases.values().any(|lease| {
            (lease.db, lease.node) == (db, node) && lease.snapshot == *snapshot && lease.holds == Holds::FilesAndLog
        })
    }

    /// A `READ` or `KEEP`: renews the lease.
    ///
    /// # Errors
    /// `Unknown` if it ended, or its files were given back.
    pub fn renew(&mut self, now: Millis, id: LeaseId) -> Result<&Lease, LeaseError> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.ends_at > now).ok_or(LeaseError::Unknown)?;
        if lease.holds == Holds::Log {
            return Err(LeaseError::Unknown);
        }
        lease.ends_at = now + Leases::LIFE;
        Ok(lease)
    }

    /// `CLOSE`: the replica has the files. The log stays promised for a while.
    ///
    /// # Errors
    /// `Unknown` if it ended.
    pub fn close(&mut self, now: Millis, id: LeaseId) -> Result<(), LeaseError> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.ends_at > now).ok_or(LeaseError::Unknown)?;
        lease.holds = Holds::Log;
        lease.ends_at = now + Leases::LIFE;
        Ok(())
    }

    /// The replica's shard was continued from here: what it was promised is fulfilled, if this is not from before.
    pub fn continued(&mut self, node: NodeId, db: Db, from: Lsn) {
        self.leases.retain(|_, lease| (lease.db, lease.node) != (db, node) || from < lease.finish);
    }

    /// Ends the leases of a shard whose history is no longer the one that was promised.
    pub fn revoke(&mut self, db: Db) {
        self.leases.retain(|_, lease| lease.db != db);
    }

    /// Ends what nobody renewed, and answers it.
    pub fn expire(&mut self, now: Millis) -> Vec<Lease> {
        let over = self.leases.iter().filter(|(_, lease)| lease.ends_at <= now).map(|(id, _)| *id);
        let over: Vec<LeaseId> = over.collect();
        over.iter().filter_map(|id| self.leases.remove(id)).collect()
    }

    /// When [`Leases::expire`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.leases.values().map(|lease| lease.ends_at).min()
    }

    /// Whether somebody may still read the snapshot's files.
    #[must_use]
    pub fn uses(&self, snapshot: &SnapshotId) -> bool {
        self.leases.values().any(|lease| lease.holds == Holds::FilesAndLog && lease.snapshot == *snapshot)
    }

    /// From where on the shard's log is promised.
    #[must_use]
    pub fn pin(&self, db: Db) -> Option<Lsn> {
        self.leases.values().filter(|lease| lease.db == db).map(|lease| lease.finish).min()
    }

    /// Every lease.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }
}

/// Why there is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseError {
    /// As many replicas fetch as may at the same time (`-BUSYSYNC`).
    Busy,
    /// There is no such lease, or not any more (`-NOLEASE`).
    Unknown,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseError::Busy => f.write_str("As many full syncs are under way as may be."),
            LeaseError::Unknown => f.write_str("There is no such lease."),
        }
    }
}

impl core::error::Error for LeaseError {}

/// From where on a shard's log must be kept for replicas: `needs` are the positions that feeds have reached and leases pin.
/// It never lies further than `retain_max` bytes below the log's end: a replica that is further behind copies the shard.
#[must_use]
pub fn retention_floor(needs: impl IntoIterator<Item = Lsn>, end: Lsn, retain_max: u64) -> Option<Lsn> {
    let oldest = needs.into_iter().min()?;
    Some(oldest.max(Lsn(end.0.saturating_sub(retain_max))))
}

#[cfg(test)]
mod tests;
