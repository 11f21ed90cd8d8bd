//! When a key expires, as clients say it.

use keyspace::{Millis, View};
use resp::parse_i64;

use crate::args::Args;
use crate::error::{Error, text};

/// What a number of a client counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Millis,
}

/// From when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Now,
    Epoch,
}

/// How an argument says when a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) unit: Unit,
    pub(crate) base: Base,
}

impl Format {
    pub(crate) const EX: Self = Self { unit: Unit::Seconds, base: Base::Now };
    pub(crate) const PX: Self = Self { unit: Unit::Millis, base: Base::Now };
    pub(crate) const EXAT: Self = Self { unit: Unit::Seconds, base: Base::Epoch };
    pub(crate) const PXAT: Self = Self { unit: Unit::Millis, base: Base::Epoch };

    /// The format that an option stands for.
    pub(crate) fn named(option: &[u8]) -> Option<Self> {
        const NAMES: [(&str, Format); 4] =
            [("EX", Format::EX), ("PX", Format::PX), ("EXAT", Format::EXAT), ("PXAT", Format::PXAT)];
        NAMES.iter().find(|(name, _)| option.eq_ignore_ascii_case(name.as_bytes())).map(|(_, format)| *format)
    }

    /// The time that `number` stands for, which may lie in the past, even before the epoch.
    ///
    /// # Errors
    /// When it is no integer, or cannot be told in milliseconds; `command` is the name for the reply.
    pub(crate) fn time(self, number: &[u8], now: Millis, command: &str) -> Result<i64, Error> {
        let number = parse_i64(number).ok_or(text::NOT_INTEGER)?;
        let millis = match self.unit {
            Unit::Seconds => number.checked_mul(1000),
            Unit::Millis => Some(number),
        };
        let time = match self.base {
            Base::Now => millis.and_then(|millis| millis.checked_add(now.0 as i64)),
            Base::Epoch => millis,
        };
        time.ok_or_else(|| invalid(command))
    }

    /// Like [`Format::time`] where the number must be positive.
    pub(crate) fn positive_time(self, number: &[u8], now: Millis, command: &str) -> Result<Millis, Error> {
        if parse_i64(number).is_some_and(|number| number <= 0) {
            return Err(invalid(command));
        }
        Ok(Millis(self.time(number, now, command)? as u64))
    }
}

/// An option of SET, GETEX or MSETEX that says when keys expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry<'a> {
    /// Not mentioned.
    Unsaid,
    /// As before.
    Keep,
    /// Never.
    Persist,
    /// Then.
    At(Format, &'a [u8]),
}

impl<'a> Expiry<'a> {
    /// Takes the option at `index` if it is EX, PX, EXAT or PXAT with its number and goes with what was said before:
    /// the same may be said twice. Answers where the next option is.
    pub(crate) fn take_time(&mut self, args: Args<'a>, index: usize) -> Option<usize> {
        let format = Format::named(args.get(index)?)?;
        let number = args.get(index + 1)?;
        let fits = match *self {
            Self::Unsaid => true,
            Self::At(old, _) => old == format,
            Self::Keep | Self::Persist => false,
        };
        fits.then(|| {
            *self = Self::At(format, number);
            index + 2
        })
    }

    /// Takes the option at `index` if it is KEEPTTL and goes with what was said before.
    pub(crate) fn take_keep(&mut self, args: Args<'_>, index: usize) -> Option<usize> {
        self.take_word(args, index, "KEEPTTL", Self::Keep)
    }

    /// Takes the option at `index` if it is PERSIST and goes with what was said before.
    pub(crate) fn take_persist(&mut self, args: Args<'_>, index: usize) -> Option<usize> {
        self.take_word(args, index, "PERSIST", Self::Persist)
    }

    fn take_word(&mut self, args: Args<'_>, index: usize, word: &str, meaning: Self) -> Option<usize> {
        (args.is(index, word) && (*self == Self::Unsaid || *self == meaning)).then(|| {
            *self = meaning;
            index + 1
        })
    }

    /// The time it names, if it does.
    pub(crate) fn time(self, view: &dyn View, command: &str) -> Result<Option<Millis>, Error> {
        match self {
            Self::At(format, number) => format.positive_time(number, view.now(), command).map(Some),
            Self::Unsaid | Self::Keep | Self::Persist => Ok(None),
        }
    }
}

fn invalid(command: &str) -> Error {
    format!("ERR invalid expire time in '{command}' command").into()
}
