//! The end of a worker's turn: the logs are written once for everything that the turn saw, then outputs are sent.
//!
//! The task is woken by the first session that has something for it. The scheduler queues it behind all sessions that
//! are ready by then, so that one turn covers them all. Logs wake it, too, when a gate that was shut may be open.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use engine::ShardId;
use smallvec::SmallVec;
use tokio::sync::watch;

use crate::gate::{self, Durability, Marks};
use crate::outbox::{Outbox, Sent, Stage};
use crate::pledge::{Judge, Pledge, Standing};
use crate::rules::Rules;
use crate::shared::Shared;
use crate::worker::Worker;

/// What a turn is about.
#[derive(Default)]
pub(crate) struct Turn {
    pending: RefCell<Vec<Rc<Outbox>>>,
    gated: RefCell<Vec<Rc<Outbox>>>,
    touched: RefCell<Marks>,
    /// What replicas are to confirm, since the last turn.
    promised: RefCell<Marks>,
    rung: Cell<bool>,
    waker: RefCell<Option<std::task::Waker>>,
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

    /// Has the logs made durable: replies wait until they are, here and on replicas.
    pub(crate) fn promise(&self, gate: &[(ShardId, u64)]) {
        self.promised.borrow_mut().raise(gate);
        self.ring();
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
    let mut vigil = Vigil::new(&worker.shared);
    poll_fn::<(), _>(|cx| {
        let known = worker.turn.waker.borrow().as_ref().is_some_and(|known| known.will_wake(cx.waker()));
        if !known {
            *worker.turn.waker.borrow_mut() = Some(cx.waker().clone());
        }
        take(&worker, cx, &mut vigil);
        Poll::Pending
    })
    .await;
}

fn take(worker: &Rc<Worker>, cx: &mut Context<'_>, vigil: &mut Vigil) {
    let turn = &worker.turn;
    turn.rung.set(false);
    let rules = worker.rules();
    let instance = &worker.shared.instance;
    gate::ask(instance, rules.durability, &std::mem::take(&mut *turn.touched.borrow_mut()));
    gate::ask(instance, Durability::Synced, &std::mem::take(&mut *turn.promised.borrow_mut()));

    vigil.begin_look();
    let gates = Gates::new(worker, &rules);
    let mut sent = Sent::default();
    let waiting = turn.gated.take();
    let mut fresh = turn.pending.take();
    let mut gated = Vec::new();
    for outbox in waiting.into_iter().chain(fresh.drain(..)) {
        match gates.send(&outbox, &mut sent) {
            Stage::Gated => gated.push(outbox),
            Stage::Full => wait_for_socket(worker, outbox),
            Stage::Idle | Stage::Pending | Stage::Broken => {}
        }
    }
    // Its capacity is used again; nobody joined meanwhile, for this thread was here.
    *turn.pending.borrow_mut() = fresh;
    worker.reading.borrow_mut().crowd.end_turn();
    let stats = worker.stats();
    stats.turns.add(1);
    if sent.writes > 0 {
        stats.net_out.add(sent.bytes as u64);
        stats.writes.add(sent.writes);
    }
    if !gated.is_empty() {
        stats.gated.add(gated.len() as u64);
        gates.wait(&gated, cx, vigil);
        turn.gated.borrow_mut().extend(gated);
    }
}

/// What opens gates, in one turn.
struct Gates<'a> {
    worker: &'a Worker,
    durability: Durability,
    judge: Judge<'a>,
}

impl<'a> Gates<'a> {
    fn new(worker: &'a Worker, rules: &Rules) -> Self {
        let shared = &worker.shared;
        let judge = Judge::new((&shared.instance, &shared.primary), (rules.sync_replicas, rules.sync_timeout));
        Self { worker, durability: rules.durability, judge }
    }

    #[inline]
    fn held(&self, shard: ShardId) -> u64 {
        gate::held(&self.worker.shared.instance, self.durability, shard)
    }

    fn send(&self, outbox: &Outbox, sent: &mut Sent) -> Stage {
        let standing = |pledge: &Pledge| {
            let standing = self.judge.standing(pledge);
            if let Some(error) = standing.error() {
                let stats = &self.worker.shared.stats;
                stats.unconfirmed.add(1);
                stats.count_error(error.as_bytes());
            }
            standing
        };
        outbox.send(&mut self.worker.spares.borrow_mut(), sent, |shard| self.held(shard), standing)
    }

    /// Has the next turn taken when the first of the shut gates may open.
    fn wait(&self, gated: &[Rc<Outbox>], cx: &mut Context<'_>, vigil: &mut Vigil) {
        let mut least = Least::default();
        // Until when the first of the replies waits that wait for replicas.
        let mut until: Option<Instant> = None;
        let mut is_open = false;
        for outbox in gated {
            let mut waits = false;
            outbox.each_unmet(
                |shard| self.held(shard),
                |shard, lsn| {
                    waits = true;
                    least.add(self.durability, shard, lsn);
                },
            );
            if !waits {
                outbox.see_front(|pledge| {
                    waits = self.judge.standing(pledge) == Standing::Waits;
                    let deadline = self.judge.deadline(pledge);
                    until = Some(until.map_or(deadline, |until| until.min(deadline)));
                    self.judge.unsynced(pledge).for_each(|(shard, lsn)| least.add(Durability::Synced, shard, lsn.0));
                });
            }
            is_open |= !waits;
        }
        let instance = &self.worker.shared.instance;
        let waits = |&(durability, shard, lsn): &(Durability, ShardId, u64)| {
            gate::wake_when_held(instance, durability, shard, lsn, cx.waker())
        };
        is_open |= !least.0.iter().all(waits);
        is_open |= until.is_some_and(|until| vigil.keep(until, cx).is_ready());
        if is_open {
            cx.waker().wake_by_ref();
        }
    }
}

/// The least position in each log that something waits for.
#[derive(Default)]
struct Least(SmallVec<[(Durability, ShardId, u64); 4]>);

impl Least {
    fn add(&mut self, durability: Durability, shard: ShardId, lsn: u64) {
        match self.0.iter_mut().find(|(kind, known, _)| (*kind, *known) == (durability, shard)) {
            Some((_, _, known)) => *known = lsn.min(*known),
            None => self.0.push((durability, shard, lsn)),
        }
    }
}

/// Watches what replies that wait for replicas wait for: acknowledgements, the role, the time. Costs nothing while none
/// does.
struct Vigil {
    shared: Arc<Shared>,
    acknowledged: watch::Receiver<u64>,
    /// The changes of the instance that were counted before the last look.
    seen: u64,
    watching: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Vigil {
    fn new(shared: &Arc<Shared>) -> Self {
        let (acknowledged, seen) = (shared.primary.acknowledgements(), shared.instance.changes().count());
        Self { shared: Arc::clone(shared), acknowledged, seen, watching: None }
    }

    /// Counts before the look, so that nothing falls between. A turn that nobody has watched for counts nothing: what it
    /// finds waiting is looked at once more.
    #[inline]
    fn begin_look(&mut self) {
        if self.watching.take().is_some() {
            self.acknowledged.borrow_and_update();
            self.seen = self.shared.instance.changes().count();
        }
    }

    /// Wakes the task when something has changed since the look began, or the time has come. Ready: that is so already.
    fn keep(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let (shared, mut acknowledged, seen) = (Arc::clone(&self.shared), self.acknowledged.clone(), self.seen);
        let watching = self.watching.insert(Box::pin(async move {
            tokio::select! {
                // The sender lives as long as the server.
                _ = acknowledged.changed() => {}
                () = poll_fn(|cx| changed(&shared, seen, cx)) => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }));
        watching.as_mut().poll(cx)
    }
}

/// Ready when something about the instance as a whole has changed since `seen` was counted.
fn changed(shared: &Shared, seen: u64, cx: &Context<'_>) -> Poll<()> {
    let changes = shared.instance.changes();
    // It may say so early when very many wait.
    match changes.poll(seen, cx.waker()) {
        Poll::Ready(()) if changes.count() > seen => Poll::Ready(()),
        Poll::Ready(()) | Poll::Pending => Poll::Pending,
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
            let stage = Gates::new(&worker, &worker.rules()).send(&outbox, &mut sent);
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
