//! The list commands.

mod blocking;
mod edit;
mod ends;
mod read;
mod table;
mod transfer;

use keyspace::list::End;
use resp::parse_i64;

use crate::args::Args;
use crate::error::{Error, text};

pub(crate) use table::COMMANDS;

/// The end that LEFT or RIGHT names.
fn end_named(args: Args<'_>, index: usize) -> Result<End, Error> {
    if args.is(index, "LEFT") {
        Ok(End::Head)
    } else if args.is(index, "RIGHT") {
        Ok(End::Tail)
    } else {
        Err(text::SYNTAX.into())
    }
}

/// Argument `index` as a number that is at least `least`; `complaint` answers everything else.
fn number_from(args: Args<'_>, index: usize, least: i64, complaint: &'static str) -> Result<u64, Error> {
    let number = parse_i64(args.at(index)).filter(|number| *number >= least).ok_or(complaint)?;
    Ok(number.unsigned_abs())
}

/// The element that an index means, counted from the end if negative; `None` when that is before the first.
fn from_head(index: i64, len: u64) -> Option<u64> {
    if index < 0 { len.checked_sub(index.unsigned_abs()) } else { Some(index.unsigned_abs()) }
}

/// The elements `from..to` that `first` and `last`, both inclusive, mean; empty when `from >= to`.
fn range_of(first: i64, last: i64, len: u64) -> (u64, u64) {
    let from = from_head(first, len).unwrap_or(0);
    let to = from_head(last, len).map_or(0, |last| last.saturating_add(1).min(len));
    (from, to)
}
