//! The payload of an exploded sorted set's record: where its rows are, and the upper level of the counts.
//!
//! ```text
//! payload = [rows id u64 LE][layout u8 = 1] group*        at least one; the first one's boundary is empty
//! group   = [members u32 LE][blocks u32 LE][boundary b]   ordered by boundary
//! ```
//!
//! A group holds the index keys from its boundary up to the next one's. The number of members of the whole set is the
//! sum over its groups, so that a change of a group is all that a change of the set logs of the header: four bytes.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::record::RowsId;
use crate::varint;
use crate::view::Stop;

const LAYOUT: u8 = 1;
const GROUPS_AT: usize = 9;

/// Where a group or a block begins; most are short and take no memory of their own.
pub type Boundary = SmallVec<[u8; 24]>;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Members of the set in it.
    pub members: u32,
    /// Blocks of it.
    pub blocks: u32,
    /// Not greater than any of its index keys.
    pub boundary: Boundary,
}

impl Group {
    /// Appends it to a payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.members.to_le_bytes());
        out.extend_from_slice(&self.blocks.to_le_bytes());
        varint::put_bytes(out, &self.boundary);
    }

    /// Its numbers, as they stand at its beginning.
    pub fn numbers(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.members.to_le_bytes());
        bytes[4..].copy_from_slice(&self.blocks.to_le_bytes());
        bytes
    }
}

/// A group and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The group.
    pub group: Group,
    /// Where it begins in the payload.
    pub at: usize,
    /// Where it ends.
    pub end: usize,
    /// Members of the groups before it.
    pub before: u64,
    /// The boundary of the next one.
    pub next: Option<Boundary>,
}

/// Begins a payload.
pub fn begin(rows: RowsId) -> Vec<u8> {
    let mut payload = rows.0.to_le_bytes().to_vec();
    payload.push(LAYOUT);
    payload
}

struct Seen<'a> {
    at: usize,
    end: usize,
    members: u32,
    blocks: u32,
    boundary: &'a [u8],
}

struct Groups<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Groups<'a> {
    fn new(payload: &'a [u8]) -> Result<Self, Stop> {
        if payload.get(GROUPS_AT - 1) != Some(&LAYOUT) {
            return Err(Stop::Fault);
        }
        Ok(Self { payload, at: GROUPS_AT })
    }

    fn next(&mut self) -> Result<Option<Seen<'a>>, Stop> {
        let rest = &self.payload[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let (members, rest) = rest.split_first_chunk::<4>().ok_or(Stop::Fault)?;
        let (blocks, mut rest) = rest.split_first_chunk::<4>().ok_or(Stop::Fault)?;
        let boundary = varint::take_bytes(&mut rest).ok_or(Stop::Fault)?;
        let at = self.at;
        self.at = self.payload.len() - rest.len();
        let (members, blocks) = (u32::from_le_bytes(*members), u32::from_le_bytes(*blocks));
        Ok(Some(Seen { at, end: self.at, members, blocks, boundary }))
    }

    /// The last group of which `belongs` is true; it is of the first one, and of none after one of which it is not.
    fn last(mut self, belongs: impl Fn(&Seen<'_>, u64) -> bool) -> Result<Place, Stop> {
        let mut found: Option<(Seen<'_>, u64)> = None;
        let mut before = 0;
        let mut next = None;
        while let Some(group) = self.next()? {
            if found.is_some() && !belongs(&group, before) {
                next = Some(Boundary::from_slice(group.boundary));
                break;
            }
            let members = u64::from(group.members);
            found = Some((group, before));
            before += members;
        }
        let (seen, before) = found.ok_or(Stop::Fault)?;
        let group = Group { members: seen.members, blocks: seen.blocks, boundary: Boundary::from_slice(seen.boundary) };
        Ok(Place { group, at: seen.at, end: seen.end, before, next })
    }
}

/// The group where an index key belongs.
pub fn of_key(payload: &[u8], key: &[u8]) -> Result<Place, Stop> {
    Groups::new(payload)?.last(|group, _| group.boundary <= key)
}

/// The group that has the member of that rank, or the last one.
pub fn of_rank(payload: &[u8], rank: u64) -> Result<Place, Stop> {
    Groups::new(payload)?.last(|_, before| before <= rank)
}

/// Number of members.
pub fn members(payload: &[u8]) -> Result<u64, Stop> {
    let mut groups = Groups::new(payload)?;
    let mut members = 0;
    while let Some(group) = groups.next()? {
        members += u64::from(group.members);
    }
    Ok(members)
}

/// All groups.
pub fn groups(payload: &[u8]) -> Result<Vec<Group>, Stop> {
    let mut groups = Groups::new(payload)?;
    let mut all = Vec::new();
    while let Some(group) = groups.next()? {
        all.push(Group {
            members: group.members,
            blocks: group.blocks,
            boundary: Boundary::from_slice(group.boundary),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload() -> Vec<u8> {
        let mut payload = begin(RowsId(7));
        Group { members: 3, blocks: 1, boundary: Boundary::new() }.write(&mut payload);
        Group { members: 0x0102, blocks: 2, boundary: Boundary::from_slice(b"m") }.write(&mut payload);
        payload
    }

    #[test]
    fn golden() {
        let golden = [7, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0, 0, 1, b'm'];
        assert_eq!(payload(), golden);
        assert_eq!(members(&golden).unwrap(), 3 + 0x0102);
        let first = of_key(&golden, b"lz").unwrap();
        assert_eq!((first.at, first.end, first.before, first.next.as_deref()), (9, 18, 0, Some(&b"m"[..])));
        let second = of_key(&golden, b"m").unwrap();
        assert_eq!((second.at, second.group.blocks, second.before, second.next), (18, 2, 3, None));
        assert_eq!(of_rank(&golden, 2).unwrap().at, 9);
        assert_eq!(of_rank(&golden, 3).unwrap().at, 18);
        assert_eq!(groups(&golden).unwrap().len(), 2);
    }

    #[test]
    fn another_layout_is_a_fault() {
        let mut other = payload();
        other[8] = 2;
        assert_eq!(members(&other), Err(Stop::Fault));
        assert_eq!(members(&[0; 5]), Err(Stop::Fault));
    }

    proptest! {
        #[test]
        fn no_payload_panics(bytes: Vec<u8>) {
            let payload = [&[0; 8][..], &[LAYOUT], &bytes].concat();
            let _ = (groups(&payload), of_key(&payload, b"k"), of_rank(&payload, 5));
        }
    }
}
