//! Expired records that compactions met, until the engine takes them.
//!
//! Compactions look at every record anyway, so they are the cheapest way to find expired ones. They only report: the
//! engine removes a record through its own settle, so that the count of records and the rows of a collection stay
//! exact (`docs/decisions/0004-expired-records-and-dead-rows.md`).
//!
//! The list is bounded, and a compaction waits for nobody: what does not fit is met again by a later compaction.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::store::ExpiredRecord;
use keyspace::{Millis, Record};
use rust_rocksdb::CompactionDecision;
use rust_rocksdb::compaction_filter::CompactionFilter;
use rust_rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

/// Records waiting to be taken.
const RECORDS_MOST: usize = 65_536;
/// Bytes of their keys.
const BYTES_MOST: usize = 8 << 20;
/// Records one compaction holds back while others have the list.
const HELD_MOST: usize = 128;

/// The list, and the horizon that decides what gets on it.
#[derive(Debug, Default)]
pub(crate) struct Expired {
    horizon: AtomicU64,
    waiting: Mutex<Waiting>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<ExpiredRecord>,
    bytes: usize,
}

impl Expired {
    pub(crate) fn set_horizon(&self, horizon: Millis) {
        self.horizon.store(horizon.0, Ordering::Relaxed);
    }

    /// Takes up to `most`, the longest waiting first.
    pub(crate) fn take(&self, most: usize) -> Vec<ExpiredRecord> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = most.min(waiting.records.len());
        let taken: Vec<ExpiredRecord> = waiting.records.drain(..count).collect();
        waiting.bytes -= taken.iter().map(|record| record.key.len()).sum::<usize>();
        taken
    }

    /// Records waiting now, and records dropped since the store was opened because the list was full or in use.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).records.len();
        (waiting as u64, self.dropped.load(Ordering::Relaxed))
    }

    /// The LSN of the record in `value` if it expired before the horizon. What is no record is not this module's
    /// business: readers will say so.
    fn lsn_if_expired(&self, value: &[u8]) -> Option<u64> {
        let record = Record::decode(value).ok()?;
        let horizon = self.horizon.load(Ordering::Relaxed);
        record.head.expire_at.is_some_and(|at| at.0 < horizon).then_some(record.lsn)
    }

    /// Appends what is in `held`, unless somebody else has the list.
    fn append(&self, held: &mut Vec<ExpiredRecord>) {
        let Ok(mut waiting) = self.waiting.try_lock() else { return };
        for record in held.drain(..) {
            let bytes = waiting.bytes + record.key.len();
            if waiting.records.len() < RECORDS_MOST && bytes <= BYTES_MOST {
                waiting.bytes = bytes;
                waiting.records.push_back(record);
            } else {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Makes a reporter for each compaction; compactions ask for one concurrently.
pub(crate) struct ReporterFactory(Arc<Expired>);

impl ReporterFactory {
    pub(crate) fn new(expired: &Arc<Expired>) -> Self {
        Self(Arc::clone(expired))
    }
}

impl CompactionFilterFactory for ReporterFactory {
    type Filter = Reporter;

    fn create(&mut self, _context: CompactionFilterContext) -> Reporter {
        Reporter { expired: Arc::clone(&self.0), held: Vec::new() }
    }

    fn name(&self) -> &CStr {
        c"haypile.expired"
    }
}

/// Sees the records of one compaction; keeps them all.
pub(crate) struct Reporter {
    expired: Arc<Expired>,
    held: Vec<ExpiredRecord>,
}

impl CompactionFilter for Reporter {
    fn filter(&mut self, _level: u32, key: &[u8], value: &[u8]) -> CompactionDecision {
        if let Some(lsn) = self.expired.lsn_if_expired(value) {
            if self.held.len() < HELD_MOST {
                self.held.push(ExpiredRecord { key: key.to_vec(), lsn });
            } else {
                self.expired.dropped.fetch_add(1, Ordering::Relaxed);
            }
            self.expired.append(&mut self.held);
        }
        CompactionDecision::Keep
    }

    fn name(&self) -> &CStr {
        c"haypile.expired"
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.expired.append(&mut self.held);
        self.expired.dropped.fetch_add(self.held.len() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyspace::Head;

    fn record(lsn: u64, expire_at: Option<u64>) -> Vec<u8> {
        let mut bytes = lsn.to_le_bytes().to_vec();
        Head::string(expire_at.map(Millis)).encode(&mut bytes);
        bytes
    }

    fn reporter(expired: &Arc<Expired>) -> Reporter {
        Reporter { expired: Arc::clone(expired), held: Vec::new() }
    }

    #[test]
    fn only_records_before_the_horizon_are_reported_and_all_are_kept() {
        let expired = Arc::new(Expired::default());
        expired.set_horizon(Millis(100));
        let mut reporter = reporter(&expired);
        for (key, expire_at) in [("never", None), ("at", Some(100)), ("before", Some(99)), ("after", Some(101))] {
            let decision = reporter.filter(0, key.as_bytes(), &record(7, expire_at));
            assert!(matches!(decision, CompactionDecision::Keep));
        }
        assert!(matches!(reporter.filter(0, b"junk", b"xyz"), CompactionDecision::Keep));
        assert_eq!(expired.take(9), [ExpiredRecord { key: b"before".to_vec(), lsn: 7 }]);
        assert_eq!(expired.take(9), []);
    }

    #[test]
    fn the_list_is_bounded_in_records_and_in_bytes() {
        let expired = Arc::new(Expired::default());
        expired.set_horizon(Millis(2));
        let mut reporter = reporter(&expired);
        let value = record(1, Some(1));
        for _ in 0..=RECORDS_MOST {
            reporter.filter(0, b"key", &value);
        }
        assert_eq!(expired.counts(), (RECORDS_MOST as u64, 1));
        assert_eq!(expired.take(usize::MAX).len(), RECORDS_MOST);
        let long = vec![b'k'; BYTES_MOST / 2];
        for _ in 0..3 {
            reporter.filter(0, &long, &value);
        }
        assert_eq!(expired.counts(), (2, 2));
        assert_eq!(expired.take(1).len(), 1);
        reporter.filter(0, &long, &value);
        assert_eq!(expired.counts(), (2, 2));
    }

    #[test]
    fn a_reporter_does_not_wait_for_the_list() {
        let expired = Arc::new(Expired::default());
        expired.set_horizon(Millis(2));
        let mut reporter = reporter(&expired);
        let in_use = expired.waiting.lock().unwrap();
        for _ in 0..=HELD_MOST {
            reporter.filter(0, b"key", &record(1, Some(1)));
        }
        drop(in_use);
        drop(reporter);
        assert_eq!(expired.counts(), (HELD_MOST as u64, 1));
    }
}
