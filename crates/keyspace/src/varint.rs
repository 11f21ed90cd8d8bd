//! Unsigned LEB128 numbers and length-prefixed bytes, the only number format inside ops and headers.

use alloc::vec::Vec;

/// The most bytes a u64 takes.
const MAX_BYTES: usize = 10;

/// Appends `value`.
#[inline]
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the length of `bytes`, then `bytes`.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a number off the front of `input`; `None` when it is cut short or does not fit.
#[inline]
pub fn take(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..MAX_BYTES {
        let byte = *input.get(index)?;
        let part = u64::from(byte & 0x7f);
        if index == MAX_BYTES - 1 && part > 1 {
            return None;
        }
        value |= part << (7 * index);
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Takes length-prefixed bytes off the front of `input`; most lengths are one byte.
#[inline]
pub fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    if let Some((&len @ 0..0x80, rest)) = input.split_first() {
        let (bytes, rest) = rest.split_at_checked(usize::from(len))?;
        *input = rest;
        return Some(bytes);
    }
    let len = usize::try_from(take(input)?).ok()?;
    if len > input.len() {
        return None;
    }
    let (bytes, rest) = input.split_at(len);
    *input = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        for (value, bytes) in [
            (0u64, &[0u8][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn a_number_over_64_bits_is_refused() {
        let mut input = &[255u8, 255, 255, 255, 255, 255, 255, 255, 255, 2][..];
        assert_eq!(take(&mut input), None);
    }

    proptest! {
        #[test]
        fn round_trip(value: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put(&mut out, value);
            put_bytes(&mut out, &bytes);
            let mut input = &out[..];
            prop_assert_eq!(take(&mut input), Some(value));
            prop_assert_eq!(take_bytes(&mut input), Some(&bytes[..]));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = take(&mut &bytes[..]);
            let _ = take_bytes(&mut &bytes[..]);
        }
    }
}
