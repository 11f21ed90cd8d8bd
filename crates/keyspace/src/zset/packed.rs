//! A small sorted set, all of it in the record.
//!
//! ```text
//! payload = ([score f64 LE][member b])*      ordered by score, then by the member's bytes; never empty
//! ```
//!
//! A change is a splice: what is logged is what changed, not the whole.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::order::{SCORE_BYTES, normal};
use crate::alike;
use crate::same::same;
use crate::varint;
use crate::view::Stop;

/// One member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Where it begins in the payload.
    pub at: usize,
    /// Where it ends.
    pub end: usize,
    /// Its score.
    pub score: f64,
    /// Its bytes.
    pub member: &'a [u8],
}

impl Entry<'_> {
    /// Whether it comes before, at or after a score and member.
    pub fn compare(&self, score: f64, member: &[u8]) -> Ordering {
        // No score is "not a number".
        self.score.partial_cmp(&score).unwrap_or(Ordering::Equal).then_with(|| self.member.cmp(member))
    }
}

/// Reads a payload from its beginning.
pub struct Entries<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { payload, at: 0 }
    }

    /// The next member; `None` at the end.
    ///
    /// # Errors
    /// [`Stop::Fault`] when the payload is no sorted set.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Entry<'a>>, Stop> {
        let rest = &self.payload[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let (score, mut rest) = rest.split_first_chunk::<SCORE_BYTES>().ok_or(Stop::Fault)?;
        let member = varint::take_bytes(&mut rest).ok_or(Stop::Fault)?;
        let at = self.at;
        self.at = self.payload.len() - rest.len();
        Ok(Some(Entry { at, end: self.at, score: f64::from_le_bytes(*score), member }))
    }

    /// Passes members that are as long as the first, up to `member`; answers how many.
    #[inline]
    fn pass_alike(&mut self, member: &[u8]) -> usize {
        let mut rest = &self.payload[self.at..];
        let Some(&len @ 0..0x80) = rest.get(SCORE_BYTES) else { return 0 };
        let passed = alike::pass(&mut rest, SCORE_BYTES + 1 + usize::from(len), |entry| {
            entry[SCORE_BYTES] == len && !same(&entry[SCORE_BYTES + 1..], member)
        });
        self.at = self.payload.len() - rest.len();
        passed
    }
}

/// All members.
///
/// # Errors
/// [`Stop::Fault`] when the payload is no sorted set.
pub fn all(payload: &[u8]) -> Result<Vec<Entry<'_>>, Stop> {
    let mut entries = Entries::new(payload);
    let mut all = Vec::with_capacity(payload.len() / 16);
    while let Some(entry) = entries.next()? {
        all.push(entry);
    }
    Ok(all)
}

/// What a change of a member has to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Look<'a> {
    /// It is there.
    There(Entry<'a>),
    /// It is not, but so many others are.
    NotAmong(usize),
}

/// Looks for a member.
///
/// # Errors
/// [`Stop::Fault`] when the payload is no sorted set.
#[inline]
pub fn look<'a>(payload: &'a [u8], member: &[u8]) -> Result<Look<'a>, Stop> {
    let mut entries = Entries::new(payload);
    let mut others = entries.pass_alike(member);
    while let Some(entry) = entries.next()? {
        if same(entry.member, member) {
            return Ok(Look::There(entry));
        }
        others += 1;
    }
    Ok(Look::NotAmong(others))
}

/// A member, if it is there.
///
/// # Errors
/// [`Stop::Fault`] when the payload is no sorted set.
#[inline]
pub fn find<'a>(payload: &'a [u8], member: &[u8]) -> Result<Option<Entry<'a>>, Stop> {
    Ok(match look(payload, member)? {
        Look::There(entry) => Some(entry),
        Look::NotAmong(_) => None,
    })
}

/// Where a member of this score belongs, which is at or after `from`, where an entry begins.
///
/// # Errors
/// [`Stop::Fault`] when the payload is no sorted set.
#[inline]
pub fn place(payload: &[u8], from: usize, score: f64, member: &[u8]) -> Result<usize, Stop> {
    let mut entries = Entries { payload, at: from };
    while let Some(entry) = entries.next()? {
        if entry.compare(score, member) == Ordering::Greater {
            return Ok(entry.at);
        }
    }
    Ok(payload.len())
}

/// Appends an entry.
pub fn write(out: &mut Vec<u8>, score: f64, member: &[u8]) {
    out.extend_from_slice(&normal(score).to_le_bytes());
    varint::put_bytes(out, member);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        let mut payload = Vec::new();
        write(&mut payload, -0.0, b"a");
        write(&mut payload, 1.5, b"bc");
        let expected = [0, 0, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 2, b'b', b'c'];
        assert_eq!(payload, expected);
        let entry = find(&payload, b"bc").unwrap().unwrap();
        assert_eq!((entry.at, entry.end, entry.score), (10, 21, 1.5));
        assert_eq!(place(&payload, 0, 0.0, b"b").unwrap(), 10);
        assert_eq!(place(&payload, 10, 2.0, b"").unwrap(), 21);
        assert_eq!(look(&payload, b"x").unwrap(), Look::NotAmong(2));
    }

    /// Names of few lengths, so that most have a neighbour of the same.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        let len = prop_oneof![8 => 1..4usize, 1 => Just(0usize), 1 => 126..130usize];
        (len, 0u8..3).prop_map(|(len, byte)| alloc::vec![byte; len])
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload: Vec<u8>, member: Vec<u8>) {
            let _ = all(&payload);
            let _ = look(&payload, &member);
            let _ = place(&payload, 0, 1.0, &member);
        }

        #[test]
        fn members_and_places_are_found_where_a_walk_meets_them(
            mut members in prop::collection::vec((0u8..4, name()), 0..40), score in 0u8..4, wanted in name(),
        ) {
            members.sort();
            let mut payload = Vec::new();
            members.iter().for_each(|(score, name)| write(&mut payload, f64::from(*score), name));
            let all = all(&payload).unwrap();
            let expected = all.iter().position(|entry| entry.member == wanted);
            let found = expected.map_or(Look::NotAmong(all.len()), |at| Look::There(all[at]));
            prop_assert_eq!(look(&payload, &wanted).unwrap(), found);
            let score = f64::from(score);
            for from in all.iter().map(|entry| entry.at).chain([payload.len()]) {
                let behind = all.iter().find(|entry| {
                    entry.at >= from && entry.compare(score, &wanted) == Ordering::Greater
                });
                let expected = behind.map_or(payload.len(), |entry| entry.at);
                prop_assert_eq!(place(&payload, from, score, &wanted).unwrap(), expected);
            }
        }
    }
}
