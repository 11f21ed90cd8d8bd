//! Which exploded values are in memory as a whole: fills in those that are read often, lets go of those that are not.
//!
//! Runs on the settle thread between cycles. Clean rows get at most half of the budget; the other half is for records and
//! for what is dirty. What is read from the store comes in small steps, each under the settle lock: nothing else changes
//! the store's rows, so what a step read is still so when it is put in.

use keyspace::RowsId;

use crate::budget::Budget;
use crate::fault::Fault;
use crate::instance::Instance;
use crate::rows::{Eviction, Known, RowKey, RowValue};
use crate::shard::Shard;
use crate::store::{Direction, Reach};

/// Rows that one step reads at most, and bytes after which it ends.
const STEP_ROWS: usize = if cfg!(test) { 3 } else { 1024 };
const STEP_BYTES: usize = 256 << 10;
/// Rows that are filled in at most before the settle thread does something else.
const ROWS_A_TURN: usize = 64 << 10;

/// Lets go of rows that are over their share. With [`Eviction::Idle`], which makes sets grow old, also of those that nobody
/// has used for some rounds, if memory is short.
pub fn make_room(instance: &Instance, eviction: Eviction) {
    let budget = &instance.budget;
    for shard in instance.shards() {
        let over = budget.row_excess();
        let (want, eviction) = if over > 0 {
            // A little more, so that it is not wanted again at once.
            (over + (budget.limit() / 16) as i64, Eviction::Enough)
        } else if budget.excess() > 0 && eviction == Eviction::Idle {
            (budget.excess() as i64, Eviction::Idle)
        } else {
            return;
        };
        let _settling = shard.settle_lock();
        budget.book_rows(shard.rows.evict(want, eviction));
    }
}

/// Fills in what has been asked for, while there is room.
pub fn fill(instance: &Instance) {
    let mut left = ROWS_A_TURN;
    for shard in instance.shards() {
        if !has_room(&instance.budget) {
            return;
        }
        if shard.is_damaged() || shard.is_retired() {
            continue;
        }
        for (rows, most) in shard.rows.wanted() {
            let most = most.min(left);
            match fill_set(&shard, &instance.budget, rows, most) {
                Ok(filled) => left -= filled.min(left),
                Err(fault) => {
                    // Who reads it next meets the same fault and says so.
                    tracing::warn!(database = shard.database, %fault, "rows cannot be read ahead");
                    break;
                }
            }
        }
    }
}

fn has_room(budget: &Budget) -> bool {
    budget.excess() == 0 && budget.row_excess() < -((budget.limit() / 8) as i64)
}

fn fill_set(shard: &Shard, budget: &Budget, rows: RowsId, most: usize) -> Result<usize, Fault> {
    let mut filled = 0;
    while filled < most && has_room(budget) {
        let _settling = shard.settle_lock();
        if shard.store_is_masked() {
            break;
        }
        let Some(from) = shard.rows.unknown_from(rows) else { break };
        let (stored, known) = step(shard, rows, &from)?;
        filled += stored.len().max(1);
        budget.book_rows(shard.rows.fill(rows, stored, known));
    }
    Ok(filled)
}

/// The next rows of the store from a row on, and up to where all are known with them.
fn step(shard: &Shard, rows: RowsId, from: &[u8]) -> Result<(Vec<(RowKey, RowValue)>, Known), Fault> {
    let mut stored = Vec::new();
    let mut bytes = 0;
    let mut cursor = shard.store.row_range(rows, from, &[], Direction::Forward, Reach::Disk)?;
    while let Some((row, value)) = cursor.entry()? {
        bytes += row.len() + value.len();
        stored.push((RowKey::from(row), RowValue::from(value)));
        if stored.len() >= STEP_ROWS || bytes >= STEP_BYTES {
            let mut end = RowKey::from(row);
            end.push(0);
            return Ok((stored, Known::Before(end)));
        }
        cursor.advance();
    }
    Ok((stored, Known::All))
}
