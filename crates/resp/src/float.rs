//! Doubles as Redis reads them (`string2d`) and prints them (`d2string`).

use alloc::vec::Vec;
use core::str;

use crate::binary_float::{Binary, Literal, Negative, scan};

/// Reads a double as C's `strtod` does in the C locale, if the whole text is one.
///
/// Accepted: `1`, `+.5`, `5.`, `1e5`, `0x1.8p3`, and `inf` or `infinity` in any case. Refused: blanks on either side,
/// "not a number", and numbers too large for a double, or so small that they would become zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (Negative(negative), literal) = scan(text)?;
    let magnitude = match literal {
        Literal::Infinity => f64::INFINITY,
        Literal::Hexadecimal(binary) => from_binary(binary)?,
        Literal::Decimal(decimal) => {
            let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
            let value: f64 = str::from_utf8(unsigned).ok()?.parse().ok()?;
            let is_zero = decimal.integer.iter().chain(decimal.fraction).all(|&digit| digit == b'0');
            if value.is_infinite() || (value == 0.0 && !is_zero) {
                return None;
            }
            value
        }
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Appends a double as Redis 7.2 spells it: the shortest digits that read back alike.
///
/// Integers up to 2^62 in magnitude print as such; otherwise the form depends on how many digits there are and where
/// the point falls, by the rule of the library Redis prints with. So `0.1`, `1e-7`, `1e+21`, but also
/// `1.234567812345678e+7`. Where that library misses the shortest digits (one double in some thousand) these differ
/// from Redis's.
pub fn format_f64(value: f64, out: &mut Vec<u8>) {
    /// Half of `i64::MAX`, as the nearest double.
    const INTEGER_BOUND: f64 = 4_611_686_018_427_387_904.0;

    let negative_zero = value == 0.0 && value.is_sign_negative();
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.abs() <= INTEGER_BOUND && value == (value as i64) as f64 && !negative_zero {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        if value.is_sign_negative() {
            out.push(b'-');
        }
        if negative_zero {
            out.push(b'0');
        } else if value.is_infinite() {
            out.extend_from_slice(b"inf");
        } else {
            Shortest::new(value.abs()).write(out);
        }
    }
}

/// Rounds to a double; `None` if the value is too large, or not zero but too small.
fn from_binary(binary: Binary) -> Option<f64> {
    let (mantissa, exponent) = binary.round(53, -1074);
    if mantissa == 0 {
        return (binary.bits == 0).then_some(0.0);
    }
    // A mantissa of fewer than 53 bits is subnormal, for which the exponent field is 0.
    let field = if mantissa >> 52 == 0 { 0 } else { exponent + 1075 };
    (field < 2047).then(|| f64::from_bits((field as u64) << 52 | mantissa & ((1 << 52) - 1)))
}

/// A positive double is `digits × 10^exponent` with the fewest digits that read back alike.
struct Shortest {
    digits: [u8; 20],
    len: usize,
    exponent: i32,
}

impl Shortest {
    /// Takes apart what the printing library wrote, which has another idea of where to put the point.
    fn new(value: f64) -> Self {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut shortest = Self { digits: [0; 20], len: 0, exponent: exponent.parse().unwrap_or(0) };
        let mut zeros = 0;
        let mut after_point = false;
        for byte in mantissa.bytes() {
            match byte {
                b'.' => after_point = true,
                b'0' => {
                    zeros += 1;
                    shortest.exponent -= i32::from(after_point);
                }
                digit => {
                    // Zeros count once a digit follows; before the first digit they do not.
                    if shortest.len > 0 {
                        shortest.digits[shortest.len..shortest.len + zeros].fill(b'0');
                        shortest.len += zeros;
                    }
                    shortest.digits[shortest.len] = digit;
                    shortest.len += 1;
                    shortest.exponent -= i32::from(after_point);
                    zeros = 0;
                }
            }
        }
        shortest.exponent += zeros as i32;
        shortest
    }

    fn write(&self, out: &mut Vec<u8>) {
        let digits = &self.digits[..self.len];
        let scientific = self.exponent + self.len as i32 - 1;
        if self.exponent >= 0 && scientific < self.len as i32 + 7 {
            out.extend_from_slice(digits);
            out.resize(out.len() + self.exponent as usize, b'0');
        } else if self.exponent < 0 && (self.exponent > -7 || scientific.abs() < 4) {
            let fraction = self.exponent.unsigned_abs() as usize;
            if let Some(integer) = digits.len().checked_sub(fraction).filter(|&integer| integer > 0) {
                out.extend_from_slice(&digits[..integer]);
                out.push(b'.');
                out.extend_from_slice(&digits[integer..]);
            } else {
                out.extend_from_slice(b"0.");
                out.resize(out.len() + fraction - digits.len(), b'0');
                out.extend_from_slice(digits);
            }
        } else {
            out.push(digits[0]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.extend_from_slice(if scientific < 0 { b"e-" } else { b"e+" });
            out.extend_from_slice(itoa::Buffer::new().format(scientific.unsigned_abs()).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    fn format(value: f64) -> String {
        let mut out = Vec::new();
        format_f64(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Accepted and refused by ZADD on a running Redis.
    #[test]
    fn parses_what_redis_parses() {
        for (text, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1.e5", 1e5),
            ("1E+2", 100.0),
            ("007", 7.0),
            ("-1.5e-3", -0.0015),
            ("inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
            ("iNfinity", f64::INFINITY),
            ("0x10", 16.0),
            ("0x.8", 0.5),
            ("-0X1.8P-3", -0.1875),
            ("0x0p99999", 0.0),
            ("0e999999999999999999999", 0.0),
            ("5e-324", 5e-324),
            ("3e-324", 5e-324),
            ("1.7976931348623157e308", f64::MAX),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.fffffffffffff7p1023", f64::MAX),
            ("0x1p-1074", 5e-324),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000000000000000000001p0", 1.000_000_000_000_000_2),
            ("0x1p-1022", f64::MIN_POSITIVE),
            ("0x0.fffffffffffffp-1022", 2.225_073_858_507_201e-308),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text:?}");
        }
        assert!(parse_f64(b"-0").is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()));
    }

    #[test]
    fn refuses_what_redis_refuses() {
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "NaN",
            "-nan",
            "nan(1)",
            "0x",
            "0x.",
            "0x1p",
            "0x1p+",
            "1e",
            "1e+",
            ".",
            "+",
            "-",
            "+-1",
            "1_0",
            "1\0",
            "infin",
            "inf ",
            "infinityx",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "0x1p-1080",
            "0x1p99999",
            "0x1.fffffffffffff8p1023",
            "1e99999999999999999999",
            "1,5",
            "1e5.0",
            "e5",
            ".e5",
            "\u{661}",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn formats_as_redis_7_2() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (3.5, "3.5"),
            (-3.5, "-3.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (1e18, "1000000000000000000"),
            (1e19, "1e+19"),
            (1e21, "1e+21"),
            (-1e21, "-1e+21"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (-4_611_686_018_427_387_904.0, "-4611686018427387904"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (0.000_123, "0.000123"),
            (0.001_234_567_89, "0.00123456789"),
            (0.000_123_456_789, "1.23456789e-4"),
            (1_234.567_890_123, "1234.567890123"),
            (12_345.678_901_23, "1.234567890123e+4"),
            (12_345_678.123_456_78, "1.234567812345678e+7"),
            (1_700_000_000.123_456, "1700000000.123456"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (1e100, "1e+100"),
            (1.5e-105, "1.5e-105"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (100.5, "100.5"),
            (1.05, "1.05"),
        ] {
            assert_eq!(format(value), text);
        }
    }

    proptest! {
        #[test]
        fn formatted_doubles_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            let back = parse_f64(format(value).as_bytes());
            let expected = (!value.is_nan()).then_some(value);
            prop_assert_eq!(back, expected);
        }

        #[test]
        fn parses_as_the_standard_library(text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?(e[-+]?[0-9]{1,2})?") {
            prop_assert_eq!(parse_f64(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[-+.0-9a-fA-FxXpPinINFTYy]{0,40}") {
            let _ = parse_f64(text.as_bytes());
        }
    }
}
