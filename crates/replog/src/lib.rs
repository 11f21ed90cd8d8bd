//! The replication log of a shard, which is also its write-ahead log: frames in segment files.
//!
//! ```text
//!   append            write_to                    request_sync
//! ----------> tail ------------> segment files ----------------> durable
//!             end                written  |                      synced
//!                                         +--> readers: replicas, recovery, snapshots
//! ```
//!
//! Three positions describe a log; each is at most the one before: `end`, `written` (in a file: readers see it, a killed
//! process does not lose it), `synced` (a power failure does not lose it). A frame is appended whole, read whole, and
//! lost whole, and only above `synced`.
//!
//! Bytes: `docs/formats/log.md`. Crashes and damage: `recover.rs`, [`Recovered`]. One process opens a log at a time;
//! whoever owns the folder above sees to that. This crate does not know what a payload means, nor peers; it reads no
//! clock for what it writes, and logs nothing: what it finds it returns.

mod catalog;
mod checksum;
mod control;
mod disk;
mod fault;
mod frame;
mod log;
mod options;
mod reader;
mod recover;
mod scan;
mod segment;
mod tail;
mod threads;
mod watermark;
mod writer;

pub use catalog::Pin;
pub use disk::{Disk, DiskFile, OsDisk};
pub use fault::{AppendError, Damage, Fault, Flaw, OpenError, ReadError};
pub use frame::{EPOCH_FRAME, Frame, HEADER, Kind, MAX_FRAME, frame_len, whole_frames};
pub use log::{Health, Log, SegmentInfo, WriteOutcome};
pub use options::{BUFFER_BYTES, Background, FatalHook, FsyncPolicy, LogOptions, Origin, SEGMENT_BYTES};
pub use reader::{RawFrames, Reader};
pub use recover::{Recovered, TornTail};
pub use segment::SEGMENT_HEADER;
pub use tail::Appended;

#[cfg(test)]
mod tests;
