//! The shape of members and scores in a reply.

use resp::{Protocol, Reply};

/// What is shown of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The member alone.
    Members,
    /// The member, then its score.
    Flat,
    /// An array of the two.
    Pairs,
}

impl Shown {
    /// Members and scores, as `WITHSCORES` asks for.
    pub(super) fn with_scores(reply: &Reply) -> Self {
        match reply.protocol() {
            Protocol::Resp2 => Self::Flat,
            Protocol::Resp3 => Self::Pairs,
        }
    }

    /// How many values stand for so many members.
    pub(super) const fn values(self, members: usize) -> usize {
        match self {
            Self::Members | Self::Pairs => members,
            Self::Flat => 2 * members,
        }
    }

    /// Writes one member.
    #[inline]
    pub(super) fn write(self, reply: &mut Reply, member: &[u8], score: f64) {
        if self == Self::Pairs {
            reply.array(2);
        }
        reply.bulk(member);
        if self != Self::Members {
            reply.double(score);
        }
    }
}
