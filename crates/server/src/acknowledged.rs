//! Waits until what a session has seen is on replicas, or durable: [`Wait`].
//!
//! It waits for positions of the histories that the shards have now. When one of them gets another history, or this node is
//! not the primary any more, nobody can say whether the data is there, and the answer is an error, never a number.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use engine::{Instance, Role, ShardId};
use lineage::{Lsn, ReplId};
use replication::primary::{Measure, Need};
use replication_proto::Db;
use resp::Reply;

use crate::gate::Marks;
use crate::session_commands::waits::{Awaited, Goal};
use crate::shared::Shared;

const UNBLOCKED: &str = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

/// What is waited for, in positions.
pub(crate) struct Wait {
    shared: Arc<Shared>,
    awaited: Awaited,
    shards: Vec<Target>,
}

/// A position in a shard's history.
struct Target {
    shard: ShardId,
    lsn: Lsn,
    /// Who writes the history.
    era: Option<ReplId>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    local: i64,
    replicas: i64,
}

impl Wait {
    pub(crate) fn new(shared: &Arc<Shared>, awaited: Awaited, seen: &Marks) -> Self {
        let instance = &shared.instance;
        let target = |&(shard, lsn): &(ShardId, u64)| Target { shard, lsn: Lsn(lsn), era: era(instance, shard) };
        let shards = seen.as_gate().iter().map(target).collect();
        Self { shared: Arc::clone(shared), awaited, shards }
    }

    /// Waits for it, and answers.
    pub(crate) async fn answer(&self, reply: &mut Reply) {
        let counts = match self.awaited.patience {
            None => self.reached().await,
            Some(patience) => match tokio::time::timeout(patience, self.reached()).await {
                Ok(counts) => counts,
                Err(_) => self.counts(),
            },
        };
        self.write(counts, reply);
    }

    /// Answers with what there is.
    pub(crate) fn answer_now(&self, reply: &mut Reply) {
        self.write(self.counts(), reply);
    }

    fn write(&self, counts: Option<Counts>, reply: &mut Reply) {
        match (counts, self.awaited.goal) {
            (None, Goal::Applied { .. } | Goal::Durable { .. }) => reply.error(UNBLOCKED),
            (Some(counts), Goal::Applied { .. }) => reply.integer(counts.replicas),
            (Some(counts), Goal::Durable { .. }) => {
                reply.array(2);
                reply.integer(counts.local);
                reply.integer(counts.replicas);
            }
        }
    }

    /// Waits until the goal is reached; `None` when it cannot be said any more.
    async fn reached(&self) -> Option<Counts> {
        let mut acknowledgements = self.shared.primary.acknowledgements();
        loop {
            // Counted before the look, so that nothing falls between.
            acknowledgements.borrow_and_update();
            let changes = self.shared.instance.changes().count();
            let counts = self.counts()?;
            let is_reached = match self.awaited.goal {
                Goal::Applied { replicas } => counts.replicas >= replicas,
                Goal::Durable { local, replicas } => counts.local >= local && counts.replicas >= replicas,
            };
            if is_reached {
                return Some(counts);
            }
            tokio::select! {
                _ = acknowledgements.changed() => {}
                () = poll_fn(|cx| self.poll_change(changes, cx)) => {}
                () = self.durable_here(), if counts.local == 0 => {}
            }
        }
    }

    /// Ready when something about the instance as a whole has changed since `seen` was counted.
    fn poll_change(&self, seen: u64, cx: &Context<'_>) -> Poll<()> {
        let changes = self.shared.instance.changes();
        // It may say so early when very many wait.
        match changes.poll(seen, cx.waker()) {
            Poll::Ready(()) if changes.count() > seen => Poll::Ready(()),
            Poll::Ready(()) | Poll::Pending => Poll::Pending,
        }
    }

    /// How far it is now; `None` when a history is another one.
    fn counts(&self) -> Option<Counts> {
        let instance = &self.shared.instance;
        let is_same = |target: &Target| era(instance, target.shard) == target.era;
        if instance.role() != Role::Primary || !self.shards.iter().all(is_same) {
            return None;
        }
        let need = |target: &Target| {
            let generation = instance.shard_of(target.shard)?.generation();
            Some(Need { db: Db(target.shard.database), generation, lsn: target.lsn })
        };
        let needs: Vec<Need> = self.shards.iter().map(need).collect::<Option<_>>()?;
        let measure = match self.awaited.goal {
            Goal::Applied { .. } => Measure::Applied,
            Goal::Durable { .. } => Measure::Synced,
        };
        let replicas = self.shared.primary.count(&needs, measure);
        let is_synced =
            |target: &Target| instance.shard_of(target.shard).is_some_and(|shard| shard.log.synced() >= target.lsn);
        let local = i64::from(self.shards.iter().all(is_synced));
        Some(Counts { local, replicas: i64::try_from(replicas).unwrap_or(i64::MAX) })
    }

    /// Has the logs synced, if that is asked for, and waits for it.
    async fn durable_here(&self) {
        match self.awaited.goal {
            Goal::Applied { .. } | Goal::Durable { local: 0, .. } => std::future::pending().await,
            Goal::Durable { .. } => {}
        }
        for target in &self.shards {
            let log = self.shared.instance.shard_of(target.shard).map(|shard| Arc::clone(&shard.log));
            let Some(log) = log else { return };
            log.request_sync(target.lsn);
            poll_fn(|cx| log.poll_synced(target.lsn, cx.waker())).await;
        }
    }
}

/// Who writes the history of a shard at present.
fn era(instance: &Instance, shard: ShardId) -> Option<ReplId> {
    instance.shard_of(shard)?.history().current().map(|era| era.id)
}
