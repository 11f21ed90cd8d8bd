//! From one list to another, and from the first of several.

use keyspace::list::{self, End};

use super::ends::reply_array_popped;
use super::{end_named, number_from};
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const NUMKEYS: &str = "ERR numkeys should be greater than 0";
const COUNT: &str = "ERR count should be greater than 0";

/// LMOVE.
pub(super) fn lmove(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let ends = [end_named(args, 3)?, end_named(args, 4)?];
    if !transfer(context, args.at(1), args.at(2), ends)? {
        context.reply.null();
    }
    Ok(())
}

/// RPOPLPUSH.
pub(super) fn rpoplpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    if !transfer(context, args.at(1), args.at(2), [End::Tail, End::Head])? {
        context.reply.null();
    }
    Ok(())
}

/// Moves an element from an end of one list to an end of the other, and replies with it; `false`: there is none.
pub(super) fn transfer(
    context: &mut Context<'_>,
    from: &[u8],
    to: &[u8],
    [source, target]: [End; 2],
) -> Result<bool, Error> {
    let len = list::len(context.view, from)?;
    if len == 0 {
        return Ok(false);
    }
    // Of another type it is refused before anything is taken.
    list::len(context.view, to)?;
    if from == to && (len == 1 || source == target) {
        // It goes where it was; taken off and put back it would lose its list, and the list its expiry.
        let index = if source == End::Head { 0 } else { len - 1 };
        let reply = &mut *context.reply;
        list::get(context.view, from, index, &mut |element| reply.bulk(element))?;
        context.view.touch(from)?;
        return Ok(true);
    }
    let mut moved = Vec::new();
    list::pop(context.view, from, source, 1, &mut |element| moved.extend_from_slice(element))?;
    list::push(context.view, to, target, &[&moved])?;
    context.reply.bulk(&moved);
    Ok(true)
}

/// What LMPOP and BLMPOP are asked for.
pub(super) struct Asked {
    /// The argument that is the first key.
    pub first: usize,
    /// How many keys.
    pub keys: usize,
    end: End,
    count: u64,
}

impl Asked {
    /// Reads it from the number of keys on, which is argument `at`.
    pub fn parse(args: Args<'_>, at: usize) -> Result<Self, Error> {
        let keys = number_from(args, at, 1, NUMKEYS)?;
        let where_at = usize::try_from(keys).ok().and_then(|keys| keys.checked_add(at + 1));
        let where_at = where_at.filter(|at| *at < args.len()).ok_or(text::SYNTAX)?;
        let end = end_named(args, where_at)?;
        let mut count = None;
        let mut next = where_at + 1;
        while next < args.len() {
            if count.is_some() || !args.is(next, "COUNT") || next + 1 >= args.len() {
                return Err(text::SYNTAX.into());
            }
            count = Some(number_from(args, next + 1, 1, COUNT)?);
            next += 2;
        }
        Ok(Self { first: at + 1, keys: where_at - at - 1, end, count: count.unwrap_or(1) })
    }

    /// Pops from the first of the lists that there is, and replies; `false`: there is none.
    pub fn serve(&self, context: &mut Context<'_>, args: Args<'_>) -> Result<bool, Error> {
        for key in &args.from(self.first)[..self.keys] {
            let len = list::len(context.view, key)?;
            if len > 0 {
                context.reply.array(2);
                context.reply.bulk(key);
                reply_array_popped(context.view, context.reply, key, self.end, self.count.min(len))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// LMPOP.
pub(super) fn lmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let asked = Asked::parse(args, 1)?;
    if !asked.serve(context, args)? {
        context.reply.null_array();
    }
    Ok(())
}
