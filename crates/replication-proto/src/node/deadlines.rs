//! Everything that happens by itself: what is due when, and doing it.

use super::{Connected, Lead, Node, NodeState, Promotion};
use crate::shard::ShardState;
use crate::{Alarm, Cause, Db, Level, Millis, Role};

/// Something that a deadline brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The node's state is left.
    Node,
    /// A heartbeat leaves.
    Beat,
    /// The node has been connected for long enough to forget.
    NodeSettles,
    /// The path has had no root for too long.
    Rootless,
    /// A shard's state is left.
    Shard(Db),
    /// A shard has been connected for long enough to forget.
    ShardSettles(Db),
    /// A shard's data is older than allowed.
    Lag(Db),
    /// A link no longer flaps.
    Calm(Level),
    /// A slot is free and somebody waits for it.
    Slot(Db),
}

/// No step does more than this by itself. Every chain of things due ends in a state that waits, so this many in one step
/// are our mistake.
const MOST_DUE: usize = 100_000;

impl Node {
    /// When to step with [`crate::Input::Tick`] if nothing happens before; `None` if only an input can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.next_due().map(|(at, _)| at)
    }

    pub(super) fn do_what_is_due(&mut self) {
        for _ in 0..MOST_DUE {
            match self.next_due() {
                Some((at, due)) if at <= self.common.now => self.do_due(due),
                Some(_) | None => return,
            }
        }
        unreachable!("things keep falling due at {}: {:?}", self.common.now, self.next_due());
    }

    fn do_due(&mut self, due: Due) {
        match due {
            Due::Node => self.on_node_due(),
            Due::Beat => self.beat(),
            Due::NodeSettles => self.settle(),
            Due::Rootless => self.common.raise(Level::Node, Alarm::NoPrimary),
            Due::Shard(db) | Due::Slot(db) => self.with(db, |mut shard| shard.on_due()),
            Due::ShardSettles(db) => self.with(db, |mut shard| shard.settle()),
            Due::Lag(db) => self.common.raise(Level::Shard(db), Alarm::Lag),
            Due::Calm(level) => self.common.clear(level, Alarm::LinkFlapping),
        }
    }

    fn on_node_due(&mut self) {
        match &self.state {
            NodeState::NoConnect(Lead::Primary) => {}
            NodeState::NoConnect(Lead::Promoting(Promotion::Waits(_) | Promotion::Failed)) => self.promote(),
            NodeState::NoConnect(Lead::Promoting(Promotion::Ordered(promotion, _))) => {
                self.tell_of_promotion(*promotion);
            }
            NodeState::Connect => self.dial(),
            NodeState::Connecting { .. } => self.fail(Cause::Timeout),
            NodeState::Connected(_) => self.fail(Cause::Silence),
            NodeState::Error => {
                self.retry.begin(self.common.now);
                self.enter(NodeState::Connect, Cause::Due);
            }
        }
    }

    /// When the node's state is left by itself; `None` is rest.
    pub(super) fn node_due(&self) -> Option<Millis> {
        let config = &self.common.config;
        match &self.state {
            NodeState::NoConnect(Lead::Primary) => None,
            NodeState::NoConnect(Lead::Promoting(Promotion::Waits(since))) => {
                let told_again = *since + config.progress_timeout;
                Some(if self.installs() { told_again } else { *since })
            }
            NodeState::NoConnect(Lead::Promoting(Promotion::Ordered(_, since))) => {
                Some(*since + config.progress_timeout)
            }
            NodeState::NoConnect(Lead::Promoting(Promotion::Failed)) | NodeState::Connect | NodeState::Error => {
                self.retry_due()
            }
            NodeState::Connecting { since, .. } => Some(*since + config.connect_timeout),
            NodeState::Connected(connected) => Some(connected.heard_at + config.timeout),
        }
    }

    /// When the node tries again what failed; `None` while nothing is to be tried again, or only an operator can.
    pub(super) fn retry_due(&self) -> Option<Millis> {
        match &self.state {
            NodeState::NoConnect(Lead::Promoting(Promotion::Failed)) | NodeState::Connect | NodeState::Error => {
                self.retry.due(&self.common.config)
            }
            NodeState::NoConnect(Lead::Primary | Lead::Promoting(Promotion::Waits(_) | Promotion::Ordered(..)))
            | NodeState::Connecting { .. }
            | NodeState::Connected(_) => None,
        }
    }

    fn next_due(&self) -> Option<(Millis, Due)> {
        let mut next = self.node_due().map(|at| (at, Due::Node));
        let mut offer = |at: Option<Millis>, due: Due| {
            let offered = at.map(|at| (at, due));
            next = [next, offered].into_iter().flatten().min();
        };
        let is_on = |level, alarm| self.common.alarms.contains_key(&(level, alarm));
        if let NodeState::Connected(connected) = &self.state {
            self.offer_connected(connected, &mut offer);
        }
        offer(self.losses.calm_at().filter(|_| is_on(Level::Node, Alarm::LinkFlapping)), Due::Calm(Level::Node));
        for (db, memory) in &self.memories {
            let level = Level::Shard(*db);
            offer(memory.losses.calm_at().filter(|_| is_on(level, Alarm::LinkFlapping)), Due::Calm(level));
            let is_wanted = self.role() == Role::Replica && !self.common.ledger.detached.contains(db);
            let good_at = memory.current_at.map_or(memory.wanted_since, |at| at.max(memory.wanted_since));
            let too_old = good_at + self.common.config.lag_alarm;
            offer(Some(too_old).filter(|_| is_wanted && !is_on(level, Alarm::Lag)), Due::Lag(*db));
        }
        next
    }

    fn offer_connected(&self, connected: &Connected, offer: &mut impl FnMut(Option<Millis>, Due)) {
        let stable_after = self.common.config.stable_after;
        offer(Some(connected.beat_at), Due::Beat);
        offer((!self.retry.is_fresh()).then_some(connected.since + stable_after), Due::NodeSettles);
        let is_on = self.common.alarms.contains_key(&(Level::Node, Alarm::NoPrimary));
        let rootless = connected.rootless_since.filter(|_| !is_on);
        offer(rootless.map(|since| since + self.common.config.timeout), Due::Rootless);
        for (db, state) in &connected.shards {
            let Some(memory) = self.memories.get(db) else {
                unreachable!("db{db} has a state and no memory");
            };
            offer(state.due(memory, &self.common.config), Due::Shard(*db));
            if let ShardState::Connected(following) = state
                && memory.is_unsettled()
            {
                offer(Some(following.since + stable_after), Due::ShardSettles(*db));
            }
        }
        offer(
            Some(self.common.now).filter(|_| self.next_for_slot().is_some()),
            Due::Slot(self.next_for_slot().unwrap_or(Db(0))),
        );
    }
}
