//! Copies of databases for replicas that cannot continue from the log: [`Snapshots`].
//!
//! ```text
//!   OPEN ──▶ is one being made? ──▶ PREPARING    a thread copies the shard and sums up its files
//!            is one there?      ──▶ lease        replicas that ask at the same time share it
//!   READ, KEEP ─ renew the lease          CLOSE, CONTINUE, 60 s of silence ─ end it
//! ```
//!
//! A copy's files go when no lease reads them; the log from its end on is kept until the last of its replicas continues,
//! or is too far behind. Nothing of it survives a restart: the folder is emptied at the start, and the replicas ask again.
//! Every call may wait for the disk.

mod copy;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::Instance;
use lineage::Lsn;
use parking_lot::{Condvar, Mutex};
use replication_proto::{Db, LeaseError, LeaseId, Leases, Millis, NodeId, SnapshotId, Standing};

use super::Node;
use crate::wire::{Manifest, Refusal, Reply, SnapshotRequest, VERSION};
use copy::{Copied, copy};

/// The folder of the copies, in the data folder.
const FOLDER: &str = "sync";
/// How long `OPEN` waits for a copy before it says how far it is.
const PATIENCE: Duration = Duration::from_millis(200);

/// The copies and the promises on them.
pub struct Snapshots {
    instance: Arc<Instance>,
    node: Arc<dyn Node>,
    folder: PathBuf,
    started: Instant,
    most: AtomicUsize,
    granted: AtomicU64,
    stopping: Arc<AtomicBool>,
    state: Mutex<State>,
    /// A copy is ready, or has failed.
    done: Condvar,
}

struct State {
    leases: Leases,
    /// The copy that those who ask now get.
    present: BTreeMap<Db, Present>,
    /// Copies that somebody may use still, the present ones among them.
    copies: Vec<Arc<Copied>>,
    makers: Vec<JoinHandle<()>>,
}

/// What there is for a database.
enum Present {
    /// A thread makes it. It ends by itself, so there is no deadline.
    Making { percent: Arc<AtomicU8> },
    /// It is there: as long as somebody reads it, and if nobody has taken it yet, until that moment.
    Ready { copy: Arc<Copied>, until: Millis },
    /// It could not be made. The next who asks is told, and the one after that tries again.
    Failed { text: String },
}

impl Snapshots {
    pub(super) fn new(instance: Arc<Instance>, node: Arc<dyn Node>, most: usize) -> Self {
        let folder = instance.dir().join(FOLDER);
        let leases = Leases::new(random());
        let state = State { leases, present: BTreeMap::new(), copies: Vec::new(), makers: Vec::new() };
        Self {
            instance,
            node,
            folder,
            started: Instant::now(),
            most: AtomicUsize::new(most),
            granted: AtomicU64::new(0),
            stopping: Arc::default(),
            state: Mutex::new(state),
            done: Condvar::new(),
        }
    }

    /// Removes what an earlier run left.
    pub(super) fn clean(&self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), "copies of an earlier run cannot be removed: {error}");
        }
    }

    /// How many replicas may fetch at a time.
    pub(super) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many copies replicas have begun to fetch; one that was interrupted and goes on counts once.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Which replicas fetch which database.
    #[must_use]
    pub fn fetching(&self) -> Vec<(NodeId, Db)> {
        self.state.lock().leases.iter().map(|(_, lease)| (lease.node, lease.db)).collect()
    }

    /// The bytes of the answer to a question.
    #[must_use]
    pub fn answer(self: &Arc<Self>, request: &SnapshotRequest) -> Vec<u8> {
        let mut out = Vec::new();
        match self.try_answer(request, &mut out) {
            Ok(()) => {}
            Err(text) => {
                out.clear();
                Reply::Refused(Refusal::new(&text)).encode(&mut out);
            }
        }
        out
    }

    fn try_answer(self: &Arc<Self>, request: &SnapshotRequest, out: &mut Vec<u8>) -> Result<(), String> {
        match *request {
            SnapshotRequest::Open { version, .. } if version != VERSION => {
                return Err(format!("INCOMPATIBLE this node speaks version {VERSION} of replication, not {version}"));
            }
            SnapshotRequest::Open { node, db, .. } => match self.open(node, db)? {
                Opened::Lease(lease, copy) => {
                    Reply::Snapshot { lease: lease.0, manifest: copy.manifest.clone() }.encode(out);
                }
                Opened::NotYet(percent) => Reply::Preparing { percent }.encode(out),
            },
            SnapshotRequest::Read { lease, file, offset, length } => {
                let copy = self.renew(lease)?;
                let bytes = read(&copy, file, offset, length)?;
                Reply::Chunk { crc: crc32c::crc32c(&bytes), bytes: &bytes }.encode(out);
            }
            SnapshotRequest::Keep { lease } => {
                self.renew(lease)?;
                Reply::Ok.encode(out);
            }
            SnapshotRequest::Close { lease } => {
                let now = self.now();
                self.state.lock().leases.close(now, LeaseId(lease)).map_err(text_of)?;
                self.tidy(u64::MAX);
                Reply::Ok.encode(out);
            }
        }
        Ok(())
    }

    fn open(self: &Arc<Self>, node: NodeId, db: Db) -> Result<Opened, String> {
        if self.node.standing(db) == Standing::Adrift {
            return Err("BUSYSYNC this node is itself behind, or cut off".to_owned());
        }
        let generation = self.instance.shard(db.0 as usize).map(|shard| shard.generation());
        let generation = generation.ok_or("ERR there is no such database here")?;
        let most = self.most.load(Ordering::Relaxed);
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        state.leases.has_slot(db, node, most).map_err(text_of)?;
        loop {
            let now = self.now();
            match state.present.get_mut(&db) {
                Some(Present::Ready { copy, until }) if copy.generation == generation => {
                    let copy = Arc::clone(copy);
                    *until = now;
                    let what = (copy.manifest.id.clone(), copy.manifest.finish);
                    let goes_on = state.leases.is_fetching((db, node), &what.0);
                    let lease = state.leases.open(now, (db, node), what, most).map_err(text_of)?;
                    self.granted.fetch_add(u64::from(!goes_on), Ordering::Relaxed);
                    return Ok(Opened::Lease(lease, copy));
                }
                Some(Present::Failed { text }) => {
                    let text = text.clone();
                    state.present.remove(&db);
                    return Err(text);
                }
                Some(Present::Making { percent }) => {
                    let percent = percent.load(Ordering::Relaxed);
                    if self.done.wait_until(&mut state, deadline).timed_out() {
                        return Ok(Opened::NotYet(percent));
                    }
                }
                // Of a log that is not the present one any more.
                Some(Present::Ready { .. }) => {
                    state.leases.revoke(db);
                    state.present.remove(&db);
                }
                None => self.make(&mut state, db)?,
            }
        }
    }

    /// Begins a copy.
    fn make(self: &Arc<Self>, state: &mut State, db: Db) -> Result<(), String> {
        let name = format!("db{db}-{:016x}", random());
        let id = SnapshotId::new(&name).unwrap_or_else(|| unreachable!("letters, digits and a dash: {name}"));
        let percent = Arc::new(AtomicU8::new(0));
        state.present.insert(db, Present::Making { percent: Arc::clone(&percent) });
        let (own, target) = (Arc::clone(self), self.folder.join(&name));
        let make = move || {
            let copied = copy(&own.instance, db, id, &target, &percent, &own.stopping);
            own.made(db, &target, copied);
        };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(make).map_err(|error| {
            state.present.remove(&db);
            format!("ERR a snapshot cannot be made: {error}")
        })?;
        state.makers.retain(|maker| !maker.is_finished());
        state.makers.push(thread);
        Ok(())
    }

    fn made(&self, db: Db, target: &Path, copied: Result<Copied, String>) {
        let present = match copied {
            Ok(copied) => {
                let copy = Arc::new(copied);
                let (bytes, files) = (copy.manifest.bytes(), copy.manifest.files.len());
                tracing::info!(%db, snapshot = copy.manifest.id.as_str(), bytes, files, "a snapshot for replicas is ready");
                Present::Ready { copy, until: self.now() + Leases::LIFE }
            }
            Err(text) => {
                tracing::warn!(%db, "a snapshot for replicas cannot be made: {text}");
                // What cannot be removed now is removed at the next start.
                let _ = fs::remove_dir_all(target);
                Present::Failed { text: format!("ERR a snapshot cannot be made: {text}") }
            }
        };
        let mut state = self.state.lock();
        if let Present::Ready { copy, .. } = &present {
            state.copies.push(Arc::clone(copy));
        }
        state.present.insert(db, present);
        self.done.notify_all();
    }

    fn renew(&self, lease: u64) -> Result<Arc<Copied>, String> {
        let now = self.now();
        let mut state = self.state.lock();
        let snapshot = state.leases.renew(now, LeaseId(lease)).map_err(text_of)?.snapshot.clone();
        let copy = state.copies.iter().find(|copy| copy.manifest.id == snapshot);
        copy.map(Arc::clone).ok_or_else(|| text_of(LeaseError::Unknown))
    }

    /// A replica continues: what it was promised is fulfilled.
    pub(super) fn continued(&self, node: NodeId, db: Db, from: Lsn) {
        self.state.lock().leases.continued(node, db, from);
    }

    /// Ends what is over, and removes what nobody needs. For a database of which more than `retain_max` bytes of log were
    /// kept, all is over.
    pub(super) fn tidy(&self, retain_max: u64) {
        let now = self.now();
        let mut over = Vec::new();
        {
            let mut state = self.state.lock();
            let State { leases, present, copies, .. } = &mut *state;
            for lease in leases.expire(now) {
                tracing::info!(node = %lease.node, db = %lease.db, "a replica's lease on a snapshot is over");
            }
            for copy in copies.iter().filter(|copy| copy.kept_log() > retain_max) {
                tracing::warn!(db = %copy.manifest.db, "a snapshot is given up: too much log would be kept for it");
                leases.revoke(copy.manifest.db);
            }
            present.retain(|_, present| match present {
                Present::Making { .. } | Present::Failed { .. } => true,
                Present::Ready { copy, until } => {
                    leases.uses(&copy.manifest.id) || (now < *until && copy.kept_log() <= retain_max)
                }
            });
            let is_present = |copy: &Arc<Copied>| {
                present
                    .values()
                    .any(|present| matches!(present, Present::Ready { copy: ready, .. } if Arc::ptr_eq(ready, copy)))
            };
            let has_lease = |copy: &Arc<Copied>| leases.iter().any(|(_, lease)| lease.snapshot == copy.manifest.id);
            copies.retain(|copy| {
                // A promise of the log alone needs the pin, not the files.
                if !is_present(copy) && !leases.uses(&copy.manifest.id) {
                    over.push(Arc::clone(copy));
                }
                is_present(copy) || has_lease(copy)
            });
        }
        for copy in over {
            copy.remove_files();
        }
    }

    /// Ends the threads that make copies, and waits for them.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let makers = std::mem::take(&mut self.state.lock().makers);
        // A panic has ended the process already.
        makers.into_iter().for_each(|maker| drop(maker.join()));
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

enum Opened {
    Lease(LeaseId, Arc<Copied>),
    NotYet(u8),
}

/// A piece of a file; shorter at its end.
fn read(copy: &Copied, file: u32, offset: u64, length: u32) -> Result<Vec<u8>, String> {
    let manifest: &Manifest = &copy.manifest;
    let entry = manifest.files.get(file as usize).ok_or("ERR there is no such file in the snapshot")?;
    let rest = entry.size.saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(rest.min(length.into())).unwrap_or_default()];
    let path = copy.folder.join(&entry.path);
    let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, offset));
    read.map_err(|error| format!("ERR a snapshot's file cannot be read: {}: {error}", path.display()))?;
    Ok(bytes)
}

fn text_of(error: LeaseError) -> String {
    match error {
        LeaseError::Busy => format!("BUSYSYNC {error}"),
        LeaseError::Unknown => format!("NOLEASE {error}"),
    }
}

/// A number that another run would not draw.
fn random() -> u64 {
    // Without randomness the clock tells runs apart.
    engine::entropy::bytes().map_or_else(|_| engine::instance::system_clock().0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
