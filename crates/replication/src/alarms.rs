//! Conditions that somebody should look at: which are on, since when, and the program that is told.
//!
//! An alarm is on from the first `raise` to the next `clear`; raising it again changes nothing but its detail. The program of
//! `alarm-command` is run once for each turn, without a shell, one at a time and in order; it is stopped when it takes
//! too long. Nobody waits for it: turns that find its queue full are only logged.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;

use crate::events::{Journal, Record, Subject, Turn, What, now_ms};

/// Turns that may wait for the program.
const MAX_QUEUE: usize = 64;
/// How long the program may take.
const LONGEST_RUN: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// An alarm's name and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// One of a fixed few: `lag`, `diverged`, ...
    pub name: String,
    /// Whom it is about.
    pub subject: Subject,
}

/// What is known of an alarm that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// For people.
    pub detail: String,
}

/// The alarms of a node.
#[derive(Debug)]
pub struct Alarms {
    on: Mutex<BTreeMap<Alarm, Raised>>,
    journal: Arc<Journal>,
    program: Option<Sender<Vec<String>>>,
}

impl Alarms {
    /// None is on. `command` are the words of the program to tell; empty is no program.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(journal: Arc<Journal>, command: Vec<String>) -> std::io::Result<Self> {
        let program = if command.is_empty() { None } else { Some(start_runner(command)?) };
        Ok(Self { on: Mutex::default(), journal, program })
    }

    /// Turns an alarm on.
    pub fn raise(&self, name: &str, subject: Subject, detail: &str) {
        let alarm = Alarm { name: name.to_owned(), subject };
        let raised = Raised { since_ms: now_ms(), detail: detail.to_owned() };
        let mut on = self.on.lock();
        match on.get_mut(&alarm) {
            Some(known) => known.detail = raised.detail,
            None => {
                on.insert(alarm, raised);
                self.tell(name, subject, Turn::Raised, detail);
            }
        }
    }

    /// Turns an alarm off.
    pub fn clear(&self, name: &str, subject: Subject) {
        let mut on = self.on.lock();
        if let Some(raised) = on.remove(&Alarm { name: name.to_owned(), subject }) {
            self.tell(name, subject, Turn::Cleared, &raised.detail);
        }
    }

    /// Those that are on.
    #[must_use]
    pub fn list(&self) -> Vec<(Alarm, Raised)> {
        self.on.lock().iter().map(|(alarm, raised)| (alarm.clone(), raised.clone())).collect()
    }

    /// Called with the table locked, so that turns are told in their order.
    fn tell(&self, name: &str, subject: Subject, turn: Turn, detail: &str) {
        let what = What::Alarm { name: name.to_owned(), turn, detail: detail.to_owned() };
        self.journal.note(Record::now(subject, what));
        let database = match subject {
            Subject::Instance => "-".to_owned(),
            Subject::Shard(database) => database.to_string(),
        };
        let words = vec![turn.word().to_owned(), name.to_owned(), database, detail.to_owned()];
        if let Some(Err(TrySendError::Full(_))) = self.program.as_ref().map(|program| program.try_send(words)) {
            tracing::warn!(alarm = name, turn = turn.word(), "alarm-command is not run: it is too slow");
        }
    }
}

fn start_runner(command: Vec<String>) -> std::io::Result<Sender<Vec<String>>> {
    let (sender, receiver) = crossbeam_channel::bounded(MAX_QUEUE);
    std::thread::Builder::new().name("alarms".to_owned()).spawn(move || run_all(&command, &receiver))?;
    Ok(sender)
}

fn run_all(command: &[String], turns: &Receiver<Vec<String>>) {
    let [program, own @ ..] = command else { return };
    while let Ok(words) = turns.recv() {
        let mut command = Command::new(program);
        command.args(own).args(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn().and_then(|child| outlast(child, LONGEST_RUN)) {
            Ok(None) => {}
            Ok(Some(trouble)) => tracing::warn!(program, ?words, "alarm-command {trouble}"),
            Err(error) => tracing::warn!(program, ?words, "alarm-command cannot be run: {error}"),
        }
    }
}

/// Waits for the end of `child`, at most for `longest`. Answers what was wrong with it.
fn outlast(mut child: Child, longest: Duration) -> std::io::Result<Option<String>> {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!status.success()).then(|| format!("failed: {status}")));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(Some(format!("was stopped after {} s", longest.as_secs_f32())));
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn journal() -> (tempfile::TempDir, Arc<Journal>) {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::start(folder.path()).unwrap());
        (folder, journal)
    }

    #[test]
    fn an_alarm_turns_once_however_often_it_is_raised() {
        let (_folder, journal) = journal();
        let alarms = Alarms::start(Arc::clone(&journal), Vec::new()).unwrap();
        alarms.clear("lag", Subject::Shard(0));
        alarms.raise("lag", Subject::Shard(0), "10 s");
        alarms.raise("lag", Subject::Shard(0), "20 s");
        alarms.raise("lag", Subject::Shard(1), "10 s");
        let on = alarms.list();
        assert_eq!(on.len(), 2);
        assert_eq!((on[0].0.subject, on[0].1.detail.as_str()), (Subject::Shard(0), "20 s"));
        alarms.clear("lag", Subject::Shard(0));
        alarms.clear("lag", Subject::Shard(0));
        assert_eq!(alarms.list().len(), 1);
        let turns: Vec<(Subject, Turn)> = journal
            .newest(None, 100)
            .into_iter()
            .filter_map(|record| match record.what {
                What::Alarm { turn, .. } => Some((record.subject, turn)),
                What::Started | What::Transition { .. } | What::Note { .. } | What::Missing { .. } => None,
            })
            .collect();
        let (zero, one) = (Subject::Shard(0), Subject::Shard(1));
        assert_eq!(turns, [(zero, Turn::Raised), (one, Turn::Raised), (zero, Turn::Cleared)]);
        journal.stop();
    }

    #[test]
    fn the_program_is_run_without_a_shell_and_in_order() {
        let (folder, journal) = journal();
        let out = folder.path().join("told");
        let script = format!("printf '%s|%s|%s|%s|%s\\n' \"$@\" >> '{}'", out.display());
        let command = words(&["/bin/sh", "-c", &script, "sh", "mine"]);
        let alarms = Alarms::start(Arc::clone(&journal), command).unwrap();
        alarms.raise("diverged", Subject::Shard(2), "$(touch x); `y` \"z\"");
        alarms.clear("diverged", Subject::Shard(2));
        alarms.raise("no_primary", Subject::Instance, "nobody");
        let expected = "mine|raised|diverged|2|$(touch x); `y` \"z\"\nmine|cleared|diverged|2|$(touch x); `y` \"z\"\n\
            mine|raised|no_primary|-|nobody\n";
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::fs::read_to_string(&out).unwrap_or_default() != expected {
            assert!(Instant::now() < deadline, "{:?}", std::fs::read_to_string(&out));
            std::thread::sleep(LOOK);
        }
        journal.stop();
    }

    #[test]
    fn a_program_that_hangs_is_stopped_and_holds_nobody_up() {
        let child = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let trouble = outlast(child, Duration::from_millis(50)).unwrap().unwrap();
        assert!(trouble.contains("was stopped"), "{trouble}");

        let (_folder, journal) = journal();
        let alarms = Alarms::start(Arc::clone(&journal), words(&["/bin/sleep", "5"])).unwrap();
        for n in 0..2 * MAX_QUEUE {
            alarms.raise("lag", Subject::Shard(n as u32), "");
        }
        assert_eq!(alarms.list().len(), 2 * MAX_QUEUE, "more turns than fit into the queue");
        journal.stop();
    }

    #[test]
    fn a_program_that_fails_says_so() {
        let child = Command::new("/bin/false").spawn().unwrap();
        assert!(outlast(child, LONGEST_RUN).unwrap().unwrap().contains("failed"));
        let child = Command::new("/bin/true").spawn().unwrap();
        assert_eq!(outlast(child, LONGEST_RUN).unwrap(), None);
    }
}
