//! Connections between nodes, in virtual time: what is sent arrives later and in order, or never.
//!
//! A connection behaves as one of TCP. While the two nodes are cut off from each other nothing arrives, in either
//! direction, and neither end notices; what was sent arrives when the cut has healed, if the connection still stands at
//! the other end by then. Who sends to an end that is gone learns that it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lineage::{Lineage, Lsn};
use replication_proto::{Beat, Cause, Db, Meta, Positions, RunId, SyncReason, Verdict};

use crate::manifest::Manifest;
use crate::rng::Rng;

/// The number of a node.
pub type NodeNumber = usize;

/// The number of a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId(u64);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The node that dialled.
    Client,
    /// The node that was dialled.
    Server,
}

impl End {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What nodes say to each other: the messages of docs/formats/replication.md, not as bytes.
#[derive(Clone, Debug)]
pub enum Message {
    /// The question of a control link.
    Hello,
    /// Its answer.
    Meta(Meta),
    /// A primary's heartbeat.
    Beat(Beat),
    /// A replica's heartbeat.
    Heartbeat,
    /// A shard link's question.
    Ask {
        /// The shard.
        db: Db,
        /// Which run is asked.
        run: RunId,
        /// Its role generation.
        role_generation: u64,
        /// What the asker has.
        lineage: Lineage,
        /// Where that ends.
        end: Lsn,
        /// Why it wants a full copy in any case.
        bound: Option<SyncReason>,
    },
    /// Its answer.
    Verdict(Verdict),
    /// Frames, gap-free.
    Frames {
        /// Of the first.
        at: Lsn,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// Nothing new; where the log ends.
    Alive(Lsn),
    /// How far a replica is.
    Ack(Positions),
    /// A snapshot is asked for.
    Open(Db),
    /// It is here.
    Manifest(Manifest),
    /// A part of a file is asked for.
    Read {
        /// Which file of the manifest.
        file: usize,
        /// From where.
        offset: u64,
    },
    /// It is here.
    Chunk {
        /// Its checksum as the sender saw it.
        checksum: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// No, and why.
    Refused(Cause),
}

/// What the network delivers.
#[derive(Debug)]
pub enum Arrival {
    /// A message for an end that stands.
    Message(Message),
    /// The other end is gone.
    Closed,
    /// Nobody listens there.
    Refused,
}

enum InFlight {
    Message(Message),
    Close,
    Refuse,
}

struct Conn {
    /// Client, server.
    nodes: [NodeNumber; 2],
    stands: [bool; 2],
    queues: [VecDeque<(u64, InFlight)>; 2],
}

/// The network.
#[derive(Default)]
pub struct Net {
    conns: BTreeMap<ConnId, Conn>,
    cuts: BTreeSet<(NodeNumber, NodeNumber)>,
    last: u64,
}

/// The slowest a message is while nothing is cut, in milliseconds.
const MOST_LATENCY: u64 = 12;

impl Net {
    /// Dials. `listens`: whether the node is up.
    pub fn dial(&mut self, now: u64, rng: &mut Rng, nodes: [NodeNumber; 2], listens: Listens) -> ConnId {
        self.last += 1;
        let id = ConnId(self.last);
        let mut conn =
            Conn { nodes, stands: [true, listens == Listens::Yes], queues: [VecDeque::new(), VecDeque::new()] };
        if listens == Listens::No {
            conn.queues[0].push_back((now + rng.within(1, MOST_LATENCY), InFlight::Refuse));
        }
        self.conns.insert(id, conn);
        id
    }

    /// Sends. To an end that is gone, too: then the sender will learn of it.
    pub fn send(&mut self, now: u64, rng: &mut Rng, id: ConnId, from: End, message: Message) {
        self.put(now, rng, id, from, InFlight::Message(message));
    }

    /// Closes one end; the other learns of it when everything sent before has arrived.
    pub fn close(&mut self, now: u64, rng: &mut Rng, id: ConnId, end: End) {
        self.put(now, rng, id, end, InFlight::Close);
        self.drop_end(id, end);
    }

    fn put(&mut self, now: u64, rng: &mut Rng, id: ConnId, from: End, what: InFlight) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.stands[from as usize]) else { return };
        let queue = &mut conn.queues[from.other() as usize];
        let after = queue.back().map_or(0, |(at, _)| *at);
        queue.push_back((after.max(now + rng.within(1, MOST_LATENCY)), what));
    }

    /// An end disappears without a word.
    fn drop_end(&mut self, id: ConnId, end: End) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.stands[end as usize] = false;
            conn.queues[end as usize].clear();
            if conn.stands == [false, false] {
                self.conns.remove(&id);
            }
        }
    }

    /// A node's process ends. Its system closes its connections, unless it has no power either.
    pub fn node_ends(&mut self, now: u64, rng: &mut Rng, node: NodeNumber, how: Ending) {
        let ends = |conn: &Conn| {
            [End::Client, End::Server]
                .into_iter()
                .filter(move |end| conn.nodes[*end as usize] == node)
                .collect::<Vec<_>>()
        };
        let mine: Vec<_> =
            self.conns.iter().flat_map(|(id, conn)| ends(conn).into_iter().map(|end| (*id, end))).collect();
        for (id, end) in mine {
            match how {
                Ending::Killed => self.close(now, rng, id, end),
                Ending::PowerLost => self.drop_end(id, end),
            }
        }
    }

    /// Cuts two nodes off from each other.
    pub fn cut(&mut self, a: NodeNumber, b: NodeNumber) {
        self.cuts.insert((a.min(b), a.max(b)));
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Messages with frames that are on their way from one end: what a socket's buffer would hold.
    #[must_use]
    pub fn frames_in_flight(&self, id: ConnId, from: End) -> usize {
        self.conns.get(&id).map_or(0, |conn| {
            let queue = &conn.queues[from.other() as usize];
            queue.iter().filter(|(_, what)| matches!(what, InFlight::Message(Message::Frames { .. }))).count()
        })
    }

    /// The next thing that arrives by `now`: at which node, on which connection and at which end of it.
    pub fn next_arrival(&mut self, now: u64, rng: &mut Rng) -> Option<(NodeNumber, ConnId, End, Arrival)> {
        loop {
            let cuts = &self.cuts;
            let due = |conn: &Conn, end: End| {
                let [a, b] = conn.nodes;
                let (at, _) = conn.queues[end as usize].front()?;
                (*at <= now && !cuts.contains(&(a.min(b), a.max(b)))).then_some(*at)
            };
            let (_, id, end) = self
                .conns
                .iter()
                .flat_map(|(id, conn)| [End::Client, End::Server].map(|end| (due(conn, end), *id, end)))
                .filter_map(|(at, id, end)| Some((at?, id, end)))
                .min_by_key(|(at, id, _)| (*at, *id))?;
            let conn = self.conns.get_mut(&id)?;
            let node = conn.nodes[end as usize];
            let (_, what) = conn.queues[end as usize].pop_front()?;
            if !conn.stands[end as usize] {
                // Who sends to an end that is gone gets an answer that says so.
                if matches!(what, InFlight::Message(_)) {
                    self.put_back(now, rng, id, end);
                }
                continue;
            }
            let arrival = match what {
                InFlight::Message(message) => Arrival::Message(message),
                InFlight::Close => Arrival::Closed,
                InFlight::Refuse => Arrival::Refused,
            };
            if !matches!(arrival, Arrival::Message(_)) {
                self.drop_end(id, end);
            }
            return Some((node, id, end, arrival));
        }
    }

    /// Tells the sender that `gone` is gone.
    fn put_back(&mut self, now: u64, rng: &mut Rng, id: ConnId, gone: End) {
        if let Some(conn) = self.conns.get_mut(&id) {
            let queue = &mut conn.queues[gone.other() as usize];
            if !queue.iter().any(|(_, what)| matches!(what, InFlight::Close)) {
                let after = queue.back().map_or(0, |(at, _)| *at);
                queue.push_back((after.max(now + rng.within(1, MOST_LATENCY)), InFlight::Close));
            }
        }
    }
}

/// Whether a node that is dialled is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listens {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `kill -9`: the system goes on.
    Killed,
    /// The machine stops.
    PowerLost,
}
