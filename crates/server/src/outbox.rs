//! What a session has to send, in order, each part behind its gate.
//!
//! ```text
//!   commands ──▶ next (bytes, marks) ──promote──▶ sending (bytes, marks) ──gate──▶ socket
//!
//!   Idle ──join──▶ Pending ──turn──▶ all sent: Idle
//!    ▲                │
//!    │                ├── the gate is shut: Gated ── next turn that finds it open ──▶ as Pending
//!    │                ├── the socket is full: Full ── a task waits until it takes more ──▶ as Pending
//!    └────────────────┴── the socket fails: Broken, for ever; output is dropped
//! ```
//!
//! Two generations, so that a session that goes on producing does not move the gate of what is already waiting. Within
//! them, replies of writes that replicas must confirm stand between bytes that need not wait for them:
//!
//! ```text
//!   sending:  sent │ may leave │ reply with a pledge │ bytes │ reply with a pledge │ bytes
//!                              └─ nothing from here on leaves before it is settled: confirmed, or replaced by an error
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use engine::ShardId;
use resp::{Protocol, Reply};
use tokio::task::AbortHandle;

use crate::client::{ClientInfo, Kill};
use crate::gate::Marks;
use crate::pledge::{Pledge, Standing};
use crate::socket::Writer;

/// Buffers for output that are kept for the next session that needs one, and how large each may be.
const SPARE_BUFFERS: usize = 64;
const SPARE_BUFFER_BYTES: usize = 64 << 10;

/// While replies wait for replicas, a session that has so many of them, or so many bytes of output, runs nothing more.
const MAX_PROMISES: usize = 4096;
const MAX_PROMISED_BYTES: usize = 1 << 20;

/// Where an outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is to be sent.
    Idle,
    /// The next turn looks at it.
    Pending,
    /// It waits for a log, whose deadline it has: with a full disk there is none, as documented. Or it waits for
    /// replicas, as long as `repl-sync-timeout` says.
    Gated,
    /// It waits for its socket.
    Full,
    /// Its socket failed, or its session is over.
    Broken,
}

/// What one try to send came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub bytes: usize,
    pub writes: u64,
}

/// The output of a session.
pub(crate) struct Outbox {
    pub info: Arc<ClientInfo>,
    pub writer: Writer,
    stage: Cell<Stage>,
    output: RefCell<Output>,
    /// The session's task, when it waits for the end of the output, or for less of it.
    waiter: RefCell<Option<Waker>>,
    /// The task that waits for the socket.
    drain: RefCell<Option<AbortHandle>>,
}

/// The bytes of an outbox.
pub(crate) struct Output {
    sending: Vec<u8>,
    sent: usize,
    sending_marks: Marks,
    /// Replies in `sending` that must not leave yet, in order.
    sending_promises: VecDeque<Promise>,
    /// What commands write to.
    pub next: Reply,
    /// What `next` shows.
    pub next_marks: Marks,
    /// Replies in `next` that must not leave before replicas have confirmed something, in order.
    pub next_promises: VecDeque<Promise>,
}

/// A reply that must not leave yet.
#[derive(Debug)]
pub(crate) struct Promise {
    /// Where it lies.
    pub at: Range<usize>,
    /// What must have happened.
    pub pledge: Pledge,
}

/// Notes that a reply must not leave yet; one that is muted has no bytes.
pub(crate) fn promise(promises: &mut VecDeque<Promise>, at: Range<usize>, pledge: Pledge) {
    if !at.is_empty() {
        promises.push_back(Promise { at, pledge });
    }
}

/// Buffers without an owner.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl Spares {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let fits = (1..=SPARE_BUFFER_BYTES).contains(&buffer.capacity());
        if fits && self.0.len() < SPARE_BUFFERS {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

impl Output {
    fn new() -> Self {
        Self {
            sending: Vec::new(),
            sent: 0,
            sending_marks: Marks::default(),
            sending_promises: VecDeque::new(),
            next: Reply::new(Protocol::Resp2),
            next_marks: Marks::default(),
            next_promises: VecDeque::new(),
        }
    }

    /// Bytes that have not been sent, and what is kept beside them.
    pub(crate) fn waiting(&self) -> usize {
        self.sending.len() - self.sent + self.next.len() + self.promises() * size_of::<Promise>()
    }

    /// The reply from `mark` on must not leave before its pledge is settled; there is none if it is muted.
    pub(crate) fn promise(&mut self, mark: usize, pledge: Pledge) {
        promise(&mut self.next_promises, mark..self.next.len(), pledge);
    }

    /// How many replies wait for replicas.
    fn promises(&self) -> usize {
        self.sending_promises.len() + self.next_promises.len()
    }

    /// Whether so much waits for replicas that nothing more should be added.
    fn is_full(&self) -> bool {
        let promises = self.promises();
        promises > 0 && (promises >= MAX_PROMISES || self.waiting() >= MAX_PROMISED_BYTES)
    }

    /// Makes `next` ready for commands to write to.
    pub(crate) fn prepare(&mut self, protocol: Protocol, spares: &mut Spares) {
        if self.next.is_empty() {
            self.next = Reply::with_buffer(spares.take(), protocol);
        }
        self.next.set_protocol(protocol);
    }

    /// Settles the replies at the front that are no longer in doubt, and says up to where bytes may leave.
    fn settle(&mut self, standing: &mut impl FnMut(&Pledge) -> Standing) -> usize {
        // What is kept up to `from`, once something is replaced.
        let (mut kept, mut from) = (Vec::new(), self.sent);
        while let Some(promise) = self.sending_promises.front() {
            let standing = standing(&promise.pledge);
            if standing == Standing::Waits {
                break;
            }
            if let Some(text) = standing.error() {
                kept.extend_from_slice(&self.sending[from..promise.at.start]);
                // The same in both protocols.
                kept.extend([b"-", text.as_bytes(), b"\r\n"].concat());
                from = promise.at.end;
            }
            self.sending_promises.pop_front();
        }
        if from > self.sent {
            let base = kept.len();
            kept.extend_from_slice(&self.sending[from..]);
            for Promise { at, .. } in &mut self.sending_promises {
                *at = at.start - from + base..at.end - from + base;
            }
            (self.sending, self.sent) = (kept, 0);
        }
        self.sending_promises.front().map_or(self.sending.len(), |promise| promise.at.start)
    }

    /// Sends what may be sent and what the socket takes. `held` says how far a log is.
    fn send(
        &mut self,
        spares: &mut Spares,
        sent: &mut Sent,
        held: &mut impl FnMut(ShardId) -> u64,
        standing: &mut impl FnMut(&Pledge) -> Standing,
        write: &mut impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> Stage {
        loop {
            if self.sent == self.sending.len() {
                spares.give(std::mem::take(&mut self.sending));
                self.sent = 0;
                if self.next.is_empty() {
                    return Stage::Idle;
                }
                self.sending = self.next.take();
                std::mem::swap(&mut self.sending_marks, &mut self.next_marks);
                self.next_marks.clear();
                std::mem::swap(&mut self.sending_promises, &mut self.next_promises);
            }
            if !self.sending_marks.passed(&mut *held) {
                return Stage::Gated;
            }
            let end = if self.sending_promises.is_empty() { self.sending.len() } else { self.settle(standing) };
            if end == self.sent {
                return Stage::Gated;
            }
            match write(&self.sending[self.sent..end]) {
                Ok(0) => return Stage::Broken,
                Ok(bytes) => {
                    self.sent += bytes;
                    sent.bytes += bytes;
                    sent.writes += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Stage::Full,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Stage::Broken,
            }
        }
    }
}

impl Outbox {
    pub(crate) fn new(info: Arc<ClientInfo>, writer: Writer) -> Self {
        Self {
            info,
            writer,
            stage: Cell::new(Stage::Idle),
            output: RefCell::new(Output::new()),
            waiter: RefCell::default(),
            drain: RefCell::default(),
        }
    }

    /// Whether everything was sent, and can be.
    pub(crate) fn is_idle(&self) -> bool {
        self.stage.get() == Stage::Idle
    }

    /// For the commands of a batch.
    pub(crate) fn output(&self) -> std::cell::RefMut<'_, Output> {
        self.output.borrow_mut()
    }

    /// Says that there is output. `true`: the caller hands the outbox to the next turn.
    #[must_use]
    pub(crate) fn join(&self) -> bool {
        let idle = self.stage.get() == Stage::Idle;
        if idle {
            self.stage.set(Stage::Pending);
        }
        idle
    }

    /// Lets others see how much waits, where no turn does: one that is waited for is not looked at until it may go on.
    pub(crate) fn show_waiting(&self, waiting: usize) {
        match self.stage.get() {
            Stage::Gated | Stage::Full => self.info.output_bytes.store(waiting, Ordering::Relaxed),
            // The turn tells what it could not send.
            Stage::Idle | Stage::Pending | Stage::Broken => {}
        }
    }

    /// Sends what can be sent, and says where that leaves it.
    pub(crate) fn send(
        &self,
        spares: &mut Spares,
        sent: &mut Sent,
        mut held: impl FnMut(ShardId) -> u64,
        mut standing: impl FnMut(&Pledge) -> Standing,
    ) -> Stage {
        if self.stage.get() == Stage::Broken {
            return Stage::Broken;
        }
        let mut output = self.output.borrow_mut();
        let before = self.stage.get();
        let stage = output.send(spares, sent, &mut held, &mut standing, &mut |bytes| self.writer.try_write(bytes));
        let waited = matches!(before, Stage::Gated | Stage::Full);
        if waited || stage != Stage::Idle {
            self.info.output_bytes.store(output.waiting(), Ordering::Relaxed);
            self.info.is_gated.store(stage == Stage::Gated, Ordering::Relaxed);
        }
        drop(output);
        if stage == Stage::Broken {
            self.break_off();
            self.info.kill(Kill::Now);
        } else {
            self.stage.set(stage);
        }
        if stage == Stage::Idle || !self.is_full() {
            self.wake_waiter();
        }
        stage
    }

    /// The least position in each log that what is being sent still waits for.
    pub(crate) fn each_unmet(&self, mut held: impl FnMut(ShardId) -> u64, mut unmet: impl FnMut(ShardId, u64)) {
        for &(shard, lsn) in self.output.borrow().sending_marks.as_gate() {
            if held(shard) < lsn {
                unmet(shard, lsn);
            }
        }
    }

    /// Shows what the reply at the front of what is being sent waits for, if it is more than a log.
    pub(crate) fn see_front(&self, see: impl FnOnce(&Pledge)) {
        if let Some(promise) = self.output.borrow().sending_promises.front() {
            see(&promise.pledge);
        }
    }

    /// Whether so much waits for replicas that the session should not go on. What waits for a client that sends before it
    /// reads is another matter: the client would wait for the session, too.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.stage.get(), Stage::Gated | Stage::Pending) && self.output.borrow().is_full()
    }

    /// Ready when the session may go on.
    pub(crate) fn poll_room(&self, waker: &Waker) -> Poll<()> {
        if !self.is_full() {
            return Poll::Ready(());
        }
        *self.waiter.borrow_mut() = Some(waker.clone());
        Poll::Pending
    }

    /// Remembers the task that waits for the socket.
    pub(crate) fn drained_by(&self, task: AbortHandle) {
        *self.drain.borrow_mut() = Some(task);
    }

    /// Ready when everything is sent, or nothing more ever will be.
    pub(crate) fn poll_empty(&self, waker: &Waker) -> Poll<()> {
        if matches!(self.stage.get(), Stage::Idle | Stage::Broken) {
            return Poll::Ready(());
        }
        *self.waiter.borrow_mut() = Some(waker.clone());
        Poll::Pending
    }

    /// Drops what was not sent; nothing is sent any more.
    pub(crate) fn break_off(&self) {
        self.stage.set(Stage::Broken);
        *self.output.borrow_mut() = Output::new();
        if let Some(task) = self.drain.borrow_mut().take() {
            task.abort();
        }
        self.wake_waiter();
    }

    fn wake_waiter(&self) {
        if let Some(waker) = self.waiter.borrow_mut().take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that takes `room` bytes, a log that holds everything below `held`, and what became of pledges, by the LSN
    /// of each; the others wait.
    struct World {
        output: Output,
        spares: Spares,
        wire: Vec<u8>,
        room: usize,
        held: u64,
        settled: Vec<(u64, Standing)>,
    }

    const SHARD: ShardId = ShardId { database: 0, incarnation: 0 };

    impl World {
        fn new() -> Self {
            let (output, spares) = (Output::new(), Spares::default());
            Self { output, spares, wire: Vec::new(), room: usize::MAX, held: 0, settled: Vec::new() }
        }

        /// The reply of a write that replicas must confirm; the log holds it already.
        fn promise(&mut self, text: &str, lsn: u64) {
            self.reply(text, 0);
            let mark = self.output.next.len() - text.len();
            self.output.promise(mark, Pledge::at(SHARD, lsn));
        }

        fn reply(&mut self, text: &str, lsn: u64) {
            self.output.prepare(Protocol::Resp2, &mut self.spares);
            self.output.next.raw(text.as_bytes());
            self.output.next_marks.raise(&[(SHARD, lsn)]);
        }

        fn send(&mut self) -> Stage {
            let Self { output, spares, wire, room, held, settled } = self;
            let mut standing = |pledge: &Pledge| {
                let own = settled.iter().find(|(lsn, _)| pledge.is_at(SHARD, *lsn));
                own.map_or(Standing::Waits, |(_, standing)| *standing)
            };
            output.send(spares, &mut Sent::default(), &mut |_| *held, &mut standing, &mut |bytes| {
                let taken = bytes.len().min(*room);
                if taken == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                *room -= taken;
                wire.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            })
        }

        fn wire(&self) -> &str {
            std::str::from_utf8(&self.wire).unwrap()
        }
    }

    #[test]
    fn nothing_leaves_before_its_gate() {
        let mut world = World::new();
        world.reply("a", 10);
        assert_eq!(world.send(), Stage::Gated);
        world.held = 9;
        assert_eq!((world.send(), world.wire()), (Stage::Gated, ""));
        world.held = 10;
        assert_eq!((world.send(), world.wire()), (Stage::Idle, "a"));
    }

    #[test]
    fn later_output_does_not_move_the_gate_of_what_waits() {
        let mut world = World::new();
        world.reply("a", 10);
        assert_eq!(world.send(), Stage::Gated);
        world.reply("b", 20);
        world.held = 10;
        assert_eq!((world.send(), world.wire()), (Stage::Gated, "a"));
        world.reply("c", 30);
        world.held = 29;
        assert_eq!((world.send(), world.wire()), (Stage::Gated, "ab"));
        world.held = 30;
        assert_eq!((world.send(), world.wire()), (Stage::Idle, "abc"));
    }

    #[test]
    fn a_full_socket_goes_on_at_the_very_byte() {
        let mut world = World::new();
        world.reply("hello", 0);
        world.room = 2;
        assert_eq!((world.send(), world.output.waiting()), (Stage::Full, 3));
        world.reply(" world", 0);
        world.room = 5;
        assert_eq!((world.send(), world.wire()), (Stage::Full, "hello w"));
        world.room = 100;
        assert_eq!((world.send(), world.wire()), (Stage::Idle, "hello world"));
        assert_eq!(world.output.waiting(), 0);
    }

    fn line(standing: Standing) -> String {
        format!("-{}\r\n", standing.error().unwrap())
    }

    #[test]
    fn a_reply_leaves_when_it_is_confirmed_and_those_after_it_not_before() {
        let mut world = World::new();
        world.reply("a", 0);
        world.promise("b", 10);
        world.reply("c", 0);
        world.promise("d", 20);
        world.reply("e", 0);
        assert_eq!((world.send(), world.wire()), (Stage::Gated, "a"));
        assert_eq!((world.send(), world.wire()), (Stage::Gated, "a"), "and again");
        world.settled = vec![(20, Standing::Confirmed)];
        assert_eq!((world.send(), world.wire()), (Stage::Gated, "a"), "in order");
        world.settled.push((10, Standing::Confirmed));
        world.promise("f", 30);
        assert_eq!((world.send(), world.wire()), (Stage::Gated, "abcde"));
        world.settled.push((30, Standing::Confirmed));
        assert_eq!((world.send(), world.wire()), (Stage::Idle, "abcdef"));
        assert_eq!(world.output.waiting(), 0);
    }

    #[test]
    fn a_reply_is_replaced_by_an_error_and_those_around_it_stay() {
        let mut world = World::new();
        for (text, lsn) in [("b", 10), ("long reply", 20), ("d", 30), ("e", 40)] {
            world.reply("r", 0);
            world.promise(text, lsn);
        }
        world.reply("end", 0);
        world.settled = vec![
            (10, Standing::Confirmed),
            (20, Standing::Unconfirmed),
            (30, Standing::Deposed),
            (40, Standing::Waits),
        ];
        let (unconfirmed, deposed) = (line(Standing::Unconfirmed), line(Standing::Deposed));
        let first = format!("rbr{unconfirmed}r{deposed}r");
        assert_eq!((world.send(), world.wire()), (Stage::Gated, first.as_str()));
        assert_ne!(unconfirmed, deposed);
        world.settled[3].1 = Standing::Unconfirmed;
        let all = format!("{first}{unconfirmed}end");
        assert_eq!((world.send(), world.wire()), (Stage::Idle, all.as_str()));
        world.reply("more", 0);
        assert_eq!((world.send(), world.wire()), (Stage::Idle, format!("{all}more").as_str()));
    }

    #[test]
    fn an_error_that_a_socket_takes_in_pieces_is_whole() {
        let mut world = World::new();
        world.promise("b", 10);
        world.reply("c", 0);
        world.settled = vec![(10, Standing::Unconfirmed)];
        let all = format!("{}c", line(Standing::Unconfirmed));
        for sent in (7..all.len()).step_by(7) {
            world.room = 7;
            assert_eq!((world.send(), world.wire()), (Stage::Full, &all[..sent]));
        }
        world.room = 7;
        assert_eq!((world.send(), world.wire()), (Stage::Idle, all.as_str()));
    }

    #[test]
    fn the_log_comes_before_the_replicas() {
        let mut world = World::new();
        world.promise("b", 10);
        world.output.next_marks.raise(&[(SHARD, 10)]);
        world.settled = vec![(10, Standing::Unconfirmed)];
        assert_eq!((world.send(), world.wire()), (Stage::Gated, ""), "not even the error");
        world.held = 10;
        assert_eq!((world.send(), world.wire()), (Stage::Idle, line(Standing::Unconfirmed).as_str()));
    }

    #[test]
    fn a_muted_reply_waits_for_nobody() {
        let mut world = World::new();
        world.reply("a", 0);
        world.output.promise(1, Pledge::at(SHARD, 10));
        assert_eq!((world.send(), world.wire()), (Stage::Idle, "a"));
    }

    #[test]
    fn what_waits_for_replicas_is_bounded() {
        let mut world = World::new();
        let large = "x".repeat(MAX_PROMISED_BYTES);
        world.reply(&large, 0);
        assert!(!world.output.is_full(), "nothing waits for replicas");
        world.promise("b", 10);
        assert!(world.output.is_full());
        assert_eq!(world.send(), Stage::Gated);
        assert!(!world.output.is_full(), "what may leave has left");
        for _ in 1..MAX_PROMISES {
            world.promise("c", 20);
        }
        assert!(world.output.is_full());
        assert!(world.output.waiting() > MAX_PROMISES * size_of::<Promise>());
        world.settled = vec![(10, Standing::Confirmed)];
        assert_eq!(world.send(), Stage::Gated);
        assert!(!world.output.is_full());
    }

    #[test]
    fn spare_buffers_are_bounded() {
        let mut spares = Spares::default();
        spares.give(Vec::new());
        spares.give(Vec::with_capacity(SPARE_BUFFER_BYTES + 1));
        assert!(spares.0.is_empty());
        (0..2 * SPARE_BUFFERS).for_each(|_| spares.give(Vec::with_capacity(10)));
        assert_eq!(spares.0.len(), SPARE_BUFFERS);
    }
}
