//! Keys that go to other places: COPY and MOVE, also between databases.

use keyspace::{Head, RowsId};
use resp::parse_i64;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};
use crate::key_refs::{Access, KeyRef};

/// Rows are copied in pages of about this many bytes.
const PAGE_BYTES: usize = 1 << 20;

/// COPY.
pub(super) fn copy(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(context, args)?;
    let from = Place { database: context.database, key: args.at(1) };
    let to = Place { database: options.database, key: args.at(2) };
    if from == to {
        return Err(text::SAME_OBJECT.into());
    }
    let done = transfer(context, from, to, options.existing)?;
    context.reply.integer(i64::from(done));
    Ok(())
}

/// The keys of COPY; its options are checked by the command.
pub(super) fn copy_keys(args: Args<'_>, database: usize, out: &mut Vec<KeyRef>) {
    let mut target = database;
    for index in 3..args.len() - 1 {
        if args.is(index, "DB")
            && let Some(named) = parse_i64(args.at(index + 1)).and_then(|named| usize::try_from(named).ok())
        {
            target = named;
        }
    }
    out.push(KeyRef { database, index: 1, access: Access::Read });
    out.push(KeyRef { database: target, index: 2, access: Access::Write });
}

/// MOVE.
pub(super) fn relocate(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let database = database_number(context, args, 2)?;
    if database == context.database {
        return Err(text::SAME_OBJECT.into());
    }
    let from = Place { database: context.database, key: args.at(1) };
    let to = Place { database, key: args.at(1) };
    let done = transfer(context, from, to, Existing::Stays)?;
    if done {
        context.view.delete(from.key)?;
    }
    context.reply.integer(i64::from(done));
    Ok(())
}

/// The keys of MOVE.
pub(super) fn relocate_keys(args: Args<'_>, database: usize, out: &mut Vec<KeyRef>) {
    out.push(KeyRef { database, index: 1, access: Access::Write });
    if let Some(target) = parse_i64(args.at(2)).and_then(|target| usize::try_from(target).ok()) {
        out.push(KeyRef { database: target, index: 1, access: Access::Write });
    }
}

/// A key in its database.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    database: usize,
    key: &'a [u8],
}

/// What becomes of a key where the copy should go.
#[derive(Clone, Copy)]
enum Existing {
    Stays,
    IsReplaced,
}

struct Options {
    database: usize,
    existing: Existing,
}

impl Options {
    fn parse(context: &Context<'_>, args: Args<'_>) -> Result<Self, Error> {
        let mut options = Self { database: context.database, existing: Existing::Stays };
        let mut next = 3;
        while next < args.len() {
            if args.is(next, "REPLACE") {
                options.existing = Existing::IsReplaced;
                next += 1;
            } else if args.is(next, "DB") && next + 1 < args.len() {
                options.database = database_number(context, args, next + 1)?;
                next += 2;
            } else {
                return Err(text::SYNTAX.into());
            }
        }
        Ok(options)
    }
}

fn database_number(context: &Context<'_>, args: Args<'_>, index: usize) -> Result<usize, Error> {
    let number = usize::try_from(args.small_integer(index)?).ok();
    Ok(number.filter(|number| *number < context.view.databases()).ok_or(text::DATABASE_RANGE)?)
}

/// Copies a key with its expiry; says whether there was one and its copy has a place. Ends in the database it came
/// from.
fn transfer(context: &mut Context<'_>, from: Place<'_>, to: Place<'_>, existing: Existing) -> Result<bool, Error> {
    let Some(record) = context.view.record(from.key)? else { return Ok(false) };
    let (head, rows, mut payload) = (record.head, record.rows_id(), record.payload.to_vec());
    context.view.select(to.database)?;
    let taken = context.view.record(to.key)?.is_some();
    if taken && matches!(existing, Existing::Stays) {
        context.view.select(from.database)?;
        return Ok(false);
    }
    match rows {
        None => context.view.put(to.key, &head, &payload)?,
        Some(rows) => {
            let copied = context.view.new_rows();
            payload[..8].copy_from_slice(&copied.0.to_le_bytes());
            transfer_rows(context, from, to, &head, &payload, [rows, copied])?;
        }
    }
    context.view.select(from.database)?;
    Ok(true)
}

/// Copies the record and the rows of an exploded value. `rows` are the old and the new ones.
fn transfer_rows(
    context: &mut Context<'_>,
    from: Place<'_>,
    to: Place<'_>,
    head: &Head,
    payload: &[u8],
    [old, new]: [RowsId; 2],
) -> Result<(), Error> {
    context.view.put(to.key, head, payload)?;
    let mut begin = Vec::new();
    loop {
        context.view.heavy(PAGE_BYTES as u64)?;
        let mut page = Vec::new();
        let mut bytes = 0;
        context.view.select(from.database)?;
        context.view.rows(from.key, old, &begin, b"", &mut |row, value| {
            page.push((row.to_vec(), value.to_vec()));
            bytes += row.len() + value.len();
            bytes < PAGE_BYTES
        })?;
        context.view.select(to.database)?;
        for (row, value) in &page {
            context.view.put_row(to.key, new, row, value)?;
        }
        if bytes < PAGE_BYTES {
            return Ok(());
        }
        // The least key that is greater than the last one seen.
        begin = page.pop().map(|(row, _)| row).unwrap_or_default();
        begin.push(0);
    }
}
