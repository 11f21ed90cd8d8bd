//! The wish that the server end, by a signal or by `SHUTDOWN`.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

/// Who wants the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A signal of the operating system.
    Signal(&'static str),
    /// A client.
    Command,
}

/// Whether the end is wanted. It is never taken back.
#[derive(Debug, Default)]
pub struct Shutdown {
    wanted: AtomicBool,
    cause: Mutex<Option<Cause>>,
    bell: Condvar,
    notify: Notify,
}

impl Shutdown {
    /// Wants the end. `false`: somebody did already.
    pub fn request(&self, cause: Cause) -> bool {
        let mut first = self.cause.lock();
        if first.is_some() {
            return false;
        }
        *first = Some(cause);
        self.wanted.store(true, Ordering::Release);
        self.bell.notify_all();
        self.notify.notify_waiters();
        true
    }

    /// Whether the end is wanted.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Blocks until the end is wanted, and says by whom. Has no deadline: this is what a server waits for.
    pub fn wait(&self) -> Cause {
        let mut cause = self.cause.lock();
        loop {
            match *cause {
                Some(cause) => return cause,
                None => self.bell.wait(&mut cause),
            }
        }
    }

    /// The same for a task.
    pub(crate) async fn wanted(&self) {
        let notified = self.notify.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if !self.is_wanted() {
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_counts() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.is_wanted());
        assert!(shutdown.request(Cause::Command));
        assert!(!shutdown.request(Cause::Signal("SIGTERM")));
        assert_eq!(shutdown.wait(), Cause::Command);
    }
}
