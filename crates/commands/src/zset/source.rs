//! An input of a union, intersection or difference: a sorted set, or a set, whose members have the score 1.

use keyspace::Kind;
use keyspace::map;
use keyspace::zset::{self, Direction, Range};

use crate::context::Context;
use crate::error::{Error, text};

/// The score of a set's members.
const OF_SET: f64 = 1.0;
/// What a member costs that is copied out of a set, in the bytes of [`keyspace::View::heavy`].
const MEMBER_COST: u64 = 64;

/// One input.
pub(super) struct Source<'a> {
    key: &'a [u8],
    holds: Holds,
    len: u64,
}

#[derive(Clone, Copy)]
enum Holds {
    Zset,
    Set,
}

impl<'a> Source<'a> {
    /// Looks at what `key` has.
    pub(super) fn look(context: &mut Context<'_>, key: &'a [u8]) -> Result<Self, Error> {
        let kind = context.view.record(key)?.map(|record| record.head.kind);
        let (holds, len) = match kind {
            None => (Holds::Zset, 0),
            Some(Kind::Zset) => (Holds::Zset, zset::len(context.view, key)?),
            Some(Kind::Set) => (Holds::Set, map::len(context.view, key, Kind::Set)?),
            Some(Kind::String | Kind::List | Kind::Hash | Kind::Stream) => return Err(text::WRONG_TYPE.into()),
        };
        Ok(Self { key, holds, len })
    }

    /// Number of members.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// All members.
    pub(super) fn members(&self, context: &mut Context<'_>) -> Result<Vec<(Vec<u8>, f64)>, Error> {
        context.view.heavy(self.len.saturating_mul(MEMBER_COST))?;
        let mut members = Vec::with_capacity(self.len as usize);
        match self.holds {
            Holds::Zset => {
                let all = Range::Rank(0, u64::MAX);
                zset::visit(context.view, self.key, all, Direction::Up, (0, u64::MAX), &mut |member, score| {
                    members.push((member.to_vec(), score));
                })?;
            }
            Holds::Set => map::walk(context.view, self.key, Kind::Set, &mut |element| {
                members.push((element.name.to_vec(), OF_SET));
            })?,
        }
        Ok(members)
    }

    /// The score of a member.
    pub(super) fn score(&self, context: &mut Context<'_>, member: &[u8]) -> Result<Option<f64>, Error> {
        match self.holds {
            Holds::Zset => Ok(zset::score(context.view, self.key, member)?),
            Holds::Set => Ok(map::get(context.view, self.key, Kind::Set, member, |found| found.map(|_| OF_SET))?),
        }
    }
}
