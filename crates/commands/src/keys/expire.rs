//! When keys expire.

use keyspace::Millis;

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;
use crate::expiry::Format;

const NX_AND_OTHERS: &str = "ERR NX and XX, GT or LT options at the same time are not compatible";
const GT_AND_LT: &str = "ERR GT and LT options at the same time are not compatible";
const NO_KEY: i64 = -2;
const NO_EXPIRY: i64 = -1;

/// EXPIRE.
pub(super) fn expire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    set(context, args, Format::EX, "expire")
}

/// PEXPIRE.
pub(super) fn pexpire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    set(context, args, Format::PX, "pexpire")
}

/// EXPIREAT.
pub(super) fn expireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    set(context, args, Format::EXAT, "expireat")
}

/// PEXPIREAT.
pub(super) fn pexpireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    set(context, args, Format::PXAT, "pexpireat")
}

/// TTL.
pub(super) fn ttl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(context, args, |at, now| rounded_seconds(at.0.saturating_sub(now.0)))
}

/// PTTL.
pub(super) fn pttl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(context, args, |at, now| at.0.saturating_sub(now.0))
}

/// EXPIRETIME.
pub(super) fn expiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(context, args, |at, _| rounded_seconds(at.0))
}

/// PEXPIRETIME.
pub(super) fn pexpiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    reply_time(context, args, |at, _| at.0)
}

/// PERSIST.
pub(super) fn persist(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let expires = context.view.record(args.at(1))?.is_some_and(|record| record.head.expire_at.is_some());
    if expires {
        context.view.set_expiry(args.at(1), None)?;
    }
    context.reply.integer(i64::from(expires));
    Ok(())
}

fn rounded_seconds(millis: u64) -> u64 {
    millis.saturating_add(500) / 1000
}

fn reply_time(context: &mut Context<'_>, args: Args<'_>, tell: fn(Millis, Millis) -> u64) -> Result<(), Error> {
    let now = context.view.now();
    let answer = match context.view.record(args.at(1))? {
        None => NO_KEY,
        Some(record) => record.head.expire_at.map_or(NO_EXPIRY, |at| tell(at, now) as i64),
    };
    context.reply.integer(answer);
    Ok(())
}

fn set(context: &mut Context<'_>, args: Args<'_>, format: Format, command: &str) -> Result<(), Error> {
    let limits = Limits::parse(args)?;
    let key = args.at(1);
    let now = context.view.now();
    let time = format.time(args.at(2), now, command)?;
    let done = match context.view.record(key)?.map(|record| record.head.expire_at) {
        Some(old) if limits.allow(old, time) => {
            match u64::try_from(time).ok().map(Millis).filter(|time| *time > now) {
                Some(time) => context.view.set_expiry(key, Some(time))?,
                None => {
                    context.view.delete(key)?;
                }
            }
            true
        }
        Some(_) | None => false,
    };
    context.reply.integer(i64::from(done));
    Ok(())
}

/// Which old expiries may be replaced.
#[derive(Default)]
struct Limits {
    /// NX: none.
    only_unset: bool,
    /// XX: any, but there must be one.
    only_set: bool,
    /// GT: an earlier one.
    only_later: bool,
    /// LT: a later one, or none.
    only_earlier: bool,
}

impl Limits {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut limits = Self::default();
        for option in args.from(3) {
            let limit = match option {
                option if option.eq_ignore_ascii_case(b"NX") => &mut limits.only_unset,
                option if option.eq_ignore_ascii_case(b"XX") => &mut limits.only_set,
                option if option.eq_ignore_ascii_case(b"GT") => &mut limits.only_later,
                option if option.eq_ignore_ascii_case(b"LT") => &mut limits.only_earlier,
                _ => return Err([b"ERR Unsupported option ", *option].concat().into()),
            };
            *limit = true;
        }
        if limits.only_unset && (limits.only_set || limits.only_later || limits.only_earlier) {
            return Err(NX_AND_OTHERS.into());
        }
        if limits.only_later && limits.only_earlier {
            return Err(GT_AND_LT.into());
        }
        Ok(limits)
    }

    fn allow(&self, old: Option<Millis>, new: i64) -> bool {
        match old.map(|old| old.0 as i64) {
            None => !self.only_set && !self.only_later,
            Some(old) => !self.only_unset && (!self.only_later || new > old) && (!self.only_earlier || new < old),
        }
    }
}
