//! Looking ahead beyond the record: at the rows of the elements that requests name.
//!
//! ```text
//! record ──▶ rows id ──▶ row set ──▶ branches ──▶ leaf ──▶ row
//! ```
//!
//! Where the element stands is a guess, as that the second word is the key: after the key in most commands on hashes and
//! sets, at the end in most on sorted sets. A wrong one costs a search in vain.

use keyspace::{Kind, RowsId, map};
use smallvec::SmallVec;

use super::Glance;
use crate::rows::{AHEAD, RowKey};
use crate::shard::Shard;

/// Where the elements' rows are that requests seem to name.
type Elements = SmallVec<[(RowsId, RowKey); AHEAD]>;

/// Has the rows of elements at hand, where their records are.
pub(super) fn look(shard: &Shard, glances: &[Glance<'_>]) {
    if shard.rows.are_any() {
        let elements = elements(shard, glances);
        if elements.len() > 1 {
            shard.rows.look_ahead(&elements);
        }
    }
}

pub(crate) fn elements(shard: &Shard, glances: &[Glance<'_>]) -> Elements {
    let mut elements = Elements::new();
    let mut last: (&[u8], Option<(Kind, RowsId)>) = (&[], None);
    for glance in glances {
        if elements.len() == AHEAD {
            break;
        }
        let Some([after, end]) = glance.words else { continue };
        if glance.key != last.0 {
            last = (glance.key, rows_of(shard, glance.key));
        }
        let Some((kind, rows)) = last.1 else { continue };
        let element = match kind {
            Kind::Set | Kind::Hash => after,
            Kind::Zset => end,
            Kind::String | Kind::List | Kind::Stream => continue,
        };
        elements.push((rows, RowKey::from_slice(&map::rows::row_key(element))));
    }
    elements
}

/// The rows that a record in memory leads to.
fn rows_of(shard: &Shard, key: &[u8]) -> Option<(Kind, RowsId)> {
    let (hash, stripe) = shard.place(key);
    let stripe = shard.stripes[stripe].0.try_lock()?;
    let record = stripe.find(hash, key)?.record().ok()??;
    Some((record.head.kind, record.rows_id()?))
}
