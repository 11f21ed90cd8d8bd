//! The node's machine: [`Node`], which owns the machines of its shards.
//!
//! ```text
//! NoConnect ──► Connect ──► Connecting ──► Connected ──► Connect (after a pause)
//!                  ▲             │
//!                Error ◄─────────┘
//! ```
//!
//! Each step first takes the input, then does everything that is due, until nothing is.

use alloc::collections::BTreeMap;
use alloc::vec;

use crate::common::{Common, Figures, Losses};
use crate::retry::{Jitter, Retry};
use crate::shard::{Memory, ShardState, Upstream};
use crate::{
    Address, Cause, Config, Db, Input, Ledger, Level, LinkId, Millis, NodeId, NodeStateName, Output, Path, PromotionId,
    Role, Root, Standing, StateName,
};

mod canonical;
mod control;
mod deadlines;
mod invariants;
mod operator;
mod shards;
mod views;

/// The replication of one node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    common: Common,
    state: NodeState,
    retry: Retry,
    /// One for each shard that exists here or at the primary.
    memories: BTreeMap<Db, Memory>,
    role_generation: u64,
    entered_at: Millis,
    entered_for: Cause,
    /// When the last control link was lost, while there is none.
    down_since: Option<Millis>,
    /// Since when not everything flows that is to flow; see [`Node::flows`].
    cut_since: Option<Millis>,
    last_heal: Option<Millis>,
    losses: Losses,
    /// The largest `max_parallel_syncs` so far: a smaller one ends no full sync that runs.
    most_slots: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum NodeState {
    NoConnect(Lead),
    /// The retry's pause runs.
    Connect,
    Connecting {
        link: LinkId,
        since: Millis,
    },
    Connected(Connected),
    /// The retry's pause runs.
    Error,
}

/// What a node that follows nobody is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Lead {
    Primary,
    Promoting(Promotion),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Promotion {
    /// Installs run; they must end first. Since then, or since people were last told.
    Waits(Millis),
    /// Ordered.
    Ordered(PromotionId, Millis),
    /// Failed; the retry's pause runs.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Connected {
    link: LinkId,
    upstream: Upstream,
    since: Millis,
    heard_at: Millis,
    /// When the next heartbeat leaves.
    beat_at: Millis,
    /// Since when the path has no known root.
    rootless_since: Option<Millis>,
    shards: BTreeMap<Db, ShardState>,
}

impl Node {
    /// A node as it starts with this ledger (see [`Ledger::at_start`]). `seed` is any random number.
    ///
    /// The driver opens its shards in the role of [`Node::role`], reports each with [`Input::Local`], then steps.
    #[must_use]
    pub fn new(now: Millis, config: Config, ledger: Ledger, seed: u64) -> Node {
        let state = match ledger.primary {
            Some(_) => NodeState::Connect,
            None => NodeState::NoConnect(Lead::Primary),
        };
        let is_replica = ledger.primary.is_some();
        let config = config.bounded();
        let most_slots = config.max_parallel_syncs as usize;
        let common = Common {
            now,
            config,
            ledger,
            unsaved: false,
            jitter: Jitter(seed),
            alarms: BTreeMap::new(),
            out: Output::default(),
            next: 1,
        };
        Node {
            common,
            state,
            retry: Retry::new(now),
            memories: BTreeMap::new(),
            role_generation: 1,
            entered_at: now,
            entered_for: Cause::Start,
            down_since: is_replica.then_some(now),
            cut_since: is_replica.then_some(now),
            last_heal: None,
            losses: Losses::default(),
            most_slots,
        }
    }

    /// Takes an input at the time `now` and says what is to be done. A `now` before that of the last step counts as equal
    /// to it.
    #[must_use]
    pub fn step(&mut self, now: Millis, input: Input) -> Output {
        self.common.now = self.common.now.max(now);
        self.take(input);
        self.do_what_is_due();
        self.note_cut();
        if self.common.unsaved {
            self.common.unsaved = false;
            self.common.out.persist = Some(self.common.ledger.clone());
        }
        core::mem::take(&mut self.common.out)
    }

    /// What this node is to its clients.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            NodeState::NoConnect(Lead::Primary) => Role::Primary,
            NodeState::NoConnect(Lead::Promoting(_)) => Role::Promoting,
            NodeState::Connect | NodeState::Connecting { .. } | NodeState::Connected(_) | NodeState::Error => {
                Role::Replica
            }
        }
    }

    /// Counts this node's changes of role and upstream since it started. Both kinds of links to those who follow it carry
    /// it.
    #[must_use]
    pub fn role_generation(&self) -> u64 {
        self.role_generation
    }

    /// This node's name.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.common.ledger.node
    }

    /// Whom it follows.
    #[must_use]
    pub fn primary(&self) -> Option<&Address> {
        self.common.ledger.primary.as_ref()
    }

    /// From this node to its root primary, for the answers and heartbeats to those who follow it.
    #[must_use]
    pub fn path(&self) -> Path {
        let mut nodes = vec![self.id()];
        let root = match &self.state {
            NodeState::NoConnect(Lead::Primary) => Root::Primary,
            NodeState::Connected(connected) => {
                nodes.extend(&connected.upstream.path.nodes);
                connected.upstream.path.root
            }
            NodeState::NoConnect(Lead::Promoting(_))
            | NodeState::Connect
            | NodeState::Connecting { .. }
            | NodeState::Error => Root::Unknown,
        };
        Path { nodes, root }
    }

    /// With what right this node answers for a shard: see [`crate::judge`].
    #[must_use]
    pub fn standing(&self, db: Db) -> Standing {
        let connected = match &self.state {
            NodeState::NoConnect(Lead::Primary) => return Standing::Primary,
            NodeState::Connected(connected) if connected.upstream.path.root == Root::Primary => connected,
            NodeState::NoConnect(Lead::Promoting(_))
            | NodeState::Connect
            | NodeState::Connecting { .. }
            | NodeState::Connected(_)
            | NodeState::Error => return Standing::Adrift,
        };
        match connected.shards.get(&db) {
            Some(ShardState::Connected(following)) => {
                let quiet_for = following.quiet_since.map(|since| self.common.now.since(since));
                let is_settled = quiet_for.is_some_and(|span| span >= self.common.config.timeout);
                if is_settled { Standing::Settled } else { Standing::Following }
            }
            Some(
                ShardState::NoConnect
                | ShardState::TryConnect(_)
                | ShardState::WaitReply(_)
                | ShardState::WaitDbSync(_)
                | ShardState::Error,
            ) => Standing::Adrift,
            // Neither here nor at the primary.
            None => Standing::Following,
        }
    }

    /// Notes since when the link as a whole is down, whichever machines are the reason and however they change meanwhile.
    fn note_cut(&mut self) {
        if self.role() != Role::Replica || self.flows() {
            self.cut_since = None;
        } else {
            self.cut_since.get_or_insert(self.common.now);
        }
    }

    /// Whether everything flows to this replica that its primary has, but for databases that an operator has detached.
    fn flows(&self) -> bool {
        match &self.state {
            // What is in NoConnect while the node is connected is detached.
            NodeState::Connected(connected) => connected.shards.values().all(|state| match state {
                ShardState::Connected(_) | ShardState::NoConnect => true,
                ShardState::TryConnect(_)
                | ShardState::WaitReply(_)
                | ShardState::WaitDbSync(_)
                | ShardState::Error => false,
            }),
            NodeState::NoConnect(_) | NodeState::Connect | NodeState::Connecting { .. } | NodeState::Error => false,
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::ReplicaOf(primary) => self.follow(primary),
            Input::NoOne => self.follow_no_one(),
            Input::DbSlaveOf(db, order) => self.order(db, order),
            Input::Reset(scope) => self.reset(scope),
            Input::Configure(config) => self.configure(config),
            Input::FileSays(file) => self.common.write(|ledger| ledger.file = file),
            Input::Local(db) => self.meet(db),
            Input::Meta { link, meta } => self.on_meta(link, meta),
            Input::Beat { link, beat } => self.on_beat(link, beat),
            Input::ControlLost { link, cause } => self.on_control_lost(link, cause),
            Input::Verdict { db, link, verdict } => self.with(db, |mut shard| shard.on_verdict(link, verdict)),
            Input::Preparing { db, link, .. } => self.with(db, |mut shard| shard.on_preparing(link)),
            Input::Position { db, link, positions, end } => {
                self.with(db, |mut shard| shard.on_position(link, positions, end));
            }
            Input::ShardLost { db, link, cause } => {
                self.with(db, |mut shard| shard.on_lost(link, as_fault(cause)));
            }
            Input::Progress { db, transfer, progress } => self.on_progress(db, transfer, &progress),
            Input::Fetched { db, transfer } => self.with(db, |mut shard| shard.on_fetched(transfer)),
            Input::Installed { db, transfer, end } => self.on_installed(db, transfer, end),
            Input::TransferFailed { db, transfer, cause } => self.on_transfer_failed(db, transfer, as_fault(cause)),
            Input::Promoted(promotion) => self.on_promoted(promotion),
            Input::PromoteFailed(promotion, cause) => self.on_promote_failed(promotion, as_fault(cause)),
            Input::Tick => {}
        }
    }

    /// Enters a state; what the old one held must have been ended before. Answers the old one.
    fn enter(&mut self, to: NodeState, cause: Cause) -> NodeState {
        let (from, name) = (StateName::Node(self.state.name()), StateName::Node(to.name()));
        let figures = Figures { attempt: self.retry.charged(), position: None };
        self.common.report(Level::Node, from, name, cause, figures);
        self.entered_at = self.common.now;
        self.entered_for = cause;
        core::mem::replace(&mut self.state, to)
    }
}

impl NodeState {
    fn name(&self) -> NodeStateName {
        match self {
            NodeState::NoConnect(_) => NodeStateName::NoConnect,
            NodeState::Connect => NodeStateName::Connect,
            NodeState::Connecting { .. } => NodeStateName::Connecting,
            NodeState::Connected(_) => NodeStateName::Connected,
            NodeState::Error => NodeStateName::Error,
        }
    }
}

/// A report of a fault with a cause that is none is still a fault.
fn as_fault(cause: Cause) -> Cause {
    match cause.class() {
        crate::Class::Wanted => Cause::Closed,
        crate::Class::Transient | crate::Class::Waiting | crate::Class::SelfInflicted => cause,
    }
}
