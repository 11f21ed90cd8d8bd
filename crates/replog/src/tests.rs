//! The log as a whole, on real files and on a fake disk that fails, fills up and crashes.

mod append;

use std::path::Path;

use lineage::{Epoch, Lsn, ReplId};

use crate::{Background, FsyncPolicy, Log, LogOptions, Recovered};

/// A log without threads that only syncs when told to.
fn manual(dir: &Path) -> LogOptions {
    LogOptions {
        background: Background::Manual,
        fsync: FsyncPolicy::No,
        ..LogOptions::new(dir)
    }
}

fn open(options: &LogOptions) -> (Log, Recovered) {
    Log::open(options.clone()).unwrap()
}

/// Writes and syncs everything.
fn sync(log: &Log) {
    log.step_syncer();
    assert_eq!((log.written(), log.synced()), (log.end(), log.end()));
}

/// The positions and payloads of all frames from `from` on.
fn frames(log: &Log, from: Lsn) -> Vec<(Lsn, Vec<u8>)> {
    let mut reader = log.reader(from).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push((frame.lsn, frame.payload.to_vec()));
    }
    frames
}

fn id(byte: u8) -> ReplId {
    ReplId([byte; 20])
}

const FIRST_EPOCH: Epoch = Epoch(1);
