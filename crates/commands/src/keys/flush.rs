//! Emptying databases. Both words for how, ASYNC and SYNC, mean the same here: nobody waits for the disk.

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

/// FLUSHDB.
pub(super) fn flushdb(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    check_mode(args)?;
    context.view.clear()?;
    context.reply.ok();
    Ok(())
}

/// FLUSHALL.
pub(super) fn flushall(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    check_mode(args)?;
    for database in 0..context.view.databases() {
        context.view.select(database)?;
        context.view.clear()?;
    }
    context.view.select(context.database)?;
    context.reply.ok();
    Ok(())
}

fn check_mode(args: Args<'_>) -> Result<(), Error> {
    match args.from(1) {
        [] => Ok(()),
        [mode] if mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC") => Ok(()),
        _ => Err(text::SYNTAX.into()),
    }
}
