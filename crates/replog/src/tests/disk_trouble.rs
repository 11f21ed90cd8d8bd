//! A full disk heals by itself; any other failure of a write or fsync is fatal.

use std::time::Duration;

use super::fake_disk::{FakeDisk, Rng, Trouble, Works};
use super::*;
use crate::{AppendError, Health, WriteOutcome};

/// A deadline that no healthy run comes near.
const LONG: Duration = Duration::from_secs(60);

fn options(disk: &FakeDisk) -> LogOptions {
    LogOptions { disk: Arc::new(disk.clone()), ..manual(Path::new("/log")) }
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    frames(log, Lsn(0)).into_iter().map(|(_, payload)| payload).collect()
}

#[test]
fn frames_wait_for_space_and_then_go_on_at_the_very_byte() {
    for space in [0, 1, 27, 28, 40, 45, 80] {
        for piece in [7, usize::MAX] {
            let disk = FakeDisk::new();
            let (log, _) = open(&options(&disk));
            disk.set(Trouble { space, piece, ..Trouble::NONE });
            let one = log.append(1, b"first payload").unwrap();
            let two = log.append(1, b"second payload").unwrap();
            assert_eq!(log.write_to(one.end), WriteOutcome::Pending, "all or nothing is readable");
            assert_eq!((log.health(), log.written()), (Health::NoSpace, Lsn(0)));
            assert_eq!(log.write_to(two.end), WriteOutcome::Pending);
            let three = log.append(1, b"third").unwrap();
            log.step_writer();
            log.step_syncer();
            assert_eq!((log.health(), log.written(), log.synced()), (Health::NoSpace, Lsn(0), Lsn(0)));
            disk.set(Trouble { piece, ..Trouble::NONE });
            log.step_writer();
            assert_eq!((log.health(), log.written()), (Health::Ok, three.end));
            let all = [b"first payload".to_vec(), b"second payload".to_vec(), b"third".to_vec()];
            assert_eq!(payloads(&log), all);
            drop(log);
            let (log, found) = open(&options(&disk));
            assert_eq!((found.end, payloads(&log)), (three.end, all.to_vec()));
        }
    }
}

#[test]
fn a_kill_while_the_disk_is_full_loses_only_what_was_not_written() {
    let disk = FakeDisk::new();
    let (log, _) = open(&options(&disk));
    let one = log.append(1, b"one").unwrap();
    log.step_writer();
    disk.set(Trouble { space: 30, ..Trouble::NONE });
    log.append(1, b"two").unwrap();
    log.step_writer();
    assert!(log.close().is_err());
    drop(log);
    disk.set(Trouble::NONE);
    let (_, found) = open(&options(&disk));
    assert_eq!((found.end, found.damage, found.torn.unwrap().bytes), (one.end, None, 30));
}

#[test]
fn a_new_segment_waits_for_space() {
    for space in [0, 100, 4096] {
        let disk = FakeDisk::new();
        let (log, _) = open(&LogOptions { segment_bytes: 50, ..options(&disk) });
        log.append(1, b"some payload").unwrap();
        sync(&log);
        disk.set(Trouble { space, ..Trouble::NONE });
        log.append(1, b"some more payload").unwrap();
        log.step_writer();
        assert_eq!((log.health(), log.written()), (Health::NoSpace, Lsn(40)));
        disk.set(Trouble::NONE);
        log.step_writer();
        assert_eq!((log.health(), log.written(), payloads(&log).len()), (Health::Ok, log.end(), 2));
        assert_eq!(log.segments().len(), 2);
    }
}

#[test]
fn the_writer_thread_tries_again_by_itself() {
    let disk = FakeDisk::new();
    let options = LogOptions { background: Background::Threads, fsync: FsyncPolicy::Always, ..options(&disk) };
    let (log, _) = open(&options);
    disk.set(Trouble { space: 10, ..Trouble::NONE });
    let end = log.append(1, b"x").unwrap().end;
    assert_eq!(log.write_to(end), WriteOutcome::Pending);
    log.request_sync(end);
    assert_eq!(log.health(), Health::NoSpace);
    disk.set(Trouble::NONE);
    assert!(log.wait_written(end, LONG));
    assert!(log.wait_synced(end, LONG), "the sync asked for meanwhile is not forgotten");
    assert_eq!(log.health(), Health::Ok);
    log.close().unwrap();
}

#[test]
fn a_failed_fsync_is_fatal() {
    let disk = FakeDisk::new();
    let (notes, fatal) = noting();
    let (log, _) = open(&LogOptions { fatal, ..options(&disk) });
    log.append(1, b"x").unwrap();
    disk.set(Trouble { sync: Works::No, ..Trouble::NONE });
    log.step_syncer();
    assert_eq!(*notes.lock(), ["Cannot sync /log/00000000000000000000.seg at byte 0: broken."]);
    disk.set(Trouble::NONE);
    log.step_syncer();
    assert_eq!((log.health(), log.synced(), notes.lock().len()), (Health::Failed, Lsn(0), 1));
    assert_eq!(log.append(1, b"y"), Err(AppendError::Failed));
    let (_, found) = open(&options(&disk));
    assert!(!found.clean);
}

/// After a failed fsync the kernel shows bytes that no disk holds.
#[test]
fn what_a_start_has_found_is_on_the_disk() {
    for seed in 0..40 {
        let disk = FakeDisk::new();
        let (_, fatal) = noting();
        let (log, _) = open(&LogOptions { fatal, ..options(&disk) });
        log.append(1, b"synced").unwrap();
        sync(&log);
        let end = log.append(1, b"shown by the kernel only").unwrap().end;
        log.step_writer();
        disk.set(Trouble { sync: Works::No, ..Trouble::NONE });
        log.step_syncer();
        assert_eq!(log.health(), Health::Failed);
        drop(log);
        disk.set(Trouble::NONE);
        let (log, found) = open(&options(&disk));
        assert_eq!((found.end, payloads(&log).len()), (end, 2));
        drop(log);
        disk.crash(&mut Rng(seed));
        let (log, found) = open(&options(&disk));
        assert_eq!((found.end, found.torn, payloads(&log).len()), (end, None, 2), "seed {seed}");
    }
}

#[test]
fn a_start_after_a_crash_needs_room_for_the_tail_only() {
    let disk = FakeDisk::new();
    let (log, _) = open(&options(&disk));
    log.append(1, &[7; 50_000]).unwrap();
    let end = log.append(1, &[8; 50_000]).unwrap().end;
    log.step_writer();
    disk.set(Trouble { space: 40, ..Trouble::NONE });
    log.append(1, &[9; 50_000]).unwrap();
    log.step_writer();
    drop(log);
    disk.set(Trouble { space: 200, ..Trouble::NONE });
    let (log, found) = open(&options(&disk));
    assert_eq!((found.end, found.torn.map(|torn| torn.bytes), payloads(&log).len()), (end, Some(40), 2));
}

#[test]
fn a_failed_write_is_fatal() {
    let disk = FakeDisk::new();
    let (notes, fatal) = noting();
    let (log, _) = open(&LogOptions { fatal, ..options(&disk) });
    let end = log.append(1, b"x").unwrap().end;
    disk.set(Trouble { write: Works::No, ..Trouble::NONE });
    assert_eq!(log.write_to(end), WriteOutcome::Pending);
    assert_eq!(*notes.lock(), ["Cannot write /log/00000000000000000000.seg at byte 4096: broken."]);
    assert_eq!(log.health(), Health::Failed);
    assert!(log.close().is_ok(), "there is nothing left to close");
}

#[test]
fn a_failed_fsync_at_the_end_of_a_segment_is_fatal() {
    let disk = FakeDisk::new();
    let (notes, fatal) = noting();
    let (log, _) = open(&LogOptions { fatal, ..options(&disk) });
    log.append(1, b"x").unwrap();
    disk.set(Trouble { sync: Works::No, ..Trouble::NONE });
    log.roll().unwrap();
    assert_eq!((notes.lock().len(), log.health()), (1, Health::Failed));
}
