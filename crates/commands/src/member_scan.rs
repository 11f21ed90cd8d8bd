//! HSCAN and SSCAN: a step through the elements of one map.

use keyspace::Kind;
use keyspace::map::{self, Element};
use resp::Reply;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::glob::{self, Case};
use crate::keys::parse_cursor;

const BAD_CURSOR: &str = "ERR invalid cursor";
const ONLY_HSCAN: &str = "ERR NOVALUES option can only be used in HSCAN";
const DEFAULT_COUNT: usize = 10;

/// What is told of each element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Names,
    Pairs,
}

/// Replies with one step. `args` are cursor and options from argument 2 on.
pub(crate) fn scan(context: &mut Context<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    let cursor = parse_cursor(args.at(2)).ok_or(BAD_CURSOR)?;
    // Redis looks at the key before it looks at the options.
    match context.view.record(args.at(1))? {
        None => {
            reply(context.reply, 0, 0, &[]);
            return Ok(());
        }
        Some(record) if record.head.kind != kind => return Err(text::WRONG_TYPE.into()),
        Some(_) => {}
    }
    let options = Options::parse(args, kind)?;
    let mut found = Reply::new(context.reply.protocol());
    let mut count = 0;
    let next = map::scan(context.view, args.at(1), kind, cursor, options.count, &mut |element: Element<'_>| {
        if options.pattern.is_none_or(|pattern| glob::matches(pattern, element.name, Case::Sensitive)) {
            found.bulk(element.name);
            count += 1;
            if options.told == Told::Pairs {
                found.bulk(element.value);
                count += 1;
            }
        }
    })?;
    reply(context.reply, next, count, found.buffer());
    Ok(())
}

fn reply(reply: &mut Reply, cursor: u64, count: usize, elements: &[u8]) {
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
    reply.array(count);
    reply.raw(elements);
}

struct Options<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    told: Told,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, kind: Kind) -> Result<Self, Error> {
        let told = if kind == Kind::Hash { Told::Pairs } else { Told::Names };
        let mut options = Self { count: DEFAULT_COUNT, pattern: None, told };
        let mut next = 3;
        while next < args.len() {
            if args.is(next, "NOVALUES") {
                if kind != Kind::Hash {
                    return Err(ONLY_HSCAN.into());
                }
                options.told = Told::Names;
                next += 1;
                continue;
            }
            let Some(value) = args.get(next + 1) else { return Err(text::SYNTAX.into()) };
            if args.is(next, "COUNT") {
                let wanted = args.integer(next + 1)?;
                options.count = usize::try_from(wanted).ok().filter(|count| *count > 0).ok_or(text::SYNTAX)?;
            } else if args.is(next, "MATCH") {
                options.pattern = Some(value).filter(|pattern| *pattern != b"*");
            } else {
                return Err(text::SYNTAX.into());
            }
            next += 2;
        }
        Ok(options)
    }
}
