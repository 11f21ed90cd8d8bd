//! Commands that look over the whole database.

use keyspace::{Kind, Page, Record, Seek};
use resp::{Aggregate, Reply};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::glob::{self, Case};

const BAD_CURSOR: &str = "ERR invalid cursor";
const SCAN_COUNT: usize = 10;
/// KEYS asks for this many records at a time.
const KEYS_PAGE: usize = 1024;
/// What a record costs KEYS, roughly, in bytes read.
const KEY_BYTES: u64 = 64;
const HEAVY_KEYS: u64 = 1024;

/// DBSIZE.
pub(super) fn dbsize(context: &mut Context<'_>, _: Args<'_>) -> Result<(), Error> {
    let count = context.view.count()?;
    context.reply.integer(count as i64);
    Ok(())
}

/// RANDOMKEY.
pub(super) fn randomkey(context: &mut Context<'_>, _: Args<'_>) -> Result<(), Error> {
    match context.view.random_key()? {
        None => context.reply.null(),
        Some(key) => context.reply.bulk(&key),
    }
    Ok(())
}

/// KEYS.
pub(super) fn keys(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = context.view.count()?;
    if count > HEAVY_KEYS {
        context.view.heavy(count.saturating_mul(KEY_BYTES))?;
    }
    let filter = Filter::new(Some(args.at(1)), KindFilter::Any);
    let array = context.reply.begin(Aggregate::Array);
    let mut found = 0;
    let mut last = None;
    loop {
        let from = last.as_deref().map_or(Seek::Start, Seek::After);
        let reply = &mut *context.reply;
        let page = context.view.walk(from, &filter.prefix, KEYS_PAGE, &mut |key, record| {
            if filter.takes(key, record) {
                reply.bulk(key);
                found += 1;
            }
        })?;
        match page {
            Page::More(key) => last = Some(key),
            Page::End => break,
        }
    }
    context.reply.end(array, found);
    Ok(())
}

/// SCAN.
pub(super) fn scan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = parse_cursor(args.at(1)).ok_or(BAD_CURSOR)?;
    let options = Options::parse(args)?;
    let last = if cursor == 0 { None } else { context.view.cursor_key(cursor) };
    let from = last.as_deref().map_or(Seek::Start, Seek::After);
    let mut found = Reply::new(context.reply.protocol());
    let mut count = 0;
    let filter = &options.filter;
    let page = context.view.walk(from, &filter.prefix, options.count, &mut |key, record| {
        if filter.takes(key, record) {
            found.bulk(key);
            count += 1;
        }
    })?;
    let next = match page {
        Page::More(key) => context.view.cursor(&key),
        Page::End => 0,
    };
    context.reply.array(2);
    context.reply.bulk(next.to_string().as_bytes());
    context.reply.array(count);
    context.reply.raw(found.buffer());
    Ok(())
}

/// Reads a cursor as C's `strtoul` does: nothing is 0, and a minus counts down from the top.
pub(crate) fn parse_cursor(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let (digits, negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        [b'+', digits @ ..] | digits => (digits, false),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

struct Options {
    count: usize,
    filter: Filter,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let (mut count, mut pattern, mut kind) = (SCAN_COUNT, None, KindFilter::Any);
        let mut next = 2;
        while next < args.len() {
            let Some(value) = args.get(next + 1) else { return Err(text::SYNTAX.into()) };
            if args.is(next, "COUNT") {
                let wanted = args.integer(next + 1)?;
                count = usize::try_from(wanted).ok().filter(|count| *count > 0).ok_or(text::SYNTAX)?;
            } else if args.is(next, "MATCH") {
                pattern = Some(value);
            } else if args.is(next, "TYPE") {
                kind = KindFilter::named(value);
            } else {
                return Err(text::SYNTAX.into());
            }
            next += 2;
        }
        Ok(Self { count, filter: Filter::new(pattern, kind) })
    }
}

/// Which types of value a walk is after.
enum KindFilter {
    Any,
    Only(Kind),
    /// A type that nothing has.
    Nothing,
}

impl KindFilter {
    fn named(name: &[u8]) -> Self {
        const KINDS: [Kind; 6] = [Kind::String, Kind::List, Kind::Set, Kind::Zset, Kind::Hash, Kind::Stream];
        let kind = KINDS.into_iter().find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name));
        kind.map_or(Self::Nothing, Self::Only)
    }
}

/// Which records a walk is after.
struct Filter {
    prefix: Vec<u8>,
    /// `None` when every key matches.
    pattern: Option<Vec<u8>>,
    kind: KindFilter,
}

impl Filter {
    fn new(pattern: Option<&[u8]>, kind: KindFilter) -> Self {
        let pattern = pattern.filter(|pattern| *pattern != b"*").map(<[u8]>::to_vec);
        Self { prefix: pattern.as_deref().map(glob::literal_prefix).unwrap_or_default(), pattern, kind }
    }

    fn takes(&self, key: &[u8], record: &Record<'_>) -> bool {
        let kind = match self.kind {
            KindFilter::Any => true,
            KindFilter::Only(kind) => kind == record.head.kind,
            KindFilter::Nothing => false,
        };
        kind && self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, key, Case::Sensitive))
    }
}
