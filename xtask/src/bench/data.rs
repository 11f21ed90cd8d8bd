//! Keys and values that are known from a number, so that what is read can be checked without being remembered.

pub const KEY_BYTES: usize = 16;
pub const VALUE_BYTES: usize = 100;

/// The key of an index, in the form that redis-benchmark uses.
pub fn key(index: u64) -> String {
    format!("key:{index:012}")
}

/// The value of an index: bytes that do not compress.
pub fn value(index: u64) -> [u8; VALUE_BYTES] {
    let mut random = Random::new(index);
    let mut value = [0; VALUE_BYTES];
    for chunk in value.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
    value
}

/// splitmix64 (Steele, Lea, Flood 2014): small, and good enough to choose keys.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product is uniform enough for bounds far below 2^64.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_fixed_by_their_index() {
        assert_eq!(key(42), "key:000000000042");
        assert_eq!(key(42).len(), KEY_BYTES);
        assert_eq!(value(42), value(42));
        assert_ne!(value(42), value(43));
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // First outputs of the reference implementation for seed 0.
        let mut random = Random::new(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn every_number_below_the_bound_comes_up() {
        let mut random = Random::new(7);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
