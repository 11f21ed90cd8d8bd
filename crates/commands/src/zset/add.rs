//! Giving members scores.

use keyspace::zset;
use resp::parse_f64;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const XX_AND_NX: &str = "ERR XX and NX options at the same time are not compatible";
const GT_LT_NX: &str = "ERR GT, LT, and/or NX options at the same time are not compatible";
const ONE_PAIR: &str = "ERR INCR option supports a single increment-element pair";
const SUM_IS_NAN: &str = "ERR resulting score is not a number (NaN)";

/// ZADD.
pub(super) fn zadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut options = Options::default();
    let mut first = 2;
    while first < args.len() && options.take(args, first) {
        first += 1;
    }
    let pairs = args.from(first);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(text::SYNTAX.into());
    }
    options.check(pairs.len() / 2)?;
    let mut scores = Vec::with_capacity(pairs.len() / 2);
    for pair in pairs.chunks_exact(2) {
        scores.push(parse_f64(pair[0]).ok_or(text::NOT_FLOAT)?);
    }
    if options.gives == Gives::Sum {
        return increase(context, args.at(1), pairs[1], scores[0], &options);
    }
    let (mut added, mut changed) = (0, 0);
    for (pair, score) in pairs.chunks_exact(2).zip(scores) {
        let mut decide = |old| options.allows(old, score).then_some(score);
        let updated = zset::update(context.view, args.at(1), pair[1], &mut decide)?;
        match (updated.old, updated.new) {
            (None, Some(_)) => added += 1,
            (Some(old), Some(new)) if old != new => changed += 1,
            (Some(_), Some(_)) | (_, None) => {}
        }
    }
    context.reply.integer(if options.counts_changed { added + changed } else { added });
    Ok(())
}

/// ZINCRBY.
pub(super) fn zincrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let delta = parse_f64(args.at(2)).ok_or(text::NOT_FLOAT)?;
    increase(context, args.at(1), args.at(3), delta, &Options::default())
}

fn increase(context: &mut Context<'_>, key: &[u8], member: &[u8], delta: f64, options: &Options) -> Result<(), Error> {
    let mut is_nan = false;
    let updated = zset::update(context.view, key, member, &mut |old| {
        if old.is_some() && options.only == Only::Absent {
            return None;
        }
        let sum = old.unwrap_or(0.0) + delta;
        is_nan = sum.is_nan();
        // The sum of nothing and a delta is the delta, with its sign.
        let sum = if old.is_some() { sum } else { delta };
        (!is_nan && options.allows(old, sum)).then_some(sum)
    })?;
    if is_nan {
        return Err(SUM_IS_NAN.into());
    }
    match updated.new {
        Some(score) => context.reply.double(score),
        None => context.reply.null(),
    }
    Ok(())
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Only {
    #[default]
    Any,
    Present,
    Absent,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Gives {
    #[default]
    Score,
    Sum,
}

#[derive(Default)]
struct Options {
    only: Only,
    both_xx_and_nx: bool,
    greater: bool,
    less: bool,
    counts_changed: bool,
    gives: Gives,
}

impl Options {
    fn take(&mut self, args: Args<'_>, at: usize) -> bool {
        if args.is(at, "NX") {
            self.both_xx_and_nx |= self.only == Only::Present;
            self.only = Only::Absent;
        } else if args.is(at, "XX") {
            self.both_xx_and_nx |= self.only == Only::Absent;
            self.only = Only::Present;
        } else if args.is(at, "GT") {
            self.greater = true;
        } else if args.is(at, "LT") {
            self.less = true;
        } else if args.is(at, "CH") {
            self.counts_changed = true;
        } else if args.is(at, "INCR") {
            self.gives = Gives::Sum;
        } else {
            return false;
        }
        true
    }

    fn check(&self, pairs: usize) -> Result<(), Error> {
        if self.both_xx_and_nx {
            return Err(XX_AND_NX.into());
        }
        let absent = self.only == Only::Absent;
        if (self.greater && (absent || self.less)) || (self.less && absent) {
            return Err(GT_LT_NX.into());
        }
        if self.gives == Gives::Sum && pairs > 1 {
            return Err(ONE_PAIR.into());
        }
        Ok(())
    }

    /// Whether a member with this score, or none, may get another.
    fn allows(&self, old: Option<f64>, new: f64) -> bool {
        match old {
            None => self.only != Only::Present,
            Some(old) => self.only != Only::Absent && !(self.greater && new <= old) && !(self.less && new >= old),
        }
    }
}
