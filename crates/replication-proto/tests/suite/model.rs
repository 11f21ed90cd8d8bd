//! The model: three nodes with logs of a few entries, everything around them that can go wrong, explored by `stateright`.
//!
//! ```text
//! n0, a primary, with replicas n1 and n2, one database
//! messages   any order, lost, duplicated; each step of the driver that sends one may be its last before a crash
//! crash      at any time, also between the ledger and the rest of an output; what was not synced is lost
//! operators  promote a replica, point a node at another one
//! timers     fire in the order of each node's own clock, at any time relative to the others
//! ```
//!
//! In each state that can be reached, two questions are asked. Is it safe: do logs that claim the same history hold the same
//! entries, and was nothing replaced without a verdict? And does it heal: with the faults stopped and nobody helping, do all
//! nodes that follow a primary, perhaps through others, soon hold what it holds?

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use lineage::{Epoch, Era, Fork, Lineage, Lsn, ReplId};
use replication_proto::{
    Address, Ask, Beat, Cause, Config, Db, Input, Ledger, LinkId, Meta, Millis, Node, NodeId, NodeStateName, Origin,
    Output, Positions, PromotionId, Role, RunId, ShardBeat, ShardStateName, SyncReason, TransferId, Verdict, judge,
};
use stateright::{Checker as _, Model, Property};

use driver::Peer;

mod driver;

const DB: Db = Db(0);
const NODES: usize = 3;

/// What may still go wrong, or be asked for, on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    writes: u8,
    crashes: u8,
    orders: u8,
    faults: u8,
    ticks: u8,
}

/// One message under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Message {
    Dial { from: usize, to: usize, link: LinkId },
    Meta { from: usize, to: usize, link: LinkId, meta: Box<Meta> },
    Ask { from: usize, to: usize, link: LinkId, asked: (RunId, u64), bound: Option<SyncReason>, log: Vec<Entry> },
    Answer { from: usize, to: usize, link: LinkId, verdict: Verdict },
    Refusal { from: usize, to: usize, link: LinkId, cause: Cause },
    Frame { from: usize, to: usize, link: LinkId, at: usize, entry: Entry },
    Want { from: usize, to: usize, transfer: TransferId },
    Content { from: usize, to: usize, transfer: TransferId, log: Vec<Entry> },
    Beat { from: usize, to: usize, link: LinkId, beat: Box<Beat> },
}

/// One entry of a log. Each write is another one; an era's first entry is its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Entry {
    era: u8,
    write: u8,
}

#[derive(Debug, Clone, PartialEq)]
struct World {
    peers: Vec<Peer>,
    net: Vec<Message>,
    budget: Budget,
    eras: u8,
    writes: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Deliver(usize),
    /// The receiver persists, and crashes before it does anything else.
    DeliverAndCrash(usize),
    Lose(usize),
    Duplicate(usize),
    Tick(usize),
    Write(usize),
    Feed(usize, usize),
    Beat(usize, usize),
    Install(usize),
    Promote(usize),
    Crash(usize),
    Cut(usize),
    OrderNoOne(usize),
    OrderFollow(usize, usize),
}

/// What some path must get to, or the model would prove nothing.
const GOALS: [&str; 3] = ["all follow and hold a write", "a full sync is installed", "two primaries"];

struct Bounded(Start, Budget);

/// How the paths begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The processes start, the replicas empty.
    Cold,
    /// Both replicas follow.
    Following,
}

impl Model for Bounded {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.0, self.1)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let budget = world.budget;
        let messages: Vec<usize> = (0..world.net.len()).collect();
        actions.extend(messages.iter().map(|at| Action::Deliver(*at)));
        if budget.faults > 0 {
            actions.extend(messages.iter().map(|at| Action::Lose(*at)));
            actions.extend(messages.iter().map(|at| Action::Duplicate(*at)));
            actions.extend((0..NODES).filter(|at| world.peers[*at].control.is_some()).map(Action::Cut));
        }
        if budget.crashes > 0 {
            actions.extend((0..NODES).map(Action::Crash));
            actions.extend(messages.iter().map(|at| Action::DeliverAndCrash(*at)));
        }
        for (at, peer) in world.peers.iter().enumerate() {
            if budget.ticks > 0 && peer.machine.deadline().is_some() {
                actions.push(Action::Tick(at));
            }
            if budget.writes > 0 && peer.writes() {
                actions.push(Action::Write(at));
            }
            actions.extend(peer.unsent().map(|feed| Action::Feed(at, feed)));
            actions.extend((0..NODES).filter(|to| world.has_news(at, *to)).map(|to| Action::Beat(at, to)));
            actions.extend(peer.installing.is_some().then_some(Action::Install(at)));
            actions.extend(peer.promoting.is_some().then_some(Action::Promote(at)));
            if budget.orders > 0 {
                if peer.machine.role() == Role::Replica {
                    actions.push(Action::OrderNoOne(at));
                }
                actions.extend((0..NODES).filter(|to| *to != at).map(|to| Action::OrderFollow(at, to)));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Bounded>> {
        vec![
            Property::always("equal histories hold equal entries", |_, world: &World| world.histories_agree()),
            Property::always("it heals by itself", |_, world: &World| world.heals().is_ok()),
            Property::sometimes(GOALS[0], |_, world: &World| {
                world.is_whole() && world.peers[2].log.len() == 2 && world.peers[2].machine.primary().is_some()
            }),
            Property::sometimes(GOALS[1], |_, world: &World| world.peers.iter().any(|peer| peer.installing.is_some())),
            Property::sometimes(GOALS[2], |_, world: &World| {
                world.peers.iter().filter(|peer| peer.writes()).count() == 2
            }),
        ]
    }
}

impl World {
    fn new(start: Start, budget: Budget) -> World {
        let mut world = World { peers: Vec::new(), net: Vec::new(), budget, eras: 0, writes: 0 };
        for at in 0..NODES {
            let mut ledger = Ledger::new(id(at));
            ledger.primary = (at > 0).then(|| address(0));
            world.peers.push(Peer::new(ledger));
        }
        for at in 0..NODES {
            world.begin(at);
        }
        if start == Start::Following {
            world.settle_down();
            assert!(world.is_whole());
        }
        world
    }

    /// The world for people.
    fn summary(&self) -> String {
        let mut text = String::new();
        for (at, peer) in self.peers.iter().enumerate() {
            let log: Vec<_> = peer.log.iter().map(|entry| (entry.era, entry.write)).collect();
            let states = crate::text::states(&peer.machine);
            text += &format!(
                "n{at} at {} {states} {:?} {log:?} shard={:?} feeds={:?}\n",
                peer.now, peer.role, peer.shard, peer.feeds
            );
        }
        text + &format!("{:?} {:?}", self.net, self.budget)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(at) => {
                let message = self.net.remove(at);
                self.deliver(message);
            }
            Action::DeliverAndCrash(at) => {
                self.budget.crashes -= 1;
                let message = self.net.remove(at);
                let to = receiver(&message);
                self.peers[to].is_dying = true;
                self.deliver(message);
                self.crash(to);
            }
            Action::Lose(at) => {
                self.budget.faults -= 1;
                self.net.remove(at);
            }
            Action::Duplicate(at) => {
                self.budget.faults -= 1;
                self.net.push(self.net[at].clone());
            }
            Action::Tick(at) => {
                self.budget.ticks -= 1;
                let now = self.peers[at].machine.deadline().unwrap();
                self.peers[at].now = now;
                self.step(at, Input::Tick);
            }
            Action::Write(at) => {
                self.budget.writes -= 1;
                self.write(at);
            }
            Action::Feed(at, feed) => self.feed(at, feed),
            Action::Beat(at, to) => self.beat(at, to),
            Action::Install(at) => self.install(at),
            Action::Promote(at) => self.promote(at),
            Action::Crash(at) => {
                self.budget.crashes -= 1;
                self.crash(at);
            }
            Action::Cut(at) => {
                self.budget.faults -= 1;
                let link = self.peers[at].control.unwrap();
                self.step(at, Input::ControlLost { link, cause: Cause::Closed });
            }
            Action::OrderNoOne(at) => {
                self.budget.orders -= 1;
                self.step(at, Input::NoOne);
            }
            Action::OrderFollow(at, to) => {
                self.budget.orders -= 1;
                self.step(at, Input::ReplicaOf(address(to)));
            }
        }
    }

    /// Logs hold the same entries as far as their lineages say so. So one era is one primary's writes.
    fn histories_agree(&self) -> bool {
        let logs: Vec<_> = self.peers.iter().map(|peer| (&peer.log, lineage(&peer.log))).collect();
        logs.iter().enumerate().all(|(at, (log, line))| {
            logs[..at].iter().all(|(other, other_line)| {
                let (end, other_end) = (Lsn(log.len() as u64), Lsn(other.len() as u64));
                match line.fork_point(end, other_line, other_end) {
                    Fork::Disjoint => true,
                    Fork::At(fork) => log[..fork.0 as usize] == other[..fork.0 as usize],
                }
            })
        })
    }

    /// Who a node follows in the end: a primary, or nobody if it follows in a circle.
    fn root(&self, at: usize) -> Option<usize> {
        let mut seen = BTreeSet::new();
        let mut at = at;
        while let Some(primary) = self.peers[at].machine.primary() {
            if !seen.insert(at) {
                return None;
            }
            at = index(primary);
        }
        Some(at)
    }

    /// Whether every node that has a root holds what its root holds, and follows.
    fn is_whole(&self) -> bool {
        (0..NODES).all(|at| match self.root(at) {
            None => true,
            Some(root) if root == at => self.peers[at].writes(),
            Some(root) => {
                let status = self.peers[at].machine.status();
                let follows = status.shards.iter().all(|shard| shard.state == ShardStateName::Connected);
                follows && status.node.state == NodeStateName::Connected && self.peers[at].log == self.peers[root].log
            }
        })
    }

    /// Stops the faults and lets time pass.
    fn heals(&self) -> Result<Millis, World> {
        const ROUND: Millis = Millis(500);
        const ROUNDS: u64 = 400;
        let mut world = self.clone();
        // What is under way is lost: nobody may depend on it.
        world.net.clear();
        for round in 0..ROUNDS {
            world.settle_down();
            if world.is_whole() {
                return Ok(ROUND.times(round));
            }
            for at in 0..NODES {
                world.peers[at].now = world.peers[at].now + ROUND;
                world.step(at, Input::Tick);
            }
        }
        Err(world)
    }

    /// Everything that happens at once if nothing goes wrong.
    fn settle_down(&mut self) {
        const MOST: usize = 2_000;
        for at in 0..NODES {
            for to in 0..NODES {
                self.beat_if_linked(at, to);
            }
            self.assure(at);
        }
        for _ in 0..MOST {
            let busy = (0..NODES).find_map(|at| {
                let peer = &self.peers[at];
                let feed = peer.unsent().next().map(|feed| Action::Feed(at, feed));
                let install = peer.installing.is_some().then_some(Action::Install(at));
                feed.or(install).or(peer.promoting.is_some().then_some(Action::Promote(at)))
            });
            match busy {
                _ if !self.net.is_empty() => self.act(Action::Deliver(0)),
                Some(action) => self.act(action),
                None => return,
            }
        }
        unreachable!("never quiet: {self:#?}");
    }
}

/// Equality up to time and numbers, so that paths that lead to the same situation meet.
impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let names: Vec<_> = (0..NODES).map(|at| self.numbers(at)).collect();
        let rank = |at: usize, number: u64| {
            names[at].iter().position(|other| *other == number).map_or(u64::MAX, |at| at as u64)
        };
        for (at, peer) in self.peers.iter().enumerate() {
            peer.hash_canonical(&mut |number| rank(at, number), hasher);
            for feed in &peer.feeds {
                (feed.to, rank(feed.to, feed.link.0), feed.sent).hash(hasher);
            }
        }
        let mut net: Vec<_> =
            self.net.iter().map(|message| renamed(message, &rank)).map(|message| fingerprint(&message)).collect();
        net.sort_unstable();
        net.hash(hasher);
        self.budget.hash(hasher);
        (self.eras, self.writes).hash(hasher);
    }
}

fn fingerprint(message: &Message) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

fn receiver(message: &Message) -> usize {
    match message {
        Message::Dial { to, .. }
        | Message::Meta { to, .. }
        | Message::Ask { to, .. }
        | Message::Answer { to, .. }
        | Message::Refusal { to, .. }
        | Message::Frame { to, .. }
        | Message::Want { to, .. }
        | Message::Content { to, .. }
        | Message::Beat { to, .. } => *to,
    }
}

fn sender(message: &Message) -> usize {
    match message {
        Message::Dial { from, .. }
        | Message::Meta { from, .. }
        | Message::Ask { from, .. }
        | Message::Answer { from, .. }
        | Message::Refusal { from, .. }
        | Message::Frame { from, .. }
        | Message::Want { from, .. }
        | Message::Content { from, .. }
        | Message::Beat { from, .. } => *from,
    }
}

/// Whose numbers a message carries, and which one.
fn number(message: &Message) -> (usize, u64) {
    match message {
        Message::Dial { from, link, .. } | Message::Ask { from, link, .. } => (*from, link.0),
        Message::Want { from, transfer, .. } => (*from, transfer.0),
        Message::Meta { to, link, .. }
        | Message::Answer { to, link, .. }
        | Message::Refusal { to, link, .. }
        | Message::Frame { to, link, .. }
        | Message::Beat { to, link, .. } => (*to, link.0),
        Message::Content { to, transfer, .. } => (*to, transfer.0),
    }
}

fn renamed(message: &Message, rank: &impl Fn(usize, u64) -> u64) -> Message {
    let mut message = message.clone();
    let (owner, old) = number(&message);
    let new = rank(owner, old);
    match &mut message {
        Message::Dial { link, .. }
        | Message::Ask { link, .. }
        | Message::Meta { link, .. }
        | Message::Answer { link, .. }
        | Message::Refusal { link, .. }
        | Message::Frame { link, .. }
        | Message::Beat { link, .. } => *link = LinkId(new),
        Message::Want { transfer, .. } | Message::Content { transfer, .. } => *transfer = TransferId(new),
    }
    message
}

impl World {
    /// The numbers of a node that are still in use anywhere, in order.
    fn numbers(&self, at: usize) -> Vec<u64> {
        let mut numbers = self.peers[at].numbers();
        numbers.extend(self.net.iter().map(number).filter(|(owner, _)| *owner == at).map(|(_, number)| number));
        for peer in &self.peers {
            numbers.extend(peer.feeds.iter().filter(|feed| feed.to == at).map(|feed| feed.link.0));
        }
        numbers.into_iter().collect()
    }
}

fn id(at: usize) -> NodeId {
    NodeId([b'a' + u8::try_from(at).unwrap(); 20])
}

fn address(at: usize) -> Address {
    Address { host: "n".into(), port: u16::try_from(at).unwrap() }
}

fn index(address: &Address) -> usize {
    usize::from(address.port)
}

fn lineage(log: &[Entry]) -> Lineage {
    let mut lineage = Lineage::new();
    for (at, entry) in log.iter().enumerate() {
        if at == 0 || log[at - 1].era != entry.era {
            let epoch = Epoch(lineage.eras().len() as u64 + 1);
            lineage.push(Era { epoch, id: ReplId([entry.era; 20]), first: Lsn(at as u64) }).unwrap();
        }
    }
    lineage
}

/// Explores, and answers how many different states there are. Adds the goals that were reached.
fn explore(start: Start, budget: Budget, reached: &mut BTreeSet<&'static str>) -> usize {
    let checker = Bounded(start, budget).checker().threads(2).spawn_bfs().join();
    for (name, path) in checker.discoveries() {
        if GOALS.contains(&name) {
            reached.insert(name);
            continue;
        }
        let last = path.last_state();
        let stuck = last.heals().err().map(|world| world.summary()).unwrap_or_default();
        let actions = path.clone().into_actions();
        panic!("not true: {name}: {actions:?}\n{}\nnever gets further than\n{stuck}", last.summary());
    }
    checker.unique_state_count()
}

/// One exploration: how its paths begin, what may happen on each, when it is made, and how many states there are.
struct Exploration {
    start: Start,
    budget: Budget,
    when: When,
    states: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// With `HAYPILE_TEST_LONG=1`.
    Long,
}

/// Writes, crashes, orders, faults, timers.
const fn budget(numbers: [u8; 5]) -> Budget {
    let [writes, crashes, orders, faults, ticks] = numbers;
    Budget { writes, crashes, orders, faults, ticks }
}

const fn exploration(start: Start, numbers: [u8; 5], when: When, states: usize) -> Exploration {
    Exploration { start, budget: budget(numbers), when, states }
}

const EXPLORATIONS: [Exploration; 10] = [
    exploration(Start::Cold, [0, 0, 0, 1, 1], When::Always, 12_782),
    exploration(Start::Cold, [1, 1, 0, 0, 0], When::Always, 11_260),
    exploration(Start::Following, [0, 0, 2, 0, 0], When::Always, 18_726),
    exploration(Start::Following, [1, 0, 1, 1, 0], When::Always, 13_778),
    exploration(Start::Following, [1, 0, 1, 0, 1], When::Always, 9_402),
    exploration(Start::Following, [1, 0, 0, 2, 2], When::Always, 25_098),
    exploration(Start::Following, [1, 1, 0, 0, 2], When::Always, 26_035),
    exploration(Start::Following, [1, 1, 1, 0, 0], When::Always, 114_431),
    exploration(Start::Following, [1, 0, 2, 0, 0], When::Long, 273_582),
    exploration(Start::Cold, [0, 0, 1, 0, 0], When::Long, 141_466),
];

/// What the documentation says about the explorations.
pub fn found() -> String {
    let mut text = String::from(
        "The model (`tests/suite/model.rs`): a primary and two replicas with logs of a few entries. On each path so many of these\n\
         may happen, in any order and at any point: writes, crashes (also between the ledger and the rest of an output), orders of\n\
         operators (promote, or point at any other node), faults (a message lost or duplicated, a control link cut; messages\n\
         overtake each other anyway), timers that fire. In every state that is reached the logs are compared, and from every one\n\
         of them it is checked that all nodes come to follow and to hold the same once faults stop.\n\n\
         | begins | writes | crashes | orders | faults | timers | states | run |\n|---|---|---|---|---|---|---|---|\n",
    );
    for Exploration { start, budget, when, states } in EXPLORATIONS {
        let Budget { writes, crashes, orders, faults, ticks } = budget;
        let (start, when) = match (start, when) {
            (Start::Cold, When::Always) => ("replicas empty", "always"),
            (Start::Cold, When::Long) => ("replicas empty", "long"),
            (Start::Following, When::Always) => ("replicas follow", "always"),
            (Start::Following, When::Long) => ("replicas follow", "long"),
        };
        text += &format!("| {start} | {writes} | {crashes} | {orders} | {faults} | {ticks} | {states} | {when} |\n");
    }
    text
}

/// One test for all: the explorations use both cores as they are.
#[test]
fn every_state_is_safe_and_heals() {
    let is_long = std::env::var_os("HAYPILE_TEST_LONG").is_some();
    let wanted = |exploration: &&Exploration| is_long || exploration.when == When::Always;
    let (mut reached, mut stale) = (BTreeSet::new(), Vec::new());
    for Exploration { start, budget, states, .. } in EXPLORATIONS.iter().filter(wanted) {
        let found = explore(*start, *budget, &mut reached);
        if found != *states {
            stale.push(format!("{start:?} {budget:?}: {found} states, the documentation says {states}"));
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
    for name in GOALS {
        assert!(reached.contains(name), "the model never gets to: {name}");
    }
}
