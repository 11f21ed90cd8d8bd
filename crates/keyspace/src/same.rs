//! Whether two byte strings are the same, asked of many in a row of which hardly any is.

/// Bytes of a number.
const TAIL: usize = size_of::<u64>();

/// Whether they are the same. Names in a collection often have one length and one beginning, and differ at their ends: those are
/// compared first, as one number.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.last_chunk::<TAIL>() == other.last_chunk::<TAIL>() && one == other
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_ones_and_those_that_differ_in_one_place() {
        for len in [0, 1, 7, 8, 9, 30] {
            let one: Vec<u8> = (0..len).collect();
            assert!(same(&one, &one.clone()));
            for at in 0..one.len() {
                let mut other = one.clone();
                other[at] ^= 1;
                assert!(!same(&one, &other) && !same(&one, &one[..at]));
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_equality(one: Vec<u8>, other: Vec<u8>) {
            prop_assert_eq!(same(&one, &other), one == other);
        }
    }
}
