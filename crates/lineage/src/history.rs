//! The eras of a history in order: [`Lineage`], its rules, its bytes and its text.
//!
//! ```text
//! bytes: [version u8 = 1][count u16] then count times [epoch u64][id 20 bytes][first LSN u64], little-endian
//! text:  epoch:id:first,epoch:id:first      (an empty lineage is the empty text)
//! ```
//!
//! First LSNs and epochs strictly increase and no id occurs twice. A lineage keeps the newest [`MAX_ERAS`] eras: every
//! start of a primary adds one, and histories that parted longer ago than that are not worth a rewind.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::{Epoch, Lsn, ReplId};

/// A lineage keeps at most this many eras; pushing one more drops the oldest.
pub const MAX_ERAS: usize = 100;
/// No encoded lineage is longer than this many bytes.
pub const MAX_ENCODED: usize = PREFIX + MAX_ERAS * ERA;

const VERSION: u8 = 1;
const PREFIX: usize = 3;
const ERA: usize = 36;

/// The stretch of a history that one primary wrote. It ends where the next era begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// Its number, for people.
    pub epoch: Epoch,
    /// Its name, for comparing.
    pub id: ReplId,
    /// The LSN of its epoch frame, the first frame of the era.
    pub first: Lsn,
}

/// The eras of a history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage(Vec<Era>);

impl Lineage {
    /// The lineage of a history in which nobody has been primary yet.
    #[must_use]
    pub const fn new() -> Lineage {
        Lineage(Vec::new())
    }

    /// Adds the era that begins now. At [`MAX_ERAS`] the oldest era is forgotten.
    ///
    /// # Errors
    /// `Order` and `Duplicate`; the lineage is then unchanged.
    pub fn push(&mut self, era: Era) -> Result<(), LineageError> {
        if let Some(last) = self.0.last()
            && (era.epoch <= last.epoch || era.first <= last.first)
        {
            return Err(LineageError::Order);
        }
        if self.0.iter().any(|known| known.id == era.id) {
            return Err(LineageError::Duplicate);
        }
        if self.0.len() == MAX_ERAS {
            self.0.remove(0);
        }
        self.0.push(era);
        Ok(())
    }

    /// The newest era.
    #[must_use]
    pub fn current(&self) -> Option<&Era> {
        self.0.last()
    }

    /// The era that wrote the byte at `lsn`; `None` below the oldest era known.
    #[must_use]
    pub fn era_at(&self, lsn: Lsn) -> Option<&Era> {
        self.0.iter().rev().find(|era| era.first <= lsn)
    }

    /// The eras, oldest first.
    #[must_use]
    pub fn eras(&self) -> &[Era] {
        &self.0
    }

    /// Whether no era is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lineage of the same history cut at `end`: eras that begin at or above it are gone.
    #[must_use]
    pub fn cut(&self, end: Lsn) -> Lineage {
        Lineage(self.0.iter().copied().filter(|era| era.first < end).collect())
    }

    /// Appends the byte form to `out`: at most [`MAX_ENCODED`] bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let count = u16::try_from(self.0.len()).unwrap_or_else(|_| unreachable!("MAX_ERAS fits"));
        out.extend_from_slice(&count.to_le_bytes());
        for era in &self.0 {
            out.extend_from_slice(&era.epoch.0.to_le_bytes());
            out.extend_from_slice(&era.id.0);
            out.extend_from_slice(&era.first.0.to_le_bytes());
        }
    }

    /// Reads the byte form, which must be all of `bytes`.
    ///
    /// # Errors
    /// `Version` for a form this build does not know, `Syntax` for a wrong length, and the rules of [`Lineage::push`].
    pub fn decode(bytes: &[u8]) -> Result<Lineage, LineageError> {
        let Some((&[version, low, high], eras)) = bytes.split_first_chunk::<PREFIX>() else {
            return Err(LineageError::Syntax);
        };
        if version != VERSION {
            return Err(LineageError::Version(version));
        }
        let count = usize::from(u16::from_le_bytes([low, high]));
        if count > MAX_ERAS {
            return Err(LineageError::TooLong);
        }
        if eras.len() != count * ERA {
            return Err(LineageError::Syntax);
        }
        let mut lineage = Lineage::new();
        for era in eras.chunks_exact(ERA) {
            lineage.push(decode_era(era).ok_or(LineageError::Syntax)?)?;
        }
        Ok(lineage)
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Era { epoch, id, first }) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{epoch}:{id}:{first}")?;
        }
        Ok(())
    }
}

impl FromStr for Lineage {
    type Err = LineageError;

    /// Reads the text form, spelled exactly as it is printed.
    fn from_str(text: &str) -> Result<Lineage, LineageError> {
        let mut lineage = Lineage::new();
        if text.is_empty() {
            return Ok(lineage);
        }
        for (i, era) in text.split(',').enumerate() {
            if i == MAX_ERAS {
                return Err(LineageError::TooLong);
            }
            lineage.push(parse_era(era).ok_or(LineageError::Syntax)?)?;
        }
        Ok(lineage)
    }
}

/// Why something is not a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineageError {
    /// The form has a version that this build does not know.
    Version(u8),
    /// The bytes or the text do not have the form of a lineage.
    Syntax,
    /// More than [`MAX_ERAS`] eras.
    TooLong,
    /// An era's epoch or first LSN is not above that of the era before.
    Order,
    /// Two eras have the same replication id.
    Duplicate,
}

impl fmt::Display for LineageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineageError::Version(version) => {
                write!(f, "The lineage has format version {version}; this build reads version {VERSION}.")
            }
            LineageError::Syntax => f.write_str("The lineage is malformed."),
            LineageError::TooLong => write!(f, "The lineage has more than {MAX_ERAS} eras."),
            LineageError::Order => f.write_str("An era of the lineage does not come after the era before it."),
            LineageError::Duplicate => f.write_str("Two eras of the lineage have the same replication id."),
        }
    }
}

impl core::error::Error for LineageError {}

fn decode_era(bytes: &[u8]) -> Option<Era> {
    let (epoch, rest) = bytes.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (first, _) = rest.split_first_chunk()?;
    Some(Era { epoch: Epoch(u64::from_le_bytes(*epoch)), id: ReplId(*id), first: Lsn(u64::from_le_bytes(*first)) })
}

fn parse_era(text: &str) -> Option<Era> {
    let mut parts = text.split(':');
    let era = Era {
        epoch: Epoch(parse_number(parts.next()?)?),
        id: parts.next()?.parse().ok()?,
        first: Lsn(parse_number(parts.next()?)?),
    };
    parts.next().is_none().then_some(era)
}

/// A number spelled as it is printed: no sign, no leading zero.
fn parse_number(text: &str) -> Option<u64> {
    let plain = text == "0" || text.starts_with(|c: char| ('1'..='9').contains(&c));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
