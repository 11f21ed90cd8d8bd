//! What SORT is asked for.

use keyspace::Kind;

use super::pattern::Pattern;
use crate::args::Args;
use crate::error::{Error, text};

/// Whether the result may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// SORT.
    ToStore,
    /// SORT_RO.
    ToRead,
}

/// Which one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// How two are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// As numbers.
    Numbers,
    /// As bytes.
    Bytes,
}

/// The options.
pub struct Options<'a> {
    pub order: Order,
    comparison: Comparison,
    /// First and number; a negative number is all.
    limit: (i64, i64),
    by: Option<Pattern<'a>>,
    pub get: Vec<Pattern<'a>>,
    pub store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads them.
    pub fn parse(args: Args<'a>, right: Right) -> Result<Self, Error> {
        let mut options = Self {
            order: Order::Ascending,
            comparison: Comparison::Numbers,
            limit: (0, -1),
            by: None,
            get: Vec::new(),
            store: None,
        };
        let mut next = 2;
        while next < args.len() {
            let left = args.len() - next - 1;
            if args.is(next, "ASC") {
                options.order = Order::Ascending;
            } else if args.is(next, "DESC") {
                options.order = Order::Descending;
            } else if args.is(next, "ALPHA") {
                options.comparison = Comparison::Bytes;
            } else if args.is(next, "LIMIT") && left >= 2 {
                options.limit = (args.integer(next + 1)?, args.integer(next + 2)?);
                next += 2;
            } else if right == Right::ToStore && args.is(next, "STORE") && left >= 1 {
                options.store = Some(args.at(next + 1));
                next += 1;
            } else if args.is(next, "BY") && left >= 1 {
                options.by = Some(Pattern::parse_weight(args.at(next + 1)));
                next += 1;
            } else if args.is(next, "GET") && left >= 1 {
                options.get.push(Pattern::parse(args.at(next + 1)));
                next += 1;
            } else {
                return Err(text::SYNTAX.into());
            }
            next += 1;
        }
        Ok(options)
    }

    /// By what the elements are put in order, and how that is compared; `None`: they stay as they are. A set that is to
    /// be stored is put in some order all the same: the result must not depend on where its members happen to lie.
    pub fn weight(&self, kind: Kind) -> Option<(&Pattern<'a>, Comparison)> {
        match &self.by {
            None => Some((&Pattern::Element, self.comparison)),
            Some(Pattern::Nothing) if kind == Kind::Set && self.store.is_some() => {
                Some((&Pattern::Element, Comparison::Bytes))
            }
            Some(Pattern::Nothing) => None,
            Some(by) => Some((by, self.comparison)),
        }
    }

    /// The part of `count` elements that LIMIT leaves.
    pub fn part(&self, count: usize) -> (usize, usize) {
        let all = i64::try_from(count).unwrap_or(i64::MAX);
        let from = self.limit.0.clamp(0, all);
        let number = if self.limit.1 < 0 { all } else { self.limit.1 };
        (from as usize, from.saturating_add(number).min(all) as usize)
    }
}
