//! Lists: packed in the record up to a limit; beyond it both ends stay in the record and the middle lies in nodes.
//!
//! ```text
//! packed     record: e e e e e
//! exploded   record: head e e e |      rows       | e e e tail
//!                               '> node node node <'
//! ```
//!
//! Pushes and pops of an exploded list change an end in the record. Only when an end has outgrown [`END_MAX`] is its inner
//! part made a node of up to [`NODE_BYTES`], and only when an end is used up is a node taken back: a row is touched once
//! per so many bytes, not per element, whatever the order of pushes and pops.
//!
//! An element's position is a number that does not change while others come and go at the ends. A node's row is named by
//! the position of its *last* element: the row of position `p` is the first one that is not before `p`, so one seek
//! finds where a range begins, the last node is found without any, and cutting elements off a node's front leaves its
//! name as it is. Inserting and removing in the middle moves the positions of the shorter side: its nodes are rewritten.
//!
//! Invariants: an element that takes more than `NODE_BYTES` is alone in a node, never in an end; a node of several
//! elements takes at most `NODE_BYTES`; an end takes at most `END_MAX`. A list has elements.

mod edit;
mod editor;
mod ends;
mod layout;
mod read;
mod sequence;

use crate::record::{Encoding, Head, Kind, Millis};
use crate::view::{Limits, ListPacking, Stop, View};
use layout::Layout;

pub use edit::{Inserted, Side, insert, remove, set, trim};
pub use ends::{pop, push};
pub use read::{get, range, scan};

/// Elements of a node take this many bytes, but for a single longer one.
pub const NODE_BYTES: usize = 4096;
/// An end of an exploded list takes this many bytes in the record. Room for one more half node than it takes to make one:
/// pushes and pops in turn do not make and take back the same node over and over.
pub const END_MAX: usize = NODE_BYTES + NODE_BYTES / 2;
/// Reading or copying more than this is announced to the view first.
const HEAVY: u64 = 64 << 10;

/// One of the ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where its first element is.
    Head,
    /// Where its last element is.
    Tail,
}

/// Why a list could not be read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The key holds something else.
    WrongType,
    /// The run must stop.
    Stop(Stop),
}

impl From<Stop> for ListError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// The number of elements of the list at `key`, 0 when there is no key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
#[inline]
pub fn len(view: &mut dyn View, key: &[u8]) -> Result<u64, ListError> {
    view.record(key)?.map_or(Ok(0), |record| Ok(Layout::of(&record)?.len()))
}

/// Up to what a list stays packed.
#[derive(Clone, Copy)]
struct Room {
    bytes: usize,
    count: usize,
}

impl Room {
    #[inline]
    fn of(limits: &Limits) -> Self {
        match limits.list {
            ListPacking::Bytes(bytes) => Self { bytes: bytes.min(limits.packed_max_bytes), count: usize::MAX },
            ListPacking::Entries(count) => Self { bytes: limits.packed_max_bytes, count },
        }
    }

    /// Whether a list of so many elements, which take so many bytes, may be packed.
    #[inline]
    const fn holds(self, count: u64, bytes: usize) -> bool {
        bytes <= self.bytes && count <= self.count as u64
    }

    /// Of a list that shrinks: it is packed again when it takes half of what made it explode.
    const fn half(self) -> Self {
        Self { bytes: self.bytes / 2, count: self.count / 2 }
    }
}

const fn head(encoding: Encoding, expire_at: Option<Millis>) -> Head {
    Head::new(Kind::List, encoding, expire_at)
}
