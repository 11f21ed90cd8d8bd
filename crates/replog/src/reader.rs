//! Reads a log's frames from the files, in order, up to where the log is written: [`Reader`].
//!
//! A reader has its own place and its own bounded buffer and holds up nobody. It never skips anything: at damage it stays,
//! and every further call reports it again. It holds no lease, so a segment may be trimmed under a slow one; take a
//! [`crate::Pin`] where that must not happen.

use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use lineage::Lsn;

use crate::fault::{Fault, ReadError};
use crate::frame::Frame;
use crate::log::Shared;
use crate::scan::{Scan, Stop};
use crate::segment::Segment;

/// A place in a log that moves over its frames.
pub struct Reader {
    shared: Arc<Shared>,
    position: Lsn,
    /// The segment being read.
    scan: Option<Scan>,
    /// A frame boundary of that segment up to which may be read without asking again.
    limit: Lsn,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from: Lsn) -> Result<Reader, ReadError> {
        let (start, end) = (shared.catalog.start(), shared.written.get());
        if let Some(damage) = &shared.damage
            && from > damage.lsn
        {
            return Err(ReadError::Damage(damage.clone()));
        }
        if from < start {
            return Err(ReadError::Trimmed { lsn: from, start });
        }
        if from > end {
            return Err(ReadError::Beyond { lsn: from, end });
        }
        Ok(Reader { shared, position: from, scan: None, limit: from })
    }

    /// The LSN of the next frame.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// The next frame; `None` at the written end of the log.
    ///
    /// # Errors
    /// `Disk`, `Damage`, `Trimmed`. The reader stays where it is and may be asked again.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        if !self.advance()? {
            return Ok(None);
        }
        let Some(scan) = &mut self.scan else {
            return Ok(None);
        };
        let frame = scan.next(self.limit).map_err(read_error)?;
        if let Some(frame) = &frame {
            self.position = frame.end();
        }
        Ok(frame)
    }

    /// The bytes of the next frames and where they begin, for a replica: at least one frame, and more while they fit into
    /// `max` bytes and are at hand. `None` at the written end of the log.
    ///
    /// # Errors
    /// As [`Reader::next_frame`].
    pub fn next_raw(&mut self, max: usize) -> Result<Option<RawFrames<'_>>, ReadError> {
        if !self.advance()? {
            return Ok(None);
        }
        let Some(scan) = &mut self.scan else {
            return Ok(None);
        };
        let Some((lsn, bytes)) = scan.next_run(self.limit, max).map_err(read_error)? else {
            return Ok(None);
        };
        self.position = lsn + bytes.len() as u64;
        Ok(Some(RawFrames { lsn, bytes }))
    }

    /// Ready when there is something to read; else wakes `waker` then, or before.
    pub fn poll_more(&self, waker: &Waker) -> Poll<()> {
        self.shared.written.poll(self.position + 1, waker)
    }

    /// Blocks until there is something to read and says whether there was in time.
    #[must_use]
    pub fn wait_more(&self, timeout: Duration) -> bool {
        self.shared.written.wait(self.position + 1, timeout)
    }

    /// Looks how far may be read, in which segment, and says whether there is anything.
    fn advance(&mut self) -> Result<bool, ReadError> {
        if self.position < self.limit {
            return Ok(true);
        }
        if let Some(damage) = &self.shared.damage
            && self.position == damage.lsn
        {
            return Err(ReadError::Damage(damage.clone()));
        }
        // The mark first: every segment that holds something below it is in the catalog by now.
        let written = self.shared.written.get();
        if self.position >= written {
            return Ok(false);
        }
        let Some((first, next)) = self.shared.catalog.locate(self.position) else {
            return Err(self.trimmed());
        };
        let limit = next.map_or(written, |next| next.min(written));
        if self.scan.as_ref().is_none_or(|scan| scan.segment().first != first) {
            let (disk, dir) = (&*self.shared.options.disk, &self.shared.options.dir);
            let segment = Segment::open(disk, dir, first).map_err(|fault| self.gone(fault))?;
            let time_ms = self.scan.as_ref().map_or(0, Scan::time_ms);
            self.scan = Some(Scan::new(segment, self.position, time_ms));
        }
        self.limit = limit;
        Ok(true)
    }

    /// A file that is not there was trimmed after we asked for it.
    fn gone(&self, fault: Fault) -> ReadError {
        let trimmed = fault.source.kind() == io::ErrorKind::NotFound && self.position < self.shared.catalog.start();
        if trimmed { self.trimmed() } else { ReadError::Disk(fault) }
    }

    fn trimmed(&self) -> ReadError {
        ReadError::Trimmed { lsn: self.position, start: self.shared.catalog.start() }
    }
}

/// Whole frames as they are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrames<'a> {
    /// The LSN of the first frame.
    pub lsn: Lsn,
    /// The frames.
    pub bytes: &'a [u8],
}

impl RawFrames<'_> {
    /// The position behind the last frame.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.lsn + self.bytes.len() as u64
    }
}

fn read_error(stop: Stop) -> ReadError {
    match stop {
        Stop::Disk(fault) => ReadError::Disk(fault),
        Stop::Damage(damage) => ReadError::Damage(damage),
    }
}
