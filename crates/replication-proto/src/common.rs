//! What the node machine and its shard machines share while they step: [`Common`].

use alloc::collections::{BTreeMap, VecDeque};

use lineage::Lsn;

use crate::retry::{Jitter, Next, Retry};
use crate::states::is_allowed;
use crate::{
    Alarm, Cause, Class, Config, Event, Ledger, Level, LinkId, Millis, Occurrence, Output, PromotionId, Start,
    StateName, TransferId,
};

/// Parameters, ledger, numbers, alarms, and the output that a step collects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Common {
    pub now: Millis,
    pub config: Config,
    pub ledger: Ledger,
    /// Whether the ledger changed in this step.
    pub unsaved: bool,
    pub jitter: Jitter,
    pub alarms: BTreeMap<(Level, Alarm), Millis>,
    pub out: Output,
    /// The next number to give away, to whatever it may be.
    pub next: u64,
}

/// A transition's figures, beside the states and the cause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub attempt: u32,
    pub position: Option<Lsn>,
}

impl Common {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    pub fn link(&mut self) -> LinkId {
        LinkId(self.number())
    }

    pub fn transfer(&mut self) -> TransferId {
        TransferId(self.number())
    }

    pub fn promotion(&mut self) -> PromotionId {
        PromotionId(self.number())
    }

    pub fn start(&mut self, start: Start) {
        self.out.start.push(start);
    }

    /// Changes the ledger, and notes whether that changed anything.
    pub fn write(&mut self, change: impl FnOnce(&mut Ledger)) {
        let before = self.ledger.clone();
        change(&mut self.ledger);
        self.unsaved |= before != self.ledger;
    }

    pub fn emit(&mut self, level: Level, what: Occurrence) {
        self.out.events.push(Event { at: self.now, level, what });
    }

    /// Reports a transition, which the table must have.
    pub fn report(&mut self, level: Level, from: StateName, to: StateName, cause: Cause, figures: Figures) {
        assert!(is_allowed(from, to), "{level}: {from} -> {to} is not in the table of transitions");
        let Figures { attempt, position } = figures;
        let limit = self.config.retry_limit;
        self.emit(level, Occurrence::Transition { from, to, cause, attempt, limit, position });
    }

    pub fn raise(&mut self, level: Level, alarm: Alarm) {
        if !self.alarms.contains_key(&(level, alarm)) {
            self.alarms.insert((level, alarm), self.now);
            self.emit(level, Occurrence::Raised(alarm));
        }
    }

    pub fn clear(&mut self, level: Level, alarm: Alarm) {
        if self.alarms.remove(&(level, alarm)).is_some() {
            self.emit(level, Occurrence::Cleared(alarm));
        }
    }

    pub fn clear_all(&mut self, level: Level) {
        for alarm in Alarm::ALL {
            self.clear(level, alarm);
        }
    }

    /// Counts a failure of a machine and raises the alarms that it is worth.
    pub fn fail(&mut self, level: Level, retry: &mut Retry, cause: Cause) -> Next {
        let next = retry.fail(self.now, cause, &self.config, &mut self.jitter);
        let persistent = retry.attempt >= PERSISTENT || cause.class() != Class::Transient;
        if persistent && cause.is_charged() {
            self.raise(level, error_alarm(level));
        }
        if next == Next::Spent {
            self.raise(level, Alarm::RetriesExhausted);
        }
        next
    }

    /// Counts the loss of an established link.
    pub fn count_loss(&mut self, level: Level, losses: &mut Losses) {
        if losses.push(self.now) {
            self.raise(level, Alarm::LinkFlapping);
        }
    }
}

/// So many failures of a passing kind in a row are worth an alarm.
const PERSISTENT: u32 = 3;

/// The alarm of a machine that does not get on.
fn error_alarm(level: Level) -> Alarm {
    match level {
        Level::Node => Alarm::NoPrimary,
        Level::Shard(_) => Alarm::ShardError,
    }
}

/// The last times at which an established link was lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Losses(VecDeque<Millis>);

impl Losses {
    /// So many losses ..
    const COUNT: usize = 5;
    /// .. within so long are flapping.
    const WINDOW: Millis = Millis::seconds(300);

    /// Adds one, and says whether the link flaps.
    fn push(&mut self, now: Millis) -> bool {
        if self.0.len() == Losses::COUNT {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.calm_at().is_some_and(|calm_at| now < calm_at)
    }

    /// When the alarm ends if no more are added; `None` if there were too few for an alarm.
    pub fn calm_at(&self) -> Option<Millis> {
        let oldest = self.0.front().filter(|_| self.0.len() == Losses::COUNT)?;
        Some(*oldest + Losses::WINDOW)
    }
}
