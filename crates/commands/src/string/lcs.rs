//! The longest common subsequence of two strings.

use keyspace::string::{self, StringError};
use resp::Aggregate;

use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const NOT_STRINGS: &str = "ERR The specified keys must contain string values";
const LEN_AND_INDEXES: &str = "ERR If you want both the length and indexes, please just use IDX.";
const TOO_LONG: &str = "ERR String too long for LCS";
const TOO_MUCH: &str = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
/// A larger table is announced to the view first.
const HEAVY: u64 = 64 << 10;

/// LCS.
pub(super) fn lcs(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let shape = |context: &mut Context<'_>, key| match string::look(context.view, key) {
        Ok(shape) => Ok(shape.map_or(0, |shape| shape.len)),
        Err(StringError::WrongType) => Err(Error::from(NOT_STRINGS)),
        Err(StringError::Stop(stop)) => Err(stop.into()),
    };
    let (left_len, right_len) = (shape(context, args.at(1))?, shape(context, args.at(2))?);
    let options = Options::parse(args)?;
    if left_len >= u64::from(u32::MAX) - 1 || right_len >= u64::from(u32::MAX) - 1 {
        return Err(TOO_LONG.into());
    }
    let cells = (left_len + 1).saturating_mul(right_len + 1);
    let bytes = cells.saturating_mul(size_of::<u32>() as u64);
    if bytes > context.settings.proto_max_bulk_len {
        return Err(TOO_MUCH.into());
    }
    if bytes > HEAVY {
        context.view.heavy(bytes)?;
    }
    let left = string::read_all(context.view, args.at(1))?.unwrap_or_default();
    let right = string::read_all(context.view, args.at(2))?.unwrap_or_default();
    let table = Table::new(&left, &right);
    match options.answer {
        Answer::Length => context.reply.integer(i64::from(table.len(left.len(), right.len()))),
        Answer::Text => {
            let mut common = Vec::new();
            table.trace(&left, &right, &mut |run| common.extend(left[run.left..][..run.len].iter().rev()));
            common.reverse();
            context.reply.bulk(&common);
        }
        Answer::Indexes => reply_indexes(context, &table, &left, &right, &options),
    }
    Ok(())
}

fn reply_indexes(context: &mut Context<'_>, table: &Table, left: &[u8], right: &[u8], options: &Options) {
    let reply = &mut *context.reply;
    reply.map(2);
    reply.bulk(b"matches");
    let matches = reply.begin(Aggregate::Array);
    let mut count = 0;
    table.trace(left, right, &mut |run| {
        if (run.len as i64) < options.shortest {
            return;
        }
        count += 1;
        reply.array(if options.with_len { 3 } else { 2 });
        for first in [run.left, run.right] {
            reply.array(2);
            reply.integer(first as i64);
            reply.integer((first + run.len - 1) as i64);
        }
        if options.with_len {
            reply.integer(run.len as i64);
        }
    });
    reply.end(matches, count);
    reply.bulk(b"len");
    reply.integer(i64::from(table.len(left.len(), right.len())));
}

/// What LCS replies.
enum Answer {
    Text,
    Length,
    Indexes,
}

struct Options {
    answer: Answer,
    shortest: i64,
    with_len: bool,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let (mut len, mut indexes) = (false, false);
        let mut options = Self { answer: Answer::Text, shortest: 0, with_len: false };
        let mut next = 3;
        while next < args.len() {
            if args.is(next, "IDX") {
                indexes = true;
            } else if args.is(next, "LEN") {
                len = true;
            } else if args.is(next, "WITHMATCHLEN") {
                options.with_len = true;
            } else if args.is(next, "MINMATCHLEN") && next + 1 < args.len() {
                next += 1;
                options.shortest = args.integer(next)?;
            } else {
                return Err(text::SYNTAX.into());
            }
            next += 1;
        }
        options.answer = match (len, indexes) {
            (true, true) => return Err(LEN_AND_INDEXES.into()),
            (true, false) => Answer::Length,
            (false, true) => Answer::Indexes,
            (false, false) => Answer::Text,
        };
        Ok(options)
    }
}

/// Bytes that follow each other in both strings and are part of the common subsequence.
#[derive(Clone, Copy)]
struct Run {
    left: usize,
    right: usize,
    len: usize,
}

/// The length of the longest common subsequence of every pair of prefixes.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(left: &[u8], right: &[u8]) -> Self {
        let width = right.len() + 1;
        let mut cells = vec![0u32; (left.len() + 1) * width];
        for (row, a) in left.iter().enumerate() {
            let (above, below) = cells[row * width..(row + 2) * width].split_at_mut(width);
            for (column, b) in right.iter().enumerate() {
                below[column + 1] = if a == b { above[column] + 1 } else { above[column + 1].max(below[column]) };
            }
        }
        Self { cells, width }
    }

    /// The length for the first `left` and the first `right` bytes.
    fn len(&self, left: usize, right: usize) -> u32 {
        self.cells[left * self.width + right]
    }

    /// Visits the runs of one longest common subsequence, the same one as Redis, from the last to the first.
    fn trace(&self, left: &[u8], right: &[u8], seen: &mut dyn FnMut(Run)) {
        let (mut row, mut column) = (left.len(), right.len());
        let mut run: Option<Run> = None;
        while row > 0 && column > 0 {
            if left[row - 1] == right[column - 1] {
                (row, column) = (row - 1, column - 1);
                run = Some(Run { left: row, right: column, len: run.map_or(0, |run| run.len) + 1 });
                continue;
            }
            if let Some(run) = run.take() {
                seen(run);
            }
            if self.len(row - 1, column) > self.len(row, column - 1) { row -= 1 } else { column -= 1 }
        }
        if let Some(run) = run {
            seen(run);
        }
    }
}
