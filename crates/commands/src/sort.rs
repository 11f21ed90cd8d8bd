//! SORT and SORT_RO: the elements of a list in order, or what other keys hold for them.
//!
//! ```text
//!   elements ──BY w_*──▶ weights ──▶ order ──LIMIT──▶ some ──GET d_*──▶ reply, or a new list
//! ```
//!
//! With patterns the keys follow from the elements: the run touches keys that it did not name, and the engine runs it
//! again with all of the database locked.

mod options;
mod pattern;
mod table;
mod weights;

use keyspace::list::{self, End};
use keyspace::map::{self, MapError};
use keyspace::zset::{self, Direction, Range};
use keyspace::{Kind, View};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::key_refs::{Access, KeyRef};
use options::{Options, Order, Right};
use pattern::Pattern;
use weights::Weights;

pub(crate) use table::COMMANDS;

/// A result is stored in pieces of about so many bytes.
const STORE_BYTES: usize = 1 << 20;
/// More than this is announced to the view before it is put in order.
const HEAVY: usize = 64 << 10;

/// SORT.
pub(super) fn sort(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    run(context, args, Right::ToStore)
}

/// SORT_RO.
pub(super) fn sort_ro(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    run(context, args, Right::ToRead)
}

/// The keys that SORT names: the one to sort, and the one to store, of which the last STORE counts.
pub(super) fn sort_keys(args: Args<'_>, database: usize, out: &mut Vec<KeyRef>) {
    out.push(KeyRef { database, index: 1, access: Access::Read });
    let mut store = None;
    let mut next = 2;
    while next < args.len() {
        next += if args.is(next, "LIMIT") {
            3
        } else if args.is(next, "GET") || args.is(next, "BY") {
            2
        } else {
            if args.is(next, "STORE") && next + 1 < args.len() {
                store = Some(next + 1);
            }
            1
        };
    }
    out.extend(store.map(|index| KeyRef { database, index, access: Access::Write }));
}

fn run(context: &mut Context<'_>, args: Args<'_>, right: Right) -> Result<(), Error> {
    let options = Options::parse(args, right)?;
    let source = Items::read(context.view, args.at(1))?;
    let (from, to) = options.part(source.items.len());
    if source.bytes.len() > HEAVY {
        context.view.heavy(source.bytes.len() as u64)?;
    }
    let mut order: Vec<usize> = (0..source.items.len()).collect();
    match options.weight(source.kind) {
        // As they lie; a list backwards if so asked.
        None if source.kind != Kind::Set && options.order == Order::Descending => order.reverse(),
        None => {}
        Some((weight, comparison)) => {
            let weights = Weights::read(context.view, &source, weight, comparison)?;
            order.sort_by(|one, other| {
                let ascending = weights.compare(&source, *one, *other);
                if options.order == Order::Descending { ascending.reverse() } else { ascending }
            });
        }
    }
    let chosen = &order[from..to];
    match options.store {
        None => reply(context, &source, chosen, &options.get),
        Some(target) => store(context, &source, chosen, &options.get, target),
    }
}

fn of_map(error: MapError) -> Error {
    match error {
        MapError::WrongType => text::WRONG_TYPE.into(),
        MapError::Stop(stop) => Error::Stop(stop),
    }
}

/// The elements to sort.
struct Items {
    kind: Kind,
    bytes: Vec<u8>,
    /// Where each begins and ends.
    items: Vec<(usize, usize)>,
}

impl Items {
    /// All of the key's; an absent one is an empty list.
    fn read(view: &mut dyn View, key: &[u8]) -> Result<Self, Error> {
        let kind = view.record(key)?.map_or(Kind::List, |record| record.head.kind);
        let mut read = Self { kind, bytes: Vec::new(), items: Vec::new() };
        match kind {
            Kind::List => list::range(view, key, 0, u64::MAX, &mut |element| read.add(element))?,
            Kind::Set => map::walk(view, key, kind, &mut |member| read.add(member.name)).map_err(of_map)?,
            Kind::Zset => {
                let all = Range::Rank(0, u64::MAX);
                zset::visit(view, key, all, Direction::Up, (0, u64::MAX), &mut |member, _| read.add(member))?;
            }
            Kind::String | Kind::Hash | Kind::Stream => return Err(text::WRONG_TYPE.into()),
        }
        Ok(read)
    }

    fn add(&mut self, element: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(element);
        self.items.push((begin, self.bytes.len()));
    }

    fn at(&self, index: usize) -> &[u8] {
        let (begin, end) = self.items[index];
        &self.bytes[begin..end]
    }
}

fn reply(context: &mut Context<'_>, source: &Items, chosen: &[usize], get: &[Pattern<'_>]) -> Result<(), Error> {
    context.reply.array(chosen.len() * get.len().max(1));
    let mut value = Vec::new();
    for index in chosen {
        let element = source.at(*index);
        if get.is_empty() {
            context.reply.bulk(element);
        }
        for pattern in get {
            if pattern.look_up(context.view, element, &mut value)? {
                context.reply.bulk(&value);
            } else {
                context.reply.null();
            }
        }
    }
    Ok(())
}

fn store(
    context: &mut Context<'_>,
    source: &Items,
    chosen: &[usize],
    get: &[Pattern<'_>],
    target: &[u8],
) -> Result<(), Error> {
    let mut result = Items { kind: Kind::List, bytes: Vec::new(), items: Vec::new() };
    let mut value = Vec::new();
    for index in chosen {
        let element = source.at(*index);
        if get.is_empty() {
            result.add(element);
        }
        for pattern in get {
            let found = pattern.look_up(context.view, element, &mut value)?;
            result.add(if found { &value } else { b"" });
        }
    }
    context.view.delete(target)?;
    let mut rest = 0..result.items.len();
    while !rest.is_empty() {
        let begin = result.items[rest.start].0;
        let piece = rest.clone().take_while(|index| result.items[*index].0 - begin < STORE_BYTES).count();
        let elements: Vec<&[u8]> = rest.by_ref().take(piece).map(|index| result.at(index)).collect();
        list::push(context.view, target, End::Tail, &elements)?;
    }
    context.reply.integer(result.items.len() as i64);
    Ok(())
}
