//! What `BGSAVE`, `SAVE` and `LASTSAVE` are about: settling on demand, and how the last one went.

use parking_lot::Mutex;

/// How the last save ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Well, or there was none.
    Ok,
    /// With a fault, which was logged.
    Failed,
}

/// The last save, and whether one is under way.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Seconds since 1970 of the end of the last good one; at first, of the start.
    pub last: u64,
    /// How the last one ended.
    pub status: Status,
    /// Seconds since 1970 at which the present one began.
    pub running_since: Option<u64>,
    /// How many records had been changed when the last good one began.
    pub covered: u64,
    /// How many had been when the present one began.
    covers: u64,
}

/// Saves, one at a time.
#[derive(Debug)]
pub struct Saves(Mutex<State>);

impl Saves {
    pub(crate) fn new(now: u64) -> Self {
        Self(Mutex::new(State { last: now, status: Status::Ok, running_since: None, covered: 0, covers: 0 }))
    }

    /// Begins one, with so many records changed until now; `false` when one is under way.
    pub fn begin(&self, now: u64, changed: u64) -> bool {
        let mut state = self.0.lock();
        let free = state.running_since.is_none();
        if free {
            state.running_since = Some(now);
            state.covers = changed;
        }
        free
    }

    /// Ends the present one.
    pub fn end(&self, now: u64, status: Status) {
        let mut state = self.0.lock();
        state.running_since = None;
        state.status = status;
        if status == Status::Ok {
            state.last = now;
            state.covered = state.covers;
        }
    }

    /// How things are.
    #[must_use]
    pub fn state(&self) -> State {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_a_failed_one_is_not_the_last() {
        let saves = Saves::new(1);
        assert!(saves.begin(2, 10));
        assert!(!saves.begin(3, 20));
        saves.end(4, Status::Failed);
        assert_eq!((saves.state().last, saves.state().status), (1, Status::Failed));
        assert_eq!(saves.state().covered, 0, "it covers nothing");
        assert!(saves.begin(5, 30));
        saves.end(6, Status::Ok);
        assert_eq!((saves.state().last, saves.state().running_since), (6, None));
        assert_eq!(saves.state().covered, 30, "what was changed when it began");
    }
}
