//! Members in no order: some at random, and all of them bit by bit.

use std::collections::HashMap;

use keyspace::Stop;
use keyspace::map::rows::below;
use keyspace::zset::{self, Direction, Range};
use resp::{Aggregate, Reply};

use super::shown::Shown;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::glob::{self, Case};

const COUNT_RANGE: &str = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
const OUT_OF_RANGE: &str = "ERR value is out of range";
const BAD_CURSOR: &str = "ERR invalid cursor";
const SCAN_COUNT: usize = 10;
/// What a pick costs, in the bytes of [`keyspace::View::heavy`]; of a packed set, so much for each member.
const PICK_COST: u64 = 1024;
const MEMBER_COST: u64 = 16;
/// When fewer than one in so many are wanted, members are picked until enough differ.
const SPARSE: u64 = 3;

/// ZRANDMEMBER.
pub(super) fn zrandmember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    if args.len() == 2 {
        match zset::pick(context.view, key)? {
            None => context.reply.null(),
            Some((member, _)) => context.reply.bulk(&member),
        }
        return Ok(());
    }
    let count = args.integer(2)?;
    if count == i64::MIN {
        return Err(COUNT_RANGE.into());
    }
    let shown = match args.len() {
        3 => Shown::Members,
        4 if args.is(3, "WITHSCORES") => Shown::with_scores(context.reply),
        _ => return Err(text::SYNTAX.into()),
    };
    if shown != Shown::Members && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(OUT_OF_RANGE.into());
    }
    let len = zset::len(context.view, key)?;
    if len == 0 || count == 0 {
        context.reply.array(0);
        return Ok(());
    }
    if count < 0 {
        return repeated(context, key, count.unsigned_abs(), len, shown);
    }
    distinct(context, key, count as u64, len, shown)
}

/// So many members, each any of all.
fn repeated(context: &mut Context<'_>, key: &[u8], count: u64, len: u64, shown: Shown) -> Result<(), Error> {
    context.view.heavy(count.saturating_mul(PICK_COST.min(len * MEMBER_COST)))?;
    context.reply.array(shown.values(count as usize));
    for _ in 0..count {
        let (member, score) = zset::pick(context.view, key)?.ok_or(Stop::Fault)?;
        shown.write(context.reply, &member, score);
    }
    Ok(())
}

/// So many different members, or all there are.
fn distinct(context: &mut Context<'_>, key: &[u8], count: u64, len: u64, shown: Shown) -> Result<(), Error> {
    let count = count.min(len);
    if count < len / SPARSE {
        context.view.heavy(count.saturating_mul(PICK_COST.min(len * MEMBER_COST)))?;
        let mut picked = HashMap::new();
        while (picked.len() as u64) < count {
            let (member, score) = zset::pick(context.view, key)?.ok_or(Stop::Fault)?;
            picked.insert(member, score);
        }
        context.reply.array(shown.values(picked.len()));
        picked.iter().for_each(|(member, score)| shown.write(context.reply, member, *score));
        return Ok(());
    }
    // Each of those left is taken with the chance that makes the number come out right.
    let mut chances = Vec::with_capacity(len as usize);
    let mut wanted = count;
    for left in (1..=len).rev() {
        let taken = below(context.view.random(), left) < wanted;
        wanted -= u64::from(taken);
        chances.push(taken);
    }
    context.reply.array(shown.values(count as usize));
    let (reply, mut chances) = (&mut *context.reply, chances.into_iter());
    // From the end, as Redis shows a set whole.
    let all = Range::Rank(0, len);
    zset::visit(context.view, key, all, Direction::Down, (0, u64::MAX), &mut |member, score| {
        if chances.next() == Some(true) {
            shown.write(reply, member, score);
        }
    })?;
    Ok(())
}

/// ZSCAN.
pub(super) fn zscan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = crate::keys::parse_cursor(args.at(2)).ok_or(BAD_CURSOR)?;
    let key = args.at(1);
    if zset::len(context.view, key)? == 0 {
        context.reply.array(2);
        context.reply.bulk(b"0");
        context.reply.array(0);
        return Ok(());
    }
    let (mut count, mut pattern) = (SCAN_COUNT, None);
    let mut next = 3;
    while next < args.len() {
        let Some(value) = args.get(next + 1) else { return Err(text::SYNTAX.into()) };
        if args.is(next, "COUNT") {
            count = usize::try_from(args.integer(next + 1)?).ok().filter(|count| *count > 0).ok_or(text::SYNTAX)?;
        } else if args.is(next, "MATCH") {
            pattern = Some(value).filter(|pattern| *pattern != b"*");
        } else {
            return Err(text::SYNTAX.into());
        }
        next += 2;
    }
    let mut found = Reply::new(context.reply.protocol());
    let array = found.begin(Aggregate::Array);
    let mut values = 0;
    let next = zset::scan(context.view, key, cursor, count, &mut |member, score| {
        if pattern.is_none_or(|pattern| glob::matches(pattern, member, Case::Sensitive)) {
            found.bulk(member);
            found.bulk_double(score);
            values += 2;
        }
    })?;
    found.end(array, values);
    context.reply.array(2);
    context.reply.bulk(next.to_string().as_bytes());
    context.reply.raw(found.buffer());
    Ok(())
}
