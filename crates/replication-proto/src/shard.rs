//! One shard's machine: its [`ShardState`] while the node is connected, and the [`Memory`] that outlives links.
//!
//! ```text
//! NoConnect ──► TryConnect ──► WaitReply ──► Connected ──► NoConnect (then TryConnect after a pause)
//!     ▲             ▲   ▲          │   │
//!     │             │   └──────────┘   └──► WaitDbSync ──► TryConnect (always negotiates again)
//!   Error ◄─────── any of the three that waits
//! ```
//!
//! A node that is not connected has no shard states at all: all of its shards are in `NoConnect`. What a shard then still
//! has (a pause, an unfinished full sync in the ledger, an install that runs on) is in its memory.

use lineage::Lsn;

use crate::common::{Common, Figures, Losses};
use crate::retry::{Next, Retry};
use crate::{
    Alarm, Cause, Config, Db, Level, LinkId, Millis, Occurrence, Positions, Progress, ShardBeat, ShardStateName, Start,
    StateName, SyncPhase, SyncReason, TransferId, UnfinishedSync, Verdict,
};

/// What is true of a shard while the node is connected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ShardState {
    /// Detached by an operator. Needs no deadline: it is wanted rest.
    NoConnect,
    /// It wants to ask.
    TryConnect(Wait),
    /// It has asked.
    WaitReply(Question),
    /// It is being replaced.
    WaitDbSync(Sync),
    /// Frames arrive and are applied.
    Connected(Following),
    /// Something refused or broke; the memory's pause runs.
    Error,
}

/// What a shard that wants to ask waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wait {
    /// The pause in its memory.
    Pause,
    /// A slot, because a full sync is certain. Looks again at this time if none falls free before.
    Slot(Millis),
    /// The end of an install.
    Install,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub link: LinkId,
    pub asked_at: Millis,
    /// When the primary last said that it prepares.
    pub renewed_at: Millis,
    pub slot: Slot,
}

/// Whether a full sync's slot is held already while asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Held,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Sync {
    Fetching(Fetch),
    /// The memory's install.
    Installing,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fetch {
    pub transfer: TransferId,
    pub phase: FetchPhase,
    pub since: Millis,
    pub moved_at: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FetchPhase {
    Preparing { percent: u8 },
    Transferring { bytes: u64, total: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Following {
    pub link: LinkId,
    pub log_generation: u64,
    /// Where the log here ended when the link began.
    pub from: Lsn,
    pub since: Millis,
    pub heard_at: Millis,
    /// When the log here last grew, or had all that the primary's has.
    pub grew_at: Millis,
    /// Since when nothing was announced or came that the log here did not have already; it had to be told so since.
    pub quiet_since: Option<Millis>,
}

/// What is true of a shard whatever its state is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    pub entered_at: Millis,
    pub entered_for: Cause,
    pub retry: Retry,
    /// An install runs to its end, whatever becomes of the links.
    pub install: Option<Install>,
    pub positions: Option<Positions>,
    /// The end of the primary's log, as last heard.
    pub end: Option<Lsn>,
    /// Since when something that was announced is not applied yet: the announced end and when it was heard.
    pub behind: Option<(Lsn, Millis)>,
    /// The data here was complete at this time.
    pub current_at: Option<Millis>,
    /// Since when it is to follow: its data is no older than that, or than `current_at`.
    pub wanted_since: Millis,
    /// When Connected was lost.
    pub down_since: Option<Millis>,
    pub last_heal: Option<Millis>,
    /// Full syncs decided on since the shard was last stable.
    pub syncs: u32,
    /// Where frames were last at fault.
    pub fault: Option<FrameFault>,
    pub losses: Losses,
}

/// Links that ended because of the next frames, all of them begun at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FrameFault {
    /// The primary.
    pub node: crate::NodeId,
    /// The place.
    pub from: Lsn,
    /// How many.
    pub times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Install {
    pub transfer: TransferId,
    pub bytes: u64,
    pub total: u64,
    pub since: Millis,
    pub moved_at: Millis,
}

impl Memory {
    pub fn new(now: Millis) -> Memory {
        Memory {
            entered_at: now,
            entered_for: Cause::Start,
            retry: Retry::new(now),
            install: None,
            positions: None,
            end: None,
            behind: None,
            current_at: None,
            wanted_since: now,
            down_since: None,
            last_heal: None,
            syncs: 0,
            fault: None,
            losses: Losses::default(),
        }
    }

    /// Whether there is something that being stable ends.
    pub fn is_unsettled(&self) -> bool {
        !self.retry.is_fresh() || self.syncs > 0 || self.fault.is_some()
    }
}

/// "Preparing" without getting further is believed for so many times `repl-progress-timeout`: a slow snapshot is not a
/// failure, but one that never comes is.
pub(crate) const PATIENCE: u64 = 20;
/// The log generation of a shard that the primary does not have: there is nothing to copy.
const ABSENT: u64 = 0;
/// So many links in a row that begin at the same place and bring no frame that fits: the next one would not, either.
const STUCK: u32 = 3;
/// So many full syncs without a stable time between them are a loop.
const SYNC_LOOP: u32 = 3;

impl ShardState {
    pub fn name(&self) -> ShardStateName {
        match self {
            ShardState::NoConnect => ShardStateName::NoConnect,
            ShardState::TryConnect(_) => ShardStateName::TryConnect,
            ShardState::WaitReply(_) => ShardStateName::WaitReply,
            ShardState::WaitDbSync(_) => ShardStateName::WaitDbSync,
            ShardState::Connected(_) => ShardStateName::Connected,
            ShardState::Error => ShardStateName::Error,
        }
    }

    /// Whether a slot for full syncs is taken, by the state or by an install that runs on without it.
    pub fn holds_slot(&self, memory: &Memory) -> bool {
        let by_state = match self {
            ShardState::WaitDbSync(_) => true,
            ShardState::WaitReply(question) => question.slot == Slot::Held,
            ShardState::NoConnect | ShardState::TryConnect(_) | ShardState::Connected(_) | ShardState::Error => false,
        };
        by_state || memory.install.is_some()
    }

    /// When the state is left by itself; `None` is rest.
    pub fn due(&self, memory: &Memory, config: &Config) -> Option<Millis> {
        let stalled = |moved_at: Millis| Some(moved_at + config.progress_timeout);
        match self {
            ShardState::NoConnect => None,
            ShardState::TryConnect(Wait::Pause) | ShardState::Error => self.retry_due(memory, config),
            ShardState::TryConnect(Wait::Slot(look_at)) => Some(*look_at),
            ShardState::TryConnect(Wait::Install) | ShardState::WaitDbSync(Sync::Installing) => {
                memory.install.as_ref().and_then(|install| stalled(install.moved_at))
            }
            ShardState::WaitReply(question) => {
                let patience = question.asked_at + config.progress_timeout.times(PATIENCE);
                Some((question.renewed_at + config.reply_timeout).min(patience))
            }
            ShardState::WaitDbSync(Sync::Fetching(fetch)) => stalled(fetch.moved_at),
            // A link over which signs of life come and no frames, though there are some, is as broken as a silent one.
            ShardState::Connected(following) => {
                stalled(following.grew_at).map(|at| at.min(following.heard_at + config.timeout))
            }
        }
    }

    /// When it asks again; `None` while nothing is to be asked again, an operator must, or a slot or an install says when.
    pub fn retry_due(&self, memory: &Memory, config: &Config) -> Option<Millis> {
        match self {
            ShardState::TryConnect(Wait::Pause) | ShardState::Error => memory.retry.due(config),
            ShardState::NoConnect
            | ShardState::TryConnect(Wait::Slot(_) | Wait::Install)
            | ShardState::WaitReply(_)
            | ShardState::WaitDbSync(_)
            | ShardState::Connected(_) => None,
        }
    }
}

/// Notes in the ledger that the shard must be replaced.
pub(crate) fn intend(common: &mut Common, memory: &mut Memory, db: Db, reason: SyncReason) -> Intent {
    let (level, known) = (Level::Shard(db), common.ledger.syncs.get(&db));
    let intent = if known.is_none() { Intent::New } else { Intent::Known };
    // What binds stays until it is done: a later verdict must not make it look optional.
    let reason = known.map(|sync| sync.reason).filter(|known| known.binds()).unwrap_or(reason);
    common.write(|ledger| {
        let new = UnfinishedSync { reason, attempts: 0, snapshot: None };
        ledger.syncs.entry(db).or_insert(new).reason = reason;
    });
    if intent == Intent::New {
        common.emit(level, Occurrence::SyncBegan(reason));
        memory.syncs = memory.syncs.saturating_add(1);
        if memory.syncs >= SYNC_LOOP {
            common.raise(level, Alarm::FullSyncLoop);
        }
    }
    intent
}

/// Whether the ledger knew already that a shard must be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    New,
    Known,
}

/// One shard of a connected node, with all that its steps may touch.
pub(crate) struct Shard<'a> {
    pub common: &'a mut Common,
    pub db: Db,
    pub memory: &'a mut Memory,
    pub state: &'a mut ShardState,
    pub upstream: &'a Upstream,
    /// Whether another full sync may begin; decided without this shard's own slot.
    pub slot_free: bool,
}

/// Whom a shard asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Upstream {
    pub node: crate::NodeId,
    pub run: crate::RunId,
    pub role_generation: u64,
    pub path: crate::Path,
    pub shards: alloc::collections::BTreeMap<Db, ShardBeat>,
}

impl Shard<'_> {
    fn level(&self) -> Level {
        Level::Shard(self.db)
    }

    /// Enters a state. What the old one held must have been ended before.
    fn enter(&mut self, to: ShardState, cause: Cause) {
        let (from, name) = (StateName::Shard(self.state.name()), StateName::Shard(to.name()));
        let position = self.memory.positions.map(|positions| positions.applied);
        let figures = Figures { attempt: self.memory.retry.charged(), position };
        self.common.report(Level::Shard(self.db), from, name, cause, figures);
        self.memory.entered_at = self.common.now;
        self.memory.entered_for = cause;
        *self.state = to;
    }

    /// Ends what the state holds, on purpose: links are closed, a transfer stops and keeps its files. An install goes on.
    fn release(&mut self) {
        let db = self.db;
        match &*self.state {
            ShardState::WaitReply(Question { link, .. }) | ShardState::Connected(Following { link, .. }) => {
                self.common.start(Start::CloseShard { db, link: *link });
            }
            ShardState::WaitDbSync(Sync::Fetching(fetch)) => {
                self.common.start(Start::AbortFetch { db, transfer: fetch.transfer });
            }
            ShardState::WaitDbSync(Sync::Installing)
            | ShardState::NoConnect
            | ShardState::TryConnect(_)
            | ShardState::Error => {}
        }
    }

    /// To `NoConnect`, whatever the state: the node left, or an operator detached the shard.
    pub fn stop(&mut self, cause: Cause) {
        if *self.state == ShardState::NoConnect {
            return;
        }
        self.note_loss();
        self.release();
        self.enter(ShardState::NoConnect, cause);
    }

    /// From `NoConnect` to where the next question waits.
    pub fn follow(&mut self, cause: Cause) {
        self.memory.retry.wake(self.common.now, &self.common.config);
        let wait = if self.memory.install.is_some() { Wait::Install } else { Wait::Pause };
        self.enter(ShardState::TryConnect(wait), cause);
    }

    /// Forgets pauses and failures and asks at once, unless it already gets on.
    pub fn retry_now(&mut self, cause: Cause) {
        self.memory.retry = Retry::new(self.common.now);
        self.common.clear(self.level(), Alarm::RetriesExhausted);
        match self.state {
            ShardState::Error => {
                self.enter(ShardState::NoConnect, cause);
                self.follow(cause);
            }
            ShardState::TryConnect(Wait::Slot(_)) => *self.state = ShardState::TryConnect(Wait::Pause),
            ShardState::NoConnect
            | ShardState::TryConnect(Wait::Pause | Wait::Install)
            | ShardState::WaitReply(_)
            | ShardState::WaitDbSync(_)
            | ShardState::Connected(_) => {}
        }
    }

    /// A full copy is wanted, whatever the positions are: a shard that follows asks anew.
    pub fn ask_again(&mut self) {
        if let ShardState::Connected(_) = self.state {
            self.stop(Cause::Operator);
            self.follow(Cause::Operator);
        }
    }

    /// The time that [`ShardState::due`] named has come.
    pub fn on_due(&mut self) {
        match self.state {
            ShardState::NoConnect => {}
            ShardState::TryConnect(Wait::Pause | Wait::Slot(_)) => self.ask(),
            ShardState::Error => {
                self.memory.retry.begin(self.common.now);
                self.enter(ShardState::NoConnect, Cause::Due);
                self.follow(Cause::Due);
            }
            ShardState::WaitReply(_) => self.fail(Cause::Timeout),
            ShardState::WaitDbSync(_) | ShardState::TryConnect(Wait::Install) => self.fail(Cause::Stalled),
            ShardState::Connected(Following { heard_at, .. }) => {
                let is_silent = *heard_at + self.common.config.timeout <= self.common.now;
                self.fail(if is_silent { Cause::Silence } else { Cause::Stalled });
            }
        }
    }

    /// Opens the shard link and asks, unless a full sync is certain and there is no slot for it.
    fn ask(&mut self) {
        let certain = self.common.ledger.syncs.contains_key(&self.db);
        let bound = self.bound();
        if certain && !self.slot_free {
            let look_at = self.common.now + self.common.config.backoff_max;
            *self.state = ShardState::TryConnect(Wait::Slot(look_at));
            return;
        }
        let slot = if certain { Slot::Held } else { Slot::None };
        self.memory.retry.begin(self.common.now);
        let (now, link) = (self.common.now, self.common.link());
        let Upstream { run, role_generation, .. } = *self.upstream;
        self.common.start(Start::OpenShard { db: self.db, link, run, role_generation, bound });
        self.enter(ShardState::WaitReply(Question { link, asked_at: now, renewed_at: now, slot }), Cause::Due);
    }

    /// It took too long, or what it brought is of no use: ends what the state holds.
    pub fn fail(&mut self, cause: Cause) {
        self.release();
        self.broke(cause);
    }

    /// What the state held is gone.
    fn broke(&mut self, cause: Cause) {
        let level = self.level();
        if cause == Cause::Damaged {
            self.common.raise(level, Alarm::Diverged);
            self.intend(SyncReason::Damaged);
        }
        if self.is_stuck(cause) {
            self.intend(SyncReason::Stuck);
        }
        self.note_loss();
        let next = self.common.fail(level, &mut self.memory.retry, cause);
        let was_connected = matches!(self.state, ShardState::Connected(_));
        if was_connected {
            self.common.count_loss(level, &mut self.memory.losses);
        }
        match (was_connected, next) {
            (true, Next::Retry) => {
                self.enter(ShardState::NoConnect, cause);
                self.follow(cause);
            }
            (false, _) | (true, Next::Spent) => self.enter(ShardState::Error, cause),
        }
    }

    /// Whether what follows cannot be had by asking again: counts links that ended at the place where they began because
    /// of what came there. Nothing is given up here: the primary is asked once more, and what it copies then has all that
    /// it would have continued.
    fn is_stuck(&mut self, cause: Cause) -> bool {
        let ShardState::Connected(Following { from, .. }) = *self.state else {
            return false;
        };
        if !cause.is_of_frames() {
            return false;
        }
        let node = self.upstream.node;
        let known = self.memory.fault.filter(|known| known.node == node && known.from == from);
        let times = known.map_or(0, |known| known.times) + 1;
        self.memory.fault = (times < STUCK).then_some(FrameFault { node, from, times });
        times >= STUCK
    }

    fn note_loss(&mut self) {
        if let ShardState::Connected(_) = self.state {
            self.memory.down_since.get_or_insert(self.common.now);
        }
    }

    /// The shard link is gone.
    pub fn on_lost(&mut self, link: LinkId, cause: Cause) {
        let current = match &*self.state {
            ShardState::WaitReply(question) => Some(question.link),
            ShardState::Connected(following) => Some(following.link),
            ShardState::NoConnect | ShardState::TryConnect(_) | ShardState::WaitDbSync(_) | ShardState::Error => None,
        };
        if current == Some(link) {
            self.broke(cause);
        }
    }

    /// The primary's role or upstream changed: what was agreed on or asked with the old one is void.
    pub fn on_new_generation(&mut self) {
        match self.state {
            ShardState::WaitReply(_) | ShardState::Connected(_) => self.fail(Cause::UpstreamChanged),
            ShardState::NoConnect | ShardState::TryConnect(_) | ShardState::WaitDbSync(_) | ShardState::Error => {}
        }
    }

    /// The primary said how far it is with what it must do before it can answer.
    pub fn on_preparing(&mut self, link: LinkId) {
        if let ShardState::WaitReply(question) = self.state
            && question.link == link
        {
            question.renewed_at = self.common.now;
        }
    }

    /// Why it must be replaced even if the primary would continue it.
    fn bound(&self) -> Option<SyncReason> {
        self.common.ledger.syncs.get(&self.db).map(|sync| sync.reason).filter(|reason| reason.binds())
    }

    /// The primary answered.
    pub fn on_verdict(&mut self, link: LinkId, verdict: Verdict) {
        let ShardState::WaitReply(question) = &*self.state else {
            return;
        };
        if question.link != link {
            return;
        }
        let slot = question.slot;
        match verdict {
            Verdict::Continue { log_generation, from } => match self.bound().filter(|_| log_generation != ABSENT) {
                Some(reason) => self.replace(reason, slot),
                None => self.connect(link, log_generation, from),
            },
            Verdict::FullSync(reason) => self.replace(reason, slot),
            Verdict::Rewind(to) => self.replace(SyncReason::Diverged(to), slot),
            Verdict::NotYet => self.fail(Cause::Busy),
        }
    }

    fn connect(&mut self, link: LinkId, log_generation: u64, from: Lsn) {
        let (db, now) = (self.db, self.common.now);
        if self.common.ledger.syncs.contains_key(&db) {
            self.common.write(|ledger| drop(ledger.syncs.remove(&db)));
            self.common.start(Start::DropFiles { db });
        }
        self.enter(
            ShardState::Connected(Following {
                link,
                log_generation,
                from,
                since: now,
                heard_at: now,
                grew_at: now,
                quiet_since: None,
            }),
            Cause::Agreed,
        );
    }

    /// The link that came up at `since` is good for something. One that ends before, because what ended the last one still
    /// does, has healed nothing.
    fn mend(&mut self, since: Millis) {
        let level = self.level();
        if let Some(down_since) = self.memory.down_since.take() {
            let heal = since.since(down_since);
            self.memory.last_heal = Some(heal);
            self.common.emit(level, Occurrence::Healed(heal));
        }
        for alarm in [Alarm::ShardError, Alarm::RetriesExhausted, Alarm::Diverged] {
            self.common.clear(level, alarm);
        }
    }

    fn intend(&mut self, reason: SyncReason) -> Intent {
        intend(self.common, self.memory, self.db, reason)
    }

    /// The shard must be replaced: begins with it if there is a slot, else waits for one.
    fn replace(&mut self, verdict: SyncReason, slot: Slot) {
        let (db, level) = (self.db, self.level());
        if verdict.discards() {
            self.common.raise(level, Alarm::Diverged);
        }
        let intent = self.intend(verdict);
        self.release();
        if intent == Intent::New && self.memory.syncs > 1 {
            // The one before was in vain, so there is no hurry with this one.
            return self.broke(Cause::SyncLoop);
        }
        if slot == Slot::None && !self.slot_free {
            let look_at = self.common.now + self.common.config.backoff_max;
            return self.enter(ShardState::TryConnect(Wait::Slot(look_at)), Cause::NoSlot);
        }
        let (now, transfer) = (self.common.now, self.common.transfer());
        self.common.write(|ledger| {
            if let Some(sync) = ledger.syncs.get_mut(&db) {
                sync.attempts = sync.attempts.saturating_add(1);
            }
        });
        if verdict == SyncReason::Absent {
            self.memory.install = Some(Install { transfer, bytes: 0, total: 0, since: now, moved_at: now });
            self.common.start(Start::Reset { db, transfer });
            return self.enter(ShardState::WaitDbSync(Sync::Installing), Cause::FullSync);
        }
        let resume = self.common.ledger.syncs.get(&db).and_then(|sync| sync.snapshot.clone());
        self.common.start(Start::Fetch { db, transfer, reason: verdict, resume });
        let fetch = Fetch { transfer, phase: FetchPhase::Preparing { percent: 0 }, since: now, moved_at: now };
        self.enter(ShardState::WaitDbSync(Sync::Fetching(fetch)), Cause::FullSync);
    }

    /// A transfer that fetches got somewhere, or says so.
    pub fn on_progress(&mut self, transfer: TransferId, progress: &Progress) {
        let (db, now, patience) = (self.db, self.common.now, self.common.config.progress_timeout.times(PATIENCE));
        let ShardState::WaitDbSync(Sync::Fetching(fetch)) = self.state else {
            return;
        };
        if fetch.transfer != transfer {
            return;
        }
        match progress {
            Progress::Preparing { percent } => {
                let is_further = fetch.phase != FetchPhase::Preparing { percent: *percent };
                if is_further || now < fetch.since + patience {
                    fetch.moved_at = now;
                }
                fetch.phase = FetchPhase::Preparing { percent: *percent };
            }
            Progress::Chosen { snapshot, total } => {
                fetch.moved_at = now;
                fetch.phase = FetchPhase::Transferring { bytes: 0, total: *total };
                self.common.write(|ledger| {
                    if let Some(sync) = ledger.syncs.get_mut(&db) {
                        sync.snapshot = Some(snapshot.clone());
                    }
                });
            }
            Progress::Fetched { bytes, total } => {
                let phase = FetchPhase::Transferring { bytes: *bytes, total: *total };
                if fetch.phase != phase {
                    fetch.moved_at = now;
                }
                fetch.phase = phase;
            }
            // Only for a transfer whose install was ordered; the memory has that one.
            Progress::Installing { .. } => {}
        }
    }

    /// Everything is here: from now on the transfer cannot be aborted.
    pub fn on_fetched(&mut self, transfer: TransferId) {
        let (db, now) = (self.db, self.common.now);
        let ShardState::WaitDbSync(Sync::Fetching(fetch)) = self.state else {
            return;
        };
        if fetch.transfer != transfer {
            return;
        }
        self.memory.install = Some(Install { transfer, bytes: 0, total: 0, since: fetch.since, moved_at: now });
        *self.state = ShardState::WaitDbSync(Sync::Installing);
        self.common.start(Start::Install { db, transfer });
    }

    /// A transfer that fetches failed.
    pub fn on_transfer_failed(&mut self, transfer: TransferId, cause: Cause) {
        let ShardState::WaitDbSync(Sync::Fetching(fetch)) = &*self.state else {
            return;
        };
        if fetch.transfer == transfer {
            self.broke(cause);
        }
    }

    /// The install that ran is over; the memory no longer has it.
    pub fn on_install_over(&mut self, failed: Option<Cause>) {
        match (&*self.state, failed) {
            (ShardState::WaitDbSync(Sync::Installing), None) => {
                self.memory.retry.begin(self.common.now);
                self.enter(ShardState::TryConnect(Wait::Pause), Cause::SyncDone);
            }
            (ShardState::WaitDbSync(Sync::Installing) | ShardState::TryConnect(Wait::Install), Some(cause)) => {
                self.fail(cause);
            }
            (ShardState::TryConnect(Wait::Install), None) => *self.state = ShardState::TryConnect(Wait::Pause),
            (ShardState::Error, None) => self.retry_now(Cause::SyncDone),
            (ShardState::Error, Some(_)) | (ShardState::NoConnect | ShardState::TryConnect(Wait::Pause), _) => {}
            (
                ShardState::TryConnect(Wait::Slot(_))
                | ShardState::WaitReply(_)
                | ShardState::WaitDbSync(Sync::Fetching(_))
                | ShardState::Connected(_),
                _,
            ) => unreachable!("an install runs beside {:?}", self.state),
        }
    }

    /// Bytes came on the shard link.
    pub fn on_position(&mut self, link: LinkId, positions: Positions, end: Lsn) {
        let ShardState::Connected(following) = self.state else {
            return;
        };
        if following.link != link {
            return;
        }
        following.heard_at = self.common.now;
        let before = self.memory.positions.map(|positions| positions.received);
        if positions.received >= end || before.is_none_or(|before| before < positions.received) {
            following.grew_at = self.common.now;
        }
        if positions.received < end || before != Some(positions.received) {
            following.quiet_since = None;
        } else {
            following.quiet_since.get_or_insert(self.common.now);
        }
        let (from, since, log_generation) = (following.from, following.since, following.log_generation);
        let announced = self.upstream.shards.get(&self.db).filter(|beat| beat.log_generation == log_generation);
        self.memory.positions = Some(positions);
        // A link tells the end of what it brings; how much more there is, the heartbeats tell.
        let end = end.max(positions.applied).max(announced.map_or(Lsn::ZERO, |beat| beat.end));
        if positions.applied > from || positions.applied >= end {
            self.mend(since);
        }
        self.weigh_lag(end);
    }

    /// The primary's heartbeat told of this shard.
    pub fn on_beat(&mut self, beat: &ShardBeat) {
        let ShardState::Connected(following) = self.state else {
            return;
        };
        if beat.log_generation > following.log_generation {
            return self.fail(Cause::UpstreamChanged);
        }
        if self.memory.positions.is_none_or(|positions| positions.received < beat.end) {
            following.quiet_since = None;
        }
        self.weigh_lag(self.memory.end.map_or(beat.end, |end| end.max(beat.end)));
    }

    /// Keeps the time at which the data here was complete: an end that was announced then is reached now.
    fn weigh_lag(&mut self, end: Lsn) {
        let now = self.common.now;
        self.memory.end = Some(end);
        let applied = self.memory.positions.map_or(Lsn::ZERO, |positions| positions.applied);
        if applied >= end {
            self.memory.behind = None;
            self.memory.current_at = Some(now);
        } else {
            match self.memory.behind {
                Some((target, heard_at)) if applied >= target => {
                    self.memory.current_at = Some(heard_at);
                    self.memory.behind = Some((end, now));
                }
                Some(_) => {}
                None => self.memory.behind = Some((end, now)),
            }
        }
        let allowed = self.common.config.lag_alarm;
        if self.memory.current_at.is_some_and(|at| now.since(at) < allowed) {
            self.common.clear(self.level(), Alarm::Lag);
        }
    }

    /// Connected for `repl-stable-after`: what went before is forgotten.
    pub fn settle(&mut self) {
        if let ShardState::Connected(Following { since, .. }) = *self.state {
            self.mend(since);
        }
        self.memory.retry = Retry::new(self.common.now);
        self.memory.syncs = 0;
        self.memory.fault = None;
        self.common.clear(self.level(), Alarm::FullSyncLoop);
    }

    /// How far a full sync is, if there is one.
    pub fn phase(memory: &Memory, state: Option<&ShardState>) -> SyncPhase {
        if let Some(Install { bytes, total, .. }) = memory.install {
            return SyncPhase::Installing { bytes, total };
        }
        match state {
            Some(ShardState::WaitDbSync(Sync::Fetching(Fetch { phase, .. }))) => match *phase {
                FetchPhase::Preparing { percent } => SyncPhase::Preparing { percent },
                FetchPhase::Transferring { bytes, total } => SyncPhase::Transferring { bytes, total },
            },
            Some(
                ShardState::WaitDbSync(Sync::Installing)
                | ShardState::NoConnect
                | ShardState::TryConnect(_)
                | ShardState::WaitReply(_)
                | ShardState::Connected(_)
                | ShardState::Error,
            )
            | None => SyncPhase::Interrupted,
        }
    }
}
