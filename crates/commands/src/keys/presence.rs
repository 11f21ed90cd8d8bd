//! Whether keys are there, what they hold, and making them go.

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;

/// EXISTS, and TOUCH: looking at a key is using it.
pub(super) fn exists(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut count = 0;
    for key in args.from(1) {
        count += i64::from(context.view.record(key)?.is_some());
    }
    context.reply.integer(count);
    Ok(())
}

/// TYPE.
pub(super) fn kind(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let name = context.view.record(args.at(1))?.map_or("none", |record| record.head.kind.name());
    context.reply.simple(name);
    Ok(())
}

/// DEL and UNLINK.
pub(super) fn delete(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut count = 0;
    for key in args.from(1) {
        count += i64::from(context.view.delete(key)?);
    }
    context.reply.integer(count);
    Ok(())
}
