//! The name of a node, or of one run of it: [`Id`].

use core::fmt;
use core::str::FromStr;

use lineage::{ReplId, ReplIdError};

/// 20 random bytes; as text 40 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 20]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ReplId(self.0).fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl FromStr for Id {
    type Err = ReplIdError;

    fn from_str(text: &str) -> Result<Self, ReplIdError> {
        text.parse().map(|ReplId(bytes)| Self(bytes))
    }
}
