//! OBJECT: how values are kept, in Redis's words for it.

use keyspace::map::{self, Element, Form};
use keyspace::string::{self, EMBEDDED_MAX};
use keyspace::{Encoding, Kind, Record, View, list, zset};
use resp::parse_i64;

use crate::args::Args;
use crate::context::{Context, Eviction};
use crate::docs;
use crate::error::{Error, text};
use crate::table;

const LFU_SELECTED: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
                            switching between policies at runtime LRU and LFU data will take some time to adjust.";
const LFU_NOT_SELECTED: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
                                that when switching between policies at runtime LRU and LFU data will take some time \
                                to adjust.";
/// Redis has one object for all values that are such a number, and says that everybody refers to it.
const SHARED_BELOW: i64 = 10_000;
const SHARED_REFERENCES: i64 = 0x7fff_ffff;

/// Elements that MEMORY USAGE looks at unless it is told otherwise; as in Redis.
const SAMPLES: u64 = 5;
/// What a row takes beside its element: whose it is, of which kind, and the store's own bookkeeping, about.
const ROW_BYTES: usize = 24;
/// A score in a row.
const SCORE_BYTES: usize = 8;
/// What an element of a list takes beside its bytes.
const ELEMENT_BYTES: usize = 2;

/// OBJECT ENCODING.
pub(super) fn encoding(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    match context.view.record(args.at(2))? {
        None => context.reply.null(),
        Some(record) => {
            let name = encoding_of(&record);
            context.reply.bulk(name.as_bytes());
        }
    }
    Ok(())
}

/// OBJECT REFCOUNT.
pub(super) fn refcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    match context.view.record(args.at(2))? {
        None => context.reply.null(),
        Some(record) => {
            let is_shared = encoding_of(&record) == "int"
                && parse_i64(record.payload).is_some_and(|number| (0..SHARED_BELOW).contains(&number));
            context.reply.integer(if is_shared { SHARED_REFERENCES } else { 1 });
        }
    }
    Ok(())
}

/// OBJECT IDLETIME.
pub(super) fn idletime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    match (context.view.usage(args.at(2))?, context.settings.eviction) {
        (None, _) => context.reply.null(),
        (Some(_), Eviction::Lfu) => return Err(LFU_SELECTED.into()),
        (Some(usage), Eviction::Other) => context.reply.integer(usage.idle_seconds as i64),
    }
    Ok(())
}

/// OBJECT FREQ.
pub(super) fn freq(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    match (context.view.usage(args.at(2))?, context.settings.eviction) {
        (None, _) => context.reply.null(),
        (Some(_), Eviction::Other) => return Err(LFU_NOT_SELECTED.into()),
        (Some(usage), Eviction::Lfu) => context.reply.integer(i64::from(usage.frequency)),
    }
    Ok(())
}

/// MEMORY USAGE: the record as it lies in memory, and what its rows take, wherever they are: of a string that is known, of a
/// collection it is guessed from some of its elements, as Redis does.
pub fn memory_usage(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut samples = SAMPLES;
    for at in (3..args.len()).step_by(2) {
        if !args.is(at, "SAMPLES") || args.get(at + 1).is_none() {
            return Err(text::SYNTAX.into());
        }
        samples = match u64::try_from(args.integer(at + 1)?) {
            Ok(0) => u64::MAX,
            Ok(samples) => samples,
            Err(_) => return Err(text::SYNTAX.into()),
        };
    }
    let key = args.at(2);
    match context.view.usage(key)? {
        None => context.reply.null(),
        Some(usage) => {
            let bytes = rows_bytes(context.view, key, samples)?.saturating_add(usage.memory_bytes as u64);
            context.reply.integer(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
    Ok(())
}

/// Bytes of the rows of a value, guessed from so many of its elements.
fn rows_bytes(view: &mut dyn View, key: &[u8], samples: u64) -> Result<u64, Error> {
    let Some(record) = view.record(key)? else { return Ok(0) };
    let (kind, in_record) = (record.head.kind, record.payload.len() as u64);
    match (record.head.encoding, kind) {
        (Encoding::Packed, _) | (Encoding::Exploded, Kind::Stream) => return Ok(0),
        (Encoding::Exploded, Kind::String) => {
            let chunk = string::CHUNK as u64;
            return Ok(string::shape(&record)?.len / chunk * chunk);
        }
        (Encoding::Exploded, Kind::Hash | Kind::Set | Kind::Zset | Kind::List) => {}
    }
    let (mut seen, mut bytes) = (0u64, 0u64);
    let mut add = |len: usize| {
        seen += 1;
        bytes += len as u64;
    };
    let most = |count: u64| usize::try_from(samples.min(count)).unwrap_or(usize::MAX);
    let count = match kind {
        Kind::Zset => {
            let count = zset::len(view, key)?;
            // A row of the member, and one of its place in the order.
            zset::scan(view, key, 0, most(count), &mut |member, _| add(2 * (member.len() + SCORE_BYTES + ROW_BYTES)))?;
            count
        }
        Kind::List => {
            let count = list::len(view, key)?;
            list::range(view, key, 0, samples.min(count), &mut |element| add(element.len() + ELEMENT_BYTES))?;
            count
        }
        Kind::Hash | Kind::Set | Kind::String | Kind::Stream => {
            let count = map::len(view, key, kind)?;
            let mut see = |element: Element<'_>| add(element.name.len() + element.value.len() + ROW_BYTES);
            map::scan(view, key, kind, 0, most(count), &mut see)?;
            count
        }
    };
    let all = u128::from(bytes) * u128::from(count) / u128::from(seen.max(1));
    let all = u64::try_from(all).unwrap_or(u64::MAX);
    // The ends of a list lie in its record.
    Ok(if kind == Kind::List { all.saturating_sub(in_record) } else { all })
}

/// OBJECT HELP.
pub(super) fn help(context: &mut Context<'_>, _: Args<'_>) -> Result<(), Error> {
    if let Some(container) = table::lookup(b"object") {
        docs::help(container, context.reply);
    }
    Ok(())
}

fn encoding_of(record: &Record<'_>) -> &'static str {
    match (record.head.kind, record.head.encoding) {
        (Kind::String, Encoding::Packed) if record.head.is_edited => "raw",
        (Kind::String, Encoding::Packed) if parse_i64(record.payload).is_some() => "int",
        (Kind::String, Encoding::Packed) if record.payload.len() <= EMBEDDED_MAX => "embstr",
        (Kind::String, Encoding::Packed | Encoding::Exploded) => "raw",
        (Kind::Stream, Encoding::Packed | Encoding::Exploded) => "stream",
        (Kind::Set | Kind::Hash, Encoding::Packed | Encoding::Exploded) => match map::form(record) {
            Form::Integers => "intset",
            Form::Packed => "listpack",
            Form::PackedExpiring => "listpackex",
            Form::Exploded => "hashtable",
        },
        (Kind::List | Kind::Zset, Encoding::Packed) => "listpack",
        (Kind::List, Encoding::Exploded) => "quicklist",
        (Kind::Zset, Encoding::Exploded) => "skiplist",
    }
}
