//! A node without its clock and its numbers: [`Node::canonical`], for those who explore its states.

use super::{Lead, Node, NodeState, Promotion};
use crate::common::Losses;
use crate::shard::{Memory, ShardState, Sync, Wait};
use crate::{LinkId, Millis, PromotionId, TransferId};

/// Where `now` is moved to; later than any span that looks back.
const ORIGIN: Millis = Millis(1 << 40);

impl Node {
    /// A copy in which the time is the same for all nodes, each number is replaced by what `rename` makes of it, and what
    /// only people read is left out. Two nodes with equal canonical forms do the same from now on, up to the names of
    /// numbers. Not a node to step.
    #[must_use]
    pub fn canonical(&self, rename: &mut dyn FnMut(u64) -> u64) -> Node {
        let mut node = self.clone();
        let now = self.common.now;
        let mut time = |at: &mut Millis| at.0 = (ORIGIN + *at).since(now).0;
        for memory in node.memories.values_mut() {
            canonical_memory(memory, &mut time, rename);
        }
        time(&mut node.common.now);
        node.common.next = 0;
        node.common.alarms.values_mut().for_each(|since| *since = Millis(0));
        node.retry.shift(&mut time, ORIGIN);
        node.entered_at = Millis(0);
        node.entered_for = crate::Cause::Start;
        node.down_since = None;
        node.cut_since = None;
        node.last_heal = None;
        node.losses = Losses::default();
        match &mut node.state {
            NodeState::NoConnect(Lead::Primary) | NodeState::Connect | NodeState::Error => {}
            NodeState::NoConnect(Lead::Promoting(promotion)) => match promotion {
                Promotion::Waits(since) => time(since),
                Promotion::Ordered(id, since) => {
                    *id = PromotionId(rename(id.0));
                    time(since);
                }
                Promotion::Failed => {}
            },
            NodeState::Connecting { link, since } => {
                *link = LinkId(rename(link.0));
                time(since);
            }
            NodeState::Connected(connected) => {
                connected.link = LinkId(rename(connected.link.0));
                let times = [&mut connected.since, &mut connected.heard_at, &mut connected.beat_at];
                times.into_iter().chain(&mut connected.rootless_since).for_each(&mut time);
                for state in connected.shards.values_mut() {
                    canonical_state(state, &mut time, rename);
                }
            }
        }
        node
    }
}

fn canonical_memory(memory: &mut Memory, time: &mut impl FnMut(&mut Millis), rename: &mut dyn FnMut(u64) -> u64) {
    memory.entered_at = Millis(0);
    memory.entered_for = crate::Cause::Start;
    memory.retry.shift(time, ORIGIN);
    memory.positions = None;
    memory.end = None;
    memory.behind = None;
    memory.current_at = None;
    memory.wanted_since = Millis(0);
    memory.down_since = None;
    memory.last_heal = None;
    memory.losses = Losses::default();
    if let Some(install) = &mut memory.install {
        install.transfer = TransferId(rename(install.transfer.0));
        install.since = Millis(0);
        time(&mut install.moved_at);
    }
}

fn canonical_state(state: &mut ShardState, time: &mut impl FnMut(&mut Millis), rename: &mut dyn FnMut(u64) -> u64) {
    match state {
        ShardState::NoConnect
        | ShardState::TryConnect(Wait::Pause | Wait::Install)
        | ShardState::WaitDbSync(Sync::Installing)
        | ShardState::Error => {}
        ShardState::TryConnect(Wait::Slot(look_at)) => time(look_at),
        ShardState::WaitReply(question) => {
            question.link = LinkId(rename(question.link.0));
            time(&mut question.asked_at);
            time(&mut question.renewed_at);
        }
        ShardState::WaitDbSync(Sync::Fetching(fetch)) => {
            fetch.transfer = TransferId(rename(fetch.transfer.0));
            time(&mut fetch.since);
            time(&mut fetch.moved_at);
        }
        ShardState::Connected(following) => {
            following.link = LinkId(rename(following.link.0));
            time(&mut following.since);
            time(&mut following.heard_at);
            time(&mut following.grew_at);
            following.quiet_since.as_mut().map(&mut *time);
        }
    }
}
