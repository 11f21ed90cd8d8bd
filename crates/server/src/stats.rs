//! Counters. Each thread adds to its own, so that they cost no cache line that others write; readers sum them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::catalog::{self, CommandNumber};
use crate::recent::{Flow, Recent};

/// Kinds of errors that are counted apart; what clients can make up beyond is counted as `ERR`.
const MAX_ERROR_KINDS: usize = 128;

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How much it is.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The counters of one command.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// How often it ran.
    pub calls: Counter,
    /// How long in all, in nanoseconds.
    pub nanos: Counter,
    /// How often it was refused before it ran.
    pub rejected: Counter,
    /// How often it answered an error.
    pub failed: Counter,
}

/// The sums for one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTotals {
    /// How often it ran.
    pub calls: u64,
    /// How long in all, in microseconds.
    pub micros: u64,
    /// How often it was refused before it ran.
    pub rejected: u64,
    /// How often it answered an error.
    pub failed: u64,
}

/// The counters of one thread.
#[derive(Debug)]
pub struct ThreadStats {
    /// Commands executed, failed ones too.
    pub commands: Counter,
    /// Bytes read from clients.
    pub net_in: Counter,
    /// Bytes sent to clients.
    pub net_out: Counter,
    /// Reads that brought something.
    pub reads: Counter,
    /// Writes that sent something.
    pub writes: Counter,
    /// Commands that went to the desk.
    pub to_desk: Counter,
    /// Turns.
    pub turns: Counter,
    /// Outputs that had to wait for their gate.
    pub gated: Counter,
    /// Requests that ran only when other clients' had been read, to be looked ahead at together.
    pub held: Counter,
    /// Look-ups of reading commands that found a key.
    pub hits: Counter,
    /// Look-ups of reading commands that found none.
    pub misses: Counter,
    /// Records changed by commands, since the process began: CONFIG RESETSTAT leaves it alone, as in Redis.
    pub changed: Counter,
    by_command: Box<[CommandCounters]>,
}

impl ThreadStats {
    fn new() -> Self {
        Self {
            commands: Counter::default(),
            net_in: Counter::default(),
            net_out: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            to_desk: Counter::default(),
            turns: Counter::default(),
            gated: Counter::default(),
            held: Counter::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            changed: Counter::default(),
            by_command: catalog::all().iter().map(|_| CommandCounters::default()).collect(),
        }
    }

    /// The counters of a command.
    #[inline]
    #[must_use]
    pub fn command(&self, number: CommandNumber) -> &CommandCounters {
        &self.by_command[number.0 as usize]
    }

    fn counters(&self) -> [&Counter; 11] {
        [
            &self.commands,
            &self.net_in,
            &self.net_out,
            &self.reads,
            &self.writes,
            &self.to_desk,
            &self.turns,
            &self.gated,
            &self.held,
            &self.hits,
            &self.misses,
        ]
    }
}

/// All counters.
#[derive(Debug)]
pub struct Stats {
    threads: Box<[ThreadStats]>,
    /// Records changed by commands that had waited for them; RESETSTAT leaves it alone.
    pub changed_for_waiters: Counter,
    /// Connections accepted, those refused afterwards too.
    pub connections: Counter,
    /// Connections refused because there were too many.
    pub rejected_connections: Counter,
    /// Clients closed because of what they had not sent or read: limits of input and output.
    pub closed_input_limit: Counter,
    /// See `closed_input_limit`.
    pub closed_output_limit: Counter,
    /// Clients closed because they were idle.
    pub closed_idle: Counter,
    /// Protocol errors.
    pub protocol_errors: Counter,
    /// Commands that waited for room.
    pub waits_for_room: Counter,
    /// Replies of writes that too few replicas have confirmed.
    pub unconfirmed: Counter,
    /// Error replies.
    pub errors: Counter,
    /// How fast counters grow.
    pub recent: Recent,
    errors_by_kind: Mutex<BTreeMap<String, u64>>,
}

impl Stats {
    /// Counters for so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads: (0..threads).map(|_| ThreadStats::new()).collect(),
            changed_for_waiters: Counter::default(),
            connections: Counter::default(),
            rejected_connections: Counter::default(),
            closed_input_limit: Counter::default(),
            closed_output_limit: Counter::default(),
            closed_idle: Counter::default(),
            protocol_errors: Counter::default(),
            waits_for_room: Counter::default(),
            unconfirmed: Counter::default(),
            errors: Counter::default(),
            recent: Recent::default(),
            errors_by_kind: Mutex::default(),
        }
    }

    /// The counters of a thread.
    pub(crate) fn thread(&self, index: usize) -> &ThreadStats {
        &self.threads[index]
    }

    /// The sum of one counter over all threads.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&ThreadStats) -> &Counter) -> u64 {
        self.threads.iter().map(|thread| of(thread).get()).sum()
    }

    /// Records changed by commands since the process began.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.sum(|thread| &thread.changed) + self.changed_for_waiters.get()
    }

    /// The counters whose growth is shown.
    #[must_use]
    pub fn flow(&self) -> Flow {
        Flow {
            commands: self.sum(|thread| &thread.commands),
            net_in: self.sum(|thread| &thread.net_in),
            net_out: self.sum(|thread| &thread.net_out),
        }
    }

    /// The sums for one command.
    #[must_use]
    pub fn command(&self, number: CommandNumber) -> CommandTotals {
        let sum = |of: fn(&CommandCounters) -> &Counter| {
            self.threads.iter().map(|thread| of(thread.command(number)).get()).sum::<u64>()
        };
        CommandTotals {
            calls: sum(|counters| &counters.calls),
            micros: sum(|counters| &counters.nanos) / 1000,
            rejected: sum(|counters| &counters.rejected),
            failed: sum(|counters| &counters.failed),
        }
    }

    /// Counts an error reply; `text` begins with its code.
    #[cold]
    pub fn count_error(&self, text: &[u8]) {
        self.errors.add(1);
        let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let sound = !code.is_empty() && code.len() <= 32 && code.iter().all(u8::is_ascii_uppercase);
        let code = if sound { String::from_utf8_lossy(code).into_owned() } else { "ERR".to_owned() };
        let mut kinds = self.errors_by_kind.lock();
        let known = kinds.contains_key(&code) || kinds.len() < MAX_ERROR_KINDS;
        *kinds.entry(if known { code } else { "ERR".to_owned() }).or_default() += 1;
    }

    /// How often each code was answered.
    #[must_use]
    pub fn errors_by_kind(&self) -> BTreeMap<String, u64> {
        self.errors_by_kind.lock().clone()
    }

    /// Sets all counters to zero.
    pub fn reset(&self) {
        for thread in &self.threads {
            thread.counters().into_iter().for_each(Counter::reset);
            for command in &thread.by_command {
                let counters = [&command.calls, &command.nanos, &command.rejected, &command.failed];
                counters.into_iter().for_each(Counter::reset);
            }
        }
        let own = [
            &self.connections,
            &self.rejected_connections,
            &self.closed_input_limit,
            &self.closed_output_limit,
            &self.closed_idle,
            &self.protocol_errors,
            &self.waits_for_room,
            &self.unconfirmed,
            &self.errors,
        ];
        own.into_iter().for_each(Counter::reset);
        self.errors_by_kind.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up_and_reset() {
        let stats = Stats::new(2);
        let number = CommandNumber(0);
        for thread in 0..2 {
            stats.thread(thread).net_in.add(5);
            stats.thread(thread).command(number).calls.add(1);
            stats.thread(thread).command(number).nanos.add(1500);
        }
        assert_eq!(stats.sum(|thread| &thread.net_in), 10);
        let totals = CommandTotals { calls: 2, micros: 3, ..CommandTotals::default() };
        assert_eq!(stats.command(number), totals);
        stats.reset();
        assert_eq!(stats.command(number), CommandTotals::default());
    }

    #[test]
    fn made_up_error_codes_are_bounded() {
        let stats = Stats::new(1);
        stats.count_error(b"WRONGTYPE no");
        stats.count_error(b"weird thing");
        for n in 0..1000u32 {
            let code: String = n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'A')).collect();
            stats.count_error(code.as_bytes());
        }
        let kinds = stats.errors_by_kind();
        assert!(kinds.len() <= MAX_ERROR_KINDS && kinds["WRONGTYPE"] == 1 && kinds["ERR"] > 1);
    }
}
