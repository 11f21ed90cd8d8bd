//! The command table and every command that works on keys.
//!
//! ```text
//!   arguments --resolve--> Command --keys--> what to lock --Run::View--> reads, then writes of a View, and a reply
//!                             |
//!                             '--docs--> COMMAND, docs/commands.md
//! ```
//!
//! A command sees a [`keyspace::View`] and a [`resp::Reply`]: no socket, no store, no other session. It may be stopped
//! by any call of the view; the caller then truncates the reply and runs it again, so a command keeps nothing between
//! runs.
#![forbid(unsafe_code)]

mod args;
mod bitmap;
mod connection;
mod context;
pub mod docs;
mod error;
mod expiry;
mod following;
pub mod glob;
mod hash;
mod key_refs;
mod keys;
mod list;
mod member_scan;
mod replication;
mod server;
mod set;
mod sort;
pub mod spec;
mod string;
mod table;
mod transaction;
mod wait;
mod zset;

pub use args::Args;
pub use context::{Context, Eviction, Settings, Waiting};
pub use error::{Error, text, unknown_command, unknown_subcommand, wrong_arity};
pub use key_refs::{Access, KeyRef, UnreadableKeys, keys, only_key, reads_first};
pub use spec::{Command, Run, Scope, Spec};
pub use table::{all, lookup, resolve};
pub use wait::{Wait, timeout, wait_of};
