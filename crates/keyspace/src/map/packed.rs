//! The packed form of a map: one sequence in the record, each part behind its length.
//!
//! ```text
//! payload [flags u8] entry*
//! entry   [length n][member]                                                  of a set
//!         [length n][field][length n][value]                                  of a hash
//!         [length n][field][length n][value][expire-at ms n, 0: never]        of a hash, if flags & 2
//! flags   1: all members are integers in their canonical spelling             2: each entry says when it expires
//! n: LEB128 number
//! ```
//!
//! Entries lie in the order in which they came. How many there are is found by looking: whoever asks for an element
//! passes them all anyway.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::alike;
use crate::record::{Kind, Millis};
use crate::same::same;
use crate::varint;
use crate::view::Stop;

/// Bytes in front of the entries.
pub(super) const ENTRIES_AT: usize = 1;
pub(super) const INTEGERS: u8 = 1;
pub(super) const EXPIRING: u8 = 2;

/// What an entry has besides its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Members,
    Pairs,
    PairsThatExpire,
}

impl Layout {
    pub(super) fn of(kind: Kind, flags: u8) -> Result<Self, Stop> {
        match (kind, flags) {
            (Kind::Set, 0 | INTEGERS) => Ok(Self::Members),
            (Kind::Hash, 0) => Ok(Self::Pairs),
            (Kind::Hash, EXPIRING) => Ok(Self::PairsThatExpire),
            (Kind::String | Kind::List | Kind::Set | Kind::Zset | Kind::Hash | Kind::Stream, _) => Err(Stop::Fault),
        }
    }
}

/// A part of the sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub element: &'a [u8],
    pub value: &'a [u8],
    pub expire_at: Option<Millis>,
    /// Where it lies in the payload: from `begin`; what follows the element from `value_at`; up to `end`.
    pub begin: usize,
    pub value_at: usize,
    pub end: usize,
}

impl Entry<'_> {
    pub(super) fn is_expired(&self, now: Millis) -> bool {
        self.expire_at.is_some_and(|at| at <= now)
    }
}

/// Reads the sequence from its begin.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    payload_len: usize,
    rest: &'a [u8],
    pub layout: Layout,
    pub flags: u8,
}

impl<'a> Entries<'a> {
    #[inline]
    pub(super) fn of(kind: Kind, payload: &'a [u8]) -> Result<Self, Stop> {
        let (&flags, rest) = payload.split_first().ok_or(Stop::Fault)?;
        Ok(Self { payload_len: payload.len(), rest, layout: Layout::of(kind, flags)?, flags })
    }

    /// The next entry; `None` at the end.
    // A walk that calls it takes four times as long.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Entry<'a>>, Stop> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let begin = self.at();
        let element = take(&mut self.rest)?;
        let value_at = self.at();
        let value = if self.layout == Layout::Members { &[] } else { take(&mut self.rest)? };
        let expire_at = if self.layout == Layout::PairsThatExpire {
            let at = varint::take(&mut self.rest).ok_or(Stop::Fault)?;
            Some(Millis(at)).filter(|at| at.0 != 0)
        } else {
            None
        };
        Ok(Some(Entry { element, value, expire_at, begin, value_at, end: self.at() }))
    }

    /// The entry of `element`, and how many entries there are up to it: all, if there is none.
    #[inline]
    pub(super) fn find(self, element: &[u8]) -> Result<(Option<Entry<'a>>, usize), Stop> {
        // A loop for each layout: none asks at each entry which it is.
        match self.layout {
            Layout::Members => Entries { layout: Layout::Members, ..self }.walk_to(element),
            Layout::Pairs => Entries { layout: Layout::Pairs, ..self }.walk_to(element),
            Layout::PairsThatExpire => Entries { layout: Layout::PairsThatExpire, ..self }.walk_to(element),
        }
    }

    #[inline(always)]
    fn walk_to(mut self, element: &[u8]) -> Result<(Option<Entry<'a>>, usize), Stop> {
        let mut count = self.pass_alike(element);
        while let Some(entry) = self.next()? {
            if same(entry.element, element) {
                return Ok((Some(entry), count));
            }
            count += 1;
        }
        Ok((None, count))
    }

    /// Passes entries that have the lengths of the first, up to `element`; answers how many.
    #[inline]
    fn pass_alike(&mut self, element: &[u8]) -> usize {
        let Some((&len @ 0..0x80, behind)) = self.rest.split_first() else { return 0 };
        let value_at = 1 + usize::from(len);
        match self.layout {
            Layout::Pairs => {
                let Some(&value_len @ 0..0x80) = behind.get(usize::from(len)) else { return 0 };
                alike::pass(&mut self.rest, value_at + 1 + usize::from(value_len), |entry| {
                    entry[0] == len && entry[value_at] == value_len && !same(&entry[1..value_at], element)
                })
            }
            // There is but one length to wait for.
            Layout::Members => 0,
            Layout::PairsThatExpire => 0,
        }
    }

    /// How many entries are left.
    pub(super) fn count(mut self) -> Result<usize, Stop> {
        let mut count = 0;
        while self.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn at(&self) -> usize {
        self.payload_len - self.rest.len()
    }
}

#[inline]
fn take<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Stop> {
    varint::take_bytes(input).ok_or(Stop::Fault)
}

/// What entries are written to.
pub(super) trait Sink {
    fn append(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<const N: usize> Sink for SmallVec<[u8; N]>
where
    [u8; N]: smallvec::Array<Item = u8>,
{
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Appends what follows the element in an entry.
pub(super) fn encode_value(out: &mut impl Sink, layout: Layout, value: &[u8], expire_at: Option<Millis>) {
    match layout {
        Layout::Members => {}
        Layout::Pairs => encode_bytes(out, value),
        Layout::PairsThatExpire => {
            encode_bytes(out, value);
            encode_number(out, expire_at.map_or(0, |at| at.0));
        }
    }
}

/// Appends length-prefixed bytes.
#[inline]
pub(super) fn encode_bytes(out: &mut impl Sink, bytes: &[u8]) {
    encode_number(out, bytes.len() as u64);
    out.append(bytes);
}

fn encode_number(out: &mut impl Sink, mut number: u64) {
    while number >= 0x80 {
        out.append(&[number as u8 | 0x80]);
        number >>= 7;
    }
    out.append(&[number as u8]);
}

/// The same entries in another layout of a hash.
pub(super) fn convert(payload: &[u8], to: Layout) -> Result<Vec<u8>, Stop> {
    let mut entries = Entries::of(Kind::Hash, payload)?;
    let mut converted = Vec::with_capacity(payload.len() * 2);
    converted.push(if to == Layout::PairsThatExpire { EXPIRING } else { 0 });
    while let Some(entry) = entries.next()? {
        encode_bytes(&mut converted, entry.element);
        encode_value(&mut converted, to, entry.value, entry.expire_at);
    }
    Ok(converted)
}

/// Whether this is how a 64-bit integer is written: no plus, no leading zeros, no spaces.
#[inline]
#[must_use]
pub fn is_integer(text: &[u8]) -> bool {
    let (digits, most) = match text {
        [b'-', digits @ ..] => (digits, &b"9223372036854775808"[..]),
        digits => (digits, &b"9223372036854775807"[..]),
    };
    match digits {
        [] => false,
        [b'0'] => text.len() == 1,
        [b'0', ..] => false,
        _ => {
            digits.iter().all(u8::is_ascii_digit)
                && (digits.len() < most.len() || digits.len() == most.len() && digits <= most)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    #[test]
    fn golden_sequences() {
        let mut set = alloc::vec![INTEGERS];
        encode_bytes(&mut set, b"12");
        assert_eq!(set, [1, 2, b'1', b'2']);
        let mut hash = alloc::vec![0];
        encode_bytes(&mut hash, b"f");
        encode_value(&mut hash, Layout::Pairs, &[7; 130], None);
        assert_eq!(hash[..5], [0, 1, b'f', 0x82, 1]);
        let expiring = convert(&[0, 1, b'f', 1, b'v'], Layout::PairsThatExpire).unwrap();
        assert_eq!(expiring, [2, 1, b'f', 1, b'v', 0]);
        let bytes = [2, 1, b'f', 1, b'v', 0xac, 2];
        let entry = Entries::of(Kind::Hash, &bytes).unwrap().next().unwrap().unwrap();
        assert_eq!((entry.element, entry.value, entry.expire_at), (&b"f"[..], &b"v"[..], Some(Millis(300))));
        assert_eq!((entry.begin, entry.value_at, entry.end), (1, 3, 7));
    }

    #[test]
    fn integers_are_spelled_in_one_way() {
        for yes in ["0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808", "999999999999999999"] {
            assert!(is_integer(yes.as_bytes()), "{yes}");
        }
        for no in ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "1a", "9223372036854775808", "-9223372036854775809"] {
            assert!(!is_integer(no.as_bytes()), "{no}");
        }
    }

    /// Names of few lengths, so that most have a neighbour of the same.
    fn names() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let name = (prop_oneof![8 => 1..4usize, 1 => Just(0usize), 1 => 126..130usize], any::<u8>());
        prop::collection::vec(name, 0..40)
            .prop_map(|of| of.iter().map(|(len, byte)| alloc::vec![*byte & 3; *len]).collect())
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>, element: Vec<u8>) {
            for kind in [Kind::Set, Kind::Hash] {
                if let Ok(entries) = Entries::of(kind, &bytes) {
                    let _ = entries.clone().count();
                    let _ = entries.find(&element);
                }
            }
        }

        #[test]
        fn an_element_is_found_where_a_walk_meets_it(names in names(), values in names(), at: prop::sample::Index) {
            let wanted = if names.is_empty() { Vec::new() } else { at.get(&names).clone() };
            for layout in [Layout::Members, Layout::Pairs, Layout::PairsThatExpire] {
                let flags = if layout == Layout::PairsThatExpire { EXPIRING } else { 0 };
                let kind = if layout == Layout::Members { Kind::Set } else { Kind::Hash };
                let mut payload = alloc::vec![flags];
                for (number, name) in names.iter().enumerate() {
                    encode_bytes(&mut payload, name);
                    let value = values.get(number % values.len().max(1)).map_or(&[][..], Vec::as_slice);
                    encode_value(&mut payload, layout, value, Some(Millis(number as u64)));
                }
                let (found, before) = Entries::of(kind, &payload).unwrap().find(&wanted).unwrap();
                let mut walk = Entries::of(kind, &payload).unwrap();
                for _ in 0..before {
                    prop_assert!(walk.next().unwrap().is_some_and(|entry| entry.element != wanted));
                }
                let next = walk.next().unwrap();
                prop_assert_eq!(next.map(|entry| entry.begin), found.map(|entry| entry.begin));
                prop_assert!(found.is_none_or(|entry| entry.element == wanted));
                for end in 0..payload.len() {
                    if let Ok(entries) = Entries::of(kind, &payload[..end]) {
                        let _ = entries.find(b"another");
                    }
                }
            }
        }

        #[test]
        fn an_integer_is_what_the_formatter_writes(number: i64, text: String) {
            let spelled = number.to_string();
            prop_assert!(is_integer(spelled.as_bytes()));
            let canonical = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
            prop_assert_eq!(is_integer(text.as_bytes()), canonical);
        }
    }
}
