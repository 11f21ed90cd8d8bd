//! Random members of one set.

use keyspace::Kind;
use keyspace::map::{self, Batch, Editor, Picks};
use resp::{Aggregate, parse_i64};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

/// SPOP.
pub(super) fn spop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        2 => pop_one(context, args),
        3 => pop_many(context, args),
        _ => Err(text::SYNTAX.into()),
    }
}

/// SRANDMEMBER.
pub(super) fn srandmember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let picks = match args.len() {
        2 => Picks::Different(1),
        3 => {
            let count = args.integer(2)?;
            if count == i64::MIN {
                return Err(text::NOT_LONG.into());
            }
            let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if count < 0 { Picks::Any(wanted) } else { Picks::Different(wanted) }
        }
        _ => return Err(text::SYNTAX.into()),
    };
    let Context { view, reply, .. } = context;
    let mut count = 0;
    let array = (args.len() == 3).then(|| reply.begin(Aggregate::Array));
    map::pick(*view, args.at(1), Kind::Set, picks, &mut |found| {
        reply.bulk(found.name);
        count += 1;
    })?;
    match array {
        Some(array) => reply.end(array, count),
        None if count == 0 => reply.null(),
        None => {}
    }
    Ok(())
}

fn pop_one(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut member = Vec::new();
    let mut editor = Editor::open(context.view, args.at(1), Kind::Set, Batch::One)?;
    if editor.pop(&mut member)? {
        editor.finish()?;
        context.reply.bulk(&member);
    } else {
        context.reply.null();
    }
    Ok(())
}

fn pop_many(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = parse_i64(args.at(2)).and_then(|count| usize::try_from(count).ok()).ok_or(NOT_POSITIVE)?;
    let key = args.at(1);
    // What is picked is known before anything is removed: one walk does for a large share of the members.
    let mut members = Vec::new();
    map::pick(context.view, key, Kind::Set, Picks::Different(count), &mut |found| members.push(found.name.to_vec()))?;
    let len = map::len(context.view, key, Kind::Set)?;
    if !members.is_empty() && members.len() as u64 == len {
        context.view.delete(key)?;
    } else if !members.is_empty() {
        let mut editor = Editor::open(context.view, key, Kind::Set, Batch::Many(0))?;
        for member in &members {
            editor.remove(member)?;
        }
        editor.finish()?;
    }
    context.reply.set(members.len());
    members.iter().for_each(|member| context.reply.bulk(member));
    Ok(())
}
