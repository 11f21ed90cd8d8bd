//! The world of a run: nodes, network, time, and what has happened so far.
//!
//! ```text
//!   tick ──► what the network delivers ──► serve / follow ──► machine.step ──► obey
//!        ├─► each node's own work: write and sync logs, settle, feeds, deadlines
//!        ├─► clients write to whoever believes to be primary
//!        └─► faults, until the run's end draws near
//! ```
//!
//! One thread, one source of chance: a seed is a run. (Replication ids come from the system's randomness; nothing depends
//! on them but whether two are equal.)

use std::path::Path;

use engine::memory_store::MemoryStore;
use replication_proto::{Address, Db, Input, Role};

use crate::net::{Ending, Net, NodeNumber};
use crate::process::{Host, set_clock};
use crate::rng::Rng;
use crate::settings;
use crate::storm::Replicas;

/// Everything.
pub struct World {
    /// True time in milliseconds.
    pub now: u64,
    /// Chance.
    pub rng: Rng,
    /// The network.
    pub net: Net,
    /// The machines, up or down.
    pub hosts: Vec<Host>,
    /// Writes that tell whether anything was lost.
    pub markers: Vec<Marker>,
    /// Whose history is the one that counts.
    pub leader: NodeNumber,
    /// Whether an operator has sent a replica after somebody else than the leader: what it had confirmed to the leader may
    /// be gone then, at the operator's wish.
    pub sent_astray: bool,
    /// What happens to the machines: nothing bad any more when the run ends.
    pub weather: Weather,
    /// What replicas say that they have.
    pub replicas: Replicas,
    /// What happened, for a failure's report; the newest of it.
    pub story: Vec<String>,
    /// Numbers of the run.
    pub counts: Counts,
}

/// Whether there are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// There are.
    Stormy,
    /// There are none.
    Calm,
}

/// A key of database 0 that is written once and never changed.
#[derive(Clone, Debug)]
pub struct Marker {
    /// Its number.
    pub number: u64,
    /// Who took it.
    pub node: NodeNumber,
    /// Under which id its history went on then.
    pub era: lineage::ReplId,
    /// The end of its frame.
    pub end: u64,
    /// Whether it is durable there and on a replica: a client with `repl-sync-replicas 1` has its reply.
    pub acknowledged: bool,
}

/// Numbers of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Commands that clients had executed.
    pub commands: u64,
    /// Faults.
    pub faults: u64,
    /// Full syncs that ended well.
    pub full_syncs: u64,
    /// Links that continued.
    pub continued: u64,
    /// Promotions.
    pub promotions: u64,
}

/// The longest a story is.
const STORY: usize = 400;

impl World {
    /// Nodes with empty disks, all up; node 0 is the primary, the others follow it: the first of them from its first
    /// start on, as its configuration file has it, the others because an operator tells them.
    #[must_use]
    pub fn new(seed: u64, nodes: usize, root: &Path) -> Self {
        let hosts = (0..nodes).map(|number| Host::new(number, root)).collect();
        let mut world = Self {
            now: 0,
            rng: Rng::new(seed),
            net: Net::default(),
            hosts,
            markers: Vec::new(),
            leader: 0,
            sent_astray: false,
            weather: Weather::Stormy,
            replicas: Replicas::Honest,
            story: Vec::new(),
            counts: Counts::default(),
        };
        for number in 0..nodes {
            if number == 1 {
                world.hosts[number].configure(address(0));
            }
            world.start(number);
            if number > 1 {
                world.order(number, Input::ReplicaOf(address(0)));
            }
        }
        world
    }

    /// Adds to the story.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.story.len() == STORY {
            self.story.drain(..STORY / 4);
        }
        let line = format!("{:>7} {}", self.now, what());
        self.story.push(line);
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_up(&self, node: NodeNumber) -> bool {
        self.hosts[node].process.is_some()
    }

    /// Whether a node believes to be primary.
    #[must_use]
    pub fn leads(&self, node: NodeNumber) -> bool {
        self.hosts[node].process.as_ref().is_some_and(|process| process.machine.role() == Role::Primary)
    }

    /// Starts a node's process.
    pub fn start(&mut self, node: NodeNumber) {
        let seed = self.rng.bits();
        let now = self.now;
        self.tell(|| format!("node {node} starts"));
        self.hosts[node].start(now, seed);
        for db in self.databases(node) {
            self.step(node, Input::Local(db));
        }
        self.step(node, Input::Tick);
    }

    /// The databases that a node has.
    #[must_use]
    pub fn databases(&self, node: NodeNumber) -> Vec<Db> {
        let Some(process) = &self.hosts[node].process else { return Vec::new() };
        (0..settings::DATABASES).filter(|db| process.instance.shard(*db as usize).is_some()).map(Db).collect()
    }

    /// Ends a node's process, as the system's `kill -9` or a power cut would.
    pub fn crash(&mut self, node: NodeNumber, how: Ending) {
        let Some(process) = self.hosts[node].process.take() else { return };
        self.tell(|| format!("node {node} crashes: {how:?}"));
        self.net.node_ends(self.now, &mut self.rng, node, how);
        let databases: Vec<_> = process.instance.shards().map(|shard| shard.dir.join("store")).collect();
        drop(process);
        let host = &self.hosts[node];
        for dir in databases {
            let store: std::sync::Arc<MemoryStore> = host.stores.store(&dir);
            store.crash();
        }
        match how {
            Ending::Killed => host.disk.keep_everything(),
            Ending::PowerLost => host.disk.lose_power(&mut self.rng).expect("the real file system works"),
        }
    }

    /// An operator's command.
    pub fn order(&mut self, node: NodeNumber, input: Input) {
        if self.is_up(node) {
            self.tell(|| format!("node {node} is told {input:?}"));
            self.step(node, input);
        }
    }

    /// Lets time go on by some milliseconds.
    pub fn tick(&mut self) {
        self.now += self.rng.within(1, 10);
        let _ = self.deliver();
        for node in 0..self.hosts.len() {
            if self.is_up(node) {
                set_clock(self.hosts[node].clock(self.now).0);
                self.work(node);
            }
        }
    }

    fn deliver(&mut self) -> usize {
        /// More in one tick would be a loop of nodes that answer each other without time going by.
        const MOST: usize = 10_000;
        for delivered in 0..MOST {
            let Some((node, conn, end, arrival)) = self.net.next_arrival(self.now, &mut self.rng) else {
                return delivered;
            };
            if self.is_up(node) {
                set_clock(self.hosts[node].clock(self.now).0);
                self.arrive(node, conn, end, arrival);
            }
        }
        panic!("nodes talk without end\n{}", self.story.join("\n"));
    }

    fn work(&mut self, node: NodeNumber) {
        self.store_work(node);
        self.feed_followers(node);
        self.acknowledge(node);
        let due = self.hosts[node].process.as_ref().is_some_and(|process| {
            process.machine.deadline().is_some_and(|deadline| deadline <= process.monotonic(self.now))
        });
        if due {
            self.step(node, Input::Tick);
        }
    }

    /// What a process does for itself: writes and syncs its logs, settles, flushes, evicts.
    fn store_work(&mut self, node: NodeNumber) {
        let Some(process) = &self.hosts[node].process else { return };
        for shard in process.instance.shards() {
            let wanted = self.rng.below(100);
            if wanted < 70 {
                shard.log.step_writer();
            }
            if wanted < 25 {
                shard.log.request_sync(shard.log.written());
                shard.log.step_syncer();
            }
        }
        let instance = process.instance.clone();
        match self.rng.below(400) {
            0..=3 => {
                drop(instance.settle());
                instance.read_ahead();
            }
            4 => {
                for shard in instance.shards() {
                    // A full disk refuses it; recovery has more to do then.
                    let _ = shard.flush(&instance);
                }
            }
            _ => {}
        }
    }
}

/// Where a node is reached.
#[must_use]
pub fn address(node: NodeNumber) -> Address {
    Address { host: "node".to_owned(), port: 7000 + node as u16 }
}

/// Which node is reached there.
#[must_use]
pub fn node_at(address: &Address) -> NodeNumber {
    usize::from(address.port - 7000)
}
