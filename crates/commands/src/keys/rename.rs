//! Giving a key another name.

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

/// RENAME.
pub(super) fn rename(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to) = (args.at(1), args.at(2));
    require(context, from)?;
    if from != to {
        context.view.rename(from, to)?;
    }
    context.reply.ok();
    Ok(())
}

/// RENAMENX.
pub(super) fn renamenx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to) = (args.at(1), args.at(2));
    require(context, from)?;
    let free = context.view.record(to)?.is_none();
    if free {
        context.view.rename(from, to)?;
    }
    context.reply.integer(i64::from(free));
    Ok(())
}

fn require(context: &mut Context<'_>, key: &[u8]) -> Result<(), Error> {
    if context.view.record(key)?.is_some() { Ok(()) } else { Err(text::NO_SUCH_KEY.into()) }
}
