//! Members of one set.

use keyspace::Kind;
use keyspace::map::{self, Batch, Deadline, Editor};
use resp::Aggregate;

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;
use crate::member_scan;

/// SADD.
pub(super) fn sadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = args.from(2);
    let batch = if members.len() == 1 { Batch::One } else { Batch::Many(members.len()) };
    let mut editor = Editor::open(context.view, args.at(1), Kind::Set, batch)?;
    let mut added = 0;
    for member in members {
        added += i64::from(editor.put(member, b"", Deadline::Keep)?);
    }
    editor.finish()?;
    context.reply.integer(added);
    Ok(())
}

/// SREM.
pub(super) fn srem(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = args.from(2);
    let batch = if members.len() == 1 { Batch::One } else { Batch::Many(0) };
    let mut editor = Editor::open(context.view, args.at(1), Kind::Set, batch)?;
    let mut removed = 0;
    if editor.exists() {
        for member in members {
            removed += i64::from(editor.remove(member)?);
        }
        editor.finish()?;
    }
    context.reply.integer(removed);
    Ok(())
}

/// SMOVE.
pub(super) fn smove(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to, member) = (args.at(1), args.at(2), args.at(3));
    // Both types are checked before anything happens, but only if there is a source.
    if context.view.record(from)?.is_none() {
        context.reply.integer(0);
        return Ok(());
    }
    let has = map::get(context.view, from, Kind::Set, member, |found| found.is_some())?;
    Editor::open(context.view, to, Kind::Set, Batch::One)?;
    if has && from != to {
        let mut source = Editor::open(context.view, from, Kind::Set, Batch::One)?;
        source.remove(member)?;
        source.finish()?;
        let mut target = Editor::open(context.view, to, Kind::Set, Batch::One)?;
        target.put(member, b"", Deadline::Keep)?;
        target.finish()?;
    }
    context.reply.integer(i64::from(has));
    Ok(())
}

/// SISMEMBER.
pub(super) fn sismember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let has = map::get(context.view, args.at(1), Kind::Set, args.at(2), |found| found.is_some())?;
    context.reply.integer(i64::from(has));
    Ok(())
}

/// SMISMEMBER.
pub(super) fn smismember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    let members = args.from(2);
    reply.array(members.len());
    map::get_each(*view, args.at(1), Kind::Set, members, &mut |found| {
        reply.integer(i64::from(found.is_some()));
    })?;
    Ok(())
}

/// SCARD.
pub(super) fn scard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let len = map::len(context.view, args.at(1), Kind::Set)?;
    context.reply.integer(len as i64);
    Ok(())
}

/// SMEMBERS.
pub(super) fn smembers(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let Context { view, reply, .. } = context;
    let set = reply.begin(Aggregate::Set);
    let mut count = 0;
    map::walk(*view, args.at(1), Kind::Set, &mut |found| {
        reply.bulk(found.name);
        count += 1;
    })?;
    reply.end(set, count);
    Ok(())
}

/// SSCAN.
pub(super) fn sscan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    member_scan::scan(context, args, Kind::Set)
}
