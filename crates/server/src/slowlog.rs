//! The commands that took long, the latest first: what `SLOWLOG` shows.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// As Redis: so many arguments of an entry are kept, and so many bytes of each.
const MAX_ARGUMENTS: usize = 32;
const MAX_ARGUMENT_BYTES: usize = 128;

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; never reused.
    pub id: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// How long, in microseconds.
    pub micros: u64,
    /// The arguments, cut short.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub peer: String,
    /// The client's name.
    pub name: Vec<u8>,
}

/// The latest of them, as many as the caller allows.
#[derive(Debug, Default)]
pub struct SlowLog {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    ring: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds an entry, whose number is chosen here, and keeps at most `most`.
    pub fn push(&self, mut entry: Entry, most: usize) {
        let mut entries = self.entries.lock();
        entry.id = entries.next_id;
        entries.next_id += 1;
        entries.ring.push_front(entry);
        entries.ring.truncate(most);
    }

    /// The latest `count`, latest first.
    #[must_use]
    pub fn latest(&self, count: usize) -> Vec<Entry> {
        self.entries.lock().ring.iter().take(count).cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.lock().ring.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops all of them; numbers go on.
    pub fn reset(&self) {
        self.entries.lock().ring.clear();
    }
}

/// Arguments as an entry keeps them.
pub(crate) fn shortened<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = args.len();
    let kept = if count > MAX_ARGUMENTS { MAX_ARGUMENTS - 1 } else { count };
    let mut shown: Vec<Vec<u8>> = args.take(kept).map(shortened_argument).collect();
    if count > kept {
        shown.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    shown
}

fn shortened_argument(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= MAX_ARGUMENT_BYTES {
        return arg.to_vec();
    }
    let mut shown = arg[..MAX_ARGUMENT_BYTES].to_vec();
    shown.extend_from_slice(format!("... ({} more bytes)", arg.len() - MAX_ARGUMENT_BYTES).as_bytes());
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(micros: u64) -> Entry {
        Entry { id: 0, at: 1, micros, args: Vec::new(), peer: String::new(), name: Vec::new() }
    }

    #[test]
    fn the_latest_are_kept_and_numbered() {
        let log = SlowLog::default();
        for micros in 0..5 {
            log.push(entry(micros), 2);
        }
        let ids: Vec<(u64, u64)> = log.latest(9).iter().map(|entry| (entry.id, entry.micros)).collect();
        assert_eq!(ids, [(4, 4), (3, 3)]);
        log.reset();
        log.push(entry(9), 2);
        assert_eq!(log.latest(1)[0].id, 5);
    }

    #[test]
    fn arguments_are_cut_as_in_redis() {
        let many = vec![b"a".as_slice(); 40];
        let shown = shortened(many.into_iter());
        assert_eq!((shown.len(), shown[31].as_slice()), (32, b"... (9 more arguments)".as_slice()));
        let long = vec![b'x'; 130];
        let shown = shortened([long.as_slice()].into_iter());
        assert!(shown[0].ends_with(b"xx... (2 more bytes)"));
    }
}
