//! One run of a node's process: the engine, the machine, and what a driver keeps about links.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::memory_store::MemoryStores;
use engine::{Background, FsyncPolicy, Instance, Options, Role, Scratch};
use keyspace::view::Limits;
use lineage::Lsn;
use replication_proto::{Address, Db, Ledger, LinkId, Millis, Node as Machine, NodeId, Positions, RunId, TransferId};
use replog::Reader;

use crate::disk::CrashDisk;
use crate::manifest::Manifest;
use crate::net::ConnId;
use crate::settings;

/// What outlives a process: a node's machine and its disk.
pub struct Host {
    /// Its name on the wire.
    pub id: NodeId,
    /// Its folder.
    pub dir: PathBuf,
    /// The file system under its logs.
    pub disk: CrashDisk,
    /// Its stores; what they flushed survives.
    pub stores: Arc<MemoryStores>,
    /// Its ledger as it lies on the disk.
    pub ledger: String,
    /// By how much its clock is wrong, in milliseconds.
    pub clock_error: i64,
    /// The running process, if it runs.
    pub process: Option<Process>,
    /// How many processes there were.
    pub runs: u64,
}

/// A running process.
pub struct Process {
    /// The databases.
    pub instance: Arc<Instance>,
    /// The state machine.
    pub machine: Machine,
    /// Which run it is.
    pub run: RunId,
    /// True time of its start: its monotonic clock's zero.
    pub started: u64,
    /// Memory for commands.
    pub scratch: Scratch,
    /// The control link to the primary.
    pub control: Option<(LinkId, ConnId)>,
    /// The shard links to the primary.
    pub links: BTreeMap<Db, ShardLink>,
    /// Full syncs.
    pub fetches: BTreeMap<Db, Fetch>,
    /// Control links of replicas.
    pub followers: Vec<ConnId>,
    /// Shards that replicas follow.
    pub feeds: Vec<Feed>,
    /// Snapshots that replicas fetch.
    pub leases: BTreeMap<ConnId, Lease>,
    /// When followers get their next heartbeat.
    pub beat_at: u64,
    /// What followers were last told: a change is told at once.
    pub told: (u64, u64),
}

/// A shard link as its replica sees it.
pub struct ShardLink {
    /// The machine's number.
    pub link: LinkId,
    /// The connection.
    pub conn: ConnId,
    /// The generation of the log here that frames go to.
    pub generation: u64,
    /// The primary's end, as last heard.
    pub end: Lsn,
    /// What was last acknowledged, and when.
    pub acked: Option<(Positions, u64)>,
}

/// A transfer as its replica sees it.
pub struct Fetch {
    /// The machine's number.
    pub transfer: TransferId,
    /// The connection; `None` when everything is here.
    pub conn: Option<ConnId>,
    /// What is fetched.
    pub manifest: Option<Manifest>,
    /// The file that comes next, and from where.
    pub next: (usize, u64),
    /// Bytes here.
    pub bytes: u64,
}

/// A shard link as its primary sees it.
pub struct Feed {
    /// The connection.
    pub conn: ConnId,
    /// The shard.
    pub db: Db,
    /// The generation of the log that feeds it.
    pub generation: u64,
    /// Reads the log; `None` while there is no shard to read.
    pub reader: Option<Reader>,
    /// When something was last sent.
    pub sent_at: u64,
    /// How far the replica is.
    pub positions: Positions,
}

/// A snapshot that is being fetched.
pub struct Lease {
    /// Its folder.
    pub dir: PathBuf,
    /// Its files.
    pub manifest: Manifest,
    /// Keeps the log from its end on.
    pub pin: replog::Pin,
}

thread_local! {
    static CLOCK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Sets what the engine's own work takes for the time.
pub fn set_clock(now: u64) {
    CLOCK.with(|clock| clock.set(now));
}

fn clock() -> keyspace::Millis {
    keyspace::Millis(CLOCK.with(std::cell::Cell::get))
}

impl Host {
    /// A machine with an empty disk.
    pub fn new(number: usize, root: &Path) -> Self {
        let id = NodeId([number as u8 + 1; 20]);
        Self {
            id,
            dir: root.join(format!("node{number}")),
            disk: CrashDisk::new(),
            stores: Arc::default(),
            ledger: Ledger::new(id).encode(),
            clock_error: 0,
            process: None,
            runs: 0,
        }
    }

    /// Writes a primary into its configuration, before its first start.
    pub fn configure(&mut self, primary: Address) {
        let (ledger, _) = Ledger::new(self.id).at_start(Some(primary));
        self.ledger = ledger.encode();
    }

    /// Its wall clock at a true time.
    #[must_use]
    pub fn clock(&self, now: u64) -> keyspace::Millis {
        const BEGIN: u64 = 1_700_000_000_000;
        keyspace::Millis((BEGIN + now).saturating_add_signed(self.clock_error))
    }

    /// Starts a process at the true time `now`.
    ///
    /// # Panics
    /// When the data cannot be opened: no fault of the simulation may bring that about.
    pub fn start(&mut self, now: u64, seed: u64) {
        assert!(self.process.is_none(), "one process at a time");
        self.runs += 1;
        let ledger = Ledger::decode(self.ledger.as_bytes()).expect("a ledger is written whole or not at all");
        let role = if ledger.primary.is_some() { Role::Replica } else { Role::Primary };
        let mut options = Options::new(self.dir.join("data"), self.stores.clone());
        options.databases = settings::DATABASES as usize;
        options.fsync = FsyncPolicy::No;
        options.segment_bytes = 16 << 10;
        options.log_retain_bytes = 48 << 10;
        options.recovery_log_max = 64 << 10;
        options.hot_bytes = 1 << 20;
        options.limits = limits();
        options.clock = clock;
        options.disk = Arc::new(self.disk.clone());
        options.background = Background::Manual;
        options.role = role;
        set_clock(self.clock(now).0);
        let opened = Instance::open(options, self.clock(now));
        let (instance, _) = opened.unwrap_or_else(|fault| panic!("a node does not start: {fault}"));
        let machine = Machine::new(Millis(0), settings::config(), ledger, seed);
        let mut run = [0; 20];
        run[..8].copy_from_slice(&self.runs.to_le_bytes());
        run[8] = self.id.0[0];
        self.process = Some(Process {
            instance,
            machine,
            run: RunId(run),
            started: now,
            scratch: Scratch::new(seed | 1),
            control: None,
            links: BTreeMap::new(),
            fetches: BTreeMap::new(),
            followers: Vec::new(),
            feeds: Vec::new(),
            leases: BTreeMap::new(),
            beat_at: now,
            told: (0, 0),
        });
    }

    /// Where the files of a transfer lie until they are installed.
    #[must_use]
    pub fn incoming(&self, db: Db) -> PathBuf {
        self.dir.join(format!("incoming-{db}"))
    }

    /// Removes the files of transfers of a shard.
    ///
    /// # Panics
    /// When the real file system fails.
    pub fn drop_files(&self, db: Db) {
        let dir = self.incoming(db);
        if dir.exists() {
            fs::remove_dir_all(dir).expect("the folder of a transfer can be removed");
        }
    }
}

/// Small, so that every encoding occurs.
fn limits() -> Limits {
    Limits { string_chunk_threshold: 200, packed_max_bytes: 300, ..Limits::default() }
}

impl Process {
    /// The machine's clock at a true time.
    #[must_use]
    pub fn monotonic(&self, now: u64) -> Millis {
        Millis(now - self.started)
    }
}
