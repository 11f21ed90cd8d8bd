//! Who writes the histories of an instance: itself, or a primary whose frames it applies.
//!
//! ```text
//!            demote: no commit after it; generations go up
//! Primary <------------------------------------------------> Replica
//!            promote: appliers end; a fresh epoch in each log, synced, before its first write
//! ```
//!
//! A *generation* names a stretch of time in which a log is what its readers take it for. Whoever passes frames on
//! between nodes keeps the generation with which it began, and stops when the log has another.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use lineage::{Lineage, Lsn};

use crate::changes::Changes;
use crate::fault::{Fault, FaultKind};
use crate::instance::Instance;
use crate::recovery;
use crate::shard::Shard;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Clients of this instance.
    Primary = 0,
    /// A primary elsewhere; clients only read.
    Replica = 1,
}

/// An instance's role and its counters.
#[derive(Debug)]
pub(crate) struct RoleState {
    role: AtomicU8,
    changes: AtomicU64,
    next_generation: AtomicU64,
}

impl RoleState {
    /// Of an instance that opens: its generations begin at a random number, so that they are not those of an earlier
    /// process.
    pub(crate) fn new(role: Role) -> Self {
        let role = AtomicU8::new(role as u8);
        let random = RandomState::new().build_hasher().finish();
        // Far from the end of the numbers, and not 0, which is no generation.
        let next_generation = AtomicU64::new((random >> 2).max(1));
        Self { role, changes: AtomicU64::new(1), next_generation }
    }

    pub(crate) fn next_generation(&self) -> u64 {
        self.next_generation.fetch_add(1, Ordering::Relaxed)
    }

    fn get(&self) -> Role {
        if self.role.load(Ordering::Acquire) == Role::Primary as u8 { Role::Primary } else { Role::Replica }
    }
}

/// Where a shard's history begins and ends, and what it is made of: what two nodes compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The log's generation.
    pub generation: u64,
    /// The eras of the history.
    pub lineage: Lineage,
    /// The first LSN that the log still has.
    pub start: Lsn,
    /// The end of the log.
    pub end: Lsn,
    /// Everything below is durable.
    pub synced: Lsn,
    /// Whether the log can be taken for what it says: it is not damaged.
    pub consistent: bool,
}

impl Instance {
    /// Who writes at present.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.get()
    }

    /// Counts the changes of role and of the primary that is followed, since the start.
    #[must_use]
    pub fn role_generation(&self) -> u64 {
        self.role.changes.load(Ordering::Acquire)
    }

    /// Told when a database was made, or a log's generation or the role changed.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// From now on a primary elsewhere writes. When this returns, no run that was under way will commit. For an instance
    /// that is a replica already it means that it follows another primary: frames of the one before are refused.
    pub fn demote(&self) {
        let _changing = self.changing.lock();
        self.role.role.store(Role::Replica as u8, Ordering::Release);
        for shard in self.shards() {
            self.renew(&shard);
            shard.set_role(Role::Replica);
            // What the primary before has sent ends here, and so do runs of clients.
            drop(shard.applying.lock());
            shard.pass_stripes();
        }
        self.note_role();
    }

    /// From now on clients write. Each database's reign begins before the first write to it, or before a replica is told
    /// of it: a primary that is demoted again before that has parted from nobody. Waits for the end of what is being
    /// applied.
    ///
    /// # Errors
    /// When there are no random numbers for replication ids; the instance is a replica still.
    pub fn promote(&self) -> Result<(), Fault> {
        let _changing = self.changing.lock();
        if self.role() == Role::Primary {
            return Ok(());
        }
        for shard in self.shards().filter(|shard| !shard.is_damaged()) {
            // From here on no frame of the old primary is taken, whatever becomes of the promotion.
            self.renew(&shard);
            let _applying = shard.applying.lock();
            recovery::rest(&shard)?;
            // A run that has found no reign to begin is still refused; those that come later find one.
            shard.pass_stripes();
        }
        self.role.role.store(Role::Primary as u8, Ordering::Release);
        for shard in self.shards() {
            shard.set_role(Role::Primary);
        }
        self.note_role();
        Ok(())
    }

    /// A database of a replica, made if need be: empty, and without an epoch of its own. Waits for the disk.
    ///
    /// # Errors
    /// When it cannot be made, or the instance is no replica.
    pub fn create_replica_shard(&self, database: usize) -> Result<(), Fault> {
        let _changing = self.changing.lock();
        if self.role() == Role::Primary {
            return Err(Fault::new(FaultKind::Io, "Only a replica makes a database without an epoch", self.dir()));
        }
        if self.shard(database).is_none() {
            self.open_shard(database)?;
        }
        Ok(())
    }

    /// Gives a shard's log another generation.
    pub(crate) fn renew(&self, shard: &Shard) {
        shard.generation.store(self.role.next_generation(), Ordering::Release);
        self.changes.note();
    }

    fn note_role(&self) {
        self.role.changes.fetch_add(1, Ordering::AcqRel);
        self.changes.note();
    }
}

impl Shard {
    /// The present generation of the log.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What the shard's history is, at one moment.
    #[must_use]
    pub fn origin(&self) -> Origin {
        loop {
            let (generation, lineage) = (self.generation(), self.log.lineage());
            let (start, synced, end) = (self.log.start(), self.log.synced(), self.log.end());
            let consistent = !self.is_damaged();
            // An epoch that was appended meanwhile would make the end one of another lineage.
            if generation == self.generation() && lineage == self.log.lineage() {
                return Origin { generation, lineage, start, end, synced, consistent };
            }
        }
    }
}
