//! A shard's log as its users see it: [`Log`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::task::{Poll, Waker};
use std::time::Duration;

use lineage::{Epoch, Lineage, Lsn, ReplId};
use parking_lot::Mutex;

use crate::catalog::{Catalog, Pin};
use crate::checksum;
use crate::control::{self, Control};
use crate::fault::{AppendError, Damage, Fault, OpenError, ReadError};
use crate::frame::{Frame, Kind};
use crate::options::{Background, LogOptions};
use crate::reader::Reader;
use crate::recover::{self, Recovered};
use crate::segment::{self, fault};
use crate::tail::{Appended, Tail};
use crate::threads::{Bell, Threads};
use crate::watermark::Watermark;
use crate::writer::{Who, Writer};

/// An open log. Threads share it; all methods may be called at any time.
///
/// Dropping it is a crash as far as the files can tell: what was not written is gone. [`Log::close`] ends it in order.
pub struct Log {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
}

impl Log {
    /// Opens the log in the folder, or begins one, and says what was found. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]. Damaged frames are no error here, see [`Recovered::damage`].
    pub fn open(options: LogOptions) -> Result<(Log, Recovered), OpenError> {
        let (shared, recovered) = recover::open(options)?;
        let shared = Arc::new(shared);
        let threads = match shared.options.background {
            Background::Threads if recovered.damage.is_none() => Threads::start(&shared)?,
            Background::Threads | Background::Manual => Threads::none(),
        };
        Ok((Log { shared, threads: Mutex::new(threads) }, recovered))
    }

    /// Appends a frame of operations. It takes the time `now_ms`, or that of the frame before if that is later.
    ///
    /// # Errors
    /// `ReadOnly`, `Closed`, `Failed`, `TooLarge`.
    #[inline]
    pub fn append(&self, now_ms: u64, payload: &[u8]) -> Result<Appended, AppendError> {
        let payload_crc = checksum::crc32c(payload);
        let synced = self.shared.synced.get();
        let mut tail = self.shared.tail.lock();
        let appended = tail.append(Kind::Ops, now_ms, synced, payload, payload_crc)?;
        self.shared.end.store(appended.end.0, Ordering::Release);
        Ok(appended)
    }

    /// Appends the frame that begins an era: the caller is the primary from here on.
    ///
    /// # Errors
    /// As [`Log::append`]; `Frame` if the era does not continue the lineage.
    pub fn append_epoch(&self, now_ms: u64, epoch: Epoch, id: ReplId) -> Result<Appended, AppendError> {
        let synced = self.shared.synced.get();
        let mut tail = self.shared.tail.lock();
        let appended = tail.append_epoch(now_ms, synced, epoch, id)?;
        self.shared.end.store(appended.end.0, Ordering::Release);
        Ok(appended)
    }

    /// Appends a frame made by another node, byte for byte.
    ///
    /// # Errors
    /// As [`Log::append`]; `Position` if it does not belong to the end of the log, `Frame` if it is older than the one before
    /// it, or begins an era that does not continue the lineage.
    pub fn append_frame(&self, frame: &Frame<'_>) -> Result<Appended, AppendError> {
        let mut tail = self.shared.tail.lock();
        let appended = tail.append_frame(frame)?;
        self.shared.end.store(appended.end.0, Ordering::Release);
        Ok(appended)
    }

    /// The first LSN that is still there.
    #[must_use]
    pub fn start(&self) -> Lsn {
        self.shared.catalog.start()
    }

    /// The end of the log: the LSN of the next frame.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.shared.end()
    }

    /// Every frame below this LSN is in a file and can be read.
    #[must_use]
    pub fn written(&self) -> Lsn {
        self.shared.written.get()
    }

    /// Every frame below this LSN is durable.
    #[must_use]
    pub fn synced(&self) -> Lsn {
        self.shared.synced.get()
    }

    /// The lineage, with every era that has been appended.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.shared.tail.lock().lineage().clone()
    }

    /// The time of the last frame; the next one is not older.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.shared.tail.lock().time_ms()
    }

    /// Whether the disk takes what is written.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Whether so much is unwritten that nothing new should be executed. Appending still works.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end().since(self.written()) > self.shared.options.buffer_bytes
    }

    /// What is wrong with the log, if it was opened damaged and is read-only.
    #[must_use]
    pub fn damage(&self) -> Option<&Damage> {
        self.shared.damage.as_ref()
    }

    /// Asks that everything below `lsn` be written, and does it here if that will not block. For workers, once a turn.
    pub fn write_to(&self, lsn: Lsn) -> WriteOutcome {
        self.shared.write_to(lsn, Who::Worker)
    }

    /// As [`Log::write_to`], for threads that may block. `Pending` then means that there is no space.
    pub fn write_to_blocking(&self, lsn: Lsn) -> WriteOutcome {
        self.shared.write_to(lsn, Who::Thread)
    }

    /// Asks the syncer to make everything below `lsn` durable. One fsync serves all who ask while another runs.
    pub fn request_sync(&self, lsn: Lsn) {
        self.shared.request_sync(lsn);
    }

    /// Ready when everything below `lsn` is written; else wakes `waker` then, or before.
    pub fn poll_written(&self, lsn: Lsn, waker: &Waker) -> Poll<()> {
        self.shared.written.poll(lsn, waker)
    }

    /// Ready when everything below `lsn` is durable; else wakes `waker` then, or before.
    pub fn poll_synced(&self, lsn: Lsn, waker: &Waker) -> Poll<()> {
        self.shared.synced.poll(lsn, waker)
    }

    /// Blocks until everything below `lsn` is written and says whether that happened in time. Asks nobody to write.
    #[must_use]
    pub fn wait_written(&self, lsn: Lsn, timeout: Duration) -> bool {
        self.shared.written.wait(lsn, timeout)
    }

    /// Blocks until everything below `lsn` is durable and says whether that happened in time. Asks nobody to sync.
    #[must_use]
    pub fn wait_synced(&self, lsn: Lsn, timeout: Duration) -> bool {
        self.shared.synced.wait(lsn, timeout)
    }

    /// A reader of the frames from `from` on, which must be the beginning of a frame or the end of the log.
    ///
    /// # Errors
    /// `Trimmed`, `Beyond`, or the damage that lies between.
    pub fn reader(&self, from: Lsn) -> Result<Reader, ReadError> {
        Reader::new(self.shared.clone(), from)
    }

    /// Reads all written frames from `from` on and says how many there are. Blocks.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_from(&self, from: Lsn) -> Result<u64, ReadError> {
        let mut reader = self.reader(from)?;
        let mut frames = 0;
        while reader.next_frame()?.is_some() {
            frames += 1;
        }
        Ok(frames)
    }

    /// Says that the caller itself needs nothing below `lsn`. Until it says so, everything is kept.
    pub fn retain_from(&self, lsn: Lsn) {
        self.shared.catalog.set_floor(lsn);
    }

    /// Keeps everything from `lsn` on until the lease is dropped; `None` if some of it is gone already.
    #[must_use]
    pub fn pin(&self, name: &str, lsn: Lsn) -> Option<Pin> {
        self.shared.catalog.pin(name, lsn)
    }

    /// The names of the leases and what each keeps.
    #[must_use]
    pub fn pins(&self) -> Vec<(String, Lsn)> {
        self.shared.catalog.pins()
    }

    /// Removes the segments that nobody needs, oldest first, and says how many. The last segment stays. Blocks.
    ///
    /// # Errors
    /// The file system's; what could not be removed is found again at the next start.
    pub fn trim(&self) -> Result<usize, Fault> {
        let (disk, dir) = (&self.shared.options.disk, &self.shared.options.dir);
        let mut removed = 0;
        while let Some(first) = self.shared.catalog.retire_oldest() {
            let path = segment::path(dir, first);
            disk.remove(&path).map_err(|e| fault(&path, 0, "remove", e))?;
            // One by one: if a crash undid only some removals, a gap would be left.
            disk.sync_dir(dir).map_err(|e| fault(dir, 0, "sync the folder", e))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The segment files and what each holds, oldest first. Take a [`Pin`] first, then the files stay. All but the last
    /// are complete and durable; the last one grows, so copy it only up to its `end`.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let written = self.written();
        let firsts = self.shared.catalog.firsts();
        let ends = firsts.iter().skip(1).copied().chain([written]);
        let info = |(&first, end): (&Lsn, Lsn)| {
            let path = segment::path(&self.shared.options.dir, first);
            SegmentInfo { path, first, end: end.max(first) }
        };
        firsts.iter().zip(ends).map(info).collect()
    }

    /// Begins a new segment at the present end, so that everything below is in complete, durable files. Blocks. Says
    /// where; with no space the segment begins there later.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn roll(&self) -> Result<Lsn, AppendError> {
        let at = self.shared.tail.lock().roll()?;
        self.shared.write_wanted(Who::Thread);
        Ok(at)
    }

    /// Who does the work that may block.
    #[must_use]
    pub fn background(&self) -> Background {
        self.shared.options.background
    }

    /// What the writer thread does when it is woken. For [`Background::Manual`].
    pub fn step_writer(&self) {
        self.shared.write_wanted(Who::Thread);
    }

    /// What the syncer thread does when it is woken. For [`Background::Manual`].
    pub fn step_syncer(&self) {
        self.shared.sync_pass();
    }

    /// Writes and syncs everything, notes that the log was closed in order, and stops the threads. Appending is refused
    /// from now on; reading still works. Blocks. A second call does nothing.
    ///
    /// # Errors
    /// The file system's, no space among them; the log is closed all the same, as if it had crashed.
    pub fn close(&self) -> Result<(), Fault> {
        let was_open = {
            let mut tail = self.shared.tail.lock();
            let was_open = tail.is_open();
            tail.shut(AppendError::Closed);
            was_open
        };
        self.threads.lock().stop(&self.shared);
        if !was_open {
            return Ok(());
        }
        let Shared { options, .. } = &*self.shared;
        self.shared.write_wanted(Who::Thread);
        self.shared.sync_pass();
        if self.synced() < self.end() {
            let why = match self.health() {
                Health::NoSpace => std::io::ErrorKind::StorageFull,
                Health::Ok | Health::Failed => std::io::ErrorKind::Other,
            };
            return Err(fault(&options.dir, 0, "write the last frames to", why.into()));
        }
        let mark = control::Mark { state: control::State::Closed, synced: self.synced() };
        Control::replace(&*options.disk, &options.dir, mark).map(drop)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.threads.get_mut().stop(&self.shared);
    }
}

/// What became of a wish to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum WriteOutcome {
    /// It is written.
    Written,
    /// It will be, by another thread: wait with [`Log::poll_written`].
    Pending,
}

/// Whether the disk takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// Yes.
    Ok = 0,
    /// There is no space. Frames are kept in memory and the writer thread tries again; it ends by itself.
    NoSpace = 1,
    /// A write or fsync failed, and the fatal hook returned. It stays so.
    Failed = 2,
}

/// A segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The file.
    pub path: PathBuf,
    /// The LSN of its first frame, at byte [`crate::SEGMENT_HEADER`].
    pub first: Lsn,
    /// The LSN at which its written frames end.
    pub end: Lsn,
}

/// What the users, the readers and the two threads of a log share.
pub(crate) struct Shared {
    pub(crate) options: LogOptions,
    pub(crate) tail: Mutex<Tail>,
    /// A copy of the tail's end, for those who do not hold its lock.
    pub(crate) end: AtomicU64,
    pub(crate) writer: Mutex<Writer>,
    /// The highest LSN below which somebody wants everything written.
    pub(crate) want: AtomicU64,
    pub(crate) written: Watermark,
    /// The highest LSN below which somebody wants everything durable.
    pub(crate) want_synced: AtomicU64,
    pub(crate) synced: Watermark,
    /// An fsync is in flight, so a write might block.
    pub(crate) syncing: AtomicBool,
    /// The last write took long, so the next one might, too.
    pub(crate) slow: AtomicBool,
    health: AtomicU8,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) control: Option<Control>,
    pub(crate) damage: Option<Damage>,
    pub(crate) writer_bell: Bell,
    pub(crate) syncer_bell: Bell,
}

impl Shared {
    /// A log of which everything below `end` is synced.
    pub(crate) fn new(
        options: LogOptions,
        tail: Tail,
        writer: Writer,
        catalog: Catalog,
        control: Option<Control>,
        damage: Option<Damage>,
    ) -> Shared {
        let end = tail.end();
        Shared {
            options,
            tail: Mutex::new(tail),
            end: AtomicU64::new(end.0),
            writer: Mutex::new(writer),
            want: AtomicU64::new(end.0),
            written: Watermark::new(end),
            want_synced: AtomicU64::new(end.0),
            synced: Watermark::new(end),
            syncing: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            health: AtomicU8::new(Health::Ok as u8),
            catalog: Arc::new(catalog),
            control,
            damage,
            writer_bell: Bell::default(),
            syncer_bell: Bell::default(),
        }
    }

    pub(crate) fn end(&self) -> Lsn {
        Lsn(self.end.load(Ordering::Acquire))
    }

    pub(crate) fn want(&self) -> Lsn {
        Lsn(self.want.load(Ordering::Acquire))
    }

    pub(crate) fn want_synced(&self) -> Lsn {
        Lsn(self.want_synced.load(Ordering::Acquire))
    }

    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            0 => Health::Ok,
            1 => Health::NoSpace,
            _ => Health::Failed,
        }
    }

    fn write_to(&self, lsn: Lsn, who: Who) -> WriteOutcome {
        let lsn = lsn.min(self.end());
        if self.written.get() >= lsn {
            return WriteOutcome::Written;
        }
        self.want.fetch_max(lsn.0, Ordering::AcqRel);
        // Pairs with the fence after unlocking the writer.
        fence(Ordering::SeqCst);
        if who == Who::Worker && (self.syncing.load(Ordering::Acquire) || self.slow.load(Ordering::Relaxed)) {
            self.writer_bell.ring();
        } else if who == Who::Thread || self.health() == Health::Ok {
            self.write_wanted(who);
        }
        if self.written.get() >= lsn { WriteOutcome::Written } else { WriteOutcome::Pending }
    }

    fn request_sync(&self, lsn: Lsn) {
        let lsn = lsn.min(self.end());
        if self.synced.get() < lsn {
            self.want_synced.fetch_max(lsn.0, Ordering::AcqRel);
            self.syncer_bell.ring();
        }
    }

    /// Writes what is in the tail and makes durable what is written.
    pub(crate) fn sync_pass(&self) {
        if self.health() == Health::Ok {
            self.write_wanted(Who::Thread);
        }
        let (segment, through) = {
            let writer = self.writer.lock();
            (writer.segment().clone(), self.written.get())
        };
        if self.synced.get() >= through || self.health() == Health::Failed {
            return;
        }
        self.syncing.store(true, Ordering::Release);
        let result = segment.file.sync();
        self.syncing.store(false, Ordering::Release);
        match result {
            Ok(()) => self.note_synced(through),
            Err(e) => self.fail(&fault(&segment.path, 0, "sync", e)),
        }
    }

    pub(crate) fn note_synced(&self, through: Lsn) {
        self.synced.advance(through);
        if let Some(control) = &self.control {
            control.note(through);
        }
    }

    /// There is no space: the writer thread takes over.
    pub(crate) fn no_space(&self) {
        let (ok, full) = (Health::Ok as u8, Health::NoSpace as u8);
        if self.health.compare_exchange(ok, full, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.writer_bell.ring();
        }
    }

    /// A batch went out whole: if there was no space, there is now, and the syncer may have been asked meanwhile.
    pub(crate) fn has_space(&self) {
        let (ok, full) = (Health::Ok as u8, Health::NoSpace as u8);
        if self.health.compare_exchange(full, ok, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.syncer_bell.ring();
        }
    }

    /// Nobody can know what is on disk: takes no more frames and calls the fatal hook.
    pub(crate) fn fail(&self, fault: &Fault) {
        self.health.store(Health::Failed as u8, Ordering::Release);
        self.tail.lock().shut(AppendError::Failed);
        (self.options.fatal)(fault);
    }
}
