//! Patterns of BY and GET: which key, or which field of a hash, goes with an element.

use keyspace::{Kind, View, map, string};

use super::of_map;
use crate::error::Error;

/// A pattern.
pub enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*`: nothing goes with any element.
    Nothing,
    /// The key that has the element in place of the `*`, or a field of the hash there.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    /// Of GET.
    pub fn parse(text: &'a [u8]) -> Self {
        if text == b"#" { Self::Element } else { Self::parse_weight(text) }
    }

    /// Of BY.
    pub fn parse_weight(text: &'a [u8]) -> Self {
        // Redis looks for both signs as C does, in front of the first NUL.
        let seen = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let Some(star) = seen.iter().position(|byte| *byte == b'*') else { return Self::Nothing };
        let rest = &seen[star + 1..];
        let arrow = rest.windows(2).position(|pair| pair == b"->").filter(|arrow| arrow + 2 < rest.len());
        let after = star + 1;
        let (end, field) = match arrow {
            None => (text.len(), None),
            Some(arrow) => (after + arrow, Some(&text[after + arrow + 2..])),
        };
        Self::Key { before: &text[..star], after: &text[after..end], field }
    }

    /// Reads what goes with an element into `out`; says whether there is something.
    pub fn look_up(&self, view: &mut dyn View, element: &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
        out.clear();
        let (before, after, field) = match self {
            Self::Element => {
                out.extend_from_slice(element);
                return Ok(true);
            }
            Self::Nothing => return Ok(false),
            Self::Key { before, after, field } => (*before, *after, *field),
        };
        let key = [before, element, after].concat();
        let Some(record) = view.record(&key)? else { return Ok(false) };
        match (record.head.kind, field) {
            (Kind::String, None) => {
                string::read(view, &key, 0, u64::MAX, &mut |piece| out.extend_from_slice(piece))?;
                Ok(true)
            }
            (Kind::Hash, Some(field)) => map::get(view, &key, Kind::Hash, field, |found| {
                found.map(|found| out.extend_from_slice(found.value)).is_some()
            })
            .map_err(of_map),
            (Kind::String | Kind::List | Kind::Set | Kind::Zset | Kind::Hash | Kind::Stream, _) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &[u8]) -> Option<[&[u8]; 3]> {
        match Pattern::parse(text) {
            Pattern::Key { before, after, field } => Some([before, after, field.unwrap_or(b"none")]),
            Pattern::Element | Pattern::Nothing => None,
        }
    }

    #[test]
    fn patterns_are_read_as_in_redis() {
        assert!(matches!(Pattern::parse(b"#"), Pattern::Element));
        assert!(matches!(Pattern::parse_weight(b"#"), Pattern::Nothing));
        assert!(matches!(Pattern::parse(b"key->field"), Pattern::Nothing));
        assert!(matches!(Pattern::parse(b"key\0*"), Pattern::Nothing));
        assert_eq!(parts(b"w_*"), Some([&b"w_"[..], b"", b"none"]));
        assert_eq!(parts(b"*"), Some([&b""[..], b"", b"none"]));
        assert_eq!(parts(b"a*b*c"), Some([&b"a"[..], b"b*c", b"none"]));
        assert_eq!(parts(b"a->b*c->d->e"), Some([&b"a->b"[..], b"c", b"d->e"]));
        assert_eq!(parts(b"a*->"), Some([&b"a"[..], b"->", b"none"]));
        assert_eq!(parts(b"a*->f\0g"), Some([&b"a"[..], b"", b"f\0g"]));
    }
}
