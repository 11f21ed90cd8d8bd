//! Commands of an operator, and the promotion that follows one of them.

use alloc::vec::Vec;

use super::{Lead, Node, NodeState, Promotion};
use crate::retry::{Next, Retry};
use crate::shard::intend;
use crate::{Address, Alarm, Cause, Config, Db, DbOrder, Level, Occurrence, PromotionId, Scope, Start, SyncReason};

impl Node {
    /// `REPLICAOF host port`.
    pub(super) fn follow(&mut self, primary: Address) {
        let now = self.common.now;
        let is_restart = self.common.ledger.primary.as_ref() == Some(&primary);
        if !is_restart {
            self.common.start(Start::Demote);
            self.role_generation += 1;
            self.common.write(|ledger| ledger.primary = Some(primary));
        }
        self.release(Cause::Operator);
        if !is_restart {
            // What could not be had from the primary before may be had from this one.
            self.drop_transfers(|reason| reason == SyncReason::Stuck);
        }
        self.forgive();
        self.down_since.get_or_insert(now);
        for memory in self.memories.values_mut() {
            if let NodeState::NoConnect(_) = self.state {
                memory.wanted_since = now;
            }
            if !is_restart {
                // Nothing is known of the new one's log.
                memory.end = None;
                memory.behind = None;
            }
        }
        match self.state {
            NodeState::Connect => {}
            NodeState::NoConnect(_) | NodeState::Connecting { .. } | NodeState::Connected(_) | NodeState::Error => {
                self.enter(NodeState::Connect, Cause::Operator);
            }
        }
    }

    /// `REPLICAOF NO ONE`.
    pub(super) fn follow_no_one(&mut self) {
        if let NodeState::NoConnect(_) = self.state {
            return;
        }
        self.release(Cause::Operator);
        // A primary needs none.
        self.drop_transfers(|_| true);
        self.forgive();
        self.role_generation += 1;
        self.down_since = None;
        self.common.write(|ledger| {
            ledger.primary = None;
            ledger.detached.clear();
        });
        self.common.clear_all(Level::Node);
        let dbs: Vec<Db> = self.memories.keys().copied().collect();
        for db in dbs {
            self.common.clear_all(Level::Shard(db));
        }
        for memory in self.memories.values_mut() {
            memory.down_since = None;
            memory.current_at = None;
            memory.behind = None;
            memory.syncs = 0;
        }
        let promoting = Lead::Promoting(Promotion::Waits(self.common.now));
        self.enter(NodeState::NoConnect(promoting), Cause::Operator);
        if self.installs() {
            self.common.emit(Level::Node, Occurrence::PromotionWaits(Cause::Loading));
        }
    }

    /// Interrupted full syncs that are not needed any more; installs end first.
    fn drop_transfers(&mut self, is_needless: impl Fn(SyncReason) -> bool) {
        let syncs = self.common.ledger.syncs.iter();
        let needless: Vec<Db> = syncs.filter(|(_, sync)| is_needless(sync.reason)).map(|(db, _)| *db).collect();
        for db in needless {
            if self.memories.get(&db).is_some_and(|memory| memory.install.is_some()) {
                continue;
            }
            self.common.write(|ledger| drop(ledger.syncs.remove(&db)));
            self.common.start(Start::DropFiles { db });
        }
    }

    /// A new episode for the node and all shards.
    fn forgive(&mut self) {
        self.retry = Retry::new(self.common.now);
        self.common.clear(Level::Node, Alarm::RetriesExhausted);
        for (db, memory) in &mut self.memories {
            memory.retry = Retry::new(self.common.now);
            self.common.clear(Level::Shard(*db), Alarm::RetriesExhausted);
        }
    }

    /// Orders the promotion as soon as no install runs.
    pub(super) fn promote(&mut self) {
        if self.installs() {
            self.common.emit(Level::Node, Occurrence::PromotionWaits(Cause::Loading));
            self.state = NodeState::NoConnect(Lead::Promoting(Promotion::Waits(self.common.now)));
            return;
        }
        let promotion = self.common.promotion();
        self.common.start(Start::Promote(promotion));
        let ordered = Promotion::Ordered(promotion, self.common.now);
        self.state = NodeState::NoConnect(Lead::Promoting(ordered));
    }

    /// The promotion takes so long that people should know.
    pub(super) fn tell_of_promotion(&mut self, promotion: PromotionId) {
        self.common.emit(Level::Node, Occurrence::PromotionWaits(Cause::Stalled));
        let ordered = Promotion::Ordered(promotion, self.common.now);
        self.state = NodeState::NoConnect(Lead::Promoting(ordered));
    }

    fn is_ordered(&self, promotion: PromotionId) -> bool {
        let NodeState::NoConnect(Lead::Promoting(Promotion::Ordered(current, _))) = self.state else {
            return false;
        };
        current == promotion
    }

    pub(super) fn on_promoted(&mut self, promotion: PromotionId) {
        if self.is_ordered(promotion) {
            self.retry = Retry::new(self.common.now);
            self.state = NodeState::NoConnect(Lead::Primary);
            self.common.clear_all(Level::Node);
            self.common.emit(Level::Node, Occurrence::Promoted);
        }
    }

    /// The promotion failed: it is tried again for ever, because an operator waits for it.
    pub(super) fn on_promote_failed(&mut self, promotion: PromotionId, cause: Cause) {
        if !self.is_ordered(promotion) {
            return;
        }
        if let Next::Spent = self.common.fail(Level::Node, &mut self.retry, cause) {
            self.retry = Retry::new(self.common.now + self.common.config.backoff_max);
        }
        self.common.emit(Level::Node, Occurrence::PromotionWaits(cause));
        self.state = NodeState::NoConnect(Lead::Promoting(Promotion::Failed));
    }

    /// `DBSLAVEOF db ..`.
    pub(super) fn order(&mut self, db: Db, order: DbOrder) {
        if self.common.ledger.primary.is_none() || db.0 >= self.common.config.databases {
            return;
        }
        match order {
            DbOrder::NoOne => self.detach(db),
            DbOrder::Sync => self.attach(db),
            DbOrder::Force => {
                self.force(db);
                self.attach(db);
            }
        }
    }

    fn detach(&mut self, db: Db) {
        self.common.write(|ledger| ledger.detached.extend([db]));
        self.with(db, |mut shard| shard.stop(Cause::Detached));
        self.common.clear_all(Level::Shard(db));
        if let Some(memory) = self.memories.get_mut(&db) {
            memory.down_since = None;
        }
    }

    /// Ends the detachment, if there is one, and retries at once.
    fn attach(&mut self, db: Db) {
        let was_detached = self.common.ledger.detached.contains(&db);
        self.common.write(|ledger| ledger.detached.retain(|detached| *detached != db));
        self.retry_shard(db);
        if was_detached {
            if let Some(memory) = self.memories.get_mut(&db) {
                memory.wanted_since = self.common.now;
            }
            self.with(db, |mut shard| shard.follow(Cause::Operator));
        }
    }

    fn force(&mut self, db: Db) {
        self.meet(db);
        // An install that runs is the full copy that is asked for.
        if let Some(memory) = self.memories.get_mut(&db)
            && memory.install.is_none()
        {
            intend(&mut self.common, memory, db, SyncReason::Forced);
            self.with(db, |mut shard| shard.ask_again());
        }
    }

    fn retry_shard(&mut self, db: Db) {
        let now = self.common.now;
        if let Some(memory) = self.memories.get_mut(&db) {
            memory.retry = Retry::new(now);
            self.common.clear(Level::Shard(db), Alarm::RetriesExhausted);
        }
        self.with(db, |mut shard| shard.retry_now(Cause::Operator));
    }

    /// `REPLICATION RESET`.
    pub(super) fn reset(&mut self, scope: Scope) {
        match scope {
            Scope::Shard(db) => self.retry_shard(db),
            Scope::Everything => {
                let dbs: Vec<Db> = self.memories.keys().copied().collect();
                for db in dbs {
                    self.retry_shard(db);
                }
                self.retry = Retry::new(self.common.now);
                self.common.clear(Level::Node, Alarm::RetriesExhausted);
                if let NodeState::Error = self.state {
                    self.enter(NodeState::Connect, Cause::Operator);
                }
            }
        }
    }

    pub(super) fn configure(&mut self, config: Config) {
        let config = config.bounded();
        let now = self.common.now;
        let retries = self.memories.iter_mut().map(|(db, memory)| (Level::Shard(*db), &mut memory.retry));
        for (level, retry) in core::iter::once((Level::Node, &mut self.retry)).chain(retries) {
            let rested = retry.rests();
            retry.reconfigure(now, &config);
            if rested && !retry.rests() {
                self.common.clear(level, Alarm::RetriesExhausted);
            }
        }
        let runs = self.common.config.max_parallel_syncs.max(config.max_parallel_syncs);
        self.most_slots = self.most_slots.max(runs as usize);
        self.common.config = config;
    }
}
