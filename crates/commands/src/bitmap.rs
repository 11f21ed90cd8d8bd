//! Bitmaps: strings seen as bits, the first bit being the highest of the first byte.

mod bits;
mod count;
mod table;

pub(crate) use table::COMMANDS;
