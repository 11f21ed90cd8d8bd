//! What a file of events tells: `haypile events FILE`.
//!
//! ```text
//!   lines ──▶ records ──▶ for each subject: transitions by cause, time in each state, heals, losses
//!                    └──▶ alarms that are still on
//! ```
//!
//! A heal is the time from the loss of `Connected` until it is back. A start of the server ends what was going on: the
//! time for which it was down is in no state, but a heal goes on through it. What an operator wanted is neither a loss nor a
//! heal: being a primary, a detached database, a move to another primary; but a fault on the way there is a loss.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{self, BufRead as _};
use std::path::Path;

use replication_proto::{Cause, Class};

use crate::events::{Record, Subject, Turn, What, old_file, utc};

/// The state in which a subject is well.
const WELL: &str = "Connected";
/// Losses of `Connected` within [`FLAPPING_MS`] from which a subject counts as flapping.
const FLAPPING: usize = 5;
const FLAPPING_MS: u64 = 600_000;
/// Wrong lines that are shown; more are counted.
const MAX_SHOWN: usize = 5;

/// What records tell.
#[derive(Debug, Default)]
pub struct Report {
    span: Option<(u64, u64)>,
    records: usize,
    starts: usize,
    missing: u64,
    subjects: BTreeMap<Subject, Told>,
    alarms: BTreeMap<(String, Subject), (u64, String)>,
    wrong: Vec<String>,
    wrong_lines: usize,
}

/// What is told of one subject.
#[derive(Debug, Default)]
struct Told {
    /// From, to and cause, and how often.
    transitions: BTreeMap<(String, String, String), u64>,
    /// Milliseconds in each state.
    states: BTreeMap<String, u64>,
    /// The present state, and since when.
    state: Option<(String, u64)>,
    health: Health,
    /// How long each heal took.
    heals: Vec<u64>,
    /// The losses of the last [`FLAPPING_MS`].
    recent: VecDeque<u64>,
    most_recent: usize,
}

/// How well a subject is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// It has not been well since it began to follow, or is not to follow.
    #[default]
    New,
    Well,
    /// It was well until an operator moved it.
    Moved,
    /// It was well until then.
    Lost(u64),
}

impl Health {
    /// After a transition from the state `from` to the state `to`.
    fn after(self, at: u64, from: &str, to: &str, why: Why) -> Self {
        match why {
            Why::Wanted | Why::Fault if to == WELL => Self::Well,
            Why::Rest => Self::New,
            Why::Wanted if from == WELL => Self::Moved,
            Why::Fault if from == WELL || self == Self::Moved => Self::Lost(at),
            Why::Wanted | Why::Fault => self,
        }
    }
}

/// What a transition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// An operator wants that it does not follow.
    Rest,
    /// Somebody wants it, or time has come.
    Wanted,
    Fault,
}

impl Why {
    /// Of what leads to the state `to`.
    fn of(subject: Subject, to: &str, cause: &str) -> Self {
        match (Cause::parse(cause), subject) {
            (Some(Cause::Detached), _) => Self::Rest,
            // A database is there also for a moment, when it is to try again.
            (Some(Cause::Operator), Subject::Instance) if to == "NoConnect" => Self::Rest,
            // Whatever was wrong with a database, the instance left because of a fault that is told of there.
            (Some(Cause::NodeLeft), _) => Self::Fault,
            (Some(cause), _) if cause.class() == Class::Wanted => Self::Wanted,
            (Some(_) | None, _) => Self::Fault,
        }
    }
}

impl Report {
    /// That of a file, and of those that were rotated away from it and are still there.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut report = Self::default();
        for old in (1..=crate::events::MAX_OLD_FILES).rev().map(|number| old_file(path, number)) {
            match report.read_file(&old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        report.read_file(path).map(|()| report)
    }

    fn read_file(&mut self, path: &Path) -> io::Result<()> {
        let file = io::BufReader::new(std::fs::File::open(path)?);
        for (index, line) in file.split(b'\n').enumerate() {
            self.read(index + 1, &String::from_utf8_lossy(&line?));
        }
        Ok(())
    }

    /// Reads the next line.
    fn read(&mut self, number: usize, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        match Record::from_line(line) {
            Ok(record) => self.take(&record),
            Err(reason) => {
                self.wrong_lines += 1;
                if self.wrong.len() < MAX_SHOWN {
                    self.wrong.push(format!("line {number}: {reason}"));
                }
            }
        }
    }

    fn take(&mut self, record: &Record) {
        let at = record.at_ms;
        self.records += 1;
        let (first, last) = self.span.unwrap_or((at, at));
        match &record.what {
            What::Started => {
                self.starts += 1;
                self.subjects.values_mut().for_each(|told| told.stop(last));
                // Alarms are of one run.
                self.alarms.clear();
            }
            What::Transition { from, to, cause, .. } => {
                self.subjects.entry(record.subject).or_default().transition(at, from, to, cause);
                let why = Why::of(record.subject, to, cause);
                if record.subject == Subject::Instance && why == Why::Rest {
                    // As a primary it follows with no database.
                    self.subjects.values_mut().for_each(|told| told.health = Health::New);
                }
                self.subjects.entry(record.subject).or_default().judge(at, from, to, why);
            }
            What::Alarm { name, turn, detail } => {
                let alarm = (name.clone(), record.subject);
                match turn {
                    Turn::Raised => self.alarms.insert(alarm, (at, detail.clone())),
                    Turn::Cleared => self.alarms.remove(&alarm),
                };
            }
            What::Note { .. } => {}
            What::Missing { count } => self.missing += count,
        }
        self.span = Some((first.min(at), last.max(at)));
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a text does not fail.
        let _ = match self.span {
            None => writeln!(out, "No events."),
            Some((first, last)) => {
                let (records, starts, span) = (self.records, self.starts, millis(last - first));
                writeln!(out, "{records} events, {starts} starts, {} to {} ({span})", utc(first), utc(last))
            }
        };
        if self.missing > 0 {
            let _ = writeln!(out, "{} events are missing: they came faster than the disk took them", self.missing);
        }
        if self.wrong_lines > 0 {
            let _ = writeln!(out, "{} lines are no events: {}", self.wrong_lines, self.wrong.join("; "));
        }
        for (subject, told) in &self.subjects {
            told.write(*subject, self.span.map_or(0, |(_, last)| last), &mut out);
        }
        out.push_str("\nOpen alarms\n");
        if self.alarms.is_empty() {
            out.push_str("  none\n");
        }
        for ((alarm, subject), (since, detail)) in &self.alarms {
            let _ = writeln!(out, "  {alarm} ({}) since {}: {detail}", subject, utc(*since));
        }
        out
    }
}

impl Told {
    fn stop(&mut self, at: u64) {
        if let Some((state, since)) = self.state.take() {
            if state == WELL {
                self.health = Health::Lost(at);
            }
            *self.states.entry(state).or_default() += at.saturating_sub(since);
        }
    }

    fn transition(&mut self, at: u64, from: &str, to: &str, cause: &str) {
        *self.transitions.entry((from.to_owned(), to.to_owned(), cause.to_owned())).or_default() += 1;
        if let Some((state, since)) = self.state.replace((to.to_owned(), at)) {
            *self.states.entry(state).or_default() += at.saturating_sub(since);
        }
    }

    /// Counts losses and heals.
    fn judge(&mut self, at: u64, from: &str, to: &str, why: Why) {
        let before = std::mem::take(&mut self.health);
        self.health = before.after(at, from, to, why);
        if let (Health::Lost(lost), Health::Well) = (before, self.health) {
            self.heals.push(at.saturating_sub(lost));
        }
        if from == WELL && why == Why::Fault {
            self.recent.push_back(at);
            while self.recent.front().is_some_and(|first| at.saturating_sub(*first) > FLAPPING_MS) {
                self.recent.pop_front();
            }
            self.most_recent = self.most_recent.max(self.recent.len());
        }
    }

    fn write(&self, subject: Subject, end: u64, out: &mut String) {
        let _ = writeln!(out, "\n{subject}");
        if let Some((state, since)) = &self.state {
            let _ = writeln!(out, "  now: {state} since {}", utc(*since));
        }
        out.push_str("  transitions\n");
        let mut transitions: Vec<_> = self.transitions.iter().collect();
        transitions.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((from, to, cause), count) in transitions {
            let because = if cause.is_empty() { String::new() } else { format!(": {cause}") };
            let _ = writeln!(out, "  {count:>8}  {from} -> {to}{because}");
        }
        out.push_str("  time in each state\n");
        let mut states = self.states.clone();
        if let Some((state, since)) = &self.state {
            *states.entry(state.clone()).or_default() += end.saturating_sub(*since);
        }
        let all = states.values().sum::<u64>().max(1);
        for (state, time) in &states {
            let _ = writeln!(out, "  {:>7.2}%  {state} ({})", *time as f64 * 100.0 / all as f64, millis(*time));
        }
        let mut heals = self.heals.clone();
        heals.sort_unstable();
        if let Some(longest) = heals.last() {
            let (p50, p99) = (millis(percentile(&heals, 50)), millis(percentile(&heals, 99)));
            let _ = writeln!(out, "  heals: {}, p50 {p50}, p99 {p99}, longest {}", heals.len(), millis(*longest));
        }
        if let Health::Lost(lost) = self.health {
            let _ = writeln!(out, "  not {WELL} since {}", utc(lost));
        }
        if self.most_recent >= FLAPPING {
            let minutes = FLAPPING_MS / 60_000;
            let _ = writeln!(out, "  flapping: lost {WELL} {} times within {minutes} minutes", self.most_recent);
        }
    }
}

/// The smallest value that so many of a hundred do not exceed. `sorted` is not empty.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.max(1) - 1]
}

fn millis(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.1} s", ms as f64 / 1e3),
        120_000..7_200_000 => format!("{:.1} min", ms as f64 / 6e4),
        7_200_000.. => format!("{:.1} h", ms as f64 / 3.6e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_763_843_460_000;

    fn line(at: u64, subject: Subject, what: What) -> String {
        Record { at_ms: START + at, subject, what }.to_line()
    }

    fn moved(at: u64, from: &str, to: &str, cause: &str) -> String {
        let [from, to, cause] = [from, to, cause].map(str::to_owned);
        line(
            at,
            Subject::Shard(0),
            What::Transition { from, to, cause, detail: String::new(), attempt: 0, position: 0 },
        )
    }

    fn report(lines: &[String]) -> String {
        let mut report = Report::default();
        lines.iter().enumerate().for_each(|(index, line)| report.read(index + 1, line));
        report.text()
    }

    #[test]
    fn rotated_files_are_read_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, moved(9_000, "NoConnect", "Connected", "")).unwrap();
        std::fs::write(old_file(&path, 2), moved(1_000, "WaitReply", "Connected", "")).unwrap();
        std::fs::write(old_file(&path, 1), moved(5_000, "Connected", "NoConnect", "")).unwrap();
        let text = Report::of_file(&path).unwrap().text();
        assert!(text.contains("heals: 1, p50 4.0 s"), "{text}");
        assert!(Report::of_file(&folder.path().join("none")).is_err());
    }

    #[test]
    fn heals_and_times_are_measured() {
        let mut lines = vec![moved(0, "WaitReply", "Connected", "")];
        for n in 1..=100 {
            lines.push(moved(n * 10_000, "Connected", "NoConnect", "link closed"));
            lines.push(moved(n * 10_000 + n, "NoConnect", "Connected", ""));
        }
        let text = report(&lines);
        assert!(text.contains("heals: 100, p50 50 ms, p99 99 ms, longest 100 ms"), "{text}");
        assert!(text.contains("     100  Connected -> NoConnect: link closed"), "{text}");
        assert!(text.contains("99.50%  Connected"), "{text}");
        assert!(text.contains("flapping: lost Connected 61 times"), "{text}");
        assert!(text.contains("now: Connected"), "{text}");
    }

    #[test]
    fn a_start_ends_states_but_not_heals() {
        let started = |at| line(at, Subject::Instance, What::Started);
        let lines = [
            started(0),
            moved(1_000, "WaitReply", "Connected", ""),
            moved(3_000, "Connected", "NoConnect", "cut"),
            moved(4_000, "NoConnect", "Connected", ""),
            started(10_000),
            moved(12_000, "WaitReply", "Connected", ""),
        ];
        let text = report(&lines);
        assert!(text.contains("2 starts"), "{text}");
        assert!(text.contains("heals: 2, p50 1.0 s, p99 8.0 s"), "{text}");
        assert!(!text.contains("flapping"), "{text}");
    }

    /// What an operator wants is no loss: being a primary, detached, pointed elsewhere.
    #[test]
    fn wanted_times_are_no_heals() {
        let node = |at, from: &str, to: &str, cause: &str| {
            let [from, to, cause] = [from, to, cause].map(str::to_owned);
            let detail = String::new();
            line(at, Subject::Instance, What::Transition { from, to, cause, detail, attempt: 0, position: 0 })
        };
        let follow = |at| {
            [
                node(at, "Connect", "Connecting", "due"),
                node(at + 1, "Connecting", "Connected", "agreed"),
                moved(at + 2, "WaitReply", "Connected", "agreed"),
            ]
        };
        let mut lines = follow(0).to_vec();
        for turn in 1..=5 {
            let at = turn * 100_000;
            lines.push(moved(at, "Connected", "NoConnect", "operator"));
            lines.push(node(at, "Connected", "NoConnect", "operator"));
            lines.push(node(at + 33_500, "NoConnect", "Connect", "operator"));
            lines.push(moved(at + 33_501, "NoConnect", "TryConnect", "agreed"));
            lines.extend(follow(at + 33_500));
        }
        lines.push(moved(900_000, "Connected", "NoConnect", "detached"));
        lines.push(moved(950_000, "NoConnect", "TryConnect", "operator"));
        lines.push(moved(950_001, "WaitReply", "Connected", "agreed"));
        lines.push(node(960_000, "Connected", "Connect", "operator"));
        lines.push(node(960_010, "Connecting", "Connected", "agreed"));
        let text = report(&lines);
        assert!(!text.contains("heals") && !text.contains("flapping") && !text.contains("not Connected"), "{text}");

        // On the way to another primary nothing listens for a while: that is an outage.
        lines.push(node(970_000, "Connected", "Connect", "operator"));
        lines.push(node(970_500, "Connecting", "Error", "refused"));
        lines.push(node(977_500, "Connecting", "Connected", "agreed"));
        // And what is retried at an operator's word goes on being one.
        lines.push(moved(980_000, "Connected", "Error", "closed"));
        lines.push(moved(982_000, "Error", "NoConnect", "operator"));
        lines.push(moved(982_000, "NoConnect", "TryConnect", "operator"));
        lines.push(moved(983_000, "WaitReply", "Connected", "agreed"));
        // A primary again, in the middle of an outage: it ends there.
        lines.push(node(990_000, "Connected", "Connect", "closed"));
        lines.push(node(991_000, "Connect", "NoConnect", "operator"));
        let text = report(&lines);
        let (instance, shard) = text.split_once("\ndb0").unwrap();
        assert!(instance.contains("heals: 1, p50 7.0 s") && !instance.contains("not Connected"), "{text}");
        assert!(shard.contains("heals: 1, p50 3.0 s"), "{text}");
    }

    #[test]
    fn open_alarms_and_wrong_lines_are_shown() {
        let alarm = |at, name: &str, turn| {
            let what = What::Alarm { name: name.to_owned(), turn, detail: "why".to_owned() };
            line(at, Subject::Shard(7), what)
        };
        let lines = [
            alarm(0, "lag", Turn::Raised),
            alarm(1, "diverged", Turn::Raised),
            "{\"torn".to_owned(),
            alarm(2, "lag", Turn::Cleared),
            line(3, Subject::Instance, What::Missing { count: 12 }),
        ];
        let text = report(&lines);
        assert!(text.contains("diverged (db7) since"), "{text}");
        assert!(!text.contains("lag (db7)"), "{text}");
        assert!(text.contains("1 lines are no events: line 3: "), "{text}");
        assert!(text.contains("12 events are missing"), "{text}");
        assert!(report(&[]).contains("No events."));
    }
}
