//! Natural numbers of any size: the slow, exact path between decimal text and binary floats.
//!
//! Sizes are bounded by the callers: some 40,000 bits at most.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// 10^19, the largest power of ten in a limb.
const TEN_19: u64 = 10_000_000_000_000_000_000;

/// 5^27, the largest power of five in a limb.
const FIVE_27: u64 = 7_450_580_596_923_828_125;

/// A natural number: limbs of 64 bits, the lowest first, the highest not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Natural {
    limbs: Vec<u64>,
}

impl Natural {
    pub(crate) fn new(value: u64) -> Self {
        let mut natural = Self { limbs: Vec::new() };
        natural.limbs.push(value);
        natural.trim();
        natural
    }

    /// The value of ASCII decimal digits.
    pub(crate) fn from_digits(digits: impl Iterator<Item = u8>) -> Self {
        let mut natural = Self::new(0);
        let (mut chunk, mut scale) = (0, 1);
        for digit in digits {
            chunk = chunk * 10 + u64::from(digit - b'0');
            scale *= 10;
            if scale == TEN_19 {
                natural.multiply_add(scale, chunk);
                (chunk, scale) = (0, 1);
            }
        }
        natural.multiply_add(scale, chunk);
        natural
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// The number of bits without leading zeros.
    pub(crate) fn width(&self) -> i64 {
        self.limbs.last().map_or(0, |top| self.limbs.len() as i64 * 64 - i64::from(top.leading_zeros()))
    }

    pub(crate) fn multiply_by_power_of_five(&mut self, power: u32) {
        for _ in 0..power / 27 {
            self.multiply_add(FIVE_27, 0);
        }
        self.multiply_add(5u64.pow(power % 27), 0);
    }

    pub(crate) fn shift_left(&mut self, bits: usize) {
        let (limbs, bits) = (bits / 64, bits % 64);
        self.multiply_add(1 << bits, 0);
        if !self.is_zero() {
            self.limbs.splice(0..0, core::iter::repeat_n(0, limbs));
        }
    }

    /// Subtracts `other`, which is not larger.
    pub(crate) fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (i, limb) in self.limbs.iter_mut().enumerate() {
            let (partial, under) = limb.overflowing_sub(other.limbs.get(i).copied().unwrap_or(0));
            let (difference, under_again) = partial.overflowing_sub(u64::from(borrow));
            *limb = difference;
            borrow = under || under_again;
        }
        assert!(!borrow, "subtracted the larger number");
        self.trim();
    }

    /// Appends the decimal digits.
    pub(crate) fn write_decimal(mut self, out: &mut Vec<u8>) {
        let mut chunks = Vec::new();
        while !self.is_zero() {
            chunks.push(self.divide(TEN_19));
        }
        out.extend_from_slice(itoa::Buffer::new().format(chunks.pop().unwrap_or(0)).as_bytes());
        for chunk in chunks.into_iter().rev() {
            let mut buffer = itoa::Buffer::new();
            let digits = buffer.format(chunk).as_bytes();
            out.resize(out.len() + 19 - digits.len(), b'0');
            out.extend_from_slice(digits);
        }
    }

    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for limb in &mut self.limbs {
            let product = u128::from(*limb) * u128::from(factor) + u128::from(carry);
            *limb = product as u64;
            carry = (product >> 64) as u64;
        }
        self.limbs.push(carry);
        self.trim();
    }

    /// Divides by `divisor` and returns the remainder.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = u128::from(remainder) << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = (dividend % u128::from(divisor)) as u64;
        }
        self.trim();
        remainder
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        self.limbs.len().cmp(&other.limbs.len()).then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    fn decimal(natural: &Natural) -> String {
        let mut out = Vec::new();
        natural.clone().write_decimal(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn powers_of_ten_from_fives_and_shifts() {
        for power in [0, 1, 26, 27, 28, 100] {
            let mut natural = Natural::new(1);
            natural.multiply_by_power_of_five(power);
            natural.shift_left(power as usize);
            assert_eq!(decimal(&natural), alloc::format!("1{}", "0".repeat(power as usize)));
        }
        assert_eq!(decimal(&Natural::new(0)), "0");
    }

    proptest! {
        #[test]
        fn digits_read_and_print_alike(digits in "[1-9][0-9]{0,90}") {
            prop_assert_eq!(decimal(&Natural::from_digits(digits.bytes())), digits);
        }

        #[test]
        fn agrees_with_u128(a: u128, b: u128, shift in 0usize..200) {
            let (large, small) = (a.max(b), a.min(b));
            let mut natural = Natural::from_digits(large.to_string().bytes());
            let other = Natural::from_digits(small.to_string().bytes());
            prop_assert_eq!(natural.cmp(&other), large.cmp(&small));
            prop_assert_eq!(natural.width(), i64::from(128 - large.leading_zeros()));
            natural.shift_left(shift);
            let mut shifted = other;
            shifted.shift_left(shift);
            natural.subtract(&shifted);
            let mut expected = Natural::from_digits((large - small).to_string().bytes());
            expected.shift_left(shift);
            prop_assert_eq!(natural, expected);
        }
    }
}
