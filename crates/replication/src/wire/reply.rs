//! What a primary says to a replica: [`Reply`].

use lineage::{Lineage, Lsn};
use replication_proto::{Db, NodeId, Path, RunId};

use super::fields::{Builder, Fields};
use super::{MAX_DATABASES, Manifest, Refusal, WireError};

/// A message of a primary. Bytes that may be many are borrowed from where the message lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+OK`: to AUTH, REPLCONF and the like.
    Ok,
    /// An error line.
    Refused(Refusal),
    /// Answers `SYNCMETA`; from here on this is a control link.
    Meta(PrimaryMeta),
    /// On a control link, each second, and at once when something changed.
    Heartbeat(PrimaryHeartbeat),
    /// Answers `SYNCSHARD`: continue; from here on this is a shard link.
    Continue {
        /// The log generation of the primary's shard.
        generation: u64,
        /// The position of the first frame that will come: the replica's end.
        from: Lsn,
        /// The primary's history.
        lineage: Lineage,
    },
    /// Answers `SYNCSHARD`: the replica needs a snapshot. The link closes.
    FullSync {
        /// Why, for people.
        reason: String,
    },
    /// Answers `SYNCSHARD`: the replica could go back to this position. Reserved; asks for a full sync as long as nobody
    /// can.
    Rewind {
        /// The last common position.
        to: Lsn,
    },
    /// Not yet; on a shard link more answers follow, on a snapshot link the question is to be asked again.
    Preparing {
        /// How much is done, 0 to 100.
        percent: u8,
    },
    /// On a shard link: whole frames, gap-free.
    Frames {
        /// The position of the first.
        lsn: Lsn,
        /// The frames as they are in the primary's log.
        bytes: &'a [u8],
    },
    /// On a shard link: there is nothing to send.
    Alive {
        /// Where the primary's log ends.
        end: Lsn,
        /// Up to where it is written, and so sent.
        written: Lsn,
        /// The primary's clock, in milliseconds since 1970.
        now_ms: u64,
    },
    /// On a shard link: what came before is to be durable at once, and acknowledged then; clients wait for it.
    Fsync,
    /// Answers `SNAPSHOT OPEN`.
    Snapshot {
        /// The lease under which the files can be read.
        lease: u64,
        /// What there is.
        manifest: Manifest,
    },
    /// Answers `SNAPSHOT READ`.
    Chunk {
        /// The CRC-32C of the bytes.
        crc: u32,
        /// A piece of a file; shorter than asked for at the file's end.
        bytes: &'a [u8],
    },
}

/// Who the primary is, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryMeta {
    /// The version of the protocol that it speaks.
    pub version: u64,
    /// The primary.
    pub node: NodeId,
    /// Its run.
    pub run: RunId,
    /// How often its role or its own primary has changed since it started.
    pub role_generation: u64,
    /// How many databases it can have.
    pub databases: u32,
    /// Its clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// The nodes from it to its root primary, itself first.
    pub path: Path,
    /// The databases that exist, in ascending order.
    pub shards: Vec<ShardMeta>,
}

/// A database of a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMeta {
    /// The database.
    pub db: Db,
    /// Its log generation.
    pub generation: u64,
    /// The first position that is in its log.
    pub start: Lsn,
    /// Where its log ends.
    pub end: Lsn,
    /// The history in it.
    pub lineage: Lineage,
}

/// The primary lives, and has this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryHeartbeat {
    /// Its run.
    pub run: RunId,
    /// Its role generation.
    pub role_generation: u64,
    /// Its clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// The nodes from it to its root primary, itself first.
    pub path: Path,
    /// The databases that exist, in ascending order.
    pub shards: Vec<ShardBeat>,
}

/// Where a database of a primary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardBeat {
    /// The database.
    pub db: Db,
    /// Its log generation.
    pub generation: u64,
    /// The first position that is in its log.
    pub start: Lsn,
    /// Where its log ends.
    pub end: Lsn,
    /// Everything below is durable there.
    pub synced: Lsn,
}

impl<'a> Reply<'a> {
    /// Reads a message that is an array: its name and its fields.
    ///
    /// # Errors
    /// When it is none that a primary sends.
    pub fn decode(message: &[&'a [u8]]) -> Result<Self, WireError> {
        let (&name, fields) = message.split_first().ok_or_else(|| WireError::Unknown(String::new()))?;
        match name {
            b"FRAMES" => {
                let mut fields = Fields::of("FRAMES", fields);
                let reply = Self::Frames { lsn: fields.lsn("position")?, bytes: fields.bytes("frames")? };
                fields.end().map(|()| reply)
            }
            b"CHUNK" => {
                let mut fields = Fields::of("CHUNK", fields);
                let crc = fields.up_to("checksum", u32::MAX.into())? as u32;
                let reply = Self::Chunk { crc, bytes: fields.bytes("content")? };
                fields.end().map(|()| reply)
            }
            b"ALIVE" => {
                let mut fields = Fields::of("ALIVE", fields);
                let (end, written) = (fields.lsn("end")?, fields.lsn("written")?);
                let reply = Self::Alive { end, written, now_ms: fields.number("time")? };
                fields.end().map(|()| reply)
            }
            b"FSYNC" => Fields::of("FSYNC", fields).end().map(|()| Self::Fsync),
            b"SYNCMETA" => PrimaryMeta::decode(fields).map(Self::Meta),
            b"HEARTBEAT" => PrimaryHeartbeat::decode(fields).map(Self::Heartbeat),
            b"SNAPSHOT" => {
                let mut fields = Fields::of("SNAPSHOT", fields);
                let lease = fields.number("lease")?;
                let manifest = Manifest::decode(fields.bytes("manifest")?).ok_or(fields.wrong("manifest"))?;
                fields.end().map(|()| Self::Snapshot { lease, manifest })
            }
            b"CONTINUE" | b"FULLSYNC" | b"REWIND" | b"PREPARING" => Self::decode_verdict(name, fields),
            name => Err(super::inbox::unknown(name)),
        }
    }

    fn decode_verdict(name: &[u8], fields: &[&'a [u8]]) -> Result<Self, WireError> {
        match name {
            b"CONTINUE" => {
                let mut fields = Fields::of("CONTINUE", fields);
                let (generation, from) = (fields.number("log generation")?, fields.lsn("position")?);
                let reply = Self::Continue { generation, from, lineage: fields.lineage()? };
                fields.end().map(|()| reply)
            }
            b"FULLSYNC" => {
                let mut fields = Fields::of("FULLSYNC", fields);
                let reason = fields.text("reason")?;
                fields.end().map(|()| Self::FullSync { reason })
            }
            b"REWIND" => {
                let mut fields = Fields::of("REWIND", fields);
                let to = fields.lsn("position")?;
                fields.end().map(|()| Self::Rewind { to })
            }
            _ => {
                let mut fields = Fields::of("PREPARING", fields);
                let percent = fields.up_to("percentage", 100)? as u8;
                fields.end().map(|()| Self::Preparing { percent })
            }
        }
    }

    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ok => out.extend_from_slice(b"+OK\r\n"),
            Self::Refused(refusal) => {
                out.push(b'-');
                // A line is one line, whatever is quoted in it.
                out.extend(refusal.text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
                out.extend_from_slice(b"\r\n");
            }
            Self::Meta(meta) => meta.encode(out),
            Self::Heartbeat(heartbeat) => heartbeat.encode(out),
            Self::Continue { generation, from, lineage } => {
                Builder::new("CONTINUE").number(*generation).lsn(*from).lineage(lineage).encode(out);
            }
            Self::FullSync { reason } => Builder::new("FULLSYNC").text(reason).encode(out),
            Self::Rewind { to } => Builder::new("REWIND").lsn(*to).encode(out),
            Self::Preparing { percent } => Builder::new("PREPARING").number((*percent).into()).encode(out),
            Self::Frames { lsn, bytes } => {
                resp::encode_command(&[b"FRAMES", lsn.to_string().as_bytes(), bytes], out);
            }
            Self::Alive { end, written, now_ms } => {
                Builder::new("ALIVE").lsn(*end).lsn(*written).number(*now_ms).encode(out);
            }
            Self::Fsync => Builder::new("FSYNC").encode(out),
            Self::Snapshot { lease, manifest } => {
                Builder::new("SNAPSHOT").number(*lease).bytes(&manifest.encode()).encode(out);
            }
            Self::Chunk { crc, bytes } => {
                resp::encode_command(&[b"CHUNK", crc.to_string().as_bytes(), bytes], out);
            }
        }
    }
}

impl PrimaryMeta {
    fn decode(fields: &[&[u8]]) -> Result<Self, WireError> {
        let mut fields = Fields::of("SYNCMETA", fields);
        Ok(Self {
            version: fields.number("version")?,
            node: fields.name("node id")?,
            run: fields.name("run id")?,
            role_generation: fields.number("role generation")?,
            databases: fields.up_to("number of databases", MAX_DATABASES as u64)? as u32,
            now_ms: fields.number("time")?,
            path: fields.name("path")?,
            shards: fields.by_database(|db, fields| {
                let generation = fields.number("log generation")?;
                let (start, end) = (fields.lsn("start")?, fields.lsn("end")?);
                Ok(ShardMeta { db, generation, start, end, lineage: fields.lineage()? })
            })?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut message = Builder::new("SYNCMETA");
        message.number(self.version).name(&self.node).name(&self.run).number(self.role_generation);
        message.number(self.databases.into()).number(self.now_ms).name(&self.path);
        for shard in &self.shards {
            message.db(shard.db).number(shard.generation);
            message.lsn(shard.start).lsn(shard.end).lineage(&shard.lineage);
        }
        message.encode(out);
    }
}

impl PrimaryHeartbeat {
    fn decode(fields: &[&[u8]]) -> Result<Self, WireError> {
        let mut fields = Fields::of("HEARTBEAT", fields);
        Ok(Self {
            run: fields.name("run id")?,
            role_generation: fields.number("role generation")?,
            now_ms: fields.number("time")?,
            path: fields.name("path")?,
            shards: fields.by_database(|db, fields| {
                let generation = fields.number("log generation")?;
                let (start, end) = (fields.lsn("start")?, fields.lsn("end")?);
                Ok(ShardBeat { db, generation, start, end, synced: fields.lsn("synced")? })
            })?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut message = Builder::new("HEARTBEAT");
        message.name(&self.run).number(self.role_generation).number(self.now_ms).name(&self.path);
        for shard in &self.shards {
            message.db(shard.db).number(shard.generation);
            message.lsn(shard.start).lsn(shard.end).lsn(shard.synced);
        }
        message.encode(out);
    }
}
