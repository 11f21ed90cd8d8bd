//! The primary's side of a driver: answers questions, feeds replicas, ships snapshots.

use std::fs;

use lineage::Lsn;
use replication_proto::{
    Ask, Beat, Cause, Db, Meta, Origin, PROTOCOL_VERSION, Positions, ShardBeat, SnapshotId, Verdict, judge,
};

use crate::manifest::checksum;
use crate::net::{Arrival, ConnId, End, Message, NodeNumber};
use crate::process::{Feed, Lease, Process};
use crate::settings;
use crate::world::{Weather, World};

/// Bytes of a file in one message.
pub const CHUNK: usize = 3000;
/// Bytes of frames in one message, unless one frame is longer.
const FRAMES: usize = 2000;
/// Messages with frames that may be under way on one link: what a socket's buffer holds.
const IN_FLIGHT: usize = 4;
/// A feed that has nothing to send says so this often, in milliseconds.
const ALIVE_EVERY: u64 = 300;

impl World {
    /// Something arrived from a replica.
    pub fn asked(&mut self, node: NodeNumber, conn: ConnId, arrival: Arrival) {
        match arrival {
            Arrival::Message(Message::Hello) => self.greet(node, conn),
            Arrival::Message(Message::Heartbeat) => {}
            Arrival::Message(Message::Ask { db, run, role_generation, lineage, end, bound }) => {
                let answer = self.judge(node, db, (run.0, role_generation), &Ask { lineage, end, bound });
                self.answer(node, conn, db, answer);
            }
            Arrival::Message(Message::Ack(positions)) => self.acknowledged(node, conn, positions),
            Arrival::Message(Message::Open(db)) => self.open_snapshot(node, conn, db),
            Arrival::Message(Message::Read { file, offset }) => self.read(node, conn, file, offset),
            Arrival::Message(other) => panic!("node {node} was asked {other:?}"),
            Arrival::Closed | Arrival::Refused => self.forget_replica(node, conn),
        }
    }

    fn forget_replica(&mut self, node: NodeNumber, conn: ConnId) {
        let Some(process) = &mut self.hosts[node].process else { return };
        process.followers.retain(|known| *known != conn);
        process.feeds.retain(|feed| feed.conn != conn);
        if let Some(lease) = process.leases.remove(&conn) {
            drop(lease.pin);
            fs::remove_dir_all(lease.dir).expect("the real file system works");
        }
    }

    /// Nobody is told of a history that could still become another one.
    fn begin_reigns(&mut self, node: NodeNumber) -> Result<(), Cause> {
        let clock = self.hosts[node].clock(self.now);
        let Some(process) = &self.hosts[node].process else { return Err(Cause::Closed) };
        let mut databases = 0..process.instance.databases();
        databases.try_for_each(|db| process.instance.begin_reign(db, clock)).map_err(|_| Cause::DiskFault)
    }

    fn greet(&mut self, node: NodeNumber, conn: ConnId) {
        if let Err(cause) = self.begin_reigns(node) {
            return self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Refused(cause));
        }
        let id = self.hosts[node].id;
        let Some(process) = &mut self.hosts[node].process else { return };
        let meta = Meta {
            version: PROTOCOL_VERSION,
            node: id,
            run: process.run,
            role_generation: process.machine.role_generation(),
            databases: settings::DATABASES,
            path: process.machine.path(),
            shards: shards(process),
        };
        process.followers.push(conn);
        self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Meta(meta));
    }

    fn judge(&mut self, node: NodeNumber, db: Db, asked: ([u8; 20], u64), ask: &Ask) -> Result<Verdict, Cause> {
        self.begin_reigns(node)?;
        let Some(process) = &self.hosts[node].process else { return Err(Cause::Closed) };
        if asked != (process.run.0, process.machine.role_generation()) {
            return Err(Cause::UpstreamChanged);
        }
        let own = process.instance.shard(db.0 as usize).map(|shard| shard.origin());
        if own.as_ref().is_some_and(|own| !own.consistent) {
            return Err(Cause::Loading);
        }
        let own = own.map(|own| Origin {
            lineage: own.lineage,
            start: own.start,
            end: own.end,
            log_generation: own.generation,
        });
        match judge(process.machine.standing(db), own.as_ref(), ask).verdict {
            Verdict::NotYet => Err(Cause::Busy),
            verdict => Ok(verdict),
        }
    }

    fn answer(&mut self, node: NodeNumber, conn: ConnId, db: Db, answer: Result<Verdict, Cause>) {
        let verdict = match answer {
            Ok(verdict) => verdict,
            Err(cause) => return self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Refused(cause)),
        };
        self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Verdict(verdict));
        let now = self.now;
        let Some(process) = &mut self.hosts[node].process else { return };
        let Verdict::Continue { log_generation, from } = verdict else { return };
        let shard = process.instance.shard(db.0 as usize);
        let reader = match shard.map(|shard| shard.log.reader(from)) {
            None => None,
            Some(Ok(reader)) => Some(reader),
            // The replica will ask again.
            Some(Err(_)) => return self.net.close(self.now, &mut self.rng, conn, End::Server),
        };
        let positions = Positions { received: from, applied: from, synced: Lsn(0) };
        process.feeds.push(Feed { conn, db, generation: log_generation, reader, sent_at: now, positions });
    }

    /// Sends what there is for those who follow.
    pub fn feed_followers(&mut self, node: NodeNumber) {
        self.beat(node);
        let Some(process) = &mut self.hosts[node].process else { return };
        let mut feeds = std::mem::take(&mut process.feeds);
        let mut left = Vec::with_capacity(feeds.len());
        for mut feed in feeds.drain(..) {
            if self.feed(node, &mut feed) {
                left.push(feed);
            } else {
                self.net.close(self.now, &mut self.rng, feed.conn, End::Server);
            }
        }
        if let Some(process) = &mut self.hosts[node].process {
            process.feeds = left;
        }
    }

    /// Sends what one feed has; `false` when it ends.
    fn feed(&mut self, node: NodeNumber, feed: &mut Feed) -> bool {
        let Some(process) = &self.hosts[node].process else { return false };
        let Some(shard) = process.instance.shard(feed.db.0 as usize) else { return feed.reader.is_none() };
        if shard.generation() != feed.generation {
            return false;
        }
        let Some(reader) = &mut feed.reader else { return false };
        for _ in 0..IN_FLIGHT {
            if self.net.frames_in_flight(feed.conn, End::Server) >= IN_FLIGHT {
                return true;
            }
            let at = reader.position();
            let mut bytes = match reader.next_raw(FRAMES) {
                Ok(Some(raw)) => raw.bytes.to_vec(),
                Ok(None) => break,
                Err(_) => return false,
            };
            if self.weather == Weather::Stormy && self.rng.below(500) == 0 {
                let spoiled = self.rng.index(bytes.len());
                bytes[spoiled] ^= 1 << self.rng.below(8);
            }
            feed.sent_at = self.now;
            self.net.send(self.now, &mut self.rng, feed.conn, End::Server, Message::Frames { at, bytes });
        }
        if self.now - feed.sent_at >= ALIVE_EVERY {
            feed.sent_at = self.now;
            let end = shard.log.end();
            self.net.send(self.now, &mut self.rng, feed.conn, End::Server, Message::Alive(end));
        }
        true
    }

    fn beat(&mut self, node: NodeNumber) {
        let now = self.now;
        let Some(process) = &mut self.hosts[node].process else { return };
        let told = (process.instance.changes().count(), process.machine.role_generation());
        if now < process.beat_at && process.told == told {
            return;
        }
        process.told = told;
        process.beat_at = now + settings::config().heartbeat_every.0;
        let beat = Beat {
            run: process.run,
            role_generation: process.machine.role_generation(),
            path: process.machine.path(),
            shards: shards(process),
        };
        for conn in process.followers.clone() {
            self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Beat(beat.clone()));
        }
    }

    /// A replica says how far it is.
    fn acknowledged(&mut self, node: NodeNumber, conn: ConnId, positions: Positions) {
        let Some(process) = &mut self.hosts[node].process else { return };
        let Some(feed) = process.feeds.iter_mut().find(|feed| feed.conn == conn) else { return };
        feed.positions = positions;
        if feed.db != Db(0) {
            return;
        }
        let Some(shard) = process.instance.shard(0) else { return };
        let era = shard.log.lineage().current().map(|era| era.id);
        let durable = shard.log.synced().0.min(positions.synced.0);
        drop(shard);
        // What an old leader goes on to accept after a failover is lost with it: there is no fencing to promise more.
        if !self.leads(node) || node != self.leader {
            return;
        }
        for marker in &mut self.markers {
            if marker.node == node && Some(marker.era) == era && marker.end <= durable {
                marker.acknowledged = true;
            }
        }
    }

    fn open_snapshot(&mut self, node: NodeNumber, conn: ConnId, db: Db) {
        let name = format!("snap-{}", self.rng.bits());
        let dir = self.hosts[node].dir.join(&name);
        let snapshot = SnapshotId::new(&name).expect("the name is short and plain");
        let Some(process) = &mut self.hosts[node].process else { return };
        match crate::engine_side::snapshot(&process.instance, db, snapshot, &dir) {
            Ok((manifest, pin)) => {
                process.leases.insert(conn, Lease { dir, manifest: manifest.clone(), pin });
                self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Manifest(manifest));
            }
            Err(fault) => {
                self.tell(|| format!("node {node} cannot make a snapshot of database {db}: {fault}"));
                let _ = fs::remove_dir_all(&dir);
                self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Refused(Cause::Loading));
            }
        }
    }

    fn read(&mut self, node: NodeNumber, conn: ConnId, file: usize, offset: u64) {
        let Some(process) = &self.hosts[node].process else { return };
        let Some(lease) = process.leases.get(&conn) else {
            return self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Refused(Cause::LeaseLost));
        };
        let content = fs::read(lease.dir.join(&lease.manifest.files[file].path)).expect("a lease keeps its files");
        let from = offset as usize;
        let mut bytes = content[from..content.len().min(from + CHUNK)].to_vec();
        let checksum = checksum(&bytes);
        if self.weather == Weather::Stormy && !bytes.is_empty() && self.rng.below(60) == 0 {
            let spoiled = self.rng.index(bytes.len());
            bytes[spoiled] ^= 1 << self.rng.below(8);
        }
        self.net.send(self.now, &mut self.rng, conn, End::Server, Message::Chunk { checksum, bytes });
    }
}

fn shards(process: &Process) -> Vec<ShardBeat> {
    let beat = |shard: &engine::ShardRef| ShardBeat {
        db: Db(shard.database as u32),
        log_generation: shard.generation(),
        end: shard.log.end(),
    };
    process.instance.shards().map(|shard| beat(&shard)).collect()
}
