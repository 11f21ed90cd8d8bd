//! HGETDEL, HGETEX, HSETEX: fields read or written, and removed or given a deadline at once.

use keyspace::map::{Batch, Deadline, Editor};
use keyspace::{Kind, Millis};
use resp::parse_i64;

use super::deadline::{check_type, fields_to_read, time};
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, wrong_arity};
use crate::expiry::Format;

const BAD_COUNT: &str = "ERR invalid number of fields";
const MISSING_TIME: &str = "ERR missing expire time";
const ONE_CONDITION: &str = "ERR Only one of FXX or FNX arguments can be specified";
const ONE_DEADLINE: &str = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";

/// HGETDEL.
pub(super) fn hgetdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    check_type(context.view, args.at(1))?;
    let fields = fields_to_read(args, 2)?;
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::Many(0))?;
    let mut value = Vec::new();
    context.reply.array(fields.len());
    for field in fields {
        if editor.get(field, &mut value)?.is_some() {
            context.reply.bulk(&value);
            editor.remove(field)?;
        } else {
            context.reply.null();
        }
    }
    editor.finish()?;
    Ok(())
}

/// HGETEX.
pub(super) fn hgetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    check_type(context.view, args.at(1))?;
    let now = context.view.now();
    let (deadline, next) = match Format::named(args.at(2)) {
        Some(format) => (Some(Some(time(format, args.at(3), now, "hgetex")?)), 4),
        None if args.is(2, "PERSIST") => (Some(None), 3),
        None => (None, 2),
    };
    let fields = fields_to_read(args, next)?;
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::Many(0))?;
    let mut value = Vec::new();
    context.reply.array(fields.len());
    for field in fields {
        let Some(old) = editor.get(field, &mut value)? else {
            context.reply.null();
            continue;
        };
        context.reply.bulk(&value);
        match deadline {
            Some(Some(at)) if at <= now => drop(editor.remove(field)?),
            Some(new) if new != old => drop(editor.put(field, &value, Deadline::Set(new))?),
            Some(_) | None => {}
        }
    }
    editor.finish()?;
    Ok(())
}

/// HSETEX.
pub(super) fn hsetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let now = context.view.now();
    let options = Options::parse(args, now)?;
    let mut editor = Editor::open(context.view, args.at(1), Kind::Hash, Batch::Many(options.pairs.len()))?;
    let mut old = Vec::new();
    for [field, _] in options.pairs {
        let fits = match options.condition {
            Condition::None => break,
            Condition::AllExist => editor.get(field, &mut old)?.is_some(),
            Condition::NoneExists => editor.get(field, &mut old)?.is_none(),
        };
        if !fits {
            context.reply.integer(0);
            return Ok(());
        }
    }
    for [field, value] in options.pairs {
        match options.deadline {
            Deadline::Set(Some(at)) if at <= now => drop(editor.remove(field)?),
            deadline => drop(editor.put(field, value, deadline)?),
        }
    }
    editor.finish()?;
    context.reply.integer(1);
    Ok(())
}

/// Which fields must be there before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    None,
    AllExist,
    NoneExists,
}

struct Options<'a> {
    condition: Condition,
    deadline: Deadline,
    pairs: &'a [[&'a [u8]; 2]],
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, now: Millis) -> Result<Self, Error> {
        let (mut condition, mut deadline) = (Condition::None, None);
        let mut next = 2;
        while next < args.len() {
            if args.is(next, "FIELDS") {
                let pairs = pairs(args, next)?;
                return Ok(Self { condition, deadline: deadline.unwrap_or(Deadline::Set(None)), pairs });
            }
            if let Some(format) = Format::named(args.at(next)) {
                if deadline.is_some() {
                    return Err(ONE_DEADLINE.into());
                }
                next += 1;
                let number = args.get(next).ok_or(MISSING_TIME)?;
                deadline = Some(Deadline::Set(Some(time(format, number, now, "hsetex")?)));
            } else if args.is(next, "KEEPTTL") {
                if deadline.is_some() {
                    return Err(ONE_DEADLINE.into());
                }
                deadline = Some(Deadline::Keep);
            } else if args.is(next, "FXX") || args.is(next, "FNX") {
                if condition != Condition::None {
                    return Err(ONE_CONDITION.into());
                }
                condition = if args.is(next, "FXX") { Condition::AllExist } else { Condition::NoneExists };
            } else {
                return Err([b"ERR unknown argument: ", args.at(next)].concat().into());
            }
            next += 1;
        }
        Err(wrong_arity("hsetex"))
    }
}

/// The pairs of `FIELDS count field value..` at `index`, up to the end.
fn pairs<'a>(args: Args<'a>, index: usize) -> Result<&'a [[&'a [u8]; 2]], Error> {
    if index + 3 >= args.len() {
        return Err(wrong_arity("hsetex"));
    }
    let count = parse_i64(args.at(index + 1)).and_then(|count| i32::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(BAD_COUNT)?;
    let (pairs, rest) = args.from(index + 2).as_chunks::<2>();
    let fits = rest.is_empty() && usize::try_from(count) == Ok(pairs.len());
    if fits { Ok(pairs) } else { Err(wrong_arity("hsetex")) }
}
