//! The primary's answer to "may I continue from here?": [`judge`].
//!
//! ```text
//! own    start |-------- log --------------| end
//! asker                  end |                          on our history, in our log     CONTINUE
//! asker   end |                                         on our history, before it      FULLSYNC trimmed
//! asker                  F \_____| end                  parted from us at F            FULLSYNC diverged@F
//! asker                                       end |     all that we have, and more     FULLSYNC ahead
//! ```
//!
//! Who wants a copy whatever the answer is (an operator asked for it, or the data here does not fit the log) says so, and is
//! not continued.
//!
//! Histories are compared by replication id ([`lineage::Fork`]), never by epoch number or position alone.

use lineage::{Fork, Lineage, Lsn};

use crate::{SyncReason, Verdict};

/// One shard's log at the node that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its history.
    pub lineage: Lineage,
    /// Where the log begins.
    pub start: Lsn,
    /// Where it ends.
    pub end: Lsn,
    /// Its log generation.
    pub log_generation: u64,
}

/// What a replica brings with `SYNCSHARD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its history; empty where it has no shard.
    pub lineage: Lineage,
    /// The end of its log; 0 where it has no shard.
    pub end: Lsn,
    /// Why it wants a full copy even if it could be continued: [`SyncReason::binds`].
    pub bound: Option<SyncReason>,
}

/// With what right the node that is asked speaks about the shard. [`crate::Node::standing`] says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is the primary: what it has is the truth.
    Primary,
    /// It is a replica whose shard has had everything for a while: what it has is the truth.
    Settled,
    /// It is a replica whose shard follows: what it has is the truth, perhaps not yet all of it.
    Following,
    /// It is a replica whose shard does not follow at present: what it has may itself be discarded soon.
    Adrift,
}

/// An answer, and what will be better answered one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// Where a rewind could begin, if both logs contain the point where the histories part. Reserved: never answered.
    pub rewind: Option<Lsn>,
}

/// Answers a replica. `own` is `None` if there is no such shard here.
///
/// The caller has checked that its own shard is consistent; while it is being installed the answer is `-LOADING`.
#[must_use]
pub fn judge(standing: Standing, own: Option<&Origin>, ask: &Ask) -> Judgement {
    let plain = |verdict| Judgement { verdict, rewind: None };
    let Some(own) = own else {
        return plain(judge_absent(standing, ask));
    };
    let judgement = compare(standing, own, ask);
    match (judgement.verdict, ask.bound) {
        (Verdict::Continue { .. }, Some(reason)) => plain(Verdict::FullSync(reason)),
        _ => judgement,
    }
}

/// What the two histories say.
fn compare(standing: Standing, own: &Origin, ask: &Ask) -> Judgement {
    let plain = |verdict| Judgement { verdict, rewind: None };
    if ask.end == Lsn::ZERO {
        return plain(continue_or(own, Lsn::ZERO, SyncReason::Empty));
    }
    match own.lineage.fork_point(own.end, &ask.lineage, ask.end) {
        Fork::At(fork) if fork == ask.end => plain(continue_or(own, fork, SyncReason::Trimmed)),
        Fork::At(fork) if fork == own.end => plain(discard(standing, SyncReason::Ahead)),
        Fork::Disjoint if own.end == Lsn::ZERO && standing == Standing::Following => plain(Verdict::NotYet),
        Fork::At(fork) => {
            let rewind = (own.start <= fork).then_some(fork);
            Judgement { verdict: discard(standing, SyncReason::Diverged(fork)), rewind }
        }
        Fork::Disjoint => plain(discard(standing, SyncReason::Disjoint)),
    }
}

/// The asker's end is on our history: does the log still hold what follows it?
fn continue_or(own: &Origin, from: Lsn, otherwise: SyncReason) -> Verdict {
    if own.start <= from {
        Verdict::Continue { log_generation: own.log_generation, from }
    } else {
        Verdict::FullSync(otherwise)
    }
}

/// A verdict that costs the asker data. Only who speaks for the primary may give it; a replica that is itself behind may
/// still receive what the asker already has.
fn discard(standing: Standing, reason: SyncReason) -> Verdict {
    match (standing, reason) {
        (Standing::Adrift, _) | (Standing::Following, SyncReason::Ahead) => Verdict::NotYet,
        (Standing::Primary | Standing::Settled | Standing::Following, reason) => Verdict::FullSync(reason),
    }
}

/// No such shard here: who has nothing either may wait on the link for its creation.
fn judge_absent(standing: Standing, ask: &Ask) -> Verdict {
    if ask.end == Lsn::ZERO {
        return Verdict::Continue { log_generation: 0, from: Lsn::ZERO };
    }
    discard(standing, SyncReason::Absent)
}

#[cfg(test)]
mod tests;
