//! Records, rows and log operations of the key space, and the view a command has of it.
//!
//! ```text
//! user key --> record: one value in the store, everything about a small value
//!                |        [lsn][kind+encoding][flags][expire-at?][payload]
//!                `-- exploded: payload is a header with a rows id
//!                         rows: [rows id][row key] -> value, one element or chunk each
//! change   --> ops: what a frame of the log holds, physical, replayable
//! ```
//!
//! This crate knows no protocol, no clock, no thread and no storage library: what a command may ask for is [`View`],
//! and somebody else answers.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod alike;
pub mod list;
pub mod map;
pub mod op;
pub mod record;
mod same;
pub mod string;
mod varint;
pub mod view;
pub mod zset;

pub use op::{Op, OpDecodeError, OpWriter, Ops};
pub use record::{Encoding, Head, Kind, Millis, Record, RecordError, RowsId};
pub use view::{Limits, ListPacking, Packing, Page, Seek, Stop, Usage, View};
