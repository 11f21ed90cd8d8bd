//! The ends of ranges, as the client writes them: `(1.5`, `-inf`, `[member`, `+`, ranks.

use core::ops::Bound;

use keyspace::zset::Range;
use resp::parse_f64;

use crate::error::Error;

const NOT_FLOATS: &str = "ERR min or max is not a float";
const NOT_ITEMS: &str = "ERR min or max not valid string range item";

/// The members with scores between two bounds.
pub(super) fn by_score<'a>(min: &[u8], max: &[u8]) -> Result<Range<'a>, Error> {
    let range = score(min).zip(score(max)).ok_or(NOT_FLOATS)?;
    Ok(Range::Score(range.0, range.1))
}

fn score(text: &[u8]) -> Option<Bound<f64>> {
    match text {
        [b'(', text @ ..] => number(text).map(Bound::Excluded),
        text => number(text).map(Bound::Included),
    }
}

/// A number as C's `strtod` takes it: after blanks, nothing at all is 0, and what is too large is infinite.
fn number(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().position(|byte| !blank(byte))?..];
    parse_f64(text).or_else(|| {
        let out_of_range = std::str::from_utf8(text).ok()?.parse::<f64>().ok()?;
        (!out_of_range.is_nan()).then_some(out_of_range)
    })
}

/// The members between two bounds, of those with one score.
pub(super) fn by_member<'a>(min: &'a [u8], max: &'a [u8]) -> Result<Range<'a>, Error> {
    let (min, max) = item(min).zip(item(max)).ok_or(NOT_ITEMS)?;
    Ok(match (min, max) {
        (Item::Last, _) | (_, Item::First) => Range::Rank(0, 0),
        (Item::First, Item::Last) => Range::Lex(Bound::Unbounded, Bound::Unbounded),
        (Item::First, Item::Member(max)) => Range::Lex(Bound::Unbounded, max),
        (Item::Member(min), Item::Last) => Range::Lex(min, Bound::Unbounded),
        (Item::Member(min), Item::Member(max)) => Range::Lex(min, max),
    })
}

enum Item<'a> {
    /// Before all members.
    First,
    /// After all members.
    Last,
    Member(Bound<&'a [u8]>),
}

fn item(text: &[u8]) -> Option<Item<'_>> {
    match text {
        b"-" => Some(Item::First),
        b"+" => Some(Item::Last),
        [b'(', member @ ..] => Some(Item::Member(Bound::Excluded(member))),
        [b'[', member @ ..] => Some(Item::Member(Bound::Included(member))),
        _ => None,
    }
}

/// The ranks `from..to` that `first` and `last`, both inclusive and counted from the end if negative, mean in a set of
/// `len` members.
pub(super) fn ranks(first: i64, last: i64, len: u64) -> (u64, u64) {
    let clip = |rank: i64| if rank < 0 { len.checked_sub(rank.unsigned_abs()) } else { Some(rank as u64) };
    let from = clip(first).unwrap_or(0);
    let to = clip(last).map_or(0, |last| last.saturating_add(1).min(len));
    (from.min(to), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_read_as_in_c() {
        for (text, expected) in [
            ("1.5", Some(Bound::Included(1.5))),
            ("(1.5", Some(Bound::Excluded(1.5))),
            ("-inf", Some(Bound::Included(f64::NEG_INFINITY))),
            ("(+inf", Some(Bound::Excluded(f64::INFINITY))),
            ("", Some(Bound::Included(0.0))),
            ("(", Some(Bound::Excluded(0.0))),
            (" 1", Some(Bound::Included(1.0))),
            ("1e999", Some(Bound::Included(f64::INFINITY))),
            ("1 ", None),
            (" ", None),
            ("nan", None),
            ("((1", None),
            ("x", None),
        ] {
            assert_eq!(score(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn members_need_a_sign() {
        assert!(by_member(b"a", b"+").is_err() && by_member(b"-", b"++").is_err() && by_member(b"", b"+").is_err());
        assert_eq!(by_member(b"+", b"[a"), Ok(Range::Rank(0, 0)));
        let expected = Range::Lex(Bound::Included(b"".as_slice()), Bound::Excluded(b"b".as_slice()));
        assert_eq!(by_member(b"[", b"(b"), Ok(expected));
    }

    #[test]
    fn ranks_are_clipped() {
        assert_eq!(ranks(0, -1, 5), (0, 5));
        assert_eq!(ranks(-2, 100, 5), (3, 5));
        assert_eq!(ranks(-100, 1, 5), (0, 2));
        assert_eq!(ranks(3, 1, 5), (2, 2));
        assert_eq!(ranks(7, 9, 5), (5, 5));
        assert_eq!(ranks(0, -9, 5), (0, 0));
        assert_eq!(ranks(i64::MIN, i64::MAX, 5), (0, 5));
        assert_eq!(ranks(0, -1, 0), (0, 0));
    }
}
