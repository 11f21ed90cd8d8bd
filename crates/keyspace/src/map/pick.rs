//! Random elements of a map, each equally likely.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::packed::Entries;
use super::rows::{self, below};
use super::{Body, Element, MapError, ROW_BYTES};
use crate::record::{Kind, Millis, RowsId};
use crate::view::{Stop, View};

/// Which elements are picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picks {
    /// So many different ones, or all if there are no more.
    Different(usize),
    /// So many, each out of all.
    Any(usize),
}

/// Picks elements that have not expired and hands them to `seen`, in no particular order. None at all when there is no
/// such key.
///
/// # Errors
/// When the key holds something else, or the view stops the run.
pub fn pick(
    view: &mut dyn View,
    key: &[u8],
    kind: Kind,
    picks: Picks,
    seen: &mut dyn FnMut(Element<'_>),
) -> Result<(), MapError> {
    let now = view.now();
    // A packed map is small, and random numbers cannot be had while its record is on loan.
    let payload = match view.record(key)? {
        None => return Ok(()),
        Some(record) => match Body::of(&record, kind)? {
            Body::Exploded(header) => {
                return pick_rows(view, key, header.rows, header.count, picks, seen);
            }
            Body::Packed(_) => record.payload.to_vec(),
        },
    };
    let mut all = Vec::new();
    let mut entries = Entries::of(kind, &payload)?;
    while let Some(entry) = entries.next()? {
        if !entry.is_expired(now) {
            all.push(Element { name: entry.element, value: entry.value, expire_at: entry.expire_at });
        }
    }
    choose(view, all.len(), picks, &mut |at| seen(all[at]));
    Ok(())
}

/// Chooses places below `len`.
fn choose(view: &mut dyn View, len: usize, picks: Picks, chosen: &mut dyn FnMut(usize)) {
    match picks {
        Picks::Any(_) if len == 0 => {}
        Picks::Any(count) => (0..count).for_each(|_| chosen(below(view.random(), len as u64) as usize)),
        Picks::Different(1) if len > 0 => chosen(below(view.random(), len as u64) as usize),
        Picks::Different(count) => {
            // Each place is taken with the chance that is left for it: Knuth's algorithm S.
            let mut wanted = count.min(len);
            for at in 0..len {
                if below(view.random(), (len - at) as u64) < wanted as u64 {
                    wanted -= 1;
                    chosen(at);
                }
            }
        }
    }
}

fn pick_rows(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    count: u64,
    picks: Picks,
    seen: &mut dyn FnMut(Element<'_>),
) -> Result<(), MapError> {
    let (Picks::Different(wanted) | Picks::Any(wanted)) = picks;
    // What a pick reads lies scattered, and costs twice as much as in one go.
    let few = (wanted as u64).saturating_mul(2 * rows::PICK_ROWS) <= count;
    if !few && wanted > 1 {
        return pick_of_all(view, key, rows, count, picks, seen);
    }
    view.heavy((wanted as u64).saturating_mul(ROW_BYTES * rows::PICK_ROWS))?;
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let mut had: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut attempts = wanted.saturating_mul(2).saturating_add(16);
    let mut left = wanted;
    while left > 0 {
        if attempts == 0 {
            // Nearly all have expired: start over, the slow way.
            return pick_rest(view, key, rows, left, &had, seen);
        }
        attempts -= 1;
        if !rows::pick(view, key, rows, count, &mut name, &mut value)? {
            return Ok(());
        }
        if matches!(picks, Picks::Different(2..)) && !had.insert(name.clone()) {
            continue;
        }
        left -= 1;
        seen(Element { name: &name, value: &value, expire_at: None });
    }
    Ok(())
}

/// Reads all elements, then chooses.
fn pick_of_all(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    count: u64,
    picks: Picks,
    seen: &mut dyn FnMut(Element<'_>),
) -> Result<(), MapError> {
    view.heavy(count.saturating_mul(ROW_BYTES))?;
    let now = view.now();
    let all = read_all(view, key, rows, now)?;
    choose(view, all.len(), picks, &mut |at| {
        let (name, value) = &all[at];
        seen(Element { name, value, expire_at: None });
    });
    Ok(())
}

type NameAndValue = (Vec<u8>, Vec<u8>);

fn read_all(view: &mut dyn View, key: &[u8], rows: RowsId, now: Millis) -> Result<Vec<NameAndValue>, Stop> {
    let mut all = Vec::new();
    rows::walk(view, key, rows, &mut |name, value| {
        if !value.is_expired(now) {
            all.push((name.to_vec(), value.bytes.to_vec()));
        }
        true
    })?;
    Ok(all)
}

/// More different elements than `had`, chosen among all.
fn pick_rest(
    view: &mut dyn View,
    key: &[u8],
    rows: RowsId,
    wanted: usize,
    had: &BTreeSet<Vec<u8>>,
    seen: &mut dyn FnMut(Element<'_>),
) -> Result<(), MapError> {
    let now = view.now();
    let mut all = read_all(view, key, rows, now)?;
    all.retain(|(name, _)| !had.contains(name));
    choose(view, all.len(), Picks::Different(wanted), &mut |at| {
        let (name, value) = &all[at];
        seen(Element { name, value, expire_at: None });
    });
    Ok(())
}
