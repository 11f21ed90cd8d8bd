//! Reading elements, and looking for them.

use keyspace::list::{self, End};
use resp::Aggregate;

use super::{from_head, number_from, range_of};
use crate::args::Args;
use crate::context::Context;
use crate::error::{Error, text};

const RANK_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list";
const RANK_RANGE: &str = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
const COUNT_NEGATIVE: &str = "ERR COUNT can't be negative";
const MAXLEN_NEGATIVE: &str = "ERR MAXLEN can't be negative";

/// LRANGE.
pub(super) fn lrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let key = args.at(1);
    let (from, to) = range_of(first, last, list::len(context.view, key)?);
    let reply = &mut *context.reply;
    reply.array(to.saturating_sub(from) as usize);
    if from < to {
        list::range(context.view, key, from, to, &mut |element| reply.bulk(element))?;
    }
    Ok(())
}

/// LINDEX.
pub(super) fn lindex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let len = list::len(context.view, key)?;
    // Without a key Redis does not look at the index.
    let index = if len == 0 { None } else { from_head(args.integer(2)?, len) };
    let reply = &mut *context.reply;
    let found = match index {
        None => false,
        Some(index) => list::get(context.view, key, index, &mut |element| reply.bulk(element))?,
    };
    if !found {
        context.reply.null();
    }
    Ok(())
}

/// What LPOS looks for.
struct Search {
    from: End,
    /// The first match that counts.
    rank: u64,
    /// How many matches to answer, 0: all; `None`: one, by itself.
    count: Option<u64>,
    /// How many elements to look at; 0: all.
    most: u64,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut search = Self { from: End::Head, rank: 1, count: None, most: 0 };
        let mut next = 3;
        while next < args.len() {
            let more = next + 1 < args.len();
            if more && args.is(next, "RANK") {
                let rank = args.integer(next + 1)?;
                if rank == i64::MIN {
                    return Err(RANK_RANGE.into());
                }
                if rank == 0 {
                    return Err(RANK_ZERO.into());
                }
                search.from = if rank < 0 { End::Tail } else { End::Head };
                search.rank = rank.unsigned_abs();
            } else if more && args.is(next, "COUNT") {
                search.count = Some(number_from(args, next + 1, 0, COUNT_NEGATIVE)?);
            } else if more && args.is(next, "MAXLEN") {
                search.most = number_from(args, next + 1, 0, MAXLEN_NEGATIVE)?;
            } else {
                return Err(text::SYNTAX.into());
            }
            next += 2;
        }
        Ok(search)
    }
}

/// LPOS.
pub(super) fn lpos(context: &mut Context<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, wanted) = (args.at(1), args.at(2));
    let search = Search::parse(args)?;
    let most = match search.count {
        Some(0) => u64::MAX,
        Some(count) => count,
        None => 1,
    };
    let reply = &mut *context.reply;
    let array = search.count.map(|_| reply.begin(Aggregate::Array));
    let (mut looked_at, mut matches, mut answered) = (0u64, 0u64, 0u64);
    list::scan(context.view, key, search.from, &mut |index, element| {
        if element == wanted {
            matches += 1;
            if matches >= search.rank {
                reply.integer(index as i64);
                answered += 1;
            }
        }
        looked_at += 1;
        answered < most && looked_at != search.most
    })?;
    match array {
        Some(array) => context.reply.end(array, answered as usize),
        None if answered == 0 => context.reply.null(),
        None => {}
    }
    Ok(())
}
