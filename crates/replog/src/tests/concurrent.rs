//! Several threads at one log: nothing is lost, nothing waits for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::fake_disk::FakeDisk;
use super::*;
use crate::{Frame, HEADER, WriteOutcome};

/// A deadline that no healthy run comes near.
const LONG: Duration = Duration::from_secs(60);
const THREADS: usize = 4;
const EACH: usize = 3_000;

fn threaded(dir: &Path, fsync: FsyncPolicy) -> LogOptions {
    LogOptions { segment_bytes: 100_000, fsync, ..LogOptions::new(dir) }
}

/// Appends as thread `who`, writing every few frames, as a worker does at the end of its turn.
fn work(log: &Log, who: usize) {
    for n in 0..EACH {
        let payload = [&(who as u64).to_le_bytes()[..], &(n as u64).to_le_bytes(), &vec![7; n % 90]].concat();
        let end = log.append(n as u64, &payload).unwrap().end;
        if n % 8 == 0 && log.write_to(end) == WriteOutcome::Pending {
            assert!(log.wait_written(end, LONG), "a wish to write was lost");
        }
    }
    let end = log.end();
    if log.write_to(end) == WriteOutcome::Pending {
        assert!(log.wait_written(end, LONG), "a wish to write was lost");
    }
}

/// Checks that each thread's frames are all there, once and in order.
struct Seen([usize; THREADS]);

impl Seen {
    fn frame(&mut self, payload: &[u8]) {
        let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap()) as usize;
        let (who, n) = (number(0), number(8));
        assert_eq!(self.0[who], n);
        assert_eq!(payload.len(), 16 + n % 90);
        self.0[who] += 1;
    }

    fn is_all(&self) -> bool {
        self.0 == [EACH; THREADS]
    }
}

#[test]
fn a_reader_follows_four_writers() {
    let dir = tempfile::tempdir().unwrap();
    let options = threaded(dir.path(), FsyncPolicy::EverySec);
    let (log, _) = open(&options);
    thread::scope(|scope| {
        for who in 0..THREADS {
            let log = &log;
            scope.spawn(move || work(log, who));
        }
        scope.spawn(|| {
            let mut reader = log.reader(Lsn(0)).unwrap();
            let (mut seen, mut at) = (Seen([0; THREADS]), Lsn(0));
            while !seen.is_all() {
                match reader.next_frame().unwrap() {
                    Some(frame) => {
                        assert_eq!(frame.lsn, at);
                        at = frame.end();
                        seen.frame(frame.payload);
                    }
                    None => assert!(reader.wait_more(LONG), "the reader was not woken"),
                }
            }
        });
        scope.spawn(|| {
            let mut reader = log.reader(Lsn(0)).unwrap();
            let mut seen = Seen([0; THREADS]);
            while !seen.is_all() {
                let Some(raw) = reader.next_raw(5_000).unwrap() else {
                    assert!(reader.wait_more(LONG), "the reader was not woken");
                    continue;
                };
                let (mut rest, mut lsn) = (raw.bytes, raw.lsn);
                while !rest.is_empty() {
                    let frame = Frame::decode(rest, lsn).unwrap();
                    seen.frame(frame.payload);
                    lsn = frame.end();
                    rest = &rest[HEADER + frame.payload.len()..];
                }
            }
        });
    });
    assert_eq!((log.written(), log.verify_from(Lsn(0)).unwrap()), (log.end(), (THREADS * EACH) as u64));
    log.close().unwrap();
    let (log, found) = open(&options);
    assert!(found.clean && log.segments().len() > 5);
}

/// A log without threads on a fake disk.
fn on_fake_disk() -> (FakeDisk, Arc<Log>) {
    let disk = FakeDisk::new();
    let options = LogOptions { disk: Arc::new(disk.clone()), ..manual(Path::new("/log")) };
    (disk, Arc::new(open(&options).0))
}

#[test]
fn who_holds_the_file_writes_for_those_who_came_meanwhile() {
    let (disk, log) = on_fake_disk();
    let end = log.append(1, b"one").unwrap().end;
    let theirs = log.clone();
    disk.during_next(move || {
        let end = theirs.append(1, b"two").unwrap().end;
        assert_eq!(theirs.write_to(end), WriteOutcome::Pending);
    });
    assert_eq!(log.write_to(end), WriteOutcome::Written);
    assert_eq!(log.written(), log.end());
    assert!(log.end() > end);
}

#[test]
fn a_worker_does_not_write_while_an_fsync_is_in_flight() {
    let (disk, log) = on_fake_disk();
    log.append(1, b"one").unwrap();
    log.step_writer();
    let theirs = log.clone();
    disk.during_next(move || {
        let end = theirs.append(1, b"two").unwrap().end;
        assert_eq!(theirs.write_to(end), WriteOutcome::Pending);
        assert!(theirs.written() < end);
        theirs.step_writer();
        assert_eq!(theirs.written(), end, "the writer thread may");
    });
    log.step_syncer();
    assert!(log.synced() < log.written(), "what came during the fsync is not known synced");
    let end = log.append(1, b"three").unwrap().end;
    assert_eq!(log.write_to(end), WriteOutcome::Written);
}

#[test]
fn nobody_waits_for_a_sync_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&threaded(dir.path(), FsyncPolicy::Always));
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for who in 0..THREADS {
            let (log, done) = (&log, &done);
            scope.spawn(move || {
                for n in 0..50 {
                    let end = log.append(1, &[who as u8; 100]).unwrap().end;
                    let _ = log.write_to(end);
                    log.request_sync(end);
                    assert!(log.wait_synced(end, LONG), "sync {n} of thread {who} was lost");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::Relaxed), THREADS * 50);
    assert_eq!((log.written(), log.synced()), (log.end(), log.end()));
}

#[test]
fn everysec_syncs_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&threaded(dir.path(), FsyncPolicy::EverySec));
    let end = log.append(1, b"x").unwrap().end;
    assert!(log.wait_synced(end, LONG));
}
