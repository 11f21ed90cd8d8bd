//! How a blocking command says that there is nothing to answer yet.
//!
//! ```text
//!   BLPOP a b 5 ──looks──▶ an element: pops it, replies
//!                    └───▶ nothing: Context::wait ──▶ Error::Wait ──▶ the session sleeps
//!                                        │                              │ a commit makes `a` or `b` a list
//!                                        └─ in a transaction: the       ▼
//!                                           reply says "nothing"    the command is run again from its start
//! ```
//!
//! A command that is run again knows nothing of its first run. Its time limit counts from the first run all the same.

use core::ops::Range;
use core::time::Duration;

use keyspace::Kind;
use resp::{Reply, parse_f64};

use crate::args::Args;
use crate::context::{Context, Waiting};
use crate::error::Error;
use crate::spec::Command;

const NOT_FLOAT: &str = "ERR timeout is not a float or out of range";
const NEGATIVE: &str = "ERR timeout is negative";
const OUT_OF_RANGE: &str = "ERR timeout is out of range";

/// Nothing is there: until when to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The arguments that are keys which may bring something.
    pub keys: Range<usize>,
    /// What such a key must come to hold; other types wake nobody.
    pub kind: Kind,
    /// How long to wait; `None`: for ever.
    pub timeout: Option<Duration>,
}

impl Context<'_> {
    /// Ends a run that found nothing: with an error that has the session wait, or, where waiting is out of place, with
    /// the reply that `nothing` writes.
    ///
    /// # Errors
    /// [`Error::Wait`], which the command passes on.
    pub fn wait(&mut self, wait: Wait, nothing: fn(&mut Reply)) -> Result<(), Error> {
        match self.waiting {
            Waiting::Allowed => Err(Error::Wait(Box::new(wait))),
            Waiting::Refused => {
                nothing(self.reply);
                Ok(())
            }
        }
    }
}

/// Argument `index` as a time limit in seconds, of which there may be fractions; 0 is none. Rounded up to whole
/// milliseconds.
///
/// # Errors
/// The client's, with Redis's texts.
pub fn timeout(args: Args<'_>, index: usize) -> Result<Option<Duration>, Error> {
    let millis = (parse_f64(args.at(index)).ok_or(NOT_FLOAT)? * 1000.0).ceil();
    if millis.is_nan() {
        return Err(NOT_FLOAT.into());
    }
    if millis < 0.0 {
        return Err(NEGATIVE.into());
    }
    // So much is left for the clock to be added to it.
    if millis >= (i64::MAX / 2) as f64 {
        return Err(OUT_OF_RANGE.into());
    }
    Ok((millis > 0.0).then(|| Duration::from_millis(millis as u64)))
}

/// What a blocking command would wait for if there were nothing. `None`: it is none, or its arguments are wrong, which it
/// says itself.
#[must_use]
pub fn wait_of(command: &Command, args: Args<'_>) -> Option<Wait> {
    let last = args.len() - 1;
    let counted = || {
        let count = usize::try_from(args.integer(2).ok()?).ok()?;
        let end = count.checked_add(3).filter(|end| count > 0 && *end <= last)?;
        Some((3..end, 1))
    };
    let (kind, (keys, limit)) = match command.spec.name {
        "blpop" | "brpop" => (Kind::List, (1..last, last)),
        "blmove" | "brpoplpush" => (Kind::List, (1..2, last)),
        "blmpop" => (Kind::List, counted()?),
        "bzpopmin" | "bzpopmax" => (Kind::Zset, (1..last, last)),
        "bzmpop" => (Kind::Zset, counted()?),
        _ => return None,
    };
    let timeout = timeout(args, limit).ok()?;
    Some(Wait { keys, kind, timeout })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Duration>, Error> {
        timeout(Args::new(&[b"blpop", b"k", text.as_bytes()]), 2)
    }

    #[test]
    fn seconds_are_rounded_up_to_milliseconds() {
        for (text, millis) in [("1", 1000), ("0.0001", 1), ("1.5", 1500), ("1e3", 1_000_000), ("0.0015", 2)] {
            assert_eq!(read(text), Ok(Some(Duration::from_millis(millis))), "{text}");
        }
        assert_eq!(read("0"), Ok(None));
        assert_eq!(read("-0.0001"), Ok(None), "rounded up, that is none at all, in Redis, too");
    }

    #[test]
    fn bad_times_are_refused_with_the_texts_of_redis() {
        for (text, error) in [
            ("", NOT_FLOAT),
            ("x", NOT_FLOAT),
            ("1 ", NOT_FLOAT),
            ("-1", NEGATIVE),
            ("-inf", NEGATIVE),
            ("inf", OUT_OF_RANGE),
            ("0x7FFFFFFFFFFFFF", OUT_OF_RANGE),
            ("9223372036854775807", OUT_OF_RANGE),
        ] {
            assert_eq!(read(text), Err(Error::from(error)), "{text}");
        }
    }
}
