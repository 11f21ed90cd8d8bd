//! OBJECT: how values are kept, in Redis's words for it.

use keyspace::map::{self, Form};
use keyspace::string::EMBEDDED_MAX;
use keyspace::{Encoding, Kind, Record};
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

/// MEMORY USAGE. The record as it lies in memory; rows of a large value, which may be anywhere, are not counted. So there is
/// nothing to sample.
pub fn memory_usage(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    for at in (3..args.len()).step_by(2) {
        if !args.is(at, "SAMPLES") || args.get(at + 1).is_none() || args.integer(at + 1)? < 0 {
            return Err(text::SYNTAX.into());
        }
    }
    match context.view.usage(args.at(2))? {
        None => context.reply.null(),
        Some(usage) => context.reply.integer(i64::try_from(usage.memory_bytes).unwrap_or(i64::MAX)),
    }
    Ok(())
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
