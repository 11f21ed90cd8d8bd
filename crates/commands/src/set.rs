//! Sets: the commands, by what they do.
//!
//! `members` adds, removes and looks at members, `pick` takes random ones, `algebra` combines sets.

mod algebra;
mod members;
mod pick;
mod table;

pub(crate) use table::COMMANDS;
