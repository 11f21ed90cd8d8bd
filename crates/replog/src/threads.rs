//! The two threads of a log: one writes what workers must not, one syncs. A [`Bell`] wakes each.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::fault::Fault;
use crate::log::{Health, Shared};
use crate::options::FsyncPolicy;
use crate::segment::fault;
use crate::writer::Who;

/// The first and the longest pause before the writer tries a full disk again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long `everysec` is.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The running threads.
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// A log without threads.
    pub(crate) fn none() -> Threads {
        Threads(Vec::new())
    }

    /// Starts both.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Threads, Fault> {
        let mut threads = Threads::none();
        for (name, body) in [("log-write", write_loop as fn(&Shared)), ("log-sync", sync_loop)] {
            let theirs = shared.clone();
            match thread::Builder::new().name(name.to_owned()).spawn(move || body(&theirs)) {
                Ok(handle) => threads.0.push(handle),
                Err(e) => {
                    threads.stop(shared);
                    return Err(fault(&shared.options.dir, 0, "start a thread for", e));
                }
            }
        }
        Ok(threads)
    }

    /// Stops both and waits for them: at most for the write or fsync in flight.
    pub(crate) fn stop(&mut self, shared: &Shared) {
        shared.writer_bell.stop();
        shared.syncer_bell.stop();
        for handle in self.0.drain(..) {
            // A panic there is our mistake; it must not stay hidden.
            if let Err(panic) = handle.join()
                && !thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn write_loop(shared: &Shared) {
    let mut pause = RETRY.0;
    loop {
        let go_on = match shared.health() {
            Health::Ok => {
                pause = RETRY.0;
                shared.writer_bell.wait()
            }
            Health::NoSpace => {
                let go_on = shared.writer_bell.pause(pause);
                pause = RETRY.1.min(pause * 2);
                go_on
            }
            Health::Failed => return,
        };
        match go_on {
            Call::Work => {
                shared.write_wanted(Who::Thread);
            }
            Call::Stop => return,
        }
    }
}

fn sync_loop(shared: &Shared) {
    let mut due = Instant::now() + SYNC_INTERVAL;
    loop {
        let call = match shared.options.fsync {
            FsyncPolicy::EverySec => shared.syncer_bell.wait_until(due),
            FsyncPolicy::Always | FsyncPolicy::No => shared.syncer_bell.wait(),
        };
        let is_due = Instant::now() >= due;
        match call {
            Call::Work if is_due || shared.want_synced() > shared.synced.get() => shared.sync_pass(),
            Call::Work => {}
            Call::Stop => return,
        }
        if is_due {
            due = Instant::now() + SYNC_INTERVAL;
        }
    }
}

/// Wakes one thread. A ring before the thread waits is not lost; several rings may count as one.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Rung {
    #[default]
    Silent,
    Work,
    Stop,
}

/// What a thread is woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Work,
    Stop,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut state = self.state.lock();
        if *state == Rung::Silent {
            *state = Rung::Work;
            self.rung.notify_one();
        }
    }

    fn stop(&self) {
        *self.state.lock() = Rung::Stop;
        self.rung.notify_one();
    }

    /// Waits for a ring; needs no deadline, since whoever has work rings.
    fn wait(&self) -> Call {
        let mut state = self.state.lock();
        while *state == Rung::Silent {
            self.rung.wait(&mut state);
        }
        Bell::answer(&mut state)
    }

    /// Waits for a ring or the time.
    fn wait_until(&self, deadline: Instant) -> Call {
        let mut state = self.state.lock();
        while *state == Rung::Silent && !self.rung.wait_until(&mut state, deadline).timed_out() {}
        Bell::answer(&mut state)
    }

    /// Waits for the time to pass, whatever rings; only a stop ends it early.
    fn pause(&self, time: Duration) -> Call {
        let deadline = Instant::now() + time;
        let mut state = self.state.lock();
        while *state != Rung::Stop && !self.rung.wait_until(&mut state, deadline).timed_out() {}
        Bell::answer(&mut state)
    }

    fn answer(state: &mut Rung) -> Call {
        match *state {
            Rung::Stop => Call::Stop,
            Rung::Silent | Rung::Work => {
                *state = Rung::Silent;
                Call::Work
            }
        }
    }
}
