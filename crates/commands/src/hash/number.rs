//! Numbers in fields.

use keyspace::Kind;
use keyspace::map::{Batch, Deadline, Editor};
use resp::{LongDouble, parse_i64};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const NO_INTEGER: &str = "ERR hash value is not an integer";
const NO_FLOAT: &str = "ERR hash value is not a float";
const OVERFLOW: &str = "ERR increment or decrement would overflow";
const BAD_INCREMENT: &str = "ERR value is NaN or Infinity";
const NOT_FINITE: &str = "ERR increment would produce NaN or Infinity";

/// HINCRBY.
pub(super) fn hincrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let delta = args.integer(3)?;
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::One)?;
    let mut old = Vec::new();
    let old = match editor.get(args.at(2), &mut old)? {
        None => 0,
        Some(_) => parse_i64(&old).ok_or(NO_INTEGER)?,
    };
    let sum = old.checked_add(delta).ok_or(OVERFLOW)?;
    editor.put(args.at(2), itoa::Buffer::new().format(sum).as_bytes(), Deadline::Keep)?;
    editor.finish()?;
    context.reply.integer(sum);
    Ok(())
}

/// HINCRBYFLOAT.
pub(super) fn hincrbyfloat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let delta = LongDouble::parse(args.at(3)).ok_or(text::NOT_FLOAT)?;
    if delta.is_nan_or_infinite() {
        return Err(BAD_INCREMENT.into());
    }
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::One)?;
    let mut old = Vec::new();
    if editor.get(args.at(2), &mut old)?.is_none() {
        old.push(b'0');
    }
    let sum = LongDouble::parse(&old).ok_or(NO_FLOAT)?.add(delta);
    if sum.is_nan_or_infinite() {
        return Err(NOT_FINITE.into());
    }
    let mut digits = Vec::new();
    sum.format_human(&mut digits);
    editor.put(args.at(2), &digits, Deadline::Keep)?;
    editor.finish()?;
    context.reply.bulk(&digits);
    Ok(())
}
