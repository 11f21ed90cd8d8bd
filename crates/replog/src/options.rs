//! What a log is told when it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use lineage::{Lineage, Lsn};

use crate::disk::{Disk, OsDisk};
use crate::fault::Fault;

/// A segment gets at most so many bytes of frames, unless one frame alone is larger.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// More unwritten bytes than this make [`crate::Log::is_full`] true.
pub const BUFFER_BYTES: u64 = 64 << 20;

/// What is done with a failure after which nobody can know what is on disk. It should not return.
pub type FatalHook = Arc<dyn Fn(&Fault) + Send + Sync>;

/// What a log is told when it is opened. Only the folder has no default.
#[derive(Clone)]
pub struct LogOptions {
    /// The folder of the segments and the control file, for this log alone. Made if it is missing.
    pub dir: PathBuf,
    /// The folder that takes what is cut off. Made when it is needed; by default `quarantine` in `dir`.
    pub quarantine: PathBuf,
    /// Size at which the next segment begins.
    pub segment_bytes: u64,
    /// Unwritten bytes at which writers should be held back.
    pub buffer_bytes: u64,
    /// When the log is synced without being asked.
    pub fsync: FsyncPolicy,
    /// What the caller will replay: everything below this LSN is known to be synced, the log must go back to it, and
    /// frames from here on are verified when the log is opened. With `None` only the last segment is verified.
    pub replay_from: Option<Lsn>,
    /// Where a new log begins; not used when the folder holds one.
    pub origin: Origin,
    /// Who does the work that may block.
    pub background: Background,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// Called on a failed write (but for want of space) or fsync; by default prints and aborts the process. If it
    /// returns, the log takes no more frames.
    pub fatal: FatalHook,
}

impl LogOptions {
    /// The defaults for a log in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> LogOptions {
        let dir = dir.into();
        LogOptions {
            quarantine: dir.join("quarantine"),
            dir,
            segment_bytes: SEGMENT_BYTES,
            buffer_bytes: BUFFER_BYTES,
            fsync: FsyncPolicy::EverySec,
            replay_from: None,
            origin: Origin::default(),
            background: Background::Threads,
            disk: Arc::new(OsDisk),
            fatal: Arc::new(|fault| {
                eprintln!("The log can no longer know what is on disk, so the process ends. {fault}");
                std::process::abort()
            }),
        }
    }
}

/// When the log is synced without being asked, with Redis's meaning of `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// The caller asks for every frame whose reply it wants to send; one fsync serves all who ask meanwhile.
    Always,
    /// Once a second, if there is anything new.
    EverySec,
    /// Never.
    No,
}

/// Where a new log begins: at the beginning of all history, or where a snapshot ends.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The first LSN.
    pub first: Lsn,
    /// No frame may be older than this.
    pub time_ms: u64,
    /// The history before the first frame.
    pub lineage: Lineage,
}

/// Who does the work that may block: slow writes, new segments, fsyncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// Two threads of the log.
    Threads,
    /// The caller, by [`crate::Log::step_writer`] and [`crate::Log::step_syncer`]: for simulation and tests.
    Manual,
}
