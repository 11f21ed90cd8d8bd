//! When fields expire: HEXPIRE and its kin, HTTL and its kin, HPERSIST.

use keyspace::map::{self, Batch, Deadline, Editor};
use keyspace::{Kind, Millis, View};
use resp::parse_i64;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::expiry::{Base, Format, Unit};

const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const NOT_MET: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

const FIELDS_MISSING: &str = "ERR Mandatory argument FIELDS is missing or not at the right position";
const BAD_COUNT: &str = "ERR Number of fields must be a positive integer";
const BAD_COUNT_TO_EXPIRE: &str = "ERR Parameter `numFields` should be greater than 0";
const COUNT_MISMATCH: &str = "ERR The `numfields` parameter must match the number of arguments";
const NEGATIVE: &str = "ERR invalid expire time, must be >= 0";
/// The last deadline of a field in Redis: 46 bits.
const LAST: i64 = (1 << 46) - 1;

/// HEXPIRE.
pub(super) fn hexpire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(context, args, Format::EX, "hexpire")
}

/// HPEXPIRE.
pub(super) fn hpexpire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(context, args, Format::PX, "hpexpire")
}

/// HEXPIREAT.
pub(super) fn hexpireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(context, args, Format::EXAT, "hexpireat")
}

/// HPEXPIREAT.
pub(super) fn hpexpireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(context, args, Format::PXAT, "hpexpireat")
}

/// HTTL.
pub(super) fn httl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    tell(context, args, Format::EX)
}

/// HPTTL.
pub(super) fn hpttl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    tell(context, args, Format::PX)
}

/// HEXPIRETIME.
pub(super) fn hexpiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    tell(context, args, Format::EXAT)
}

/// HPEXPIRETIME.
pub(super) fn hpexpiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    tell(context, args, Format::PXAT)
}

/// HPERSIST.
pub(super) fn hpersist(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    check_type(context.view, args.at(1))?;
    let fields = fields(args, 2, BAD_COUNT)?;
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::Many(0))?;
    let mut value = Vec::new();
    context.reply.array(fields.len());
    for field in fields {
        let outcome = match editor.get(field, &mut value)? {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(_)) => {
                editor.put(field, &value, Deadline::Set(None))?;
                DONE
            }
        };
        context.reply.integer(outcome);
    }
    editor.finish()?;
    Ok(())
}

/// Which fields get a deadline.
#[derive(Clone, Copy)]
enum Condition {
    None,
    Nx,
    Xx,
    Gt,
    Lt,
}

impl Condition {
    fn named(word: &[u8]) -> Self {
        const NAMES: [(&[u8], Condition); 4] =
            [(b"NX", Condition::Nx), (b"XX", Condition::Xx), (b"GT", Condition::Gt), (b"LT", Condition::Lt)];
        let found = NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map_or(Self::None, |(_, condition)| *condition)
    }

    fn is_met(self, old: Option<Millis>, new: Millis) -> bool {
        match self {
            Self::None => true,
            Self::Nx => old.is_none(),
            Self::Xx => old.is_some(),
            Self::Gt => old.is_some_and(|old| new > old),
            Self::Lt => old.is_none_or(|old| new < old),
        }
    }
}

fn expire(context: &mut Context<'_>, args: Args<'_>, format: Format, name: &str) -> Result<(), Error> {
    check_type(context.view, args.at(1))?;
    let at = time(format, args.at(2), context.view.now(), name)?;
    let condition = Condition::named(args.at(3));
    let fields = match condition {
        Condition::None => fields(args, 3, BAD_COUNT_TO_EXPIRE)?,
        Condition::Nx | Condition::Xx | Condition::Gt | Condition::Lt => fields(args, 4, BAD_COUNT_TO_EXPIRE)?,
    };
    let now = context.view.now();
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::Many(0))?;
    let mut value = Vec::new();
    context.reply.array(fields.len());
    for field in fields {
        let outcome = match editor.get(field, &mut value)? {
            None => NO_FIELD,
            Some(old) if !condition.is_met(old, at) => NOT_MET,
            Some(_) if at <= now => {
                editor.remove(field)?;
                DELETED
            }
            Some(_) => {
                editor.put(field, &value, Deadline::Set(Some(at)))?;
                DONE
            }
        };
        context.reply.integer(outcome);
    }
    editor.finish()?;
    Ok(())
}

/// Replies with the deadlines of fields.
fn tell(context: &mut Context<'_>, args: Args<'_>, format: Format) -> Result<(), Error> {
    check_type(context.view, args.at(1))?;
    let fields = fields(args, 2, BAD_COUNT)?;
    let base = match format.base {
        Base::Now => context.view.now().0,
        Base::Epoch => 0,
    };
    let Context { view, reply, .. } = context;
    reply.array(fields.len());
    map::get_each(*view, args.at(1), Kind::Hash, fields, &mut |found| {
        let told = match found.map(|found| found.expire_at) {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(Millis(at))) => match format.unit {
                Unit::Seconds => ((at + 999 - base) / 1000) as i64,
                Unit::Millis => (at - base) as i64,
            },
        };
        reply.integer(told);
    })?;
    Ok(())
}

/// Redis looks at the type of the key before anything else.
pub(super) fn check_type(view: &mut dyn View, key: &[u8]) -> Result<(), Error> {
    match view.record(key)? {
        Some(record) if record.head.kind != Kind::Hash => Err(text::WRONG_TYPE.into()),
        Some(_) | None => Ok(()),
    }
}

/// The fields of `FIELDS count field..` at `index`, up to the end.
pub(super) fn fields<'a>(args: Args<'a>, index: usize, bad_count: &'static str) -> Result<&'a [&'a [u8]], Error> {
    if !args.is(index, "FIELDS") {
        return Err(FIELDS_MISSING.into());
    }
    let count = args.get(index + 1).and_then(parse_i64).filter(|count| *count > 0).ok_or(bad_count)?;
    let fields = args.from(index + 2);
    if usize::try_from(count) == Ok(fields.len()) { Ok(fields) } else { Err(COUNT_MISMATCH.into()) }
}

/// The fields after FIELDS of the commands that read them.
pub(super) fn fields_to_read<'a>(args: Args<'a>, index: usize) -> Result<&'a [&'a [u8]], Error> {
    fields(args, index, BAD_COUNT)
}

/// When a field is to expire.
pub(super) fn time(format: Format, number: &[u8], now: Millis, name: &str) -> Result<Millis, Error> {
    let number = parse_i64(number).ok_or(text::NOT_INTEGER)?;
    if number < 0 {
        return Err(NEGATIVE.into());
    }
    let millis = match format.unit {
        Unit::Seconds => number.checked_mul(1000),
        Unit::Millis => Some(number),
    };
    let time = match format.base {
        Base::Now => millis.and_then(|millis| millis.checked_add(now.0 as i64)),
        Base::Epoch => millis,
    };
    let time = time.filter(|time| *time <= LAST);
    Ok(Millis(time.ok_or_else(|| format!("ERR invalid expire time in '{name}' command"))? as u64))
}
