//! What RocksDB tells from its background threads: above all whether the store takes writes.
//!
//! ```text
//!            flush, manifest or memtable failed
//!   (none) ------------------------------------> Some(failure)
//!      ^                                             |
//!      '--- recovered: by `resume`, or by RocksDB ---'
//! ```
//!
//! RocksDB would poll a full disk by itself and, while it does, refuse a `resume` that comes from us. It is told not
//! to for errors that stop writes: so `resume` is the one way back from a full disk. Errors that do not stop writes
//! (a compaction that found no room) it may retry as it likes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::store::StoreHealth;
use rust_rocksdb::event_listener::{
    BackgroundErrorRecoveryInfo, BackgroundErrorStatus, CompactionJobInfo, DBBackgroundErrorReason, EventListener,
    MutableStatus, StatusSeverity,
};

use crate::refusal::is_no_space;

/// How far compactions stand back behind all other threads, in the kernel's -20..=19. They can wait; a client, settle
/// and a flush cannot. When they fall far behind, RocksDB slows settle down, which leaves them the processor.
const COMPACTION_NICENESS: i32 = 10;

/// The present failure, if any, and counts.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failure: Mutex<Option<String>>,
    errors: AtomicU64,
}

impl Health {
    pub(crate) fn present(&self) -> StoreHealth {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            None => StoreHealth::Ok,
            Some(said) => StoreHealth::Stopped { reason: said.clone(), no_space: is_no_space(said) },
        }
    }

    /// A write or a background job failed. The first reason stays: what comes later follows from it.
    pub(crate) fn failed(&self, said: &str) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| said.to_owned());
    }

    /// RocksDB takes writes again.
    pub(crate) fn recovered(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// RocksDB takes writes again, unless it failed anew after it had counted `errors` of them.
    pub(crate) fn recovered_from(&self, errors: u64) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if self.errors() == errors {
            *failure = None;
        }
    }

    /// Background errors since the store was opened, those of compactions that will be retried too.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(crate) fn listener(self: &Arc<Self>) -> Listener {
        Listener(Arc::clone(self))
    }
}

/// Called by RocksDB's threads.
pub(crate) struct Listener(Arc<Health>);

impl EventListener for Listener {
    /// Called by the thread that is about to compact. Its pool does nothing else.
    fn on_compaction_begin(&self, _info: &CompactionJobInfo) {
        // Without the right to say so, all threads are equal.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), COMPACTION_NICENESS);
    }

    fn on_background_error(&self, reason: DBBackgroundErrorReason, status: MutableStatus) {
        let Err(error) = status.result() else { return };
        self.0.errors.fetch_add(1, Ordering::Relaxed);
        // The severity alone will not do: it is not filled in for errors that RocksDB means to retry, and such an
        // error of a flush holds up writers as soon as their memtables are full.
        let retried = reason == DBBackgroundErrorReason::KCompaction && status.severity() < StatusSeverity::KHardError;
        if !retried {
            self.0.failed(error.as_ref());
        }
    }

    fn on_error_recovery_begin(
        &self,
        _reason: DBBackgroundErrorReason,
        status: &BackgroundErrorStatus,
        by_itself: &mut bool,
    ) {
        if status.severity() >= StatusSeverity::KHardError {
            *by_itself = false;
        }
    }

    fn on_error_recovery_end(&self, info: &BackgroundErrorRecoveryInfo) {
        if info.new_bg_error().result().is_ok() {
            self.0.recovered();
        }
    }
}
