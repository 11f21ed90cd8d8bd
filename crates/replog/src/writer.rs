//! Brings frames from the tail into the file.
//!
//! Whoever wants frames written raises `want` and tries the writer's lock. Who gets it writes for all; who does not goes
//! away, because the holder looks at `want` again after unlocking. So nobody queues for the disk and no wish is lost.
//!
//! A worker must not block, so it defers to the writer thread: a new segment, a large batch, everything while an fsync is
//! in flight, after a slow write, and while there is no space.

use std::io;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use lineage::Lsn;

use crate::fault::Fault;
use crate::log::{Health, Shared};
use crate::segment::{Header, Segment, fault};
use crate::tail::Batch;

/// A write that took longer makes workers defer until one is quick again.
const SLOW_WRITE: Duration = Duration::from_millis(5);
/// A worker leaves more bytes than this to the writer thread.
const WORKER_WRITE_MAX: usize = 1 << 20;
/// How often one caller writes what others want before it leaves that to the writer thread.
const ROUNDS: usize = 4;

/// The segment being written and the batch being written to it.
pub(crate) struct Writer {
    segment: Segment,
    /// The LSN of the batch's first byte.
    at: Lsn,
    batch: Batch,
    /// How much of the batch is in the file.
    done: usize,
}

/// Who is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A thread that must not block.
    Worker,
    /// One that may.
    Thread,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// All that was wanted is written.
    Done,
    /// Somebody else is writing and will look again, or the writer thread has been told to.
    Deferred,
    /// Some frames are not written for want of space.
    NoSpace,
    /// The disk failed.
    Failed,
}

/// Why a batch is not written to its end.
enum Halt {
    Deferred,
    NoSpace,
    Fatal(Fault),
}

impl Writer {
    pub(crate) fn new(segment: Segment, at: Lsn) -> Writer {
        Writer { segment, at, batch: Batch::default(), done: 0 }
    }

    /// The file that has everything written since its segment began.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    fn is_drained(&self) -> bool {
        self.done == self.batch.bytes.len() && self.batch.rolls.is_empty()
    }

    fn position(&self) -> Lsn {
        self.at + self.done as u64
    }

    /// Writes the batch to its end.
    fn drain(&mut self, shared: &Shared, who: Who) -> Result<(), Halt> {
        if who == Who::Worker && (!self.batch.rolls.is_empty() || self.batch.bytes.len() - self.done > WORKER_WRITE_MAX)
        {
            return Err(Halt::Deferred);
        }
        while let Some(header) = self.batch.rolls.front() {
            let header = header.clone();
            self.write_through(shared, header.first)?;
            self.roll(shared, &header)?;
            self.batch.rolls.pop_front();
        }
        let end = self.at + self.batch.bytes.len() as u64;
        self.write_through(shared, end)
    }

    /// Writes the batch up to the frame boundary `end`. After a halt the next call goes on at the very byte.
    fn write_through(&mut self, shared: &Shared, end: Lsn) -> Result<(), Halt> {
        let upto = usize::try_from(end - self.at).unwrap_or_else(|_| unreachable!("the batch is in memory"));
        if self.done == upto {
            return Ok(());
        }
        let began = Instant::now();
        while self.done < upto {
            let offset = self.segment.offset(self.position());
            match self.segment.file.write_at(&self.batch.bytes[self.done..upto], offset) {
                Ok(0) => {
                    return Err(halt(fault(&self.segment.path, offset, "write", io::ErrorKind::WriteZero.into())));
                }
                Ok(n) => self.done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(halt(fault(&self.segment.path, offset, "write", e))),
            }
        }
        shared.slow.store(began.elapsed() > SLOW_WRITE, Ordering::Relaxed);
        shared.written.advance(end);
        Ok(())
    }

    /// Ends the segment here: syncs it, then makes the next one. Safe to repeat after a halt.
    fn roll(&mut self, shared: &Shared, header: &Header) -> Result<(), Halt> {
        assert_eq!(self.position(), header.first, "a segment ends where the next begins");
        self.segment.file.sync().map_err(|e| Halt::Fatal(fault(&self.segment.path, 0, "sync", e)))?;
        shared.note_synced(header.first);
        self.segment = Segment::create(&*shared.options.disk, &shared.options.dir, header).map_err(halt)?;
        shared.catalog.add(header.first);
        Ok(())
    }
}

impl Shared {
    /// Writes all frames that are wanted and whatever else is in the tail.
    pub(crate) fn write_wanted(&self, who: Who) -> Pass {
        for _ in 0..ROUNDS {
            let writer = match who {
                Who::Worker => self.writer.try_lock(),
                Who::Thread => Some(self.writer.lock()),
            };
            let Some(mut writer) = writer else {
                return Pass::Deferred;
            };
            let pass = self.write_batches(&mut writer, who);
            drop(writer);
            // Pairs with the fence after raising `want`: either they get the lock, or we see their wish.
            fence(Ordering::SeqCst);
            match pass {
                Pass::Done if self.want() > self.written.get() => {}
                Pass::Done | Pass::NoSpace | Pass::Failed => return pass,
                Pass::Deferred => break,
            }
        }
        self.writer_bell.ring();
        Pass::Deferred
    }

    /// Writes what an earlier pass left and then what is in the tail now.
    fn write_batches(&self, writer: &mut Writer, who: Who) -> Pass {
        if self.health() == Health::Failed {
            return Pass::Failed;
        }
        let mut result = writer.drain(self, who);
        if result.is_ok() {
            writer.at = writer.position();
            writer.done = 0;
            writer.batch.clear();
            self.tail.lock().take(&mut writer.batch);
            result = writer.drain(self, who);
        }
        match result {
            Ok(()) => {
                assert!(writer.is_drained(), "a batch is written to its end");
                self.has_space();
                Pass::Done
            }
            Err(Halt::Deferred) => Pass::Deferred,
            Err(Halt::NoSpace) => {
                self.no_space();
                Pass::NoSpace
            }
            Err(Halt::Fatal(fault)) => {
                self.fail(&fault);
                Pass::Failed
            }
        }
    }
}

fn halt(fault: Fault) -> Halt {
    match fault.source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Halt::NoSpace,
        _ => Halt::Fatal(fault),
    }
}
