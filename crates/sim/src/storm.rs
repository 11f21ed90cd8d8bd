//! What goes wrong in a run, and how the run ends.

use std::path::Path;

use lineage::{Fork, Lsn};
use replication_proto::{Db, DbOrder, Input, NodeStateName, Scope, ShardStateName};

use crate::disk::Space;
use crate::net::{Ending, NodeNumber};
use crate::settings;
use crate::world::{Counts, Weather, World, address};

/// How long a run is and how many nodes it has.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Nodes, at least two.
    pub nodes: usize,
    /// Milliseconds with faults.
    pub storm: u64,
    /// Milliseconds without, in which everything must heal.
    pub calm: u64,
    /// What replicas say that they have.
    pub replicas: Replicas,
}

/// What a replica's acknowledgements are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// What they call synced is.
    Honest,
    /// They call synced what they have only received: for a test that the simulation finds out.
    Boastful,
}

impl Plan {
    /// Of ordinary runs: a primary and two replicas.
    pub const ORDINARY: Self = Self { nodes: 3, storm: 15_000, calm: 40_000, replicas: Replicas::Honest };
}

/// What a run that went well came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What happened in it.
    pub counts: Counts,
    /// Writes that had been acknowledged, and were there at the end.
    pub acknowledged: u64,
    /// Milliseconds from the end of the faults until everybody had everything.
    pub healed_after: u64,
}

/// Runs a seed in a folder that is empty.
///
/// # Panics
/// When the nodes do not heal, or differ, or lost something.
pub fn run(seed: u64, plan: Plan, root: &Path) -> Outcome {
    let mut world = World::new(seed, plan.nodes, root);
    world.replicas = plan.replicas;
    while world.now < plan.storm {
        world.tick();
        if world.rng.percent(60) {
            world.write();
        }
        if world.rng.below(90) == 0 {
            world.fault();
        }
    }
    world.calm_down();
    let deadline = world.now + plan.calm;
    while !world.is_whole() {
        assert!(world.now < deadline, "seed {seed} does not heal: {}\n{}", world.report(), world.story.join("\n"));
        world.tick();
    }
    world.check();
    let acknowledged = world.markers.iter().filter(|marker| marker.acknowledged).count() as u64;
    Outcome { counts: world.counts, acknowledged, healed_after: world.now - plan.storm }
}

impl World {
    /// Something goes wrong, or an operator does something.
    fn fault(&mut self) {
        self.counts.faults += 1;
        let node = self.rng.index(self.hosts.len());
        let other = self.rng.index(self.hosts.len());
        match self.rng.below(24) {
            0..=2 => self.crash(node, Ending::Killed),
            3..=5 => self.crash(node, Ending::PowerLost),
            6..=10 => self.start_one(),
            11..=12 if node != other => {
                self.tell(|| format!("nodes {node} and {other} are cut off"));
                self.net.cut(node, other);
            }
            13..=15 => {
                self.tell(|| "the network heals".to_owned());
                self.net.heal();
            }
            16 => self.jump_clock(node),
            17 => {
                self.tell(|| format!("the disk of node {node} is full"));
                self.hosts[node].disk.set_full(Space::None);
            }
            18 => self.hosts.iter().for_each(|host| host.disk.set_full(Space::Some)),
            19..=20 => self.fail_over(),
            21 => self.repoint(node),
            22 => {
                let db = Db(self.rng.below(u64::from(settings::DATABASES)) as u32);
                let order = [DbOrder::NoOne, DbOrder::Sync, DbOrder::Force][self.rng.index(3)];
                self.order(node, Input::DbSlaveOf(db, order));
            }
            _ => self.order(node, Input::Reset(Scope::Everything)),
        }
    }

    fn start_one(&mut self) {
        let down: Vec<_> = (0..self.hosts.len()).filter(|node| !self.is_up(*node)).collect();
        if !down.is_empty() {
            let node = down[self.rng.index(down.len())];
            // A full disk refuses to start, which is a matter of the engine's tests.
            self.hosts[node].disk.set_full(Space::Some);
            self.start(node);
        }
    }

    fn jump_clock(&mut self, node: NodeNumber) {
        const HOUR: i64 = 3_600_000;
        let error = self.rng.below(2 * HOUR as u64) as i64 - HOUR;
        self.tell(|| format!("the clock of node {node} is wrong by {error} ms"));
        self.hosts[node].clock_error = error;
    }

    /// An operator sends a node after another one, sensibly or not. Never the leader: its history counts.
    fn repoint(&mut self, node: NodeNumber) {
        let target = self.rng.index(self.hosts.len());
        if node != self.leader {
            self.sent_astray |= target != self.leader;
            self.order(node, Input::ReplicaOf(address(target)));
        }
    }

    /// An operator promotes the replica that has most of the leader's history durably, when all of them can be asked. It
    /// must have everything that was acknowledged, unless replicas were sent elsewhere meanwhile.
    fn fail_over(&mut self) {
        let is_asked = |node: NodeNumber| node == self.leader || self.is_up(node);
        if self.sent_astray || !self.is_up(self.leader) || !(0..self.hosts.len()).all(is_asked) {
            return;
        }
        let held = |node: NodeNumber| -> Option<(lineage::Lineage, Lsn)> {
            let shard = self.hosts[node].process.as_ref()?.instance.shard(0)?;
            Some((shard.log.lineage(), shard.log.synced()))
        };
        let Some((history, _)) = held(self.leader) else { return };
        let common = |node: NodeNumber| {
            let (lineage, synced) = held(node)?;
            match history.fork_point(Lsn(u64::MAX), &lineage, synced) {
                Fork::At(lsn) => Some(lsn),
                Fork::Disjoint => None,
            }
        };
        let others = (0..self.hosts.len()).filter(|node| *node != self.leader);
        let Some((has, next)) = others.filter_map(|node| Some((common(node)?, node))).max() else { return };
        let eras: Vec<_> = history.eras().iter().map(|era| era.id).collect();
        let promised = self.markers.iter().filter(|marker| marker.acknowledged && eras.contains(&marker.era));
        if let Some(marker) = promised.max_by_key(|marker| marker.end) {
            assert!(marker.end <= has.0, "no replica has {marker:?}, only up to {has}\n{}", self.story.join("\n"));
        }
        if self.hosts[next].process.as_ref().is_some_and(|process| !process.fetches.is_empty()) {
            // Whoever is being replaced is no candidate.
            return;
        }
        let old = std::mem::replace(&mut self.leader, next);
        self.tell(|| format!("node {next} takes over from node {old}"));
        self.order(next, Input::NoOne);
        for node in 0..self.hosts.len() {
            // The old leader learns of it later, or never.
            if node != next && node != old {
                self.order(node, Input::ReplicaOf(address(next)));
            }
        }
    }

    /// The faults end: everything is up, reachable and has room, and every node was told whom to follow.
    fn calm_down(&mut self) {
        self.weather = Weather::Calm;
        self.net.heal();
        for node in 0..self.hosts.len() {
            self.hosts[node].disk.set_full(Space::Some);
            if !self.is_up(node) {
                self.start(node);
            }
        }
        self.tell(|| "calm".to_owned());
        let leader = self.leader;
        if !self.leads(leader) && self.hosts[leader].process.as_ref().is_some_and(|p| p.machine.primary().is_some()) {
            self.order(leader, Input::NoOne);
        }
        for node in (0..self.hosts.len()).filter(|node| *node != leader) {
            let follows = self.hosts[node].process.as_ref().and_then(|process| process.machine.primary().cloned());
            if follows.as_ref() != Some(&address(leader)) {
                self.order(node, Input::ReplicaOf(address(leader)));
            }
            for db in 0..settings::DATABASES {
                // Who was detached follows again; to the others it means nothing.
                self.order(node, Input::DbSlaveOf(Db(db), DbOrder::Sync));
            }
        }
    }

    /// Whether every node has everything that the leader has.
    fn is_whole(&self) -> bool {
        let Some(leader) = self.hosts[self.leader].process.as_ref().filter(|_| self.leads(self.leader)) else {
            return false;
        };
        let wanted: Vec<_> =
            leader.instance.shards().map(|shard| (shard.database, shard.log.end(), shard.log.lineage())).collect();
        (0..self.hosts.len()).filter(|node| *node != self.leader).all(|node| {
            let Some(process) = &self.hosts[node].process else { return false };
            let status = process.machine.status();
            let connected = status.node.state == NodeStateName::Connected
                && status.shards.iter().all(|shard| shard.state == ShardStateName::Connected);
            connected
                && wanted.iter().all(|(database, end, lineage)| {
                    process.instance.shard(*database).is_some_and(|shard| {
                        shard.log.end() == *end && shard.log.lineage().current() == lineage.current()
                    })
                })
        })
    }

    /// Where everybody is.
    fn report(&self) -> String {
        let mut report = format!("leader {}", self.leader);
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(process) = &host.process else {
                report.push_str(&format!("\n node {number} is down"));
                continue;
            };
            let status = process.machine.status();
            report.push_str(&format!("\n node {number}: {:?} {}", status.role, status.node.state.as_str()));
            for shard in &status.shards {
                let end = process.instance.shard(shard.db.0 as usize).map(|shard| shard.log.end().0);
                let (db, state, cause) = (shard.db, shard.state.as_str(), shard.cause);
                report.push_str(&format!("\n   db{db} {state} ({cause}) end {end:?}"));
            }
        }
        report
    }
}
