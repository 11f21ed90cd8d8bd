//! Reads the frames of one segment in order, with a bounded buffer, verifying each.

use std::ops::Range;

use lineage::Lsn;

use crate::fault::{Damage, Fault, Flaw};
use crate::frame::{Frame, HEADER, Kind, frame_len};
use crate::segment::{Segment, read_full};

/// How much is read at a time. The buffer is larger only while it holds a frame that is.
const CHUNK: usize = 256 << 10;

/// A position in a segment and the bytes read ahead from there.
pub(crate) struct Scan {
    segment: Segment,
    position: Lsn,
    /// Of the last frame.
    time_ms: u64,
    buffer: Vec<u8>,
    /// Which bytes of `buffer` are the file's from `position` on.
    ahead: Range<usize>,
}

/// Why the scan stopped. It stays where it is.
pub(crate) enum Stop {
    Disk(Fault),
    Damage(Damage),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Disk(fault)
    }
}

/// A verified frame that lies at `whole` in the buffer.
struct Step {
    lsn: Lsn,
    kind: Kind,
    time_ms: u64,
    synced: Lsn,
    whole: Range<usize>,
}

impl Scan {
    /// Begins at the frame boundary `position` of `segment`; no frame from there on may be older than `time_ms`.
    pub(crate) fn new(segment: Segment, position: Lsn, time_ms: u64) -> Scan {
        Scan { segment, position, time_ms, buffer: Vec::new(), ahead: 0..0 }
    }

    /// The position of the next frame.
    pub(crate) fn position(&self) -> Lsn {
        self.position
    }

    /// The segment being read.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The time of the last frame read.
    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The damage of a frame at the scan's position.
    pub(crate) fn damage(&self, what: Flaw) -> Damage {
        let path = self.segment.path.clone();
        Damage { path, offset: self.segment.offset(self.position), lsn: self.position, what }
    }

    /// The next frame; `None` at `limit`, a frame boundary beyond which nothing may be read yet.
    pub(crate) fn next(&mut self, limit: Lsn) -> Result<Option<Frame<'_>>, Stop> {
        let Some(Step { lsn, kind, time_ms, synced, whole }) = self.step(limit)? else {
            return Ok(None);
        };
        let whole = &self.buffer[whole];
        Ok(Some(Frame { lsn, kind, time_ms, synced, payload: &whole[HEADER..], whole }))
    }

    /// The bytes of the next frames and where they begin: one frame at least, more while they fit into `max` bytes and
    /// are in the buffer anyway.
    pub(crate) fn next_run(&mut self, limit: Lsn, max: usize) -> Result<Option<(Lsn, &[u8])>, Stop> {
        self.fill(max.min(CHUNK), limit)?;
        let Some(first) = self.step(limit)? else {
            return Ok(None);
        };
        let from = first.whole.start;
        while let Ok(len) = frame_len(&self.buffer[self.ahead.clone()])
            && len <= self.ahead.len()
            && self.ahead.start + len - from <= max
        {
            if self.step(limit).is_err() {
                break; // The next call meets it again and reports it.
            }
        }
        Ok(Some((first.lsn, &self.buffer[from..self.ahead.start])))
    }

    /// Verifies the next frame and steps over it. Moves nothing in the buffer if that holds the whole frame.
    fn step(&mut self, limit: Lsn) -> Result<Option<Step>, Stop> {
        if self.position >= limit {
            return Ok(None);
        }
        self.fill(HEADER, limit)?;
        let whole = frame_len(&self.buffer[self.ahead.clone()]).map_err(|flaw| Stop::Damage(self.damage(flaw)))?;
        self.fill(whole, limit)?;
        let lsn = self.position;
        let frame = Frame::decode(&self.buffer[self.ahead.clone()], lsn);
        let Frame { kind, time_ms, synced, .. } = frame.map_err(|flaw| Stop::Damage(self.damage(flaw)))?;
        if time_ms < self.time_ms {
            return Err(Stop::Damage(self.damage(Flaw::Time)));
        }
        let whole = self.ahead.start..self.ahead.start + whole;
        self.time_ms = time_ms;
        self.position += whole.len() as u64;
        self.ahead.start = whole.end;
        Ok(Some(Step { lsn, kind, time_ms, synced, whole }))
    }

    /// Reads ahead until the buffer holds `need` bytes, or all there are below `limit`.
    fn fill(&mut self, need: usize, limit: Lsn) -> Result<(), Fault> {
        if self.ahead.len() >= need {
            return Ok(());
        }
        self.buffer.copy_within(self.ahead.clone(), 0);
        self.ahead = 0..self.ahead.len();
        let size = need.max(CHUNK);
        self.buffer.truncate(size);
        self.buffer.shrink_to(size);
        self.buffer.resize(size, 0);
        let from = self.position + self.ahead.end as u64;
        let room = size - self.ahead.end;
        let room = usize::try_from(limit.since(from)).map_or(room, |below| below.min(room));
        let target = &mut self.buffer[self.ahead.end..self.ahead.end + room];
        self.ahead.end += read_full(&*self.segment.file, &self.segment.path, target, self.segment.offset(from))?;
        Ok(())
    }
}
