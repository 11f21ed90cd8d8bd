//! Another shard in the place of a database's present one: a full sync's, or an empty one.
//!
//! ```text
//! db0/        serves
//! db0.1/      linked from what was fetched, opened, replayed, checked          a crash up to here: db0.1 is removed
//! db0.current written: db0.1 is the shard, db0 is to be deleted or kept        a crash from here on: db0.1 serves
//! in memory   all stripes of the old one locked, the slot switched             runs that waited begin anew
//! db0/        nobody uses it any more: closed, then deleted or moved to quarantine/, and db0.current forgets it
//! ```

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keyspace::Millis;
use lineage::{Lineage, Lsn};
use parking_lot::MutexGuard;

use crate::current::Fate;
use crate::fault::{Fault, FaultKind};
use crate::hot::Stripe;
use crate::instance::Instance;
use crate::quarantine::{Kept, Past};
use crate::recovery;
use crate::role::Role;
use crate::settle;
use crate::shard::Shard;

/// How long whoever replaces a shard waits for those who still use the old one; after that the settle thread does.
const RETIRE_WAIT: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };
/// How often it is looked whether they have gone.
const RETIRE_PAUSE: Duration = Duration::from_millis(1);

/// What a shard that is to be installed must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Before this LSN it has every frame.
    pub finish: Lsn,
    /// Its history.
    pub lineage: Lineage,
}

/// What replacing a shard came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Where the new shard's log ends.
    pub end: Lsn,
    /// What was kept of the old one; `None`: all of it is in the new one.
    pub kept: Option<Kept>,
}

/// A shard that was replaced, while somebody may still use it.
pub(crate) struct Retired {
    shard: Arc<Shard>,
    folder: String,
    fate: Fate,
}

impl Instance {
    /// Puts the shard whose files lie in `prepared` in the place of a database's present one, on a replica. `prepared`
    /// stays as it is, in the same file system if the files are not to be copied; whoever made it removes it afterwards.
    /// `progress` is told the bytes replayed and the bytes to replay, after each step, also if it has no bytes. Waits for the disk. A crash at any moment leaves the
    /// old shard or the new one.
    ///
    /// # Errors
    /// `Corrupt` when the files are not what was promised, and faults of a disk: the old shard is still there.
    pub fn install_shard(
        &self,
        database: usize,
        prepared: &Path,
        promise: &Promise,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Installed, Fault> {
        let _replacing = self.slots[database].replacing.lock();
        self.try_to_retire();
        let name = self.folder.new_name(database)?;
        let dir = self.dir().join(&name);
        let files = &self.options.files;
        let made = files.link_tree(prepared, &dir);
        let opened = made.map_err(|error| Fault::io(&error, "The fetched shard cannot be put into place", &dir));
        let opened = opened.and_then(|()| {
            let outcome = files.sync_dir(self.dir());
            outcome.map_err(|error| Fault::io(&error, "The data folder cannot be synced", self.dir()))?;
            progress(0, 0);
            let shard = self.open_beside(database, &dir, progress)?;
            check(&shard, promise).inspect_err(|_| shard.release(&self.budget))?;
            Ok(shard)
        });
        opened.and_then(|shard| self.take_place(database, name, shard)).inspect_err(|_| self.abandon(database, &dir))
    }

    /// Puts an empty shard in the place of a database's present one, on a replica. Waits for the disk.
    ///
    /// # Errors
    /// Faults of a disk: the old shard is still there.
    pub fn reset_shard(&self, database: usize) -> Result<Installed, Fault> {
        let _replacing = self.slots[database].replacing.lock();
        self.try_to_retire();
        let name = self.folder.new_name(database)?;
        let dir = self.dir().join(&name);
        let opened = self.open_beside(database, &dir, &mut |_, _| {});
        opened.and_then(|shard| self.take_place(database, name, shard)).inspect_err(|_| self.abandon(database, &dir))
    }

    fn open_beside(&self, database: usize, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Shard, Fault> {
        let id = self.new_id(database);
        let (shard, _) = recovery::open(&self.options, &self.budget, id, dir.to_path_buf(), progress)?;
        shard.set_role(Role::Replica);
        self.renew(&shard);
        Ok(shard)
    }

    /// What an attempt to replace a shard has left is in nobody's way: the next start would remove it, too.
    fn abandon(&self, database: usize, dir: &Path) {
        if self.folder.database(database).is_ok_and(|current| current == dir) {
            return; // It is not known to have failed.
        }
        if let Err(error) = self.options.files.remove_tree(dir) {
            tracing::warn!(path = %dir.display(), %error, "a shard that was not installed could not be removed");
        }
    }

    /// Switches to a shard that is ready, on the disk and then in memory.
    fn take_place(&self, database: usize, name: String, new: Shard) -> Result<Installed, Fault> {
        let end = new.log.end();
        let kept = self.switch(database, &name, new)?;
        tracing::info!(database, folder = name, %end, "another shard took the place of the present one");
        let until = Instant::now() + RETIRE_WAIT;
        while self.try_to_retire() > 0 && Instant::now() < until {
            std::thread::sleep(RETIRE_PAUSE);
        }
        Ok(Installed { end, kept })
    }

    fn switch(&self, database: usize, name: &str, new: Shard) -> Result<Option<Kept>, Fault> {
        let _changing = self.changing.lock();
        let old = self.shard(database).map(|shard| Arc::clone(&shard));
        // Frames that are being applied end first; later ones are of another generation.
        old.iter().for_each(|old| self.renew(old));
        let applying = old.as_ref().map(|old| old.applying.lock());
        let (kept, retired) = match self.switch_disk(database, name, old.as_deref(), &new) {
            Ok(outcome) => outcome,
            Err(fault) => {
                new.release(&self.budget);
                return Err(fault);
            }
        };
        self.slots[database].put_over(new);
        drop(applying);
        if let Some((shard, (folder, fate))) = old.zip(retired) {
            self.retired.lock().push(Retired { shard, folder, fate });
        }
        self.changes.note();
        Ok(kept)
    }

    /// Makes a restart find the new shard. Answers what will be kept of the old one, its folder, and what becomes of that.
    #[expect(clippy::type_complexity, reason = "two things that are told apart by their types")]
    fn switch_disk(
        &self,
        database: usize,
        name: &str,
        old: Option<&Shard>,
        new: &Shard,
    ) -> Result<(Option<Kept>, Option<(String, Fate)>), Fault> {
        if self.role() == Role::Primary {
            return Err(Fault::new(FaultKind::Io, "The instance has become a primary meanwhile", self.dir()));
        }
        let Some(old) = old else {
            self.folder.replace(database, name, None)?;
            return Ok((None, None));
        };
        if !old.is_damaged() {
            // Gates of the old shard open when it is gone, so what they wait for is made durable.
            settle::sync(old, old.log.end().0)?;
        }
        let kept = kept_of(old, new, (self.options.clock)()).map(|kept| kept.with_name_of_its_own(self.dir()));
        let fate = kept.as_ref().map_or(Fate::Delete, |kept| Fate::Quarantine(kept.name()));
        if let Some(kept) = &kept {
            self.folder.announce(kept)?;
        }
        let folder = self.folder.replace(database, name, Some(fate.clone()))?;
        Ok((kept, Some((folder, fate))))
    }

    /// Closes shards that were replaced and that nobody uses any more, and deletes or keeps their folders; answers how
    /// many there still are.
    pub(crate) fn try_to_retire(&self) -> usize {
        let mut retired = self.retired.lock();
        let (gone, used): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *retired).into_iter().partition(|one| Arc::strong_count(&one.shard) == 1);
        *retired = used;
        for Retired { shard, folder, fate } in gone {
            let database = shard.database;
            if let Some(shard) = Arc::into_inner(shard) {
                if let Err(error) = shard.log.close() {
                    tracing::warn!(database, %error, "the log of a replaced shard did not close in order");
                }
                shard.release(&self.budget);
            }
            // What fails here is done by the next start.
            if let Err(fault) = self.folder.bury(database, &folder, &fate) {
                tracing::warn!(database, %fault, "the folder of a replaced shard stays for now");
            }
        }
        retired.len()
    }
}

/// What is to be kept of a shard that is replaced.
fn kept_of(old: &Shard, new: &Shard, clock: Millis) -> Option<Kept> {
    Kept::of(old.database, clock, &past(old), &past(new))
}

fn past(shard: &Shard) -> Past {
    Past { lineage: shard.log.lineage(), start: shard.log.start(), end: shard.log.end() }
}

/// Whether a shard is what was promised.
fn check(shard: &Shard, promise: &Promise) -> Result<(), Fault> {
    if let Some(fault) = shard.trouble() {
        return Err(fault);
    }
    let (end, finish) = (shard.log.end(), promise.finish);
    if end < finish {
        return Err(shard.corrupt(&format!("The fetched shard ends at LSN {end}, before it is consistent at {finish}")));
    }
    if shard.log.lineage().cut(finish) != promise.lineage.cut(finish) {
        return Err(shard.corrupt("The fetched shard has another history than the primary said"));
    }
    Ok(())
}

impl Shard {
    /// Whether nobody ever wrote anything to it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        past(self).is_blank()
    }

    /// Whether another has taken its place.
    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Nobody begins to use it after this: runs find out once they have their locks. The guards are of all stripes.
    pub(crate) fn retire(&self) -> Vec<MutexGuard<'_, Stripe>> {
        let stripes = self.stripes.iter().map(|stripe| stripe.0.lock()).collect();
        self.retired.store(true, Ordering::Release);
        stripes
    }
}
