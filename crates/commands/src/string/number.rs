//! Numbers in strings.

use keyspace::{Encoding, Head, Kind, Millis, Record};
use resp::{LongDouble, parse_i64};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const OVERFLOW: &str = "ERR increment or decrement would overflow";
const DECREMENT_OVERFLOW: &str = "ERR decrement would overflow";
const NOT_FINITE: &str = "ERR increment would produce NaN or Infinity";

/// INCR.
pub(super) fn incr(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    add(context, args.at(1), 1)
}

/// DECR.
pub(super) fn decr(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    add(context, args.at(1), -1)
}

/// INCRBY.
pub(super) fn incrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let delta = args.integer(2)?;
    add(context, args.at(1), delta)
}

/// DECRBY.
pub(super) fn decrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let delta = args.integer(2)?.checked_neg().ok_or(DECREMENT_OVERFLOW)?;
    add(context, args.at(1), delta)
}

/// INCRBYFLOAT.
pub(super) fn incrbyfloat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let (old, expire_at) = match context.view.record(key)? {
        None => (LongDouble::parse(b"0"), None),
        Some(record) => (LongDouble::parse(short_text(&record)?.unwrap_or_default()), record.head.expire_at),
    };
    let old = old.ok_or(text::NOT_FLOAT)?;
    let sum = old.add(LongDouble::parse(args.at(2)).ok_or(text::NOT_FLOAT)?);
    if sum.is_nan_or_infinite() {
        return Err(NOT_FINITE.into());
    }
    let mut digits = Vec::new();
    sum.format_human(&mut digits);
    context.view.put(key, &Head::string(expire_at), &digits)?;
    context.reply.bulk(&digits);
    Ok(())
}

#[inline]
fn add(context: &mut Context<'_>, key: &[u8], delta: i64) -> Result<(), Error> {
    let (old, expire_at) = integer(context, key)?;
    let sum = old.checked_add(delta).ok_or(OVERFLOW)?;
    context.view.put(key, &Head::string(expire_at), itoa::Buffer::new().format(sum).as_bytes())?;
    context.reply.integer(sum);
    Ok(())
}

/// The integer at `key`, 0 if there is none, and when it expires.
#[inline]
fn integer(context: &mut Context<'_>, key: &[u8]) -> Result<(i64, Option<Millis>), Error> {
    let Some(record) = context.view.record(key)? else { return Ok((0, None)) };
    let integer = short_text(&record)?.and_then(parse_i64).ok_or(text::NOT_INTEGER)?;
    Ok((integer, record.head.expire_at))
}

/// The bytes of a string if it is packed: an exploded one is too long for a number.
#[inline]
fn short_text<'a>(record: &Record<'a>) -> Result<Option<&'a [u8]>, Error> {
    match (record.head.kind, record.head.encoding) {
        (Kind::String, Encoding::Packed) => Ok(Some(record.payload)),
        (Kind::String, Encoding::Exploded) => Ok(None),
        (Kind::List | Kind::Set | Kind::Zset | Kind::Hash | Kind::Stream, _) => Err(text::WRONG_TYPE.into()),
    }
}
