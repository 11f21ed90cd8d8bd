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

mod accept;
mod acknowledged;
pub mod catalog;
pub mod client;
mod code;
pub mod config;
mod desk;
pub mod following;
mod gate;
pub mod host;
mod housekeeping;
mod keeper;
pub(crate) mod links;
mod listen;
mod meter;
mod open_files;
mod outbox;
pub mod pause;
mod pledge;
pub mod recent;
mod rules;
pub mod saves;
mod server;
mod session;
pub mod session_commands;
pub mod shared;
pub mod shutdown;
pub mod slowlog;
mod socket;
pub mod state;
pub mod stats;
pub mod transaction;
mod turn;
pub mod waiting;
mod worker;

pub use host::Host;
pub use listen::check as check_listening;
pub use server::{Ended, Server};
pub use shared::Shared;
