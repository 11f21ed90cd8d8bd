//! The forms that wait until there is an element.

use keyspace::Kind;
use keyspace::list::{self, End};
use resp::Reply;

use super::end_named;
use super::ends::reply_popped;
use super::transfer::{Asked, transfer};
use crate::args::Args;
use crate::context::Context;
use crate::error::Error;
use crate::wait::{Wait, timeout};

/// BLPOP.
pub(super) fn blpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(context, args, End::Head)
}

/// BRPOP.
pub(super) fn brpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(context, args, End::Tail)
}

fn pop(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let last = args.len() - 1;
    let timeout = timeout(args, last)?;
    for key in &args.from(1)[..last - 1] {
        if list::len(context.view, key)? > 0 {
            context.reply.array(2);
            context.reply.bulk(key);
            return reply_popped(context.view, context.reply, key, end, 1);
        }
    }
    context.wait(Wait { keys: 1..last, kind: Kind::List, timeout }, Reply::null_array)
}

/// BLMOVE.
pub(super) fn blmove(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let ends = [end_named(args, 3)?, end_named(args, 4)?];
    move_one(context, args, ends, 5)
}

/// BRPOPLPUSH.
pub(super) fn brpoplpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    move_one(context, args, [End::Tail, End::Head], 3)
}

fn move_one(context: &mut Context<'_>, args: Args<'_>, ends: [End; 2], timeout_at: usize) -> Result<(), Error> {
    let timeout = timeout(args, timeout_at)?;
    if transfer(context, args.at(1), args.at(2), ends)? {
        return Ok(());
    }
    context.wait(Wait { keys: 1..2, kind: Kind::List, timeout }, Reply::null)
}

/// BLMPOP.
pub(super) fn blmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let timeout = timeout(args, 1)?;
    let asked = Asked::parse(args, 2)?;
    if asked.serve(context, args)? {
        return Ok(());
    }
    context.wait(Wait { keys: asked.first..asked.first + asked.keys, kind: Kind::List, timeout }, Reply::null_array)
}
