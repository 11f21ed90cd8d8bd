//! What the owner publishes after each step: [`View`].

use std::collections::BTreeMap;
use std::time::Instant;

use replication_proto::{Db, Level, Millis, Standing, Status};

/// One moment of this node's replication; never half of a transition.
#[derive(Clone, Debug)]
pub struct View {
    /// The state machine's own view.
    pub status: Status,
    /// When the state machine's clock was 0.
    pub began: Instant,
    /// With what right this node speaks about each shard that it knows; about others as `standing` says.
    pub standings: BTreeMap<Db, Standing>,
    /// The same for shards that it does not know.
    pub standing: Standing,
    /// What exactly happened last to each machine, for people.
    pub details: BTreeMap<Level, String>,
}

impl View {
    /// How long ago a moment of the machine's clock is, in milliseconds.
    #[must_use]
    pub fn age_ms(&self, moment: Millis) -> u64 {
        self.now().since(moment).0
    }

    /// How far away a moment of the machine's clock is; 0 if it has passed.
    #[must_use]
    pub fn until_ms(&self, moment: Millis) -> u64 {
        moment.since(self.now()).0
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
