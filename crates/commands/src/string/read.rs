//! Reading strings, whole or in part.

use keyspace::string::{self, Shape, StringError};
use keyspace::{Encoding, Kind, View};
use resp::Reply;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::expiry::Expiry;

/// GET.
pub(super) fn get(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_value(context.view, context.reply, args.at(1))?;
    Ok(())
}

/// GETDEL.
pub(super) fn getdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    if reply_value(context.view, context.reply, args.at(1))?.is_some() {
        context.view.delete(args.at(1))?;
    }
    Ok(())
}

/// GETEX.
pub(super) fn getex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut expiry = Expiry::Unsaid;
    let mut next = 2;
    while next < args.len() {
        let taken = expiry.take_persist(args, next).or_else(|| expiry.take_time(args, next));
        next = taken.ok_or(text::SYNTAX)?;
    }
    let key = args.at(1);
    let Some(shape) = reply_value(context.view, context.reply, key)? else { return Ok(()) };
    match expiry {
        Expiry::Unsaid | Expiry::Keep => {}
        Expiry::Persist if shape.expire_at.is_none() => {}
        Expiry::Persist => context.view.set_expiry(key, None)?,
        Expiry::At(..) => match expiry.time(context.view, "getex")? {
            Some(time) if time <= context.view.now() => {
                context.view.delete(key)?;
            }
            time => context.view.set_expiry(key, time)?,
        },
    }
    Ok(())
}

/// STRLEN.
pub(super) fn strlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = string::look(context.view, args.at(1))?.map_or(0, |shape| shape.len);
    context.reply.integer(len as i64);
    Ok(())
}

/// GETRANGE and SUBSTR.
pub(super) fn getrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let key = args.at(1);
    let len = string::look(context.view, key)?.map_or(0, |shape| shape.len);
    match part(len, first, last) {
        None => context.reply.empty_bulk(),
        Some((from, to)) => reply_part(context.view, context.reply, key, from, to)?,
    }
    Ok(())
}

/// The bytes `from..to` that `first` and `last`, both inclusive and counted from the end if negative, mean in a string
/// of `len`; `None` when there are none.
fn part(len: u64, first: i64, last: i64) -> Option<(u64, u64)> {
    if len == 0 || first < 0 && last < 0 && first > last {
        return None;
    }
    let clip = |index: i64| if index < 0 { len.saturating_sub(index.unsigned_abs()) } else { index as u64 };
    let (from, last) = (clip(first), clip(last).min(len - 1));
    (from <= last).then_some((from, last + 1))
}

/// Replies with the string at `key`, or null; answers its shape.
#[inline]
pub(super) fn reply_value(view: &mut dyn View, reply: &mut Reply, key: &[u8]) -> Result<Option<Shape>, StringError> {
    let shape = match view.record(key)? {
        None => {
            reply.null();
            return Ok(None);
        }
        Some(record) if record.head.kind == Kind::String && record.head.encoding == Encoding::Packed => {
            reply.bulk(record.payload);
            let len = record.payload.len() as u64;
            return Ok(Some(Shape { len, expire_at: record.head.expire_at, rows: None }));
        }
        Some(record) => string::shape(&record)?,
    };
    reply_part(view, reply, key, 0, shape.len)?;
    Ok(Some(shape))
}

/// Replies with the bytes `from..to`, which the string at `key` has.
fn reply_part(view: &mut dyn View, reply: &mut Reply, key: &[u8], from: u64, to: u64) -> Result<(), StringError> {
    let mut bulk = reply.bulk_begin((to - from) as usize);
    string::read(view, key, from, to, &mut |piece| reply.bulk_append(&mut bulk, piece))?;
    reply.bulk_end(bulk);
    Ok(())
}
