//! Appending, writing, reading, rolling, closing: what a healthy log does.

use super::*;
use crate::{AppendError, Flaw, HEADER, Kind, MAX_FRAME, Origin, ReadError, WriteOutcome};
use lineage::{Era, Lineage};
use proptest::prelude::*;
use std::task::{Poll, Waker};
use std::time::Duration;

#[test]
fn what_is_appended_is_read_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = manual(dir.path());
    let (log, found) = open(&options);
    assert_eq!((found.start, found.end, found.clean, found.torn, found.damage), (Lsn(0), Lsn(0), true, None, None));
    log.append_epoch(1_000, FIRST_EPOCH, id(7)).unwrap();
    let one = log.append(1_001, b"one").unwrap();
    let two = log.append(900, b"").unwrap();
    assert_eq!(one.lsn, Lsn((HEADER + 28) as u64));
    assert_eq!(two.lsn, one.end);
    assert_eq!(two.time_ms, 1_001, "time does not go back");
    assert_eq!(frames(&log, Lsn(0)).len(), 0, "nothing is written yet");
    assert_eq!(log.write_to(log.end()), WriteOutcome::Written);
    assert_eq!(log.synced(), Lsn(0));
    let expected = frames(&log, Lsn(0));
    assert_eq!(expected[1..], [(one.lsn, b"one".to_vec()), (two.lsn, Vec::new())]);
    log.close().unwrap();
    assert_eq!(log.append(2_000, b"late"), Err(AppendError::Closed));

    let (log, found) = open(&options);
    assert_eq!((found.end, found.clean, found.time_ms), (two.end, true, 1_001));
    let mut lineage = Lineage::new();
    lineage.push(Era { epoch: FIRST_EPOCH, id: id(7), first: Lsn(0) }).unwrap();
    assert_eq!((found.lineage, log.lineage()), (lineage.clone(), lineage));
    assert_eq!(frames(&log, Lsn(0)), expected);
    assert_eq!(log.append(1, b"").unwrap().time_ms, 1_001);
}

#[test]
fn a_dropped_log_was_not_closed() {
    let dir = tempfile::tempdir().unwrap();
    let options = manual(dir.path());
    let (log, _) = open(&options);
    let written = log.append(1, b"written").unwrap();
    assert_eq!(log.write_to(written.end), WriteOutcome::Written);
    log.append(1, b"only appended").unwrap();
    drop(log);
    let (log, found) = open(&options);
    assert_eq!((found.end, found.clean, found.torn), (written.end, false, None));
    assert_eq!(log.synced(), written.end, "what was recovered is durable");
}

#[test]
fn a_frame_carries_what_was_synced_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&manual(dir.path()));
    let one = log.append(1, b"one").unwrap();
    sync(&log);
    log.append(1, b"two").unwrap();
    sync(&log);
    let mut reader = log.reader(one.end).unwrap();
    let frame = reader.next_frame().unwrap().unwrap();
    assert_eq!((frame.kind, frame.synced, frame.payload), (Kind::Ops, one.end, b"two".as_slice()));
}

#[test]
fn a_new_log_may_begin_where_a_snapshot_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut lineage = Lineage::new();
    lineage.push(Era { epoch: FIRST_EPOCH, id: id(1), first: Lsn(0) }).unwrap();
    let origin = Origin { first: Lsn(5_000), time_ms: 77, lineage: lineage.clone() };
    let options = LogOptions { origin, ..manual(dir.path()) };
    let (log, found) = open(&options);
    assert_eq!((found.start, found.end, found.time_ms, found.lineage), (Lsn(5_000), Lsn(5_000), 77, lineage));
    assert_eq!(log.append(1, b"x").unwrap().time_ms, 77);
    sync(&log);
    log.close().unwrap();
    let (log, _) = open(&options);
    assert_eq!(frames(&log, Lsn(5_000)), [(Lsn(5_000), b"x".to_vec())]);
    assert!(matches!(log.reader(Lsn(4_999)), Err(ReadError::Trimmed { .. })));
    assert!(matches!(log.reader(Lsn(9_999)), Err(ReadError::Beyond { .. })));
}

#[test]
fn a_replica_holds_the_same_bytes() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (primary, _) = open(&LogOptions { segment_bytes: 200, ..manual(theirs.path()) });
    let options = LogOptions { segment_bytes: 300, ..manual(ours.path()) };
    let (replica, _) = open(&options);
    primary.append_epoch(1, FIRST_EPOCH, id(1)).unwrap();
    for n in 0..20_u8 {
        primary.append(u64::from(n) + 10, &vec![n; usize::from(n) * 5]).unwrap();
        sync(&primary);
    }
    let mut reader = primary.reader(Lsn(0)).unwrap();
    while let Some(raw) = reader.next_raw(150).unwrap() {
        assert_eq!(receive(&replica, raw.bytes, raw.lsn).unwrap(), raw.end());
    }
    sync(&replica);
    assert_eq!(frames(&replica, Lsn(0)), frames(&primary, Lsn(0)));
    assert_eq!((replica.lineage(), replica.end(), replica.time_ms()), (primary.lineage(), primary.end(), 29));
    replica.append_epoch(40, Epoch(2), id(2)).unwrap();
    drop(replica);
    let (replica, found) = open(&options);
    assert_eq!((replica.end(), found.lineage.eras().len(), found.damage), (primary.end(), 1, None));
}

#[test]
fn wrong_frames_are_refused_and_change_nothing() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (primary, _) = open(&manual(theirs.path()));
    primary.append(10, b"one").unwrap();
    primary.append(11, b"two").unwrap();
    sync(&primary);
    let raw = primary.reader(Lsn(0)).unwrap().next_raw(1_000).unwrap().unwrap().bytes.to_vec();
    let (replica, _) = open(&manual(ours.path()));
    let elsewhere = AppendError::Position { at: Lsn(31), end: Lsn(0) };
    assert_eq!(receive(&replica, &raw[31..], Lsn(31)), Err(elsewhere));
    assert_eq!(replica.end(), Lsn(0));
    assert_eq!(receive(&replica, &raw, Lsn(0)), Ok(Lsn(62)));
    assert_eq!(replica.append_epoch(12, Epoch(2), id(1)).unwrap().lsn, Lsn(62));
    let same_id = replica.append_epoch(12, Epoch(3), id(1)).unwrap_err();
    assert!(matches!(same_id, AppendError::Frame { what: Flaw::Lineage(_), .. }), "{same_id}");
}

#[test]
fn a_time_before_that_of_the_last_frame_is_refused() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (primary, _) = open(&manual(theirs.path()));
    primary.append(10, b"one").unwrap();
    sync(&primary);
    let raw = primary.reader(Lsn(0)).unwrap().next_raw(1_000).unwrap().unwrap().bytes.to_vec();
    let origin = Origin { time_ms: 11, ..Origin::default() };
    let (replica, _) = open(&LogOptions { origin, ..manual(ours.path()) });
    assert_eq!(receive(&replica, &raw, Lsn(0)), Err(AppendError::Frame { lsn: Lsn(0), what: Flaw::Time }));
    assert_eq!(replica.end(), Lsn(0));
}

#[test]
fn a_frame_may_be_larger_than_a_segment_but_not_than_the_maximum() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 100, ..manual(dir.path()) };
    let (log, _) = open(&options);
    let large = vec![3; 700_000];
    log.append(1, b"small").unwrap();
    log.append(1, &large).unwrap();
    let after = log.append(1, b"small").unwrap();
    sync(&log);
    assert_eq!(log.segments().iter().map(|segment| segment.first).collect::<Vec<_>>(), [Lsn(0), Lsn(33), after.lsn]);
    assert_eq!(frames(&log, Lsn(33))[0].1, large);
    let raw = log.reader(Lsn(33)).unwrap().next_raw(10).unwrap().unwrap().bytes.len();
    assert_eq!(raw, HEADER + large.len());
    let too_large = vec![0; MAX_FRAME - HEADER + 1];
    assert!(matches!(log.append(1, &too_large), Err(AppendError::TooLarge { .. })));
    assert_eq!(log.end(), after.end);
}

#[test]
fn a_forced_roll_completes_the_segment() {
    let dir = tempfile::tempdir().unwrap();
    let options = manual(dir.path());
    let (log, _) = open(&options);
    assert_eq!(log.roll(), Ok(Lsn(0)), "an empty segment need not be ended");
    let one = log.append(5, b"one").unwrap();
    assert_eq!(log.roll(), Ok(one.end));
    assert_eq!((log.synced(), log.roll()), (one.end, Ok(one.end)));
    let [complete, last] = &log.segments()[..] else { panic!("two segments") };
    assert_eq!((complete.first, complete.end, last.first, last.end), (Lsn(0), one.end, one.end, one.end));
    drop(log);
    let (log, found) = open(&options);
    assert_eq!((found.end, found.time_ms), (one.end, 5), "the empty segment knows the time");
    assert_eq!(frames(&log, Lsn(0)).len(), 1);
}

#[test]
fn who_waits_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&manual(dir.path()));
    let end = log.append(1, b"x").unwrap().end;
    let reader = log.reader(Lsn(0)).unwrap();
    assert_eq!(log.poll_written(end, Waker::noop()), Poll::Pending);
    assert_eq!(reader.poll_more(Waker::noop()), Poll::Pending);
    assert!(!log.wait_written(end, Duration::ZERO));
    assert!(!reader.wait_more(Duration::ZERO));
    log.step_writer();
    assert_eq!(log.poll_written(end, Waker::noop()), Poll::Ready(()));
    assert_eq!(reader.poll_more(Waker::noop()), Poll::Ready(()));
    assert_eq!(log.poll_synced(end, Waker::noop()), Poll::Pending);
    log.step_syncer();
    assert!(log.wait_synced(end, Duration::ZERO));
}

#[test]
fn a_full_buffer_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&LogOptions { buffer_bytes: 100, ..manual(dir.path()) });
    log.append(1, &[0; 72]).unwrap();
    assert!(!log.is_full());
    log.append(1, b"").unwrap();
    assert!(log.is_full());
    sync(&log);
    assert!(!log.is_full());
}

#[test]
fn a_worker_leaves_large_batches_and_new_segments_to_the_writer_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&LogOptions { segment_bytes: 3 << 20, ..manual(dir.path()) });
    log.append(1, &vec![0; 2 << 20]).unwrap();
    assert_eq!(log.write_to(log.end()), WriteOutcome::Pending);
    log.step_writer();
    assert_eq!(log.written(), log.end());
    log.append(1, &vec![0; 1 << 20]).unwrap();
    assert_eq!(log.write_to(log.end()), WriteOutcome::Pending);
    assert_eq!(log.write_to_blocking(log.end()), WriteOutcome::Written);
    assert_eq!(log.segments().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_of_any_size_survive_any_segment_size(
        sizes in prop::collection::vec(0..400_usize, 1..60),
        segment_bytes in 1..1_000_u64,
        write_every in 1..10_usize,
        large in 0..600_000_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { segment_bytes, ..manual(dir.path()) };
        let (log, _) = open(&options);
        let mut expected = Vec::new();
        for (n, &size) in sizes.iter().chain([&large]).enumerate() {
            let payload: Vec<u8> = (0..size).map(|i| (i * 7 + n) as u8).collect();
            expected.push((log.append(n as u64, &payload).unwrap().lsn, payload));
            if n % write_every == 0 {
                log.step_writer();
            }
        }
        sync(&log);
        prop_assert_eq!(&frames(&log, Lsn(0)), &expected);
        for segment in log.segments() {
            prop_assert!(segment.end - segment.first <= segment_bytes.max((HEADER + large.max(400)) as u64));
        }
        drop(log);
        let middle = expected[expected.len() / 2].0;
        let (log, found) = open(&LogOptions { replay_from: Some(middle), ..options });
        prop_assert_eq!(found.damage, None);
        prop_assert_eq!(&frames(&log, Lsn(0)), &expected);
        prop_assert_eq!(log.verify_from(middle).unwrap(), (expected.len() - expected.len() / 2) as u64);
        let mut raw = log.reader(Lsn(0)).unwrap();
        let mut bytes = 0;
        while let Some(run) = raw.next_raw(500).unwrap() {
            prop_assert_eq!(run.lsn.0, bytes);
            bytes += run.bytes.len() as u64;
        }
        prop_assert_eq!(bytes, log.end().0);
    }
}
