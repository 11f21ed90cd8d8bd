//! Hashes: the commands, by what they do.
//!
//! `read` and `write` look at fields and change them, `number` counts in them, `pick` takes random ones, `deadline` says
//! when they expire, `extended` reads or writes and says so at once.

mod deadline;
mod extended;
mod field_table;
mod number;
mod pick;
mod read;
mod table;
mod write;

pub(crate) use field_table::COMMANDS as FIELD_COMMANDS;
pub(crate) use table::COMMANDS;
