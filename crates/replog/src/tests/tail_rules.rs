//! What is a tail and what is damage: every cut and every flipped byte of a small log, and wrong files.

use std::path::PathBuf;

use super::fake_disk::FakeDisk;
use super::*;
use crate::{AppendError, Damage, Flaw, HEADER, OpenError, ReadError, SEGMENT_HEADER};

/// Six frames in one segment; the log was synced after the second and the fourth, and everything was written.
struct Small {
    disk: FakeDisk,
    ends: Vec<Lsn>,
}

const SEGMENT: &str = "/log/00000000000000000000.seg";
const CONTROL: &str = "/log/control";

fn options(disk: &FakeDisk) -> LogOptions {
    LogOptions { disk: Arc::new(disk.clone()), ..manual(Path::new("/log")) }
}

fn payload(n: usize) -> Vec<u8> {
    vec![n as u8; n * 3]
}

impl Small {
    fn build() -> Small {
        let disk = FakeDisk::new();
        let (log, _) = open(&options(&disk));
        let mut ends = Vec::new();
        for n in 0..6 {
            ends.push(log.append(100 + n as u64, &payload(n)).unwrap().end);
            if n == 1 || n == 3 {
                sync(&log);
            }
        }
        log.step_writer();
        assert_eq!(log.synced(), ends[3]);
        drop(log);
        Small { disk, ends }
    }

    /// The same log on a disk where the segment's bytes are changed, with or without its control file.
    fn changed(&self, control: Control, change: impl FnOnce(&mut Vec<u8>)) -> FakeDisk {
        let disk = self.disk.copy();
        let mut bytes = disk.files()[Path::new(SEGMENT)].clone();
        change(&mut bytes);
        disk.put(Path::new(SEGMENT), &bytes);
        match control {
            Control::Kept => {}
            Control::Gone => disk.put(Path::new(CONTROL), b""),
        }
        disk
    }

    fn start(&self, frame: usize) -> Lsn {
        frame.checked_sub(1).map_or(Lsn(0), |before| self.ends[before])
    }

    /// The frame that the byte of the file belongs to.
    fn frame_at(&self, offset: usize) -> usize {
        let lsn = Lsn((offset - SEGMENT_HEADER) as u64);
        self.ends.iter().position(|&end| lsn < end).unwrap()
    }

    /// Opens and checks that exactly the first `count` frames are there, that the rest is in the quarantine, and that
    /// the log goes on from there and opens again.
    fn expect_prefix(&self, disk: &FakeDisk, count: usize, what: &str) {
        let cut_off =
            disk.files()[Path::new(SEGMENT)].get(SEGMENT_HEADER + self.start(count).0 as usize..).unwrap().to_vec();
        let (log, found) = open(&options(disk));
        assert_eq!((found.damage, found.end, found.clean), (None, self.start(count), false), "{what}");
        self.expect_frames(&log, count);
        assert_eq!(found.torn.is_some(), !cut_off.is_empty(), "{what}");
        if let Some(torn) = found.torn {
            let offset = SEGMENT_HEADER as u64 + self.start(count).0;
            assert_eq!((torn.path, torn.offset, torn.bytes), (PathBuf::from(SEGMENT), offset, cut_off.len() as u64));
            assert!(torn.saved_to.starts_with("/log/quarantine"));
            assert_eq!(disk.files()[&torn.saved_to], cut_off);
        }
        log.append(1, b"more").unwrap();
        sync(&log);
        log.close().unwrap();
        let (log, found) = open(&options(disk));
        assert_eq!((found.damage, found.clean, frames(&log, Lsn(0)).len()), (None, true, count + 1), "{what}");
    }

    /// Opens and checks that the first `count` frames are there, that damage is reported behind them and nothing read
    /// beyond it, and that nothing on disk changes, so that the next start finds the same.
    fn expect_damage(&self, disk: &FakeDisk, count: usize, what: &str) -> Damage {
        let before = disk.files();
        let (log, found) = open(&options(disk));
        let damage = found.damage.unwrap_or_else(|| panic!("{what}: no damage reported"));
        let (lsn, offset) = (self.start(count), SEGMENT_HEADER as u64 + self.start(count).0);
        assert_eq!((&damage.path, damage.offset, damage.lsn), (&PathBuf::from(SEGMENT), offset, lsn), "{what}");
        assert_eq!((found.end, log.end(), log.damage()), (lsn, lsn, Some(&damage)), "{what}");
        self.expect_frames(&log, count);
        assert_eq!(log.append(1, b"x"), Err(AppendError::ReadOnly));
        assert!(log.close().is_ok());
        drop(log);
        assert_eq!(disk.files(), before, "{what}: damage is left as it is");
        damage
    }

    fn expect_frames(&self, log: &Log, count: usize) {
        let mut reader = log.reader(Lsn(0)).unwrap();
        for n in 0..count {
            let frame = reader.next_frame().unwrap().unwrap();
            assert_eq!((frame.lsn, frame.payload), (self.start(n), payload(n).as_slice()));
        }
        for _ in 0..2 {
            match (reader.next_frame(), log.damage()) {
                (Ok(None), None) => {}
                (Err(ReadError::Damage(met)), Some(known)) => assert_eq!(met, *known),
                (other, _) => panic!("after the good frames: {other:?}"),
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Kept,
    Gone,
}

#[test]
fn every_cut_is_a_tail_unless_the_control_file_knows_better() {
    let small = Small::build();
    let size = small.disk.files()[Path::new(SEGMENT)].len();
    let synced = small.ends[3];
    for cut in SEGMENT_HEADER..=size {
        let whole = small.ends.iter().filter(|end| SEGMENT_HEADER + end.0 as usize <= cut).count();
        let what = format!("cut at {cut}");
        small.expect_prefix(&small.changed(Control::Gone, |bytes| bytes.truncate(cut)), whole, &what);
        let disk = small.changed(Control::Kept, |bytes| bytes.truncate(cut));
        if SEGMENT_HEADER as u64 + synced.0 <= cut as u64 {
            small.expect_prefix(&disk, whole, &what);
        } else {
            let damage = small.expect_damage(&disk, whole, &what);
            let at_boundary = cut as u64 == damage.offset;
            assert_eq!(damage.what == Flaw::Lost(synced), at_boundary, "{what}: {damage}");
        }
    }
}

#[test]
fn every_flipped_byte_is_damage_if_it_was_synced_and_else_a_tail() {
    let small = Small::build();
    let size = small.disk.files()[Path::new(SEGMENT)].len();
    for offset in SEGMENT_HEADER..size {
        let frame = small.frame_at(offset);
        for (flip, control) in [(0x01, Control::Gone), (0x80, Control::Gone), (0xff, Control::Kept)] {
            let disk = small.changed(control, |bytes| bytes[offset] ^= flip);
            let what = format!("byte {offset} ^ {flip:#x}, frame {frame}, control file {control:?}");
            // Frames 0..4 were synced, and frames 4 and 5 say so.
            if frame < 4 {
                small.expect_damage(&disk, frame, &what);
            } else {
                small.expect_prefix(&disk, frame, &what);
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_the_header_or_cut_in_it_is_refused() {
    let small = Small::build();
    for offset in (0..SEGMENT_HEADER).step_by(7).chain([8, 9, 16, 4095]) {
        for disk in [
            small.changed(Control::Gone, |bytes| bytes[offset] ^= 0x10),
            small.changed(Control::Gone, |bytes| bytes.truncate(offset)),
        ] {
            let error = Log::open(options(&disk)).err().unwrap();
            assert!(matches!(error, OpenError::Header { .. } | OpenError::Version { .. }), "{error}");
            assert!(error.to_string().contains(SEGMENT), "{error}");
        }
    }
}

#[test]
fn a_closed_log_has_no_tail() {
    let small = Small::build();
    let (log, _) = open(&options(&small.disk));
    log.close().unwrap();
    let size = small.disk.files()[Path::new(SEGMENT)].len();
    for offset in SEGMENT_HEADER..size {
        let disk = small.changed(Control::Kept, |bytes| bytes[offset] ^= 0xff);
        small.expect_damage(&disk, small.frame_at(offset), "flipped");
    }
    let disk = small.changed(Control::Kept, |bytes| bytes.truncate(size - 1));
    small.expect_damage(&disk, 5, "cut");
    let disk = small.changed(Control::Kept, |bytes| bytes.push(0));
    small.expect_prefix(&disk, 6, "something was added");
}

#[test]
fn what_the_caller_replayed_from_was_synced() {
    let small = Small::build();
    let cut = |disk: &FakeDisk| LogOptions { replay_from: Some(small.ends[4]), ..options(disk) };
    let last = SEGMENT_HEADER + small.ends[4].0 as usize - 1;
    let disk = small.changed(Control::Gone, |bytes| bytes.truncate(last));
    let (_, found) = open(&cut(&disk));
    assert_eq!(found.damage.unwrap().lsn, small.ends[3]);
    let disk = small.changed(Control::Gone, |bytes| bytes.truncate(last + 1));
    assert_eq!(open(&cut(&disk)).1.damage, None);
}

#[test]
fn what_another_node_had_synced_proves_nothing_here() {
    let small = Small::build();
    let (log, _) = open(&options(&small.disk));
    let raw = log.reader(Lsn(0)).unwrap().next_raw(10_000).unwrap().unwrap().bytes.to_vec();
    let disk = FakeDisk::new();
    let (replica, _) = open(&options(&disk));
    receive(&replica, &raw, Lsn(0)).unwrap();
    replica.step_writer();
    drop(replica);
    let wrong = SEGMENT_HEADER + small.start(1).0 as usize;
    change(&disk, Path::new(SEGMENT), |bytes| bytes[wrong] ^= 1);
    small.expect_prefix(&disk, 1, "the replica never synced");
}

#[test]
fn a_value_that_looks_like_frames_proves_nothing() {
    let disk = FakeDisk::new();
    let (log, _) = open(&options(&disk));
    let (one, _) = (log.append(1, b"one").unwrap(), sync(&log));
    log.append(1, b"two").unwrap();
    sync(&log);
    let raw = log.reader(Lsn(0)).unwrap().next_raw(1_000).unwrap().unwrap().bytes.to_vec();
    let holds_frames = log.append(1, &raw.repeat(3)).unwrap();
    log.step_writer();
    drop(log);
    disk.put(Path::new(CONTROL), b"");
    let mut bytes = disk.files()[Path::new(SEGMENT)].clone();
    bytes[SEGMENT_HEADER + holds_frames.lsn.0 as usize] ^= 1;
    disk.put(Path::new(SEGMENT), &bytes);
    let (_, found) = open(&options(&disk));
    assert_eq!((found.end, found.damage), (holds_frames.lsn, None));
    assert!(found.end > one.end);
}

/// Three segments of two frames each, closed.
fn three_segments() -> (FakeDisk, Vec<PathBuf>, Vec<Lsn>) {
    let disk = FakeDisk::new();
    let small = LogOptions { segment_bytes: 2 * (HEADER as u64 + 10), ..options(&disk) };
    let (log, _) = open(&small);
    let lsns = (0..6_u8).map(|n| log.append(1, &[n; 10]).unwrap().lsn).collect();
    sync(&log);
    let paths = log.segments().into_iter().map(|segment| segment.path).collect();
    log.close().unwrap();
    (disk, paths, lsns)
}

fn change(disk: &FakeDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.files()[path].clone();
    change(&mut bytes);
    disk.put(path, &bytes);
}

#[test]
fn a_missing_or_cut_segment_is_a_gap() {
    let (disk, paths, lsns) = three_segments();
    assert_eq!(paths.len(), 3);
    let error = |disk: &FakeDisk| Log::open(options(disk)).err().unwrap();
    let missing = disk.copy();
    crate::Disk::remove(&missing, &paths[1]).unwrap();
    match error(&missing) {
        OpenError::Gap { path, ends, next, .. } => assert_eq!((path, ends, next), (paths[0].clone(), lsns[2], lsns[4])),
        other => panic!("{other}"),
    }
    let cut = disk.copy();
    change(&cut, &paths[1], |bytes| bytes.truncate(bytes.len() - 1));
    assert!(error(&cut).to_string().contains(paths[1].to_str().unwrap()));
    let long = disk.copy();
    change(&long, &paths[0], |bytes| bytes.push(0));
    assert!(matches!(error(&long), OpenError::Gap { .. }));
}

#[test]
fn damage_in_an_older_segment_is_met_where_it_is_read() {
    let (disk, paths, lsns) = three_segments();
    change(&disk, &paths[1], |bytes| bytes[SEGMENT_HEADER + HEADER] ^= 1);
    let (log, found) = open(&options(&disk));
    assert_eq!(found.damage, None, "nobody asked for that segment");
    assert_eq!(log.verify_from(lsns[3]).unwrap(), 3);
    let Err(ReadError::Damage(met)) = log.verify_from(lsns[0]) else { panic!("damage is not skipped") };
    assert_eq!((&met.path, met.offset, met.lsn, met.what), (&paths[1], 4096, lsns[2], Flaw::Checksum));
    let text = format!(
        "The log is damaged in {} at byte 4096 (LSN {}): the checksum of the frame does not match.",
        paths[1].display(),
        lsns[2]
    );
    assert_eq!(met.to_string(), text);
    drop(log);
    let (log, found) = open(&LogOptions { replay_from: Some(lsns[1]), ..options(&disk) });
    assert_eq!((found.damage, found.end), (Some(met), lsns[2]));
    assert!(log.reader(lsns[3]).is_err());
    assert_eq!(frames_until_error(&log), 2);
    assert_eq!(open(&LogOptions { replay_from: Some(lsns[3]), ..options(&disk) }).1.damage, None);
}

fn frames_until_error(log: &Log) -> usize {
    let mut reader = log.reader(log.start()).unwrap();
    let mut count = 0;
    while let Some(_frame) = reader.next_frame().unwrap_or(None) {
        count += 1;
    }
    assert!(reader.next_frame().is_err());
    count
}

#[test]
fn a_log_that_does_not_go_back_far_enough_is_refused() {
    let (disk, paths, lsns) = three_segments();
    crate::Disk::remove(&disk, &paths[0]).unwrap();
    let needing = |lsn| LogOptions { replay_from: Some(lsn), ..options(&disk) };
    assert!(matches!(Log::open(needing(lsns[1])), Err(OpenError::Lost { start: Some(_), .. })));
    assert_eq!(open(&needing(lsns[2])).0.start(), lsns[2]);
    crate::Disk::remove(&disk, &paths[1]).unwrap();
    crate::Disk::remove(&disk, &paths[2]).unwrap();
    let error = Log::open(options(&disk)).err().unwrap();
    assert!(matches!(error, OpenError::Lost { start: None, .. }), "the control file remembers: {error}");
}

#[test]
fn unfinished_files_are_removed_and_strange_ones_left_alone() {
    let small = Small::build();
    for name in ["00000000000000000999.tmp", "control.tmp", "notes.txt"] {
        small.disk.put(&Path::new("/log").join(name), b"half");
    }
    small.expect_prefix(&small.disk, 6, "with other files");
    let names = crate::Disk::list(&small.disk, Path::new("/log")).unwrap();
    assert_eq!(names, ["00000000000000000000.seg", "control", "notes.txt"]);
}

#[test]
fn tails_cut_at_one_position_are_all_kept() {
    let small = Small::build();
    let cut = |n: usize| {
        let disk = small.disk.clone();
        change(&disk, Path::new(SEGMENT), |bytes| {
            bytes.truncate(SEGMENT_HEADER + small.ends[4].0 as usize);
            bytes.extend(vec![1; n]);
        });
        open(&options(&disk)).1.torn.unwrap().saved_to
    };
    let (one, two) = (cut(5), cut(6));
    assert_ne!(one, two);
    assert_eq!((small.disk.files()[&one].len(), small.disk.files()[&two].len()), (5, 6));
}
