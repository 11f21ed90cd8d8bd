//! What the two binary float formats share: the grammar of C's `strtod`, and rounding to nearest, ties to even.

/// A number as text, taken apart but not yet rounded to a format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Literal<'a> {
    /// `inf` or `infinity`, in any case.
    Infinity,
    /// Decimal digits.
    Decimal(Decimal<'a>),
    /// A hexadecimal number: its bits, exactly.
    Hexadecimal(Binary),
}

/// `integer.fraction × 10^exponent`: the digits on either side of the point, and a power of ten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    pub(crate) integer: &'a [u8],
    pub(crate) fraction: &'a [u8],
    pub(crate) exponent: i64,
}

/// `(bits + less than one) × 2^exponent`.
///
/// If `sticky`, something was cut off below, and `bits` has at least 66 significant bits so that no format in use
/// rounds at the cut. `bits` is below 2^127.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binary {
    pub(crate) bits: u128,
    pub(crate) exponent: i64,
    pub(crate) sticky: bool,
}

impl Binary {
    /// The nearest `(mantissa, exponent)` with a mantissa of at most `precision` bits (64 or fewer) and an exponent
    /// not below `min_exponent`; of two equally near, the even one. The mantissa is as wide as both bounds allow.
    pub(crate) fn round(self, precision: u32, min_exponent: i64) -> (u64, i64) {
        if self.bits == 0 {
            return (0, min_exponent);
        }
        let width = i64::from(128 - self.bits.leading_zeros());
        let exponent = (self.exponent + width - i64::from(precision)).max(min_exponent);
        let dropped = exponent - self.exponent;
        if dropped > 127 {
            return (0, min_exponent);
        }
        if dropped <= 0 {
            return ((self.bits << -dropped) as u64, exponent);
        }
        let (kept, rest, half) = (self.bits >> dropped, self.bits & ((1 << dropped) - 1), 1u128 << (dropped - 1));
        let up = rest > half || (rest == half && (self.sticky || kept & 1 == 1));
        let rounded = kept + u128::from(up);
        // Rounding up may carry into one more bit; what falls off then is zero.
        if rounded >> precision == 0 { (rounded as u64, exponent) } else { ((rounded >> 1) as u64, exponent + 1) }
    }
}

/// Splits a sign off and reads the rest as `strtod` would in the C locale. `None` unless the whole text is a number;
/// also for "not a number", which Redis refuses everywhere.
pub(crate) fn scan(text: &[u8]) -> Option<(Negative, Literal<'_>)> {
    let (negative, magnitude) = match text {
        [b'-', rest @ ..] => (Negative(true), rest),
        [b'+', rest @ ..] => (Negative(false), rest),
        rest => (Negative(false), rest),
    };
    let literal = match magnitude {
        [b'0', b'x' | b'X', rest @ ..] => Literal::Hexadecimal(scan_hexadecimal(rest)?),
        [b'i' | b'I', ..] => {
            let known = magnitude.eq_ignore_ascii_case(b"inf") || magnitude.eq_ignore_ascii_case(b"infinity");
            known.then_some(Literal::Infinity)?
        }
        rest => Literal::Decimal(scan_decimal(rest)?),
    };
    Some((negative, literal))
}

/// Whether a minus sign stood before the number, which a zero keeps too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negative(pub(crate) bool);

fn scan_decimal(text: &[u8]) -> Option<Decimal<'_>> {
    let (integer, fraction, rest) = split_digits(text, |byte| byte.is_ascii_digit())?;
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', digits @ ..] => scan_exponent(digits)?,
        _ => return None,
    };
    Some(Decimal { integer, fraction, exponent })
}

fn scan_hexadecimal(text: &[u8]) -> Option<Binary> {
    let (integer, fraction, rest) = split_digits(text, |byte| byte.is_ascii_hexdigit())?;
    let written = match rest {
        [] => 0,
        [b'p' | b'P', digits @ ..] => scan_exponent(digits)?,
        _ => return None,
    };
    let mut value = Binary { bits: 0, exponent: written - 4 * fraction.len() as i64, sticky: false };
    for &byte in integer.iter().chain(fraction) {
        let digit = (byte as char).to_digit(16)?;
        if value.bits >> 120 == 0 {
            value.bits = value.bits << 4 | u128::from(digit);
        } else {
            value.exponent += 4;
            value.sticky |= digit != 0;
        }
    }
    Some(value)
}

/// Digits, perhaps a point, digits: at least one digit in all. Returns both runs and what follows.
fn split_digits(text: &[u8], is_digit: impl Fn(&u8) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let run = |text: &[u8]| text.iter().take_while(|byte| is_digit(byte)).count();
    let (integer, after) = text.split_at(run(text));
    let (fraction, rest) = match after {
        [b'.', after @ ..] => after.split_at(run(after)),
        _ => (&[][..], after),
    };
    (!integer.is_empty() || !fraction.is_empty()).then_some((integer, fraction, rest))
}

/// Far beyond every format's range, far within that of `i64` after the digits' own weight is added.
const MAX_EXPONENT: i64 = 1 << 40;

/// A sign and at least one digit; the value stops at [`MAX_EXPONENT`].
fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0, |sum, byte| (sum * 10 + i64::from(byte - b'0')).min(MAX_EXPONENT));
    Some(sign * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(bits: u128, sticky: bool) -> (u64, i64) {
        Binary { bits, exponent: 0, sticky }.round(4, -10)
    }

    #[test]
    fn rounds_to_nearest_and_ties_to_even() {
        assert_eq!(round(0b1001_0111, false), (0b1001, 4));
        assert_eq!(round(0b1001_1000, false), (0b1010, 4));
        assert_eq!(round(0b1010_1000, false), (0b1010, 4));
        assert_eq!(round(0b1010_1000, true), (0b1011, 4));
        assert_eq!(round(0b1111_1000, false), (0b1000, 5));
        assert_eq!(round(0b11, false), (0b1100, -2));
    }

    #[test]
    fn narrows_below_the_least_exponent() {
        let tiny = |bits, exponent| Binary { bits, exponent, sticky: false }.round(4, -10);
        assert_eq!(tiny(0b11, -10), (0b11, -10));
        assert_eq!(tiny(0b11, -11), (0b10, -10));
        assert_eq!(tiny(0b1, -11), (0, -10));
        assert_eq!(tiny(1 << 126, -10_000), (0, -10));
    }
}
