//! A session that sleeps: in a blocking command until it is served, its time is over or it is unblocked; before a command
//! that is held back until the pause is over; and in either case until it is killed or its client goes. What the client
//! sends meanwhile is kept.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use commands::Wait;

use super::{MIN_GROWTH, Session};
use crate::client::{Kill, Waits};
use crate::desk::Answer;
use crate::pause::Nature;
use crate::transaction::Line;
use crate::waiting::{Blocked, Waker};

/// Bytes a waiting client may send before its socket is left to fill.
const INPUT_MEANWHILE: usize = 1 << 20;

/// What ended a wait.
enum Woken {
    /// The answer; `None`: the wait ends as if its time were over.
    Answer(Option<Answer>),
    TimedOut,
    /// The client has gone or is to go.
    Gone,
}

impl Session {
    /// Queues the session, and serves whoever can be served.
    pub(super) fn join_waiting(&self, line: Line, wait: &Wait) -> Blocked {
        let shared = &self.worker.shared;
        let database = self.state.database;
        let place = (database, self.state.protocol);
        let blocked = shared.waiting.join(&shared.instance, place, (line, wait), &self.state.info);
        let mut tools = self.worker.tools.borrow_mut();
        let tools = &mut *tools;
        let desk = Some(&self.worker.desk);
        Waker { shared, desk, scratch: &mut tools.scratch, keys: &mut tools.keys }.serve(Some(database));
        blocked
    }

    /// Waits for the answer, and takes it.
    pub(super) async fn wait_blocked(&mut self, mut blocked: Blocked) {
        let deadline = blocked.deadline;
        let mut timer = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let woken = loop {
            let woken = poll_fn(|cx| self.poll_woken(cx, &mut blocked, timer.as_mut().map(Pin::as_mut))).await;
            match woken {
                Woken::TimedOut => {
                    timer = None;
                    if self.worker.shared.waiting.leave(blocked.database, blocked.ticket) {
                        break Woken::Answer(None);
                    }
                    // It is being served at this moment, and hears how that ends.
                }
                Woken::Answer(_) | Woken::Gone => break woken,
            }
        };
        match woken {
            Woken::Answer(Some(answer)) => self.take_answer(answer),
            Woken::Answer(None) | Woken::TimedOut => {
                let mut reply = resp::Reply::new(self.state.protocol);
                reply.null_array();
                self.take_answer(Answer { reply: reply.into_buffer(), ..Answer::default() });
            }
            Woken::Gone => {
                self.worker.shared.waiting.leave(blocked.database, blocked.ticket);
                self.state.info.kill(Kill::Now);
            }
        }
    }

    fn poll_woken(
        &mut self,
        cx: &mut Context<'_>,
        blocked: &mut Blocked,
        timer: Option<Pin<&mut tokio::time::Sleep>>,
    ) -> Poll<Woken> {
        if let Poll::Ready(answer) = pin!(&mut blocked.answer).poll(cx) {
            return Poll::Ready(Woken::Answer(answer.ok()));
        }
        if timer.is_some_and(|timer| timer.poll(cx).is_ready()) {
            return Poll::Ready(Woken::TimedOut);
        }
        self.poll_gone(cx).map(|()| Woken::Gone)
    }

    /// Waits until the command that comes next is no longer held back.
    pub(super) async fn wait_paused(&mut self, nature: Nature) {
        let shared = Arc::clone(&self.worker.shared);
        let _waits = Waits::new(&self.state.info);
        let mut over = pin!(shared.pause.over(nature));
        let gone = poll_fn(|cx| match over.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => self.poll_gone(cx).map(|()| true),
        });
        if gone.await {
            self.state.info.kill(Kill::Now);
        }
    }

    /// Reads ahead; ready when the client has gone or is to go.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.info.killed().is_some() {
            return Poll::Ready(());
        }
        while self.input.len() < INPUT_MEANWHILE {
            if self.input.len() == self.input.capacity() {
                self.input.reserve(MIN_GROWTH);
            }
            match self.reader.poll_read(cx, &mut self.input) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(bytes)) => self.worker.stats().net_in.add(bytes as u64),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }
}
