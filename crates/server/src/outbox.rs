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
//! Two generations, so that a session that goes on producing does not move the gate of what is already waiting.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use engine::ShardId;
use resp::{Protocol, Reply};
use tokio::task::AbortHandle;

use crate::client::{ClientInfo, Kill};
use crate::gate::Marks;
use crate::socket::Writer;

/// Buffers for output that are kept for the next session that needs one, and how large each may be.
const SPARE_BUFFERS: usize = 64;
const SPARE_BUFFER_BYTES: usize = 64 << 10;

/// Where an outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is to be sent.
    Idle,
    /// The next turn looks at it.
    Pending,
    /// It waits for a log. Its deadline is the log's: with a full disk there is none, as documented.
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
    /// The session's task, when it waits for the end of the output.
    waiter: RefCell<Option<Waker>>,
    /// The task that waits for the socket.
    drain: RefCell<Option<AbortHandle>>,
}

/// The bytes of an outbox.
pub(crate) struct Output {
    sending: Vec<u8>,
    sent: usize,
    sending_marks: Marks,
    /// What commands write to.
    pub next: Reply,
    /// What `next` shows.
    pub next_marks: Marks,
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
            next: Reply::new(Protocol::Resp2),
            next_marks: Marks::default(),
        }
    }

    /// Bytes that have not been sent.
    pub(crate) fn waiting(&self) -> usize {
        self.sending.len() - self.sent + self.next.len()
    }

    /// Makes `next` ready for commands to write to.
    pub(crate) fn prepare(&mut self, protocol: Protocol, spares: &mut Spares) {
        if self.next.is_empty() {
            self.next = Reply::with_buffer(spares.take(), protocol);
        }
        self.next.set_protocol(protocol);
    }

    /// Sends what may be sent and what the socket takes. `held` says how far a log is.
    fn send(
        &mut self,
        spares: &mut Spares,
        sent: &mut Sent,
        held: &mut impl FnMut(ShardId) -> u64,
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
            }
            if !self.sending_marks.passed(&mut *held) {
                return Stage::Gated;
            }
            match write(&self.sending[self.sent..]) {
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

    /// Sends what can be sent, and says where that leaves it.
    pub(crate) fn send(&self, spares: &mut Spares, sent: &mut Sent, mut held: impl FnMut(ShardId) -> u64) -> Stage {
        if self.stage.get() == Stage::Broken {
            return Stage::Broken;
        }
        let mut output = self.output.borrow_mut();
        let before = self.stage.get();
        let stage = output.send(spares, sent, &mut held, &mut |bytes| self.writer.try_write(bytes));
        let waited = matches!(before, Stage::Gated | Stage::Full);
        if waited || stage != Stage::Idle {
            self.info.output_bytes.store(output.waiting(), Ordering::Relaxed);
        }
        drop(output);
        if stage == Stage::Broken {
            self.break_off();
            self.info.kill(Kill::Now);
        } else {
            self.stage.set(stage);
        }
        if stage == Stage::Idle {
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

    /// A socket that takes `room` bytes, and a log that holds everything below `held`.
    struct World {
        output: Output,
        spares: Spares,
        wire: Vec<u8>,
        room: usize,
        held: u64,
    }

    impl World {
        fn new() -> Self {
            Self { output: Output::new(), spares: Spares::default(), wire: Vec::new(), room: usize::MAX, held: 0 }
        }

        fn reply(&mut self, text: &str, lsn: u64) {
            self.output.prepare(Protocol::Resp2, &mut self.spares);
            self.output.next.raw(text.as_bytes());
            self.output.next_marks.raise(&[(ShardId { database: 0, incarnation: 0 }, lsn)]);
        }

        fn send(&mut self) -> Stage {
            let Self { output, spares, wire, room, held } = self;
            output.send(spares, &mut Sent::default(), &mut |_| *held, &mut |bytes| {
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
