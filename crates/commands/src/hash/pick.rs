//! HRANDFIELD.

use keyspace::Kind;
use keyspace::map::{self, Picks};
use resp::{Aggregate, Protocol};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const TOO_MANY: &str = "ERR value is out of range";

/// HRANDFIELD.
pub(super) fn hrandfield(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() == 2 {
        return one(context, args);
    }
    let count = args.integer(2)?;
    if count == i64::MIN {
        return Err(text::NOT_LONG.into());
    }
    if args.len() > 4 || args.len() == 4 && !args.is(3, "WITHVALUES") {
        return Err(text::SYNTAX.into());
    }
    let with_values = args.len() == 4;
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(TOO_MANY.into());
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let picks = if count < 0 { Picks::Any(wanted) } else { Picks::Different(wanted) };
    let Context { view, reply, .. } = context;
    let nested = with_values && reply.protocol() == Protocol::Resp3;
    let array = reply.begin(Aggregate::Array);
    let mut replies = 0;
    map::pick(*view, args.at(1), Kind::Hash, picks, &mut |found| {
        if nested {
            reply.array(2);
        }
        reply.bulk(found.name);
        replies += 1;
        if with_values {
            reply.bulk(found.value);
            replies += usize::from(!nested);
        }
    })?;
    reply.end(array, replies);
    Ok(())
}

fn one(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    let mut any = false;
    map::pick(*view, args.at(1), Kind::Hash, Picks::Different(1), &mut |found| {
        reply.bulk(found.name);
        any = true;
    })?;
    if !any {
        reply.null();
    }
    Ok(())
}
