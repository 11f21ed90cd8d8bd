//! A replica that a test plays by hand: it speaks the wire, and keeps what it is sent.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use lineage::{Lineage, Lsn};
use replication::wire::{Ack, Inbox, PrimaryMeta, Reply, Request, Side, SyncMeta, SyncShard, VERSION};
use replication_proto::{Db, NodeId, RunId};

use crate::server::{PATIENCE, Server};

/// A replica.
#[derive(Clone)]
pub struct Follower {
    pub node: NodeId,
    pub meta: PrimaryMeta,
}

/// A message, with bytes of its own.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Frames { lsn: Lsn, bytes: Vec<u8> },
    Chunk { crc: u32, bytes: Vec<u8> },
    Other(Reply<'static>),
    Closed,
}

/// A connection to a primary.
pub struct Link {
    stream: TcpStream,
    inbox: Inbox,
}

impl Follower {
    /// Introduces itself; the link stays open as long as the caller keeps it.
    pub fn join(server: &Server, name: u8) -> (Self, Link) {
        let mut link = Link::connect(server);
        link.command(&["REPLCONF", "listening-port", "7777", "ip-address", "10.1.2.3", "capa", "haypile"]);
        assert_eq!(link.hear(), Heard::Other(Reply::Ok));
        let node = NodeId([name; 20]);
        link.say(&Request::SyncMeta(meta(node)));
        match link.hear() {
            Heard::Other(Reply::Meta(meta)) => (Self { node, meta }, link),
            other => panic!("no answer to SYNCMETA: {other:?}"),
        }
    }

    /// Asks to continue a database.
    pub fn ask(&self, server: &Server, db: u32, end: Lsn, lineage: &Lineage) -> (Link, Heard) {
        let mut link = Link::connect(server);
        link.say(&Request::SyncShard(self.question(db, end, lineage)));
        let verdict = link.hear();
        (link, verdict)
    }

    pub fn question(&self, db: u32, end: Lsn, lineage: &Lineage) -> SyncShard {
        SyncShard {
            version: VERSION,
            node: self.node,
            primary_run: self.meta.run,
            role_generation: self.meta.role_generation,
            db: Db(db),
            end,
            lineage: lineage.clone(),
            bound: None,
        }
    }
}

/// The question of a replica that may have 16 databases.
pub fn meta(node: NodeId) -> SyncMeta {
    SyncMeta { version: VERSION, node, run: RunId([1; 20]), databases: 16, role_generation: 0 }
}

impl Link {
    pub fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, inbox: Inbox::new(Side::FromPrimary, Vec::new()) }
    }

    pub fn command(&mut self, args: &[&str]) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let mut bytes = Vec::new();
        resp::encode_command(&args, &mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn say(&mut self, request: &Request) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        // A link that was closed is noticed when it is read.
        let _ = self.stream.write_all(&bytes);
    }

    pub fn acknowledge(&mut self, lsn: Lsn) {
        self.say(&Request::Ack(Ack { received: lsn, applied: lsn, synced: lsn }));
    }

    /// The next message.
    pub fn hear(&mut self) -> Heard {
        loop {
            match self.inbox.next_reply().unwrap() {
                Some(Reply::Frames { lsn, bytes }) => return Heard::Frames { lsn, bytes: bytes.to_vec() },
                Some(Reply::Chunk { crc, bytes }) => return Heard::Chunk { crc, bytes: bytes.to_vec() },
                Some(other) => return Heard::Other(own(other)),
                None => {}
            }
            let mut piece = vec![0; 1 << 20];
            match self.stream.read(&mut piece) {
                Ok(0) => return Heard::Closed,
                Ok(bytes) => self.inbox.room().extend_from_slice(&piece[..bytes]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Heard::Closed,
                Err(error) => panic!("a link broke: {error}"),
            }
        }
    }

    /// Frames up to `end`, appended to `log`, which holds everything before. Acknowledges them.
    pub fn receive(&mut self, log: &mut Vec<u8>, end: Lsn) {
        while (log.len() as u64) < end.0 {
            match self.hear() {
                Heard::Frames { lsn, bytes } => {
                    assert_eq!(lsn.0, log.len() as u64, "frames arrive without a gap");
                    log.extend_from_slice(&bytes);
                    self.acknowledge(Lsn(log.len() as u64));
                }
                Heard::Other(Reply::Alive { end, written, .. }) => assert!(written <= end),
                other => panic!("not a message of a feed: {other:?}"),
            }
        }
    }
}

/// The same without what is borrowed.
fn own(reply: Reply<'_>) -> Reply<'static> {
    match reply {
        Reply::Frames { .. } | Reply::Chunk { .. } => unreachable!("looked at before"),
        Reply::Ok => Reply::Ok,
        Reply::Refused(refusal) => Reply::Refused(refusal),
        Reply::Meta(meta) => Reply::Meta(meta),
        Reply::Heartbeat(beat) => Reply::Heartbeat(beat),
        Reply::Continue { generation, from, lineage } => Reply::Continue { generation, from, lineage },
        Reply::FullSync { reason } => Reply::FullSync { reason },
        Reply::Rewind { to } => Reply::Rewind { to },
        Reply::Preparing { percent } => Reply::Preparing { percent },
        Reply::Alive { end, written, now_ms } => Reply::Alive { end, written, now_ms },
        Reply::Fsync => Reply::Fsync,
        Reply::Snapshot { lease, manifest } => Reply::Snapshot { lease, manifest },
    }
}
