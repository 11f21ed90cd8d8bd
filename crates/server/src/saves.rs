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
}

/// Saves, one at a time.
#[derive(Debug)]
pub struct Saves(Mutex<State>);

impl Saves {
    pub(crate) fn new(now: u64) -> Self {
        Self(Mutex::new(State { last: now, status: Status::Ok, running_since: None }))
    }

    /// Begins one; `false` when one is under way.
    pub fn begin(&self, now: u64) -> bool {
        let mut state = self.0.lock();
        let free = state.running_since.is_none();
        if free {
            state.running_since = Some(now);
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
        assert!(saves.begin(2));
        assert!(!saves.begin(3));
        saves.end(4, Status::Failed);
        assert_eq!((saves.state().last, saves.state().status), (1, Status::Failed));
        assert!(saves.begin(5));
        saves.end(6, Status::Ok);
        assert_eq!((saves.state().last, saves.state().running_since), (6, None));
    }
}
