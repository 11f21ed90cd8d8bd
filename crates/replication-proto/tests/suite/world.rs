//! A node with everything around it simulated: its time, its driver, and a primary that does all it should.

use std::collections::{BTreeMap, BTreeSet};

use lineage::Lsn;
use replication_proto::{
    Address, Beat, Cause, Config, Db, Event, Input, Ledger, Level, LinkId, Meta, Millis, Node, Occurrence, Output,
    Path, Positions, PromotionId, Root, RunId, ShardBeat, ShardStateName, SnapshotId, Start, StateName, SyncReason,
    TransferId, Verdict,
};

use crate::text;

/// How long the simulated driver and primary take for anything.
const LATENCY: Millis = Millis(5);

pub struct World {
    pub node: Node,
    pub now: Millis,
    /// What the driver's disk holds.
    pub ledger: Ledger,
    /// Everything that was ordered and not ended yet.
    pub open: Open,
    /// Databases of the primary, and those of them that the replica must copy.
    pub databases: BTreeSet<Db>,
    pub stale: BTreeMap<Db, SyncReason>,
    pub events: Vec<Event>,
    pub starts: Vec<(Millis, Start)>,
    due: BTreeMap<(Millis, u64), Input>,
    number: u64,
    manners: Manners,
}

/// What a node has ordered and not ended.
#[derive(Default)]
pub struct Open {
    pub dial: Option<LinkId>,
    pub asks: BTreeMap<Db, LinkId>,
    pub fetches: BTreeMap<Db, TransferId>,
    pub installs: BTreeMap<Db, TransferId>,
    pub promotion: Option<PromotionId>,
}

/// What the world does by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Answers everything at once and well.
    Perfect,
    /// Answers nothing.
    Silent,
}

impl World {
    /// A replica as it starts, of a primary with these databases.
    pub fn new(config: Config, databases: impl IntoIterator<Item = u32>) -> World {
        let mut ledger = Ledger::new(text::node("a"));
        ledger.primary = Some(address());
        World::with_ledger(config, ledger, databases)
    }

    pub fn with_ledger(config: Config, ledger: Ledger, databases: impl IntoIterator<Item = u32>) -> World {
        World {
            node: Node::new(Millis(0), config, ledger.clone(), 1),
            now: Millis(0),
            ledger,
            open: Open::default(),
            databases: databases.into_iter().map(Db).collect(),
            stale: BTreeMap::new(),
            events: Vec::new(),
            starts: Vec::new(),
            due: BTreeMap::new(),
            number: 0,
            manners: Manners::Perfect,
        }
    }

    /// From now on the world behaves so. What was not answered stays unanswered, but installs end and promotions too:
    /// they depend on nobody.
    pub fn behave(&mut self, manners: Manners) {
        self.manners = manners;
        if manners == Manners::Perfect {
            let installs: Vec<_> = self.open.installs.iter().map(|(db, transfer)| (*db, *transfer)).collect();
            for (db, transfer) in installs {
                self.later(Input::Installed { db, transfer, end: Lsn(100) });
            }
            if let Some(promotion) = self.open.promotion {
                self.later(Input::Promoted(promotion));
            }
        }
    }

    /// Takes one input now.
    pub fn step(&mut self, input: Input) -> Output {
        match &input {
            Input::Installed { db, transfer, .. } if self.open.installs.get(db) == Some(transfer) => {
                self.open.installs.remove(db);
                self.stale.remove(db);
            }
            Input::TransferFailed { db, transfer, .. } if self.open.installs.get(db) == Some(transfer) => {
                self.open.installs.remove(db);
            }
            _ => {}
        }
        let output = self.node.step(self.now, input);
        self.node.invariants();
        if let Some(ledger) = &output.persist {
            self.ledger = ledger.clone();
        }
        for start in &output.start {
            self.starts.push((self.now, start.clone()));
            self.obey(start);
        }
        self.events.extend(output.events.iter().cloned());
        output
    }

    fn obey(&mut self, start: &Start) {
        let perfect = self.manners == Manners::Perfect;
        match start {
            Start::Demote => {}
            Start::Promote(promotion) => {
                self.open.promotion = Some(*promotion);
                self.if_perfect(Input::Promoted(*promotion));
            }
            Start::Dial { link, .. } => {
                self.open.dial = Some(*link);
                self.if_perfect(Input::Meta { link: *link, meta: self.meta() });
                if perfect {
                    self.after(Millis(1_000), Input::Beat { link: *link, beat: self.beat() });
                }
            }
            Start::CloseControl { link } => self.open.dial = self.open.dial.filter(|open| open != link),
            Start::OpenShard { db, link, bound, .. } => {
                self.open.asks.insert(*db, *link);
                let verdict = match self.stale.get(db).or(bound.as_ref()) {
                    Some(reason) => Verdict::FullSync(*reason),
                    None if self.databases.contains(db) => Verdict::Continue { log_generation: 7, from: Lsn(100) },
                    None => Verdict::Continue { log_generation: 0, from: Lsn(0) },
                };
                self.if_perfect(Input::Verdict { db: *db, link: *link, verdict });
                if perfect {
                    self.after(Millis(1_000), at_the_end(*db, *link));
                }
            }
            Start::CloseShard { db, link } => self.open.asks.retain(|open, last| (open, &*last) != (db, link)),
            Start::Fetch { db, transfer, .. } => {
                self.open.fetches.insert(*db, *transfer);
                self.if_perfect(Input::Fetched { db: *db, transfer: *transfer });
            }
            Start::Install { db, transfer } | Start::Reset { db, transfer } => {
                self.open.fetches.remove(db);
                self.open.installs.insert(*db, *transfer);
                self.if_perfect(Input::Installed { db: *db, transfer: *transfer, end: Lsn(100) });
            }
            Start::AbortFetch { db, .. } => drop(self.open.fetches.remove(db)),
            Start::DropFiles { .. } => {}
        }
    }

    fn if_perfect(&mut self, input: Input) {
        if self.manners == Manners::Perfect {
            self.later(input);
        }
    }

    pub fn later(&mut self, input: Input) {
        self.after(LATENCY, input);
    }

    pub fn after(&mut self, span: Millis, input: Input) {
        self.number += 1;
        self.due.insert((self.now + span, self.number), input);
    }

    pub fn meta(&self) -> Meta {
        let Beat { run, role_generation, path, shards } = self.beat();
        Meta { version: 1, node: text::node("b"), run, role_generation, databases: 16, path, shards }
    }

    pub fn beat(&self) -> Beat {
        let path = Path { nodes: vec![text::node("b")], root: Root::Primary };
        let shards = self.databases.iter().map(|db| ShardBeat { db: *db, log_generation: 7, end: Lsn(100) }).collect();
        Beat { run: RunId([b'b'; 20]), role_generation: 1, path, shards }
    }

    /// Lets time pass until then, or until `done`.
    pub fn run_until(&mut self, end: Millis, done: impl Fn(&World) -> bool) {
        while !done(self) {
            let next_input = self.due.first_key_value().map(|((at, _), _)| *at);
            let next = [next_input, self.node.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if next_input.is_some_and(|at| at <= self.now) {
                let (_, input) = self.due.pop_first().unwrap();
                self.deliver(input);
            } else {
                drop(self.step(Input::Tick));
            }
        }
    }

    /// Signs of life repeat for as long as their link is open.
    fn deliver(&mut self, input: Input) {
        let perfect = self.manners == Manners::Perfect;
        match &input {
            Input::Beat { link, .. } => {
                if !perfect || self.open.dial != Some(*link) {
                    return;
                }
                self.after(Millis(1_000), Input::Beat { link: *link, beat: self.beat() });
            }
            Input::Position { db, link, .. } => {
                if !perfect || self.open.asks.get(db) != Some(link) {
                    return;
                }
                self.after(Millis(1_000), at_the_end(*db, *link));
            }
            _ => {}
        }
        drop(self.step(input));
    }

    pub fn run_for(&mut self, span: Millis) {
        self.run_until(self.now + span, |_| false);
    }

    /// Lets time pass until every shard follows; how long that took.
    pub fn heal(&mut self, at_most: Millis) -> Millis {
        let begun = self.now;
        self.run_until(begun + at_most, World::is_whole);
        assert!(
            self.is_whole(),
            "not healed after {at_most} ms: {}\n{:?}",
            text::states(&self.node),
            self.node.status()
        );
        self.now.since(begun)
    }

    /// Whether every shard follows that is to follow.
    pub fn is_whole(&self) -> bool {
        let status = self.node.status();
        let follows = |db: &Db| self.state(*db) == Some(ShardStateName::Connected);
        let wanted = status.shards.iter().filter(|shard| !shard.detached).map(|shard| shard.db);
        status.node.upstream.is_some()
            && wanted
                .chain(self.databases.iter().copied())
                .all(|db| follows(&db) || status.shards.iter().any(|shard| shard.db == db && shard.detached))
    }

    pub fn state(&self, db: Db) -> Option<ShardStateName> {
        self.node.status().shards.iter().find(|shard| shard.db == db).map(|shard| shard.state)
    }

    /// Loses the control link and everything over it.
    pub fn cut(&mut self, cause: Cause) {
        if let Some(link) = self.open.dial {
            drop(self.step(Input::ControlLost { link, cause }));
        }
    }

    /// How often a machine made this transition so far.
    pub fn count(&self, level: Level, from: impl Into<Named>, to: impl Into<Named>) -> usize {
        let (wanted_from, wanted_to) = (from.into().0, to.into().0);
        let is_it = |event: &&Event| match event.what {
            Occurrence::Transition { from, to, .. } => event.level == level && (from, to) == (wanted_from, wanted_to),
            _ => false,
        };
        self.events.iter().filter(is_it).count()
    }
}

/// Either kind of state name.
pub struct Named(StateName);

impl From<ShardStateName> for Named {
    fn from(name: ShardStateName) -> Named {
        Named(StateName::Shard(name))
    }
}

impl From<replication_proto::NodeStateName> for Named {
    fn from(name: replication_proto::NodeStateName) -> Named {
        Named(StateName::Node(name))
    }
}

pub fn address() -> Address {
    Address { host: "10.0.0.1".into(), port: 7001 }
}

pub fn at_the_end(db: Db, link: LinkId) -> Input {
    let at = Lsn(100);
    Input::Position { db, link, positions: Positions { received: at, applied: at, synced: at }, end: at }
}

pub fn snapshot() -> SnapshotId {
    SnapshotId::new("snap-1").unwrap()
}
