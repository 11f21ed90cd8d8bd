//! The control link: dialling, the handshake, heartbeats, and losing it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Connected, Node, NodeState};
use crate::retry::{Next, Retry};
use crate::shard::{Memory, Shard, ShardState, Upstream};
use crate::{
    Alarm, Beat, Cause, Class, Level, LinkId, Meta, Occurrence, PROTOCOL_VERSION, Path, Root, ShardBeat, Start,
    Transmit,
};

impl Node {
    /// The pause is over.
    pub(super) fn dial(&mut self) {
        let Some(primary) = self.common.ledger.primary.clone() else {
            unreachable!("a node without a primary does not dial");
        };
        self.retry.begin(self.common.now);
        let link = self.common.link();
        self.common.start(Start::Dial { link, primary, role_generation: self.role_generation });
        self.enter(NodeState::Connecting { link, since: self.common.now }, Cause::Due);
    }

    /// The handshake ended well, as far as the wire goes.
    pub(super) fn on_meta(&mut self, link: LinkId, meta: Meta) {
        let NodeState::Connecting { link: current, .. } = self.state else {
            return;
        };
        if link != current {
            return;
        }
        match self.objection(&meta) {
            Some(cause) => self.fail(cause),
            None => self.connect(link, meta),
        }
    }

    fn objection(&self, meta: &Meta) -> Option<Cause> {
        if meta.version != PROTOCOL_VERSION {
            Some(Cause::Version)
        } else if meta.node == self.id() {
            Some(Cause::Itself)
        } else if self.is_cycle(&meta.path) {
            Some(Cause::Cycle)
        } else if meta.databases > self.common.config.databases {
            Some(Cause::Incompatible)
        } else {
            None
        }
    }

    /// Whether following along this path would lead back here, or never end.
    fn is_cycle(&self, path: &Path) -> bool {
        path.nodes.contains(&self.id()) || path.nodes.len() >= Path::MAX
    }

    fn connect(&mut self, link: LinkId, meta: Meta) {
        let now = self.common.now;
        let Meta { node, run, role_generation, path, shards, .. } = meta;
        let upstream = Upstream { node, run, role_generation, path, shards: BTreeMap::new() };
        let (since, beat_at) = (now, now + self.common.config.heartbeat_every);
        let connected =
            Connected { link, upstream, since, heard_at: now, beat_at, rootless_since: None, shards: BTreeMap::new() };
        self.enter(NodeState::Connected(connected), Cause::Agreed);
        if let Some(down_since) = self.down_since.take() {
            let heal = now.since(down_since);
            self.last_heal = Some(heal);
            self.common.emit(Level::Node, Occurrence::Healed(heal));
        }
        self.common.clear(Level::Node, Alarm::RetriesExhausted);
        self.weigh_root();
        self.learn(&shards);
        let known: Vec<_> = self.memories.keys().copied().collect();
        for db in known {
            self.adopt(db);
        }
    }

    /// The primary's heartbeat.
    pub(super) fn on_beat(&mut self, link: LinkId, beat: Beat) {
        let NodeState::Connected(connected) = &mut self.state else {
            return;
        };
        let upstream = &mut connected.upstream;
        if connected.link != link || (beat.run == upstream.run && beat.role_generation < upstream.role_generation) {
            return;
        }
        if beat.run != upstream.run {
            // One process per connection: whoever says otherwise is not to be trusted.
            return self.fail(Cause::Protocol);
        }
        connected.heard_at = self.common.now;
        let is_new_generation = beat.role_generation > upstream.role_generation;
        upstream.role_generation = beat.role_generation;
        upstream.path = beat.path;
        if self.is_cycle(&self.upstream_path()) {
            return self.fail(Cause::Cycle);
        }
        self.weigh_root();
        if is_new_generation {
            self.each(|mut shard| shard.on_new_generation());
        }
        self.learn(&beat.shards);
        for shard_beat in &beat.shards {
            self.with(shard_beat.db, |mut shard| shard.on_beat(shard_beat));
        }
    }

    fn upstream_path(&self) -> Path {
        match &self.state {
            NodeState::Connected(connected) => connected.upstream.path.clone(),
            NodeState::NoConnect(_) | NodeState::Connect | NodeState::Connecting { .. } | NodeState::Error => {
                self.path()
            }
        }
    }

    /// Notes whether whom we follow reaches a primary.
    fn weigh_root(&mut self) {
        let NodeState::Connected(connected) = &mut self.state else {
            return;
        };
        match connected.upstream.path.root {
            Root::Primary => {
                connected.rootless_since = None;
                self.common.clear(Level::Node, Alarm::NoPrimary);
            }
            Root::Unknown => {
                connected.rootless_since.get_or_insert(self.common.now);
            }
        }
    }

    /// Notes what the primary has, and begins to follow what is new.
    fn learn(&mut self, beats: &[ShardBeat]) {
        let NodeState::Connected(connected) = &mut self.state else {
            return;
        };
        let databases = self.common.config.databases;
        connected.upstream.shards =
            beats.iter().filter(|beat| beat.db.0 < databases).map(|beat| (beat.db, *beat)).collect();
        let mut new = Vec::new();
        for (db, beat) in &connected.upstream.shards {
            let memory = self.memories.entry(*db).or_insert_with(|| {
                new.push(*db);
                Memory::new(self.common.now)
            });
            // One that follows is told what this means for it.
            if !matches!(connected.shards.get(db), Some(ShardState::Connected(_))) {
                memory.end = Some(beat.end);
            }
        }
        for db in new {
            self.adopt(db);
        }
    }

    /// The driver lost the control link.
    pub(super) fn on_control_lost(&mut self, link: LinkId, cause: Cause) {
        let current = match &self.state {
            NodeState::Connecting { link, .. } => Some(*link),
            NodeState::Connected(connected) => Some(connected.link),
            NodeState::NoConnect(_) | NodeState::Connect | NodeState::Error => None,
        };
        if current == Some(link) {
            self.fail(super::as_fault(cause));
        }
    }

    /// The handshake failed or the link is lost: another try after a pause. A cause that an immediate redial would not
    /// cure leads to Error.
    pub(super) fn fail(&mut self, cause: Cause) {
        let was_connected = matches!(self.state, NodeState::Connected(_));
        self.release(cause);
        if was_connected {
            self.down_since.get_or_insert(self.common.now);
            self.common.count_loss(Level::Node, &mut self.losses);
        }
        let next = self.common.fail(Level::Node, &mut self.retry, cause);
        match (was_connected, next, cause.class()) {
            (true, Next::Retry, Class::Transient) => self.enter(NodeState::Connect, cause),
            (true, Next::Retry, Class::Waiting | Class::SelfInflicted | Class::Wanted)
            | (true, Next::Spent, _)
            | (false, _, _) => self.enter(NodeState::Error, cause),
        };
    }

    /// Ends what the state holds: the control link, and everything that the shards do over theirs.
    pub(super) fn release(&mut self, cause: Cause) {
        let why = match cause {
            Cause::Operator => Cause::Operator,
            _ => Cause::NodeLeft,
        };
        self.each(|mut shard| shard.stop(why));
        match &self.state {
            NodeState::Connecting { link, .. } => self.common.start(Start::CloseControl { link: *link }),
            NodeState::Connected(connected) => self.common.start(Start::CloseControl { link: connected.link }),
            NodeState::NoConnect(_) | NodeState::Connect | NodeState::Error => {}
        }
    }

    /// Sends the heartbeat that is due.
    pub(super) fn beat(&mut self) {
        let NodeState::Connected(connected) = &mut self.state else {
            return;
        };
        connected.beat_at = self.common.now + self.common.config.heartbeat_every;
        let follows = |state: &ShardState| matches!(state, ShardState::Connected(_));
        let following = connected.shards.iter().filter(|(_, state)| follows(state));
        let positions = following.filter_map(|(db, _)| Some((*db, self.memories.get(db)?.positions?))).collect();
        let role_generation = connected.upstream.role_generation;
        self.common.out.send.push(Transmit::Heartbeat { link: connected.link, role_generation, positions });
    }

    /// Connected for `repl-stable-after`: what went before is forgotten.
    pub(super) fn settle(&mut self) {
        self.retry = Retry::new(self.common.now);
    }

    /// Calls `act` on each shard of a connected node.
    pub(super) fn each(&mut self, mut act: impl FnMut(Shard<'_>)) {
        let NodeState::Connected(connected) = &self.state else {
            return;
        };
        let dbs: Vec<_> = connected.shards.keys().copied().collect();
        for db in dbs {
            self.with(db, &mut act);
        }
    }
}
