//! Conditions on the value of a string, and the digest that stands for a long one.

use keyspace::{Encoding, Kind, View, string};
use twox_hash::XxHash3_64;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text, wrong_arity};

const BAD_DIGEST: &str = "ERR must be exactly 16 hexadecimal characters";
const BAD_CONDITION: &str = "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE";
const NOT_A_STRING: &str = "ERR Key should be of string type if conditions are specified";
const DIGEST_LEN: usize = 16;

/// What must hold of a key before a command changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    Always,
    /// NX.
    Absent,
    /// XX.
    Present,
    /// One of the four on the value.
    Value(Test, &'a [u8]),
}

/// A condition on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// IFEQ.
    Equal,
    /// IFNE.
    Unequal,
    /// IFDEQ.
    DigestEqual,
    /// IFDNE.
    DigestUnequal,
}

impl Test {
    fn named(option: &[u8]) -> Option<Self> {
        const NAMES: [(&str, Test); 4] = [
            ("IFEQ", Test::Equal),
            ("IFNE", Test::Unequal),
            ("IFDEQ", Test::DigestEqual),
            ("IFDNE", Test::DigestUnequal),
        ];
        NAMES.iter().find(|(name, _)| option.eq_ignore_ascii_case(name.as_bytes())).map(|(_, test)| *test)
    }

    /// Whether it holds of no value at all.
    const fn holds_of_nothing(self) -> bool {
        match self {
            Self::Equal | Self::DigestEqual => false,
            Self::Unequal | Self::DigestUnequal => true,
        }
    }

    /// Whether it holds of the string at `key`, which is there.
    fn holds(self, view: &mut dyn View, key: &[u8], operand: &[u8]) -> Result<bool, Error> {
        Ok(match self {
            Self::Equal => is_equal(view, key, operand)?,
            Self::Unequal => !is_equal(view, key, operand)?,
            Self::DigestEqual => has_digest(view, key, operand)?,
            Self::DigestUnequal => !has_digest(view, key, operand)?,
        })
    }
}

impl<'a> Condition<'a> {
    /// Takes the option at `index` if it is a condition and goes with what was said before: the same may be said twice.
    /// Answers where the next option is.
    pub(super) fn take(&mut self, args: Args<'a>, index: usize) -> Option<usize> {
        if let Some(next) = self.take_presence(args, index) {
            return Some(next);
        }
        let test = Test::named(args.get(index)?)?;
        let operand = args.get(index + 1)?;
        let fits = match *self {
            Self::Always => true,
            Self::Value(old, _) => old == test,
            Self::Absent | Self::Present => false,
        };
        fits.then(|| {
            *self = Self::Value(test, operand);
            index + 2
        })
    }

    /// Like [`Condition::take`], for NX and XX only.
    pub(super) fn take_presence(&mut self, args: Args<'_>, index: usize) -> Option<usize> {
        let meaning = match args.get(index)? {
            option if option.eq_ignore_ascii_case(b"NX") => Self::Absent,
            option if option.eq_ignore_ascii_case(b"XX") => Self::Present,
            _ => return None,
        };
        (*self == Self::Always || *self == meaning).then(|| {
            *self = meaning;
            index + 1
        })
    }

    /// Whether it holds of `key` now.
    pub(super) fn holds(self, view: &mut dyn View, key: &[u8]) -> Result<bool, Error> {
        Ok(match self {
            Self::Always => true,
            Self::Absent => view.record(key)?.is_none(),
            Self::Present => view.record(key)?.is_some(),
            Self::Value(test, operand) => match string::look(view, key)? {
                None => test.holds_of_nothing(),
                Some(_) => test.holds(view, key, operand)?,
            },
        })
    }
}

/// DELEX.
pub(super) fn delex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let deleted = match args.len() {
        2 => context.view.delete(key)?,
        4 => match context.view.record(key)?.map(|record| record.head.kind) {
            None => false,
            Some(Kind::String) => {
                let test = Test::named(args.at(2)).ok_or(BAD_CONDITION)?;
                test.holds(context.view, key, args.at(3))? && context.view.delete(key)?
            }
            Some(_) => return Err(NOT_A_STRING.into()),
        },
        _ => return Err(wrong_arity("delex")),
    };
    context.reply.integer(i64::from(deleted));
    Ok(())
}

/// DIGEST.
pub(super) fn digest(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    match digest_of(context.view, args.at(1))? {
        None => context.reply.null(),
        Some(digits) => context.reply.bulk(&digits),
    }
    Ok(())
}

fn is_equal(view: &mut dyn View, key: &[u8], operand: &[u8]) -> Result<bool, Error> {
    let len = string::look(view, key)?.map_or(0, |shape| shape.len);
    if len != operand.len() as u64 {
        return Ok(false);
    }
    let mut rest = operand;
    let mut equal = true;
    string::read(view, key, 0, len, &mut |piece| {
        let (expected, after) = rest.split_at(piece.len());
        equal &= expected == piece;
        rest = after;
    })?;
    Ok(equal)
}

fn has_digest(view: &mut dyn View, key: &[u8], operand: &[u8]) -> Result<bool, Error> {
    if operand.len() != DIGEST_LEN {
        return Err(BAD_DIGEST.into());
    }
    Ok(digest_of(view, key)?.is_some_and(|digits| digits.eq_ignore_ascii_case(operand)))
}

/// The digest of the string at `key`, in hexadecimal digits.
fn digest_of(view: &mut dyn View, key: &[u8]) -> Result<Option<[u8; DIGEST_LEN]>, Error> {
    let hash = match view.record(key)? {
        None => return Ok(None),
        Some(record) if record.head.kind != Kind::String => return Err(text::WRONG_TYPE.into()),
        Some(record) if record.head.encoding == Encoding::Packed => XxHash3_64::oneshot(record.payload),
        Some(_) => XxHash3_64::oneshot(&string::read_all(view, key)?.unwrap_or_default()),
    };
    let digit = |place: usize| b"0123456789abcdef"[(hash >> (4 * (DIGEST_LEN - 1 - place)) & 15) as usize];
    Ok(Some(std::array::from_fn(digit)))
}
