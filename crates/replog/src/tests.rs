//! The log as a whole, on real files and on a fake disk that fails, fills up and crashes.

mod append;
mod concurrent;
mod crash;
mod disk_trouble;
mod fake_disk;
mod retention;
mod tail_rules;

use std::path::Path;
use std::sync::Arc;

use lineage::{Epoch, Lsn, ReplId};
use parking_lot::Mutex;

use crate::{AppendError, Background, Frame, FsyncPolicy, Log, LogOptions, Recovered};

/// A log without threads that only syncs when told to.
fn manual(dir: &Path) -> LogOptions {
    LogOptions { background: Background::Manual, fsync: FsyncPolicy::No, ..LogOptions::new(dir) }
}

fn open(options: &LogOptions) -> (Log, Recovered) {
    Log::open(options.clone()).unwrap()
}

/// Writes and syncs everything.
fn sync(log: &Log) {
    log.step_syncer();
    assert_eq!((log.written(), log.synced()), (log.end(), log.end()));
}

/// Takes in what another node has made; answers the new end.
fn receive(log: &Log, mut raw: &[u8], mut at: Lsn) -> Result<Lsn, AppendError> {
    while !raw.is_empty() {
        let frame = Frame::decode(raw, at).unwrap();
        at = log.append_frame(&frame)?.end;
        raw = &raw[frame.bytes().len()..];
    }
    Ok(at)
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

/// A fatal hook that notes instead of aborting.
fn noting() -> (Arc<Mutex<Vec<String>>>, crate::FatalHook) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let theirs = notes.clone();
    (notes, Arc::new(move |fault| theirs.lock().push(fault.to_string())))
}

fn id(byte: u8) -> ReplId {
    ReplId([byte; 20])
}

const FIRST_EPOCH: Epoch = Epoch(1);
