//! Members in order: ZRANGE with all its options, the older commands that are parts of it, and ZRANGESTORE.

use keyspace::zset::{self, Direction, Range};
use resp::Aggregate;

use super::bounds;
use super::shown::Shown;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const LIMIT_OF_RANKS: &str = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
const SCORES_OF_MEMBERS: &str = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";

/// ZRANGE.
pub(super) fn zrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, None, None)
}

/// ZREVRANGE.
pub(super) fn zrevrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, Some(By::Rank), Some(Direction::Down))
}

/// ZRANGEBYSCORE.
pub(super) fn zrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, Some(By::Score), Some(Direction::Up))
}

/// ZREVRANGEBYSCORE.
pub(super) fn zrevrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, Some(By::Score), Some(Direction::Down))
}

/// ZRANGEBYLEX.
pub(super) fn zrangebylex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, Some(By::Member), Some(Direction::Up))
}

/// ZREVRANGEBYLEX.
pub(super) fn zrevrangebylex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, Some(By::Member), Some(Direction::Down))
}

/// ZRANGESTORE.
pub(super) fn zrangestore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let asked = Asked::parse(args, 2, Goal::Store, None, None)?;
    let (range, limit) = asked.resolve(context, args.at(2))?;
    let mut members = Vec::new();
    zset::visit(context.view, args.at(2), range, asked.direction, limit, &mut |member, score| {
        members.push((score, member.to_vec()));
    })?;
    let count = members.len();
    zset::replace(context.view, args.at(1), members)?;
    context.reply.integer(count as i64);
    Ok(())
}

fn show(context: &mut Context<'_>, args: Args<'_>, by: Option<By>, direction: Option<Direction>) -> Result<(), Error> {
    let asked = Asked::parse(args, 1, Goal::Reply, by, direction)?;
    let shown = if asked.with_scores { Shown::with_scores(context.reply) } else { Shown::Members };
    let (range, limit) = asked.resolve(context, args.at(1))?;
    let reply = &mut *context.reply;
    if let Range::Rank(from, to) = range {
        reply.array(shown.values((to - from) as usize));
        zset::visit(context.view, args.at(1), range, asked.direction, limit, &mut |member, score| {
            shown.write(reply, member, score);
        })?;
        return Ok(());
    }
    let array = reply.begin(Aggregate::Array);
    let mut count = 0;
    zset::visit(context.view, args.at(1), range, asked.direction, limit, &mut |member, score| {
        shown.write(reply, member, score);
        count += 1;
    })?;
    reply.end(array, shown.values(count));
    Ok(())
}

/// What the ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Reply,
    Store,
}

#[derive(Clone, Copy)]
enum Ends<'a> {
    Ranks(i64, i64),
    Values(Range<'a>),
}

struct Asked<'a> {
    ends: Ends<'a>,
    direction: Direction,
    offset: i64,
    limit: i64,
    with_scores: bool,
}

impl<'a> Asked<'a> {
    /// Reads what follows the key at `source`. What the command's name does not say, options may.
    fn parse(
        args: Args<'a>,
        source: usize,
        goal: Goal,
        mut by: Option<By>,
        mut direction: Option<Direction>,
    ) -> Result<Self, Error> {
        let (mut offset, mut limit, mut with_scores) = (0, -1, false);
        let mut next = source + 3;
        while next < args.len() {
            if goal == Goal::Reply && args.is(next, "WITHSCORES") {
                with_scores = true;
            } else if args.is(next, "LIMIT") && next + 2 < args.len() {
                (offset, limit) = (args.integer(next + 1)?, args.integer(next + 2)?);
                next += 2;
            } else if direction.is_none() && args.is(next, "REV") {
                direction = Some(Direction::Down);
            } else if by.is_none() && args.is(next, "BYLEX") {
                by = Some(By::Member);
            } else if by.is_none() && args.is(next, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(text::SYNTAX.into());
            }
            next += 1;
        }
        let (by, direction) = (by.unwrap_or(By::Rank), direction.unwrap_or(Direction::Up));
        if limit != -1 && by == By::Rank {
            return Err(LIMIT_OF_RANKS.into());
        }
        if with_scores && by == By::Member {
            return Err(SCORES_OF_MEMBERS.into());
        }
        let (first, last) = (args.at(source + 1), args.at(source + 2));
        // By value, a range that is shown from its end is also written from there.
        let (min, max) = if direction == Direction::Down { (last, first) } else { (first, last) };
        let ends = match by {
            By::Rank => Ends::Ranks(args.integer(source + 1)?, args.integer(source + 2)?),
            By::Score => Ends::Values(bounds::by_score(min, max)?),
            By::Member => Ends::Values(bounds::by_member(min, max)?),
        };
        Ok(Self { ends, direction, offset, limit, with_scores })
    }

    /// The range and its part (offset, limit) in the set at `key`.
    fn resolve(&self, context: &mut Context<'_>, key: &[u8]) -> Result<(Range<'a>, (u64, u64)), Error> {
        const ALL: (u64, u64) = (0, u64::MAX);
        match self.ends {
            Ends::Ranks(first, last) => {
                let len = zset::len(context.view, key)?;
                let (from, to) = bounds::ranks(first, last, len);
                Ok(match self.direction {
                    Direction::Up => (Range::Rank(from, to), ALL),
                    Direction::Down => (Range::Rank(len - to, len - from), ALL),
                })
            }
            Ends::Values(range) => Ok(match u64::try_from(self.offset) {
                // Redis skips members until there are no more.
                Err(_) => (range, (0, 0)),
                Ok(offset) => (range, (offset, u64::try_from(self.limit).unwrap_or(u64::MAX))),
            }),
        }
    }
}
