//! Changing hashes.

use keyspace::Kind;
use keyspace::map::{Batch, Deadline, Editor};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, wrong_arity};

/// HSET.
pub(super) fn hset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let added = put_pairs(context, args, "hset")?;
    context.reply.integer(added);
    Ok(())
}

/// HMSET.
pub(super) fn hmset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    put_pairs(context, args, "hmset")?;
    context.reply.ok();
    Ok(())
}

/// HSETNX.
pub(super) fn hsetnx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::One)?;
    let taken = editor.get(args.at(2), &mut Vec::new())?.is_some();
    if !taken {
        editor.put(args.at(2), args.at(3), Deadline::Set(None))?;
        editor.finish()?;
    }
    context.reply.integer(i64::from(!taken));
    Ok(())
}

/// HDEL.
pub(super) fn hdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let fields = args.from(2);
    let batch = if fields.len() == 1 { Batch::One } else { Batch::Many(0) };
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, batch)?;
    let mut removed = 0;
    if editor.exists() {
        for field in fields {
            removed += i64::from(editor.remove(field)?);
        }
        editor.finish()?;
    }
    context.reply.integer(removed);
    Ok(())
}

/// Puts the pairs from argument 2 on; answers how many fields are new.
fn put_pairs(context: &mut Context<'_>, args: Args<'_>, name: &str) -> Result<i64, Error> {
    let (pairs, rest) = args.from(2).as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong_arity(name));
    }
    let batch = if pairs.len() == 1 { Batch::One } else { Batch::Many(pairs.len()) };
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, batch)?;
    let mut added = 0;
    for [field, value] in pairs {
        added += i64::from(editor.put(field, value, Deadline::Set(None))?);
    }
    editor.finish()?;
    Ok(added)
}
