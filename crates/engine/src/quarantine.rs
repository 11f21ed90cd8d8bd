//! Shards that were replaced and held what the ones in their place do not: whole folders, kept for a while.
//!
//! ```text
//! quarantine/db0-20261122-203000-4156/FORMAT     as in a data folder: it is one
//! quarantine/db0-20261122-203000-4156/MANIFEST   what it is, and where its history parted from the present one
//! quarantine/db0-20261122-203000-4156/db0/       the shard's folder as it was: log/ and store/
//! ```
//!
//! They go when their time is up, or, the oldest first, when the disk has no room for what is in use. A manifest whose shard
//! has not come yet is left alone; it goes first when something is put there, and last when it is removed.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyspace::Millis;
use lineage::{Fork, Lineage, Lsn};

use crate::fault::Fault;
use crate::files::MOST_DEPTH;
use crate::instance::Instance;

const FIRST_LINE: &str = "haypile quarantine 1";
const MANIFEST: &str = "MANIFEST";
/// The folder of all of them, in the data folder.
const FOLDER: &str = "quarantine";
/// Bytes of one of [`std::fs::Metadata`]'s blocks.
const BLOCK: u64 = 512;
/// What was given up for its room and nobody has asked about yet: of more than these, the oldest are forgotten.
const MAX_UNTOLD: usize = 64;

/// What is kept, for people and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The database.
    pub database: usize,
    /// When it was replaced.
    pub time: Millis,
    /// What its log held.
    pub start: Lsn,
    /// Where its log ended.
    pub end: Lsn,
    /// Its history.
    pub lineage: Lineage,
    /// Where the history parts from that of the shard that took its place; `None`: they have nothing in common.
    pub fork: Option<Lsn>,
}

impl Kept {
    /// Under which name it is kept: the time in UTC, and the end of the log.
    #[must_use]
    pub fn name(&self) -> String {
        format!("db{}-{}-{}", self.database, utc(self.time), self.end)
    }

    /// A database may be replaced twice in a second, at the same position. Nothing could be put where the first one is, so the
    /// second one gets a later time.
    pub(crate) fn with_name_of_its_own(mut self, data: &Path) -> Self {
        while place(data, &self.name()).exists() {
            self.time.0 += 1000;
        }
        self
    }

    /// Where the shard is in the folder that is kept.
    pub(crate) fn shard_in(&self, place: &Path) -> PathBuf {
        place.join(format!("db{}", self.database))
    }

    pub(crate) fn encode(&self) -> String {
        let Self { database, time, start, end, lineage, fork } = self;
        let mut text = format!("{FIRST_LINE}\ndatabase {database}\ntime-ms {}\nstart {start}\nend {end}\n", time.0);
        let _ = writeln!(text, "lineage {lineage}");
        let _ = match fork {
            Some(fork) => writeln!(text, "fork {fork}"),
            None => writeln!(text, "fork none"),
        };
        text
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let (database, time) = (field("database")?.parse().ok()?, Millis(field("time-ms")?.parse().ok()?));
        let (start, end) = (Lsn(field("start")?.parse().ok()?), Lsn(field("end")?.parse().ok()?));
        let lineage = field("lineage")?.parse().ok()?;
        let fork = match field("fork")? {
            "none" => None,
            lsn => Some(Lsn(lsn.parse().ok()?)),
        };
        Some(Self { database, time, start, end, lineage, fork })
    }

    /// What an old history is to a new one. `None`: all of it is in the new one, so nothing need be kept.
    pub(crate) fn of(database: usize, time: Millis, old: &Past, new: &Past) -> Option<Self> {
        let Past { lineage, start, end } = old.clone();
        let fork = match lineage.fork_point(end, &new.lineage, new.end) {
            Fork::At(fork) if fork == end => return None,
            Fork::At(fork) => Some(fork),
            Fork::Disjoint => None,
        };
        (!old.is_blank()).then_some(Self { database, time, start, end, lineage, fork })
    }
}

/// A history and the part of it that is there.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub lineage: Lineage,
    pub start: Lsn,
    pub end: Lsn,
}

impl Past {
    /// Whether nobody ever wrote anything: the log has nothing but the frames that begin its eras.
    pub fn is_blank(&self) -> bool {
        self.start == Lsn(0) && self.end.0 == self.lineage.eras().len() as u64 * replog::EPOCH_FRAME as u64
    }
}

/// The folder of a kept shard's own files.
pub(crate) fn place(data: &Path, name: &str) -> PathBuf {
    data.join(FOLDER).join(name)
}

pub(crate) fn manifest(place: &Path) -> PathBuf {
    place.join(MANIFEST)
}

impl Instance {
    /// The shards in quarantine, with their folders, in no order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn quarantined(&self) -> Result<Vec<(PathBuf, Kept)>, Fault> {
        let folder = self.dir().join(FOLDER);
        let unreadable = |error: io::Error| Fault::io(&error, "The quarantine cannot be read", &folder);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let text = fs::read_to_string(manifest(&path)).unwrap_or_default();
            found.extend(Kept::decode(&text).map(|kept| (path, kept)));
        }
        Ok(found)
    }

    /// Removes what was put into quarantine longer than `keep` before `clock`, and says how much that was. What has no
    /// manifest stays.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clean_quarantine(&self, clock: Millis, keep: Duration) -> Result<usize, Fault> {
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let mut removed = 0;
        let _giving_up = self.given_up.lock();
        for (path, kept) in self.quarantined()? {
            if kept.time.0.saturating_add(keep) < clock.0 && self.remove_kept(&path, &kept)? {
                tracing::info!(path = %path.display(), "removed a shard from quarantine: its time was up");
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the shard that has been in quarantine longest, because the disk has no room for what is in use: if all that
    /// are there take `bytes` or more. `false`: nothing was removed.
    pub fn give_up_quarantined(&self, bytes: u64) -> bool {
        self.try_to_give_up(bytes).unwrap_or_else(|fault| {
            tracing::error!(%fault, "the disk is full, and what is in quarantine cannot be removed");
            false
        })
    }

    fn try_to_give_up(&self, bytes: u64) -> Result<bool, Fault> {
        let mut given_up = self.given_up.lock();
        let mut all = self.quarantined()?;
        all.retain(|(path, kept)| kept.shard_in(path).exists());
        if all.iter().map(|(path, _)| room_of(path, MOST_DEPTH)).sum::<u64>() < bytes {
            return Ok(false);
        }
        let Some((path, kept)) = all.into_iter().min_by_key(|(_, kept)| kept.time) else { return Ok(false) };
        if !self.remove_kept(&path, &kept)? {
            return Ok(false);
        }
        tracing::warn!(path = %path.display(), ?kept, "the disk is full: a shard in quarantine was removed before its time");
        if given_up.len() == MAX_UNTOLD {
            given_up.remove(0);
        }
        given_up.push(kept);
        Ok(true)
    }

    /// The shards that were given up for their room since the last question. Waits for a removal that is under way.
    #[must_use]
    pub fn take_given_up(&self) -> Vec<Kept> {
        std::mem::take(&mut *self.given_up.lock())
    }

    /// `false`: its shard is yet to come.
    fn remove_kept(&self, path: &Path, kept: &Kept) -> Result<bool, Fault> {
        let fault = |error| Fault::io(&error, "The quarantine cannot be cleaned", path);
        let shard = kept.shard_in(path);
        let is_there = {
            // While nothing is put away, it is there for good or yet to come.
            let _burying = self.retired.lock();
            shard.exists()
        };
        if !is_there {
            // While a database is replaced, its manifest is there before anything says that it will be needed.
            let _changing = self.changing.lock();
            if self.folder.awaits_burial(kept)? {
                return Ok(false);
            }
        }
        self.options.files.remove_tree(&shard).map_err(fault)?;
        self.options.files.remove_tree(path).map(|()| true).map_err(fault)
    }
}

/// The bytes of the disk that a folder's files take and that no other name has.
fn room_of(path: &Path, depth: usize) -> u64 {
    let (Some(depth), Ok(entries)) = (depth.checked_sub(1), fs::read_dir(path)) else { return 0 };
    let room = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => room_of(&entry.path(), depth),
        Ok(meta) if meta.nlink() == 1 => meta.blocks() * BLOCK,
        Ok(_) | Err(_) => 0,
    };
    entries.flatten().map(room).sum()
}

/// A time as `YYYYMMDD-HHMMSS`.
fn utc(time: Millis) -> String {
    let seconds = time.0 / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// The date of a day counted from 1970-01-01.
fn civil(mut day: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    for days in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        month += 1;
        if day < days {
            break;
        }
        day -= days;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use lineage::{Epoch, Era, ReplId};

    use super::*;

    fn past(ids: &[u8], end: u64) -> Past {
        let mut lineage = Lineage::new();
        for (n, id) in ids.iter().enumerate() {
            let n = n as u64;
            lineage.push(Era { epoch: Epoch(n + 1), id: ReplId([*id; 20]), first: Lsn(n * 1000) }).unwrap();
        }
        Past { lineage, start: Lsn(0), end: Lsn(end) }
    }

    #[test]
    fn golden_bytes() {
        let time = Millis(1_795_379_400_000);
        let kept = Kept::of(0, time, &past(&[1, 2], 1500), &past(&[1, 3], 2000)).unwrap();
        let golden = "haypile quarantine 1\ndatabase 0\ntime-ms 1795379400000\nstart 0\nend 1500\n\
            lineage 1:0101010101010101010101010101010101010101:0,2:0202020202020202020202020202020202020202:1000\n\
            fork 1000\n";
        assert_eq!(kept.encode(), golden);
        assert_eq!(Kept::decode(golden), Some(kept.clone()));
        assert_eq!(kept.name(), "db0-20261122-203000-1500");
    }

    #[test]
    fn what_is_in_the_new_history_is_not_kept() {
        let time = Millis(0);
        let of = |old: &Past, new: &Past| Kept::of(0, time, old, new).map(|kept| kept.fork);
        assert_eq!(of(&past(&[1], 500), &past(&[1, 2], 2000)), None);
        assert_eq!(of(&past(&[1], 1500), &past(&[1, 2], 2000)), Some(Some(Lsn(1000))), "it has more of the era");
        assert_eq!(of(&past(&[3], 1500), &past(&[1, 2], 2000)), Some(None));
        assert_eq!(of(&past(&[3], replog::EPOCH_FRAME as u64), &past(&[1], 10)), None, "nothing but its era");
        assert_eq!(of(&past(&[], 0), &past(&[1], 10)), None, "nothing");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, date) in [
            (0, "19700101-000000"),
            (951_782_399_999, "20000228-235959"),
            (951_782_400_000, "20000229-000000"),
            (1_709_251_199_000, "20240229-235959"),
            (1_735_689_599_000, "20241231-235959"),
        ] {
            assert_eq!(utc(Millis(ms)), date);
        }
    }
}
