//! Frames of a primary, applied on a replica: into the log as they are, and to the hot records as a commit would.
//!
//! ```text
//! raw frames ─► each: lock the stripes of its keys ─► make its changes ─► append it to the log ─► stamp, unlock
//!                          │ a record is missing: unlock, read the store, again
//! ```
//!
//! A frame is applied whole or not at all, and readers see all of it or nothing: it is a run like one of a client, but
//! that its changes are given and its frame is there already. A frame that does not fit what is here means that the two
//! histories are not the same.

use std::fmt;
use std::time::{Duration, Instant};

use keyspace::{Millis, Op, Ops, Stop};
use lineage::Lsn;
use replog::{AppendError, Frame, Kind};
use smallvec::SmallVec;

use crate::fault::{Fault, FaultKind};
use crate::instance::Instance;
use crate::role::Role;
use crate::run::{ATTEMPTS, LockKey, Place, Request, Scope};
use crate::shard::Shard;
use crate::slot::Pins;
use crate::store::Reach;
use crate::txn::{Fetched, Need, Scratch};

/// How long frames wait for room in memory before the caller is told to come again.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
/// How long one of those waits is, before it is looked at whether the frames are still wanted.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// How many frames are read before the first of them is applied.
const AHEAD: usize = 16;

/// What applying uses again and again.
#[derive(Debug)]
pub(crate) struct Applier {
    scratch: Scratch,
}

impl Default for Applier {
    fn default() -> Self {
        Self { scratch: Scratch::new(1) }
    }
}

/// What was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The end of the log: everything below has been received and applied.
    pub end: Lsn,
    /// How many frames were applied by this call.
    pub frames: u64,
}

/// Why frames were not applied. Those before the one at fault were: the end of the log tells.
#[derive(Clone, Debug)]
pub enum ApplyFault {
    /// The instance is no replica, or the shard is not its database's any more.
    NotFollowing,
    /// The log has another generation than the frames are meant for.
    Generation {
        /// What it is.
        present: u64,
    },
    /// The frames do not begin where the log ends.
    Gap {
        /// Where they begin.
        at: Lsn,
        /// Where the log ends.
        end: Lsn,
    },
    /// The bytes are no frames, or no frames of this place.
    Damaged(Fault),
    /// A frame does not fit what is here: the histories have parted.
    Diverged(Fault),
    /// Nothing is lost: the same frames may be applied when there is room in memory or on the disk.
    NoRoom(Fault),
    /// The disk failed.
    Failed(Fault),
}

impl fmt::Display for ApplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFollowing => f.write_str("The database does not follow a primary any more."),
            Self::Generation { present } => write!(f, "The log has become one of generation {present}."),
            Self::Gap { at, end } => write!(f, "The frames begin at LSN {at}, but the log ends at LSN {end}."),
            Self::Damaged(fault) | Self::Diverged(fault) | Self::NoRoom(fault) | Self::Failed(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for ApplyFault {}

impl Shard {
    /// Applies whole frames of a primary that begin at `at`, the end of the log, if the log is still of `generation`.
    /// Writes them to the log's file; does not wait for a sync. Waits for the disk, and for room in memory.
    ///
    /// # Errors
    /// See [`ApplyFault`].
    pub fn apply(&self, instance: &Instance, raw: &[u8], at: Lsn, generation: u64) -> Result<Applied, ApplyFault> {
        let mut applier = self.applying.lock();
        let request = Request {
            place: Place::Desk,
            scope: Scope::Walk,
            database: self.database,
            clock: (instance.options.clock)(),
        };
        let pins = Pins::of(instance, &request);
        let is_present = pins.shard(self.database).is_some_and(|present| present.id == self.id);
        if instance.role() != Role::Replica || !is_present {
            return Err(ApplyFault::NotFollowing);
        }
        let mut run = Run { shard: self, instance, pins: &pins, generation, clock: request.clock };
        let outcome = run.frames(raw, at, &mut applier.scratch);
        // Also of what came before a fault.
        let _ = self.log.write_to_blocking(self.log.end());
        // No command that waits for a key runs on a replica: who had waited was told so when it became one.
        applier.scratch.take_woken();
        outcome.map(|frames| Applied { end: self.log.end(), frames })
    }
}

/// One call's frames on their way.
struct Run<'a> {
    shard: &'a Shard,
    instance: &'a Instance,
    pins: &'a Pins,
    generation: u64,
    clock: Millis,
}

impl Run<'_> {
    fn frames(&mut self, raw: &[u8], at: Lsn, scratch: &mut Scratch) -> Result<u64, ApplyFault> {
        let end = self.shard.log.end();
        if at != end {
            return Err(ApplyFault::Gap { at, end });
        }
        let (mut rest, mut frames) = (raw, 0);
        while !rest.is_empty() {
            for frame in self.look_ahead(rest, at + (raw.len() - rest.len()) as u64)? {
                self.admit()?;
                match frame.kind {
                    Kind::Epoch => {
                        // Nothing but the log knows of it.
                        self.shard.log.append_frame(&frame).map_err(|error| self.refused(&error))?;
                        self.shard.note_time(Millis(frame.time_ms));
                    }
                    Kind::Ops => self.frame(&frame, scratch)?,
                }
                (rest, frames) = (&rest[frame.bytes().len()..], frames + 1);
            }
        }
        Ok(frames)
    }

    /// Reads the next frames, at least one, and has at hand what they change. What is none ends them: those before it
    /// are applied.
    fn look_ahead<'f>(&self, raw: &'f [u8], at: Lsn) -> Result<SmallVec<[Frame<'f>; AHEAD]>, ApplyFault> {
        let mut frames = SmallVec::<[Frame<'f>; AHEAD]>::new();
        let (mut rest, mut lsn) = (raw, at);
        while !rest.is_empty() && frames.len() < AHEAD {
            match Frame::decode(rest, lsn) {
                Ok(frame) => {
                    rest = &rest[frame.bytes().len()..];
                    lsn = frame.end();
                    frames.push(frame);
                }
                Err(_) if !frames.is_empty() => break,
                Err(flaw) => return Err(self.damaged(&format!("the bytes at LSN {lsn} are no frame: {flaw}"))),
            }
        }
        let first_op = |frame: &Frame<'f>| Ops::new(frame.payload).ok()?.next()?.ok();
        let with_ops = frames.iter().filter(|frame| frame.kind == Kind::Ops);
        self.instance.foresee(self.shard.database, with_ops.filter_map(|frame| first_op(frame)?.key()));
        Ok(frames)
    }

    /// Waits until there is room for a frame.
    fn admit(&self) -> Result<(), ApplyFault> {
        let mut began = None;
        loop {
            let present = self.shard.generation();
            if present != self.generation {
                return Err(ApplyFault::Generation { present });
            }
            if let Some(fault) = self.shard.trouble() {
                return Err(match fault.kind {
                    FaultKind::NoSpace => ApplyFault::NoRoom(fault),
                    FaultKind::Corrupt => ApplyFault::Diverged(fault),
                    FaultKind::Format | FaultKind::Io | FaultKind::ReadOnly => ApplyFault::Failed(fault),
                });
            }
            let log = &self.shard.log;
            if log.is_full() {
                let _ = log.write_to_blocking(log.end());
            }
            // Without a thread that settles, whoever drives the instance does, after this call.
            let budget = &self.instance.budget;
            if budget.has_room() || !self.instance.settles_by_itself() || budget.wait_room(ROOM_WAIT) {
                return Ok(());
            }
            self.instance.after_commit();
            if began.get_or_insert_with(Instant::now).elapsed() > ROOM_PATIENCE {
                let what = "The memory for changes is full, and settling does not get on";
                return Err(ApplyFault::NoRoom(Fault::new(FaultKind::NoSpace, what, &self.shard.dir)));
            }
        }
    }

    fn frame(&self, frame: &Frame<'_>, scratch: &mut Scratch) -> Result<(), ApplyFault> {
        let misfit = |what: &str| ApplyFault::Diverged(self.misfit(frame.lsn, what));
        let mut keys: SmallVec<[LockKey<'_>; 4]> = SmallVec::new();
        let mut clears = false;
        for op in Ops::new(frame.payload).map_err(|error| misfit(&error.to_string()))? {
            let op = op.map_err(|error| misfit(&error.to_string()))?;
            clears |= op == Op::Clear;
            keys.extend(op.key().map(|key| LockKey { database: self.shard.database, key }));
        }
        let scope = if clears { Scope::Shard } else { Scope::Keys(&keys) };
        let request = Request { place: Place::Desk, scope, database: self.shard.database, clock: self.clock };
        let mut fetched = Fetched::default();
        for attempt in 0.. {
            let reach = if attempt < ATTEMPTS { Reach::Memory } else { Reach::Disk };
            let Some(need) = self.attempt(&request, frame, scratch, &fetched, reach)? else { break };
            self.instance.fetch(*need, &mut fetched, self.clock).map_err(fault)?;
        }
        Ok(())
    }

    /// Tries to apply a frame; answers what was missing.
    fn attempt(
        &self,
        request: &Request<'_>,
        frame: &Frame<'_>,
        scratch: &mut Scratch,
        fetched: &Fetched,
        reach: Reach,
    ) -> Result<Option<Box<Need>>, ApplyFault> {
        let _settling = crate::run::hold_settle(self.pins, request);
        let mut txn = self.instance.begin(request, self.pins, scratch, Some(fetched), reach);
        assert!(txn.lock(request).is_some(), "the desk waits for its locks");
        txn.begin();
        match txn.make_changes(frame.payload) {
            Ok(()) => {
                txn.commit_frame(frame).map_err(|error| self.refused(&error))?;
                self.instance.after_commit();
                Ok(None)
            }
            Err(stop) => {
                let (need, found) = (txn.need.take(), txn.fault.take());
                txn.undo();
                match (stop, need, found) {
                    (Stop::WouldBlock, Some(need), _) => Ok(Some(need)),
                    (Stop::Fault, _, Some(found)) => Err(fault(*found)),
                    (Stop::WouldBlock | Stop::Fault | Stop::Undeclared, _, _) => {
                        Err(ApplyFault::Diverged(self.misfit(frame.lsn, "its operations do not belong together")))
                    }
                }
            }
        }
    }

    fn misfit(&self, lsn: Lsn, what: &str) -> Fault {
        self.shard.corrupt(&format!("The frame at LSN {lsn} does not fit what is here: {what}"))
    }

    fn damaged(&self, what: &str) -> ApplyFault {
        ApplyFault::Damaged(self.shard.corrupt(what))
    }

    /// The log does not take a frame.
    fn refused(&self, error: &AppendError) -> ApplyFault {
        match error {
            AppendError::Position { at, end } => ApplyFault::Gap { at: *at, end: *end },
            AppendError::Frame { .. } | AppendError::TooLarge { .. } => self.damaged(&error.to_string()),
            AppendError::ReadOnly | AppendError::Closed => ApplyFault::NotFollowing,
            AppendError::Failed => ApplyFault::Failed(Fault::new(FaultKind::Io, "The log failed", &self.shard.dir)),
        }
    }
}

fn fault(fault: Fault) -> ApplyFault {
    match fault.kind {
        FaultKind::Corrupt => ApplyFault::Diverged(fault),
        FaultKind::NoSpace => ApplyFault::NoRoom(fault),
        FaultKind::Format | FaultKind::Io | FaultKind::ReadOnly => ApplyFault::Failed(fault),
    }
}
