//! Growing strings.

use keyspace::string;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

/// APPEND.
pub(super) fn append(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, bytes) = (args.at(1), args.at(2));
    let len = match string::look(context.view, key)? {
        Some(shape) if bytes.is_empty() => shape.len,
        Some(shape) => {
            bound_length(context, shape.len, bytes)?;
            string::write(context.view, key, shape.len, bytes)?
        }
        None => {
            bound_length(context, 0, bytes)?;
            string::set(context.view, key, bytes, None)?;
            bytes.len() as u64
        }
    };
    context.reply.integer(len as i64);
    Ok(())
}

/// SETRANGE.
pub(super) fn setrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, bytes) = (args.at(1), args.at(3));
    let offset = u64::try_from(args.integer(2)?).map_err(|_| text::OFFSET_RANGE)?;
    let shape = string::look(context.view, key)?;
    let len = if bytes.is_empty() {
        shape.map_or(0, |shape| shape.len)
    } else {
        bound_length(context, offset, bytes)?;
        string::write(context.view, key, offset, bytes)?
    };
    context.reply.integer(len as i64);
    Ok(())
}

/// Refuses to write `bytes` at `offset` when the string would grow longer than allowed.
fn bound_length(context: &Context<'_>, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    let end = offset.saturating_add(bytes.len() as u64);
    if end > context.settings.proto_max_bulk_len.min(string::MAX_LEN) { Err(text::TOO_LONG.into()) } else { Ok(()) }
}
