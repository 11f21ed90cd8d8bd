//! What happened to replication, for people: [`Record`]s, kept by the [`Journal`].
//!
//! ```text
//!   who owns the state ──note──▶ log line (tracing)
//!                                ring in memory: REPLICATION HISTORY
//!                                queue ──▶ writer's thread ──▶ events.jsonl, rotated: `haypile events`
//! ```
//!
//! Noting never waits: a record that finds the writer's queue full is missing in the file, and the file says how many are.

mod file;
mod line;

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;

pub use file::{FILE_NAME, MAX_FILE_BYTES, MAX_OLD_FILES, old_file};
pub use line::utc;

/// Records that are kept in memory.
pub const MAX_RING: usize = 4096;
/// Records that may wait to be written to the file.
const MAX_QUEUE: usize = 4096;
/// Records that are written at once.
const MAX_BATCH: usize = 256;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in milliseconds since 1970 by this node's clock.
    pub at_ms: u64,
    /// To whom.
    pub subject: Subject,
    /// What.
    pub what: What,
}

/// Who has a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The relation to the primary as a whole.
    Instance,
    /// One database.
    Shard(u32),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Instance => f.write_str("instance"),
            Subject::Shard(database) => write!(f, "db{database}"),
        }
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The server started; what came before may have ended at any moment.
    Started,
    /// A state machine went from one state to another.
    Transition {
        /// The state that ended.
        from: String,
        /// The state that began.
        to: String,
        /// Why: one of a fixed few words.
        cause: String,
        /// What exactly happened, for people.
        detail: String,
        /// Failed attempts in this episode.
        attempt: u32,
        /// Where the log ended; 0 for the instance.
        position: u64,
    },
    /// A condition that somebody should look at began or ended.
    Alarm {
        /// Its name.
        name: String,
        /// Which of both.
        turn: Turn,
        /// For people.
        detail: String,
    },
    /// Something worth telling that is neither.
    Note {
        /// For people.
        text: String,
    },
    /// So many records are missing before this one.
    Missing {
        /// How many.
        count: u64,
    },
}

/// Whether an alarm began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It began.
    Raised,
    /// It ended.
    Cleared,
}

impl Turn {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }
}

impl Record {
    /// What happens now.
    #[must_use]
    pub fn now(subject: Subject, what: What) -> Self {
        Self { at_ms: now_ms(), subject, what }
    }

    fn log(&self) {
        let database = match self.subject {
            Subject::Instance => None,
            Subject::Shard(database) => Some(database),
        };
        match &self.what {
            What::Started => {}
            What::Transition { from, to, cause, detail, attempt, position } => {
                tracing::info!(database, from, to, cause, detail, attempt, position, "replication");
            }
            What::Alarm { name, turn: Turn::Raised, detail } => {
                tracing::warn!(database, alarm = name, detail, "alarm raised");
            }
            What::Alarm { name, turn: Turn::Cleared, detail } => {
                tracing::info!(database, alarm = name, detail, "alarm cleared");
            }
            What::Note { text } => tracing::info!(database, "replication: {text}"),
            What::Missing { count } => tracing::warn!(count, "replication events are missing in the file"),
        }
    }

    /// The form of a line of the file, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        line::encode(self)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_line(line: &str) -> Result<Self, String> {
        line::decode(line)
    }
}

/// This node's clock.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps records.
#[derive(Debug)]
pub struct Journal {
    ring: Mutex<VecDeque<Record>>,
    queue: Mutex<Option<Sender<Record>>>,
    missing: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
    path: PathBuf,
}

impl Journal {
    /// Starts one whose file is in `folder`.
    ///
    /// # Errors
    /// When no thread can be started. A file that cannot be written is logged, and the journal goes on in memory.
    pub fn start(folder: &Path) -> std::io::Result<Self> {
        let (sender, receiver) = crossbeam_channel::bounded(MAX_QUEUE);
        let missing = Arc::new(AtomicU64::new(0));
        let path = folder.join(FILE_NAME);
        let (file, lost) = (path.clone(), Arc::clone(&missing));
        let writer = std::thread::Builder::new().name("events".to_owned());
        let writer = writer.spawn(move || write_all(&file, &receiver, &lost))?;
        let (queue, writer) = (Mutex::new(Some(sender)), Mutex::new(Some(writer)));
        let journal = Self { ring: Mutex::default(), queue, missing, writer, path };
        journal.note(Record::now(Subject::Instance, What::Started));
        Ok(journal)
    }

    /// Where its file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a record. Never waits.
    pub fn note(&self, record: Record) {
        record.log();
        {
            let mut ring = self.ring.lock();
            if ring.len() == MAX_RING {
                ring.pop_front();
            }
            ring.push_back(record.clone());
        }
        let queue = self.queue.lock();
        let is_full = |sent: Result<(), TrySendError<Record>>| sent.is_err_and(|error| error.is_full());
        if queue.as_ref().is_some_and(|queue| is_full(queue.try_send(record))) {
            self.missing.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The newest `most` records about `subject` (all without one), oldest first.
    #[must_use]
    pub fn newest(&self, subject: Option<Subject>, most: usize) -> Vec<Record> {
        let ring = self.ring.lock();
        let wanted = |record: &&Record| subject.is_none_or(|subject| record.subject == subject);
        let mut found: Vec<Record> = ring.iter().rev().filter(wanted).take(most).cloned().collect();
        found.reverse();
        found
    }

    /// Writes what is left and ends the writer.
    pub fn stop(&self) {
        drop(self.queue.lock().take());
        if let Some(writer) = self.writer.lock().take() {
            // A panic has ended the process already.
            let _ = writer.join();
        }
    }
}

fn write_all(path: &Path, records: &Receiver<Record>, missing: &AtomicU64) {
    let mut file = file::Rotated::new(path);
    let mut is_well = true;
    while let Ok(first) = records.recv() {
        let mut text = String::new();
        let lost = missing.swap(0, Ordering::Relaxed);
        if lost > 0 {
            text += &Record::now(Subject::Instance, What::Missing { count: lost }).to_line();
            text.push('\n');
        }
        let batch = std::iter::once(first).chain(records.try_iter().take(MAX_BATCH - 1));
        let mut count = 0;
        for record in batch {
            text += &record.to_line();
            text.push('\n');
            count += 1;
        }
        match file.append(text.as_bytes()) {
            Ok(()) => is_well = true,
            Err(error) => {
                missing.fetch_add(lost + count, Ordering::Relaxed);
                if std::mem::take(&mut is_well) {
                    tracing::warn!(file = %path.display(), "events cannot be written: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> What {
        What::Note { text: text.to_owned() }
    }

    #[test]
    fn records_reach_the_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(folder.path()).unwrap();
        for n in 0..100 {
            journal.note(Record::now(Subject::Shard(n % 3), note(&n.to_string())));
        }
        journal.stop();
        let text = std::fs::read_to_string(journal.path()).unwrap();
        let read: Vec<Record> = text.lines().map(|line| Record::from_line(line).unwrap()).collect();
        assert_eq!(read, journal.newest(None, usize::MAX));
        assert_eq!(read.len(), 101);
        assert_eq!(read[0].what, What::Started);
        assert_eq!(read[100].what, note("99"));
        let of_one = journal.newest(Some(Subject::Shard(1)), 2);
        assert_eq!(of_one.iter().map(|record| record.what.clone()).collect::<Vec<_>>(), [note("94"), note("97")]);
    }

    #[test]
    fn the_ring_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(folder.path()).unwrap();
        for n in 0..MAX_RING {
            journal.note(Record::now(Subject::Instance, note(&n.to_string())));
        }
        let all = journal.newest(None, usize::MAX);
        assert_eq!((all.len(), &all[0].what), (MAX_RING, &note("0")), "the start has left the ring");
        journal.stop();
    }

    #[test]
    fn a_folder_that_cannot_be_written_stops_nobody() {
        let journal = Journal::start(Path::new("/proc/nowhere")).unwrap();
        journal.note(Record::now(Subject::Instance, note("still here")));
        journal.stop();
        journal.note(Record::now(Subject::Instance, note("and after its end")));
        assert_eq!(journal.newest(None, 2)[0].what, note("still here"));
    }
}
