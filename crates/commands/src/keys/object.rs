//! OBJECT: how values are kept, in Redis's words for it.

use keyspace::map::{self, Form};
use keyspace::{Encoding, Kind, Record};
use resp::parse_i64;

use crate::args::Args;
use crate::context::{Context, Eviction};
use crate::docs;
use crate::error::Error;
use crate::table;

const LFU_SELECTED: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
                            switching between policies at runtime LRU and LFU data will take some time to adjust.";
const LFU_NOT_SELECTED: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
                                that when switching between policies at runtime LRU and LFU data will take some time \
                                to adjust.";
/// Redis keeps shorter strings inside their object.
const EMBEDDED_MAX: usize = 44;

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
    match context.view.usage(args.at(2))? {
        None => context.reply.null(),
        Some(_) => context.reply.integer(1),
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

/// OBJECT HELP.
pub(super) fn help(context: &mut Context<'_>, _: Args<'_>) -> Result<(), Error> {
    if let Some(container) = table::lookup(b"object") {
        docs::help(container, context.reply);
    }
    Ok(())
}

fn encoding_of(record: &Record<'_>) -> &'static str {
    match (record.head.kind, record.head.encoding) {
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
