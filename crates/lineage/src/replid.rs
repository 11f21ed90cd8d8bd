//! The name of an era: 20 random bytes, printed as 40 lower-case hexadecimal digits as Redis prints its replication id.

use core::fmt;
use core::str::FromStr;

/// A replication id. The caller brings the randomness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplId(pub [u8; ReplId::BYTES]);

impl ReplId {
    /// Bytes of an id; its text has twice as many digits.
    pub const BYTES: usize = 20;
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplId({self})")
    }
}

impl FromStr for ReplId {
    type Err = ReplIdError;

    /// Reads exactly 40 lower-case hexadecimal digits, so that an id has one spelling.
    fn from_str(text: &str) -> Result<ReplId, ReplIdError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * ReplId::BYTES {
            return Err(ReplIdError);
        }
        let mut id = [0; ReplId::BYTES];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        Ok(ReplId(id))
    }
}

/// A text is not a replication id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplIdError;

impl fmt::Display for ReplIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A replication id is 40 lower-case hexadecimal digits.")
    }
}

impl core::error::Error for ReplIdError {}

fn hex(digit: u8) -> Result<u8, ReplIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ReplIdError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_bytes_agree(bytes: [u8; 20]) {
            let id = ReplId(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn one_spelling_only() {
        let text = "00ff00112233445566778899aabbccddeeff0a0b";
        assert_eq!(format!("{:?}", text.parse::<ReplId>().unwrap()), format!("ReplId({text})"));
        for wrong in ["", "00", &text[1..], &text.to_uppercase(), &text.replace('f', "g"), &format!("{text}0")] {
            assert_eq!(wrong.parse::<ReplId>(), Err(ReplIdError), "{wrong}");
        }
    }
}
