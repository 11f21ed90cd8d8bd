//! Pushing and popping. What stays within the record is one splice; the rest is left to the editor.

use alloc::vec::Vec;

use super::editor::Editor;
use super::layout::{COUNT, HEAD_AT, HEAD_COUNT_AT, Layout, Packed};
use super::sequence::{self, Elements};
use super::{END_MAX, End, HEAVY, ListError, NODE_BYTES, Room, head};
use crate::record::Encoding;
use crate::view::{Stop, View};

/// Puts elements at an end of the list at `key`, one after the other, and makes the list if there is none. Answers the
/// number of elements after that.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn push(view: &mut dyn View, key: &[u8], end: End, elements: &[&[u8]]) -> Result<u64, ListError> {
    let room = Room::of(view.limits());
    let added: usize = elements.iter().map(|element| sequence::size(element.len())).sum();
    let count = elements.len() as u64;
    if added as u64 > HEAVY {
        view.heavy(added as u64)?;
    }
    let Some(record) = view.record(key)? else { return create(view, key, end, elements, added, room) };
    let expire_at = record.head.expire_at;
    match Layout::of(&record)? {
        Layout::Packed(packed) => {
            let new_len = u64::from(packed.count()) + count;
            let len = packed.elements.len();
            if room.holds(new_len, len + added) {
                let (at, half) = match end {
                    End::Head => (0, packed.halves[0]),
                    End::Tail => (COUNT + len, packed.halves[1]),
                };
                let insert = with_count(end, elements, added, half.wrapping_add(count as u32), &[]);
                view.splice(key, at, COUNT, &insert)?;
                return Ok(new_len);
            }
            let old = packed.elements.to_vec();
            let mut editor = Editor::explode(view, key, expire_at, &old)?;
            push_all(&mut editor, end, elements)?;
            editor.save()
        }
        Layout::Exploded(exploded) => {
            let part = exploded.end(end);
            let fits = part.bytes.len() + added <= END_MAX
                && elements.iter().all(|element| sequence::size(element.len()) <= NODE_BYTES);
            if fits {
                let new_len = exploded.len() + count;
                let new_count = part.count + count as u32;
                let head_bytes = ((part.bytes.len() + added) as u32).to_le_bytes();
                let (at, remove, extra) = match end {
                    End::Head => (HEAD_COUNT_AT, 2 * COUNT, &head_bytes[..]),
                    End::Tail => (HEAD_AT + exploded.head.bytes.len() + part.bytes.len(), COUNT, &[][..]),
                };
                let insert = with_count(end, elements, added, new_count, extra);
                view.splice(key, at, remove, &insert)?;
                return Ok(new_len);
            }
            let mut editor = Editor::load(view, key)?;
            push_all(&mut editor, end, elements)?;
            editor.save()
        }
    }
}

fn create(
    view: &mut dyn View,
    key: &[u8],
    end: End,
    elements: &[&[u8]],
    added: usize,
    room: Room,
) -> Result<u64, ListError> {
    let count = elements.len() as u64;
    if room.holds(count, added) {
        let mut bytes = Vec::with_capacity(added);
        put_all(&mut bytes, end, elements);
        view.put(key, &head(Encoding::Packed, None), &Packed::encode(count as u32, [&bytes, &[]]))?;
        return Ok(count);
    }
    let mut editor = Editor::explode(view, key, None, &[])?;
    push_all(&mut editor, end, elements)?;
    editor.save()
}

fn push_all(editor: &mut Editor<'_>, end: End, elements: &[&[u8]]) -> Result<(), ListError> {
    for element in elements {
        editor.push(end, element)?;
    }
    Ok(())
}

/// The elements in the order of the list.
fn put_all(out: &mut Vec<u8>, end: End, elements: &[&[u8]]) {
    match end {
        End::Head => elements.iter().rev().for_each(|element| sequence::put(out, element)),
        End::Tail => elements.iter().for_each(|element| sequence::put(out, element)),
    }
}

/// The elements, with the count of their end on the outer side, and `extra` after the count.
fn with_count(end: End, elements: &[&[u8]], added: usize, count: u32, extra: &[u8]) -> Vec<u8> {
    let mut insert = Vec::with_capacity(added + COUNT + extra.len());
    if end == End::Head {
        insert.extend_from_slice(&count.to_le_bytes());
        insert.extend_from_slice(extra);
    }
    put_all(&mut insert, end, elements);
    if end == End::Tail {
        insert.extend_from_slice(&count.to_le_bytes());
    }
    insert
}

/// Takes up to `count` elements off an end of the list at `key`, and hands them to `sink` in the order they come off.
/// Answers how many are left; the key of a list without elements is removed.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn pop(
    view: &mut dyn View,
    key: &[u8],
    end: End,
    count: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<u64, ListError> {
    let room = Room::of(view.limits()).half();
    let Some(record) = view.record(key)? else { return Ok(0) };
    let layout = Layout::of(&record)?;
    let len = layout.len();
    if count == 0 {
        return Ok(len);
    }
    match layout {
        Layout::Packed(packed) => {
            let taken = count.min(len);
            let size = take(packed.elements, end, taken, sink)?;
            if taken == len {
                view.delete(key)?;
                return Ok(0);
            }
            let (at, half) = match end {
                End::Head => (0, packed.halves[0]),
                End::Tail => (COUNT + packed.elements.len() - size, packed.halves[1]),
            };
            view.splice(key, at, COUNT + size, &half.wrapping_sub(taken as u32).to_le_bytes())?;
            Ok(len - taken)
        }
        Layout::Exploded(exploded) => {
            let part = exploded.end(end);
            let shrinks = exploded.middle.is_empty()
                && room.holds(len.saturating_sub(count), exploded.head.bytes.len() + exploded.tail.bytes.len());
            if count > u64::from(part.count) || count >= len || shrinks {
                let mut editor = Editor::load(view, key)?;
                editor.pop(end, count, sink)?;
                return editor.save();
            }
            let size = take(part.bytes, end, count, sink)?;
            let new_count = (part.count - count as u32).to_le_bytes();
            match end {
                End::Head => {
                    let mut insert = [0; 2 * COUNT];
                    insert[..COUNT].copy_from_slice(&new_count);
                    insert[COUNT..].copy_from_slice(&((part.bytes.len() - size) as u32).to_le_bytes());
                    view.splice(key, HEAD_COUNT_AT, 2 * COUNT + size, &insert)?;
                }
                End::Tail => {
                    let at = HEAD_AT + exploded.head.bytes.len() + part.bytes.len() - size;
                    view.splice(key, at, size + COUNT, &new_count)?;
                }
            }
            Ok(len - count)
        }
    }
}

/// Hands over the outer `count` elements, which are there; answers the bytes they take.
pub(super) fn take(bytes: &[u8], end: End, count: u64, sink: &mut dyn FnMut(&[u8])) -> Result<usize, Stop> {
    let mut elements = Elements(bytes);
    for _ in 0..count {
        let next = match end {
            End::Head => elements.next(),
            End::Tail => elements.next_back(),
        };
        sink(next.ok_or(Stop::Fault)??);
    }
    Ok(bytes.len() - elements.0.len())
}
