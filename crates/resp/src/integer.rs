//! Integers as Redis reads them: one spelling for each number and nothing around it.

/// The longest spelling of an `i64`: a sign and nineteen digits.
const MAX_I64_LEN: usize = 20;

/// The longest spelling of a `u64`: twenty digits.
const MAX_U64_LEN: usize = 20;

/// Reads a signed integer by the rules of Redis's `string2ll`.
///
/// Accepted: `0`, and an optional `-` before digits that do not begin with a zero, within the range of `i64`.
/// Refused: the empty text, `+1`, `01`, `-0`, and blanks on either side.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    if text.len() > MAX_I64_LEN {
        return None;
    }
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            magnitude => 0i64.checked_sub_unsigned(magnitude),
        },
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Reads an unsigned integer by the same rules as [`parse_i64`], without a sign.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if text.len() <= MAX_U64_LEN => {
            // Nineteen digits fit; only a twentieth can overflow.
            let (fitting, last) = text.split_at(text.len().min(MAX_U64_LEN - 1));
            let mut value = 0;
            for &byte in fitting {
                value = value * 10 + digit(byte)?;
            }
            for &byte in last {
                value = value.checked_mul(10)?.checked_add(digit(byte)?)?;
            }
            Some(value)
        }
        _ => None,
    }
}

#[inline]
fn digit(byte: u8) -> Option<u64> {
    let value = byte.wrapping_sub(b'0');
    (value <= 9).then_some(u64::from(value))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_the_canonical_spelling_over_the_full_range() {
        for value in [0, 1, -1, 9, 10, 99, -99, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1a",
            "a",
            "1.0",
            "0x1",
            "--1",
            "1\0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "100000000000000000000",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(value: i64) {
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn what_it_accepts_prints_back_alike(text in "[-+0-9 ]{0,21}") {
            if let Some(value) = parse_i64(text.as_bytes()) {
                prop_assert_eq!(value.to_string(), text);
            }
        }
    }
}
