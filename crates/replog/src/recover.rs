//! Opens what a crash or an orderly stop left, and decides whether wrong bytes are a tail that was never synced, which is
//! cut off, or damage, which is never touched.
//!
//! ```text
//! headers of all segments ---> wrong, or a gap ---------------------------------> OpenError
//! frames from replay_from ---> wrong below something known synced --------------> opened read-only, disk unchanged
//!                         ---> wrong in the last segment, above that -----------> rest to quarantine/, cut off
//! not closed in order, or cut ---> what may not be synced written once more, synced ---> opened
//! ```
//!
//! Known synced is: everything below the last segment; below `replay_from`; below the control file's mark; and below the
//! synced mark of any good frame that lies *after* the wrong bytes. The rest is written once more because after a failed
//! fsync the kernel may show bytes that no disk holds. It is written where it is, the same bytes: a crash in the middle
//! changes nothing, and a full disk has room for it.

use std::path::PathBuf;

use lineage::{Lineage, Lsn};

use crate::catalog::Catalog;
use crate::control::{self, Control, Mark};
use crate::fault::{AppendError, Damage, Fault, Flaw, OpenError};
use crate::frame::{Frame, HEADER, frame_len, u64_at};
use crate::log::Shared;
use crate::options::LogOptions;
use crate::scan::{Scan, Stop};
use crate::segment::{self, DRAFT, Header, Marks, SEGMENT_HEADER, Segment, fault, read_full, write_all};
use crate::tail::Tail;
use crate::writer::Writer;

/// How much is written once more at a time.
const CHUNK: u64 = 1 << 20;
/// At most so many tails are kept that were cut off at one position.
const MAX_TAILS: usize = 1000;
/// Looking for a frame after wrong bytes may checksum so many times the bytes looked at. Only bytes made to look like
/// frames reach this; they then count as one, so that nothing is cut off.
const SEARCH_EFFORT: usize = 8;

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The first LSN that is there.
    pub start: Lsn,
    /// Behind the last good frame. If there is damage, it begins here.
    pub end: Lsn,
    /// The time of the last good frame.
    pub time_ms: u64,
    /// The lineage at `end`.
    pub lineage: Lineage,
    /// Whether the log was closed in order, or is new.
    pub clean: bool,
    /// What was cut off.
    pub torn: Option<TornTail>,
    /// What is wrong below a synced position. The log is then read-only, up to here, and its files are as they were.
    pub damage: Option<Damage>,
}

/// A tail that was never synced and was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub path: PathBuf,
    /// Where in the file the first wrong frame began.
    pub offset: u64,
    /// The LSN of that frame, now the end of the log.
    pub lsn: Lsn,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// What was wrong with the frame.
    pub what: Flaw,
    /// The file that has the bytes now.
    pub saved_to: PathBuf,
}

/// Opens or begins the log.
pub(crate) fn open(options: LogOptions) -> Result<(Shared, Recovered), OpenError> {
    let LogOptions { disk, dir, .. } = &options;
    disk.create_dir(dir).map_err(|e| fault(dir, 0, "make the folder", e))?;
    let firsts = list(&options)?;
    let mark = Control::read(&**disk, dir);
    let Some((&start, &last)) = firsts.first().zip(firsts.last()) else {
        return begin(options, mark);
    };
    if let Some(needed) = options.replay_from
        && needed < start
    {
        return Err(OpenError::Lost { dir: dir.clone(), start: Some(start), needed });
    }
    let (segment, header) = check_headers(&options, &firsts)?;
    let scanned = scan(&options, &firsts, mark, segment)?;
    assert_eq!(scanned.last.first, last, "the last segment is written on");
    let (end, time_ms, lineage) = (scanned.end, scanned.time_ms, scanned.lineage.clone());
    let mut tail = Tail::new(&header, end, time_ms, lineage, options.segment_bytes);
    let (segment, recovered) = repair(&options, start, mark, scanned)?;
    let control = if recovered.damage.is_some() {
        tail.shut(AppendError::ReadOnly);
        None
    } else {
        let running = Mark { state: control::State::Running, synced: end };
        Some(Control::replace(&**disk, dir, running)?)
    };
    let (writer, catalog) = (Writer::new(segment, end), Catalog::new(firsts));
    let shared = Shared::new(options, tail, writer, catalog, control, recovered.damage.clone());
    Ok((shared, recovered))
}

/// Does what the verdict asks for. Returns the segment to write on.
fn repair(
    options: &LogOptions,
    start: Lsn,
    mark: Option<Mark>,
    scanned: Scanned,
) -> Result<(Segment, Recovered), OpenError> {
    let Scanned { last, end, time_ms, lineage, verdict } = scanned;
    let closed = mark == Some(Mark { state: control::State::Closed, synced: end });
    let doubtful = known_synced(options, mark).max(last.first);
    let (clean, torn, damage) = (false, None, None);
    let mut found = Recovered { start, end, time_ms, lineage, clean, torn, damage };
    match verdict {
        Verdict::Damaged(damage) => found.damage = Some(damage),
        Verdict::Whole if closed => found.clean = true,
        Verdict::Whole => rewrite(&last, doubtful, end)?,
        Verdict::Torn(what) => {
            found.torn = Some(save_tail(options, &last, end, what)?);
            cut(&last, end)?;
            rewrite(&last, doubtful, end)?;
        }
    }
    Ok((last, found))
}

/// Begins a log in an empty folder.
fn begin(options: LogOptions, mark: Option<Mark>) -> Result<(Shared, Recovered), OpenError> {
    let origin = options.origin.clone();
    let needed = known_synced(&options, mark);
    if needed > origin.first {
        return Err(OpenError::Lost { dir: options.dir, start: None, needed });
    }
    let (start, time_ms, lineage) = (origin.first, origin.time_ms, origin.lineage);
    let header = Header { first: start, marks: Marks::Own, time_ms, lineage: lineage.clone() };
    let segment = Segment::create(&*options.disk, &options.dir, &header)?;
    let running = Mark { state: control::State::Running, synced: start };
    let control = Some(Control::replace(&*options.disk, &options.dir, running)?);
    let tail = Tail::new(&header, start, time_ms, lineage.clone(), options.segment_bytes);
    let recovered = Recovered { start, end: start, time_ms, lineage, clean: true, torn: None, damage: None };
    let shared = Shared::new(options, tail, Writer::new(segment, start), Catalog::new(vec![start]), control, None);
    Ok((shared, recovered))
}

/// Up to where the log was synced, as far as the caller and the control file know.
fn known_synced(options: &LogOptions, mark: Option<Mark>) -> Lsn {
    let noted = mark.map_or(Lsn::ZERO, |mark| mark.synced);
    options.replay_from.map_or(noted, |from| from.max(noted))
}

/// The first LSNs of the segments, in order. Removes files that were never finished.
fn list(options: &LogOptions) -> Result<Vec<Lsn>, Fault> {
    let LogOptions { disk, dir, .. } = options;
    let names = disk.list(dir).map_err(|e| fault(dir, 0, "list the folder", e))?;
    for name in &names {
        let path = dir.join(name);
        if path.extension().is_some_and(|extension| extension == DRAFT) {
            disk.remove(&path).map_err(|e| fault(&path, 0, "remove", e))?;
        }
    }
    let mut firsts: Vec<Lsn> = names.iter().filter_map(|name| segment::parse_name(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Verifies every header and that each segment ends where the next begins. Returns the last one.
fn check_headers(options: &LogOptions, firsts: &[Lsn]) -> Result<(Segment, Header), OpenError> {
    let mut last: Option<(Segment, Header)> = None;
    for &first in firsts {
        let segment = Segment::open(&*options.disk, &options.dir, first)?;
        let header = segment.header()?;
        if let Some((before, _)) = last {
            let ends = before.end()?;
            if ends != first {
                let offset = SEGMENT_HEADER as u64 + (ends - before.first);
                return Err(OpenError::Gap { path: before.path, offset, ends, next: first });
            }
        }
        last = Some((segment, header));
    }
    last.ok_or_else(|| unreachable!("a log without segments is begun, not checked"))
}

/// What the frames say.
struct Scanned {
    last: Segment,
    end: Lsn,
    time_ms: u64,
    lineage: Lineage,
    verdict: Verdict,
}

enum Verdict {
    Whole,
    Torn(Flaw),
    Damaged(Damage),
}

/// Verifies the frames from `replay_from`, or from the beginning of the last segment if that is earlier.
fn scan(options: &LogOptions, firsts: &[Lsn], mark: Option<Mark>, last: Segment) -> Result<Scanned, OpenError> {
    let known = known_synced(options, mark);
    let from = options.replay_from.map_or(last.first, |from| from.min(last.first));
    let skipped = firsts.partition_point(|&first| first <= from) - 1;
    for (&first, &next) in firsts[skipped..].iter().zip(&firsts[skipped + 1..]) {
        let segment = Segment::open(&*options.disk, &options.dir, first)?;
        let header = segment.header()?;
        let mut pass = SegmentPass::new(segment, &header, from.max(first));
        if let Some(damage) = pass.run(next)? {
            return Ok(pass.finish(last, Verdict::Damaged(damage)));
        }
    }
    let (file_end, header) = (last.end()?, last.header()?);
    let mut pass = SegmentPass::new(last.clone(), &header, last.first);
    let verdict = match pass.run(file_end)? {
        None if known > file_end => Verdict::Damaged(pass.scan.damage(Flaw::Lost(known))),
        None => Verdict::Whole,
        Some(damage) => {
            let was_synced = !damage.what.can_be_torn()
                || known > damage.lsn
                || (header.marks == Marks::Own && mark_after(&last, damage.lsn, file_end)?);
            if was_synced { Verdict::Damaged(damage) } else { Verdict::Torn(damage.what) }
        }
    };
    Ok(pass.finish(last, verdict))
}

/// One segment read from a position on, with the lineage as it grows.
struct SegmentPass {
    scan: Scan,
    lineage: Lineage,
}

impl SegmentPass {
    fn new(segment: Segment, header: &Header, from: Lsn) -> SegmentPass {
        SegmentPass { scan: Scan::new(segment, from, header.time_ms), lineage: header.lineage.clone() }
    }

    /// Reads on to `limit`, or to the first wrong frame.
    fn run(&mut self, limit: Lsn) -> Result<Option<Damage>, Fault> {
        loop {
            let before = self.scan.position();
            match self.scan.next(limit) {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => {
                    if let Some(era) = frame.era()
                        && self.lineage.era_at(era.first) != Some(&era)
                        && let Err(why) = self.lineage.push(era)
                    {
                        let mut damage = self.scan.damage(Flaw::Lineage(why));
                        damage.offset -= self.scan.position() - before;
                        damage.lsn = before;
                        return Ok(Some(damage));
                    }
                }
                Err(Stop::Disk(fault)) => return Err(fault),
                Err(Stop::Damage(damage)) => return Ok(Some(damage)),
            }
        }
    }

    fn finish(self, last: Segment, verdict: Verdict) -> Scanned {
        let end = match &verdict {
            Verdict::Damaged(damage) => damage.lsn,
            Verdict::Whole | Verdict::Torn(_) => self.scan.position(),
        };
        Scanned { last, end, time_ms: self.scan.time_ms(), lineage: self.lineage, verdict }
    }
}

/// Whether a good frame after the wrong one at `wrong` says that `wrong` had been synced.
fn mark_after(segment: &Segment, wrong: Lsn, end: Lsn) -> Result<bool, Fault> {
    let rest = read_range(segment, wrong, end)?;
    let mut effort = rest.len().saturating_mul(SEARCH_EFFORT);
    for at in 1..rest.len().saturating_sub(HEADER - 1) {
        let (bytes, lsn) = (&rest[at..], wrong + at as u64);
        let mark = Lsn(u64_at(bytes, 20));
        let plausible = mark > wrong && mark <= lsn && frame_len(bytes).is_ok_and(|len| len <= bytes.len());
        if !plausible {
            continue;
        }
        if Frame::decode(bytes, lsn).is_ok() {
            return Ok(true);
        }
        let Some(left) = effort.checked_sub(frame_len(bytes).unwrap_or(HEADER)) else {
            return Ok(true);
        };
        effort = left;
    }
    Ok(false)
}

/// The bytes of the segment from `from` to `end`: at most a segment, or one frame larger than that.
fn read_range(segment: &Segment, from: Lsn, end: Lsn) -> Result<Vec<u8>, Fault> {
    let len = usize::try_from(end - from).unwrap_or_else(|_| unreachable!("64-bit only"));
    let mut bytes = vec![0; len];
    let got = read_full(&*segment.file, &segment.path, &mut bytes, segment.offset(from))?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Puts what is about to be cut off into the quarantine, durably.
fn save_tail(options: &LogOptions, segment: &Segment, from: Lsn, what: Flaw) -> Result<TornTail, Fault> {
    let LogOptions { disk, quarantine, .. } = options;
    let bytes = read_range(segment, from, segment.end()?)?;
    disk.create_dir(quarantine).map_err(|e| fault(quarantine, 0, "make the folder", e))?;
    let taken = disk.list(quarantine).map_err(|e| fault(quarantine, 0, "list the folder", e))?;
    let names = (0..MAX_TAILS).map(|n| format!("{from:020}-{n}.tail"));
    let Some(name) = names.into_iter().find(|name| !taken.contains(name)) else {
        let full = std::io::ErrorKind::QuotaExceeded.into();
        return Err(fault(quarantine, 0, "keep one more tail of this position in", full));
    };
    let saved_to = quarantine.join(name);
    let file = disk.create(&saved_to).map_err(|e| fault(&saved_to, 0, "create", e))?;
    write_all(&*file, &saved_to, &bytes, 0)?;
    file.sync().map_err(|e| fault(&saved_to, 0, "sync", e))?;
    disk.sync_dir(quarantine).map_err(|e| fault(quarantine, 0, "sync the folder", e))?;
    if let Some(parent) = quarantine.parent() {
        disk.sync_dir(parent).map_err(|e| fault(parent, 0, "sync the folder", e))?;
    }
    let (path, offset) = (segment.path.clone(), segment.offset(from));
    Ok(TornTail { path, offset, lsn: from, bytes: bytes.len() as u64, what, saved_to })
}

fn cut(segment: &Segment, end: Lsn) -> Result<(), Fault> {
    let offset = segment.offset(end);
    segment.file.cut(offset).map_err(|e| fault(&segment.path, offset, "cut", e))
}

/// Makes the frames from `from` to `end`, which is the file's, durable, whatever has become of them.
fn rewrite(segment: &Segment, from: Lsn, end: Lsn) -> Result<(), Fault> {
    let mut at = from;
    while at < end {
        let upto = end.min(at + CHUNK);
        let bytes = read_range(segment, at, upto)?;
        assert_eq!(bytes.len() as u64, upto - at, "the frames were read a moment ago");
        write_all(&*segment.file, &segment.path, &bytes, segment.offset(at))?;
        at = upto;
    }
    segment.file.sync().map_err(|e| fault(&segment.path, segment.offset(from), "sync", e))
}
