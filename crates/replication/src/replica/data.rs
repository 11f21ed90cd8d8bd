//! What the replica's side asks of the data on this node: [`Data`].

use std::path::Path;
use std::task::{Context, Poll};

use lineage::{Lineage, Lsn};
use replication_proto::{Cause, Db, Positions};

use crate::wire::Manifest;

/// A shard as it stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standpoint {
    /// Its history.
    pub lineage: Lineage,
    /// The end of its log.
    pub end: Lsn,
    /// Its log generation: frames are applied only while it is the same.
    pub generation: u64,
}

/// What went wrong, as the state machine names it, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFault {
    /// For the state machine.
    pub cause: Cause,
    /// For people.
    pub detail: String,
}

/// The data. What blocks is called by threads that may wait.
pub trait Data: Send + Sync {
    /// The databases that exist.
    fn existing(&self) -> Vec<Db>;

    /// Where a database stands; an empty one is made where there is none. Blocks.
    ///
    /// # Errors
    /// When it cannot be made.
    fn standpoint(&self, db: Db) -> Result<Standpoint, DataFault>;

    /// How far a database is.
    fn positions(&self, db: Db) -> Positions;

    /// Applies whole frames whose first begins at `at`. Blocks, for room in memory as long as it `is_wanted`.
    ///
    /// # Errors
    /// When they do not fit, or the disk does not take them; nothing of a frame that failed has happened.
    fn apply(
        &self,
        db: Db,
        frames: &[u8],
        at: Lsn,
        generation: u64,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<(), DataFault>;

    /// Asks for everything that was applied to be synced.
    fn request_sync(&self, db: Db);

    /// Ready once everything below `lsn` is synced; else the waker is woken then.
    fn poll_synced(&self, db: Db, lsn: Lsn, context: &mut Context<'_>) -> Poll<()>;

    /// The folder of a database's store, where files may lie that a full sync would fetch.
    fn store_folder(&self, db: Db) -> Option<std::path::PathBuf>;

    /// Puts the shard that was fetched into `folder` in the place of the present one; answers where it ends. `progress`
    /// is told bytes replayed, and bytes to replay. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened or is not what the manifest promises; then the old one is still there.
    fn install(&self, folder: &Path, manifest: &Manifest, progress: &mut dyn FnMut(u64, u64))
    -> Result<Lsn, DataFault>;

    /// Puts an empty shard in the place of the present one, which goes to quarantine. Blocks.
    ///
    /// # Errors
    /// Those of the disk.
    fn reset(&self, db: Db) -> Result<Lsn, DataFault>;

    /// Puts an empty shard in the place of one to which nobody ever wrote anything; `false`: somebody did. Blocks.
    ///
    /// # Errors
    /// Those of the disk.
    fn forget_blank(&self, db: Db) -> Result<bool, DataFault>;

    /// Gives up the oldest of what is kept only because somebody might look at it, if all of that takes `bytes` of the disk
    /// or more; `false`: nothing. Blocks.
    fn make_room(&self, bytes: u64) -> bool;

    /// Refuses writes of clients from now on. Blocks for the writes that have begun.
    fn demote(&self);

    /// Accepts writes; each shard begins a fresh epoch, durably, before the first. Waits for what is being applied. Blocks.
    ///
    /// # Errors
    /// When there are no random numbers for the epochs' ids.
    fn promote(&self) -> Result<(), DataFault>;
}
