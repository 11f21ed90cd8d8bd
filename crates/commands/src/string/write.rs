//! Writing whole strings: SET and its elder relatives.

use keyspace::{Millis, View, string};

use super::condition::Condition;
use super::read::reply_value;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::expiry::{Expiry, Format};

/// SET. Without options it does not look at the key.
pub(super) fn set(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.at(1), args.at(2));
    if args.len() == 3 {
        string::set(context.view, key, value, None)?;
        context.reply.ok();
        return Ok(());
    }
    let options = Options::parse(args)?;
    let mut expire_at = options.expiry.time(context.view, "set")?;
    if let Answer::OldValue = options.answer {
        reply_value(context.view, context.reply, key)?;
    }
    let holds = options.condition.holds(context.view, key)?;
    if holds {
        if options.expiry == Expiry::Keep {
            expire_at = context.view.record(key)?.and_then(|record| record.head.expire_at);
        }
        put(context.view, key, value, expire_at)?;
    }
    match options.answer {
        Answer::OldValue => {}
        Answer::Outcome if holds => context.reply.ok(),
        Answer::Outcome => context.reply.null(),
    }
    Ok(())
}

/// GETSET.
pub(super) fn getset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_value(context.view, context.reply, args.at(1))?;
    Ok(string::set(context.view, args.at(1), args.at(2), None)?)
}

/// SETNX.
pub(super) fn setnx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let absent = context.view.record(args.at(1))?.is_none();
    if absent {
        string::set(context.view, args.at(1), args.at(2), None)?;
    }
    context.reply.integer(i64::from(absent));
    Ok(())
}

/// SETEX.
pub(super) fn setex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    set_with_time(context, args, Format::EX, "setex")
}

/// PSETEX.
pub(super) fn psetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    set_with_time(context, args, Format::PX, "psetex")
}

fn set_with_time(context: &mut Context<'_>, args: Args<'_>, format: Format, command: &str) -> Result<(), Error> {
    let expire_at = format.positive_time(args.at(2), context.view.now(), command)?;
    string::set(context.view, args.at(1), args.at(3), Some(expire_at))?;
    context.reply.ok();
    Ok(())
}

/// Sets a string that expires, perhaps, or even has: then the key is gone.
pub(super) fn put(view: &mut dyn View, key: &[u8], value: &[u8], expire_at: Option<Millis>) -> Result<(), Error> {
    if expire_at.is_some_and(|time| time <= view.now()) {
        view.delete(key)?;
        return Ok(());
    }
    Ok(string::set(view, key, value, expire_at)?)
}

/// What SET replies.
enum Answer {
    /// Whether it was done.
    Outcome,
    /// What was there before.
    OldValue,
}

/// The options of SET.
struct Options<'a> {
    expiry: Expiry<'a>,
    condition: Condition<'a>,
    answer: Answer,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = Self { expiry: Expiry::Unsaid, condition: Condition::Always, answer: Answer::Outcome };
        let mut next = 3;
        while next < args.len() {
            if args.is(next, "GET") {
                options.answer = Answer::OldValue;
                next += 1;
                continue;
            }
            let taken = options.expiry.take_keep(args, next);
            let taken = taken.or_else(|| options.expiry.take_time(args, next));
            let taken = taken.or_else(|| options.condition.take(args, next));
            next = taken.ok_or(text::SYNTAX)?;
        }
        Ok(options)
    }
}
