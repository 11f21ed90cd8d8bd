//! Unions, intersections and differences of sorted sets; sets take part with the score 1.

use std::cmp::Ordering;
use std::collections::HashMap;

use keyspace::zset;
use resp::parse_f64;

use super::shown::Shown;
use super::source::Source;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const BAD_WEIGHT: &str = "ERR weight value is not a float";
const NEGATIVE_LIMIT: &str = "ERR LIMIT can't be negative";

/// ZUNION.
pub(super) fn zunion(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, "zunion", Operation::Union)
}

/// ZINTER.
pub(super) fn zinter(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, "zinter", Operation::Intersection)
}

/// ZDIFF.
pub(super) fn zdiff(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    show(context, args, "zdiff", Operation::Difference)
}

/// ZUNIONSTORE.
pub(super) fn zunionstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    store(context, args, "zunionstore", Operation::Union)
}

/// ZINTERSTORE.
pub(super) fn zinterstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    store(context, args, "zinterstore", Operation::Intersection)
}

/// ZDIFFSTORE.
pub(super) fn zdiffstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    store(context, args, "zdiffstore", Operation::Difference)
}

/// ZINTERCARD.
pub(super) fn zintercard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let asked = Asked::parse(context, args, 1, "zintercard", Operation::Intersection, Goal::Count)?;
    let mut inputs = asked.inputs;
    inputs.sort_by_key(|input| input.source.len());
    let (mut count, limit) = (0, if asked.limit == 0 { u64::MAX } else { asked.limit });
    if let [first, rest @ ..] = inputs.as_slice() {
        for (member, _) in first.source.members(context)? {
            if count == limit {
                break;
            }
            count += u64::from(score_in_all(context, rest, &member)?.is_some());
        }
    }
    context.reply.integer(count as i64);
    Ok(())
}

fn show(context: &mut Context<'_>, args: Args<'_>, name: &str, operation: Operation) -> Result<(), Error> {
    let asked = Asked::parse(context, args, 1, name, operation, Goal::Reply)?;
    let shown = if asked.with_scores { Shown::with_scores(context.reply) } else { Shown::Members };
    let mut members = asked.run(context, operation)?;
    members.sort_unstable_by(by_score);
    context.reply.array(shown.values(members.len()));
    members.iter().for_each(|(score, member)| shown.write(context.reply, member, *score));
    Ok(())
}

fn store(context: &mut Context<'_>, args: Args<'_>, name: &str, operation: Operation) -> Result<(), Error> {
    let asked = Asked::parse(context, args, 2, name, operation, Goal::Store)?;
    let members = asked.run(context, operation)?;
    let count = members.len();
    zset::replace(context.view, args.at(1), members)?;
    context.reply.integer(count as i64);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Reply,
    Store,
    Count,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities that cancel each other out are nothing.
            Self::Sum => number_or_zero(a + b),
            Self::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

fn by_score(a: &(f64, Vec<u8>), b: &(f64, Vec<u8>)) -> Ordering {
    // There is no NaN, and both zeros are one.
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}

struct Input<'a> {
    source: Source<'a>,
    weight: f64,
}

struct Asked<'a> {
    inputs: Vec<Input<'a>>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: u64,
}

/// Members of a result and their scores, in no order.
type Members = Vec<(f64, Vec<u8>)>;

impl<'a> Asked<'a> {
    /// Reads what follows from the number of keys on, which is argument `at`.
    fn parse(
        context: &mut Context<'_>,
        args: Args<'a>,
        at: usize,
        name: &str,
        operation: Operation,
        goal: Goal,
    ) -> Result<Self, Error> {
        let count = args.integer(at)?;
        if count < 1 {
            return Err(format!("ERR at least 1 input key is needed for '{name}' command").into());
        }
        let keys = usize::try_from(count).unwrap_or(usize::MAX);
        let rest = args.from(at + 1);
        if keys > rest.len() {
            return Err(text::SYNTAX.into());
        }
        let mut inputs = Vec::with_capacity(keys);
        for key in &rest[..keys] {
            inputs.push(Input { source: Source::look(context, key)?, weight: 1.0 });
        }
        let mut asked = Self { inputs, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        let scored = operation != Operation::Difference && goal != Goal::Count;
        let mut next = at + 1 + keys;
        while next < args.len() {
            let left = args.len() - next;
            if scored && left > keys && args.is(next, "WEIGHTS") {
                for (input, weight) in asked.inputs.iter_mut().zip(args.from(next + 1)) {
                    input.weight = parse_f64(weight).ok_or(BAD_WEIGHT)?;
                }
                next += 1 + keys;
            } else if scored && left > 1 && args.is(next, "AGGREGATE") {
                asked.aggregate = aggregate(args, next + 1)?;
                next += 2;
            } else if goal == Goal::Reply && args.is(next, "WITHSCORES") {
                asked.with_scores = true;
                next += 1;
            } else if goal == Goal::Count && left > 1 && args.is(next, "LIMIT") {
                let limit = args.integer(next + 1).ok().and_then(|limit| u64::try_from(limit).ok());
                asked.limit = limit.ok_or(NEGATIVE_LIMIT)?;
                next += 2;
            } else {
                return Err(text::SYNTAX.into());
            }
        }
        Ok(asked)
    }

    fn run(mut self, context: &mut Context<'_>, operation: Operation) -> Result<Members, Error> {
        if operation == Operation::Difference {
            return self.difference(context);
        }
        // As Redis does, for sums of fractions depend on the order.
        self.inputs.sort_by_key(|input| input.source.len());
        match operation {
            Operation::Union => self.union(context),
            Operation::Intersection | Operation::Difference => self.intersection(context),
        }
    }

    fn union(&self, context: &mut Context<'_>) -> Result<Members, Error> {
        let mut scores: HashMap<Vec<u8>, f64> = HashMap::new();
        for input in &self.inputs {
            for (member, score) in input.source.members(context)? {
                let score = number_or_zero(score * input.weight);
                scores.entry(member).and_modify(|old| *old = self.aggregate.of(*old, score)).or_insert(score);
            }
        }
        Ok(scores.into_iter().map(|(member, score)| (score, member)).collect())
    }

    fn intersection(&self, context: &mut Context<'_>) -> Result<Members, Error> {
        let mut found = Vec::new();
        let [first, rest @ ..] = self.inputs.as_slice() else { return Ok(found) };
        for (member, score) in first.source.members(context)? {
            let Some(others) = score_in_all(context, rest, &member)? else { continue };
            let first = number_or_zero(score * first.weight);
            let sum =
                rest.iter().zip(others).fold(first, |sum, (input, score)| self.aggregate.of(sum, score * input.weight));
            found.push((sum, member));
        }
        Ok(found)
    }

    fn difference(&self, context: &mut Context<'_>) -> Result<Members, Error> {
        let mut left = Vec::new();
        let [first, rest @ ..] = self.inputs.as_slice() else { return Ok(left) };
        'members: for (member, score) in first.source.members(context)? {
            for input in rest {
                if input.source.score(context, &member)?.is_some() {
                    continue 'members;
                }
            }
            left.push((score, member));
        }
        Ok(left)
    }
}

/// The scores of a member in all inputs, if all have it.
fn score_in_all(context: &mut Context<'_>, inputs: &[Input<'_>], member: &[u8]) -> Result<Option<Vec<f64>>, Error> {
    let mut scores = Vec::with_capacity(inputs.len());
    for input in inputs {
        match input.source.score(context, member)? {
            Some(score) => scores.push(score),
            None => return Ok(None),
        }
    }
    Ok(Some(scores))
}

fn aggregate(args: Args<'_>, at: usize) -> Result<Aggregate, Error> {
    if args.is(at, "SUM") {
        Ok(Aggregate::Sum)
    } else if args.is(at, "MIN") {
        Ok(Aggregate::Min)
    } else if args.is(at, "MAX") {
        Ok(Aggregate::Max)
    } else {
        Err(text::SYNTAX.into())
    }
}
