//! What is trimmed and what stays.

use super::*;
use crate::{HEADER, ReadError};

/// Six segments of one frame each. Returns where each begins.
fn six_segments(dir: &Path) -> (LogOptions, Log, Vec<Lsn>) {
    let options = LogOptions { segment_bytes: 1, ..manual(dir) };
    let (log, _) = open(&options);
    let firsts = (0..6_u8).map(|n| log.append(1, &[n; 10]).unwrap().lsn).collect();
    sync(&log);
    (options, log, firsts)
}

#[test]
fn segments_nobody_needs_are_removed_but_never_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let (options, log, firsts) = six_segments(dir.path());
    assert_eq!(log.trim().unwrap(), 0, "nobody has said yet what is needed");
    log.retain_from(firsts[2] + 5);
    assert_eq!((log.trim().unwrap(), log.start()), (2, firsts[2]));
    log.retain_from(Lsn::MAX);
    assert_eq!((log.trim().unwrap(), log.start()), (3, firsts[5]));
    assert!(log.segments().iter().all(|segment| segment.path.exists()));
    assert_eq!(frames(&log, firsts[5]).len(), 1);
    log.append(1, b"more").unwrap();
    log.close().unwrap();
    let (log, found) = open(&options);
    assert_eq!((found.start, log.segments().len()), (firsts[5], 2));
}

#[test]
fn a_lease_keeps_what_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let (_options, log, firsts) = six_segments(dir.path());
    let mut pin = log.pin("backup", firsts[1] + 3).unwrap();
    log.retain_from(Lsn::MAX);
    assert_eq!((log.trim().unwrap(), log.start()), (1, firsts[1]));
    assert!(log.pin("late", firsts[0]).is_none());
    pin.advance(firsts[3]);
    assert_eq!((pin.lsn(), log.pins()), (firsts[3], vec![("backup".to_owned(), firsts[3])]));
    assert_eq!(log.trim().unwrap(), 2);
    drop(pin);
    assert_eq!((log.trim().unwrap(), log.pins()), (2, vec![]));
}

#[test]
fn a_reader_without_a_lease_is_told_that_it_is_late() {
    let dir = tempfile::tempdir().unwrap();
    let (_options, log, firsts) = six_segments(dir.path());
    let mut reader = log.reader(firsts[0]).unwrap();
    assert!(reader.next_frame().unwrap().is_some());
    log.retain_from(firsts[4]);
    log.trim().unwrap();
    match reader.next_frame() {
        Err(ReadError::Trimmed { lsn, start }) => assert_eq!((lsn, start), (firsts[1], firsts[4])),
        other => panic!("{other:?}"),
    }
    assert!(matches!(log.reader(firsts[3]), Err(ReadError::Trimmed { .. })));
    assert_eq!(frames(&log, firsts[4]).len(), 2);
}

#[test]
fn segments_say_which_file_holds_what() {
    let dir = tempfile::tempdir().unwrap();
    let (_options, log, firsts) = six_segments(dir.path());
    log.append(1, b"not written yet").unwrap();
    let segments = log.segments();
    assert_eq!(segments.iter().map(|segment| segment.first).collect::<Vec<_>>(), firsts);
    assert!(segments.windows(2).all(|pair| pair[0].end == pair[1].first));
    assert_eq!(segments[5].end, log.written());
    let size = std::fs::metadata(&segments[0].path).unwrap().len();
    assert_eq!(size, (crate::SEGMENT_HEADER + HEADER + 10) as u64);
}
