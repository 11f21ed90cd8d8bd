//! Several strings at once.

use keyspace::string::{self, StringError};

use super::condition::Condition;
use super::read::reply_value;
use super::write::put;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text, wrong_arity};
use crate::expiry::Expiry;

const BAD_COUNT: &str = "ERR invalid numkeys value";
const BAD_PAIRS: &str = "ERR wrong number of key-value pairs";

/// MGET.
pub(super) fn mget(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys = args.from(1);
    context.reply.array(keys.len());
    for key in keys {
        match reply_value(context.view, context.reply, key) {
            Ok(_) => {}
            Err(StringError::WrongType) => context.reply.null(),
            Err(StringError::Stop(stop)) => return Err(stop.into()),
        }
    }
    Ok(())
}

/// MSET.
pub(super) fn mset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    for (key, value) in pairs(args, "mset")? {
        string::set(context.view, key, value, None)?;
    }
    context.reply.ok();
    Ok(())
}

/// MSETNX.
pub(super) fn msetnx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let pairs = pairs(args, "msetnx")?;
    for (key, _) in pairs.clone() {
        if context.view.record(key)?.is_some() {
            context.reply.integer(0);
            return Ok(());
        }
    }
    for (key, value) in pairs {
        string::set(context.view, key, value, None)?;
    }
    context.reply.integer(1);
    Ok(())
}

/// MSETEX.
pub(super) fn msetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = args.integer(1).ok().and_then(|count| i32::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(BAD_COUNT)? as usize;
    let options = 2 + 2 * count;
    if args.len() < options {
        return Err(BAD_PAIRS.into());
    }
    let (mut expiry, mut condition) = (Expiry::Unsaid, Condition::Always);
    let mut next = options;
    while next < args.len() {
        let taken = expiry.take_keep(args, next).or_else(|| expiry.take_time(args, next));
        next = taken.or_else(|| condition.take_presence(args, next)).ok_or(text::SYNTAX)?;
    }
    let time = expiry.time(context.view, "msetex")?;
    let pairs = args.from(2)[..2 * count].chunks_exact(2).map(|pair| (pair[0], pair[1]));
    for (key, _) in pairs.clone() {
        if !condition.holds(context.view, key)? {
            context.reply.integer(0);
            return Ok(());
        }
    }
    for (key, value) in pairs {
        let expire_at = match expiry {
            Expiry::Keep => context.view.record(key)?.and_then(|record| record.head.expire_at),
            Expiry::Unsaid | Expiry::Persist | Expiry::At(..) => time,
        };
        put(context.view, key, value, expire_at)?;
    }
    context.reply.integer(1);
    Ok(())
}

/// The pairs of key and value after the name.
fn pairs<'a>(
    args: Args<'a>,
    command: &str,
) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a>, Error> {
    let rest = args.from(1);
    if !rest.len().is_multiple_of(2) {
        return Err(wrong_arity(command));
    }
    Ok(rest.chunks_exact(2).map(|pair| (pair[0], pair[1])))
}
