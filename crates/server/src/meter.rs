//! What commands cost: counted apart for each, with one look at the clock a command.

use std::time::Instant;

use commands::Args;
use commands::spec::{Command, Flags};
use engine::Tally;

use crate::catalog::CommandNumber;
use crate::client::ClientInfo;
use crate::rules::Rules;
use crate::session_commands::hide;
use crate::shared::{Shared, clock};
use crate::slowlog::{Entry, shortened};
use crate::stats::{CommandCounters, Stats, ThreadStats};

/// Sums up what consecutive commands of one name cost before it is booked.
pub(crate) struct Meter {
    last: Instant,
    number: CommandNumber,
    calls: u64,
    nanos: u64,
    commands: u64,
    hits: u64,
    misses: u64,
    changed: u64,
}

impl Meter {
    /// Starts at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { last: now, number: CommandNumber(0), calls: 0, nanos: 0, commands: 0, hits: 0, misses: 0, changed: 0 }
    }

    /// A command ends; says how many nanoseconds it took.
    #[inline]
    pub(crate) fn lap(&mut self, stats: &ThreadStats, number: CommandNumber) -> u64 {
        let now = Instant::now();
        let took = nanos(self.last, now);
        self.last = now;
        if number != self.number {
            self.book(stats);
            self.number = number;
        }
        self.calls += 1;
        self.nanos += took;
        took
    }

    /// Notes what a reading command has looked up.
    #[inline]
    pub(crate) fn note_looks(&mut self, tally: &Tally) {
        self.hits += u64::from(tally.hits.get());
        self.misses += u64::from(tally.misses.get());
    }

    /// Notes what a writing command has changed.
    #[inline]
    pub(crate) fn note_changes(&mut self, tally: &Tally) {
        self.changed += u64::from(tally.changed.get());
    }

    /// Books what was summed up.
    pub(crate) fn book(&mut self, stats: &ThreadStats) {
        if self.calls > 0 {
            let counters = stats.command(self.number);
            counters.calls.add(self.calls);
            counters.nanos.add(self.nanos);
            self.commands += self.calls;
            (self.calls, self.nanos) = (0, 0);
        }
    }

    /// Ends.
    pub(crate) fn finish(&mut self, stats: &ThreadStats) {
        self.book(stats);
        if self.commands > 0 {
            stats.commands.add(self.commands);
        }
        if self.hits + self.misses > 0 {
            stats.hits.add(self.hits);
            stats.misses.add(self.misses);
        }
        if self.changed > 0 {
            stats.changed.add(self.changed);
        }
    }
}

/// From one look at the clock to another.
#[inline]
pub(crate) fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// Counts a reply that is an error.
#[inline]
pub(crate) fn note_outcome(stats: &Stats, counters: &CommandCounters, reply: &[u8]) {
    if let [b'-', text @ ..] = reply {
        counters.failed.add(1);
        stats.count_error(text);
    }
}

/// Puts a command into the slow log.
#[cold]
pub(crate) fn note_slow(
    shared: &Shared,
    rules: &Rules,
    info: &ClientInfo,
    command: &Command,
    args: Args<'_>,
    nanos: u64,
) {
    if command.spec.flags.has(Flags::SKIP_SLOWLOG) {
        return;
    }
    let entry = Entry {
        id: 0,
        at: clock().0 / 1000,
        micros: nanos / 1000,
        args: shortened(hide(command, args).into_iter()),
        peer: info.ends.peer.clone(),
        name: info.words.lock().name.clone(),
    };
    shared.slowlog.push(entry, usize::try_from(rules.config.slowlog_max_len).unwrap_or(usize::MAX));
}
