//! The end of the log: decides LSN and time of each new frame, and holds the frames that are not in a file yet.

use std::collections::VecDeque;
use std::mem;

use lineage::{Epoch, Era, Lineage, Lsn, ReplId};

use crate::checksum;
use crate::fault::{AppendError, Flaw};
use crate::frame::{self, Frame, HEADER, Kind, MAX_FRAME};
use crate::segment::{Header, Marks};

/// A buffer that grew larger than this is given back when it has been written.
const KEEP_BUFFER: usize = 4 << 20;

/// What was appended, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The LSN of the (first) frame.
    pub lsn: Lsn,
    /// The end of the log behind it.
    pub end: Lsn,
    /// The time of the (last) frame: the caller's clock, or that of the frame before if that is later.
    pub time_ms: u64,
}

/// Whether frames may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Shut(AppendError),
}

/// The end of the log.
pub(crate) struct Tail {
    gate: Gate,
    end: Lsn,
    time_ms: u64,
    lineage: Lineage,
    /// The segment that the next frame goes to, if it still fits.
    segment_first: Lsn,
    marks: Marks,
    segment_bytes: u64,
    /// The last bytes below `end`, and the segments that begin among them.
    batch: Batch,
}

/// Frames on their way to the file.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// The segments that begin within or at the end of `bytes`, in order.
    pub(crate) rolls: VecDeque<Header>,
}

impl Batch {
    /// Makes a written batch ready for new frames.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BUFFER);
    }
}

impl Tail {
    /// The end of a log whose last segment has `header`, and whose last frame has `time_ms`.
    pub(crate) fn new(header: &Header, end: Lsn, time_ms: u64, lineage: Lineage, segment_bytes: u64) -> Tail {
        let (segment_first, marks) = (header.first, header.marks);
        let batch = Batch::default();
        Tail { gate: Gate::Open, end, time_ms, lineage, segment_first, marks, segment_bytes, batch }
    }

    pub(crate) fn end(&self) -> Lsn {
        self.end
    }

    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Refuses all frames from now on. The first reason stays.
    pub(crate) fn shut(&mut self, why: AppendError) {
        if self.gate == Gate::Open {
            self.gate = Gate::Shut(why);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.gate == Gate::Open
    }

    /// Adds a frame of this node. `payload_crc` is the CRC-32C of the payload; `synced` is not above the end.
    #[inline]
    pub(crate) fn append(
        &mut self,
        kind: Kind,
        now_ms: u64,
        synced: Lsn,
        payload: &[u8],
        payload_crc: u32,
    ) -> Result<Appended, AppendError> {
        let whole = HEADER + payload.len();
        if whole > MAX_FRAME {
            return Err(AppendError::TooLarge { payload: payload.len() });
        }
        self.admit(Marks::Own, whole)?;
        let lsn = self.end;
        self.time_ms = self.time_ms.max(now_ms);
        let head = frame::header(lsn, kind, self.time_ms, synced, payload.len(), payload_crc);
        self.batch.bytes.reserve(whole);
        self.batch.bytes.extend_from_slice(&head);
        self.batch.bytes.extend_from_slice(payload);
        self.end = lsn + whole as u64;
        Ok(Appended { lsn, end: self.end, time_ms: self.time_ms })
    }

    /// Adds the frame that begins an era.
    pub(crate) fn append_epoch(
        &mut self,
        now_ms: u64,
        synced: Lsn,
        epoch: Epoch,
        id: ReplId,
    ) -> Result<Appended, AppendError> {
        self.check_gate()?;
        let mut lineage = self.lineage.clone();
        let lsn = self.end;
        let era = Era { epoch, id, first: lsn };
        lineage.push(era).map_err(|why| AppendError::Frame { lsn, what: Flaw::Lineage(why) })?;
        let payload = frame::epoch_payload(epoch, id);
        let appended = self.append(Kind::Epoch, now_ms, synced, &payload, checksum::crc32c(&payload))?;
        self.lineage = lineage;
        Ok(appended)
    }

    /// Adds a frame made elsewhere, as it is.
    #[inline]
    pub(crate) fn append_frame(&mut self, frame: &Frame<'_>) -> Result<Appended, AppendError> {
        self.check_gate()?;
        let Frame { lsn, time_ms, .. } = *frame;
        if lsn != self.end {
            return Err(AppendError::Position { at: lsn, end: self.end });
        }
        if time_ms < self.time_ms {
            return Err(AppendError::Frame { lsn, what: Flaw::Time });
        }
        let mut grown = frame.era().map(|era| (self.lineage.clone(), era));
        if let Some((lineage, era)) = &mut grown {
            lineage.push(*era).map_err(|why| AppendError::Frame { lsn, what: Flaw::Lineage(why) })?;
        }
        // A segment's header holds the eras and the time before it, so both follow.
        self.admit(Marks::Foreign, frame.bytes().len())?;
        if let Some((lineage, _)) = grown {
            self.lineage = lineage;
        }
        self.time_ms = time_ms;
        self.batch.bytes.extend_from_slice(frame.bytes());
        self.end = frame.end();
        Ok(Appended { lsn, end: self.end, time_ms })
    }

    /// Begins a new segment here, unless the current one is still empty.
    pub(crate) fn roll(&mut self) -> Result<Lsn, AppendError> {
        self.check_gate()?;
        if self.end > self.segment_first {
            self.begin_segment(self.marks);
        }
        Ok(self.segment_first)
    }

    /// Hands over everything that is not in a file yet, in exchange for an empty batch.
    pub(crate) fn take(&mut self, spare: &mut Batch) {
        assert!(spare.bytes.is_empty() && spare.rolls.is_empty(), "frames are never dropped");
        mem::swap(&mut self.batch, spare);
    }

    /// Makes room for a frame of `whole` bytes: begins a new segment if it does not fit or has other marks.
    #[inline]
    fn admit(&mut self, marks: Marks, whole: usize) -> Result<(), AppendError> {
        self.check_gate()?;
        let filled = self.end - self.segment_first;
        if self.marks != marks || (filled > 0 && filled + whole as u64 > self.segment_bytes) {
            self.begin_segment(marks);
        }
        Ok(())
    }

    #[inline]
    fn check_gate(&self) -> Result<(), AppendError> {
        match self.gate {
            Gate::Open => Ok(()),
            Gate::Shut(why) => Err(why),
        }
    }

    #[cold]
    fn begin_segment(&mut self, marks: Marks) {
        (self.segment_first, self.marks) = (self.end, marks);
        let header = Header { first: self.end, marks, time_ms: self.time_ms, lineage: self.lineage.clone() };
        self.batch.rolls.push_back(header);
    }
}
