//! Single bits.

use keyspace::{View, string};
use resp::parse_i64;

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;

const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";
const BAD_BIT: &str = "ERR bit is not an integer or out of range";

/// GETBIT.
pub(super) fn getbit(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let bit = Bit::parse(context, args.at(2))?;
    let byte = byte_at(context.view, args.at(1), bit.byte)?.unwrap_or(0);
    context.reply.integer(i64::from(byte & bit.mask != 0));
    Ok(())
}

/// SETBIT. A bit that is as wanted in a string that is long enough is left alone.
pub(super) fn setbit(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let bit = Bit::parse(context, args.at(2))?;
    let wanted = match args.at(3) {
        b"0" => 0,
        b"1" => bit.mask,
        _ => return Err(BAD_BIT.into()),
    };
    let old = byte_at(context.view, args.at(1), bit.byte)?;
    let new = old.unwrap_or(0) & !bit.mask | wanted;
    if old != Some(new) {
        string::write(context.view, args.at(1), bit.byte, &[new])?;
    }
    context.reply.integer(i64::from(old.unwrap_or(0) & bit.mask != 0));
    Ok(())
}

/// The place of a bit.
struct Bit {
    byte: u64,
    mask: u8,
}

impl Bit {
    fn parse(context: &Context<'_>, offset: &[u8]) -> Result<Self, Error> {
        let offset = parse_i64(offset).and_then(|offset| u64::try_from(offset).ok()).ok_or(BAD_OFFSET)?;
        let byte = offset / 8;
        if byte >= context.settings.proto_max_bulk_len.min(string::MAX_LEN) {
            return Err(BAD_OFFSET.into());
        }
        Ok(Self { byte, mask: 0x80 >> (offset % 8) })
    }
}

/// One byte of the string at `key`, if it is that long.
fn byte_at(view: &mut dyn View, key: &[u8], index: u64) -> Result<Option<u8>, Error> {
    let mut byte = None;
    string::read(view, key, index, index + 1, &mut |piece| byte = piece.first().copied())?;
    Ok(byte)
}
