//! The 80-bit floats of the x87 processor, in which Redis computes INCRBYFLOAT and HINCRBYFLOAT.
//!
//! ```text
//!   value = ± mantissa × 2^exponent      mantissa: 64 bits, the top one set unless the exponent is the least
//!                                        exponent: -16445 ..= 16320
//! ```
//!
//! Reading, adding and printing are exact and then rounded once, to nearest with ties to even, as the C library and
//! the processor do; so the answers are Redis's to the last digit. Numbers of everyday size take paths without
//! allocation.

use alloc::vec::Vec;

use crate::binary_float::{Binary, Decimal, Literal, Negative, scan};
use crate::natural::Natural;

/// The longest text Redis reads as a long double: its buffer of 5 KiB without the final NUL.
const MAX_TEXT_LEN: usize = 5 * 1024 - 1;

/// Bits of the mantissa.
const PRECISION: u32 = 64;

/// The exponent of the least bit there is.
const MIN_EXPONENT: i64 = -16445;

/// The exponent with which a full mantissa is still finite.
const MAX_EXPONENT: i64 = 16320;

/// Digits after the point when printing.
const FRACTION_DIGITS: usize = 17;

/// `10^FRACTION_DIGITS`.
const FRACTION_SCALE: u64 = 100_000_000_000_000_000;

/// A number with a mantissa of 64 bits: a `long double` as C has it on x86.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i64 },
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// Reads a number by the rules of Redis's `string2ld`: those of [`crate::parse_f64`] with a wider range, and at
    /// most 5119 bytes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TEXT_LEN {
            return None;
        }
        let (Negative(negative), literal) = scan(text)?;
        let (binary, is_zero) = match literal {
            Literal::Infinity => {
                return Some(Self { negative, magnitude: Magnitude::Infinite });
            }
            Literal::Hexadecimal(binary) => (binary, binary.bits == 0),
            Literal::Decimal(decimal) => match significant_digits(decimal) {
                (_, 0, _) => (ZERO, true),
                (digits, len, power) => (decimal_to_binary(digits, len, power)?, false),
            },
        };
        match Magnitude::from_binary(binary) {
            Magnitude::Finite { mantissa: 0, .. } if !is_zero => None,
            Magnitude::Infinite => None,
            magnitude => Some(Self { negative, magnitude }),
        }
    }

    /// The sum, rounded as the processor rounds it.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "one operation does not make a number type")]
    pub fn add(self, other: Self) -> Self {
        match (self.magnitude, other.magnitude) {
            (Magnitude::Finite { .. }, Magnitude::Finite { .. }) => self.add_finite(other),
            (Magnitude::NotANumber, _) | (Magnitude::Finite { .. }, Magnitude::Infinite) => other.or_not_a_number(self),
            (_, Magnitude::NotANumber) | (Magnitude::Infinite, Magnitude::Finite { .. }) => self.or_not_a_number(other),
            (Magnitude::Infinite, Magnitude::Infinite) if self.negative == other.negative => self,
            (Magnitude::Infinite, Magnitude::Infinite) => Self { negative: false, magnitude: Magnitude::NotANumber },
        }
    }

    /// Whether this is what Redis refuses as the result of an increment.
    pub fn is_nan_or_infinite(self) -> bool {
        match self.magnitude {
            Magnitude::Finite { .. } => false,
            Magnitude::Infinite | Magnitude::NotANumber => true,
        }
    }

    /// Appends the number as Redis prints it for people: seventeen digits after the point, less the zeros at the end;
    /// never an exponent, never `-0`.
    pub fn format_human(self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        match self.magnitude {
            Magnitude::NotANumber => {
                out.truncate(start);
                out.extend_from_slice(b"nan");
            }
            Magnitude::Infinite => out.extend_from_slice(b"inf"),
            Magnitude::Finite { mantissa, exponent } if exponent >= 0 => {
                let mut integer = Natural::new(mantissa);
                integer.shift_left(exponent as usize);
                integer.write_decimal(out);
            }
            Magnitude::Finite { mantissa, exponent } => {
                let (integer, fraction) = split_at_point(mantissa, exponent.unsigned_abs());
                out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
                write_fraction(fraction, out);
            }
        }
        if &out[start..] == b"-0" {
            out.remove(start);
        }
    }
}

const ZERO: Binary = Binary { bits: 0, exponent: 0, sticky: false };

impl LongDouble {
    fn add_finite(self, other: Self) -> Self {
        let ((high, low), shift) = match (self.exponent() - other.exponent()).cmp(&0) {
            core::cmp::Ordering::Less => ((other, self), other.exponent() - self.exponent()),
            _ => ((self, other), self.exponent() - other.exponent()),
        };
        // 62 bits below the higher mantissa, of which no sum needs more than two; the rest of the lower one is sticky.
        let high_bits = u128::from(high.mantissa()) << 62;
        let whole = u128::from(low.mantissa()) << 62;
        let (low_bits, sticky) =
            if shift > 127 { (0, whole != 0) } else { (whole >> shift, whole & ((1 << shift) - 1) != 0) };
        let (negative, bits) = if high.negative == low.negative {
            (high.negative, high_bits + low_bits)
        } else if low_bits > high_bits {
            (low.negative, low_bits - high_bits)
        } else {
            // What is cut off the subtrahend is taken from the difference: one less, and a part of one more.
            let difference = high_bits - low_bits - u128::from(sticky);
            (high.negative && difference != 0, difference)
        };
        Self { negative, magnitude: Magnitude::from_binary(Binary { bits, exponent: high.exponent() - 62, sticky }) }
    }

    fn or_not_a_number(self, other: Self) -> Self {
        if other.magnitude == Magnitude::NotANumber { other } else { self }
    }

    fn mantissa(self) -> u64 {
        match self.magnitude {
            Magnitude::Finite { mantissa, .. } => mantissa,
            Magnitude::Infinite | Magnitude::NotANumber => {
                unreachable!("only finite numbers have a mantissa")
            }
        }
    }

    fn exponent(self) -> i64 {
        match self.magnitude {
            Magnitude::Finite { exponent, .. } => exponent,
            Magnitude::Infinite | Magnitude::NotANumber => {
                unreachable!("only finite numbers have an exponent")
            }
        }
    }
}

impl Magnitude {
    fn from_binary(binary: Binary) -> Self {
        let (mantissa, exponent) = binary.round(PRECISION, MIN_EXPONENT);
        if exponent > MAX_EXPONENT { Self::Infinite } else { Self::Finite { mantissa, exponent } }
    }
}

/// The digits without zeros at either end, how many they are, and the power of ten of the last one.
fn significant_digits(decimal: Decimal<'_>) -> (impl Iterator<Item = u8> + Clone + '_, usize, i64) {
    let all = decimal.integer.len() + decimal.fraction.len();
    let digits = decimal.integer.iter().chain(decimal.fraction).copied();
    let leading = digits.clone().take_while(|&digit| digit == b'0').count();
    let trailing = digits.clone().rev().take_while(|&digit| digit == b'0').count();
    let len = all.saturating_sub(leading + trailing);
    let power = decimal.exponent - decimal.fraction.len() as i64 + trailing as i64;
    (digits.skip(leading).take(len), len, power)
}

/// `digits × 10^power` in binary, with at least 66 bits where it is not exact; `None` if far out of range.
fn decimal_to_binary(digits: impl Iterator<Item = u8> + Clone, len: usize, power: i64) -> Option<Binary> {
    let magnitude = len as i64 + power;
    if !(-4960..=4940).contains(&magnitude) {
        return None;
    }
    if len <= 19 && (-27..=0).contains(&power) {
        let value = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some(divide_by_power_of_five(value, power.unsigned_abs() as u32));
    }
    let mut numerator = Natural::from_digits(digits);
    let mut denominator = Natural::new(1);
    let fives = if power < 0 { &mut denominator } else { &mut numerator };
    fives.multiply_by_power_of_five(power.unsigned_abs() as u32);
    Some(divide(numerator, denominator, power))
}

/// `value × 10^-power`, for a power of at most 27, so that the power of five fits in 64 bits.
fn divide_by_power_of_five(value: u64, power: u32) -> Binary {
    let divisor = 5u64.pow(power);
    let (value_zeros, divisor_zeros) = (value.leading_zeros(), divisor.leading_zeros());
    let dividend = u128::from(value << value_zeros) << 63;
    let divisor = u128::from(divisor << divisor_zeros);
    // Both have their top bit set, so the quotient has 63 or 64 bits; the remainder gives four more.
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let (more, rest) = ((rest << 4) / divisor, (rest << 4) % divisor);
    let exponent = i64::from(divisor_zeros) - i64::from(value_zeros) - 63 - 4 - i64::from(power);
    Binary { bits: quotient << 4 | more, exponent, sticky: rest != 0 }
}

/// Bits of the quotient that long division finds.
const QUOTIENT_BITS: usize = 70;

/// `numerator / denominator × 2^exponent`, by long division one bit at a time.
fn divide(mut numerator: Natural, mut denominator: Natural, exponent: i64) -> Binary {
    // Scaled so that the quotient is below 2 but above a half: then its first bit or its second is set.
    let shift = denominator.width() - numerator.width();
    if shift > 0 {
        numerator.shift_left(shift as usize);
    } else {
        denominator.shift_left(shift.unsigned_abs() as usize);
    }
    let mut bits = 0;
    for _ in 0..QUOTIENT_BITS {
        bits <<= 1;
        if numerator >= denominator {
            numerator.subtract(&denominator);
            bits |= 1;
        }
        numerator.shift_left(1);
    }
    let exponent = exponent - shift - (QUOTIENT_BITS as i64 - 1);
    Binary { bits, exponent, sticky: !numerator.is_zero() }
}

/// `mantissa × 2^-places` as an integer and a fraction in units of `1 / FRACTION_SCALE`, rounded once, ties to even.
fn split_at_point(mantissa: u64, places: u64) -> (u64, u64) {
    // The scaled fraction is below 2^121, so with more places it is below a half.
    if places > 121 {
        return (0, 0);
    }
    let value = u128::from(mantissa);
    let integer = value >> places;
    let scaled = (value - (integer << places)) * u128::from(FRACTION_SCALE);
    let (fraction, rest, half) = (scaled >> places, scaled & ((1 << places) - 1), 1u128 << (places - 1));
    let up = rest > half || (rest == half && fraction & 1 == 1);
    let fraction = fraction as u64 + u64::from(up);
    // There is a fraction, so the integer has fewer than 64 bits and a carry cannot overflow it.
    if fraction == FRACTION_SCALE { (integer as u64 + 1, 0) } else { (integer as u64, fraction) }
}

/// Appends the point and the fraction without the zeros at its end; nothing if it is zero.
fn write_fraction(fraction: u64, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(fraction).as_bytes();
    out.push(b'.');
    out.resize(out.len() + FRACTION_DIGITS - digits.len(), b'0');
    out.extend_from_slice(digits);
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    out.truncate(out.len() - zeros);
}

#[cfg(test)]
mod tests;
