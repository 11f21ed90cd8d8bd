//! The end of a worker's turn: the logs are written once for everything that the turn saw, then outputs are sent.
//!
//! The task is woken by the first session that has something for it. The scheduler queues it behind all sessions that
//! are ready by then, so that one turn covers them all. Logs wake it, too, when a gate that was shut may be open.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use engine::ShardId;
use smallvec::SmallVec;

use crate::gate::{self, Durability, Marks};
use crate::outbox::{Outbox, Sent, Stage};
use crate::worker::Worker;

/// What a turn is about.
#[derive(Default)]
pub(crate) struct Turn {
    pending: RefCell<Vec<Rc<Outbox>>>,
    gated: RefCell<Vec<Rc<Outbox>>>,
    touched: RefCell<Marks>,
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Turn {
    /// Has the logs of what a session saw or did written, whether or not there is a reply.
    #[inline]
    pub(crate) fn touch(&self, marks: &Marks) {
        if !marks.as_gate().is_empty() {
            self.touched.borrow_mut().raise(marks.as_gate());
            self.ring();
        }
    }

    /// Has an output sent.
    #[inline]
    pub(crate) fn join(&self, outbox: &Rc<Outbox>) {
        if outbox.join() {
            self.pending.borrow_mut().push(Rc::clone(outbox));
            self.ring();
        }
    }

    #[inline]
    fn ring(&self) {
        if !self.rung.replace(true)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}

/// Takes a turn whenever it is woken, for ever.
pub(crate) async fn turns(worker: Rc<Worker>) {
    poll_fn::<(), _>(|cx| {
        let known = worker.turn.waker.borrow().as_ref().is_some_and(|known| known.will_wake(cx.waker()));
        if !known {
            *worker.turn.waker.borrow_mut() = Some(cx.waker().clone());
        }
        take(&worker, cx.waker());
        Poll::Pending
    })
    .await;
}

fn take(worker: &Rc<Worker>, waker: &Waker) {
    let turn = &worker.turn;
    turn.rung.set(false);
    let durability = worker.rules().durability;
    let instance = &worker.shared.instance;
    let touched = std::mem::take(&mut *turn.touched.borrow_mut());
    gate::ask(instance, durability, &touched);

    let mut sent = Sent::default();
    let waiting = turn.gated.take();
    let mut fresh = turn.pending.take();
    let mut gated = Vec::new();
    for outbox in waiting.into_iter().chain(fresh.drain(..)) {
        match send(worker, &outbox, durability, &mut sent) {
            Stage::Gated => gated.push(outbox),
            Stage::Full => wait_for_socket(worker, outbox),
            Stage::Idle | Stage::Pending | Stage::Broken => {}
        }
    }
    // Its capacity is used again; nobody joined meanwhile, for this thread was here.
    *turn.pending.borrow_mut() = fresh;
    let stats = worker.stats();
    stats.turns.add(1);
    if sent.writes > 0 {
        stats.net_out.add(sent.bytes as u64);
        stats.writes.add(sent.writes);
    }
    if !gated.is_empty() {
        stats.gated.add(gated.len() as u64);
        wait_for_logs(worker, durability, &gated, waker);
        turn.gated.borrow_mut().extend(gated);
    }
}

fn send(worker: &Worker, outbox: &Outbox, durability: Durability, sent: &mut Sent) -> Stage {
    let held = |shard| gate::held(&worker.shared.instance, durability, shard);
    outbox.send(&mut worker.spares.borrow_mut(), sent, held)
}

/// Has the next turn taken when the first of the shut gates may open.
fn wait_for_logs(worker: &Worker, durability: Durability, gated: &[Rc<Outbox>], waker: &Waker) {
    let instance = &worker.shared.instance;
    let mut least: SmallVec<[(ShardId, u64); 4]> = SmallVec::new();
    for outbox in gated {
        let held = |shard| gate::held(instance, durability, shard);
        outbox.each_unmet(held, |shard, lsn| match least.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, known)) => *known = lsn.min(*known),
            None => least.push((shard, lsn)),
        });
    }
    let waits = |&(shard, lsn): &(ShardId, u64)| gate::wake_when_held(instance, durability, shard, lsn, waker);
    if !least.iter().all(waits) || least.is_empty() {
        waker.wake_by_ref();
    }
}

/// Sends the rest of an output as its socket takes it, without holding up anybody else.
fn wait_for_socket(worker: &Rc<Worker>, outbox: Rc<Outbox>) {
    let (worker, kept) = (Rc::clone(worker), Rc::clone(&outbox));
    let task = tokio::task::spawn_local(async move {
        loop {
            // An error shows again when the bytes are sent.
            let _ = outbox.writer.writable().await;
            let mut sent = Sent::default();
            let stage = send(&worker, &outbox, worker.rules().durability, &mut sent);
            worker.stats().net_out.add(sent.bytes as u64);
            worker.stats().writes.add(sent.writes);
            match stage {
                Stage::Full => {}
                Stage::Gated => {
                    worker.turn.gated.borrow_mut().push(outbox);
                    worker.turn.ring();
                    return;
                }
                Stage::Idle | Stage::Pending | Stage::Broken => return,
            }
        }
    });
    kept.drained_by(task.abort_handle());
}
