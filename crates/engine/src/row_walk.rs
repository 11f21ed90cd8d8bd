//! Rows of a value in order, either way: those in memory over those of the store.
//!
//! ```text
//! in memory, page by page    a  -c     e        (-c: gone)
//! the store, by one cursor      c   d     f
//! what is seen               a      d  e  f
//! ```
//!
//! It reads no more than it shows: a walk that is ended early costs what it saw. Who calls it holds the lock of the
//! owner, or compares the owner's LSN afterwards: the rows do not change under it. But settle may move rows from memory to
//! the store between two pages; then the store is looked at anew from there on. And where memory knows all rows, the
//! store is not asked at all.

use keyspace::RowsId;

use crate::fault::Fault;
use crate::rows::{RowPage, RowRange};
use crate::shard::Shard;
use crate::store::{Cursor, Direction, Reach};

/// Rows in memory that the first page has, and the most that a later one has: many walks want only a few.
const FIRST_PAGE: usize = 8;
const LARGEST_PAGE: usize = 512;

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Who looked had seen enough.
    Enough,
    /// There are no more rows.
    All,
    /// What comes next is on the disk.
    WouldBlock,
}

/// Visits the rows of a range until `seen` answers `false`.
///
/// # Errors
/// A fault of the disk.
pub fn walk(
    shard: &Shard,
    rows: RowsId,
    range: &RowRange,
    direction: Direction,
    reach: Reach,
    seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<Ended, Fault> {
    if range.is_empty() {
        return Ok(Ended::All);
    }
    let mut most = FIRST_PAGE;
    // The page comes before the cursor: what leaves the dirty rows in between is in the store already.
    let mut page = shard.rows.page(rows, range, direction, most);
    let open = |range: &RowRange| shard.store.row_range(rows, &range.from, &range.to, direction, reach);
    let mut cursor = if page.complete { None } else { Some(open(range)?) };
    let mut rest = range.clone();
    loop {
        if page.rows.is_empty() && page.more {
            most = (most * 4).min(LARGEST_PAGE);
            let next = shard.rows.page(rows, &rest, direction, most);
            if next.complete {
                cursor = None;
            } else if cursor.is_none() || next.settled != page.settled {
                cursor = Some(open(&rest)?);
            }
            page = next;
            continue;
        }
        if let Some(cursor) = &mut cursor
            && cursor.entry()?.is_none()
            && cursor.would_block()
        {
            return Ok(Ended::WouldBlock);
        }
        let stored = match &mut cursor {
            None => None,
            Some(cursor) => cursor.entry()?,
        };
        let goes_on = match next_of(&page, stored.map(|(row, _)| row), direction) {
            Next::End => return Ok(Ended::All),
            Next::Stored => {
                let Some((row, value)) = stored else { return Ok(Ended::All) };
                let gone = page.cleared.iter().any(|range| range.holds(row));
                let goes_on = gone || seen(row, value);
                advance(&mut cursor);
                goes_on
            }
            next @ (Next::Dirty | Next::Both) => {
                if next == Next::Both {
                    advance(&mut cursor);
                }
                let Some((row, value)) = page.rows.pop_front() else { return Ok(Ended::All) };
                let goes_on = value.is_none_or(|value| seen(&row, &value));
                if page.rows.is_empty() {
                    rest = rest.beyond(row, direction);
                }
                goes_on
            }
        };
        if !goes_on {
            return Ok(Ended::Enough);
        }
    }
}

fn advance(cursor: &mut Option<Box<dyn Cursor + '_>>) {
    if let Some(cursor) = cursor {
        cursor.advance();
    }
}

/// Which row is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Dirty,
    Stored,
    /// A dirty row hides one of the store.
    Both,
    End,
}

fn next_of(page: &RowPage, stored: Option<&[u8]>, direction: Direction) -> Next {
    match (page.rows.front().map(|(row, _)| row.as_slice()), stored) {
        (None, None) => Next::End,
        (None, Some(_)) => Next::Stored,
        (Some(_), None) => Next::Dirty,
        (Some(dirty), Some(stored)) if dirty == stored => Next::Both,
        (Some(dirty), Some(stored)) if direction.is_before(dirty, stored) => Next::Dirty,
        (Some(_), Some(_)) => Next::Stored,
    }
}
