//! All that a client can see: sessions, workers, the desk, configuration, counters.
//!
//! ```text
//!   control thread                 worker threads                          desk threads
//!   accept, timeouts ──socket──▶ session: read, parse, execute ──job──▶ commands that may wait
//!                                   │ output + gate           ◀─answer──
//!                                turn: log written once, outputs whose gate is passed are sent
//! ```
//!
//! Everything that threads share is in [`Shared`]; everything else belongs to one worker and is not `Send`.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod client;
pub mod config;
mod gate;
pub mod host;
pub mod saves;
pub mod session_commands;
pub mod shared;
pub mod shutdown;
pub mod slowlog;
pub mod state;
pub mod stats;

pub use host::Host;
pub use shared::Shared;
