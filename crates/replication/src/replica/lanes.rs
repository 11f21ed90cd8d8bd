//! What must come one after the other for a shard: [`Lanes`].
//!
//! A link that was closed may still be applying what it had received, and a transfer that was stopped may still be writing.
//! What begins next for that shard waits for it; the owner does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use replication_proto::{Db, LinkId, TransferId};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fetch::Stop;

/// What runs for a shard.
pub(super) enum Work {
    /// A shard link.
    Link(LinkId, watch::Sender<bool>),
    /// A transfer.
    Transfer(TransferId, Arc<Stop>),
    /// Something that ends by itself.
    Short,
}

/// The last thing that was begun for each shard; it waits for those before it.
#[derive(Default)]
pub(super) struct Lanes(BTreeMap<Db, (Work, JoinHandle<()>)>);

impl Lanes {
    /// Begins something; it waits until what was begun before has ended.
    pub fn begin(&mut self, db: Db, work: Work, task: impl Future<Output = ()> + Send + 'static) {
        let before = self.0.remove(&db);
        let handle = tokio::spawn(async move {
            if let Some((work, handle)) = before {
                work.stop();
                // A panic has ended the process already.
                let _ = handle.await;
            }
            task.await;
        });
        self.0.insert(db, (work, handle));
    }

    /// Stops a link, if it is the one that runs.
    pub fn stop_link(&self, db: Db, link: LinkId) {
        if let Some((work @ Work::Link(running, _), _)) = self.0.get(&db)
            && *running == link
        {
            work.stop();
        }
    }

    /// Stops a transfer, if it is the one that runs.
    pub fn stop_transfer(&self, db: Db, transfer: TransferId) {
        if let Some((work @ Work::Transfer(running, _), _)) = self.0.get(&db)
            && *running == transfer
        {
            work.stop();
        }
    }

    /// Lets a transfer install, if it is the one that runs.
    pub fn install(&self, db: Db, transfer: TransferId) {
        if let Some((Work::Transfer(running, stop), _)) = self.0.get(&db)
            && *running == transfer
        {
            stop.install();
        }
    }

    /// Stops everything; answers what to wait for.
    pub fn stop_all(&mut self) -> Vec<JoinHandle<()>> {
        let all = std::mem::take(&mut self.0);
        all.into_values()
            .map(|(work, handle)| {
                work.stop();
                handle
            })
            .collect()
    }
}

impl Work {
    fn stop(&self) {
        match self {
            Self::Link(_, stop) => {
                stop.send_replace(true);
            }
            Self::Transfer(_, stop) => stop.set(),
            Self::Short => {}
        }
    }
}
