//! Commands on keys whatever their type.

mod copy;
mod expire;
mod flush;
mod object;
mod presence;
mod rename;
mod table;
mod walk;

pub(crate) use object::memory_usage;
pub(crate) use table::COMMANDS;
pub(crate) use walk::parse_cursor;
