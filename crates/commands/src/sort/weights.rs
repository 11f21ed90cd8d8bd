//! What elements are compared by.

use core::cmp::Ordering;

use keyspace::View;
use resp::parse_f64;

use super::Items;
use super::options::Comparison;
use super::pattern::Pattern;
use crate::error::Error;

const NOT_DOUBLE: &str = "ERR One or more scores can't be converted into double";

/// A weight for each element.
pub enum Weights {
    /// Numbers; an element without one has 0.
    Numbers(Vec<f64>),
    /// The elements themselves.
    Elements,
    /// Bytes; an element without any comes before the others.
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Weights {
    /// Reads them.
    pub fn read(
        view: &mut dyn View,
        source: &Items,
        weight: &Pattern<'_>,
        comparison: Comparison,
    ) -> Result<Self, Error> {
        let own = matches!(weight, Pattern::Element);
        let count = source.items.len();
        let mut value = Vec::new();
        match comparison {
            Comparison::Bytes if own => Ok(Self::Elements),
            Comparison::Bytes => {
                let mut weights = Vec::with_capacity(count);
                for index in 0..count {
                    let found = weight.look_up(view, source.at(index), &mut value)?;
                    weights.push(found.then(|| value.clone()));
                }
                Ok(Self::Bytes(weights))
            }
            Comparison::Numbers => {
                let mut weights = Vec::with_capacity(count);
                let mut bad = false;
                for index in 0..count {
                    let number = if own {
                        number(source.at(index))
                    } else if weight.look_up(view, source.at(index), &mut value)? {
                        number(&value)
                    } else {
                        Some(0.0)
                    };
                    bad |= number.is_none();
                    weights.push(number.unwrap_or_default());
                }
                if bad { Err(NOT_DOUBLE.into()) } else { Ok(Self::Numbers(weights)) }
            }
        }
    }

    /// Which of two elements is less.
    pub fn compare(&self, source: &Items, one: usize, other: usize) -> Ordering {
        match self {
            // Equal numbers must not leave the order open.
            Self::Numbers(weights) => {
                let by_number = weights[one].partial_cmp(&weights[other]).unwrap_or(Ordering::Equal);
                by_number.then_with(|| source.at(one).cmp(source.at(other)))
            }
            Self::Elements => source.at(one).cmp(source.at(other)),
            Self::Bytes(weights) => weights[one].cmp(&weights[other]),
        }
    }
}

/// A number as C's `strtod` reads it: blanks may come first, what follows a NUL does not count, and nothing at all is 0.
fn number(text: &[u8]) -> Option<f64> {
    let seen = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if seen.is_empty() {
        return Some(0.0);
    }
    let blanks = seen.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    parse_f64(&seen[blanks..]).filter(|number| !number.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            (&b"1"[..], Some(1.0)),
            (b" \t\n1.5", Some(1.5)),
            (b"-inf", Some(f64::NEG_INFINITY)),
            (b"0x10", Some(16.0)),
            (b"1\0x", Some(1.0)),
            (b"", Some(0.0)),
            (b"\0x", Some(0.0)),
            (b" ", None),
            (b"1 ", None),
            (b"nan", None),
            (b"one", None),
            (b"1e999", None),
        ] {
            assert_eq!(number(text), expected, "{}", text.escape_ascii());
        }
    }
}
