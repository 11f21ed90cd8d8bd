//! A full sync: a snapshot's files are fetched over several links, checked, and installed.
//!
//! ```text
//!   OPEN ──▶ manifest ──▶ what is here already? ──▶ fetching threads, a file each ──▶ assemble ──▶ install
//!                          parts, old store           READ .. CHUNK, checked
//! ```
//!
//! A transfer that ends without success leaves its parts behind; the next one begins with them. Whether to try again, and
//! when, is not decided here.

mod parts;
mod peer;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lineage::Lsn;
use parking_lot::Mutex;
use replication_proto::{Address, Cause, Db, Input, Progress, TransferId};
use tokio::runtime::Handle;

use super::Context;
use super::broken::Broken;
use crate::wire::{self, FileEntry, Manifest, Reply, SnapshotRequest};
use parts::{BLOCK, Part, Parts};
use peer::Peer;

pub(super) use peer::Stop;

/// The most files that are fetched at the same time.
const LINKS: u64 = 4;
/// The most blocks that are asked for ahead on each link.
const AHEAD: u64 = 4;
/// An interruption loses what is under way: at most this part of the whole, so that ten of them cost little.
const UNDER_WAY: u64 = 100;
/// How often a block may come damaged in a row.
const MAX_DAMAGED: usize = 3;
/// How often a whole file may turn out to be another one.
const MAX_WRONG_FILES: usize = 2;
/// How often the owner is told of progress, and the primary asked whether a snapshot is ready.
const LOOK: Duration = Duration::from_millis(200);
/// How often the primary is told that its snapshot is still needed.
const KEEP_EVERY: Duration = Duration::from_secs(5);

/// What a store and a log write when they are opened takes at least so many bytes.
const OPENING: u64 = 8 << 20;

/// The folder of a database's transfers.
pub(super) fn folder(data: &Path, db: Db) -> PathBuf {
    data.join("incoming").join(format!("db{db}"))
}

/// A full sync that runs.
pub(super) struct Transfer {
    pub context: Arc<Context>,
    pub db: Db,
    pub id: TransferId,
    pub primary: Address,
    pub stop: Arc<Stop>,
    pub handle: Handle,
    pub arrived: Arc<Arrived>,
}

/// What has come over the links of a transfer, and since when; what was here already is not in it.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    asked: OnceLock<Instant>,
    bytes: AtomicU64,
}

impl Arrived {
    /// Something is asked for.
    fn ask(&self) {
        self.asked.get_or_init(Instant::now);
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes a second.
    pub fn rate(&self) -> u64 {
        self.asked.get().map_or(0, |asked| self.rate_in(asked.elapsed()))
    }

    fn rate_in(&self, time: Duration) -> u64 {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        self.bytes.load(Ordering::Relaxed).saturating_mul(1000) / millis
    }
}

/// What the threads of a transfer share.
struct Shared<'a> {
    transfer: &'a Transfer,
    parts: &'a Parts,
    lease: u64,
    pace: Pace,
    /// Files that nobody has begun with, and their places in the manifest.
    todo: Mutex<VecDeque<(u32, &'a FileEntry)>>,
    /// Bytes of files that are here and checked.
    have: AtomicU64,
    done: AtomicBool,
    failed: Mutex<Option<Broken>>,
}

/// How much is asked for at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    links: u64,
    /// Blocks on each link, the one that is awaited included.
    ahead: u64,
}

impl Pace {
    /// For a copy of `total` bytes.
    fn of(total: u64) -> Self {
        let blocks = (total / UNDER_WAY / BLOCK as u64).clamp(1, LINKS * AHEAD);
        let links = blocks.min(LINKS);
        Self { links, ahead: blocks / links }
    }
}

impl Transfer {
    /// Fetches and installs; blocks. Answers where the new shard ends.
    pub fn run(&self) -> Result<Lsn, Broken> {
        let folder = folder(&self.context.folder, self.db);
        let target = folder.join("shard");
        drop_folder(&target);
        let disk = |error| Broken::disk(&error, "the folder of incoming files");
        let parts = Parts::open(&folder).map_err(disk)?;
        let settings = self.context.settings();
        let mut peer = Peer::open(&self.handle, &settings, &self.primary, &self.stop)?;
        let (lease, manifest) = self.choose(&mut peer)?;
        let total = manifest.bytes();
        self.tell(Progress::Chosen { snapshot: manifest.id.clone(), total });
        parts.keep_only(&manifest).map_err(disk)?;
        let shared = Shared {
            transfer: self,
            parts: &parts,
            lease,
            pace: Pace::of(total),
            todo: Mutex::new(files_once(&manifest)),
            have: AtomicU64::new(0),
            done: AtomicBool::new(false),
            failed: Mutex::default(),
        };
        shared.find_room(&folder, &manifest)?;
        let end = self.complete(&shared, peer, &target, &manifest).inspect_err(|broken| {
            if broken.cause == Cause::NoSpace {
                // Others have taken what there was, or more was needed than can be known.
                self.context.data.make_room(1);
            }
        })?;
        drop_files(&self.context.folder, self.db);
        Ok(end)
    }

    /// Fetches what is missing and installs it.
    fn complete(&self, shared: &Shared, mut peer: Peer, target: &Path, manifest: &Manifest) -> Result<Lsn, Broken> {
        let (began, total) = (Instant::now(), manifest.bytes());
        shared.fetch(&mut peer, total)?;
        let millis = began.elapsed().as_millis();
        tracing::info!(database = self.db.0, bytes = total, millis, "the files of a full sync are here");
        self.context.tell_blocking(Input::Fetched { db: self.db, transfer: self.id });
        while !self.stop.may_install(KEEP_EVERY)? {
            peer.ask(SnapshotRequest::Keep { lease: shared.lease })?;
        }
        self.install(shared.parts, target, manifest, &mut Report::new(self, peer, shared.lease))
    }

    fn tell(&self, progress: Progress) {
        let (db, transfer) = (self.db, self.id);
        self.context.tell_soon(Input::Progress { db, transfer, progress });
    }

    /// Asks for a snapshot until there is one.
    fn choose(&self, peer: &mut Peer) -> Result<(u64, Manifest), Broken> {
        loop {
            let (version, node, db) = (wire::VERSION, self.context.node, self.db);
            peer.send(SnapshotRequest::Open { version, node, db })?;
            let answer = peer.answer(|reply| match reply {
                Reply::Snapshot { lease, manifest } if manifest.db == db => Ok(Ok((lease, manifest))),
                Reply::Preparing { percent } => Ok(Err(percent)),
                Reply::Refused(refusal) => Err(Broken::refused(&refusal, Cause::Rejected)),
                _ => Err(Broken::unexpected("SNAPSHOT OPEN")),
            })??;
            match answer {
                Ok(chosen) => return Ok(chosen),
                Err(percent) => self.tell(Progress::Preparing { percent }),
            }
            self.stop.sleep(LOOK)?;
        }
    }

    fn install(&self, parts: &Parts, target: &Path, manifest: &Manifest, report: &mut Report) -> Result<Lsn, Broken> {
        let total = manifest.bytes();
        let assembled = parts.assemble(manifest, target, &mut |bytes| report.step(bytes, total));
        assembled.map_err(|error| Broken::disk(&error, "the incoming files cannot be put together"))?;
        let installed = self.context.data.install(target, manifest, &mut |bytes, total| report.step(bytes, total));
        installed.map_err(|fault| Broken::new(fault.cause, fault.detail))
    }
}

/// Who hears that an install gets on: the owner, and the primary, which keeps its log meanwhile.
struct Report<'a> {
    transfer: &'a Transfer,
    peer: Peer,
    lease: u64,
    told: Instant,
    kept: Instant,
}

impl<'a> Report<'a> {
    fn new(transfer: &'a Transfer, peer: Peer, lease: u64) -> Self {
        let now = Instant::now();
        Self { transfer, peer, lease, told: now, kept: now }
    }

    /// A step is done.
    fn step(&mut self, bytes: u64, total: u64) {
        if self.told.elapsed() >= LOOK {
            self.told = Instant::now();
            self.transfer.tell(Progress::Installing { bytes, total });
        }
        if self.kept.elapsed() >= KEEP_EVERY {
            self.kept = Instant::now();
            // Without the lease the primary may trim its log, and the next verdict is another full sync.
            if let Err(broken) = self.peer.ask(SnapshotRequest::Keep { lease: self.lease }) {
                tracing::debug!(database = self.transfer.db.0, "a lease cannot be renewed: {}", broken.detail);
            }
        }
    }
}

/// Removes what transfers of a database left.
pub(super) fn drop_files(data: &Path, db: Db) {
    drop_folder(&folder(data, db));
}

fn drop_folder(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), "incoming files cannot be removed: {error}");
        }
        Ok(()) | Err(_) => {}
    }
}

/// The files by content, the largest first, so that the links end at about the same time.
fn files_once(manifest: &Manifest) -> VecDeque<(u32, &FileEntry)> {
    let mut once: BTreeMap<[u8; 32], (u32, &FileEntry)> = BTreeMap::new();
    for (number, file) in (0..).zip(&manifest.files) {
        once.entry(file.checksum.0).or_insert((number, file));
    }
    let mut files: Vec<(u32, &FileEntry)> = once.into_values().collect();
    files.sort_by_key(|(_, file)| std::cmp::Reverse(file.size));
    files.into()
}

impl<'a> Shared<'a> {
    /// Fails if the disk certainly has no room for all that a copy needs at the same time, until it is installed: one that
    /// fills the disk would take it from the logs of the databases that follow.
    fn find_room(&self, folder: &Path, manifest: &Manifest) -> Result<(), Broken> {
        let missing = |(_, file): &(u32, &FileEntry)| match self.similar(file) {
            // Perhaps it need not be fetched.
            Some(_) if self.parts.lacks(file) => 0,
            Some(_) | None => file.size.saturating_sub(self.parts.bytes_of(file)),
        };
        let missing: u64 = self.todo.lock().iter().map(missing).sum();
        let wanted = missing + parts::copied(manifest) + OPENING;
        loop {
            let stat = rustix::fs::statvfs(folder).map_err(|error| Broken::disk(&error.into(), "the data folder"))?;
            let room = stat.f_bavail.saturating_mul(stat.f_frsize);
            if wanted <= room {
                return Ok(());
            }
            if !self.transfer.context.data.make_room(wanted - room) {
                let detail = format!("the copy needs {wanted} bytes more, and the disk has room for {room}");
                return Err(Broken::new(Cause::NoSpace, detail));
            }
        }
    }

    /// Has everything fetched by several threads, and looks after them.
    fn fetch(&self, peer: &mut Peer, total: u64) -> Result<(), Broken> {
        let counted: u64 = self.todo.lock().iter().map(|(_, file)| file.size).sum();
        let doubles = total - counted;
        std::thread::scope(|scope| {
            let start = |number| {
                let name = format!("fetch-{number}");
                std::thread::Builder::new().name(name).spawn_scoped(scope, || self.work())
            };
            let threads: Vec<_> = (0..self.pace.links).map(start).collect();
            if let Some(error) = threads.iter().find_map(|thread| thread.as_ref().err()) {
                self.fail(Broken::new(Cause::DiskFault, format!("no thread can be started: {error}")));
            }
            let mut kept = Instant::now();
            while threads.iter().flatten().any(|thread| !thread.is_finished()) {
                std::thread::park_timeout(LOOK);
                let bytes = self.have.load(Ordering::Relaxed) + doubles;
                self.transfer.tell(Progress::Fetched { bytes, total });
                if kept.elapsed() >= KEEP_EVERY && !self.done.load(Ordering::Acquire) {
                    kept = Instant::now();
                    if let Err(broken) = peer.ask(SnapshotRequest::Keep { lease: self.lease }) {
                        self.fail(broken);
                    }
                }
            }
        });
        match self.failed.lock().take() {
            Some(broken) => Err(broken),
            None => self.transfer.stop.check(),
        }
    }

    /// The first failure counts; it ends the others, too.
    fn fail(&self, broken: Broken) {
        let mut failed = self.failed.lock();
        if failed.is_none() {
            *failed = Some(broken);
        }
        drop(failed);
        self.done.store(true, Ordering::Release);
        self.todo.lock().clear();
    }

    fn work(&self) {
        let mut peer = None;
        while let Some((number, file)) = self.next() {
            if let Err(broken) = self.file(&mut peer, number, file) {
                return self.fail(broken);
            }
        }
    }

    fn next(&self) -> Option<(u32, &'a FileEntry)> {
        self.todo.lock().pop_front()
    }

    /// Completes one file: from what is here, and from the peer.
    fn file(&self, peer: &mut Option<Peer>, number: u32, file: &FileEntry) -> Result<(), Broken> {
        let disk = |error: std::io::Error| Broken::disk(&error, "an incoming file");
        if self.parts.lacks(file)
            && let Some(found) = self.similar(file)
        {
            // If it cannot be linked, it is fetched.
            let _ = self.parts.adopt(&found, file);
        }
        for _ in 0..MAX_WRONG_FILES {
            let mut checked = 0;
            let resumed = self.parts.resume(file, &mut |bytes| {
                checked += bytes;
                self.have.fetch_add(bytes, Ordering::Relaxed);
            });
            let mut part = resumed.map_err(disk)?;
            // What was looked at and is not used all the same does not count.
            self.have.fetch_sub(checked - part.have, Ordering::Relaxed);
            let mut last = 0;
            if !part.is_complete() {
                let peer = match peer {
                    Some(peer) => peer,
                    None => peer.insert(self.connect()?),
                };
                last = self.blocks(peer, number, &mut part)?;
            }
            if part.finish().map_err(disk)? {
                self.have.fetch_add(last, Ordering::Relaxed);
                return Ok(());
            }
            self.have.fetch_sub(file.size - last, Ordering::Relaxed);
        }
        Err(Broken::new(Cause::BadChunk, format!("{} is not the file that was promised", file.path)))
    }

    fn connect(&self) -> Result<Peer, Broken> {
        let transfer = self.transfer;
        Peer::open(&transfer.handle, &transfer.context.settings(), &transfer.primary, &transfer.stop)
    }

    /// A file of the old store that may be the wanted one: it has its size.
    fn similar(&self, file: &FileEntry) -> Option<PathBuf> {
        let name = file.path.strip_prefix("store/").filter(|name| name.ends_with(".sst"))?;
        let folder = self.transfer.context.data.store_folder(self.transfer.db)?;
        let has_size = |path: &Path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == file.size);
        let same_name = folder.join(name);
        if has_size(&same_name) {
            return Some(same_name);
        }
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths.find(|path| path.extension().is_some_and(|end| end == "sst") && has_size(path))
    }

    /// Fetches the rest of a file, some blocks ahead. Answers the bytes of its last block, which do not count yet: the sync
    /// that follows takes its time, and it is progress when it is done.
    fn blocks(&self, peer: &mut Peer, number: u32, part: &mut Part) -> Result<u64, Broken> {
        let mut asked = part.have;
        let mut ahead: VecDeque<u32> = VecDeque::new();
        let mut damaged = 0;
        while !part.is_complete() {
            while (ahead.len() as u64) < self.pace.ahead && asked < part.size {
                let length = (part.size - asked).min(BLOCK as u64) as u32;
                self.pause(length)?;
                self.transfer.arrived.ask();
                peer.send(SnapshotRequest::Read { lease: self.lease, file: number, offset: asked, length })?;
                ahead.push_back(length);
                asked += u64::from(length);
            }
            let length = ahead.pop_front().unwrap_or_default();
            if self.block(peer, part, length)? {
                self.transfer.arrived.add(length.into());
                if part.is_complete() {
                    return Ok(length.into());
                }
                self.have.fetch_add(length.into(), Ordering::Relaxed);
                damaged = 0;
                continue;
            }
            damaged += 1;
            if damaged > MAX_DAMAGED {
                return Err(Broken::new(Cause::BadChunk, "blocks come damaged again and again"));
            }
            // What was asked for behind the damaged block is of no use; it is asked for again, from that block on.
            while ahead.pop_front().is_some() {
                peer.answer(|_| ())?;
            }
            asked = part.have;
        }
        Ok(0)
    }

    /// Takes the next block. `false`: it is damaged.
    fn block(&self, peer: &mut Peer, part: &mut Part, length: u32) -> Result<bool, Broken> {
        peer.answer(|reply| match reply {
            Reply::Chunk { crc, bytes } if bytes.len() == length as usize => {
                if crc32c::crc32c(bytes) != crc {
                    return Ok(false);
                }
                let written = part.append(crc, bytes);
                written.map(|()| true).map_err(|error| Broken::disk(&error, "an incoming file cannot be written"))
            }
            Reply::Chunk { .. } => Err(Broken::new(Cause::LeaseLost, "a file is shorter than promised")),
            Reply::Refused(refusal) => Err(Broken::refused(&refusal, Cause::Rejected)),
            _ => Err(Broken::unexpected("SNAPSHOT READ")),
        })?
    }

    /// Waits as long as the rate wants; fails when the transfer is over.
    fn pause(&self, bytes: u32) -> Result<(), Broken> {
        let rate = self.transfer.context.settings().rate;
        let wait = self.transfer.context.limiter.take(bytes.into(), rate, Instant::now());
        self.transfer.stop.sleep(wait)?;
        if self.done.load(Ordering::Acquire) {
            return Err(Broken::new(Cause::Operator, "another link of the transfer has failed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_what_came_since_it_was_asked_for() {
        let arrived = Arrived::default();
        assert_eq!(arrived.rate(), 0, "what is here is being checked");
        arrived.ask();
        assert_eq!(arrived.rate(), 0);
        arrived.add(3 << 20);
        arrived.add(1 << 20);
        assert_eq!(arrived.rate_in(Duration::from_secs(2)), 2 << 20);
    }

    #[test]
    fn little_is_under_way_of_a_small_copy() {
        assert_eq!(Pace::of(0), Pace { links: 1, ahead: 1 });
        assert_eq!(Pace::of(100 << 20), Pace { links: 4, ahead: 1 });
        assert_eq!(Pace::of(2 << 30), Pace { links: LINKS, ahead: AHEAD });
        for total in [60 << 20, 300 << 20, 1 << 40] {
            let Pace { links, ahead } = Pace::of(total);
            assert!(links * ahead * BLOCK as u64 <= total / UNDER_WAY, "{total} bytes");
        }
    }
}
