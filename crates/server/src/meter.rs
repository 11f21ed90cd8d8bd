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

/// Keys that were found, and that were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looks {
    pub hits: u64,
    pub misses: u64,
}

/// What a command with so many keys has looked up: each counts once, however often it was looked at. 0: it names none, and
/// what it has met counts.
#[inline]
pub(crate) fn looks(tally: &Tally, keys: usize) -> Looks {
    let (hits, misses, keys) = (u64::from(tally.hits.get()), u64::from(tally.misses.get()), keys as u64);
    let all = hits + misses;
    if keys == 0 || all <= keys {
        return Looks { hits, misses };
    }
    if keys == 1 {
        // It may have been missed where the command then put it, or after it was removed.
        let found = u64::from(hits > 0);
        return Looks { hits: found, misses: 1 - found };
    }
    // They are all looked at about equally often.
    let found = (hits * keys + all / 2) / all;
    Looks { hits: found, misses: keys - found }
}

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

    /// Notes what a command has looked up of its keys.
    #[inline]
    pub(crate) fn note_looks(&mut self, tally: &Tally, keys: usize) {
        let Looks { hits, misses } = looks(tally, keys);
        self.hits += hits;
        self.misses += misses;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_once_however_often_it_is_looked_at() {
        let of = |hits, misses, keys| {
            let tally = Tally::default();
            tally.hits.set(hits);
            tally.misses.set(misses);
            let Looks { hits, misses } = looks(&tally, keys);
            (hits, misses)
        };
        assert_eq!([of(1, 0, 1), of(2, 0, 1), of(0, 3, 1), of(1, 1, 1)], [(1, 0), (1, 0), (0, 1), (1, 0)]);
        assert_eq!([of(6, 0, 2), of(3, 3, 2), of(0, 6, 2), of(1, 0, 3)], [(2, 0), (1, 1), (0, 2), (1, 0)]);
        assert_eq!(of(7, 5, 0), (7, 5));
    }
}
