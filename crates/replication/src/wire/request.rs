//! What a replica says to its primary: [`Request`].

use lineage::{Lineage, Lsn};
use replication_proto::{Db, NodeId, RunId, SyncReason};

use super::fields::{Builder, Fields};
use super::{MAX_CHUNK, MAX_DATABASES, MAX_FILES, WireError};

/// A message of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens a control link.
    SyncMeta(SyncMeta),
    /// Opens a shard link.
    SyncShard(SyncShard),
    /// On a control link, each second.
    Heartbeat(ReplicaHeartbeat),
    /// On a shard link, after what was applied, and each second.
    Ack(Ack),
    /// On a snapshot link.
    Snapshot(SnapshotRequest),
}

/// Who wants to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncMeta {
    /// The version of the protocol that the replica speaks.
    pub version: u64,
    /// The replica.
    pub node: NodeId,
    /// Its run.
    pub run: RunId,
    /// How many databases it can have.
    pub databases: u32,
    /// How often its role or its primary has changed since it started.
    pub role_generation: u64,
}

/// May I continue this database from here?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncShard {
    /// The version of the protocol that the replica speaks.
    pub version: u64,
    /// The replica.
    pub node: NodeId,
    /// The run of the primary that it believes to talk to.
    pub primary_run: RunId,
    /// That primary's role generation.
    pub role_generation: u64,
    /// The database.
    pub db: Db,
    /// Where the replica's log ends.
    pub end: Lsn,
    /// The history in the replica's log.
    pub lineage: Lineage,
    /// Why it wants a full copy whatever the answer is.
    pub bound: Option<SyncReason>,
}

/// The replica lives, and has this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaHeartbeat {
    /// The role generation of the primary that the replica knows.
    pub role_generation: u64,
    /// The replica's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// What it has, in ascending order of databases.
    pub shards: Vec<ShardAck>,
}

/// What a replica has of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardAck {
    /// The database.
    pub db: Db,
    /// How far.
    pub ack: Ack,
}

/// How far a replica has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// Everything below is in its log.
    pub received: Lsn,
    /// Everything below can be read there.
    pub applied: Lsn,
    /// Everything below is durable there.
    pub synced: Lsn,
}

/// What is asked about snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRequest {
    /// A snapshot of a database, please.
    Open {
        /// The version of the protocol that the replica speaks.
        version: u64,
        /// The replica.
        node: NodeId,
        /// The database.
        db: Db,
    },
    /// A piece of a file.
    Read {
        /// Of this lease's snapshot.
        lease: u64,
        /// Index of the file in the manifest.
        file: u32,
        /// Where the piece begins.
        offset: u64,
        /// How long it is, in bytes: 1 to [`MAX_CHUNK`].
        length: u32,
    },
    /// The lease is still needed.
    Keep {
        /// The lease.
        lease: u64,
    },
    /// The lease is not needed any more.
    Close {
        /// The lease.
        lease: u64,
    },
}

impl Request {
    /// Reads a message: its name and its fields.
    ///
    /// # Errors
    /// When it is none that a replica sends.
    pub fn decode(message: &[&[u8]]) -> Result<Self, WireError> {
        let (name, fields) = message.split_first().ok_or_else(|| WireError::Unknown(String::new()))?;
        if name.eq_ignore_ascii_case(b"SYNCMETA") {
            SyncMeta::decode(fields).map(Self::SyncMeta)
        } else if name.eq_ignore_ascii_case(b"SYNCSHARD") {
            SyncShard::decode(fields).map(Self::SyncShard)
        } else if name.eq_ignore_ascii_case(b"HEARTBEAT") {
            ReplicaHeartbeat::decode(fields).map(Self::Heartbeat)
        } else if name.eq_ignore_ascii_case(b"ACK") {
            let mut fields = Fields::of("ACK", fields);
            let ack = Ack::decode(&mut fields)?;
            fields.end().map(|()| Self::Ack(ack))
        } else if name.eq_ignore_ascii_case(b"SNAPSHOT") {
            SnapshotRequest::decode(fields).map(Self::Snapshot)
        } else {
            Err(super::inbox::unknown(name))
        }
    }

    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::SyncMeta(meta) => meta.encode(out),
            Self::SyncShard(shard) => shard.encode(out),
            Self::Heartbeat(heartbeat) => heartbeat.encode(out),
            Self::Ack(ack) => ack.put(&mut Builder::new("ACK")).encode(out),
            Self::Snapshot(snapshot) => snapshot.encode(out),
        }
    }
}

impl SyncMeta {
    /// Reads the fields behind `SYNCMETA`.
    ///
    /// # Errors
    /// When a field is wrong. Of another version the rest is not looked at: it is for the caller to refuse.
    pub fn decode(fields: &[&[u8]]) -> Result<Self, WireError> {
        let mut fields = Fields::of("SYNCMETA", fields);
        let meta = Self {
            version: fields.number("version")?,
            node: fields.name("node id")?,
            run: fields.name("run id")?,
            databases: fields.up_to("number of databases", MAX_DATABASES as u64)? as u32,
            role_generation: fields.number("role generation")?,
        };
        fields.end().map(|()| meta)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut message = Builder::new("SYNCMETA");
        message.number(self.version).name(&self.node).name(&self.run);
        message.number(self.databases.into()).number(self.role_generation).encode(out);
    }
}

impl SyncShard {
    /// Reads the fields behind `SYNCSHARD`.
    ///
    /// # Errors
    /// When a field is wrong.
    pub fn decode(fields: &[&[u8]]) -> Result<Self, WireError> {
        let mut fields = Fields::of("SYNCSHARD", fields);
        let shard = Self {
            version: fields.number("version")?,
            node: fields.name("node id")?,
            primary_run: fields.name("run id")?,
            role_generation: fields.number("role generation")?,
            db: fields.db()?,
            end: fields.lsn("end")?,
            lineage: fields.lineage()?,
            bound: fields.bound()?,
        };
        fields.end().map(|()| shard)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut message = Builder::new("SYNCSHARD");
        message.number(self.version).name(&self.node).name(&self.primary_run).number(self.role_generation);
        message.db(self.db).lsn(self.end).lineage(&self.lineage);
        if let Some(reason) = &self.bound {
            message.name(reason);
        }
        message.encode(out);
    }
}

impl ReplicaHeartbeat {
    fn decode(fields: &[&[u8]]) -> Result<Self, WireError> {
        let mut fields = Fields::of("HEARTBEAT", fields);
        let role_generation = fields.number("role generation")?;
        let now_ms = fields.number("time")?;
        let shards = fields.by_database(|db, fields| Ok(ShardAck { db, ack: Ack::decode(fields)? }))?;
        Ok(Self { role_generation, now_ms, shards })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut message = Builder::new("HEARTBEAT");
        message.number(self.role_generation).number(self.now_ms);
        for shard in &self.shards {
            message.db(shard.db);
            shard.ack.put(&mut message);
        }
        message.encode(out);
    }
}

impl Ack {
    fn decode(fields: &mut Fields<'_, '_>) -> Result<Self, WireError> {
        Ok(Self { received: fields.lsn("received")?, applied: fields.lsn("applied")?, synced: fields.lsn("synced")? })
    }

    fn put<'a>(&self, message: &'a mut Builder) -> &'a mut Builder {
        message.lsn(self.received).lsn(self.applied).lsn(self.synced)
    }
}

impl SnapshotRequest {
    /// Reads the fields behind `SNAPSHOT`.
    ///
    /// # Errors
    /// When a field is wrong.
    pub fn decode(fields: &[&[u8]]) -> Result<Self, WireError> {
        let mut fields = Fields::of("SNAPSHOT", fields);
        let verb = fields.bytes("verb")?;
        let request = if verb.eq_ignore_ascii_case(b"OPEN") {
            let (version, node) = (fields.number("version")?, fields.name("node id")?);
            Self::Open { version, node, db: fields.db()? }
        } else if verb.eq_ignore_ascii_case(b"READ") {
            let lease = fields.number("lease")?;
            let file = fields.up_to("file", MAX_FILES as u64 - 1)? as u32;
            let offset = fields.number("offset")?;
            let length = fields.up_to("length", MAX_CHUNK as u64)? as u32;
            if length == 0 {
                return Err(fields.wrong("length"));
            }
            Self::Read { lease, file, offset, length }
        } else if verb.eq_ignore_ascii_case(b"KEEP") {
            Self::Keep { lease: fields.number("lease")? }
        } else if verb.eq_ignore_ascii_case(b"CLOSE") {
            Self::Close { lease: fields.number("lease")? }
        } else {
            return Err(fields.wrong("verb"));
        };
        fields.end().map(|()| request)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut message = Builder::new("SNAPSHOT");
        match self {
            Self::Open { version, node, db } => message.bytes(b"OPEN").number(*version).name(node).db(*db),
            Self::Read { lease, file, offset, length } => {
                message.bytes(b"READ").number(*lease).number((*file).into()).number(*offset).number((*length).into())
            }
            Self::Keep { lease } => message.bytes(b"KEEP").number(*lease),
            Self::Close { lease } => message.bytes(b"CLOSE").number(*lease),
        }
        .encode(out);
    }
}
