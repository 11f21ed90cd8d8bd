//! An exploded list under change: its ends taken out of the record, put back by [`Editor::save`] as one splice.

use alloc::vec::Vec;
use core::mem;

use super::layout::{Exploded, Layout, Middle, Node, Packed, Part, row_key};
use super::sequence::{self, Elements};
use super::{END_MAX, End, HEAVY, ListError, NODE_BYTES, Room, ends, head, read};
use crate::record::{Encoding, Millis, RowsId};
use crate::view::{Stop, View};

/// Up to so many rows are deleted one by one; more of them as a range.
const SINGLE_DELETES: usize = 16;

/// The list.
pub struct Editor<'v> {
    view: &'v mut dyn View,
    key: &'v [u8],
    expire_at: Option<Millis>,
    /// The payload in the record; `None`: the record is no exploded list yet.
    old: Option<Vec<u8>>,
    rows: RowsId,
    middle: Middle,
    head: Segment,
    tail: Segment,
}

/// The elements of one end.
#[derive(Default)]
struct Segment {
    count: u32,
    bytes: Vec<u8>,
}

/// Where an element is.
#[derive(Clone, Copy)]
enum Spot {
    /// In an end, so many elements from its front.
    In(End, u64),
    /// At this position of the middle.
    Middle(i64),
}

impl<'v> Editor<'v> {
    /// Takes the exploded list at `key` up.
    pub fn load(view: &'v mut dyn View, key: &'v [u8]) -> Result<Self, ListError> {
        let record = view.record(key)?.ok_or(Stop::Fault)?;
        let Layout::Exploded(exploded) = Layout::of(&record)? else { return Err(ListError::Stop(Stop::Fault)) };
        let (rows, middle, expire_at) = (exploded.rows, exploded.middle, record.head.expire_at);
        let segment = |part: Part<'_>| Segment { count: part.count, bytes: part.bytes.to_vec() };
        let (head, tail) = (segment(exploded.head), segment(exploded.tail));
        let old = Some(record.payload.to_vec());
        Ok(Self { view, key, expire_at, old, rows, middle, head, tail })
    }

    /// Begins an exploded list with the elements of a sequence.
    pub fn explode(
        view: &'v mut dyn View,
        key: &'v [u8],
        expire_at: Option<Millis>,
        elements: &[u8],
    ) -> Result<Self, ListError> {
        if elements.len() as u64 > HEAVY {
            view.heavy(elements.len() as u64)?;
        }
        let rows = view.new_rows();
        let middle = Middle { from: 0, to: 0, bytes: 0 };
        let (head, tail) = (Segment::default(), Segment::default());
        let mut editor = Self { view, key, expire_at, old: None, rows, middle, head, tail };
        for element in Elements(elements) {
            editor.push(End::Tail, element?)?;
        }
        Ok(editor)
    }

    /// Writes the record; answers the number of elements.
    pub fn save(self) -> Result<u64, ListError> {
        let Self { view, key, expire_at, old, rows, middle, head: front, tail: back } = self;
        let len = u64::from(front.count) + middle.len() + u64::from(back.count);
        if len == 0 {
            view.delete(key)?;
            return Ok(0);
        }
        let room = Room::of(view.limits()).half();
        let size = front.bytes.len() + back.bytes.len() + usize::try_from(middle.bytes).unwrap_or(usize::MAX / 2);
        if room.holds(len, size) {
            let mut elements = front.bytes;
            read::walk(view, key, rows, middle.from, &mut |node| {
                elements.extend_from_slice(node.elements);
                Ok(true)
            })?;
            let payload = Packed::encode(len as u32, [&elements, &back.bytes]);
            view.put(key, &head(Encoding::Packed, expire_at), &payload)?;
            return Ok(len);
        }
        assert!(front.bytes.len() <= END_MAX && back.bytes.len() <= END_MAX, "an end takes no more than it may");
        let head_part = Part { count: front.count, bytes: &front.bytes };
        let tail_part = Part { count: back.count, bytes: &back.bytes };
        let payload = Exploded { rows, middle, head: head_part, tail: tail_part }.encode();
        match old {
            None => view.put(key, &head(Encoding::Exploded, expire_at), &payload)?,
            Some(old) => save_difference(view, key, 0, &old, &payload)?,
        }
        Ok(len)
    }

    /// The number of elements.
    pub const fn len(&self) -> u64 {
        self.head.count as u64 + self.middle.len() + self.tail.count as u64
    }

    /// Puts an element at an end.
    pub fn push(&mut self, end: End, element: &[u8]) -> Result<(), ListError> {
        if sequence::size(element.len()) > NODE_BYTES {
            return self.push_alone(end, element);
        }
        let segment = self.segment(end);
        segment.count += 1;
        match end {
            End::Tail => sequence::put(&mut segment.bytes, element),
            End::Head => {
                let mut bytes = Vec::with_capacity(segment.bytes.len() + sequence::size(element.len()));
                sequence::put(&mut bytes, element);
                bytes.extend_from_slice(&segment.bytes);
                segment.bytes = bytes;
            }
        }
        self.relieve(end)
    }

    /// Takes elements off an end, hands them over in the order they come off.
    pub fn pop(&mut self, end: End, count: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), ListError> {
        let mut left = count.min(self.len());
        while left > 0 {
            let segment = self.segment(end);
            if segment.count > 0 {
                let taken = left.min(u64::from(segment.count));
                segment.take(end, taken, sink)?;
                left -= taken;
            } else if self.middle.is_empty() {
                (self.head, self.tail) = (mem::take(&mut self.tail), mem::take(&mut self.head));
            } else {
                left -= self.take_node(end, left, sink)?;
            }
        }
        Ok(())
    }

    /// Drops elements off an end. As [`Editor::pop`], but many nodes go unseen.
    pub fn drop_end(&mut self, end: End, count: u64) -> Result<(), ListError> {
        const FEW: u64 = (SINGLE_DELETES * NODE_BYTES) as u64;
        let (in_end, middle) = (u64::from(self.segment(end).count), self.middle);
        let in_middle = count.saturating_sub(in_end).min(middle.len());
        if middle.bytes_of(in_middle) > FEW {
            *self.segment(end) = Segment::default();
            self.drop_nodes(end, in_middle)?;
            return self.pop(end, count - in_end - in_middle, &mut |_| {});
        }
        self.pop(end, count, &mut |_| {})
    }

    /// Makes an element another one.
    pub fn replace(&mut self, index: u64, element: &[u8]) -> Result<(), ListError> {
        let position = match self.spot(index, element) {
            Spot::In(end, index) => {
                let segment = self.segment(end);
                let (at, old) = sequence::nth(&segment.bytes, u64::from(segment.count), index)?;
                let old = sequence::size(old.len());
                segment.bytes.splice(at..at + old, encoded(element));
                return self.relieve(end);
            }
            Spot::Middle(position) => position,
        };
        self.bring_in(position)?;
        let mut rewritten = None;
        read::walk(self.view, self.key, self.rows, position, &mut |node| {
            let index = (position - node.first()) as u64;
            let (at, old) = sequence::nth(node.elements, u64::from(node.count), index)?;
            let mut elements = node.elements.to_vec();
            let old = sequence::size(old.len());
            elements.splice(at..at + old, encoded(element));
            rewritten = Some((node.first(), node.value_len(), elements));
            Ok(false)
        })?;
        let (first, old, elements) = rewritten.ok_or(Stop::Fault)?;
        self.middle.bytes = self.middle.bytes.saturating_sub(old);
        self.write_nodes(first, &elements)
    }

    /// Puts an element in front of element `index`, or behind all if that is their number.
    pub fn insert(&mut self, index: u64, element: &[u8]) -> Result<(), ListError> {
        if index == 0 {
            return self.push(End::Head, element);
        }
        if index == self.len() {
            return self.push(End::Tail, element);
        }
        let spot = if index <= u64::from(self.head.count) && sequence::size(element.len()) <= NODE_BYTES {
            // Also behind the last one of the head.
            Spot::In(End::Head, index)
        } else {
            self.spot(index, element)
        };
        let position = match spot {
            Spot::In(end, index) => {
                let segment = self.segment(end);
                let at = sequence::offset(&segment.bytes, u64::from(segment.count), index)?;
                segment.bytes.splice(at..at, encoded(element));
                segment.count += 1;
                return self.relieve(end);
            }
            Spot::Middle(position) => position,
        };
        // The middle then holds the neighbours too: no end has to be moved along.
        self.bring_in(position - 1)?;
        self.bring_in(position)?;
        let Middle { from, to, .. } = self.middle;
        if position - from < to - position {
            let (first, mut elements) = self.take_side(End::Head, position - 1)?;
            let at = sequence::front_size(&elements, (position - first) as u64)?;
            elements.splice(at..at, encoded(element));
            self.middle.from -= 1;
            self.write_nodes(first - 1, &elements)
        } else {
            let (first, mut elements) = self.take_side(End::Tail, position)?;
            let at = sequence::front_size(&elements, (position - first) as u64)?;
            elements.splice(at..at, encoded(element));
            self.middle.to += 1;
            self.write_nodes(first, &elements)
        }
    }

    /// Removes the elements of these indexes, which are in ascending order.
    pub fn remove(&mut self, indexes: &[u64]) -> Result<(), ListError> {
        let middle_at = u64::from(self.head.count);
        let tail_at = middle_at + self.middle.len();
        let (in_head, rest) = indexes.split_at(indexes.partition_point(|index| *index < middle_at));
        let (in_middle, in_tail) = rest.split_at(rest.partition_point(|index| *index < tail_at));
        self.head.remove(in_head.iter().copied())?;
        self.tail.remove(in_tail.iter().map(|index| index - tail_at))?;
        let (Some(first), Some(last)) = (in_middle.first(), in_middle.last()) else { return Ok(()) };
        let base = self.middle.from;
        let position = |index: &u64| base + (index - middle_at) as i64;
        let (first, last, count) = (position(first), position(last), in_middle.len() as i64);
        let Middle { from, to, .. } = self.middle;
        let side = if last - from < to - first { End::Head } else { End::Tail };
        let (begin, elements) = self.take_side(side, if side == End::Head { last } else { first })?;
        let mut gone = in_middle.iter().map(position).peekable();
        let mut kept = Vec::with_capacity(elements.len());
        for (position, element) in (begin..).zip(Elements(&elements)) {
            let element = element?;
            if gone.next_if_eq(&position).is_none() {
                sequence::put(&mut kept, element);
            }
        }
        match side {
            End::Head => {
                self.middle.from += count;
                self.write_nodes(begin + count, &kept)
            }
            End::Tail => {
                self.middle.to -= count;
                self.write_nodes(begin, &kept)
            }
        }
    }

    fn segment(&mut self, end: End) -> &mut Segment {
        match end {
            End::Head => &mut self.head,
            End::Tail => &mut self.tail,
        }
    }

    /// Where element `index` is, or is to be: an end takes none that belongs in a node of its own.
    fn spot(&self, index: u64, element: &[u8]) -> Spot {
        let middle_at = u64::from(self.head.count);
        let tail_at = middle_at + self.middle.len();
        let fits = sequence::size(element.len()) <= NODE_BYTES;
        if index < middle_at && fits {
            Spot::In(End::Head, index)
        } else if index >= tail_at && fits {
            Spot::In(End::Tail, index - tail_at)
        } else {
            Spot::Middle(self.middle.from.wrapping_add_unsigned(index).wrapping_sub_unsigned(middle_at))
        }
    }

    /// Makes sure that a position is in the middle.
    fn bring_in(&mut self, position: i64) -> Result<(), ListError> {
        if position < self.middle.from {
            self.empty(End::Head)?;
        }
        if position >= self.middle.to {
            self.empty(End::Tail)?;
        }
        Ok(())
    }

    /// Moves all of an end into nodes.
    fn empty(&mut self, end: End) -> Result<(), ListError> {
        while self.segment(end).count > 0 {
            self.make_node(end)?;
        }
        Ok(())
    }

    /// Makes nodes until an end takes no more than it may.
    fn relieve(&mut self, end: End) -> Result<(), ListError> {
        while self.segment(end).bytes.len() > END_MAX {
            self.make_node(end)?;
        }
        Ok(())
    }

    /// Makes the inner elements of an end a node.
    fn make_node(&mut self, end: End) -> Result<(), ListError> {
        let inner = match end {
            End::Head => End::Tail,
            End::Tail => End::Head,
        };
        let segment = self.segment(end);
        let (count, size) = node_share(&segment.bytes, inner)?;
        segment.count -= count;
        let elements = match end {
            End::Head => segment.bytes.split_off(segment.bytes.len() - size),
            End::Tail => segment.bytes.drain(..size).collect(),
        };
        self.add_node(end, count, &elements)
    }

    fn push_alone(&mut self, end: End, element: &[u8]) -> Result<(), ListError> {
        self.empty(end)?;
        if element.len() as u64 > HEAVY {
            self.view.heavy(element.len() as u64)?;
        }
        self.add_node(end, 1, &encoded(element))
    }

    /// Makes the middle longer by a node.
    fn add_node(&mut self, end: End, count: u32, elements: &[u8]) -> Result<(), ListError> {
        let last = match end {
            End::Head => {
                self.middle.from -= i64::from(count);
                self.middle.from + i64::from(count) - 1
            }
            End::Tail => {
                self.middle.to += i64::from(count);
                self.middle.to - 1
            }
        };
        self.put_node(last, count, elements)
    }

    fn put_node(&mut self, last: i64, count: u32, elements: &[u8]) -> Result<(), ListError> {
        let value = Node::encode(count, elements);
        self.middle.bytes += value.len() as u64;
        Ok(self.view.put_row(self.key, self.rows, &row_key(last), &value)?)
    }

    /// Writes elements, the first of which is at `first`, as nodes.
    fn write_nodes(&mut self, first: i64, elements: &[u8]) -> Result<(), ListError> {
        let (mut next, mut rest) = (first, elements);
        while !rest.is_empty() {
            let (count, size) = node_share(rest, End::Head)?;
            next += i64::from(count);
            self.put_node(next - 1, count, &rest[..size])?;
            rest = &rest[size..];
        }
        Ok(())
    }

    /// Takes the outermost node away: hands over its elements if that many are wanted, or makes it the end. Answers how
    /// many were handed over.
    fn take_node(&mut self, end: End, wanted: u64, sink: &mut dyn FnMut(&[u8])) -> Result<u64, ListError> {
        let Middle { from, to, .. } = self.middle;
        let (mut row, mut value) = (row_key(to - 1), Vec::new());
        match end {
            End::Tail => {
                self.view.row(self.key, self.rows, &row, &mut value)?;
            }
            End::Head => self.view.rows(self.key, self.rows, &row_key(from), b"", &mut |found, bytes| {
                row = found.try_into().unwrap_or(row);
                value.extend_from_slice(bytes);
                false
            })?,
        }
        let node = Node::decode(&row, &value)?;
        let count = u64::from(node.count);
        let edge = match end {
            End::Head => node.first() == from && node.last < to,
            End::Tail => node.first() >= from,
        };
        if !edge {
            return Err(ListError::Stop(Stop::Fault));
        }
        if node.value_len() > HEAVY {
            self.view.heavy(node.value_len())?;
        }
        self.view.delete_row(self.key, self.rows, &row)?;
        self.middle.bytes = self.middle.bytes.saturating_sub(node.value_len());
        match end {
            End::Head => self.middle.from += i64::from(node.count),
            End::Tail => self.middle.to -= i64::from(node.count),
        }
        if count <= wanted {
            ends::take(node.elements, end, count, sink)?;
            return Ok(count);
        }
        *self.segment(end) = Segment { count: node.count, bytes: node.elements.to_vec() };
        Ok(0)
    }

    /// Takes all nodes away from an end of the middle through the one that holds `position`. Answers the position of
    /// their first element, and their elements.
    fn take_side(&mut self, side: End, position: i64) -> Result<(i64, Vec<u8>), ListError> {
        let Middle { from, to, .. } = self.middle;
        let count = match side {
            End::Head => position - from,
            End::Tail => to - position,
        };
        let bytes = self.middle.bytes_of(count as u64);
        if bytes > HEAVY {
            self.view.heavy(bytes)?;
        }
        let begin = if side == End::Head { from } else { position };
        let (mut first, mut elements, mut rows, mut taken) = (None, Vec::new(), Vec::new(), 0);
        read::walk(self.view, self.key, self.rows, begin, &mut |node| {
            first.get_or_insert(node.first());
            elements.extend_from_slice(node.elements);
            taken += node.value_len();
            rows.push(row_key(node.last));
            Ok(side == End::Tail || node.last < position)
        })?;
        let first = first.ok_or(Stop::Fault)?;
        if let [begin, .., last] = &rows[..]
            && rows.len() > SINGLE_DELETES
        {
            let mut end = last.to_vec();
            end.push(0);
            self.view.delete_rows(self.key, self.rows, begin, &end)?;
        } else {
            for row in &rows {
                self.view.delete_row(self.key, self.rows, row)?;
            }
        }
        self.middle.bytes = self.middle.bytes.saturating_sub(taken);
        Ok((first, elements))
    }

    /// Drops `count` elements off an end of the middle. The node in which that ends becomes the end, which is empty.
    fn drop_nodes(&mut self, end: End, count: u64) -> Result<(), ListError> {
        let Middle { from, to, bytes } = self.middle;
        let left = self.middle.bytes_of(self.middle.len() - count);
        if count == self.middle.len() {
            self.view.delete_rows(self.key, self.rows, b"", b"")?;
            self.middle = Middle { from, to: from, bytes: 0 };
            return Ok(());
        }
        // The outermost position that stays.
        let edge = match end {
            End::Head => from + count as i64,
            End::Tail => to - 1 - count as i64,
        };
        let (mut bounds, mut kept) = (None, Vec::new());
        read::walk(self.view, self.key, self.rows, edge, &mut |node| {
            bounds = Some((node.first(), node.last, node.value_len()));
            let share = node.elements_from(edge)?.0.len();
            match end {
                End::Head => kept.extend_from_slice(&node.elements[node.elements.len() - share..]),
                End::Tail => {
                    let at = node.elements.len() - share;
                    let edge_size = sequence::front_size(&node.elements[at..], 1)?;
                    kept.extend_from_slice(&node.elements[..at + edge_size]);
                }
            }
            Ok(false)
        })?;
        let (first, last, value_len) = bounds.ok_or(Stop::Fault)?;
        let whole = if end == End::Head { first == edge } else { last == edge };
        let after = |position: i64| row_key(position + 1);
        match end {
            End::Head => {
                let stop = if whole { row_key(first) } else { after(last) };
                self.view.delete_rows(self.key, self.rows, b"", &stop)?;
                self.middle.from = if whole { edge } else { last + 1 };
            }
            End::Tail => {
                let begin = if whole { after(last) } else { row_key(edge) };
                self.view.delete_rows(self.key, self.rows, &begin, b"")?;
                self.middle.to = if whole { edge + 1 } else { first };
            }
        }
        self.middle.bytes = if self.middle.is_empty() { 0 } else { left.min(bytes) };
        if !whole {
            self.middle.bytes = self.middle.bytes.saturating_sub(value_len);
            let count = match end {
                End::Head => last - edge + 1,
                End::Tail => edge - first + 1,
            };
            *self.segment(end) = Segment { count: count as u32, bytes: kept };
        }
        Ok(())
    }
}

impl Segment {
    /// Takes elements off its outer side, which is `end`.
    fn take(&mut self, end: End, count: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        let size = ends::take(&self.bytes, end, count, sink)?;
        self.count -= count as u32;
        match end {
            End::Head => drop(self.bytes.drain(..size)),
            End::Tail => self.bytes.truncate(self.bytes.len() - size),
        }
        Ok(())
    }

    fn remove(&mut self, indexes: impl Iterator<Item = u64>) -> Result<(), Stop> {
        let mut gone = indexes.peekable();
        if gone.peek().is_none() {
            return Ok(());
        }
        let (bytes, removed) = without(&self.bytes, gone)?;
        self.bytes = bytes;
        self.count -= removed;
        Ok(())
    }
}

/// The elements but for those of the indexes, and how many those are.
pub fn without(bytes: &[u8], indexes: impl Iterator<Item = u64>) -> Result<(Vec<u8>, u32), Stop> {
    let mut gone = indexes.peekable();
    let (mut kept, mut removed) = (Vec::with_capacity(bytes.len()), 0);
    for (index, element) in (0..).zip(Elements(bytes)) {
        let element = element?;
        if gone.next_if_eq(&index).is_some() {
            removed += 1;
        } else {
            sequence::put(&mut kept, element);
        }
    }
    Ok((kept, removed))
}

/// An element as a sequence of one.
pub fn encoded(element: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(sequence::size(element.len()));
    sequence::put(&mut bytes, element);
    bytes
}

/// How many elements, from one end on, make a node, and the bytes they take: at least one.
fn node_share(bytes: &[u8], from: End) -> Result<(u32, usize), Stop> {
    let mut elements = Elements(bytes);
    let (mut count, mut size) = (0, 0);
    loop {
        let next = match from {
            End::Head => elements.next(),
            End::Tail => elements.next_back(),
        };
        let Some(element) = next else { return if count > 0 { Ok((count, size)) } else { Err(Stop::Fault) } };
        let more = size + sequence::size(element?.len());
        if count > 0 && more > NODE_BYTES {
            return Ok((count, size));
        }
        (count, size) = (count + 1, more);
    }
}

/// Makes the bytes `old` of a payload, which begin at `at`, `new`; logs only what is different.
pub fn save_difference(view: &mut dyn View, key: &[u8], at: usize, old: &[u8], new: &[u8]) -> Result<(), ListError> {
    let same = same_front(old, new);
    let (old_rest, new_rest) = (&old[same..], &new[same..]);
    let same_end = same_back(old_rest, new_rest);
    let (remove, insert) = (old_rest.len() - same_end, &new_rest[..new_rest.len() - same_end]);
    if remove == 0 && insert.is_empty() {
        // Nothing but rows.
        view.touch(key)?;
    } else {
        view.splice(key, at + same, remove, insert)?;
    }
    Ok(())
}

/// Blocks are compared at once, then what is left byte by byte.
const BLOCK: usize = 64;

/// With how many bytes both begin.
fn same_front(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK)).take_while(|(one, other)| one == other);
    let at = blocks.count() * BLOCK;
    at + one[at..].iter().zip(&other[at..]).take_while(|(one, other)| one == other).count()
}

/// With how many bytes both end.
fn same_back(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.rchunks_exact(BLOCK).zip(other.rchunks_exact(BLOCK)).take_while(|(one, other)| one == other);
    let at = blocks.count() * BLOCK;
    let (one, other) = (&one[..one.len() - at], &other[..other.len() - at]);
    at + one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_the_same_is_found_to_the_byte(
            front in prop::collection::vec(0u8..2, 0..300),
            one in prop::collection::vec(0u8..2, 0..70),
            other in prop::collection::vec(0u8..2, 0..70),
            back in prop::collection::vec(0u8..2, 0..300),
        ) {
            let (one, other) = ([&front[..], &one, &back].concat(), [&front[..], &other, &back].concat());
            let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            prop_assert_eq!(same_front(&one, &other), same);
            let same = one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
            prop_assert_eq!(same_back(&one, &other), same);
        }
    }
}
