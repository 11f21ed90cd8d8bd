//! One member's score and rank, and numbers of members.

use keyspace::zset::{self, Direction, Range, Standing};

use super::bounds;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text, wrong_arity};

/// ZCARD.
pub(super) fn zcard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = zset::len(context.view, args.at(1))?;
    context.reply.integer(len as i64);
    Ok(())
}

/// ZSCORE.
pub(super) fn zscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_score(context, args.at(1), args.at(2))
}

/// ZMSCORE.
pub(super) fn zmscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = args.from(2);
    context.reply.array(members.len());
    members.iter().try_for_each(|member| reply_score(context, args.at(1), member))
}

fn reply_score(context: &mut Context<'_>, key: &[u8], member: &[u8]) -> Result<(), Error> {
    match zset::score(context.view, key, member)? {
        Some(score) => context.reply.double(score),
        None => context.reply.null(),
    }
    Ok(())
}

/// ZCOUNT.
pub(super) fn zcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    count(context, args.at(1), bounds::by_score(args.at(2), args.at(3))?)
}

/// ZLEXCOUNT.
pub(super) fn zlexcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    count(context, args.at(1), bounds::by_member(args.at(2), args.at(3))?)
}

fn count(context: &mut Context<'_>, key: &[u8], range: Range<'_>) -> Result<(), Error> {
    let count = zset::count(context.view, key, range)?;
    context.reply.integer(count as i64);
    Ok(())
}

/// ZRANK.
pub(super) fn zrank(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    rank(context, args, "zrank", Direction::Up)
}

/// ZREVRANK.
pub(super) fn zrevrank(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    rank(context, args, "zrevrank", Direction::Down)
}

fn rank(context: &mut Context<'_>, args: Args<'_>, name: &str, direction: Direction) -> Result<(), Error> {
    let with_score = match args.len() {
        3 => false,
        4 if args.is(3, "WITHSCORE") => true,
        4 => return Err(text::SYNTAX.into()),
        _ => return Err(wrong_arity(name)),
    };
    let Some(Standing { rank, score, len }) = zset::standing(context.view, args.at(1), args.at(2))? else {
        if with_score {
            context.reply.null_array();
        } else {
            context.reply.null();
        }
        return Ok(());
    };
    let rank = match direction {
        Direction::Up => rank,
        Direction::Down => len - 1 - rank,
    };
    if with_score {
        context.reply.array(2);
    }
    context.reply.integer(rank as i64);
    if with_score {
        context.reply.double(score);
    }
    Ok(())
}
