//! Clients that wait in blocking commands, and how they are served.
//!
//! ```text
//!   command finds nothing ──join──▶ waiter in the queue of each of its keys ◀───────┐ nothing for it
//!                                      │ a commit makes a key present                │
//!                                      ▼                                             │
//!                                   ready keys ──pass──▶ the first of the queue runs again ──▶ its answer
//! ```
//!
//! Whoever has committed serves the waiters before it goes on, so a client that pushes and then looks sees what Redis
//! would show it. One pass at a time is under way in a database; who comes to a pass that another thread makes leaves
//! it the keys. A waiter keeps its ticket until it is answered, so a client that waits longer is served first: a
//! blocking command on a key that others wait for joins their queue without a look at the key.
//!
//! A waiting client is an entry here and a sleeping task; no thread waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use commands::spec::Run;
use commands::{Args, Context, Error, KeyRef, Wait, Waiting as MayWait};
use engine::{Abort, Expectation, Fault, Instance, LockKey, Place, Ran, Request, Scope, Scratch};
use keyspace::Kind;
use parking_lot::Mutex;
use resp::{Protocol, Reply};
use tokio::sync::oneshot;

use crate::client::ClientInfo;
use crate::code;
use crate::desk::{Answer, Desk, Next};
use crate::gate::{self, Marks};
use crate::pledge::Pledge;
use crate::rules::Rules;
use crate::shared::{Shared, clock};
use crate::transaction::Line;

/// Waiters that a worker serves in a row before the desk takes over.
const SERVED_BY_WORKER: usize = 64;

/// A waiter's place: smaller ones came earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// All waiting clients.
pub struct Waiting {
    tables: Box<[Mutex<Table>]>,
    last: AtomicU64,
    count: AtomicUsize,
    by_client: Mutex<HashMap<u64, (usize, Ticket)>>,
}

/// The waiters of one database.
#[derive(Default)]
struct Table {
    waiters: BTreeMap<Ticket, Waiter>,
    by_key: HashMap<Vec<u8>, BTreeSet<Ticket>>,
    /// Keys to be looked at, each once.
    ready: VecDeque<Vec<u8>>,
    is_ready: HashSet<Vec<u8>>,
    pass: Option<Pass>,
}

/// The pass that is under way.
#[derive(Default)]
struct Pass {
    /// The key that is being served, with how far its queue is.
    key: Option<(Vec<u8>, Look)>,
    /// Who is being served.
    served: Option<Served>,
}

/// Who of a queue comes next: after this ticket, and of this type.
#[derive(Clone, Copy, Default)]
struct Look {
    after: Option<Ticket>,
    kind: Option<Kind>,
}

struct Served {
    ticket: Ticket,
    /// Its session no longer wants to wait.
    leaves: bool,
}

/// A client that waits.
struct Waiter {
    line: Arc<Line>,
    database: usize,
    keys: Vec<Vec<u8>>,
    kind: Kind,
    protocol: Protocol,
    info: Arc<ClientInfo>,
    answer: oneshot::Sender<Answer>,
    _expectations: Vec<Expectation>,
}

/// What a session has of its waiting.
pub(crate) struct Blocked {
    pub database: usize,
    pub ticket: Ticket,
    pub answer: oneshot::Receiver<Answer>,
    /// `None`: for ever, as the client asked.
    pub deadline: Option<tokio::time::Instant>,
}

/// How a try to serve a waiter ended.
enum Tried {
    Answered(Answer),
    /// The key holds this, and the waiter got nothing.
    Nothing(Option<Kind>),
    /// Not on a worker.
    Later,
}

/// How `CLIENT UNBLOCK` and changes of the instance end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// As if its time were over.
    TimedOut,
    /// With this error.
    Error(&'static str),
}

/// The error of those who wait when the instance becomes a replica.
pub const NO_LONGER_PRIMARY: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

impl Waiting {
    pub(crate) fn new(databases: usize) -> Self {
        Self {
            tables: (0..databases).map(|_| Mutex::default()).collect(),
            last: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            by_client: Mutex::default(),
        }
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many keys are waited for.
    #[must_use]
    pub fn keys(&self) -> usize {
        if self.count() == 0 { 0 } else { self.tables.iter().map(|table| table.lock().by_key.len()).sum() }
    }

    /// Queues a client. The caller serves the database afterwards: something may have come meanwhile.
    pub(crate) fn join(
        &self,
        instance: &Instance,
        (database, protocol): (usize, Protocol),
        (line, wait): (Line, &Wait),
        info: &Arc<ClientInfo>,
    ) -> Blocked {
        let ticket = Ticket(self.last.fetch_add(1, Ordering::Relaxed));
        let (answer, receiver) = oneshot::channel();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for key in &line.args()[wait.keys.clone()] {
            if !keys.iter().any(|known| known == key) {
                keys.push(key.to_vec());
            }
        }
        let expectations = keys.iter().map(|key| instance.expect(database, key)).collect();
        let deadline = wait.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        let info = Arc::clone(info);
        info.is_blocked.store(true, Ordering::Relaxed);
        self.by_client.lock().insert(info.id, (database, ticket));
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut table = self.tables[database].lock();
        for key in &keys {
            table.by_key.entry(key.clone()).or_default().insert(ticket);
            table.make_ready(key);
        }
        let (line, kind) = (Arc::new(line), wait.kind);
        let waiter = Waiter { line, database, keys, kind, protocol, info, answer, _expectations: expectations };
        table.waiters.insert(ticket, waiter);
        Blocked { database, ticket, answer: receiver, deadline }
    }

    /// Takes a client out of its queues. `false`: it is being served; it will have an answer, or its channel will be
    /// closed.
    pub(crate) fn leave(&self, database: usize, ticket: Ticket) -> bool {
        let mut table = self.tables[database].lock();
        if let Some(served) = table.pass.as_mut().and_then(|pass| pass.served.as_mut())
            && served.ticket == ticket
        {
            served.leaves = true;
            return false;
        }
        if let Some(waiter) = table.waiters.remove(&ticket) {
            table.forget(ticket, &waiter.keys);
            self.left(&waiter);
        }
        true
    }

    /// Ends the wait of a client. `false`: it does not wait.
    pub(crate) fn unblock(&self, client: u64, how: Unblock) -> bool {
        let Some((database, ticket)) = self.by_client.lock().get(&client).copied() else { return false };
        let mut table = self.tables[database].lock();
        let Some(waiter) = table.waiters.remove(&ticket) else { return false };
        table.forget(ticket, &waiter.keys);
        drop(table);
        self.left(&waiter);
        let mut reply = Reply::new(waiter.protocol);
        match how {
            Unblock::TimedOut => reply.null_array(),
            Unblock::Error(text) => reply.error(text),
        }
        // Its session may have gone.
        let _ = waiter.answer.send(Answer { reply: reply.into_buffer(), ..Answer::default() });
        true
    }

    /// Ends all waits with an error: what they wait for is no longer made here.
    pub fn unblock_all(&self, error: &'static str) {
        let clients: Vec<u64> = self.by_client.lock().keys().copied().collect();
        for client in clients {
            self.unblock(client, Unblock::Error(error));
        }
    }

    /// Notes keys that have become present; answers their databases.
    fn note(&self, woken: Vec<(usize, Vec<u8>)>, databases: &mut Vec<usize>) {
        for (database, key) in woken {
            self.tables[database].lock().make_ready(&key);
            if !databases.contains(&database) {
                databases.push(database);
            }
        }
    }

    fn left(&self, waiter: &Waiter) {
        waiter.info.is_blocked.store(false, Ordering::Relaxed);
        self.by_client.lock().remove(&waiter.info.id);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Table {
    fn make_ready(&mut self, key: &[u8]) {
        if self.by_key.contains_key(key) && self.is_ready.insert(key.to_vec()) {
            self.ready.push_back(key.to_vec());
        }
    }

    fn forget(&mut self, ticket: Ticket, keys: &[Vec<u8>]) {
        for key in keys {
            if let Some(queue) = self.by_key.get_mut(key) {
                queue.remove(&ticket);
                if queue.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }

    /// Begins a pass. `false`: one is under way.
    fn begin(&mut self) -> bool {
        let free = self.pass.is_none() && !self.ready.is_empty();
        if free {
            self.pass = Some(Pass::default());
        }
        free
    }

    /// Whom the pass serves next, at which key. `None`: the pass is over.
    fn next(&mut self) -> Option<(Vec<u8>, Ticket, Waiter)> {
        let pass = self.pass.as_mut()?;
        loop {
            let Some((key, look)) = &pass.key else {
                let Some(key) = self.ready.pop_front() else {
                    self.pass = None;
                    return None;
                };
                self.is_ready.remove(&key);
                pass.key = Some((key, Look::default()));
                continue;
            };
            let fits = |ticket: &&Ticket| {
                let kind = self.waiters.get(*ticket).map(|waiter| waiter.kind);
                kind.is_some()
                    && look.after.is_none_or(|after| after < **ticket)
                    && look.kind.is_none_or(|of| Some(of) == kind)
            };
            let ticket = self.by_key.get(key).and_then(|queue| queue.iter().find(fits)).copied();
            let Some((ticket, waiter)) = ticket.and_then(|ticket| Some((ticket, self.waiters.remove(&ticket)?))) else {
                pass.key = None;
                continue;
            };
            pass.served = Some(Served { ticket, leaves: false });
            return Some((key.clone(), ticket, waiter));
        }
    }

    /// Ends a turn of the pass: the waiter goes back, or answers `true` when it is to leave.
    fn put_back(&mut self, ticket: Ticket, waiter: Waiter, tried: &Tried) -> Option<Waiter> {
        let pass = self.pass.as_mut()?;
        let leaves = pass.served.take().is_some_and(|served| served.leaves);
        match tried {
            Tried::Nothing(None) => pass.key = None,
            Tried::Nothing(Some(kind)) => {
                if let Some((_, look)) = &mut pass.key {
                    if *kind == waiter.kind {
                        look.after = Some(ticket);
                    }
                    look.kind = Some(*kind);
                }
            }
            Tried::Later => {}
            Tried::Answered(_) => {
                self.forget(ticket, &waiter.keys);
                return Some(waiter);
            }
        }
        if leaves {
            self.forget(ticket, &waiter.keys);
            return Some(waiter);
        }
        self.waiters.insert(ticket, waiter);
        None
    }
}

/// A thread that serves waiters.
pub(crate) struct Waker<'a> {
    pub shared: &'a Arc<Shared>,
    /// Who goes on when this thread must not; `None`: it may wait itself.
    pub desk: Option<&'a Desk>,
    pub scratch: &'a mut Scratch,
    pub keys: &'a mut Vec<KeyRef>,
}

impl Waker<'_> {
    /// Serves those who wait for what the thread's last run has made, and those of a database.
    #[cold]
    pub(crate) fn serve(&mut self, also: Option<usize>) {
        let mut databases: Vec<usize> = also.into_iter().collect();
        self.shared.waiting.note(self.scratch.take_woken(), &mut databases);
        while let Some(database) = databases.pop() {
            if self.shared.waiting.tables[database].lock().begin() {
                self.go_on(database, &mut databases);
            }
        }
    }

    /// Goes on with a pass that another thread has begun.
    pub(crate) fn take_over(&mut self, database: usize) {
        let mut databases = Vec::new();
        self.go_on(database, &mut databases);
        while let Some(database) = databases.pop() {
            if self.shared.waiting.tables[database].lock().begin() {
                self.go_on(database, &mut databases);
            }
        }
    }

    fn go_on(&mut self, database: usize, databases: &mut Vec<usize>) {
        let shared = self.shared;
        let rules = Rules::new(shared.config.load_full());
        let mut turns = 0;
        loop {
            let next = shared.waiting.tables[database].lock().next();
            let Some((key, ticket, waiter)) = next else { return };
            turns += 1;
            let tried = match self.desk {
                Some(_) if turns > SERVED_BY_WORKER => Tried::Later,
                Some(_) | None => self.try_one(&key, &waiter, &rules),
            };
            let gone = shared.waiting.tables[database].lock().put_back(ticket, waiter, &tried);
            if let Some(waiter) = gone {
                shared.waiting.left(&waiter);
                if let Tried::Answered(answer) = tried
                    && let Err(orphan) = waiter.answer.send(answer)
                {
                    // Nobody will have its log written.
                    gate::ask(&shared.instance, rules.durability, &orphan.marks);
                }
            } else if let (Tried::Later, Some(desk)) = (&tried, self.desk) {
                desk.take_over(database);
                return;
            }
            shared.waiting.note(self.scratch.take_woken(), databases);
        }
    }

    /// Runs a waiter's command, if the key holds something of its type.
    fn try_one(&mut self, key: &[u8], waiter: &Waiter, rules: &Rules) -> Tried {
        let line = Arc::clone(&waiter.line);
        let args = line.args();
        let args = Args::new(&args);
        let Run::View(run) = line.command.run else { unreachable!("only commands on keys wait") };
        let instance = &self.shared.instance;
        self.keys.clear();
        // Keys that cannot be read were an error before the command could wait.
        let _ = commands::keys(line.command, args, waiter.database, self.keys);
        let locks: Vec<LockKey<'_>> =
            self.keys.iter().map(|key| LockKey { database: key.database, key: args.at(key.index) }).collect();
        let place = if self.desk.is_some() { Place::Worker } else { Place::Desk };
        let request = Request { place, scope: Scope::Keys(&locks), database: waiter.database, clock: clock() };
        let mut reply = Reply::new(waiter.protocol);
        let mut found = None;
        let mut is_answered = false;
        let ran = instance.run(&request, self.scratch, &mut |view| {
            reply.truncate(0);
            is_answered = false;
            found = view.record(key)?.map(|record| record.head.kind);
            if found != Some(waiter.kind) {
                return Err(Abort::Undo);
            }
            let reply = &mut reply;
            let (database, settings) = (waiter.database, &rules.settings);
            let mut context = Context { view, reply, database, settings, waiting: MayWait::Allowed };
            match run(&mut context, args) {
                Ok(()) => {
                    is_answered = true;
                    Ok(())
                }
                Err(Error::Stop(stop)) => Err(Abort::Stop(stop)),
                Err(Error::Wait(_)) => Err(Abort::Undo),
                Err(Error::Reply(text)) => {
                    is_answered = true;
                    context.reply.truncate(0);
                    context.reply.error_bytes(&text);
                    Err(Abort::Undo)
                }
            }
        });
        self.outcome(ran, is_answered.then_some(reply), (waiter.protocol, rules), found)
    }

    fn outcome(
        &self,
        ran: Result<Ran, Fault>,
        reply: Option<Reply>,
        (protocol, rules): (Protocol, &Rules),
        found: Option<Kind>,
    ) -> Tried {
        let (mut marks, mut pledge) = (Marks::default(), None);
        let reply = match ran {
            Ok(Ran::Done(gate)) => {
                let Some(reply) = reply else { return Tried::Nothing(found) };
                marks.raise(&gate);
                if rules.sync_replicas > 0 && self.scratch.tally().committed.get() {
                    pledge = Some(Pledge::new(&self.shared.instance, &gate));
                }
                self.shared.stats.changed_for_waiters.add(self.scratch.tally().changed.get().into());
                reply
            }
            Ok(Ran::Later | Ran::Undeclared) => {
                assert!(self.desk.is_some(), "the desk waits, and a command that waits names its keys");
                return Tried::Later;
            }
            Err(fault) => {
                self.shared.faults.note(&fault);
                let mut reply = Reply::new(protocol);
                reply.error(&code::fault_text(&fault));
                reply
            }
        };
        if let [b'-', text @ ..] = reply.buffer() {
            self.shared.stats.count_error(text);
        }
        Tried::Answered(Answer { reply: reply.into_buffer(), marks, pledge, next: Next::Nothing })
    }
}
