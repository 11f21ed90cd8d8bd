//! Taking the first or last members away, also of the first of several keys that has some, also waiting for one.

use keyspace::Kind;
use keyspace::zset::{self, Direction};
use resp::{Protocol, Reply};

use super::shown::Shown;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::wait::{Wait, timeout};

const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
const BAD_KEYS: &str = "ERR numkeys should be greater than 0";
const BAD_COUNT: &str = "ERR count should be greater than 0";

/// ZPOPMIN.
pub(super) fn zpopmin(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    of_one(context, args, Direction::Up)
}

/// ZPOPMAX.
pub(super) fn zpopmax(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    of_one(context, args, Direction::Down)
}

fn of_one(context: &mut Context<'_>, args: Args<'_>, direction: Direction) -> Result<(), Error> {
    let count = match args.len() {
        2 => None,
        3 => Some(args.integer(2).ok().and_then(|count| u64::try_from(count).ok()).ok_or(NOT_POSITIVE)?),
        _ => return Err(text::SYNTAX.into()),
    };
    let popped = zset::pop(context.view, args.at(1), direction, count.unwrap_or(1))?;
    let shown = match (context.reply.protocol(), count) {
        (Protocol::Resp3, Some(_)) => Shown::Pairs,
        (Protocol::Resp3, None) | (Protocol::Resp2, _) => Shown::Flat,
    };
    show(context.reply, &popped, shown);
    Ok(())
}

fn show(reply: &mut Reply, popped: &[(Vec<u8>, f64)], shown: Shown) {
    reply.array(shown.values(popped.len()));
    popped.iter().for_each(|(member, score)| shown.write(reply, member, *score));
}

/// ZMPOP.
pub(super) fn zmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let asked = Asked::parse(args, 1)?;
    if !asked.pop(context, args)? {
        context.reply.null_array();
    }
    Ok(())
}

/// BZMPOP.
pub(super) fn bzmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let asked = Asked::parse(args, 2)?;
    let timeout = timeout(args, 1)?;
    if asked.pop(context, args)? {
        return Ok(());
    }
    context.wait(Wait { keys: asked.keys, kind: Kind::Zset, timeout }, Reply::null_array)
}

struct Asked {
    keys: core::ops::Range<usize>,
    direction: Direction,
    count: u64,
}

impl Asked {
    /// Reads what follows from the number of keys on, which is argument `at`.
    fn parse(args: Args<'_>, at: usize) -> Result<Self, Error> {
        let positive = |at: usize| args.integer(at).ok().filter(|number| *number > 0);
        let keys = positive(at).and_then(|keys| usize::try_from(keys).ok()).ok_or(BAD_KEYS)?;
        let end = keys.saturating_add(at + 1);
        let direction = if args.is(end, "MIN") {
            Direction::Up
        } else if args.is(end, "MAX") {
            Direction::Down
        } else {
            return Err(text::SYNTAX.into());
        };
        let count = match args.len() - end {
            1 => 1,
            3 if args.is(end + 1, "COUNT") => positive(end + 2).ok_or(BAD_COUNT)? as u64,
            _ if args.is(end + 1, "COUNT") && end + 2 < args.len() && positive(end + 2).is_none() => {
                return Err(BAD_COUNT.into());
            }
            _ => return Err(text::SYNTAX.into()),
        };
        Ok(Self { keys: at + 1..end, direction, count })
    }

    /// Pops of the first key that has members; says whether there was one.
    fn pop(&self, context: &mut Context<'_>, args: Args<'_>) -> Result<bool, Error> {
        for key in self.keys.clone().map(|at| args.at(at)) {
            let popped = zset::pop(context.view, key, self.direction, self.count)?;
            if !popped.is_empty() {
                context.reply.array(2);
                context.reply.bulk(key);
                show(context.reply, &popped, Shown::Pairs);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// BZPOPMIN.
pub(super) fn bzpopmin(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    of_any(context, args, Direction::Up)
}

/// BZPOPMAX.
pub(super) fn bzpopmax(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    of_any(context, args, Direction::Down)
}

fn of_any(context: &mut Context<'_>, args: Args<'_>, direction: Direction) -> Result<(), Error> {
    let last = args.len() - 1;
    let timeout = timeout(args, last)?;
    for key in (1..last).map(|at| args.at(at)) {
        if let Some((member, score)) = zset::pop(context.view, key, direction, 1)?.pop() {
            context.reply.array(3);
            context.reply.bulk(key);
            Shown::Flat.write(context.reply, &member, score);
            return Ok(());
        }
    }
    context.wait(Wait { keys: 1..last, kind: Kind::Zset, timeout }, Reply::null_array)
}
