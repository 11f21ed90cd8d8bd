//! Counting bits, and finding the first.

use keyspace::string;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const BAD_BIT: &str = "ERR The bit argument must be 1 or 0.";
/// A search reads this many bytes at a time, so that it ends soon after it has found something.
const WINDOW: u64 = 32 << 10;

/// BITCOUNT.
pub(super) fn bitcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let range = match args.len() {
        2 => Range { first: 0, last: -1, unit: Unit::Byte },
        4 | 5 => Range { first: args.integer(2)?, last: args.integer(3)?, unit: Unit::parse(args, 4)? },
        _ => return Err(text::SYNTAX.into()),
    };
    let len = string::look(context.view, args.at(1))?.map_or(0, |shape| shape.len);
    // Of two places counted from the end, the one further back must come first; BITPOS only clips them.
    let is_backwards = range.first < 0 && range.last < 0 && range.first > range.last;
    let Some(bits) = range.bits(len).filter(|_| !is_backwards) else {
        context.reply.integer(0);
        return Ok(());
    };
    let mut count = 0;
    let mut at = bits.first / 8;
    string::read(context.view, args.at(1), at, bits.last / 8 + 1, &mut |piece| {
        for byte in piece {
            count += u64::from((byte & bits.mask(at)).count_ones());
            at += 1;
        }
    })?;
    context.reply.integer(count as i64);
    Ok(())
}

/// BITPOS.
pub(super) fn bitpos(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let wanted = args.integer(2)?;
    if wanted != 0 && wanted != 1 {
        return Err(BAD_BIT.into());
    }
    let first = if args.len() > 3 { args.integer(3)? } else { 0 };
    let range = match args.len() {
        3 | 4 => Range { first, last: -1, unit: Unit::Byte },
        5 | 6 => {
            let unit = Unit::parse(args, 5)?;
            Range { first, last: args.integer(4)?, unit }
        }
        _ => return Err(text::SYNTAX.into()),
    };
    let position = match string::look(context.view, args.at(1))? {
        None => -wanted,
        Some(shape) => match range.bits(shape.len) {
            None => -1,
            Some(bits) => match first_bit(context, args.at(1), bits, wanted)? {
                Some(position) => position as i64,
                // Behind a string whose end was not named there are zeros.
                None if wanted == 0 && args.len() < 5 => (shape.len * 8) as i64,
                None => -1,
            },
        },
    };
    context.reply.integer(position);
    Ok(())
}

/// The first bit of `bits` that is `wanted`.
fn first_bit(context: &mut Context<'_>, key: &[u8], bits: Bits, wanted: i64) -> Result<Option<u64>, Error> {
    let flip = if wanted == 1 { 0 } else { 0xff };
    let end = bits.last / 8 + 1;
    let mut from = bits.first / 8;
    let mut found = None;
    while from < end && found.is_none() {
        let to = end.min(from + WINDOW);
        let mut at = from;
        string::read(context.view, key, from, to, &mut |piece| {
            for byte in piece {
                let hits = (byte ^ flip) & bits.mask(at);
                if hits != 0 && found.is_none() {
                    found = Some(at * 8 + u64::from(hits.leading_zeros()));
                }
                at += 1;
            }
        })?;
        from = to;
    }
    Ok(found)
}

/// What the indexes of a range count.
#[derive(Clone, Copy)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn parse(args: Args<'_>, index: usize) -> Result<Self, Error> {
        match args.get(index) {
            None => Ok(Self::Byte),
            Some(unit) if unit.eq_ignore_ascii_case(b"BYTE") => Ok(Self::Byte),
            Some(unit) if unit.eq_ignore_ascii_case(b"BIT") => Ok(Self::Bit),
            Some(_) => Err(text::SYNTAX.into()),
        }
    }
}

/// A range as the client says it: inclusive, negative from the end.
struct Range {
    first: i64,
    last: i64,
    unit: Unit,
}

impl Range {
    /// The bits it means in a string of `len` bytes, if any.
    fn bits(&self, len: u64) -> Option<Bits> {
        if len == 0 {
            return None;
        }
        let units = match self.unit {
            Unit::Byte => len,
            Unit::Bit => len * 8,
        };
        let clip = |index: i64| if index < 0 { units.saturating_sub(index.unsigned_abs()) } else { index as u64 };
        let (first, last) = (clip(self.first), clip(self.last).min(units - 1));
        if first > last {
            return None;
        }
        Some(match self.unit {
            Unit::Byte => Bits { first: first * 8, last: last * 8 + 7 },
            Unit::Bit => Bits { first, last },
        })
    }
}

/// Bits of a string, both ends inclusive.
#[derive(Clone, Copy)]
struct Bits {
    first: u64,
    last: u64,
}

impl Bits {
    /// Which bits of the byte at `index` are meant.
    fn mask(self, index: u64) -> u8 {
        let mut mask = 0xff;
        if index == self.first / 8 {
            mask &= 0xff >> (self.first % 8);
        }
        if index == self.last / 8 {
            mask &= 0xff << (7 - self.last % 8);
        }
        mask
    }
}
