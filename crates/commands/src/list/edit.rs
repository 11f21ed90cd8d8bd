//! Changing lists anywhere.

use keyspace::list::{self, End, Inserted, Side};

use super::{from_head, range_of};
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const INDEX_RANGE: &str = "ERR index out of range";

/// LSET.
pub(super) fn lset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let len = list::len(context.view, key)?;
    if len == 0 {
        return Err(text::NO_SUCH_KEY.into());
    }
    let index = from_head(args.integer(2)?, len).ok_or(INDEX_RANGE)?;
    if !list::set(context.view, key, index, args.at(3))? {
        return Err(INDEX_RANGE.into());
    }
    context.reply.ok();
    Ok(())
}

/// LINSERT.
pub(super) fn linsert(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let side = if args.is(2, "BEFORE") {
        Side::Before
    } else if args.is(2, "AFTER") {
        Side::After
    } else {
        return Err(text::SYNTAX.into());
    };
    let answer = match list::insert(context.view, args.at(1), side, args.at(3), args.at(4))? {
        Inserted::NoList => 0,
        Inserted::NoPivot => -1,
        Inserted::Len(len) => len as i64,
    };
    context.reply.integer(answer);
    Ok(())
}

/// LREM.
pub(super) fn lrem(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = args.integer(2)?;
    let from = if count < 0 { End::Tail } else { End::Head };
    let most = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let removed = list::remove(context.view, args.at(1), from, most, args.at(3))?;
    context.reply.integer(removed as i64);
    Ok(())
}

/// LTRIM.
pub(super) fn ltrim(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let key = args.at(1);
    let (from, to) = range_of(first, last, list::len(context.view, key)?);
    list::trim(context.view, key, from, to)?;
    context.reply.ok();
    Ok(())
}
