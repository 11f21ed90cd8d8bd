//! Taking members away by name or place.

use keyspace::zset::{self, Range};

use super::bounds;
use crate::args::Args;
use crate::context::Context;
use crate::error::Error;

/// ZREM.
pub(super) fn zrem(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut removed = 0;
    for member in args.from(2) {
        removed += i64::from(zset::remove(context.view, args.at(1), member)?.is_some());
    }
    context.reply.integer(removed);
    Ok(())
}

/// ZREMRANGEBYRANK.
pub(super) fn by_rank(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let len = zset::len(context.view, args.at(1))?;
    let (from, to) = bounds::ranks(first, last, len);
    remove_range(context, args.at(1), Range::Rank(from, to))
}

/// ZREMRANGEBYSCORE.
pub(super) fn by_score(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    remove_range(context, args.at(1), bounds::by_score(args.at(2), args.at(3))?)
}

/// ZREMRANGEBYLEX.
pub(super) fn by_member(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    remove_range(context, args.at(1), bounds::by_member(args.at(2), args.at(3))?)
}

fn remove_range(context: &mut Context<'_>, key: &[u8], range: Range<'_>) -> Result<(), Error> {
    let removed = zset::remove_range(context.view, key, range)?;
    context.reply.integer(removed as i64);
    Ok(())
}
