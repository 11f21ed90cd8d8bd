//! Reading lists: from an index on, or from either end.

use super::layout::{Exploded, Layout, Node, Part, row_key};
use super::sequence::{self, Elements};
use super::{End, HEAVY, ListError};
use crate::record::RowsId;
use crate::view::{Stop, View};

/// Hands element `index`, counted from the head, to `sink`; says whether there is one.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn get(view: &mut dyn View, key: &[u8], index: u64, sink: &mut dyn FnMut(&[u8])) -> Result<bool, ListError> {
    let Some(record) = view.record(key)? else { return Ok(false) };
    let layout = Layout::of(&record)?;
    if index >= layout.len() {
        return Ok(false);
    }
    match layout {
        Layout::Packed(packed) => sink(sequence::nth(packed.elements, u64::from(packed.count()), index)?.1),
        Layout::Exploded(Exploded { rows, middle, head, tail }) => {
            if let Some(index) = index.checked_sub(u64::from(head.count) + middle.len()) {
                sink(sequence::nth(tail.bytes, u64::from(tail.count), index)?.1);
            } else if let Some(index) = index.checked_sub(u64::from(head.count)) {
                let position = middle.from + index as i64;
                if middle.bytes_of(1) > HEAVY {
                    view.heavy(middle.bytes_of(1))?;
                }
                let mut found = Err(Stop::Fault);
                walk(view, key, rows, position, &mut |node| {
                    found = node.elements_from(position)?.next().ok_or(Stop::Fault)?.map(&mut *sink);
                    Ok(false)
                })?;
                found?;
            } else {
                sink(sequence::nth(head.bytes, u64::from(head.count), index)?.1);
            }
        }
    }
    Ok(true)
}

/// Hands the elements `from..to`, counted from the head, to `sink` in order. What lies beyond the end is left out.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn range(
    view: &mut dyn View,
    key: &[u8],
    from: u64,
    to: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), ListError> {
    let Some(record) = view.record(key)? else { return Ok(()) };
    let layout = Layout::of(&record)?;
    let to = to.min(layout.len());
    if from >= to {
        return Ok(());
    }
    let exploded = match layout {
        Layout::Packed(packed) => {
            let all = Part { count: packed.count(), bytes: packed.elements };
            return part_range(all, 0, from, to, sink);
        }
        Layout::Exploded(exploded) => exploded,
    };
    let (rows, middle) = (exploded.rows, exploded.middle);
    let middle_at = u64::from(exploded.head.count);
    let tail_at = middle_at + middle.len();
    let (first, last) = (from.max(middle_at), to.min(tail_at));
    if first >= last {
        part_range(exploded.head, 0, from, to, sink)?;
        return part_range(exploded.tail, tail_at, from, to, sink);
    }
    let bytes = middle.bytes_of(last - first);
    if bytes > HEAVY {
        view.heavy(bytes)?;
    }
    part_range(reread(view, key)?.head, 0, from, to, sink)?;
    let mut left = last - first;
    let mut next = middle.from + (first - middle_at) as i64;
    walk(view, key, rows, next, &mut |node| {
        for element in node.elements_from(next)? {
            if left > 0 {
                sink(element?);
                left -= 1;
            }
        }
        next = node.last + 1;
        Ok(left > 0)
    })?;
    if left > 0 {
        return Err(ListError::Stop(Stop::Fault));
    }
    part_range(reread(view, key)?.tail, tail_at, from, to, sink)
}

/// Shows the elements to `seen`, with their index counted from the head, from one end on until it answers `false`.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn scan(
    view: &mut dyn View,
    key: &[u8],
    from: End,
    seen: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> Result<(), ListError> {
    let Some(record) = view.record(key)? else { return Ok(()) };
    let exploded = match Layout::of(&record)? {
        Layout::Packed(packed) => {
            let all = Part { count: packed.count(), bytes: packed.elements };
            scan_part(all, 0, from, seen)?;
            return Ok(());
        }
        Layout::Exploded(exploded) => exploded,
    };
    let (rows, middle) = (exploded.rows, exploded.middle);
    let middle_at = u64::from(exploded.head.count);
    let tail_at = middle_at + middle.len();
    let goes_on = match from {
        End::Head => scan_part(exploded.head, 0, from, seen)?,
        End::Tail => scan_part(exploded.tail, tail_at, from, seen)?,
    };
    if !goes_on {
        return Ok(());
    }
    if !middle.is_empty() {
        if middle.bytes > HEAVY {
            view.heavy(middle.bytes)?;
        }
        let mut goes_on = true;
        let mut see = |node: Node<'_>| {
            let part = Part { count: node.count, bytes: node.elements };
            goes_on = scan_part(part, middle_at + (node.first() - middle.from) as u64, from, seen)?;
            Ok(goes_on)
        };
        match from {
            End::Head => walk(view, key, rows, middle.from, &mut see)?,
            End::Tail => walk_back(view, key, rows, &mut see)?,
        }
        if !goes_on {
            return Ok(());
        }
    }
    let exploded = reread(view, key)?;
    match from {
        End::Head => scan_part(exploded.tail, tail_at, from, seen)?,
        End::Tail => scan_part(exploded.head, 0, from, seen)?,
    };
    Ok(())
}

/// The exploded list at `key`, once more: a look at rows ends the loan of the record.
fn reread<'v>(view: &'v mut dyn View, key: &[u8]) -> Result<Exploded<'v>, ListError> {
    match Layout::of(&view.record(key)?.ok_or(Stop::Fault)?)? {
        Layout::Exploded(exploded) => Ok(exploded),
        Layout::Packed(_) => Err(ListError::Stop(Stop::Fault)),
    }
}

/// Hands over those of the elements `from..to` that are in a part, whose first one has index `at`.
fn part_range(part: Part<'_>, at: u64, from: u64, to: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), ListError> {
    let count = u64::from(part.count);
    let (from, to) = (from.saturating_sub(at).min(count), to.saturating_sub(at).min(count));
    if from >= to {
        return Ok(());
    }
    let mut elements = Elements(&part.bytes[sequence::offset(part.bytes, count, from)?..]);
    for _ in from..to {
        sink(elements.next().ok_or(Stop::Fault)??);
    }
    Ok(())
}

/// Shows the elements of a part, whose first one has index `at`; answers whether to go on.
fn scan_part(part: Part<'_>, at: u64, from: End, seen: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<bool, Stop> {
    let elements = Elements(part.bytes);
    match from {
        End::Head => {
            for (index, element) in (at..).zip(elements) {
                if !seen(index, element?) {
                    return Ok(false);
                }
            }
        }
        End::Tail => {
            for (index, element) in (at..at + u64::from(part.count)).rev().zip(elements.rev()) {
                if !seen(index, element?) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Visits the nodes in order, from the one that holds a position on, until `seen` answers `false`.
pub(super) fn walk(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    from: i64,
    seen: &mut dyn FnMut(Node<'_>) -> Result<bool, Stop>,
) -> Result<(), Stop> {
    let mut result = Ok(());
    view.rows(key, rows, &row_key(from), b"", &mut |row, value| decode_to(row, value, seen, &mut result))?;
    result
}

/// Visits the nodes from the last to the first, until `seen` answers `false`.
fn walk_back(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    seen: &mut dyn FnMut(Node<'_>) -> Result<bool, Stop>,
) -> Result<(), Stop> {
    let mut result = Ok(());
    view.rows_back(key, rows, b"", b"", &mut |row, value| decode_to(row, value, seen, &mut result))?;
    result
}

fn decode_to(
    row: &[u8],
    value: &[u8],
    seen: &mut dyn FnMut(Node<'_>) -> Result<bool, Stop>,
    result: &mut Result<(), Stop>,
) -> bool {
    match Node::decode(row, value).and_then(seen) {
        Ok(goes_on) => goes_on,
        Err(stop) => {
            *result = Err(stop);
            false
        }
    }
}
