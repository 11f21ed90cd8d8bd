//! Strings: the commands, by what they do.
//!
//! `read` and `write` move whole values and parts of them, `edit` grows them, `number` counts in them, `many` works on
//! several keys, `condition` compares before it acts, `lcs` compares two.

mod condition;
mod edit;
mod lcs;
mod many;
mod number;
mod read;
mod table;
mod write;

pub(crate) use table::COMMANDS;
