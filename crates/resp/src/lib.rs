//! RESP2 and RESP3: request parser, reply writer and Redis's number formats.
//!
//! ```text
//!   socket bytes ──Parser──▶ Request (spans into the bytes)      server side
//!   command code ──Reply───▶ bytes in the client's protocol      server side
//!   arguments ─encode_command─▶ bytes ─parse_reply─▶ Value       client side
//! ```
//!
//! The crate knows bytes only: no sockets, no commands, no clock, no threads, no standard library.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod binary_float;
mod command;
mod float;
mod inline;
mod integer;
mod long_double;
mod natural;
mod parser;
mod protocol_error;
mod reply_parser;
mod request;
mod writer;

pub use command::encode_command;
pub use float::{format_f64, parse_f64};
pub use integer::{parse_i64, parse_u64};
pub use long_double::LongDouble;
pub use parser::{Limits, Parsed, Parser, Trust};
pub use protocol_error::ProtocolError;
pub use reply_parser::{ReplyError, ReplyLimits, Value, parse_reply};
pub use request::Request;
pub use writer::{Aggregate, Deferred, OpenBulk, Protocol, Reply};
