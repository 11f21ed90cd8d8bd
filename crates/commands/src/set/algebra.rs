//! Intersections, unions and differences of sets.
//!
//! The members of one set are collected; the others are then asked for each of them, or walked, whichever reads fewer
//! rows. What a command stores has forgotten what was there before, whatever its type.

use std::collections::BTreeSet;

use keyspace::map::{self, Batch, Deadline, Editor};
use keyspace::{Kind, View};
use resp::{Reply, parse_i64};

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const NO_KEYS: &str = "ERR numkeys should be greater than 0";
const TOO_MANY_KEYS: &str = "ERR Number of keys can't be greater than number of args";
const NEGATIVE_LIMIT: &str = "ERR LIMIT can't be negative";
/// A look at one member costs as much as a walk over so many.
const LOOK_COST: u64 = 8;

/// SINTER.
pub(super) fn sinter(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = intersection(context.view, args.from(1))?;
    reply_members(context.reply, members);
    Ok(())
}

/// SINTERSTORE.
pub(super) fn sinterstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = intersection(context.view, args.from(2))?;
    store(context, args.at(1), members)
}

/// SINTERCARD.
pub(super) fn sintercard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = parse_i64(args.at(1)).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(NO_KEYS)?;
    if count > args.len() - 2 {
        return Err(TOO_MANY_KEYS.into());
    }
    let (mut next, mut limit) = (2 + count, usize::MAX);
    while next < args.len() {
        if !args.is(next, "LIMIT") || next + 1 >= args.len() {
            return Err(text::SYNTAX.into());
        }
        let wanted = parse_i64(args.at(next + 1)).and_then(|limit| usize::try_from(limit).ok());
        limit = wanted.ok_or(NEGATIVE_LIMIT)?;
        next += 2;
    }
    let members = intersection(context.view, &args.from(2)[..count])?;
    let found = if limit == 0 { members.len() } else { members.len().min(limit) };
    context.reply.integer(found as i64);
    Ok(())
}

/// SUNION.
pub(super) fn sunion(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = union(context.view, args.from(1))?;
    reply_members(context.reply, members);
    Ok(())
}

/// SUNIONSTORE.
pub(super) fn sunionstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = union(context.view, args.from(2))?;
    store(context, args.at(1), members)
}

/// SDIFF.
pub(super) fn sdiff(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = difference(context.view, args.from(1))?;
    reply_members(context.reply, members);
    Ok(())
}

/// SDIFFSTORE.
pub(super) fn sdiffstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = difference(context.view, args.from(2))?;
    store(context, args.at(1), members)
}

type Members = Vec<Vec<u8>>;

/// The sizes of sets; 0 where there is none.
fn sizes(view: &mut dyn View, keys: &[&[u8]]) -> Result<Vec<u64>, Error> {
    // All types are checked, whatever the sizes say.
    keys.iter().map(|key| Ok(map::len(view, key, Kind::Set)?)).collect()
}

fn intersection(view: &mut dyn View, keys: &[&[u8]]) -> Result<Members, Error> {
    let sizes = sizes(view, keys)?;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|at| sizes[*at]);
    if sizes.contains(&0) {
        return Ok(Members::new());
    }
    let (smallest, others) = (order[0], &order[1..]);
    let mut members = members_of(view, keys[smallest])?;
    for other in others.iter().filter(|other| keys[**other] != keys[smallest]) {
        if members.is_empty() {
            break;
        }
        keep(view, keys[*other], sizes[*other], &mut members, Keep::Shared)?;
    }
    Ok(members)
}

fn union(view: &mut dyn View, keys: &[&[u8]]) -> Result<Members, Error> {
    sizes(view, keys)?;
    if let [key] = keys {
        return members_of(view, key);
    }
    let mut seen = BTreeSet::new();
    for key in keys {
        map::walk(view, key, Kind::Set, &mut |found| {
            if !seen.contains(found.name) {
                seen.insert(found.name.to_vec());
            }
        })?;
    }
    Ok(seen.into_iter().collect())
}

fn difference(view: &mut dyn View, keys: &[&[u8]]) -> Result<Members, Error> {
    let sizes = sizes(view, keys)?;
    let Some((first, others)) = keys.split_first() else { return Ok(Members::new()) };
    if others.contains(first) {
        return Ok(Members::new());
    }
    let mut members = members_of(view, first)?;
    for (other, size) in others.iter().zip(&sizes[1..]).filter(|(_, size)| **size > 0) {
        if members.is_empty() {
            break;
        }
        keep(view, other, *size, &mut members, Keep::Foreign)?;
    }
    Ok(members)
}

fn members_of(view: &mut dyn View, key: &[u8]) -> Result<Members, Error> {
    let mut members = Members::new();
    map::walk(view, key, Kind::Set, &mut |found| members.push(found.name.to_vec()))?;
    Ok(members)
}

/// Which members stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Those that the other set has.
    Shared,
    /// Those that it has not.
    Foreign,
}

/// Compares with the set at `key`, which has `size` members.
fn keep(view: &mut dyn View, key: &[u8], size: u64, members: &mut Members, which: Keep) -> Result<(), Error> {
    if size <= (members.len() as u64).saturating_mul(LOOK_COST) {
        let mut other = BTreeSet::new();
        map::walk(view, key, Kind::Set, &mut |found| {
            other.insert(found.name.to_vec());
        })?;
        members.retain(|member| other.contains(member) == (which == Keep::Shared));
        return Ok(());
    }
    let mut has = Vec::with_capacity(members.len());
    let asked: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
    map::get_each(view, key, Kind::Set, &asked, &mut |found| has.push(found.is_some()))?;
    let mut has = has.into_iter();
    members.retain(|_| has.next() == Some(which == Keep::Shared));
    Ok(())
}

fn reply_members(reply: &mut Reply, members: Members) {
    reply.set(members.len());
    members.iter().for_each(|member| reply.bulk(member));
}

/// Makes `members` the set at `key`; without members there is no key.
fn store(context: &mut Context<'_>, key: &[u8], members: Members) -> Result<(), Error> {
    context.view.delete(key)?;
    if !members.is_empty() {
        let mut editor = Editor::open(context.view, key, Kind::Set, Batch::Many(0))?;
        for member in &members {
            editor.put(member, b"", Deadline::Keep)?;
        }
        editor.finish()?;
    }
    context.reply.integer(members.len() as i64);
    Ok(())
}
