//! The desk: threads that may wait, for commands that must.
//!
//! A session that has a job here waits for its answer before it goes on, so its order holds. A place in the queue is
//! waited for asynchronously before the job is queued, so the queue has a bound and nobody gets an error for it. A job
//! whose session is gone runs all the same: its client may not know whether it did, but it was asked for.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use commands::spec::{Flags, Run};
use commands::{Args, KeyRef, Scope, Wait};
use crossbeam_channel::{Receiver, Sender};
use engine::{Fault, Place, Ran, Scratch, ShardId};
use resp::{Limits, Parsed, Parser, Protocol, Reply, Request};
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::catalog::Numbers;
use crate::client::ClientInfo;
use crate::code::{self, Breadth, Code, Ended};
use crate::gate::{self, Marks};
use crate::meter::{self, Looks};
use crate::pledge::Pledge;
use crate::rules::Rules;
use crate::session_commands::{DeskContext, DeskWork};
use crate::shared::{Shared, clock};
use crate::transaction::{self, Assembly, Exec, Executed, Line, Watched};
use crate::waiting::Waker;

/// Jobs that may wait for a thread, for each thread.
const QUEUE_PER_THREAD: usize = 32;

/// How far the desk's threads stand back behind the workers, in the kernel's -20..=19.
const DESK_NICENESS: i32 = 5;

/// What is to be done.
pub(crate) enum Task {
    /// A command line on the wire, which begins at `at` and fits the table.
    Command { input: Vec<u8>, at: usize, database: usize, breadth: Breadth },
    /// Work of a session command.
    Work(DeskWork),
    /// Keys of a database that are to be watched.
    Watch { database: usize, keys: Vec<Vec<u8>> },
    /// A transaction.
    Exec(Box<Exec>),
}

/// What lies in the queue.
enum Entry {
    Job(Job),
    /// To serve those who wait in a database, in place of a worker.
    Serve(usize),
}

/// A job, with whom to tell.
struct Job {
    task: Task,
    protocol: Protocol,
    info: Arc<ClientInfo>,
    answer: oneshot::Sender<Answer>,
    _place: OwnedSemaphorePermit,
}

/// What became of a job.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The reply, in the client's protocol.
    pub reply: Vec<u8>,
    /// What it shows.
    pub marks: Marks,
    /// What replicas must confirm of it before it may leave.
    pub pledge: Option<Pledge>,
    /// What the session does with it.
    pub next: Next,
}

/// What a session does with an answer, beyond sending its reply.
#[derive(Debug, Default)]
pub(crate) enum Next {
    /// Nothing.
    #[default]
    Nothing,
    /// It watches these keys.
    Watch(Vec<Watched>),
    /// It adds to the reply what this puts together.
    Assemble(Box<Assembly>),
    /// There is no reply: it waits for something to come.
    Block(Box<(Line, Wait)>),
}

/// The way to the desk. When the last one is dropped the threads end, after the jobs that are queued.
#[derive(Clone)]
pub(crate) struct Desk {
    jobs: Sender<Entry>,
    places: Arc<Semaphore>,
}

impl Desk {
    /// Starts the threads.
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let threads = shared.desk_threads;
        let places = threads * QUEUE_PER_THREAD;
        // One pass at a time is under way in a database.
        let (sender, receiver) = crossbeam_channel::bounded(places + shared.instance.databases());
        let start = |index: usize| {
            let (shared, receiver) = (Arc::clone(shared), receiver.clone());
            let name = format!("desk-{index}");
            std::thread::Builder::new().name(name).spawn(move || Clerk::new(shared, index).serve(&receiver))
        };
        let handles = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok((Self { jobs: sender, places: Arc::new(Semaphore::new(places)) }, handles))
    }

    /// Hands a job in, once there is a place for it; `None` when the desk is closed.
    pub(crate) async fn ask(
        &self,
        task: Task,
        protocol: Protocol,
        info: &Arc<ClientInfo>,
    ) -> Option<oneshot::Receiver<Answer>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (answer, receiver) = oneshot::channel();
        let job = Job { task, protocol, info: Arc::clone(info), answer, _place: place };
        // There is room: each job in the queue holds a place.
        self.jobs.try_send(Entry::Job(job)).ok()?;
        Some(receiver)
    }

    /// Hands in the rest of a pass over those who wait in a database.
    pub(crate) fn take_over(&self, database: usize) {
        // There is room, and when the desk is closed nobody waits any more.
        let _ = self.jobs.try_send(Entry::Serve(database));
    }
}

/// One thread of the desk.
struct Clerk {
    shared: Arc<Shared>,
    /// Of its counters.
    index: usize,
    scratch: Scratch,
    keys: Vec<KeyRef>,
    numbers: Numbers,
}

impl Clerk {
    fn new(shared: Arc<Shared>, index: usize) -> Self {
        let index = shared.workers + index;
        let scratch = Scratch::new(shared.seed(index));
        Self { shared, index, scratch, keys: Vec::new(), numbers: Numbers::default() }
    }

    fn serve(mut self, jobs: &Receiver<Entry>) {
        // Where cores are scarce, what is in memory comes first: workers run before the desk. Without the right to say
        // so, all are equal.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), DESK_NICENESS);
        while let Ok(entry) = jobs.recv() {
            let job = match entry {
                Entry::Job(job) => job,
                Entry::Serve(database) => {
                    self.waker().take_over(database);
                    continue;
                }
            };
            let Job { task, protocol, info, answer, .. } = job;
            let done = match task {
                Task::Command { input, at, database, breadth } => {
                    self.command(&input[at..], database, breadth, protocol, &info)
                }
                Task::Work(work) => self.work(work, protocol),
                Task::Watch { database, keys } => self.watch(database, &keys, protocol),
                Task::Exec(exec) => self.exec(*exec),
            };
            if self.scratch.has_woken() {
                self.waker().serve(None);
            }
            if let Err(orphan) = answer.send(done) {
                // Nobody will have its log written.
                let rules = Rules::new(self.shared.config.load_full());
                gate::ask(&self.shared.instance, rules.durability, &orphan.marks);
            }
        }
    }

    fn waker(&mut self) -> Waker<'_> {
        Waker { shared: &self.shared, desk: None, scratch: &mut self.scratch, keys: &mut self.keys }
    }

    fn work(&mut self, work: DeskWork, protocol: Protocol) -> Answer {
        let mut gate = engine::Gate::new();
        let mut context =
            DeskContext { shared: &self.shared, scratch: &mut self.scratch, protocol, gate: &mut gate, changed: false };
        let reply = work(&mut context);
        let is_promised = context.changed && Rules::new(self.shared.config.load_full()).sync_replicas > 0;
        let mut marks = Marks::default();
        marks.raise(&gate);
        let pledge = is_promised.then(|| Pledge::new(&self.shared.instance, marks.as_gate()));
        Answer { reply, marks, pledge, next: Next::Nothing }
    }

    fn watch(&mut self, database: usize, keys: &[Vec<u8>], protocol: Protocol) -> Answer {
        let mut reply = Reply::new(protocol);
        let watched =
            transaction::watch(&self.shared.instance, Place::Desk, (database, keys), clock(), &mut self.scratch);
        let next = match watched {
            Ok(watched) => {
                reply.ok();
                Next::Watch(watched.unwrap_or_default())
            }
            Err(fault) => {
                self.fail(&fault, &mut reply);
                Next::Nothing
            }
        };
        Answer { reply: reply.into_buffer(), next, ..Answer::default() }
    }

    fn exec(&mut self, exec: Exec) -> Answer {
        let rules = Rules::new(self.shared.config.load_full());
        let mut gate = engine::Gate::new();
        let at = (&*self.shared.instance, Place::Desk);
        let executed = exec.run(at, (&rules.settings, clock()), &mut self.scratch, &mut gate);
        let mut reply = Reply::new(exec.protocol);
        let mut answer = Answer::default();
        answer.marks.raise(&gate);
        match executed {
            Ok(Some(Executed::Done(pieces))) => {
                self.shared.stats.thread(self.index).changed.add(self.scratch.tally().changed.get().into());
                answer.pledge = self.pledge(&rules, &gate);
                answer.next = Next::Assemble(exec.into_assembly(pieces));
            }
            Ok(Some(Executed::Changed)) => reply.null_array(),
            Ok(None) => unreachable!("the desk waits, and everything is declared in the end"),
            Err(fault) => self.fail(&fault, &mut reply),
        }
        answer.reply = reply.into_buffer();
        answer
    }

    /// What a run promises whose gate this is, if it has changed something.
    fn pledge(&self, rules: &Rules, gate: &[(ShardId, u64)]) -> Option<Pledge> {
        let is_promised = rules.sync_replicas > 0 && self.scratch.tally().committed.get();
        is_promised.then(|| Pledge::new(&self.shared.instance, gate))
    }

    fn fail(&self, fault: &Fault, reply: &mut Reply) {
        self.shared.faults.note(fault);
        reply.error(&code::fault_text(fault));
    }

    fn command(
        &mut self,
        input: &[u8],
        database: usize,
        breadth: Breadth,
        protocol: Protocol,
        info: &ClientInfo,
    ) -> Answer {
        let began = Instant::now();
        let mut request = Request::new();
        // Its limits were checked when it was read, and may be others by now.
        let limits = Limits { max_bulk_len: usize::MAX, ..Limits::default() };
        let parsed = Parser::new().parse(input, &limits, &mut request);
        assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "a job holds one whole command");
        let args: SmallVec<[&[u8]; 8]> = request.args(input).collect();
        let args = Args::new(&args);
        let Ok(command) = commands::resolve(args) else { unreachable!("a job's command was resolved before") };
        let Run::View(run) = command.run else { unreachable!("a job's command works on keys") };
        let rules = Rules::new(self.shared.config.load_full());
        let mut reply = Reply::new(protocol);
        let code = Code {
            instance: &self.shared.instance,
            command,
            run,
            args,
            database,
            settings: &rules.settings,
            clock: clock(),
        };
        let (mut marks, mut pledge) = (Marks::default(), None);
        let mut ran = code.run(Place::Desk, breadth, (&mut self.scratch, &mut self.keys), &mut reply);
        let mut breadth = breadth;
        if matches!(ran, Ok(Ended::Ran(Ran::Undeclared))) {
            breadth = Breadth::Shard;
            ran = code.run(Place::Desk, breadth, (&mut self.scratch, &mut self.keys), &mut reply);
        }
        match ran {
            Ok(Ended::Ran(Ran::Done(gate))) => {
                marks.raise(&gate);
                pledge = self.pledge(&rules, &gate);
            }
            Ok(Ended::Waits(wait)) => {
                let next = Next::Block(Box::new((Line::new(command, args), *wait)));
                return Answer { next, ..Answer::default() };
            }
            Ok(Ended::Ran(Ran::Later | Ran::Undeclared)) => {
                unreachable!("the desk waits, and a locked database declares all")
            }
            Err(fault) => self.fail(&fault, &mut reply),
        }
        let nanos = meter::nanos(began, Instant::now());
        let stats = self.shared.stats.thread(self.index);
        stats.commands.add(1);
        if command.spec.flags.has(Flags::READONLY) {
            // Which other keys it looked at, none knows.
            let is_named = breadth == Breadth::Declared && command.scope == Scope::Keys;
            let keys = match (commands::only_key(command), is_named) {
                (_, false) => 0,
                (Some(_), true) => 1,
                (None, true) => self.keys.len(),
            };
            self.book_looks(keys);
        } else {
            stats.changed.add(self.scratch.tally().changed.get().into());
            if commands::reads_first(command, args) {
                self.book_looks(1);
            }
        }
        let counters = stats.command(self.numbers.of(command));
        counters.calls.add(1);
        counters.nanos.add(nanos);
        meter::note_outcome(&self.shared.stats, counters, reply.buffer());
        if nanos >= rules.slow_nanos {
            meter::note_slow(&self.shared, &rules, info, command, args, nanos);
        }
        Answer { reply: reply.into_buffer(), marks, pledge, next: Next::Nothing }
    }

    fn book_looks(&self, keys: usize) {
        let Looks { hits, misses } = meter::looks(self.scratch.tally(), keys);
        let stats = self.shared.stats.thread(self.index);
        stats.hits.add(hits);
        stats.misses.add(misses);
    }
}
