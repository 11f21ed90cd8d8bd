//! Changes anywhere in a list: replacing, inserting, removing, cutting.

use alloc::vec::Vec;

use super::editor::{Editor, encoded, save_difference, without};
use super::layout::{COUNT, Layout};
use super::{End, ListError, Room, read, sequence};
use crate::view::{Stop, View};

/// On which side of another element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nearer to the head.
    Before,
    /// Nearer to the tail.
    After,
}

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// There is no list.
    NoList,
    /// No element equals the pivot.
    NoPivot,
    /// The list has so many elements now.
    Len(u64),
}

/// Makes element `index` of the list at `key` another one; says whether there is one.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn set(view: &mut dyn View, key: &[u8], index: u64, element: &[u8]) -> Result<bool, ListError> {
    let room = Room::of(view.limits());
    let Some(record) = view.record(key)? else { return Ok(false) };
    let expire_at = record.head.expire_at;
    let layout = Layout::of(&record)?;
    if index >= layout.len() {
        return Ok(false);
    }
    match layout {
        Layout::Packed(packed) => {
            let count = u64::from(packed.count());
            let (at, old) = sequence::nth(packed.elements, count, index)?;
            let old = sequence::size(old.len());
            if room.holds(count, packed.elements.len() - old + sequence::size(element.len())) {
                view.splice(key, COUNT + at, old, &encoded(element))?;
                return Ok(true);
            }
            let mut elements = packed.elements.to_vec();
            elements.splice(at..at + old, encoded(element));
            Editor::explode(view, key, expire_at, &elements)?.save()?;
        }
        Layout::Exploded(_) => {
            let mut editor = Editor::load(view, key)?;
            editor.replace(index, element)?;
            editor.save()?;
        }
    }
    Ok(true)
}

/// Keeps the elements `from..to` of the list at `key`, counted from the head, and drops all others; without elements the
/// key is removed.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn trim(view: &mut dyn View, key: &[u8], from: u64, to: u64) -> Result<(), ListError> {
    let Some(record) = view.record(key)? else { return Ok(()) };
    let layout = Layout::of(&record)?;
    let len = layout.len();
    let to = to.min(len);
    if from >= to {
        view.delete(key)?;
        return Ok(());
    }
    match layout {
        Layout::Packed(packed) => {
            let halves = packed.halves;
            let front = sequence::front_size(packed.elements, from)?;
            let back = sequence::back_size(packed.elements, len - to)?;
            let end = COUNT + packed.elements.len();
            if to < len {
                let half = halves[1].wrapping_sub((len - to) as u32);
                view.splice(key, end - back, back + COUNT, &half.to_le_bytes())?;
            }
            if from > 0 {
                view.splice(key, 0, COUNT + front, &halves[0].wrapping_sub(from as u32).to_le_bytes())?;
            }
        }
        Layout::Exploded(_) if from == 0 && to == len => {}
        Layout::Exploded(_) => {
            let mut editor = Editor::load(view, key)?;
            editor.drop_end(End::Tail, len - to)?;
            editor.drop_end(End::Head, from)?;
            editor.save()?;
        }
    }
    Ok(())
}

/// Puts an element beside the first one, from the head, that equals `pivot`.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn insert(
    view: &mut dyn View,
    key: &[u8],
    side: Side,
    pivot: &[u8],
    element: &[u8],
) -> Result<Inserted, ListError> {
    if view.record(key)?.is_none() {
        return Ok(Inserted::NoList);
    }
    let mut found = None;
    read::scan(view, key, End::Head, &mut |index, candidate| {
        found = (candidate == pivot).then_some(index);
        found.is_none()
    })?;
    let Some(index) = found else { return Ok(Inserted::NoPivot) };
    let index = index + u64::from(side == Side::After);
    insert_at(view, key, index, element).map(Inserted::Len)
}

fn insert_at(view: &mut dyn View, key: &[u8], index: u64, element: &[u8]) -> Result<u64, ListError> {
    let room = Room::of(view.limits());
    let record = view.record(key)?.ok_or(Stop::Fault)?;
    let expire_at = record.head.expire_at;
    match Layout::of(&record)? {
        Layout::Packed(packed) => {
            let count = u64::from(packed.count());
            let at = sequence::offset(packed.elements, count, index)?;
            if room.holds(count + 1, packed.elements.len() + sequence::size(element.len())) {
                let half = packed.halves[0].wrapping_add(1);
                view.splice(key, COUNT + at, 0, &encoded(element))?;
                view.splice(key, 0, COUNT, &half.to_le_bytes())?;
                return Ok(count + 1);
            }
            let mut elements = packed.elements.to_vec();
            elements.splice(at..at, encoded(element));
            Editor::explode(view, key, expire_at, &elements)?.save()
        }
        Layout::Exploded(_) => {
            let mut editor = Editor::load(view, key)?;
            editor.insert(index, element)?;
            editor.save()
        }
    }
}

/// Removes up to `count` elements that equal `element`, from one end on; answers how many there were.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn remove(view: &mut dyn View, key: &[u8], from: End, count: u64, element: &[u8]) -> Result<u64, ListError> {
    let mut indexes = Vec::new();
    read::scan(view, key, from, &mut |index, candidate| {
        if candidate == element && (indexes.len() as u64) < count {
            indexes.push(index);
        }
        (indexes.len() as u64) < count
    })?;
    if from == End::Tail {
        indexes.reverse();
    }
    if !indexes.is_empty() {
        remove_at(view, key, &indexes)?;
    }
    Ok(indexes.len() as u64)
}

/// Removes the elements of these indexes, which are in ascending order.
fn remove_at(view: &mut dyn View, key: &[u8], indexes: &[u64]) -> Result<(), ListError> {
    let record = view.record(key)?.ok_or(Stop::Fault)?;
    match Layout::of(&record)? {
        Layout::Packed(packed) if indexes.len() == packed.count() as usize => {
            view.delete(key)?;
        }
        Layout::Packed(packed) => {
            let half = packed.halves[0].wrapping_sub(indexes.len() as u32);
            let old = packed.elements.to_vec();
            let (kept, _) = without(&old, indexes.iter().copied())?;
            save_difference(view, key, COUNT, &old, &kept)?;
            view.splice(key, 0, COUNT, &half.to_le_bytes())?;
        }
        Layout::Exploded(_) => {
            let mut editor = Editor::load(view, key)?;
            editor.remove(indexes)?;
            editor.save()?;
        }
    }
    Ok(())
}
