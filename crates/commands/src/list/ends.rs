//! Pushing and popping.

use keyspace::View;
use keyspace::list::{self, End};
use resp::Reply;

use super::number_from;
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, wrong_arity};

const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

/// LPUSH.
pub(super) fn lpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    push(context, args, End::Head)
}

/// RPUSH.
pub(super) fn rpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    push(context, args, End::Tail)
}

/// LPUSHX.
pub(super) fn lpushx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    push_if_there(context, args, End::Head)
}

/// RPUSHX.
pub(super) fn rpushx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    push_if_there(context, args, End::Tail)
}

fn push(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let len = list::push(context.view, args.at(1), end, args.from(2))?;
    context.reply.integer(len as i64);
    Ok(())
}

fn push_if_there(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    if list::len(context.view, args.at(1))? == 0 {
        context.reply.integer(0);
        return Ok(());
    }
    push(context, args, end)
}

/// LPOP.
pub(super) fn lpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(context, args, End::Head, "lpop")
}

/// RPOP.
pub(super) fn rpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(context, args, End::Tail, "rpop")
}

fn pop(context: &mut Context<'_>, args: Args<'_>, end: End, name: &str) -> Result<(), Error> {
    let key = args.at(1);
    match args.len() {
        2 => {
            let (reply, mut found) = (&mut *context.reply, false);
            list::pop(context.view, key, end, 1, &mut |element| {
                found = true;
                reply.bulk(element);
            })?;
            if !found {
                reply.null();
            }
        }
        3 => {
            let count = number_from(args, 2, 0, NOT_POSITIVE)?;
            let len = list::len(context.view, key)?;
            if len == 0 {
                context.reply.null_array();
                return Ok(());
            }
            reply_array_popped(context.view, context.reply, key, end, count.min(len))?;
        }
        _ => return Err(wrong_arity(name)),
    }
    Ok(())
}

/// Pops elements, which are there, and replies with each.
pub(super) fn reply_popped(
    view: &mut dyn View,
    reply: &mut Reply,
    key: &[u8],
    end: End,
    count: u64,
) -> Result<(), Error> {
    list::pop(view, key, end, count, &mut |element| reply.bulk(element))?;
    Ok(())
}

/// Pops elements, which are there, and replies with an array of them.
pub(super) fn reply_array_popped(
    view: &mut dyn View,
    reply: &mut Reply,
    key: &[u8],
    end: End,
    count: u64,
) -> Result<(), Error> {
    reply.array(count as usize);
    reply_popped(view, reply, key, end, count)
}

/// LLEN.
pub(super) fn llen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = list::len(context.view, args.at(1))?;
    context.reply.integer(len as i64);
    Ok(())
}
