//! Where an instance keeps the shard of a database, and how a shard is held while it is used: it may be replaced by
//! another at any time.
//!
//! Who uses a shard holds a [`ShardRef`]: as long as one lives, so does the shard. So nobody keeps one while waiting for
//! something that may take for ever; a place in a shard's log is remembered by its [`ShardId`].

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::instance::Instance;
use crate::run::{Request, Scope};
use crate::shard::Shard;

/// The place of one database's shard.
#[derive(Default)]
pub(crate) struct Slot {
    shard: ArcSwapOption<Shard>,
    /// Held by whoever puts another shard in.
    pub replacing: Mutex<()>,
}

impl Slot {
    /// The shard, if the database has one.
    #[inline]
    pub(crate) fn get(&self) -> Option<ShardRef> {
        let guard = self.shard.load();
        guard.is_some().then_some(ShardRef(guard))
    }

    /// Puts a shard in and answers the one that was there.
    pub(crate) fn put(&self, shard: Arc<Shard>) -> Option<Arc<Shard>> {
        self.shard.swap(Some(shard))
    }

    /// Puts a shard in the place of the present one, if there is one: runs that have locked any of its keys come before
    /// this, and all others use the new one.
    pub(crate) fn put_over(&self, shard: Shard) {
        let old = self.get();
        let settling = old.as_ref().map(|old| old.settle_lock());
        let stripes = old.as_ref().map(|old| old.retire());
        drop(self.put(Arc::new(shard)));
        drop((stripes, settling));
    }
}

/// A shard that is being used.
pub struct ShardRef(Guard<Option<Arc<Shard>>>);

impl Deref for ShardRef {
    type Target = Arc<Shard>;

    #[inline]
    fn deref(&self) -> &Arc<Shard> {
        self.0.as_ref().expect("a reference is made of a shard that is there")
    }
}

/// One of the shards that a database has had: what a gate means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardId {
    /// The database.
    pub database: u32,
    /// Counts the shards of the database since the process began.
    pub incarnation: u32,
}

/// The shards that one run may touch.
pub(crate) struct Pins(SmallVec<[(usize, Option<ShardRef>); 1]>);

impl Pins {
    /// Of a request.
    #[inline]
    pub(crate) fn of(instance: &Instance, request: &Request<'_>) -> Self {
        let mut pins = Self(SmallVec::new());
        match request.scope {
            Scope::Keys([one]) if one.database == request.database => pins.add(instance, one.database),
            Scope::Keys(keys) => {
                pins.add(instance, request.database);
                keys.iter().for_each(|key| pins.add(instance, key.database));
            }
            Scope::Walk | Scope::Shard => pins.add(instance, request.database),
            Scope::AllShards => (0..instance.databases()).for_each(|database| pins.add(instance, database)),
        }
        pins
    }

    #[inline]
    fn add(&mut self, instance: &Instance, database: usize) {
        if !self.0.iter().any(|(known, _)| *known == database) {
            self.0.push((database, instance.shard(database)));
        }
    }

    /// The shard of a database that the request names.
    #[inline]
    pub(crate) fn shard(&self, database: usize) -> Option<&Shard> {
        let (_, shard) = self.0.iter().find(|(known, _)| *known == database)?;
        shard.as_ref().map(|shard| &***shard)
    }

    /// Those that there are, in the order of the request.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.0.iter().filter_map(|(_, shard)| shard.as_ref().map(|shard| &***shard))
    }
}
