//! Scores as bytes that sort as the scores do, and the keys of the order index.
//!
//! ```text
//! index key = [score 8 bytes][member]      -inf < -1 < 0 < 1 < inf, members of one score by their bytes
//! ```
//!
//! The bits of a double, big-endian, sort like doubles once the sign bit of positive ones is set and all bits of negative
//! ones are turned over.

use alloc::vec::Vec;
use core::ops::Bound;

/// Bytes of a score in an index key.
pub const SCORE_BYTES: usize = 8;
const SIGN: u64 = 1 << 63;

/// The score as it is kept: there is one zero.
#[must_use]
pub fn normal(score: f64) -> f64 {
    if score == 0.0 { 0.0 } else { score }
}

fn rank_bits(score: f64) -> u64 {
    let bits = normal(score).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The index key of a member.
#[must_use]
pub fn index_key(score: f64, member: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(SCORE_BYTES + member.len());
    key.extend_from_slice(&rank_bits(score).to_be_bytes());
    key.extend_from_slice(member);
    key
}

/// Score and member of an index key; `None`: it is none.
#[must_use]
pub fn split(key: &[u8]) -> Option<(f64, &[u8])> {
    let (bytes, member) = key.split_first_chunk::<SCORE_BYTES>()?;
    let ranked = u64::from_be_bytes(*bytes);
    let bits = if ranked & SIGN == 0 { !ranked } else { ranked & !SIGN };
    Some((f64::from_bits(bits), member))
}

/// As [`split`], of a key that is no longer needed.
#[must_use]
pub fn into_member(mut key: Vec<u8>) -> Option<(Vec<u8>, f64)> {
    let (score, _) = split(&key)?;
    key.drain(..SCORE_BYTES);
    Some((key, score))
}

/// The least index key that scores from `min` on can have.
#[must_use]
pub fn first_of_scores(min: Bound<f64>) -> Vec<u8> {
    match min {
        Bound::Unbounded => Vec::new(),
        Bound::Included(score) => rank_bits(score).to_be_bytes().to_vec(),
        // Never overflows: the bits of all numbers lie below those of "not a number".
        Bound::Excluded(score) => (rank_bits(score) + 1).to_be_bytes().to_vec(),
    }
}

/// The least index key that is greater than all that scores up to `max` can have; `None`: no key is.
#[must_use]
pub fn end_of_scores(max: Bound<f64>) -> Option<Vec<u8>> {
    match max {
        Bound::Unbounded => None,
        Bound::Included(score) => Some(first_of_scores(Bound::Excluded(score))),
        Bound::Excluded(score) => Some(first_of_scores(Bound::Included(score))),
    }
}

/// As [`first_of_scores`], for members from `min` on of one score.
#[must_use]
pub fn first_of_members(score: f64, min: Bound<&[u8]>) -> Vec<u8> {
    match min {
        Bound::Unbounded => index_key(score, b""),
        Bound::Included(member) => index_key(score, member),
        Bound::Excluded(member) => {
            let mut key = index_key(score, member);
            key.push(0);
            key
        }
    }
}

/// As [`end_of_scores`], for members up to `max` of one score.
#[must_use]
pub fn end_of_members(score: f64, max: Bound<&[u8]>) -> Vec<u8> {
    match max {
        Bound::Unbounded => first_of_scores(Bound::Excluded(score)),
        Bound::Included(member) => first_of_members(score, Bound::Excluded(member)),
        Bound::Excluded(member) => first_of_members(score, Bound::Included(member)),
    }
}

/// The shortest bytes that are greater than `left` and not greater than `right`, which is greater than `left`.
#[must_use]
pub fn between<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    let common = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    &right[..(common + 1).min(right.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_keys() {
        assert_eq!(index_key(1.0, b"a"), [0xbf, 0xf0, 0, 0, 0, 0, 0, 0, b'a']);
        assert_eq!(index_key(-1.0, b""), [0x40, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(index_key(-0.0, b""), index_key(0.0, b""));
        assert_eq!(index_key(f64::INFINITY, b"")[..2], [0xff, 0xf0]);
        assert_eq!(index_key(f64::NEG_INFINITY, b"")[..2], [0, 0x0f]);
    }

    #[test]
    fn a_separator_is_short() {
        assert_eq!(between(b"abcd", b"abx123"), b"abx");
        assert_eq!(between(b"ab", b"abc"), b"abc");
        assert_eq!(between(b"", b"xyz"), b"x");
    }

    proptest! {
        #[test]
        fn keys_sort_as_scores_then_members(a: f64, b: f64, m: Vec<u8>, n: Vec<u8>) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let expected = a.partial_cmp(&b).unwrap().then_with(|| m.cmp(&n));
            prop_assert_eq!(index_key(a, &m).cmp(&index_key(b, &n)), expected);
            let key = index_key(a, &m);
            prop_assert_eq!(split(&key), Some((normal(a), m.as_slice())));
            prop_assert_eq!(into_member(key), Some((m.clone(), normal(a))));
            prop_assert!(first_of_scores(Bound::Included(a)) <= index_key(a, &m));
            prop_assert!(first_of_scores(Bound::Excluded(a)) > index_key(a, &m));
        }

        #[test]
        fn separators_separate(a: Vec<u8>, b: Vec<u8>) {
            prop_assume!(a < b);
            let separator = between(&a, &b);
            prop_assert!(a.as_slice() < separator && separator <= b.as_slice());
        }
    }
}
