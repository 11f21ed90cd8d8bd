//! A session: one client's connection, from its first byte to its last.
//!
//! ```text
//!        ┌──────── every whole command is run ────────┐
//!        ▼                                            │
//!   Drained ──bytes──▶ batch ──▶ More: others first ──┤
//!                        │                            │
//!                        ├─────▶ Wait: desk, room, .. ┘    no further command runs meanwhile
//!                        └─────▶ End: what is to be sent is sent, then the socket is closed
//! ```
//!
//! A session between two requests holds no buffer: it reads into the worker's, and keeps only the bytes of a request
//! that is not whole. A request that does not fit there gets a buffer of its own, which grows with what has arrived, not
//! with what was announced.

pub(crate) mod batch;
mod blocked;
pub(crate) mod crowd;
mod exec;
pub(crate) mod window;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use replication::primary::{Arrival, Opening};
use resp::{Parser, Reply};

use crate::acknowledged;
use crate::client::{ClientInfo, Kill, Place, Waits};
use crate::desk::{Answer, Next, Task};
use crate::gate::Marks;
use crate::links::LinkClient;
use crate::outbox::Outbox;
use crate::pause::Nature;
use crate::rules::Rules;
use crate::session::batch::{Batch, Halt, Need, Why, end_reply};
use crate::session::crowd::Crowd;
use crate::session::window::Window;
use crate::session_commands::links;
use crate::session_commands::waits::Awaited;
use crate::shared::clock;
use crate::socket::{self, Reader, Writer};
use crate::state::{Replies, SessionState};
use crate::waiting::Blocked;
use crate::worker::Worker;

/// How long a client may take to read its last replies.
const LAST_REPLIES: Duration = Duration::from_secs(5);
/// The most bytes of an unfinished request that are copied in front of a read into the worker's buffer.
const SHARED_PREFIX: usize = 16 << 10;
/// A buffer of a session's own grows at least by so much.
const MIN_GROWTH: usize = 32 << 10;
/// A request of at least so many bytes takes its buffer along to the desk instead of being copied.
const MOVED_REQUEST: usize = 64 << 10;

/// The buffers that the sessions of a worker read into, one after the other.
pub(crate) struct Reading {
    buffer: Vec<u8>,
    window: Window,
    pub crowd: Crowd,
}

impl Reading {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), window: Window::default(), crowd: Crowd::default() }
    }
}

/// A session.
pub(crate) struct Session {
    worker: Rc<Worker>,
    reader: Reader,
    outbox: Rc<Outbox>,
    state: SessionState,
    parser: Parser,
    /// Received and not executed.
    input: Vec<u8>,
    /// Below so many bytes of input there is no whole request.
    wanted: usize,
    /// What was read is run when the others have read.
    held: bool,
    place: Place,
    seat: Seat,
}

/// A session's place among those of its worker.
struct Seat(Rc<Worker>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// What a session does next.
enum Step {
    /// Read: there is no whole request.
    Drained,
    /// Go on once others have had their turn.
    More,
    /// Go on when something has happened.
    Wait(Wait),
    /// Stop.
    End(End),
}

enum Wait {
    Desk(Task),
    Room,
    Log,
    Pause(Nature),
    Sleep(Duration),
    /// For something to come. Its deadline is the client's.
    Blocked(Blocked),
    Acknowledged(Awaited),
    /// Until less of the output waits for replicas. Its deadline is `repl-sync-timeout`.
    Confirmed,
    /// Until it is killed: the server ends. Its deadline is the server's.
    Killed,
}

enum End {
    /// At once.
    Now,
    /// When the replies are sent.
    AfterReplies,
    /// Likewise; but the connection lives on as a link.
    Link(Box<Opening>),
}

/// The bytes of a batch.
enum Bytes<'a> {
    /// The worker's buffer.
    Shared(&'a [u8]),
    /// The session's own.
    Own(Vec<u8>),
}

impl Bytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    /// What begins at `at`, in as little memory as that takes.
    fn rest(self, at: usize) -> Vec<u8> {
        match self {
            Self::Own(mut bytes) if bytes.len() - at > SHARED_PREFIX => {
                bytes.drain(..at);
                bytes
            }
            Self::Own(_) | Self::Shared(_) => self.as_slice()[at..].to_vec(),
        }
    }

    /// The request of `len` bytes at `at`, as bytes and where it begins in them, and what follows it.
    fn cut(self, at: usize, len: usize) -> (Vec<u8>, usize, Vec<u8>) {
        let end = at + len;
        match self {
            Self::Own(mut bytes) if len >= MOVED_REQUEST => {
                let rest = bytes[end..].to_vec();
                bytes.truncate(end);
                (bytes, at, rest)
            }
            Self::Own(_) | Self::Shared(_) => {
                let request = self.as_slice()[at..end].to_vec();
                (request, 0, self.rest(end))
            }
        }
    }
}

impl Session {
    pub(crate) fn new(
        worker: Rc<Worker>,
        (reader, writer): (Reader, Writer),
        info: Arc<ClientInfo>,
        place: Place,
    ) -> Self {
        let state = SessionState::new(Arc::clone(&info), &worker.rules().config);
        let seat = Seat(Rc::clone(&worker));
        Self {
            worker,
            reader,
            outbox: Rc::new(Outbox::new(info, writer)),
            state,
            parser: Parser::new(),
            input: Vec::new(),
            wanted: 1,
            held: false,
            place,
            seat,
        }
    }

    /// Serves the client until it goes or is closed.
    ///
    /// Ten thousand of these futures lie in memory: what is rare is boxed.
    pub(crate) fn serve(self) -> impl Future<Output = ()> {
        let mut session = self;
        async move {
            match session.live().await {
                End::Now => {}
                End::AfterReplies => Box::pin(session.send_the_rest()).await,
                End::Link(opening) => return Box::pin(session.become_link(*opening)).await,
            }
            session.outbox.break_off();
        }
    }

    /// Waits until the replies are sent. A client that does not read them does not get them.
    async fn send_the_rest(&self) {
        let sent = poll_fn(|cx| match self.state.info.killed() {
            Some(Kill::Now) => Poll::Ready(()),
            Some(Kill::AfterReplies) | None => self.outbox.poll_empty(cx.waker()),
        });
        // Replies that wait for replicas take their time before the client takes its.
        let rules = self.worker.rules();
        let confirmed = if rules.sync_replicas > 0 { rules.sync_timeout } else { Duration::ZERO };
        let _ = tokio::time::timeout(LAST_REPLIES + confirmed, sent).await;
    }

    /// Gives the connection to the links thread, once the replies are sent.
    async fn become_link(self, opening: Opening) {
        self.send_the_rest().await;
        let Self { worker, reader, outbox, state, input, place, seat, .. } = self;
        // A client that did not read its replies, or that was killed, gets no link.
        if !outbox.is_idle() || state.info.killed().is_some() {
            return outbox.break_off();
        }
        // Nobody else has an outbox that is idle.
        let Ok(Outbox { writer, .. }) = Rc::try_unwrap(outbox) else { return };
        let Ok(socket) = socket::rejoin(reader, writer) else { return };
        let info = state.info;
        info.is_link.store(true, Ordering::Relaxed);
        let announced = links::announced(state.announced.as_deref(), &info.ends.peer);
        let client = Box::new(LinkClient { info, _place: place });
        let arrival = Arrival { socket, input, opening, announced, client };
        if !worker.shared.primary.take(arrival) {
            tracing::warn!("a replica's link is closed: too many come at a time");
        }
        drop(seat);
    }

    async fn live(&mut self) -> End {
        let mut step = Step::Drained;
        loop {
            if self.outbox.is_full() {
                Box::pin(self.wait(Wait::Confirmed)).await;
            }
            step = match step {
                Step::Drained => poll_fn(|cx| self.poll_receive(cx)).await,
                Step::More => {
                    tokio::task::yield_now().await;
                    self.go_on()
                }
                Step::Wait(wait) => {
                    self.state.info.is_waiting.store(true, Ordering::Relaxed);
                    Box::pin(self.wait(wait)).await;
                    self.state.info.is_waiting.store(false, Ordering::Relaxed);
                    self.go_on()
                }
                Step::End(end) => return end,
            }
        }
    }

    fn killed(&self) -> Option<End> {
        self.state.info.killed().map(|how| match how {
            Kill::Now => End::Now,
            Kill::AfterReplies => End::AfterReplies,
        })
    }

    /// Reads, and runs what has become whole.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        self.state.info.watch(cx.waker());
        if let Some(end) = self.killed() {
            return Poll::Ready(Step::End(end));
        }
        if std::mem::take(&mut self.held) {
            return Poll::Ready(self.go_on());
        }
        let worker = Rc::clone(&self.worker);
        let mut reading = worker.reading.borrow_mut();
        let Reading { buffer, window, crowd } = &mut *reading;
        if self.input.len() <= SHARED_PREFIX && self.wanted < buffer.capacity() {
            buffer.clear();
            buffer.extend_from_slice(&self.input);
            let got = ready!(self.reader.poll_read(cx, buffer));
            if let Some(step) = self.received(got) {
                return Poll::Ready(step);
            }
            if self.input.is_empty() && self.is_held(crowd, buffer) {
                self.input = buffer.as_slice().to_vec();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.input = Vec::new();
            let halt = self.run(window, buffer);
            return Poll::Ready(self.conclude(halt, Bytes::Shared(buffer)));
        }
        loop {
            self.grow();
            let mut input = std::mem::take(&mut self.input);
            let got = self.reader.poll_read(cx, &mut input);
            self.input = input;
            if let Some(step) = self.received(ready!(got)) {
                return Poll::Ready(step);
            }
            if self.input.len() >= self.wanted {
                let input = std::mem::take(&mut self.input);
                let halt = self.run(window, &input);
                return Poll::Ready(self.conclude(halt, Bytes::Own(input)));
            }
            if let Some(step) = self.over_input_limit() {
                return Poll::Ready(step);
            }
        }
    }

    /// Whether what was read is run only when the others have read.
    #[inline]
    fn is_held(&mut self, crowd: &mut Crowd, bytes: &[u8]) -> bool {
        let limits = || self.worker.rules().limits(self.state.trust);
        self.held = crowd.holds(&self.worker.shared.instance, (self.state.database, limits), bytes);
        if self.held {
            self.worker.stats().held.add(1);
        }
        self.held
    }

    /// Makes room in the session's own buffer: for the rest of the request, but at most as much as is there already.
    fn grow(&mut self) {
        let len = self.input.len();
        if len == self.input.capacity() {
            let missing = self.wanted.saturating_sub(len).max(1);
            self.input.reserve_exact(missing.min(len.max(MIN_GROWTH)));
        }
    }

    /// Counts what was read. `Some`: it was the end.
    fn received(&mut self, got: std::io::Result<usize>) -> Option<Step> {
        match got {
            Ok(0) => Some(Step::End(End::AfterReplies)),
            Ok(bytes) => {
                let stats = self.worker.stats();
                stats.net_in.add(bytes as u64);
                stats.reads.add(1);
                None
            }
            Err(_) => Some(Step::End(End::Now)),
        }
    }

    /// Runs what was received and is whole, without reading.
    fn go_on(&mut self) -> Step {
        if let Some(end) = self.killed() {
            return Step::End(end);
        }
        let worker = Rc::clone(&self.worker);
        let mut reading = worker.reading.borrow_mut();
        let input = std::mem::take(&mut self.input);
        reading.crowd.look(&worker.shared.instance);
        let halt = self.run(&mut reading.window, &input);
        self.conclude(halt, Bytes::Own(input))
    }

    /// Runs the whole requests of `bytes` and hands their output to the turn.
    fn run(&mut self, window: &mut Window, bytes: &[u8]) -> Halt {
        let rules = self.worker.rules();
        let now = clock();
        let halt = {
            let mut tools = self.worker.tools.borrow_mut();
            let mut output = self.outbox.output();
            let output = &mut *output;
            output.prepare(self.state.protocol, &mut self.worker.spares.borrow_mut());
            let mut batch = Batch {
                shared: &self.worker.shared,
                stats: self.worker.stats(),
                rules: &rules,
                tools: &mut tools,
                desk: &self.worker.desk,
                state: &mut self.state,
                reply: &mut output.next,
                promises: &mut output.next_promises,
                marks: Marks::default(),
                changed: Marks::default(),
                pledge: None,
                clock: now,
                meter: Batch::begin_meter(),
            };
            let halt = batch.run(&mut self.parser, window, bytes);
            let Batch { marks, changed, .. } = batch;
            self.worker.turn.touch(&marks);
            if !changed.as_gate().is_empty() {
                self.worker.turn.promise(changed.as_gate());
            }
            output.next_marks.raise(marks.as_gate());
            self.state.seen.raise(marks.as_gate());
            halt
        };
        self.state.info.last_active.store(now.0, Ordering::Relaxed);
        self.hand_over(&rules);
        halt
    }

    /// Has the output sent, unless there is too much of it.
    fn hand_over(&self, rules: &Rules) {
        let (waiting, fresh) = {
            let output = self.outbox.output();
            (output.waiting(), output.next.is_empty())
        };
        if fresh {
            return;
        }
        self.outbox.show_waiting(waiting);
        self.worker.turn.join(&self.outbox);
        let limit = rules.output_limit();
        if limit.hard > 0 && waiting as u64 > limit.hard {
            self.worker.shared.stats.closed_output_limit.add(1);
            tracing::warn!(
                peer = self.state.info.ends.peer,
                bytes = waiting,
                "closing a client: too much unread output"
            );
            self.state.info.kill(Kill::Now);
        }
    }

    /// Keeps what a batch left, and says what comes next.
    fn conclude(&mut self, halt: Halt, bytes: Bytes<'_>) -> Step {
        let Halt { at, why } = halt;
        let step = match why {
            Why::Incomplete { wanted } => {
                self.wanted = wanted;
                self.input = bytes.rest(at);
                Step::Drained
            }
            Why::Full => {
                self.input = bytes.rest(at);
                Step::More
            }
            Why::Needs { len, need } => self.need(need, bytes, at, len),
            Why::Close | Why::Protocol => return Step::End(End::AfterReplies),
        };
        self.state.info.input_bytes.store(self.input.len(), Ordering::Relaxed);
        self.state.info.input_memory.store(self.input.capacity(), Ordering::Relaxed);
        self.over_input_limit().unwrap_or(step)
    }

    fn need(&mut self, need: Need, bytes: Bytes<'_>, at: usize, len: usize) -> Step {
        let wait = match need {
            Need::Link(opening) => {
                self.input = bytes.rest(at + len);
                return Step::End(End::Link(opening));
            }
            Need::Desk(breadth) => {
                self.worker.stats().to_desk.add(1);
                let (input, at, rest) = bytes.cut(at, len);
                self.input = rest;
                Wait::Desk(Task::Command { input, at, database: self.state.database, breadth })
            }
            // The command has not run: it is read again.
            Need::Room => {
                self.input = bytes.rest(at);
                Wait::Room
            }
            Need::Log => {
                self.input = bytes.rest(at);
                Wait::Log
            }
            Need::Pause(nature) => {
                self.input = bytes.rest(at);
                Wait::Pause(nature)
            }
            Need::Work(work) => {
                self.input = bytes.rest(at + len);
                Wait::Desk(Task::Work(work))
            }
            Need::Watch(keys) => {
                self.input = bytes.rest(at + len);
                Wait::Desk(Task::Watch { database: self.state.database, keys })
            }
            Need::Exec(exec) => {
                self.worker.stats().to_desk.add(1);
                self.input = bytes.rest(at + len);
                Wait::Desk(Task::Exec(exec))
            }
            Need::Block(waits) => {
                self.input = bytes.rest(at + len);
                Wait::Blocked(self.join_waiting(waits.0, &waits.1))
            }
            Need::Acknowledged(awaited) => {
                self.input = bytes.rest(at + len);
                Wait::Acknowledged(awaited)
            }
            Need::Sleep(time) => {
                self.input = bytes.rest(at + len);
                Wait::Sleep(time)
            }
            Need::End => {
                self.worker.shared.shutdown.request(crate::shutdown::Cause::Command);
                Wait::Killed
            }
        };
        Step::Wait(wait)
    }

    fn over_input_limit(&self) -> Option<Step> {
        if self.input.len() <= MIN_GROWTH {
            return None;
        }
        let limit = self.worker.rules().input_limit;
        if self.input.len() <= limit {
            return None;
        }
        self.worker.shared.stats.closed_input_limit.add(1);
        let (peer, bytes) = (&self.state.info.ends.peer, self.input.len());
        tracing::warn!(peer, bytes, "closing a client: too much input that is no command");
        Some(Step::End(End::Now))
    }

    /// Waits. A kill ends it at once; one that lets replies out lets a job at the desk end first.
    async fn wait(&mut self, wait: Wait) {
        match wait {
            Wait::Desk(task) => self.wait_for_desk(task).await,
            Wait::Room => {
                let instance = Arc::clone(&self.worker.shared.instance);
                self.unless_killed(poll_fn(|cx| instance.budget().poll_room(cx.waker()))).await;
            }
            Wait::Log => {
                let instance = Arc::clone(&self.worker.shared.instance);
                let Some((id, end)) = instance.shard(self.state.database).map(|shard| (shard.id, shard.log.end()))
                else {
                    return;
                };
                self.unless_killed(poll_fn(|cx| match instance.shard_of(id) {
                    Some(shard) => shard.log.poll_written(end, cx.waker()),
                    None => Poll::Ready(()),
                }))
                .await;
            }
            Wait::Sleep(time) => {
                self.unless_killed(tokio::time::sleep(time)).await;
            }
            Wait::Blocked(blocked) => self.wait_blocked(blocked).await,
            Wait::Pause(nature) => self.wait_paused(nature).await,
            Wait::Acknowledged(awaited) => {
                let mut reply = Reply::new(self.state.protocol);
                let wait = acknowledged::Wait::new(&self.worker.shared, awaited, &self.state.seen);
                let _waits = Waits::new(&self.state.info);
                let answered = self.unless_killed(wait.answer(&mut reply)).await;
                // What was lost with a shard was told now, and is waited for no longer.
                self.state.seen.forget_gone(&self.worker.shared.instance);
                if answered.is_some() {
                    self.take_answer(Answer { reply: reply.into_buffer(), ..Answer::default() });
                }
            }
            Wait::Confirmed => {
                self.unless_killed(poll_fn(|cx| self.outbox.poll_room(cx.waker()))).await;
            }
            Wait::Killed => {
                self.unless_killed(std::future::pending::<()>()).await;
            }
        }
    }

    async fn wait_for_desk(&mut self, task: Task) {
        let desk = self.worker.desk.clone();
        let info = Arc::clone(&self.state.info);
        let protocol = self.state.protocol;
        let job = async {
            let answer = desk.ask(task, protocol, &info).await?;
            answer.await.ok()
        };
        let mut job = pin!(job);
        let answer = poll_fn(|cx| match info.killed() {
            Some(Kill::Now) => Poll::Ready(None),
            Some(Kill::AfterReplies) | None => job.as_mut().poll(cx),
        })
        .await;
        match answer {
            Some(Answer { next: Next::Block(waits), .. }) => {
                let blocked = self.join_waiting(waits.0, &waits.1);
                self.wait_blocked(blocked).await;
            }
            Some(answer) => self.take_answer(answer),
            None => {}
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        let Answer { reply, marks, mut pledge, next } = answer;
        if pledge.is_some() {
            self.worker.turn.promise(marks.as_gate());
        }
        let mut begun = None;
        match next {
            Next::Nothing | Next::Block(_) => {}
            Next::Watch(watched) => self.state.watch(watched),
            Next::Assemble(mut assembly) => {
                assembly.is_muted = self.state.replies != Replies::On;
                assembly.pledge = pledge.take();
                begun = Some(assembly);
            }
        }
        {
            let mut output = self.outbox.output();
            output.prepare(self.state.protocol, &mut self.worker.spares.borrow_mut());
            let mark = output.next.len();
            output.next_marks.raise(marks.as_gate());
            match &mut self.state.assembly {
                // A part of EXEC's reply, which leaves as a whole.
                Some(assembly) => assembly.add(&reply, pledge.take()),
                None => output.next.raw(&reply),
            }
            end_reply(&mut self.state, &mut output.next, mark);
            if let Some(pledge) = pledge {
                output.promise(mark, pledge);
            }
        }
        if begun.is_some() {
            self.state.assembly = begun;
        }
        self.state.seen.raise(marks.as_gate());
        self.worker.turn.touch(&marks);
        self.hand_over(&self.worker.rules());
    }

    /// Waits for `future`, or a kill of either kind.
    async fn unless_killed<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match self.state.info.killed() {
            Some(Kill::Now | Kill::AfterReplies) => Poll::Ready(None),
            None => future.as_mut().poll(cx).map(Some),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_is_small() {
        fn size<F>(_: impl FnOnce(Session) -> F) -> usize {
            std::mem::size_of::<F>()
        }
        let bytes = size(Session::serve) + size_of::<Outbox>() + size_of::<ClientInfo>();
        assert!(bytes <= 1024, "{bytes}");
    }

    #[test]
    fn a_large_request_takes_its_buffer_along() {
        let mut bytes = vec![b'a'; 10];
        bytes.extend(vec![b'b'; MOVED_REQUEST]);
        bytes.extend(b"rest");
        let before = bytes.as_ptr();
        let (request, at, rest) = Bytes::Own(bytes).cut(10, MOVED_REQUEST);
        assert_eq!((request.as_ptr(), at, rest.as_slice()), (before, 10, b"rest".as_slice()));
        assert_eq!(request.len(), 10 + MOVED_REQUEST);
    }

    #[test]
    fn a_small_request_is_copied() {
        let (request, at, rest) = Bytes::Shared(b"aabbbcc").cut(2, 3);
        assert_eq!((request.as_slice(), at, rest.as_slice()), (b"bbb".as_slice(), 0, b"cc".as_slice()));
        assert_eq!(Bytes::Own(b"aabb".to_vec()).rest(2), b"bb");
    }
}
