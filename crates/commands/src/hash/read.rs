//! Reading hashes.

use keyspace::Kind;
use keyspace::map::{self, Element};
use resp::Aggregate;

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;
use crate::member_scan;

/// HGET.
pub(super) fn hget(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    map::get(*view, args.at(1), Kind::Hash, args.at(2), |found| match found {
        Some(found) => reply.bulk(found.value),
        None => reply.null(),
    })?;
    Ok(())
}

/// HMGET.
pub(super) fn hmget(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    let fields = args.from(2);
    reply.array(fields.len());
    map::get_each(*view, args.at(1), Kind::Hash, fields, &mut |found| match found {
        Some(found) => reply.bulk(found.value),
        None => reply.null(),
    })?;
    Ok(())
}

/// HEXISTS.
pub(super) fn hexists(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let exists = map::get(context.view, args.at(1), Kind::Hash, args.at(2), |found| found.is_some())?;
    context.reply.integer(i64::from(exists));
    Ok(())
}

/// HSTRLEN.
pub(super) fn hstrlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let length = |found: Option<Element<'_>>| found.map_or(0, |found| found.value.len());
    let length = map::get(context.view, args.at(1), Kind::Hash, args.at(2), length)?;
    context.reply.integer(length as i64);
    Ok(())
}

/// HLEN. As in Redis, fields that have expired count until they are removed.
pub(super) fn hlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = map::len(context.view, args.at(1), Kind::Hash)?;
    context.reply.integer(len as i64);
    Ok(())
}

/// HGETALL.
pub(super) fn hgetall(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    let pairs = reply.begin(Aggregate::Map);
    let mut count = 0;
    map::walk(*view, args.at(1), Kind::Hash, &mut |found| {
        reply.bulk(found.name);
        reply.bulk(found.value);
        count += 1;
    })?;
    reply.end(pairs, count);
    Ok(())
}

/// HKEYS.
pub(super) fn hkeys(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    walk_one(context, args, |found| found.name)
}

/// HVALS.
pub(super) fn hvals(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    walk_one(context, args, |found| found.value)
}

/// HSCAN.
pub(super) fn hscan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    member_scan::scan(context, args, Kind::Hash)
}

fn walk_one(
    context: &mut Context<'_>,
    args: Args<'_>,
    part: impl for<'e> Fn(Element<'e>) -> &'e [u8],
) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    let array = reply.begin(Aggregate::Array);
    let mut count = 0;
    map::walk(*view, args.at(1), Kind::Hash, &mut |found| {
        reply.bulk(part(found));
        count += 1;
    })?;
    reply.end(array, count);
    Ok(())
}
