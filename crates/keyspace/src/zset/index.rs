//! The order of an exploded sorted set: a row a member, and counts at two levels, so that ranks are found without
//! reading the members before them.
//!
//! ```text
//! group  (in the header)        boundary -> members, blocks
//!   block  row "b" + boundary   -> members u32 LE
//!     row "o" + index key       -> nothing
//! ```
//!
//! A view that knows how many rows lie where, since it has them all in memory, is asked first; the counts are for those
//! that are not, and for later.
//!
//! A block holds the index keys from its boundary up to the next one's; a group's first block has the group's boundary.
//! A change touches one row of a block, and four bytes of the header. Boundaries are as short as can be; one that would
//! be long is not made, and the block stays larger: slower, but right.

use alloc::vec::Vec;

use super::header::{self, Boundary, Group, Place};
use super::order::between;
use crate::map::rows::RowKey;
use crate::record::RowsId;
use crate::view::{Stop, View};

/// Members of a block at which it is split.
pub const BLOCK: u32 = if cfg!(test) { 8 } else { 256 };
/// Blocks of a group at which it is split.
pub const GROUP: u32 = if cfg!(test) { 4 } else { 256 };
/// A block that shrinks to this many members looks for a neighbour to join.
const SMALL_BLOCK: u32 = BLOCK / 8;
/// Bytes of the longest boundary.
const BOUNDARY_MAX: usize = 256;
/// A walk is announced anew after so many rows.
const PAGE_ROWS: u64 = 1024;
/// What a row that is read costs, in the bytes of [`View::heavy`].
pub const ROW_COST: u64 = 128;
/// Consecutive rows from which on they are removed as a range.
const RANGE_DELETE: usize = 256;

const KEY_KIND: u8 = b'o';
const BLOCK_KIND: u8 = b'b';

/// Which way members are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the least to the greatest.
    Up,
    /// From the greatest to the least.
    Down,
}

/// The order of one sorted set.
pub struct Index<'v, 'k> {
    /// The key space.
    pub view: &'v mut dyn View,
    /// The user key.
    pub key: &'k [u8],
    /// Its rows.
    pub rows: RowsId,
}

/// A block and how many members it has.
#[derive(Clone, Debug)]
struct Block {
    boundary: Boundary,
    members: u32,
}

fn row(kind: u8, key: &[u8]) -> RowKey {
    let mut row = RowKey::new();
    row.push(kind);
    row.extend_from_slice(key);
    row
}

/// The least row key of a kind that is not less than `key`; without one, the end of the kind.
fn end_row(kind: u8, key: Option<&[u8]>) -> RowKey {
    key.map_or_else(|| RowKey::from_slice(&[kind + 1]), |key| row(kind, key))
}

/// The least row key of a kind that is greater than that of `key`.
fn row_after(kind: u8, key: &[u8]) -> RowKey {
    let mut row = row(kind, key);
    row.push(0);
    row
}

/// The least key that is greater than `key`.
fn after(key: &[u8]) -> RowKey {
    let mut after = RowKey::from_slice(key);
    after.push(0);
    after
}

fn count_of(value: &[u8]) -> Result<u32, Stop> {
    value.try_into().map(u32::from_le_bytes).map_err(|_| Stop::Fault)
}

impl Index<'_, '_> {
    fn payload(&mut self) -> Result<&[u8], Stop> {
        Ok(self.view.record(self.key)?.ok_or(Stop::Fault)?.payload)
    }

    /// The last block whose boundary is not greater than `key`, which belongs to `place`.
    fn block_of(&mut self, place: &Place, key: &[u8]) -> Result<Block, Stop> {
        let (from, to) = (row(BLOCK_KIND, &place.group.boundary), row_after(BLOCK_KIND, key));
        let mut found = Err(Stop::Fault);
        self.view.rows_back(self.key, self.rows, &from, &to, &mut |row, value| {
            found = count_of(value).map(|members| Block { boundary: Boundary::from_slice(&row[1..]), members });
            false
        })?;
        found
    }

    /// The blocks whose boundaries lie in `from..to`.
    fn blocks(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Block>, Stop> {
        let (from, to) = (row(BLOCK_KIND, from), end_row(BLOCK_KIND, to));
        let mut blocks = Ok(Vec::new());
        self.view.rows(self.key, self.rows, &from, &to, &mut |row, value| {
            match (&mut blocks, count_of(value)) {
                (Ok(blocks), Ok(members)) => blocks.push(Block { boundary: Boundary::from_slice(&row[1..]), members }),
                (blocks, Err(stop)) => *blocks = Err(stop),
                (Err(_), Ok(_)) => {}
            }
            blocks.is_ok()
        })?;
        blocks
    }

    fn put_block(&mut self, boundary: &[u8], members: u32) -> Result<(), Stop> {
        self.view.put_row(self.key, self.rows, &row(BLOCK_KIND, boundary), &members.to_le_bytes())
    }

    fn delete_block(&mut self, boundary: &[u8]) -> Result<(), Stop> {
        self.view.delete_row(self.key, self.rows, &row(BLOCK_KIND, boundary))
    }

    /// Writes the numbers of a group where they differ from those of `was`.
    fn put_group(&mut self, at: usize, was: &Group, group: &Group) -> Result<(), Stop> {
        let (old, new) = (was.numbers(), group.numbers());
        let from = old.iter().zip(&new).position(|(old, new)| old != new);
        let to = old.iter().zip(&new).rposition(|(old, new)| old != new);
        match from.zip(to) {
            Some((from, to)) => self.view.splice(self.key, at + from, to + 1 - from, &new[from..=to]),
            None => self.view.touch(self.key),
        }
    }

    /// Adds a member.
    pub fn insert(&mut self, key: &[u8]) -> Result<(), Stop> {
        let place = header::of_key(self.payload()?, key)?;
        let block = self.block_of(&place, key)?;
        self.view.put_row(self.key, self.rows, &row(KEY_KIND, key), b"")?;
        let members = block.members.checked_add(1).ok_or(Stop::Fault)?;
        let mut group = place.group.clone();
        group.members = group.members.checked_add(1).ok_or(Stop::Fault)?;
        // One that cannot be split is not asked at each change.
        let split = members >= BLOCK && members.is_multiple_of(BLOCK / 4);
        if !(split && self.split_block(&place, &block, members, key)?) {
            self.put_block(&block.boundary, members)?;
            return self.put_group(place.at, &place.group, &group);
        }
        group.blocks += 1;
        self.put_group(place.at, &place.group, &group)?;
        if group.blocks >= GROUP { self.split_group(&place, &group) } else { Ok(()) }
    }

    /// Makes two blocks of one that has got `key` as its newest; says whether it could.
    fn split_block(&mut self, place: &Place, block: &Block, members: u32, key: &[u8]) -> Result<bool, Stop> {
        let next = self.next_block(place, &block.boundary)?;
        let end = next.as_ref().map(|next| next.boundary.as_slice()).or(place.next.as_deref());
        let (from, to) = (row(KEY_KIND, &block.boundary), end_row(KEY_KIND, end));
        let mut keys: Vec<Vec<u8>> = Vec::with_capacity(members as usize);
        self.view.rows(self.key, self.rows, &from, &to, &mut |row, _| {
            keys.push(row[1..].to_vec());
            true
        })?;
        if keys.len() != members as usize {
            return Err(Stop::Fault);
        }
        // What grows at its end, as a set of times does, leaves full blocks behind.
        let at = if keys.last().is_some_and(|last| last == key) { keys.len() - keys.len() / 8 } else { keys.len() / 2 };
        let boundary = between(&keys[at - 1], &keys[at]);
        if boundary.len() > BOUNDARY_MAX {
            return Ok(false);
        }
        self.put_block(&block.boundary, at as u32)?;
        self.put_block(boundary, members - at as u32)?;
        Ok(true)
    }

    /// The block after the one with `boundary`, in the same group.
    fn next_block(&mut self, place: &Place, boundary: &[u8]) -> Result<Option<Block>, Stop> {
        let (from, to) = (row_after(BLOCK_KIND, boundary), end_row(BLOCK_KIND, place.next.as_deref()));
        let mut found = Ok(None);
        self.view.rows(self.key, self.rows, &from, &to, &mut |row, value| {
            found = count_of(value).map(|members| Some(Block { boundary: Boundary::from_slice(&row[1..]), members }));
            false
        })?;
        found
    }

    /// Makes two groups of one. Only the header changes.
    fn split_group(&mut self, place: &Place, group: &Group) -> Result<(), Stop> {
        let blocks = self.blocks(&group.boundary, place.next.as_deref())?;
        if blocks.len() != group.blocks as usize {
            return Err(Stop::Fault);
        }
        let (left, right) = blocks.split_at(blocks.len() / 2);
        let sum = |blocks: &[Block]| blocks.iter().map(|block| block.members).sum();
        let mut bytes = Vec::new();
        let first = Group { members: sum(left), blocks: left.len() as u32, boundary: group.boundary.clone() };
        first.write(&mut bytes);
        let boundary = right[0].boundary.clone();
        Group { members: sum(right), blocks: right.len() as u32, boundary }.write(&mut bytes);
        self.view.splice(self.key, place.at, place.end - place.at, &bytes)
    }

    /// Removes a member that is there. The set keeps at least one other: else its key goes, as a whole.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), Stop> {
        self.view.delete_row(self.key, self.rows, &row(KEY_KIND, key))?;
        let place = header::of_key(self.payload()?, key)?;
        let block = self.block_of(&place, key)?;
        let members = block.members.checked_sub(1).ok_or(Stop::Fault)?;
        let mut group = place.group.clone();
        group.members = group.members.checked_sub(1).ok_or(Stop::Fault)?;
        if group.members == 0 {
            self.put_block(&block.boundary, members)?;
            self.put_group(place.at, &place.group, &group)?;
            return self.drop_empty_groups();
        }
        let joined = members <= SMALL_BLOCK
            && (members == 0 || members.is_power_of_two())
            && self.join_block(&place, &block, members)?;
        if joined {
            group.blocks -= 1;
        } else {
            self.put_block(&block.boundary, members)?;
        }
        self.put_group(place.at, &place.group, &group)
    }

    /// Gives a small block's members to a neighbour, or takes the neighbour's; says whether that made one block of two.
    fn join_block(&mut self, place: &Place, block: &Block, members: u32) -> Result<bool, Stop> {
        if members == 0 && block.boundary != place.group.boundary {
            self.delete_block(&block.boundary)?;
            return Ok(true);
        }
        let Some(next) = self.next_block(place, &block.boundary)? else { return Ok(false) };
        if members > 0 && members + next.members > BLOCK / 2 {
            return Ok(false);
        }
        self.delete_block(&next.boundary)?;
        self.put_block(&block.boundary, members + next.members)?;
        Ok(true)
    }

    /// Removes groups without members. The first of what is left begins at the beginning.
    fn drop_empty_groups(&mut self) -> Result<(), Stop> {
        let payload = self.payload()?;
        let was = payload.len();
        let groups = header::groups(payload)?;
        let mut kept: Vec<Group> = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            if group.members > 0 {
                kept.push(group.clone());
                continue;
            }
            let next = groups.get(at + 1).map(|next| next.boundary.clone());
            for block in self.blocks(&group.boundary, next.as_deref())? {
                self.delete_block(&block.boundary)?;
            }
        }
        let first = kept.first_mut().ok_or(Stop::Fault)?;
        if !first.boundary.is_empty() {
            let mut block = Err(Stop::Fault);
            let (from, to) = (row(BLOCK_KIND, &first.boundary), row_after(BLOCK_KIND, &first.boundary));
            self.view.rows(self.key, self.rows, &from, &to, &mut |_, value| {
                block = count_of(value);
                false
            })?;
            self.delete_block(&first.boundary)?;
            self.put_block(b"", block?)?;
            first.boundary.clear();
        }
        let mut payload = header::begin(self.rows);
        kept.iter().for_each(|group| group.write(&mut payload));
        self.view.splice(self.key, 0, was, &payload)
    }

    /// Removes members that are there: index keys in order, with none left between them. Others must be left.
    pub fn remove_range(&mut self, keys: &[Vec<u8>]) -> Result<(), Stop> {
        let ([first, ..], [.., last]) = (keys, keys) else { return Ok(()) };
        if keys.len() < RANGE_DELETE {
            for key in keys {
                self.view.delete_row(self.key, self.rows, &row(KEY_KIND, key))?;
            }
        } else {
            self.view.delete_rows(self.key, self.rows, &row(KEY_KIND, first), &row_after(KEY_KIND, last))?;
        }
        let payload = self.payload()?;
        let was = payload.len();
        let mut groups = header::groups(payload)?;
        let mut rest = keys;
        for at in 0..groups.len() {
            let next = groups.get(at + 1).map(|next| next.boundary.clone());
            let mine = take_before(&mut rest, next.as_deref());
            if let [first, ..] = mine {
                let place = header::of_key(self.payload()?, first)?;
                self.remove_of_group(&place, mine, &mut groups[at])?;
            }
        }
        let mut payload = header::begin(self.rows);
        groups.iter().for_each(|group| group.write(&mut payload));
        self.view.splice(self.key, 0, was, &payload)?;
        if groups.iter().any(|group| group.members == 0) { self.drop_empty_groups() } else { Ok(()) }
    }

    /// Takes the members of one group off its counts; `group` becomes what is left.
    fn remove_of_group(&mut self, place: &Place, mut keys: &[Vec<u8>], group: &mut Group) -> Result<(), Stop> {
        let ([first, ..], [.., last]) = (keys, keys) else { return Ok(()) };
        group.members = group.members.checked_sub(keys.len() as u32).ok_or(Stop::Fault)?;
        let begin = self.block_of(place, first)?.boundary;
        let blocks = self.blocks(&begin, Some(&after(last)))?;
        for (at, block) in blocks.iter().enumerate() {
            let next = blocks.get(at + 1).map(|next| next.boundary.as_slice());
            let gone = take_before(&mut keys, next).len() as u32;
            let members = block.members.checked_sub(gone).ok_or(Stop::Fault)?;
            if members == 0 && block.boundary != place.group.boundary {
                self.delete_block(&block.boundary)?;
                group.blocks -= 1;
            } else {
                self.put_block(&block.boundary, members)?;
            }
        }
        Ok(())
    }

    /// How many members have index keys less than `key`.
    pub fn rank(&mut self, key: &[u8]) -> Result<u64, Stop> {
        let (from, to) = (row(KEY_KIND, b""), row(KEY_KIND, key));
        if let Some(rank) = self.view.count_rows(self.key, self.rows, &from, &to) {
            return Ok(rank);
        }
        let place = header::of_key(self.payload()?, key)?;
        let mut blocks = self.blocks(&place.group.boundary, Some(&after(key)))?;
        let last = blocks.pop().ok_or(Stop::Fault)?;
        let mut rank = place.before + blocks.iter().map(|block| u64::from(block.members)).sum::<u64>();
        let (from, to) = (row(KEY_KIND, &last.boundary), row(KEY_KIND, key));
        self.view.rows(self.key, self.rows, &from, &to, &mut |_, _| {
            rank += 1;
            true
        })?;
        Ok(rank)
    }

    /// The index key of the member of that rank; `None`: there are not so many.
    pub fn at(&mut self, rank: u64) -> Result<Option<Vec<u8>>, Stop> {
        let (from, to) = (row(KEY_KIND, b""), end_row(KEY_KIND, None));
        let mut known = None;
        let mut see = |row: &[u8], _: &[u8]| known = Some(row[1..].to_vec());
        if self.view.nth_row(self.key, self.rows, [&from, &to], rank, &mut see).is_some() {
            return Ok(known);
        }
        let place = header::of_rank(self.payload()?, rank)?;
        let mut left = rank - place.before;
        if left >= u64::from(place.group.members) {
            return Ok(None);
        }
        let (from, to) = (row(BLOCK_KIND, &place.group.boundary), end_row(BLOCK_KIND, place.next.as_deref()));
        let mut begin = Err(Stop::Fault);
        self.view.rows(self.key, self.rows, &from, &to, &mut |row, value| match count_of(value) {
            Ok(members) if u64::from(members) <= left => {
                left -= u64::from(members);
                true
            }
            Ok(_) => {
                begin = Ok(row[1..].to_vec());
                false
            }
            Err(_) => false,
        })?;
        let (from, to) = (row(KEY_KIND, &begin?), end_row(KEY_KIND, None));
        let mut found = None;
        self.view.rows(self.key, self.rows, &from, &to, &mut |row, _| {
            if left == 0 {
                found = Some(row[1..].to_vec());
            }
            left = left.wrapping_sub(1);
            found.is_none()
        })?;
        found.map(Some).ok_or(Stop::Fault)
    }

    /// Visits the index keys of `from..to` one way or the other, at most `most` of them.
    pub fn walk(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        direction: Direction,
        most: u64,
        seen: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Stop> {
        let (mut from, mut to) = (row(KEY_KIND, from), end_row(KEY_KIND, to));
        let mut total = 0;
        while total < most {
            if total > 0 {
                // A thread that serves others, too, finds out here that it is too much for it.
                self.view.heavy(total * ROW_COST)?;
            }
            let page = PAGE_ROWS.min(most - total);
            let mut count = 0;
            let goes_on = most - total > page;
            let mut last = RowKey::new();
            let mut see = |row: &[u8], _: &[u8]| {
                seen(&row[1..]);
                count += 1;
                if count == page && goes_on {
                    last.extend_from_slice(row);
                }
                count < page
            };
            match direction {
                Direction::Up => self.view.rows(self.key, self.rows, &from, &to, &mut see)?,
                Direction::Down => self.view.rows_back(self.key, self.rows, &from, &to, &mut see)?,
            }
            if count < page || !goes_on {
                return Ok(());
            }
            total += count;
            match direction {
                Direction::Up => from = after(&last),
                Direction::Down => to = last,
            }
        }
        Ok(())
    }

    /// Writes the rows of a set that has none yet, and its payload. `keys` are in order, and not empty.
    pub fn build(&mut self, keys: &[Vec<u8>]) -> Result<Vec<u8>, Stop> {
        // Room for some changes before anything is split.
        const FILL: usize = BLOCK as usize * 3 / 4;
        const GROUP_FILL: usize = GROUP as usize * 3 / 4;
        let mut payload = header::begin(self.rows);
        let mut group = Group { members: 0, blocks: 0, boundary: Boundary::new() };
        let mut block = Block { boundary: Boundary::new(), members: 0 };
        for (at, key) in keys.iter().enumerate() {
            self.view.put_row(self.key, self.rows, &row(KEY_KIND, key), b"")?;
            if block.members as usize >= FILL {
                let boundary = between(&keys[at - 1], key);
                if boundary.len() <= BOUNDARY_MAX {
                    self.put_block(&block.boundary, block.members)?;
                    group.members += block.members;
                    group.blocks += 1;
                    block = Block { boundary: Boundary::from_slice(boundary), members: 0 };
                    if group.blocks as usize >= GROUP_FILL {
                        group.write(&mut payload);
                        group = Group { members: 0, blocks: 0, boundary: Boundary::from_slice(boundary) };
                    }
                }
            }
            block.members += 1;
        }
        self.put_block(&block.boundary, block.members)?;
        group.members += block.members;
        group.blocks += 1;
        group.write(&mut payload);
        Ok(payload)
    }
}

/// Takes the keys less than `end` off the front.
fn take_before<'a>(keys: &mut &'a [Vec<u8>], end: Option<&[u8]>) -> &'a [Vec<u8>] {
    let at = end.map_or(keys.len(), |end| keys.partition_point(|key| key.as_slice() < end));
    let (taken, rest) = keys.split_at(at);
    *keys = rest;
    taken
}
